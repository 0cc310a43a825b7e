"""Networks with pretrained weights."""

import hashlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archzoo.errors import BadOption, WeightsError
from archzoo.layers import Net
from archzoo.options import shown
from archzoo.registry import Entry, find
from archzoo.weights._download import sha256
from archzoo.weights._fetching import published_file, read_published
from archzoo.weights._files import State
from archzoo.weights._fitting import AdaptInput, build_filled, build_on_meta
from archzoo.weights._heads import check_head
from archzoo.weights._libraries import LIBRARIES, names_in
from archzoo.weights._metadata import options_of_file, read_metadata
from archzoo.weights._origins import read_for
from archzoo.weights._published import choose, required_options
from archzoo.weights._published_set import PublishedWeights
from archzoo.weights._reading import read_checkpoint, read_state
from archzoo.weights._sharded import SUFFIXES, file_in_folder, parts_of


def build_pretrained(
    entry: Entry,
    weights: str | Path,
    options: Mapping[str, Any],
    adapt_input: AdaptInput | None = None,
    *,
    trained_as: str | None = None,
    new_head: bool = True,
) -> Net:
    """A network with the weights of a published set, given by name, or of a file.

    If ``num_classes`` is not that of the weights, the last layer is new, with a warning, or with ``new_head=False`` the
    weights are refused; with ``num_classes=0`` there is none. ``trained_as`` is the name of this network: the word of
    the caller for a file whose tensors are also those of a published network that computes another function. If
    ``in_channels`` is not theirs, ``adapt_input`` must say how the first layer's filters become filters of that many
    channels: by the "sum" or the "mean" over their channels.

    Raises BadOption for options that contradict the weights, and WeightsError for files that cannot be read or do not
    fit.
    """
    if not isinstance(weights, (str, os.PathLike)):
        raise BadOption(f"weights must be the name of a set or the path of a file, not {shown(weights)}")
    if options.get("num_classes") == 0:
        return _without_final_layer(entry, weights, options, adapt_input, trained_as)
    if is_file(weights):
        state, options = read_for(entry, weights, options, trained_as)
        return build_filled(entry, options, state, str(weights), adapt_input, new_head=new_head)
    if trained_as is not None:
        raise BadOption(f"trained_as is for files: {weights} says what it needs")
    chosen = choose(entry, str(weights), options)
    options = required_options(entry, chosen, options)
    state = _published_state(entry, chosen, options)
    if chosen.channels != "RGB":
        order = f"{chosen.name} reads the channels of an image in the order {chosen.channels}"
        warnings.warn(f"archzoo: {order}, normalized by archzoo.weights.normalization", stacklevel=3)
    return build_filled(
        *(entry, options, state, chosen.name, adapt_input),
        new_head=new_head,
        headless=not names_in(chosen.library, entry.family).classifier,
    )


def _published_state(entry: Entry, chosen: PublishedWeights, options: Mapping[str, Any]) -> State:
    """The tensors of a published set under our names; those of an ONNX model if its graph computes our function."""
    original = {name: value for name, value in options.items() if name not in ("num_classes", "in_channels")}
    if chosen.url.endswith(".onnx"):
        return read_for(entry, published_file(chosen), original)[0]
    names, net = names_in(chosen.library, entry.family), build_on_meta(entry, original)
    state = chosen.without_extras(read_published(chosen), set(names.of(net).values()), names.current)
    return names.to_ours(net, state)


def _without_final_layer(
    entry: Entry,
    weights: str | Path,
    options: Mapping[str, Any],
    adapt_input: AdaptInput | None,
    trained_as: str | None,
) -> Net:
    """A network with weights, but for those of the final layer, which it does not have."""
    others = {name: value for name, value in options.items() if name != "num_classes"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* newly initialized")
        net = build_pretrained(entry, weights, others, adapt_input, trained_as=trained_as)
    net.reset_classifier(0)
    return net


def described_options(entry: Entry, weights: str | Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a network with these weights, beyond its name: those of the weights, and those given.

    Raises BadOption if they contradict each other.
    """
    if not is_file(weights):
        return required_options(entry, choose(entry, str(weights), given), given)
    description = read_metadata(read_checkpoint(weights).metadata, str(weights))
    return dict(given) if description is None else options_of_file(entry, description, given, str(weights))


def load(path: str | Path) -> Net:
    """Rebuild the network of a safetensors file that ``save`` wrote, from the description in its metadata.

    Raises WeightsError if the file has no description or does not fit it.
    """
    state, metadata = read_state(path)
    description = read_metadata(metadata, str(path))
    if description is None:
        raise WeightsError(f"{path} does not say which network it is: archzoo.build(name, weights={str(path)!r}) does")
    check_head(description, state, str(path))
    return build_filled(find(description.name), description.options, state, str(path))


def described_network(path: str | Path) -> str | None:
    """The name of the network that a file says it is for, or None where it says nothing."""
    description = read_metadata(read_checkpoint(path).metadata, str(path))
    return None if description is None else description.name


def digest(weights: str | Path) -> str | None:
    """Sixteen hex digits of the content of a file of weights and of its parts; None for a published set."""
    if not is_file(weights):
        return None
    path = file_in_folder(Path(weights)) if Path(weights).is_dir() else Path(weights)
    parts = sorted(parts_of(path)) if path.name.endswith(".index.json") else []
    return hashlib.sha256("".join(map(sha256, (path, *parts))).encode()).hexdigest()[:16]


def is_file(weights: str | Path) -> bool:
    """Whether ``weights`` is a path, and not the name of a published set, which a file beside us does not hide."""
    if not isinstance(weights, str):
        return True
    if weights.partition(":")[0] in LIBRARIES:
        return False
    return is_path(weights) or os.path.exists(weights)  # Path.exists raises OSError for a name that is too long


def is_path(text: str) -> bool:
    """Whether a text looks like the path of a file of weights, whether there is one or not."""
    return "/" in text or os.sep in text or text.endswith((*SUFFIXES, ".onnx"))
