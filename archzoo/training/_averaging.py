"""Other weights than the last ones: moving averages, and the snapshots of a cyclic schedule."""

import copy
import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archzoo.recipes import Cosine, Recipe


def moving_average(net: nn.Module, decay: float) -> AveragedModel:
    """A copy whose parameters are an exponential moving average of the network's. Its buffers are the network's."""
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def snapshot_interval(recipe: Recipe, iterations: int) -> int:
    """Iterations between two snapshots of an ensemble; 0 for a schedule without restarts (Huang et al. 2017)."""
    restarts = recipe.schedule.restarts if isinstance(recipe.schedule, Cosine) else 1
    return math.ceil(iterations / restarts) if restarts > 1 else 0


def copy_to_cpu(state: dict[str, Any]) -> dict[str, Tensor]:
    """A copy of a state dict on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def ensemble_members(net: nn.Module, snapshots: Sequence[dict[str, Tensor]]) -> list[nn.Module]:
    """Copies of a network with the weights of each snapshot."""
    members: list[nn.Module] = []
    for snapshot in snapshots:
        member = copy.deepcopy(net)
        member.load_state_dict(snapshot)
        members.append(member)
    return members
