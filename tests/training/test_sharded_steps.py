"""Optimizers that FSDP cannot train with are refused before the first step, whichever package they are of."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from archzoo.errors import TrainingError
from archzoo.registry import find_recipe
from archzoo.training import Distributed
from archzoo.training._sharded_steps import check_steps


class Largest(torch.optim.SGD):
    """An optimizer that needs all values of a parameter at once, as numbers."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            self.largest = max(parameter.detach().numpy().max() for parameter in group["params"])


@pytest.fixture(scope="module", autouse=True)
def _group() -> Iterator[None]:
    """A group of this process alone: its parameters are sharded, too, if only over one process."""
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def check(optimizer: str) -> None:
    check_steps(find_recipe("digits").with_changes(optimizer=optimizer, weight_decay=0.0), Distributed())


@pytest.mark.parametrize(
    "optimizer", ["sgd", "caffe_sgd", "tensorflow_rmsprop", "almost_adam", "adamw", "adagrad", "radam", "asgd"]
)
def test_most_optimizers_update_sharded_parameters(optimizer: str) -> None:
    check(optimizer)


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        ("rprop", "aten.index_put_.default: in-place operations that require placement changes"),
        ("adafactor", "aten.pow_.Scalar: in-place operations"),
        (f"{__name__}:Largest", "numpy"),
    ],
)
def test_others_are_refused_with_what_failed(optimizer: str, reason: str) -> None:
    with pytest.raises(
        TrainingError, match=f"FSDP cannot train with {optimizer}, which cannot .*{reason}.* such as adamw"
    ):
        check(optimizer)
