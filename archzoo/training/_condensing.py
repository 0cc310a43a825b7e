"""The condensing of learned group convolutions in training (CondenseNet, Sec. 3.1)."""

from collections.abc import Sequence

from torch import nn

from archzoo.layers import LearnedGroupConv


def learned_groups(net: nn.Module) -> list[LearnedGroupConv]:
    """The layers of a network that learn groups."""
    return [layer for layer in net.modules() if isinstance(layer, LearnedGroupConv)]


def stage_at(iteration: int, iterations: int, c: int) -> int:
    """The stage before an iteration of a run: from 0 to ``c`` - 1 over its first half, in steps of equal length."""
    return min(2 * iteration * (c - 1) // iterations, c - 1)


def prune(layers: Sequence[LearnedGroupConv], iteration: int, iterations: int) -> None:
    """Mask the inputs that each group reads no more from this iteration on."""
    for layer in layers:
        layer.prune(stage_at(iteration, iterations, layer.c))
