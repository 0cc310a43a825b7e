"""Writing weights: files that describe their network, and files under another library's names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import nn

from archzoo.errors import WeightsError
from archzoo.registry import find
from archzoo.weights._files import read_state, write_state
from archzoo.weights._fitting import build_filled, build_on_meta
from archzoo.weights._libraries import names_in, rename_to_ours
from archzoo.weights._metadata import Description, options_of_file, read_metadata, write_metadata


def save(net: nn.Module, path: str | Path, name: str, **options: Any) -> None:
    """Write a network to a safetensors file that ``load`` rebuilds, given the ``name`` and ``options`` that build it.

    The write is atomic. Raises WeightsError if name and options do not build this network, or on a failed write.
    """
    save_with(net, path, name, options, {})


def save_with(
    net: nn.Module, path: str | Path, name: str, options: Mapping[str, Any], metadata: Mapping[str, str]
) -> None:
    """As ``save``, with further texts in the metadata of the file."""
    entry = find(name)
    state = net.state_dict()
    shapes = {part: tuple(tensor.shape) for part, tensor in state.items()}
    expected = {part: tuple(tensor.shape) for part, tensor in build_on_meta(entry, options).state_dict().items()}
    if shapes != expected:
        differing = sorted(part for part in shapes.keys() | expected.keys() if shapes.get(part) != expected.get(part))
        raise WeightsError(f"this is no {entry.name} with these options: {', '.join(differing[:3])} would differ")
    write_state(path, state, {**metadata, **write_metadata(Description(entry.name, options))})


def convert(
    source: str | Path, target: str | Path, name: str, to: Literal["archzoo", "torchvision", "timm"], **options: Any
) -> None:
    """Rename the tensors of a weights file to the names of archzoo or of another library, and write them to ``target``.

    The names in ``source`` may be those of archzoo or of any library that has this network. Raises WeightsError, and
    writes nothing, if the file does not fit the network.
    """
    entry = find(name)
    state, metadata = read_state(source)
    description = read_metadata(metadata, str(source))
    if description is not None:
        options = options_of_file(entry, description, options, str(source))
    net = build_filled(entry, options, rename_to_ours(entry, options, state), str(source))
    if to == "archzoo":
        save(net, target, name, **options)
    else:
        names = names_in(to, entry.family)
        write_state(target, names.to_theirs(net, net.state_dict()), {"format": "pt"})
