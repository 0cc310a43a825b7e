"""pytorchcv's Xception and Inception networks as witnesses: our names of its tensors, and its logits."""

from typing import Any

import pytest
import torch

import archzoo
from archzoo.weights._libraries import names_in
from tests.networks import EVERY_NET
from tests.peers.witnesses import randomize, theirs

# Ours with the options that make it theirs, and what they call it.
LARGE: list[tuple[str, dict[str, Any], str]] = [
    ("xception", {"padding": "symmetric", "bn_eps": 1e-5}, "xception"),
    ("inception_v4", {"bn_scale": True}, "inceptionv4"),
    ("inception_resnet_v2_released", {"bn_scale": True}, "inceptionresnetv2"),
    ("bn_inception_caffe", {}, "bninception"),
    ("inception_v3", {"count_include_pad": True}, "inceptionv3"),
]
each_of_them = pytest.mark.parametrize(("ours", "options", "name"), LARGE, ids=lambda value: str(value))


@pytest.mark.slow
@each_of_them
def test_our_tensors_have_the_names_and_shapes_of_pytorchcvs(ours: str, options: dict[str, Any], name: str) -> None:
    net = archzoo.build(ours, device="meta", **options)
    renamed = names_in("pytorchcv", ours).to_theirs(net, net.state_dict())
    expected = theirs("pytorchcv", name).state_dict()
    assert {part: tensor.shape for part, tensor in renamed.items()} == {
        part: tensor.shape for part, tensor in expected.items()
    }


@pytest.mark.skipif(not EVERY_NET, reason="images of 299x299 and up to 56M parameters")
@each_of_them
def test_with_pytorchcvs_weights_we_compute_the_same(ours: str, options: dict[str, Any], name: str) -> None:
    net, other = archzoo.build(ours, device="meta", **options).eval(), theirs("pytorchcv", name).eval()
    randomize(other)
    net.load_state_dict(names_in("pytorchcv", ours).to_ours(net, other.state_dict()), assign=True)
    images = torch.randn(1, *archzoo.find(ours).input_size)
    with torch.no_grad():
        logits, expected = net(images), other(images)
    assert (logits - expected).norm() <= 1e-5 * expected.norm()
