"""Replacing the final classification layer."""

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import TransferError
from archzoo.transfer import replace_classifier
from tests.networks import CLASSES, EVERY_NET, SHALLOW, image_size, parametrize

# LeNet-5 ends in fixed codes, which no layer can replace.
HEADS = [name for name in (SHALLOW if EVERY_NET else CLASSES) if name != "lenet5"]


@pytest.mark.slow
@parametrize(HEADS)
def test_a_new_classifier_has_the_classes_asked_for_and_nothing_else_is_new(name: str) -> None:
    net = archzoo.build(name, device="meta").eval()
    before = net.state_dict()
    replaced = replace_classifier(net, 7)
    assert net(torch.empty(2, *image_size(name), device="meta")).shape == (2, 7)
    after = net.state_dict()
    changed = {part for part in after if after[part].shape != before[part].shape}
    assert changed == {
        f"{part}.{kind}" for part in replaced for kind in ("weight", "bias") if f"{part}.{kind}" in after
    }


def test_every_classifier_of_googlenet_is_replaced() -> None:
    net = archzoo.build("googlenet", auxiliary=True, device="meta")
    assert set(replace_classifier(net, 5)) == {
        f"classifier.{part}" for part in ("linear", "aux_4a.linear", "aux_4d.linear")
    }


def test_a_new_classifier_is_initialized_as_asked_in_the_dtype_of_the_old_one() -> None:
    net = archzoo.build("resnet20").double()
    replace_classifier(net, 3, initialize=lambda layer: nn.init.constant_(layer.weight, 2.0))  # type: ignore[arg-type]
    head = net.get_submodule("classifier.fc")
    assert isinstance(head, nn.Linear)
    assert head.weight.dtype == torch.float64
    assert (head.weight == 2).all()


def test_distances_to_fixed_codes_cannot_be_replaced() -> None:
    with pytest.raises(TransferError, match="ends in RadialBasis, not in a linear layer"):
        replace_classifier(archzoo.build("lenet5"), 7)
    with pytest.raises(TransferError, match="num_classes must be at least 1, not 0"):
        replace_classifier(archzoo.build("resnet20"), 0)


def test_a_layer_of_the_same_width_before_the_last_stays() -> None:
    net = archzoo.build("vgg_a", num_classes=4096, device="meta").eval()
    assert replace_classifier(net, 7) == ["classifier.fc8"]
    assert net(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 7)
