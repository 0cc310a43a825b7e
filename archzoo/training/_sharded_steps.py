"""Whether an optimizer can update sharded parameters: some of torch's cannot, and others' are not known."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from archzoo.errors import TrainingError
from archzoo.escaping import one_line
from archzoo.recipes import Recipe
from archzoo.training._distributed import Distributed
from archzoo.training._optimizer import build_optimizer

# A bias and a matrix with fewer rows than most runs have processes, and a kernel.
SHAPES = ((1,), (3, 5), (4, 2, 3, 3))
STEPS = 2  # the second one has a state


def check_steps(recipe: Recipe, distributed: Distributed) -> None:
    """Raise TrainingError, in all processes, where the optimizer of a recipe fails on a few sharded numbers."""
    reasons = distributed.gather(_why_not(recipe, distributed))
    if reason := next(filter(None, reasons), ""):
        raise TrainingError(
            f"FSDP cannot train with {recipe.optimizer.name}, which cannot update sharded parameters ({reason}): "
            f"choose another optimizer, such as adamw, or several processes without --fsdp"
        )


def _why_not(recipe: Recipe, distributed: Distributed) -> str:
    net = nn.ParameterList(_sharded(distributed))
    optimizer = build_optimizer(net, replace(recipe, groups=()))
    try:
        for _ in range(STEPS):
            for parameter in net:
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
    except Exception as error:  # an optimizer may be of any package
        return one_line(str(error).partition("\n")[0], 120) or type(error).__name__
    return ""


def _sharded(distributed: Distributed) -> Iterator[nn.Parameter]:
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = distributed.mesh()
    for shape in SHAPES:
        whole = torch.ones(shape, device=distributed.device)
        yield nn.Parameter(distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None))
