"""The optimizer of a recipe for a network, and the rate and weight decay of each parameter."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import nn

from archzoo.errors import RecipeError, TrainingError
from archzoo.profiler import skips_modules
from archzoo.recipes import ParameterGroup, Recipe, optimizer_class

Multipliers = tuple[float, float]  # of the learning rate and of the weight decay


def build_optimizer(
    net: nn.Module, recipe: Recipe, parameter_groups: Sequence[dict[str, Any]] | None = None
) -> torch.optim.Optimizer:
    """The optimizer of a recipe. Every group keeps its initial rate as ``initial_lr``, which the schedule scales.

    ``parameter_groups`` are all parameters that require gradients by default. Each is split by the recipe's ``groups``
    and ``decay_scope``, which multiply its rate and weight decay. Raises TrainingError where there are no parameters,
    and RecipeError where a pattern of ``groups`` matches none of the network.
    """
    groups = list(parameter_groups) if parameter_groups is not None else [{"params": _learning(net)}]
    if not any(group["params"] for group in groups):
        raise TrainingError("every parameter of the network is frozen: unfreeze some before training")
    check_groups(net, recipe.groups)
    names = {parameter: name for name, parameter in net.named_parameters()}
    split = [part for group in groups for part in _split(group, names, recipe)]
    decay = {"weight_decay": recipe.weight_decay} if recipe.optimizer.takes_weight_decay else {}
    optimizer: torch.optim.Optimizer = optimizer_class(recipe.optimizer.name)(
        split, lr=recipe.lr, **decay, **_fused(net, recipe, split), **recipe.optimizer.options
    )
    return optimizer


def placed_groups(
    groups: Sequence[dict[str, Any]], names: Mapping[nn.Parameter, str], net: nn.Module
) -> list[dict[str, Any]]:
    """Groups of the parameters that ``net`` has under the names that theirs had: FSDP makes others of them."""
    placed = dict(net.named_parameters())
    return [
        {**group, "params": [placed.get(names.get(parameter, ""), parameter) for parameter in group["params"]]}
        for group in groups
    ]


def _fused(net: nn.Module, recipe: Recipe, groups: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """One kernel for the update of all parameters, where they are on a GPU and the optimizer has it.

    A network that skips modules has parameters without a gradient in some steps: torch's fused SGD fails there, since
    it expects the momentum of all of them from the second step on.
    """
    if skips_modules(net):
        return {}
    on_gpu = all(parameter.device.type == "cuda" for group in groups for parameter in group["params"])
    has_it = "fused" in signature(optimizer_class(recipe.optimizer.name)).parameters
    return {"fused": True} if on_gpu and has_it and not {"foreach", "fused"} & set(recipe.optimizer.options) else {}


def _learning(net: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def _split(group: dict[str, Any], names: dict[nn.Parameter, str], recipe: Recipe) -> Iterator[dict[str, Any]]:
    """A group of parameters as groups of one rate and one weight decay each, in the order of their first parameters."""
    parts: dict[Multipliers, list[nn.Parameter]] = {}
    for parameter in group["params"]:
        parts.setdefault(_multipliers(parameter, names.get(parameter, ""), recipe), []).append(parameter)
    for (lr_mult, decay_mult), parameters in parts.items():
        lr = group.get("lr", recipe.lr) * lr_mult
        weight_decay = group.get("weight_decay", recipe.weight_decay) * decay_mult
        decay = {"weight_decay": weight_decay} if recipe.optimizer.takes_weight_decay else {}
        yield {**group, "params": parameters, "lr": lr, "initial_lr": lr, **decay}


def _multipliers(parameter: nn.Parameter, name: str, recipe: Recipe) -> Multipliers:
    matching = [group for group in recipe.groups if group.matches(name)]
    is_decayed = recipe.decay_scope == "all" or parameter.dim() > 1
    decay_mult = math.prod(group.decay_mult for group in matching) if is_decayed else 0.0
    return math.prod(group.lr_mult for group in matching), decay_mult


def check_groups(net: nn.Module, groups: Iterable[ParameterGroup]) -> None:
    """Raise RecipeError, with the nearest names, where a pattern matches no parameter of the network."""
    names = [name for name, _ in net.named_parameters()]
    for group in groups:
        if not any(map(group.matches, names)):
            near = difflib.get_close_matches(group.pattern, _patterns(names), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {names[0]!r} to {names[-1]!r}"
            raise RecipeError(f"no parameter of the network matches {group.pattern!r} of groups: {hint}")


def _patterns(names: Sequence[str]) -> list[str]:
    """Names of parameters, and the patterns of all parameters of a module and of all of one kind."""
    modules = {name[: at + 1] + "*" for name in names for at, letter in enumerate(name) if letter == "."}
    kinds = {f"*.{name.rpartition('.')[2]}" for name in names}
    return [*names, *sorted(modules), *sorted(kinds)]
