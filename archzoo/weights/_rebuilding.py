"""The network of a checkpoint: the one that it describes, the graph that it holds, or the only one that it can be."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from archzoo.errors import WeightsError
from archzoo.registry import find
from archzoo.weights._building import build_pretrained, load
from archzoo.weights._candidates import Candidate
from archzoo.weights._identifying import Identification, identify, spelled
from archzoo.weights._metadata import read_metadata
from archzoo.weights._onnx_network import read_network
from archzoo.weights._reading import read_checkpoint


@dataclass(frozen=True)
class Rebuilt:
    """A network with the weights of a file, its usual input size, and how the file was read.

    With ``only_size`` it runs on images of that size alone. ``is_graph`` is whether it is that of an ONNX model, which
    says nothing of training.
    """

    net: nn.Module
    input_size: tuple[int, ...] | None
    notes: tuple[str, ...] = ()
    only_size: bool = False
    is_graph: bool = False


def rebuild(path: str | Path) -> Rebuilt:
    """The network in a checkpoint, with its weights.

    A file that does not describe its network is read as the one that its hash says, or as the only one whose tensors it
    has. Raises WeightsError if there is none or several, or the file cannot be read.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.graph is not None:
        final = checkpoint.graph.final
        notes = [f"{path} is an ONNX model, without momenta and dropouts: eval mode is compared"]
        notes += [f"{path}: {final} at its end is left out"] if final else []
        size = checkpoint.graph.size
        return Rebuilt(read_network(path), size, tuple(notes), only_size=size is not None, is_graph=True)
    description = read_metadata(checkpoint.metadata, str(path))
    if description is not None:
        return Rebuilt(load(path), find(description.name).input_size)
    identification = identify(path)
    chosen = _only(identification, path)
    entry = find(chosen.network)
    evidence = "its hash" if identification.published is not None else "its names and shapes"
    note = f"{path} is read as {spelled(chosen.network, chosen.options)}, by {evidence}"
    return Rebuilt(build_pretrained(entry, Path(path), chosen.options), entry.input_size, (note,))


def _only(identification: Identification, path: str | Path) -> Candidate:
    """The network that a file is for. Raises WeightsError unless there is one."""
    published = identification.published
    equal = [candidate for candidate in identification.candidates if not candidate.differs]
    if published is not None:
        equal = [candidate for candidate in equal if candidate.network == published.network] or equal
    if len(equal) == 1:
        return equal[0]
    unsaid = f"{path} does not say which network it is"
    if equal:
        names = ", ".join(spelled(candidate.network, candidate.options) for candidate in equal[:4])
        raise WeightsError(
            f"{unsaid}, and has the tensors of several ({names}): build the right one, archzoo.build(NAME, "
            f"weights={str(path)!r}); on the command line NAME,weights={path}"
        )
    others = [f"{candidate.network}, but {candidate.differs}" for candidate in identification.candidates]
    if others:
        raise WeightsError(f"{unsaid}: it has the tensors of {others[0]}")
    near = f"; the nearest is {identification.nearest.network}" if identification.nearest is not None else ""
    raise WeightsError(f"{unsaid}, and has the tensors of none here{near}: archzoo identify {path} tells more")
