"""Which of our networks have the tensors of a state dict, under whose names."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from typing import Any

from torch import Tensor, nn

from archzoo.errors import ArchzooError
from archzoo.registry import Entry, find, names
from archzoo.weights._fitting import build_on_meta, depends_on, differ_at
from archzoo.weights._inference import Options, of_state, possible_options
from archzoo.weights._libraries import SOURCES, Counterpart
from archzoo.weights._published import ELSEWHERE
from archzoo.weights._tensor_names import TensorNames

SIMILAR = 0.5  # share of all shapes: a file may lack a classifier, or have a group that its network does not use
OURS = TensorNames(rules=[(r"(.+)", r"\1")])


@dataclass(frozen=True)
class Candidate:
    """A network of ours, with options beyond its name, that has the tensors of a file.

    ``sources`` are whose names they have: none where they are ours. ``differs`` is how the network of these sources
    differs from ours, and empty where both compute the same function. ``notes`` are what is peculiar in this file.
    ``proven`` is whether the file has a graph, an ONNX model's, that was run and computes this network's function.
    """

    network: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    differs: str = ""
    notes: tuple[str, ...] = ()
    proven: bool = False
    names: TensorNames = field(default=OURS, compare=False, repr=False)

    @property
    def family(self) -> str:
        """Our constructor."""
        return find(self.network).family


@dataclass(frozen=True)
class Nearest:
    """The network of ours whose tensors have the most shapes of a file, and the shapes that only one of both has.

    They are in the order of the layers.
    """

    network: str
    options: Mapping[str, Any]
    shared: int
    only_here: tuple[tuple[int, ...], ...]  # in the file
    only_ours: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Network:
    """A network of ours that a file may be for, without values."""

    entry: Entry
    options: Mapping[str, Any]
    net: nn.Module

    @cached_property
    def shapes(self) -> Counter[tuple[int, ...]]:
        """Those of its tensors, with the number of each."""
        return shapes_of(self.net.state_dict())


def shapes_of(state: Mapping[str, Tensor]) -> Counter[tuple[int, ...]]:
    """The shapes of a state dict, with the number of each. Counters of batches are left out."""
    return Counter(tuple(tensor.shape) for name, tensor in state.items() if not _is_counter(name))


def networks_for(state: Mapping[str, Tensor]) -> list[Network]:
    """Networks of ours that a state dict may be for, as far as the numbers of its shapes tell."""
    shapes = of_state(state.values())
    networks = []
    for family, entries in _families().items():
        possible = possible_options(family, shapes)
        guesses = [dict(entry.fixed) for entry in entries] if possible is None else possible
        for guess in guesses:
            entry, options = registered(entries, guess)
            try:
                networks.append(_network(entry, tuple(options.items())))
            except ArchzooError:  # options that the guess makes and no network has
                continue
    return networks


@lru_cache(maxsize=256)
def _network(entry: Entry, options: tuple[tuple[str, Any], ...]) -> Network:
    return Network(entry, dict(options), build_on_meta(entry, dict(options)))


@cache
def _families() -> dict[str, list[Entry]]:
    families: dict[str, list[Entry]] = {}
    for name in names():
        entry = find(name)
        families.setdefault(entry.family, []).append(entry)
    return families


def registered(entries: list[Entry], options: Options) -> tuple[Entry, Options]:
    """The most special of these entries that has these options, and those that its name does not give."""
    fitting = [
        entry
        for entry in entries
        if all(options.get(name, entry.options[name]) == value for name, value in entry.fixed.items())
    ]
    entry = max(fitting, key=lambda entry: len(entry.fixed))
    return entry, {name: value for name, value in options.items() if entry.options[name] != value}


def candidates(state: Mapping[str, Tensor], networks: list[Network]) -> list[Candidate]:
    """The networks that have all tensors of a state dict under the names of one of the sources, or under ours."""
    distinct: list[Candidate] = []
    shapes = shapes_of(state)
    similar = [network for network in networks if _similarity(shapes, network.shapes) > SIMILAR]
    for candidate in _by_source(state, similar):
        alike = next((other for other in distinct if replace(other, sources=candidate.sources) == candidate), None)
        if alike is None:
            distinct.append(candidate)
        else:
            distinct[distinct.index(alike)] = replace(alike, sources=(*alike.sources, *candidate.sources))
    return distinct


def _by_source(state: Mapping[str, Tensor], networks: list[Network]) -> Iterator[Candidate]:
    for network in networks:
        rows = [("", Counterpart(network.entry.family, OURS))]
        rows += [
            (source, row)
            for source, of_source in SOURCES.items()
            for row in of_source.networks
            if row.constructor == network.entry.family
        ]
        for source, row in rows:
            candidate = _candidate(state, network, source, row)
            if candidate is not None:
                yield candidate


def _candidate(state: Mapping[str, Tensor], network: Network, source: str, row: Counterpart) -> Candidate | None:
    options = {**network.entry.options, **network.options}
    unlike = any(options[name] != value for name, value in row.options.items())
    if unlike or any(options[name] in values for name, values in row.never.items()):
        return None
    ours = row.names.of(network.net)
    unused = [name for name in state if row.names.unused and name.startswith(row.names.unused)]
    renamed = {row.names.current(name): tensor for name, tensor in state.items() if name not in unused}
    missing = {name for name, theirs in ours.items() if theirs not in renamed and not _is_counter(name)}
    headless = bool(missing) and missing == {name for name in ours if name.startswith("classifier.")}
    if (missing and not headless) or renamed.keys() - set(ours.values()):
        return None
    sizes = _free_sizes(
        network, row.names, {name: renamed[theirs] for name, theirs in ours.items() if theirs in renamed}
    )
    if sizes is None:
        return None
    differs = row.differs or _differs_in_library(source, network.entry.name)
    notes = tuple(_notes(row, network, unused, headless=headless))
    sources = (source,) if source else ()
    return Candidate(network.entry.name, {**network.options, **sizes}, sources, differs, notes, names=row.names)


def _differs_in_library(source: str, network: str) -> str:
    if source in ("torchvision", "timm") and network in ELSEWHERE:
        other, difference = ELSEWHERE[network]
        return f"it {difference}: that is {other}"
    return ""


def _notes(row: Counterpart, network: Network, unused: list[str], *, headless: bool) -> Iterator[str]:
    if row.names.permutes(network.net):
        yield "its shortcuts add zeros on both sides of the maps: channels are permuted when it is read"
    if unused:
        yield f"{len(unused)} tensors are left out, which their network does not use ({unused[0]})"
    elif row.names.unused and not row.names.classifier:
        yield f"their files also have {row.names.unused[0].rstrip('.')}, and this one has not"
    if headless or not row.names.classifier:
        yield "the file has no classifier"


def _free_sizes(network: Network, names: TensorNames, state: Mapping[str, Tensor]) -> Options | None:
    """The numbers of classes and of channels of a state under our names, beside the default ones, if all else fits."""
    own = network.net.state_dict()
    differing = {
        name
        for name, tensor in state.items()
        if tensor.shape != own[name].shape and tuple(tensor.shape) != names.shapes.get(name) and not _is_counter(name)
    }
    sizes: Options = {}
    for option, dimension in (("num_classes", 0), ("in_channels", 1)):
        free = differing & set(depends_on(network.entry, network.options, option)) if differing else set()
        free = {name for name in free if differ_at(dimension, state[name], own[name])}
        counts = {state[name].shape[dimension] for name in free}
        if len(counts) == 1:
            sizes[option] = counts.pop()
            differing -= free
    return None if differing else sizes


def nearest(state: Mapping[str, Tensor], networks: list[Network]) -> Nearest | None:
    """The network with the most shapes of a state dict, also of those that differ in the maps that a layer reads."""
    shapes = shapes_of(state)

    def likeness(network: Network) -> float:
        written = _similarity(_without_inputs(shapes), _without_inputs(network.shapes))
        return _similarity(shapes, network.shapes) + written

    best = max(networks, key=likeness, default=None)
    if best is None:
        return None
    best = _with_classes_of(shapes, best)
    return Nearest(
        *(best.entry.name, best.options, (shapes & best.shapes).total()),
        tuple((shapes - best.shapes).elements()),
        tuple((best.shapes - shapes).elements()),
    )


def _with_classes_of(shapes: Counter[tuple[int, ...]], network: Network) -> Network:
    """The network with as many classes as the layer that has the inputs of its last one."""
    own = network.net.state_dict()
    for name in depends_on(network.entry, network.options, "num_classes"):
        for shape in shapes:
            if len(shape) > 1 and shape[1:] == tuple(own[name].shape[1:]) and shape not in network.shapes:
                return _network(network.entry, (*network.options.items(), ("num_classes", shape[0])))
    return network


def _similarity(shapes: Counter[tuple[int, ...]], others: Counter[tuple[int, ...]]) -> float:
    return (shapes & others).total() / max((shapes | others).total(), 1)


def _without_inputs(shapes: Counter[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    """The shapes of weights without the number of maps that they read; vectors count as one shape."""
    coarse: Counter[tuple[int, ...]] = Counter()
    for shape, count in shapes.items():
        coarse[(shape[0], *shape[2:]) if len(shape) > 1 else ()] += count
    return coarse


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
