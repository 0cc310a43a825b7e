"""A trained network as its file has it: with the names of its classes, and how its images are prepared."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archzoo.data import ImageSet, Prepared, describe_prepared, fit_size, restore_prepared
from archzoo.errors import DataError, WeightsError
from archzoo.layers import Net, device_of, evaluation_mode
from archzoo.recipes import Dense, Protocol, Recipe, describe_value, read_objects
from archzoo.training._distributed import choose_device
from archzoo.training._evaluation import SINGLE_CROP, evaluate, predict
from archzoo.training._fully_convolutional import fully_convolutional
from archzoo.training._protocols import crops_of
from archzoo.training._scores import Score
from archzoo.weights import check_describes, describe_file, load


@dataclass(frozen=True)
class Trained:
    """A trained network that can be evaluated on other images.

    Attributes:
        net: The network.
        network: Its name.
        classes: The names of its classes, or () where its file has none.
        channels: The channels of its images.
        prepared: How its images are prepared, or None where its file does not say.
        image_size: The size that all its training images had, or None.
        protocol: The protocol by which its recipe evaluates it.
    """

    net: Net
    network: str
    classes: tuple[str, ...]
    channels: int
    prepared: Prepared | None
    image_size: tuple[int, int] | None = None
    protocol: Protocol = SINGLE_CROP

    def predict(self, images: Sequence[Tensor]) -> Tensor:
        """The probabilities (N, num_classes) of images (C, h, w) as bytes, averaged over the crops of the protocol.

        Raises DataError where the file does not say how images are prepared.
        """
        if self.prepared is None:
            raise DataError("the file does not say how its images are prepared")
        fitted, crops = fit_size(list(images), self.image_size), crops_of(self.protocol)
        is_dense = isinstance(self.protocol, Dense)  # whole images, of a size each
        net = fully_convolutional(self.net) if is_dense else self.net
        batches = [[image] for image in fitted] if is_dense else [fitted]
        with evaluation_mode(net), torch.inference_mode():
            return torch.cat([predict([net], batch, self.prepared, crops, device_of(net)) for batch in batches])

    def evaluate(self, images: ImageSet, prepared: Prepared | None = None, **settings: Any) -> Score:
        """The score on images whose classes are named alike; ``settings`` are those of ``evaluate``.

        Raises DataError where the file does not say how images are prepared and ``prepared`` is not given.
        """
        prepared = prepared or self.prepared
        if prepared is None:
            raise DataError("the file does not say how its images are prepared")
        return evaluate(self.net, images, prepared, **({"protocol": self.protocol} | settings))

    def to(self, device: str | None) -> "Trained":
        """The same network on a device; by default on the GPU, if there is one. Raises DeviceError without it."""
        self.net.to(choose_device(device))
        return self

    def name(self, number: int) -> str:
        """The name of a class, or its number where the file has no names."""
        return self.classes[number] if self.classes else str(number)


def match_classes(images: ImageSet, classes: Sequence[str]) -> ImageSet:
    """The images of these classes, numbered alike. Raises DataError where there is none."""
    if not classes or images.classes == tuple(classes):
        return images
    known = [number for number, name in enumerate(images.classes) if name in classes]
    if not known:
        raise DataError(
            f"the network knows the classes {', '.join(classes[:5])}, and {images.name} has none of them, but "
            f"{', '.join(images.classes[:5])}"
        )
    chosen = images.select_classes(known)
    numbers = torch.tensor([classes.index(name) for name in chosen.classes])
    return replace(chosen, labels=numbers[chosen.labels], classes=tuple(classes))


def describe_training(prepared: Prepared, recipe: Recipe, images: ImageSet) -> dict[str, str]:
    """The metadata from which ``load_trained`` knows how a network was trained; ``images`` are the training images."""
    return {
        "classes": json.dumps(list(images.classes)),
        "prepared": json.dumps(describe_prepared(prepared, recipe.preprocessing, images)),
        "protocol": describe_value(recipe.protocol),
    }


def load_trained(path: str | Path) -> Trained:
    """The trained network of a safetensors file, such as net.safetensors of a run directory.

    Raises WeightsError if the file cannot be read or does not say which network it is.
    """
    file = describe_file(path)
    check_describes(path, file)
    read = _reader(path, file.metadata)
    prepared = read("prepared", _table, None)
    size = read("prepared", lambda text: _size(json.loads(text).get("image_size")), None)
    return Trained(
        load(path),
        file.network,
        read("classes", _texts, ()),
        _channels(file.network, file.options),
        None if prepared is None else restore_prepared(prepared),
        size,
        read("protocol", lambda text: read_objects("protocol", text)[0], SINGLE_CROP),
    )


def _texts(text: str) -> tuple[str, ...]:
    """A list of texts in JSON."""
    values = json.loads(text)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("it is no list of texts")
    return tuple(values)


def _table(text: str) -> dict[str, Any]:
    """A table in JSON."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise TypeError(f"it is a {type(values).__name__}, not a table")
    return values


def _size(value: Any) -> tuple[int, int] | None:
    """Height and width, or None where images have any size."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(type(side) is int and side > 0 for side in value):
        raise TypeError("image_size must be height and width")
    return value[0], value[1]


def _reader(path: str | Path, metadata: Mapping[str, str]) -> Callable[[str, Callable[[str], Any], Any], Any]:
    def read(key: str, parse: Callable[[str], Any], otherwise: Any) -> Any:
        try:
            return parse(metadata[key]) if key in metadata else otherwise
        except (ValueError, TypeError, IndexError, RecursionError) as error:
            raise WeightsError(f"{path}: {key} in its metadata cannot be read: {error}") from error

    return read


def _channels(network: str, options: Mapping[str, Any]) -> int:
    from archzoo.registry import find

    return int(options.get("in_channels", find(network).options["in_channels"]))
