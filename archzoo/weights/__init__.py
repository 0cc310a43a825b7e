"""Trained weights: other libraries' under our names and ours under theirs, and files that rebuild their network."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption, WeightsError
from archzoo.layers import Net
from archzoo.registry import Entry, find
from archzoo.weights.download import cached
from archzoo.weights.files import SUFFIXES, State, describe, described, load_into, read_state, write_state
from archzoo.weights.maps import MAPS, map_of, to_ours, to_theirs
from archzoo.weights.published import PUBLISHED, Published, choose, needs

__all__ = ["PUBLISHED", "Published", "WeightsError", "build_with", "convert", "load", "normalization", "save"]

FirstFilters = Literal["sum", "mean"]


def build_with(
    entry: Entry, weights: str | Path, options: Mapping[str, Any], first_filters: FirstFilters | None = None
) -> Net:
    """A network with trained weights: a published set by name, or a file.

    Another ``num_classes`` than the weights' keeps all but the last layer, with a warning. Other ``in_channels`` need
    ``first_filters``: the sum or the mean of the first layer's filters over their channels. Raises BadOption for what
    contradicts the weights, WeightsError for files that do not fit.
    """
    if _is_file(weights):
        state, metadata = read_state(weights)
        source = str(weights)
        known = described(metadata, source)
        if known is not None:
            options = _as_described(entry, known, options, source)
        state = _ours(entry, options, state)
        return _fill(entry, options, state, source, first_filters)
    chosen = choose(entry, str(weights), options)
    options = needs(entry, chosen, options)
    state, _ = read_state(cached(chosen.url, chosen.file, chosen.digest))
    names = map_of(chosen.library, entry.constructor.__name__)
    whole = _meta(entry, _original(options))
    wanted = set(names.names(whole).values())
    state = {name: tensor for name, tensor in state.items() if not _left_out(names.today(name), chosen, wanted)}
    return _fill(entry, options, to_ours(whole, state, names), chosen.name, first_filters)


def described_options(entry: Entry, weights: str | Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a network with these weights has beyond its name: the weights' own, and those given."""
    if not _is_file(weights):
        return needs(entry, choose(entry, str(weights), given), given)
    known = described(read_state(weights)[1], str(weights))
    return dict(given) if known is None else _as_described(entry, known, given, str(weights))


def load(path: str | Path) -> Net:
    """The network in a safetensors file that ``save`` wrote: rebuilt from the description in its head.

    Raises WeightsError where the file has none, or does not fit it.
    """
    state, metadata = read_state(path)
    known = described(metadata, str(path))
    if known is None:
        raise WeightsError(f"{path} does not say which network it is: archzoo.build(name, weights={str(path)!r}) does")
    entry = find(known[0])
    return _fill(entry, known[1], state, str(path), None)


def save(net: nn.Module, path: str | Path, name: str, **options: Any) -> None:
    """Write a network to a safetensors file whose head says how to rebuild it: ``name`` and its ``options``.

    Raises WeightsError where these do not build this network, or nothing can be written.
    """
    entry = find(name)
    state = net.state_dict()
    shapes = {part: tuple(tensor.shape) for part, tensor in state.items()}
    expected = {part: tuple(tensor.shape) for part, tensor in _meta(entry, options).state_dict().items()}
    if shapes != expected:
        differing = sorted(part for part in shapes.keys() | expected.keys() if shapes.get(part) != expected.get(part))
        raise WeightsError(f"this is no {entry.name} with these options: {', '.join(differing[:3])} would differ")
    write_state(path, state, describe(entry.name, options))


def convert(
    source: str | Path, target: str | Path, name: str, to: Literal["archzoo", "torchvision", "timm"], **options: Any
) -> None:
    """Write the weights of a file under the names of another library, or under ours.

    The file's own names may be ours or those of any library that has this network. Raises WeightsError, and writes
    nothing, where it does not fit.
    """
    entry = find(name)
    state, metadata = read_state(source)
    known = described(metadata, str(source))
    options = _as_described(entry, known, options, str(source)) if known is not None else options
    net = _fill(entry, options, _ours(entry, options, state), str(source), None)
    if to == "archzoo":
        save(net, target, name, **options)
    else:
        names = map_of(to, entry.constructor.__name__)
        write_state(target, to_theirs(net, net.state_dict(), names), {"format": "pt"})


def normalization(name: str, weights: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel that a published set was trained with, for images of values from 0 to 1."""
    chosen = choose(find(name), weights, {})
    return chosen.mean, chosen.std


def _is_file(weights: str | Path) -> bool:
    return isinstance(weights, Path) or weights.endswith(SUFFIXES) or Path(weights).is_file()


def _left_out(name: str, chosen: Published, wanted: set[str]) -> bool:
    return bool(chosen.leaves_out) and name.startswith(chosen.leaves_out) and name not in wanted


def _original(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in ("num_classes", "in_channels")}


def _meta(entry: Entry, options: Mapping[str, Any]) -> Net:
    with torch.device("meta"):
        return cast(Net, entry.build(**options))


def _as_described(
    entry: Entry, known: tuple[str, dict[str, Any]], given: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """The options of a described file, with those that were given. Raises BadOption where they contradict it."""
    name, options = known
    if find(name).constructor is not entry.constructor:
        raise BadOption(f"{source} holds {name}, not {entry.name}")
    full = {**find(name).options, **options}
    for option, value in {**entry.fixed, **given}.items():
        if option not in ("num_classes", "in_channels") and full.get(option, value) != value:
            raise BadOption(f"{source} holds {name} with {option}={full[option]!r}, not {value!r}")
    return {**{name: value for name, value in full.items() if name not in entry.fixed}, **given}


def _ours(entry: Entry, options: Mapping[str, Any], state: State) -> State:
    """A state under our names, whichever library's names it has: those that most of its tensors fit."""
    constructor = entry.constructor.__name__
    net = _meta(entry, options)
    candidates = [state] + [to_ours(net, state, maps[constructor]) for maps in MAPS.values() if constructor in maps]
    own = net.state_dict().keys()
    return max(candidates, key=lambda one: len(own & one.keys()))


def _fill(
    entry: Entry, options: Mapping[str, Any], state: State, source: str, first_filters: FirstFilters | None
) -> Net:
    """A network of these options with this state, but for a last layer of another size."""
    net = cast(Net, entry.build(**options))
    own = net.state_dict()
    heads = _depends_on(entry, options, "num_classes")
    keep = frozenset(name for name in heads if name in state and state[name].shape != own[name].shape)
    if keep:
        classes = next(len(state[name]) for name in sorted(keep))
        warnings.warn(f"{source} tells {classes} classes apart: the last layer is new", stacklevel=4)
    for name in _depends_on(entry, options, "in_channels"):
        if name in state and state[name].shape[1:2] != own[name].shape[1:2]:
            state = {**state, name: _adapted(state[name], own[name], source, first_filters)}
    load_into(net, state, source, keep)
    return net


def _depends_on(entry: Entry, options: Mapping[str, Any], option: str) -> list[str]:
    """The tensors whose shape follows from an option."""
    usual = options.get(option, entry.options[option])
    shapes = [_meta(entry, {**options, option: value}).state_dict() for value in (usual, usual + 1)]
    return [name for name in shapes[0] if shapes[0][name].shape != shapes[1][name].shape]


def _adapted(filters: Tensor, own: Tensor, source: str, how: FirstFilters | None) -> Tensor:
    """Filters over other channels than they were trained on."""
    if how not in ("sum", "mean"):
        raise BadOption(
            f"{source} reads {filters.shape[1]} channels, not {own.shape[1]}: say first_filters='sum' "
            "(one channel in the place of all) or first_filters='mean'"
        )
    one = filters.sum(1, keepdim=True) if how == "sum" else filters.mean(1, keepdim=True)
    return one.expand(-1, own.shape[1], -1, -1) / (own.shape[1] if how == "sum" else 1)
