from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import InputError
from archzoo.models.dsn import Logits, without_companions
from archzoo.registry import find_recipe, recipes_of
from archzoo.training._losses import squared_hinge, training_loss


def test_the_order_of_layers_is_that_of_the_released_definition() -> None:
    net = archzoo.build("dsn", device="meta")
    order = [name for part in (net.features, net.classifier) for name, _ in part.named_children()]
    assert " ".join(order) == (
        "conv1 relu1 cccp1 relu_cccp1 cccp2 relu_cccp2 pool1 drop1 conv2 relu2 cccp3 relu_cccp3 cccp4 relu_cccp4 pool2 "
        "drop2 conv3 relu3 cccp5 relu_cccp5 cccp6 pool flatten"
    )


def test_it_is_nin_without_the_last_relu() -> None:
    dsn, nin = archzoo.build("dsn").eval(), archzoo.build("nin").eval()
    dsn.load_state_dict(nin.state_dict())
    images = torch.randn(2, 3, 32, 32)
    head: Any = nin.classifier
    with torch.no_grad():
        maps = head.cccp6(nin.features(images))
        torch.testing.assert_close(dsn(images), maps.mean(dim=(2, 3)))
        torch.testing.assert_close(nin(images), maps.relu().mean(dim=(2, 3)))


def test_companions_read_each_convolution_before_its_relu_and_in_training_alone() -> None:
    net, images = archzoo.build("dsn_companions"), torch.randn(2, 3, 32, 32)
    features: Any = net.features
    classifier: Any = net.classifier
    outputs = net(images)
    assert isinstance(outputs, Logits)
    torch.testing.assert_close(outputs.companion1, classifier.companion1(features.conv1(images)))
    assert (features.conv1(images) < 0).any()
    sizes = [classifier.get_submodule(f"companion{i}").fc.in_features for i in (1, 2, 3)]
    assert sizes == [192 * 32 * 32, 192 * 16 * 16, 192 * 8 * 8]
    with torch.no_grad():
        assert torch.equal(net.eval()(images), without_companions(net)(images))


def test_companions_are_left_out_without_a_trace() -> None:
    net = archzoo.build("dsn_companions")
    assert list(without_companions(net).state_dict()) == list(archzoo.build("dsn", device="meta").state_dict())


def test_an_image_that_companions_cannot_take_is_refused_in_training() -> None:
    net = archzoo.build("dsn_companions", device="meta")
    with pytest.raises(InputError, match="images of 32x32 only"):
        net(torch.empty(1, 3, 48, 48, device="meta"))
    assert net.eval()(torch.empty(1, 3, 48, 48, device="meta")).shape == (1, 10)


def test_the_squared_hinge_loss_is_of_each_class_against_the_others() -> None:
    """By hand: the class scores 0.5, another -2 (far enough below -1), the third 1: 0.25 + 0 + 4."""
    logits = torch.tensor([[0.5, -2.0, 1.0]], dtype=torch.float64)
    assert squared_hinge(logits, torch.tensor([0])).item() == pytest.approx(4.25)
    # Two images add up, or are averaged.
    pair, labels = torch.cat([logits, -logits]), torch.tensor([0, 2])
    second = (1 - 0.5) ** 2 + (1 + 2) ** 2 + (1 + 1) ** 2
    assert squared_hinge(pair, labels, reduction="sum").item() == pytest.approx(4.25 + second)
    assert squared_hinge(pair, labels).item() == pytest.approx((4.25 + second) / 2)


def test_the_loss_of_each_companion_counts_as_much_as_the_networks_own() -> None:
    logits = Logits(*torch.randn(4, 3, 5, dtype=torch.float64))
    labels = torch.tensor([0, 1, 4])
    losses = [squared_hinge(output, labels) for output in logits]
    torch.testing.assert_close(training_loss(logits, labels, loss="squared_hinge"), torch.stack(losses).sum())


def test_companions_are_trained_first_and_the_network_without_them_after() -> None:
    assert [recipe.name for recipe in recipes_of("dsn_companions")] == ["dsn_cifar10", "dsn_cifar10_augmented"]
    assert [recipe.name for recipe in recipes_of("dsn")] == ["dsn_cifar10_tuned", "dsn_cifar10_tuned_further"]
    recipe = find_recipe("dsn_companions")
    assert recipe.loss == "squared_hinge"
    rates = {
        name: [group.lr_mult for group in recipe.groups if group.matches(name)]
        for name in ("classifier.companion1.fc.weight", "classifier.companion1.fc.bias", "classifier.cccp6.weight")
    }
    assert list(rates.values()) == [[0.001], [2.0, 0.001], [0.1]]  # blobs_lr 0.001, 0.002 and 0.1


def test_weights_start_as_in_the_released_definition() -> None:
    for name, layer in archzoo.build("dsn_companions").named_modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.std().item() == pytest.approx(0.05, rel=0.1), name
        elif isinstance(layer, nn.Linear):
            assert layer.weight.std().item() == pytest.approx(layer.in_features**-0.5, rel=0.1), name
