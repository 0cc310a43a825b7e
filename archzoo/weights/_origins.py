"""Whose file this is: the library whose names its tensors have, and what that library's networks compute.

Tensors do not show a stride, an order or a response normalization: networks that differ in these alone have the same
names and shapes. A file that does not describe itself is then taken only with the caller's word for it.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from archzoo.errors import BadOption
from archzoo.layers import Net
from archzoo.registry import Entry, find
from archzoo.weights._candidates import Candidate, Network, candidates
from archzoo.weights._files import State
from archzoo.weights._fitting import build_on_meta, depends_on
from archzoo.weights._heads import check_head
from archzoo.weights._inference import contradicts, of_state
from archzoo.weights._libraries import LIBRARIES, SOURCES
from archzoo.weights._metadata import options_of_file, read_metadata
from archzoo.weights._misfits import names_and_shapes, raise_for
from archzoo.weights._onnx_operators import NotFollowed
from archzoo.weights._onnx_proofs import agrees
from archzoo.weights._published import ELSEWHERE, FREE_OPTIONS, PUBLISHED, spell
from archzoo.weights._reading import Checkpoint, read_checkpoint
from archzoo.weights._state_dicts import StateDict


@dataclass(frozen=True)
class Named:
    """A state under our names, and the libraries whose names it had: none, where they were ours."""

    state: State
    libraries: tuple[str, ...]


def read_for(
    entry: Entry, path: str | Path, options: Mapping[str, Any], trained_as: str | None = None
) -> tuple[State, dict[str, Any]]:
    """The tensors of a file under the names of this network, and the options of the network in the file.

    Raises BadOption if the file describes another network, or if its names and shapes are those of a published network
    that computes another function, unless ``trained_as`` is the name of this one; and always if it is an ONNX model
    whose graph computes another function. Raises WeightsError for files that cannot be read.
    """
    source = str(path)
    if trained_as is not None and find(trained_as).name != entry.name:
        raise BadOption(f"{source} was trained as {find(trained_as).name}: build that network, not {entry.name}")
    checkpoint = read_checkpoint(path)
    checkpoint.warn(stacklevel=5)  # the caller of archzoo.build
    if checkpoint.graph is not None:
        return _proven(entry, options, checkpoint, trained_as), dict(options)
    description = read_metadata(checkpoint.metadata, source)
    if description is not None:
        options = options_of_file(entry, description, options, source)
        check_head(description, checkpoint.state_dict.tensors, source)
    else:
        _refuse_known_trap(entry, options, checkpoint.state_dict.tensors, source)
    named = under_our_names(entry, options, checkpoint.state_dict, source)
    if description is None and trained_as is None:
        _refuse_another_function(entry, options, checkpoint.state_dict.tensors, named, source)
    return named.state, dict(options)


def _proven(entry: Entry, options: Mapping[str, Any], checkpoint: Checkpoint, trained_as: str | None) -> State:
    """The tensors of an ONNX model under our names, if its graph computes what this network does.

    Raises BadOption if it computes something else, or, unless ``trained_as`` is given, if it cannot be followed; and
    WeightsError if the tensors do not fit.
    """
    source, graph = str(checkpoint.path), checkpoint.graph
    assert graph is not None
    differs = ""
    for candidate, state in _readings(entry, options, checkpoint):
        try:
            equal = agrees(graph, entry, candidate.options, state)
        except NotFollowed as error:
            if trained_as is not None:
                return state
            raise BadOption(
                f"{source} has the tensors of {entry.name}, but what its graph computes is not known: it has {error}. "
                f"Give trained_as={entry.name!r} (--trained-as {entry.name}) if it is that network"
            ) from error
        if equal:
            return state
        differs = differs or candidate.differs
    known = f" ({differs})" if differs else ""
    raise BadOption(
        f"{source} has the tensors of {entry.name}, but its graph computes something else{known}: archzoo same "
        f"{entry.name} {source} says where"
    )


def _readings(entry: Entry, options: Mapping[str, Any], checkpoint: Checkpoint) -> Iterator[tuple[Candidate, State]]:
    """The tensors under our names, for each source that may have named them. Raises WeightsError if there is none."""
    state, source = checkpoint.state_dict.tensors, str(checkpoint.path)
    network = Network(entry, options, build_on_meta(entry, options))
    possible = candidates(state, [network])
    for candidate in possible:
        yield candidate, candidate.names.to_ours(network.net, state)
    if not possible:
        named = under_our_names(entry, options, checkpoint.state_dict, source)
        raise_for(names_and_shapes(network.net.state_dict(), named.state), source)
        yield Candidate(entry.name, options), named.state


def under_our_names(entry: Entry, options: Mapping[str, Any], state_dict: StateDict, source: str) -> Named:
    """A state under our names, whichever library's names it has: those that fit most of its tensors.

    Tensors outside of the wrapped network that fit nowhere are left out, with a warning.
    """
    net = build_on_meta(entry, options)
    own = net.state_dict().keys()
    candidates: dict[str, State] = {"": state_dict.tensors}
    for library, names in LIBRARIES.items():
        if entry.family in names:
            candidates[library] = names[entry.family].to_ours(net, state_dict.tensors)
    fitting = {library: len(own & state.keys()) for library, state in candidates.items()}
    best = max(fitting.values())
    libraries = [library for library, count in fitting.items() if count == best]
    state = candidates[libraries[0]]
    extra = tuple(
        prefix for published in PUBLISHED if published.network == entry.name for prefix in published.extra_prefixes
    )
    unused = state.keys() - own
    left_out = sorted(name for name in unused if name in state_dict.outside or (extra and name.startswith(extra)))
    beside = LIBRARIES[libraries[0]][entry.family].unused if libraries[0] else ()
    left_out += sorted(name for name in state_dict.tensors if beside and name.startswith(beside) and name not in state)
    if left_out:
        what = f"{len(left_out)} tensors are left out, which {entry.name} does not have"
        warnings.warn(f"archzoo: {source}: {what} ({', '.join(left_out[:3])})", stacklevel=5)
    state = {name: tensor for name, tensor in state.items() if name not in left_out}
    return Named(state, () if "" in libraries else tuple(libraries))


def _refuse_known_trap(entry: Entry, options: Mapping[str, Any], state: State, source: str) -> None:
    """Raise BadOption for a file of a source whose network has the tensors of this one and computes something else."""
    if not any(row.differs and row.constructor == entry.family for of in SOURCES.values() for row in of.networks):
        return
    network = Network(entry, options, build_on_meta(entry, options))
    for candidate in candidates(state, [network]):
        if candidate.differs and candidate.network not in ELSEWHERE:
            whose = f"{source} has the tensors of {candidate.sources[0]}'s {entry.name}"
            raise BadOption(f"{whose}, which is another function: {candidate.differs}")


# Whose networks a file with our names is compared with.
UNNAMED = ("torchvision", "timm")


@dataclass(frozen=True)
class Theirs:
    """A network of another library: ours with the options that make it theirs, and what sets it apart."""

    library: str
    entry: Entry
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return self.entry.name + "".join(f" with {part}" for part in [spell(self.options)] if part)

    @property
    def difference(self) -> str:
        """What it is called there, and how it differs from ours of that name."""
        for name, (network, difference) in ELSEWHERE.items():
            if network == self.entry.name and self.library in UNNAMED:
                return f"{self.library}'s {name}, which {difference}"
        return f"{self.library}'s {self.entry.name}"

    def computes(self, entry: Entry, options: Mapping[str, Any]) -> bool:
        """Whether this is the function of a network of ours."""
        theirs, ours = {**self.entry.options, **self.options}, {**entry.options, **options}
        deciding = theirs.keys() - FREE_OPTIONS - {"memory_efficient"}
        return self.entry.constructor is entry.constructor and all(theirs[name] == ours[name] for name in deciding)


def _refuse_another_function(
    entry: Entry, options: Mapping[str, Any], original: State, named: Named, source: str
) -> None:
    """Raise BadOption if the tensors are those of published networks, none of which computes what this one does.

    Warn if one of them does, but a source of these names has another that does not.
    """
    published = list(_published_with(entry, named.libraries or UNNAMED, original, named.state))
    theirs = [network for network in published if not network.computes(entry, options)]
    if not theirs:
        return
    same_shapes = _fits(named.state, build_on_meta(entry, options), entry, options)
    this_too = len(theirs) < len(published)
    if this_too and not named.libraries:
        return
    if named.libraries and not this_too:
        message = f"{source} has the tensors of {theirs[0].difference}: that is {theirs[0]}"
        if same_shapes:
            message += (
                f". Tensors do not show the difference: build that network, or give trained_as={entry.name!r} "
                f"(--trained-as {entry.name}) if this file was trained so"
            )
        raise BadOption(message)
    if same_shapes:
        alike = f"{theirs[0]} has the same tensors, and the file does not say which it is"
        warnings.warn(f"archzoo: {source} is read as {entry.name}; {alike}", stacklevel=6)


def _published_with(entry: Entry, libraries: Collection[str], original: State, renamed: State) -> Iterator[Theirs]:
    """The published networks with tensors of these names and shapes, for any numbers of classes and channels.

    Those of our network's own name come first.
    """
    tried: list[tuple[str, Mapping[str, Any]]] = []
    shapes = of_state(original.values())
    for published in sorted(PUBLISHED, key=lambda published: published.network != entry.name):
        other = find(published.network)
        names = LIBRARIES[published.library].get(other.family)
        related = names is not None and names is LIBRARIES[published.library].get(entry.family)
        if published.library not in libraries or (other.name, published.options) in tried or not related:
            continue
        if contradicts(other.family, {**other.options, **published.options}, shapes):
            continue
        assert names is not None
        tried.append((other.name, published.options))
        net = _published_net(other, tuple(published.options.items()))
        if any(_fits(state, net, other, published.options) for state in (renamed, names.to_ours(net, original))):
            yield Theirs(published.library, other, published.options)


@cache
def _published_net(entry: Entry, options: tuple[tuple[str, Any], ...]) -> Net:
    return build_on_meta(entry, dict(options))


def _fits(state: State, net: nn.Module, entry: Entry, options: Mapping[str, Any]) -> bool:
    """Whether a network has tensors of these names and shapes, for any numbers of classes and channels."""
    own = net.state_dict()
    optional = {name for name in own if name.endswith("num_batches_tracked")}
    if own.keys() - optional - state.keys() or state.keys() - own.keys():
        return False
    differing = {name for name, tensor in state.items() if tensor.shape != own[name].shape}
    return not differing or differing <= {
        name for option in ("num_classes", "in_channels") for name in depends_on(entry, options, option)
    }
