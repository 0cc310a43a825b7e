"""Writing weights: files that describe their network, and files under another library's names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from archzoo.errors import WeightsError
from archzoo.registry import find
from archzoo.weights._files import State, write_state
from archzoo.weights._fitting import build_filled, build_on_meta
from archzoo.weights._kinds import dense, exactly, inexact
from archzoo.weights._libraries import names_in, refuse_other_options
from archzoo.weights._metadata import Description, write_metadata
from archzoo.weights._origins import read_for
from archzoo.weights._state_dicts import without_prefixes


def save(net: nn.Module, path: str | Path, name: str, **options: Any) -> None:
    """Write a network to a safetensors file that ``load`` rebuilds, given the ``name`` and ``options`` that build it.

    A network that is compiled, parallel or otherwise wrapped is written as the network inside. The write is atomic.
    Raises WeightsError if name and options do not build this network, or on a failed write.
    """
    save_with(net, path, name, options, {})


def save_with(
    net: nn.Module, path: str | Path, name: str, options: Mapping[str, Any], metadata: Mapping[str, str]
) -> None:
    """As ``save``, with further texts in the metadata of the file."""
    entry = find(name)
    state = state_of(net)
    meta = build_on_meta(entry, options).state_dict()
    shapes = {part: tuple(tensor.shape) for part, tensor in state.items()}
    expected = {part: tuple(tensor.shape) for part, tensor in meta.items()}
    if shapes != expected:
        differing = sorted(part for part in shapes.keys() | expected.keys() if shapes.get(part) != expected.get(part))
        raise WeightsError(f"this is no {entry.name} with these options: {', '.join(differing[:3])} would differ")
    _check_values(state, meta)
    write_state(path, state, {**metadata, **write_metadata(Description(entry.name, options))})


def state_of(net: nn.Module) -> State:
    """The state dict of the network inside of any wrappers, on one process.

    Raises WeightsError if the tensors are spread over processes.
    """
    state = without_prefixes(net.state_dict(), "this network").tensors
    spread = [name for name, tensor in state.items() if hasattr(tensor, "full_tensor")]
    if spread:
        raise WeightsError(
            f"{len(spread)} tensors are spread over processes ({spread[0]}): load the full state dict of "
            "torch.distributed.checkpoint.state_dict.get_model_state_dict into a network, and save that one"
        )
    return state


def _check_values(state: Mapping[str, Tensor], meta: Mapping[str, Tensor]) -> None:
    """Raise WeightsError where ``load`` would refuse what is written: the network that it builds has other dtypes."""
    plain = dense(state, "this network")
    refused = [name for name, tensor in plain.items() if exactly(tensor, meta[name].dtype) is None]
    if refused:
        dtype = meta[refused[0]].dtype
        raise WeightsError(f"load could not read this network again: {inexact(refused[0], plain[refused[0]], dtype)}")


def convert(
    source: str | Path,
    target: str | Path,
    name: str,
    to: str,
    *,
    trained_as: str | None = None,
    **options: Any,
) -> None:
    """Rename the tensors of a weights file to the names of archzoo or of another source, and write them to ``target``.

    Sources are libraries and repositories, such as "torchvision", "pytorchcv" and "akamaster". The names in ``source``
    may be those of archzoo or of any source that has this network; ``trained_as`` is that of ``archzoo.build``. Writes
    nothing, and raises WeightsError if the file does not fit the network, or if the source ``to`` has no such network
    or keeps no classifier, or BadOption if the file has another number of classes, or may be that of a network that
    computes another function.
    """
    entry = find(name)
    if to == "onnx":
        raise WeightsError("archzoo export NAME --to onnx writes ONNX models, and archzoo.exporting.export does")
    if to != "archzoo" and not names_in(to, entry.family).classifier:
        raise WeightsError(f"files of {to} have no classifier, and {entry.name} has one")
    state, options = read_for(entry, source, options, trained_as)
    net = build_filled(entry, options, state, str(source), new_head=False)
    if to == "archzoo":
        save(net, target, name, **options)
    else:
        names = names_in(to, entry.family)
        refuse_other_options(to, entry, options)
        write_state(target, names.to_theirs(net, net.state_dict()), {"format": "pt"})
