"""Filling a network with a state dict of another number of classes or of input channels."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor

from archzoo.errors import BadOption
from archzoo.layers import Net
from archzoo.registry import Entry
from archzoo.weights._files import State, load_into

AdaptInput = Literal["sum", "mean"]


def build_on_meta(entry: Entry, options: Mapping[str, Any]) -> Net:
    """The network on the meta device: names and shapes without values."""
    with torch.device("meta"):
        return cast(Net, entry.build(**options))


def build_filled(
    entry: Entry,
    options: Mapping[str, Any],
    state: State,
    source: str,
    adapt_input: AdaptInput | None = None,
    *,
    new_head: bool = True,
    headless: bool = False,
) -> Net:
    """A network with this state. A last layer of another size is new, with a warning, unless ``new_head`` is False.

    So is the whole classifier of a state that is ``headless``. Raises BadOption if the first layer has another number
    of channels and ``adapt_input`` is not given, or the last layer another size and ``new_head`` is False; and
    WeightsError for any other misfit.
    """
    net = cast(Net, entry.build(**options))
    own = net.state_dict()
    classifier = depends_on(entry, options, "num_classes")
    keep = frozenset(name for name in classifier if name in state and differ_at(0, state[name], own[name]))
    if headless:
        keep = frozenset(name for name in own if name.startswith("classifier."))
        message = f"{source} has no classifier"
        if not new_head:
            raise BadOption(f"{message}, and one of random weights is not written")
        warnings.warn(f"{message}: it is newly initialized", stacklevel=4)  # the caller of archzoo.build
    elif keep:
        classes = next(len(state[name]) for name in sorted(keep))
        if not new_head:
            raise BadOption(
                f"{source} has {classes} classes, not {len(own[next(iter(sorted(keep)))])}, and a last layer of random "
                f"weights is not written: give num_classes={classes}"
            )
        message = f"{source} has {classes} classes: the last layer is newly initialized"
        warnings.warn(message, stacklevel=4)  # the caller of archzoo.build
    for name in depends_on(entry, options, "in_channels"):
        if name in state and differ_at(1, state[name], own[name]):
            state = {**state, name: _adapt(state[name], own[name].shape[1], source, adapt_input)}
    load_into(net, state, source, keep)
    return net


def differ_at(axis: int, theirs: Tensor, ours: Tensor) -> bool:
    """Whether the sizes of two tensors differ at one axis alone."""
    first, second = list(theirs.shape), list(ours.shape)
    if len(first) != len(second) or len(first) <= axis:
        return False
    return first.pop(axis) != second.pop(axis) and first == second


def depends_on(entry: Entry, options: Mapping[str, Any], option: str) -> list[str]:
    """The names of the tensors whose shape depends on an integer option."""
    value = options.get(option, entry.options[option])
    before = build_on_meta(entry, {**options, option: value}).state_dict()
    try:
        after = build_on_meta(entry, {**options, option: value + 1}).state_dict()
    except BadOption:  # LeNet-5 has output codes for ten digits
        after = build_on_meta(entry, {**options, option: value - 1}).state_dict()
    return [name for name, tensor in before.items() if tensor.shape != after[name].shape]


def _adapt(filters: Tensor, channels: int, source: str, adapt_input: AdaptInput | None) -> Tensor:
    """Filters (O, I, H, W) of the first layer as filters of another number of channels."""
    if adapt_input not in ("sum", "mean"):
        raise BadOption(
            f"{source} has {filters.shape[1]} input channels, not {channels}: give adapt_input='sum' "
            "(a gray image in every channel gives the same output) or adapt_input='mean'"
        )
    if adapt_input == "sum":
        return filters.sum(1, keepdim=True).expand(-1, channels, -1, -1) / channels
    return filters.mean(1, keepdim=True).expand(-1, channels, -1, -1)
