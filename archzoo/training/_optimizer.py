"""torch.optim's optimizer for a recipe and a network, and which parameters have weight decay."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import nn

from archzoo.errors import RecipeError, TrainingError
from archzoo.recipes import Recipe, optimizer_class


def build_optimizer(
    net: nn.Module, recipe: Recipe, parameter_groups: Sequence[dict[str, Any]] | None = None
) -> torch.optim.Optimizer:
    """The optimizer of a recipe. Every group keeps its initial rate as ``initial_lr``, which the schedule scales.

    ``parameter_groups`` are all parameters that require gradients by default. Raises TrainingError where there are
    none.
    """
    groups = list(parameter_groups) if parameter_groups is not None else _default_groups(net, recipe)
    if not any(group["params"] for group in groups):
        raise TrainingError("every parameter of the network is frozen: unfreeze some before training")
    with_rates = [{**group, "initial_lr": group.get("lr", recipe.lr)} for group in groups]
    decay = {"weight_decay": recipe.weight_decay} if recipe.optimizer.takes_weight_decay else {}
    optimizer: torch.optim.Optimizer = optimizer_class(recipe.optimizer.name)(
        with_rates, lr=recipe.lr, **decay, **_fused(recipe, groups), **recipe.optimizer.options
    )
    return optimizer


def _fused(recipe: Recipe, groups: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """One kernel for the update of all parameters, where they are on a GPU and the optimizer has it."""
    on_gpu = all(parameter.device.type == "cuda" for group in groups for parameter in group["params"])
    has_it = "fused" in signature(optimizer_class(recipe.optimizer.name)).parameters
    return {"fused": True} if on_gpu and has_it and not {"foreach", "fused"} & set(recipe.optimizer.options) else {}


def _default_groups(net: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    decayed, others = split_by_decay(net, recipe.decay_scope)
    if not others:
        return [{"params": decayed}]
    without_decay = {"weight_decay": 0.0} if recipe.optimizer.takes_weight_decay else {}
    return [{"params": decayed}, {"params": others, **without_decay}]


def split_by_decay(net: nn.Module, scope: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that require gradients: those with weight decay, and those without.

    ``scope`` is ``all``, as in the papers, or ``weights``: no decay of biases and normalization parameters.
    """
    if scope not in ("all", "weights"):
        raise RecipeError(f"decay_scope must be 'all' or 'weights', not {scope!r}")
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if scope == "all":
        return learning, []
    decayed = [parameter for parameter in learning if parameter.dim() > 1]
    return decayed, [parameter for parameter in learning if parameter.dim() <= 1]
