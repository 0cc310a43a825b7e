"""pytorchcv's names of the tensors of Xception, Inception-v4 and Inception-ResNet-v2: each of ours has one."""

from typing import Any

import pytest

import archzoo
from archzoo.weights._libraries import names_in
from tests.peers.witnesses import theirs

SCALED = {"bn_scale": True}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "ours"),
    [
        ("xception", {"padding": "symmetric", "bn_eps": 1e-5}, "xception"),
        ("inceptionv4", SCALED, "inception_v4"),
        ("inceptionresnetv2", SCALED, "inception_resnet_v2_released"),
    ],
)
def test_our_tensors_have_the_names_and_shapes_of_pytorchcvs(name: str, options: dict[str, Any], ours: str) -> None:
    net = archzoo.build(ours, device="meta", **options)
    renamed = names_in("pytorchcv", ours).to_theirs(net, net.state_dict())
    expected = theirs("pytorchcv", name).state_dict()
    assert {part: tensor.shape for part, tensor in renamed.items()} == {
        part: tensor.shape for part, tensor in expected.items()
    }
