"""Which network a checkpoint is for: what the file says, what its hash says, and what its tensors leave possible."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from archzoo.registry import find
from archzoo.weights._candidates import Candidate, Nearest, candidates, nearest, networks_for, shapes_of
from archzoo.weights._fitting import build_on_meta
from archzoo.weights._metadata import Description, read_metadata
from archzoo.weights._onnx_files import OnnxModel
from archzoo.weights._onnx_operators import NotFollowed
from archzoo.weights._onnx_proofs import agrees
from archzoo.weights._published import PUBLISHED
from archzoo.weights._published_set import PublishedWeights
from archzoo.weights._reading import Checkpoint, read_checkpoint
from archzoo.weights._transfers import CHUNK
from archzoo.weights._unseen import OTHERS, UNSEEN

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Identification:
    """What a checkpoint is.

    ``description`` is what the file says of its network, as files of archzoo do, and ``published`` the set whose hash
    it has: these two are certain. ``candidates`` are the networks of ours that have its tensors, the likeliest first;
    without any, ``nearest`` has the most of its shapes. ``other`` names a network that is none of ours and has as many
    parameters.
    """

    checkpoint: Checkpoint
    parameters: int
    description: Description | None
    published: PublishedWeights | None
    candidates: tuple[Candidate, ...]
    nearest: Nearest | None
    other: str

    @property
    def unseen(self) -> str:
        """What tensors do not show of the first candidate: "" where nothing is known, or the file itself says it."""
        if self.description is not None or self.published is not None or not self.candidates:
            return ""
        first = self.candidates[0]
        if first.proven or (first.differs and self.checkpoint.graph is not None):
            return ""
        return "" if first.options.get("option") == "B" else UNSEEN.get(first.family, "")


def identify(path: str | Path) -> Identification:
    """Tell which of our networks a checkpoint is for, by its own description, its hash, and its names and shapes.

    Nothing is downloaded, and no code of the file runs. Names and shapes do not show a stride or an order of layers:
    candidates are told with what speaks against them. An ONNX model has a graph, which shows all of that: it is run on
    random images beside each candidate. Raises WeightsError for a file that holds no state dict, and MissingDependency
    for an ONNX model without the extra "onnx".
    """
    checkpoint = read_checkpoint(path)
    state = checkpoint.state_dict.tensors
    description = read_metadata(checkpoint.metadata, str(path))
    published = _published_with(checkpoint.path)
    networks = networks_for(state)
    possible = candidates(state, networks)
    if checkpoint.graph is not None:
        possible = [_by_graph(candidate, checkpoint.graph, state) for candidate in possible]
    ranked = _ranked(possible, description, published)
    return Identification(
        checkpoint,
        _parameters(state),
        description,
        published,
        tuple(ranked),
        None if ranked else nearest(state, networks),
        "" if ranked else OTHERS.get(_parameters(state, classes=10), ""),
    )


def _by_graph(candidate: Candidate, graph: OnnxModel, state: Mapping[str, Tensor]) -> Candidate:
    """A candidate for an ONNX model, with what running its graph on random images tells."""
    entry = find(candidate.network)
    net = build_on_meta(entry, candidate.options)
    try:
        equal = agrees(graph, entry, candidate.options, candidate.names.to_ours(net, state))
    except NotFollowed as error:
        return replace(candidate, notes=(*candidate.notes, f"what its graph computes is not known: it has {error}"))
    if equal:
        notes = (*candidate.notes, "its graph computes what this network does, on random images")
        return replace(candidate, differs="", proven=True, notes=notes)
    return replace(candidate, differs=candidate.differs or "its graph computes something else, on random images")


def _published_with(path: Path) -> PublishedWeights | None:
    """The published set whose hash a file has."""
    digests = {"sha256": hashlib.sha256(), "sha1": hashlib.sha1(usedforsecurity=False)}
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for digest in digests.values():
                digest.update(chunk)
    sha256, sha1 = (digest.hexdigest() for digest in digests.values())
    for published in PUBLISHED:
        if (published.sha256 and sha256.startswith(published.sha256)) or published.sha1 == sha1:
            return published
    return None


def _ranked(
    possible: list[Candidate], description: Description | None, published: PublishedWeights | None
) -> list[Candidate]:
    """What the file or its hash says comes first, then what computes the source's function, then what does not."""
    named = description.name if description is not None else published.network if published is not None else ""
    library = "" if published is None else published.library

    def rank(candidate: Candidate) -> tuple[bool, bool, bool, int]:
        unlike = bool(named) and (candidate.network != named or library not in ("", *candidate.sources))
        return unlike, bool(candidate.differs), candidate.network not in FIRST, len(candidate.notes)

    return sorted(possible, key=rank)


# Of networks with the same tensors, those that people mean; plain networks and stochastic depth have ResNet's.
FIRST = frozenset({published.network for published in PUBLISHED} | {"alexnet"})


def _parameters(state: Mapping[str, Tensor], classes: int | None = None) -> int:
    """The number of parameters, or what it would be for another number of classes, if one layer is linear."""
    count = sum(tensor.numel() for name, tensor in state.items() if not name.endswith(STATISTICS))
    linear = [shape for shape in shapes_of(state) if len(shape) == 2]
    if classes is None or len(linear) != 1:
        return count
    return count + (linear[0][1] + 1) * (classes - linear[0][0])


def describe(identification: Identification) -> list[str]:
    """What is known, line by line: the file, what it says of itself, then the candidates."""
    return [*_file_lines(identification), *_certain_lines(identification), *_candidate_lines(identification)]


def _file_lines(identification: Identification) -> list[str]:
    checkpoint = identification.checkpoint
    state_dict = checkpoint.state_dict
    tensors = f"{len(state_dict.tensors)} tensors, {identification.parameters:,} parameters"
    lines = [f"{checkpoint.path}: {checkpoint.kind.name}, {tensors}"]
    if state_dict.where:
        lines.append(f"  state dict: below {'.'.join(state_dict.where)}")
    if state_dict.prefix:
        lines.append(f"  names: without {state_dict.prefix}, which a wrapper adds")
    lines += [f"  {note}" for note in state_dict.notes]
    values = [f"{name}={value}" for name, value in _simple(checkpoint.values).items()]
    return [*lines, f"  the file says: {', '.join(values)}"] if values else lines


def _simple(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(value, (str, int, float))}


def _certain_lines(identification: Identification) -> list[str]:
    lines = []
    if identification.description is not None:
        lines.append(f"  its metadata: {spelled(identification.description.name, identification.description.options)}")
    published = identification.published
    if published is not None:
        printed = f", {published.printed}" if published.printed else ""
        lines.append(f"  its hash: {published.name} for {published.network}, {published.labels}{printed}")
    return lines


def _candidate_lines(identification: Identification) -> list[str]:
    if not identification.candidates:
        return _nearest_lines(identification)
    lines = []
    for candidate in identification.candidates:
        whose = f"names and shapes of {', '.join(candidate.sources)}" if candidate.sources else "our names and shapes"
        line = f"{spelled(candidate.network, candidate.options)}: {whose}"
        if candidate.differs:
            lines.append(f"  not {line}, but another function: {candidate.differs}")
        else:
            lines.append(f"  {line}")
        lines += [f"    {note}" for note in candidate.notes]
    if identification.unseen:
        lines.append(f"  tensors do not show {identification.unseen}")
    return lines


def _nearest_lines(identification: Identification) -> list[str]:
    near = identification.nearest
    other = [f"  as many parameters as {identification.other}"] if identification.other else []
    if near is None or near.shared == 0:
        return [*other, "  none of our networks"]
    if not near.only_here and not near.only_ours:
        network = spelled(near.network, near.options)
        return [f"  by its shapes alone {network}: no source that is known has its names"]
    lines = [f"  none of our networks; the nearest is {spelled(near.network, near.options)}, which differs in shapes:"]
    lines += [f"    only here: {_some(near.only_here)}"] if near.only_here else []
    lines += [f"    only there: {_some(near.only_ours)}"] if near.only_ours else []
    graph = identification.checkpoint.graph
    if graph is not None and not any(node.kind == "BatchNormalization" for node in graph.nodes):
        lines.append("    its graph has no batch normalization: exporters fold it into convolutions")
    return [*other, *lines]


def _some(shapes: tuple[tuple[int, ...], ...]) -> str:
    listed = ["x".join(map(str, shape)) or "a scalar" for shape in dict.fromkeys(shapes)]
    return ", ".join(listed[:3]) + (f" and {len(shapes) - 3} more" if len(shapes) > 3 else "")


def spelled(network: str, options: Mapping[str, Any]) -> str:
    """A network with its options, as the command line takes them."""
    return " ".join([network, *(f"{name}={value}" for name, value in options.items())])
