"""Layer-wise learning rates."""

import itertools

import pytest
import torch
from torch import nn

import archzoo
from archzoo.errors import TransferError
from archzoo.transfer import freeze, parameter_groups


@pytest.mark.parametrize("name", ["resnet20", "vgg_a", "densenet121", "googlenet", "fractalnet20", "squeezenet1_1"])
def test_groups_hold_every_parameter_once_and_rates_fall_towards_the_input(name: str) -> None:
    net = archzoo.build(name, device="meta")
    groups = parameter_groups(net, 0.1, 0.5)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped)) == len(list(net.parameters()))
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates)
    assert rates[-1] == 0.1
    assert [after / before for before, after in itertools.pairwise(rates)] == [2.0] * (len(rates) - 1)
    torch.optim.SGD(groups)


def test_groups_leave_out_what_is_frozen() -> None:
    net = archzoo.build("resnet20")
    freeze(net, "features")
    assert [group["name"] for group in parameter_groups(net, 0.1)] == ["classifier"]
    with pytest.raises(TransferError, match="lr must be positive"):
        parameter_groups(net, 0.0)


def test_stages_are_those_of_the_paper_whatever_holds_them() -> None:
    def names(name: str) -> list[str]:
        return [group["name"] for group in parameter_groups(archzoo.build(name, device="meta"), 0.1, 0.5)]

    conv = [f"features.conv{number}_x" for number in range(2, 6)]
    assert names("resnet18") == ["features.conv1", *conv, "classifier"]
    assert names("fractalnet20") == [*(f"features.blocks.block{number}" for number in range(1, 6)), "classifier"]


def test_parameters_outside_all_stages_learn_as_the_first() -> None:
    net = archzoo.build("resnet20")
    net.register_parameter("scale", nn.Parameter(torch.ones(1)))
    assert any(parameter is net.scale for parameter in parameter_groups(net, 0.1, 0.5)[0]["params"])
    with pytest.raises(TransferError, match="lr must be positive"):
        parameter_groups(net, float("nan"))
