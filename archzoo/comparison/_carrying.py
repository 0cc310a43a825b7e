"""Random weights for one network, and the same weights in the places of the other."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from archzoo.comparison._graph import Graph, Step, Weight
from archzoo.comparison._matching import LayerMatch
from archzoo.comparison._recording import STATISTICS
from archzoo.comparison._running import tensors_of
from archzoo.errors import ComparisonError

State = dict[str, Tensor]


def constants_of(model: nn.Module, graph: Graph) -> set[str]:
    """The buffers that are no batch statistics: they are part of the function, and are not carried over."""
    statistics = {
        weight.name
        for step in graph.steps
        if step.kind == "batch_norm"
        for role, weight in step.weights.items()
        if role in STATISTICS
    }
    return {name for name, _ in model.named_buffers()} - statistics


def random_state(model: nn.Module, graph: Graph, generator: torch.Generator) -> State:
    """Random weights and batch statistics in float64, of sizes that keep maps near one; constants as they are."""
    constants = constants_of(model, graph)
    state: State = {}
    for name, tensor in tensors_of(model).items():
        if name in constants or not tensor.is_floating_point():
            state[name] = _own(tensor)
        else:
            state[name] = torch.randn(tensor.shape, generator=generator, dtype=torch.float64).mul_(0.5)
    for step in graph.steps:
        for role, weight in step.weights.items():
            if weight.name not in constants:
                _scale(step, role, weight, state[weight.name], generator)
    return state


def _own(tensor: Tensor) -> Tensor:
    dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
    if tensor.is_meta:
        return torch.ones(tensor.shape, dtype=dtype)
    return tensor.detach().to("cpu", dtype).clone()


def _scale(step: Step, role: str, weight: Weight, values: Tensor, generator: torch.Generator) -> None:
    part = values if weight.rows is None else values[slice(*weight.rows)]
    if step.kind == "batch_norm" and role == "running_var":
        part.uniform_(0.5, 1.5, generator=generator)
    elif step.kind == "batch_norm" and role == "weight":
        # Of either sign: with positive scales alone, max pooling and batch normalization could change places.
        signs = torch.randint(2, part.shape, generator=generator).mul_(2).sub_(1)
        part.uniform_(0.5, 1.5, generator=generator).mul_(signs)
    elif role in ("bias", "running_mean"):
        part.normal_(0, 0.1, generator=generator)
    elif role == "weight" and values.dim() > 1:
        fan_in = max(1, part.numel() // step.count)
        part.normal_(0, (2 / fan_in) ** 0.5, generator=generator)


def carried(layers: Iterable[LayerMatch], source: Mapping[str, Tensor], own: State, constants: set[str]) -> State:
    """The second network's weights, from those of the first; ``own`` where the first has none.

    Raises ComparisonError if one network has one weight where the other has several.
    """
    state = {name: tensor if name in constants else torch.zeros_like(tensor) for name, tensor in own.items()}
    for (_, theirs), (_, ours) in _pairs(layers, constants):
        if theirs.form != ours.form:
            raise ComparisonError(f"{ours.name} is used as {ours.form or 'it is'}, not {theirs.form or 'as it is'}")
    for layer in layers:
        for role, weight in layer.steps[0].weights.items():
            target = layer.steps[1].weights[role]
            if target.name not in constants:
                _place(layer, role, _part(weight, source), _part(target, state))
    return state


def _pairs(layers: Iterable[LayerMatch], constants: set[str]) -> list[tuple[tuple[str, Weight], tuple[str, Weight]]]:
    """The weights that correspond. Raises ComparisonError unless each has one counterpart."""
    pairs = [
        ((role, layer.steps[0].weights[role]), (role, layer.steps[1].weights[role]))
        for layer in layers
        for role in layer.steps[0].weights
        if layer.steps[1].weights[role].name not in constants
    ]
    forward: dict[str, set[str]] = {}
    backward: dict[str, set[str]] = {}
    for (_, first), (_, second) in pairs:
        a, b = f"{first.name} {first.rows or ''}", f"{second.name} {second.rows or ''}"
        forward.setdefault(a, set()).add(b)
        backward.setdefault(b, set()).add(a)
    for place in (forward, backward):
        for name, counterparts in place.items():
            if len(counterparts) > 1:
                raise ComparisonError(
                    f"{name.strip()} is shared by what are {' and '.join(sorted(counterparts))} in the other"
                )
    return pairs


def _part(weight: Weight, state: Mapping[str, Tensor]) -> Tensor:
    whole = state[weight.name]
    return whole if weight.rows is None else whole[slice(*weight.rows)]


def _has_channels(layer: LayerMatch, role: str) -> bool:
    """Whether the first axis of a weight is that of the layer's outputs."""
    weight = layer.steps[1].weights[role]
    return layer.steps[0].mixing != "opaque" and not (weight.form and layer.inputs is not None)


def _place(layer: LayerMatch, role: str, source: Tensor, target: Tensor) -> None:
    """Copy a weight, with its channels where the other network has them."""
    a, b = (torch.from_numpy(side) for side in layer.outputs)
    derived = layer.steps[1].weights[role].form
    if layer.inputs is not None and role == "weight" and not derived:
        i, j = (torch.from_numpy(side) for side in layer.inputs)
        if layer.steps[0].settings.get("transposed"):
            target[j[:, None], b[None, :]] = source[i[:, None], a[None, :]]
            return
        rows, columns = len(a), len(i)
        moved = torch.empty(rows, columns, target.numel() // (rows * columns), dtype=source.dtype)
        moved[b[:, None], j[None, :]] = source.reshape(moved.shape)[a[:, None], i[None, :]]
        target.copy_(moved.reshape(target.shape))
    elif _has_channels(layer, role) and target.dim() and len(target) == len(b) == len(source):
        target[b] = source[a]
    else:
        if layer.moves:
            raise ComparisonError(f"{layer.steps[1].weights[role].name} has no channels that can change places")
        target.copy_(source.reshape(target.shape))
