"""Two processes, with whole and with sharded parameters, against one that runs the shares of both, in float64."""

import sys
from pathlib import Path

import pytest
import torch

import archzoo
from archzoo.training import Distributed
from tests.networks import EVERY_NET
from tests.processes import run_two

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import attack_training

# Batch norms behind depthwise convolutions, whose statistics of few images magnify a rounding from step to step; and
# blocks that are dropped, which a sharded run draws alike in both processes. The numbers are of ends that are compared.
NETWORKS = {"shufflenet_v2_x0_5": 2, "stochastic_depth_110": 1}


def _compare(rank: int, folder: Path) -> None:
    for name, compared in NETWORKS.items():
        attack, recipe = attack_training.Attack(name), attack_training.recipe_for(name)
        attack_training.computes_alike(folder / name, name, recipe, Distributed(rank, 2), attack)
        assert not attack.failures
        assert attack.tries == (0 if rank else compared)


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(not EVERY_NET, reason="with EVERY_NET=1. test_two_processes.py compares smaller networks")
def test_what_differs_between_one_process_and_two_is_rounding_alone(tmp_path: Path) -> None:
    """In float32 the same runs end percents apart, where weights are in another memory format."""
    run_two(_compare, tmp_path)


@pytest.mark.slow
def test_every_class_of_layer_of_a_trained_form_is_attacked() -> None:
    """``python benchmarks/attack_training.py`` trains one network of every kind, in the form that is trained."""
    trained = attack_training.TRAINED.keys()
    families = {entry.family for entry in map(archzoo.find, archzoo.names()) if trained & entry.types.keys()}
    attacked = [name for name in attack_training.KINDS if trained & attack_training.trained_options(name).keys()]
    needed, asked = (
        {type(module) for name in names for module in attack_training.network(name).modules()}
        for names in (sorted(families), attacked)
    )
    assert needed <= asked


def test_a_difference_is_a_share_of_the_norm_of_all_weights() -> None:
    first = {"a": torch.tensor([3.0]), "b": torch.tensor([[4.0]])}
    assert attack_training.difference(first, {**first, "a": torch.tensor([3.5])}) == 0.1
