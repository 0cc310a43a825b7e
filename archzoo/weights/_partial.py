"""Starting a network from some layers of another one's weights file."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from torch import Tensor

from archzoo.errors import TransferError
from archzoo.layers import Net, copy_layers
from archzoo.weights._files import State
from archzoo.weights._kinds import exactly, inexact
from archzoo.weights._reading import read_state


def initialize_from(net: Net, source: str | Path, patterns: Sequence[str] = ()) -> list[str]:
    """Copy layers from the weights file of another network, and return their names in the order of ``net``.

    Args:
        net: The network that is changed.
        source: A file with our tensor names, such as the net.safetensors of a run.
        patterns: Shell patterns over layer names, such as ``features.conv1_1`` and ``classifier.*``. By default, every
            layer that both networks have, with tensors of the same shapes.

    Raises:
        TransferError: If a pattern matches no layer of the file, or a layer does not fit. Nothing is copied.
        WeightsError: If the file cannot be read.
    """
    state, _ = read_state(source)
    order = _layers(net.state_dict())
    layers = sorted(_layers(state), key=lambda layer: order.index(layer) if layer in order else len(order))
    chosen = _matching(layers, patterns, str(source)) if patterns else _fitting(layers, net.state_dict(), state)
    if not chosen:
        raise TransferError(f"{source} has no layer of the name and shape of one of this network")
    copy_layers(net, _exact(state, net.state_dict(), chosen, str(source)), chosen)
    return chosen


def _exact(state: Mapping[str, Tensor], own: Mapping[str, Tensor], layers: Sequence[str], source: str) -> State:
    """The state, with the tensors of these layers in the dtypes of the network."""
    values = dict(state)
    for name in own.keys() & state.keys():
        if name.rpartition(".")[0] in layers and own[name].shape == state[name].shape:
            tensor = exactly(state[name], own[name].dtype)
            if tensor is None:
                raise TransferError(f"{source}: {inexact(name, state[name], own[name].dtype)}")
            values[name] = tensor
    return values


def _layers(state: Mapping[str, Tensor]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] for name in state))


def _matching(layers: Sequence[str], patterns: Sequence[str], source: str) -> list[str]:
    for pattern in patterns:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            near = difflib.get_close_matches(pattern, layers, n=3, cutoff=0.0)
            raise TransferError(f"{source} has no layer {pattern!r}; it has {', '.join(near)}")
    return [layer for layer in layers if any(fnmatchcase(layer, pattern) for pattern in patterns)]


def _fitting(layers: Sequence[str], own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """The layers whose tensors are the same in number, name and shape."""
    ours, theirs = _shapes(own), _shapes(state)
    return [layer for layer in layers if ours.get(layer) == theirs[layer]]


def _shapes(state: Mapping[str, Tensor]) -> dict[str, dict[str, tuple[int, ...]]]:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in state.items():
        shapes.setdefault(name.rpartition(".")[0], {})[name] = tuple(tensor.shape)
    return shapes
