"""A run of a network that learns groups: it condenses in its first half, with a group lasso, and resumes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from archzoo.inference import condense
from archzoo.layers import LearnedGroupConv, Net
from archzoo.recipes import GroupLasso
from tests.fake_cuda import CPU
from tests.machines import SHORT, Machine

# Six iterations: the three stages begin with the iterations 1, 2 and 3.
RECIPE = SHORT.with_changes(regularizers=(GroupLasso(0.01),), lr=0.01)


def network(machine: Machine) -> Net:
    return machine.net("condensenet_cifar", depth=8, k0=4, form="training", in_channels=1)


def trained(folder: Path, lasso: bool = True) -> dict[str, Tensor]:
    folder.mkdir(exist_ok=True)
    machine = Machine(CPU, folder)
    recipe = RECIPE if lasso else RECIPE.with_changes(regularizers=())
    return machine.train(recipe, network(machine)).state


@pytest.mark.slow
def test_a_run_ends_with_groups_that_read_their_share_and_resumes_to_the_same(tmp_path: Path) -> None:
    first = trained(tmp_path / "whole")
    max((tmp_path / "whole" / "run").glob("checkpoint-*.pt")).unlink()
    resumed = trained(tmp_path / "whole")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in first.items())
    net = network(Machine(CPU, tmp_path))
    net.load_state_dict(resumed)
    layers = [layer for layer in net.modules() if isinstance(layer, LearnedGroupConv)]
    assert {layer.stage() for layer in layers} == {3}
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(condense(net).eval()(images), net.eval()(images))


@pytest.mark.slow
def test_the_group_lasso_makes_weights_smaller_than_training_without_it(tmp_path: Path) -> None:
    """Of inputs that are chosen: the others have no gradient but that of the weight decay."""
    with_lasso, without = trained(tmp_path / "with"), trained(tmp_path / "without", lasso=False)
    for name in (name for name in with_lasso if name.endswith("mask")):
        weight = name.removesuffix("mask") + "weight"
        assert with_lasso[weight].abs().sum() < without[weight].abs().sum()
