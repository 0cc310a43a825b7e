"""Frozen parts: no gradients, and batch statistics that stay."""

import copy
import pickle

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import UnknownPart
from archzoo.transfer import freeze, frozen, unfreeze


def test_frozen_parts_stay_as_they_are_through_training() -> None:
    net = archzoo.build("densenet_bc", depth=22, k=8)
    count = freeze(net, "features")
    assert count == sum(parameter.numel() for parameter in net.features.parameters())
    before = copy.deepcopy(net.state_dict())
    net.train()
    optimizer = torch.optim.SGD([parameter for parameter in net.parameters() if parameter.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(4, 3, 32, 32)).sum().backward()
        optimizer.step()
    changed = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.fc.weight", "classifier.fc.bias"}


def test_a_frozen_network_survives_copies_and_pickles_and_can_be_unfrozen() -> None:
    net = archzoo.build("resnet20")
    kinds = [type(module) for module in net.modules()]
    freeze(net, "features.conv1", "features.bn1")
    again = pickle.loads(pickle.dumps(copy.deepcopy(net))).train()
    assert not again.get_submodule("features.bn1").training
    assert again.get_submodule("features.conv2_x.block1.layers.bn1").training
    assert again.state_dict().keys() == net.state_dict().keys()
    assert unfreeze(net.train()) == 3 * 16 * 9 + 32
    assert [type(module) for module in net.modules()] == kinds
    assert all(module.training for module in net.modules())
    assert freeze(net) == sum(parameter.numel() for parameter in net.parameters())


def test_parts_are_frozen_for_a_while_and_then_as_they_were() -> None:
    net = archzoo.build("resnet20").train()
    freeze(net, "features.conv1", "features.bn1")
    learning = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    kinds = [type(module) for module in net.modules()]
    modes = [module.training for module in net.modules()]
    with frozen(net, "features"):
        assert not any(parameter.requires_grad for parameter in net.features.parameters())
        norms = [module for module in net.train().features.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms
        assert not any(norm.training for norm in norms)
    assert {name: parameter.requires_grad for name, parameter in net.named_parameters()} == learning
    assert [type(module) for module in net.modules()] == kinds
    assert [module.training for module in net.train().modules()] == modes


def test_an_unknown_part_is_refused_with_the_nearest_ones_and_nothing_is_frozen() -> None:
    net = archzoo.build("resnet20")
    with pytest.raises(UnknownPart, match=r"no part 'features.conv2_y': did you mean 'features.conv2_x'"):
        freeze(net, "features.conv1", "features.conv2_y")
    assert all(parameter.requires_grad for parameter in net.parameters())
