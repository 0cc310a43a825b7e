"""Running networks in eval mode with weights from elsewhere, in float64. The networks are left as they are."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from archzoo.comparison._constants import integers_of
from archzoo.comparison._graph import Graph
from archzoo.comparison._recording import Recorder, recording
from archzoo.errors import ComparisonError
from archzoo.layers import evaluation_mode
from archzoo.options import shown

LARGEST = 1 << 26  # numbers of an input, which is run in float64


def sizes_of(input_size: Any) -> list[tuple[int, ...]]:
    """One size (3, 32, 32), or several. Raises ComparisonError for anything else."""
    sizes = [input_size] if isinstance(input_size, Sequence) and all(type(n) is int for n in input_size) else input_size
    try:
        read = [tuple(int(side) for side in size) for size in sizes]
    except (TypeError, ValueError, OverflowError, RecursionError):
        read = []
    if not read or any(not size or min(size) < 1 for size in read):
        raise ComparisonError(
            f"input_size must be positive integers such as (3, 32, 32), or a list of these for several inputs, not "
            f"{shown(input_size)}"
        )
    if sum(map(prod, read)) > LARGEST:
        text = f"an input of {shown(input_size)} has more than {LARGEST:,} numbers"
        raise ComparisonError(f"{text}: the networks would run on it, so give a smaller one")
    return read


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def trace(model: nn.Module, sizes: Sequence[tuple[int, ...]], name: str, *, training: bool = True) -> Graph:
    """What a network computes on one input of each size. Raises ComparisonError where it does not run."""
    try:
        return _trace(model, sizes, "meta", training=training)
    except ComparisonError:
        raise
    except (NotImplementedError, RuntimeError, ValueError, TypeError):
        pass  # what goes on with values, or without a kernel for tensors that have none
    try:
        return _trace(model, sizes, "cpu", training=training)
    except ComparisonError:
        raise
    except Exception as error:
        size = " and ".join("x".join(map(str, size)) for size in sizes)
        raise ComparisonError(f"{name} does not run on an input of {size}: {type(error).__name__}: {error}") from error


def _trace(model: nn.Module, sizes: Sequence[tuple[int, ...]], device: str, *, training: bool) -> Graph:
    state = {name: _converted(tensor, device) for name, tensor in tensors_of(model).items()}
    inputs = [torch.empty(1, *size, dtype=torch.float64, device=device).zero_() for size in sizes]
    integers = {name: tensor.to("cpu", copy=True) for name, tensor in integers_of(model).items() if not tensor.is_meta}
    recorder = Recorder(state, inputs, integers, training=training)
    with evaluation_mode(model), recording(recorder, model):
        outputs = functional_call(model, state, tuple(inputs))
    graph = recorder.output(outputs)
    _check_known(graph, integers_of(model))
    return graph


def _check_known(graph: Graph, integers: Mapping[str, Tensor]) -> None:
    """Raise ComparisonError for a network that reads an index without values."""
    unknown = sorted(name for name in graph.used & integers.keys() if integers[name].is_meta)
    if unknown:
        raise ComparisonError(
            f"{unknown[0]} chooses what is computed, and has no values: build the network with values, not on the meta "
            "device"
        )


def _converted(tensor: Tensor, device: str) -> Tensor:
    dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
    if device == "meta" or tensor.is_meta:
        return torch.empty_like(tensor, dtype=dtype, device=device).zero_()
    copy = torch.empty(tensor.shape, dtype=dtype, device=device)
    return copy.copy_(tensor.detach())


def run(model: nn.Module, state: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> Any:
    """What a network returns for some inputs in eval mode, with these weights."""
    with evaluation_mode(model), torch.no_grad():
        return functional_call(model, dict(state), tuple(inputs))
