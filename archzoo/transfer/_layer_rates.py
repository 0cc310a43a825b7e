"""Layer-wise learning rates: parameter groups of an optimizer, one for each stage."""

from typing import Any

from torch import nn

from archzoo.errors import TransferError
from archzoo.layers import Net
from archzoo.transfer._freezing import BATCH_NORMS


def parameter_groups(net: Net, lr: float, decay: float = 1.0) -> list[dict[str, Any]]:
    """Groups for an optimizer: the classifier at ``lr``, each stage before it at ``decay`` times the next one's rate.

    A stage is a part of the features with a convolution, and the batch norms after it; parameters outside all stages
    have the first one's rate. Every parameter that requires gradients is in one group, under ``params``, beside its
    ``lr`` and the ``name`` of the stage. Raises TransferError for rates that are not positive.
    """
    if not (lr > 0 and 0 < decay <= 1):
        raise TransferError(f"lr must be positive and decay in (0, 1], not {lr} and {decay}")
    stages = _stages(net)
    rates = [lr * decay**distance for distance in range(len(stages))][::-1]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.requires_grad], "lr": rate, "name": name}
        for (name, parameters), rate in zip(stages.items(), rates, strict=True)
    ]
    return [group for group in groups if group["params"]]


def _stages(net: Net) -> dict[str, list[nn.Parameter]]:
    """The parameters of each stage by its name, from input to output."""
    stages: dict[str, list[nn.Parameter]] = {}
    for name, part in [*_parts_in_order(net.features), ("classifier", net.classifier)]:
        if isinstance(part, BATCH_NORMS) and stages:
            stages[next(reversed(stages))] += part.parameters()
        elif parameters := list(part.parameters()):
            stages[name] = parameters
    staged = {parameter for parameters in stages.values() for parameter in parameters}
    next(iter(stages.values())).extend(parameter for parameter in net.parameters() if parameter not in staged)
    return stages


def _parts_in_order(features: nn.Module) -> list[tuple[str, nn.Module]]:
    """The parts of a sequence; of other features, such as FractalNet's, the parts of the sequences inside."""
    parts = [(f"features.{name}", part) for name, part in features.named_children()]
    if isinstance(features, nn.Sequential):
        return parts
    return [inner for name, part in parts for inner in _inner_parts(name, part)]


def _inner_parts(name: str, part: nn.Module) -> list[tuple[str, nn.Module]]:
    if not isinstance(part, nn.Sequential):
        return [(name, part)]
    return [(f"{name}.{child}", module) for child, module in part.named_children()]
