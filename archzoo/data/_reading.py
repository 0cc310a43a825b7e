"""Reading image files: which suffixes, how an image becomes a tensor, and what happens to corrupt ones."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from archzoo.errors import DataError, MissingDependency

T = TypeVar("T")
OnCorrupt = Literal["error", "skip"]
# The suffixes of files that are read as images.
IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_MODES = {1: "L", 3: "RGB"}


def read_pixels(source: Any, channels: int, shorter_side: int | None = None) -> Tensor:
    """An image, given as a path, an open file or a Pillow image, as bytes (height, width, channels).

    The orientation of its EXIF data is applied. An image with a shorter side of more than ``shorter_side`` pixels is
    resized to it. Raises MissingDependency without Pillow, and whatever Pillow raises for a corrupt file.
    """
    image = open_upright(source, channels)
    shorter = min(image.size)
    if shorter_side is not None and shorter > shorter_side:
        size = tuple(max(round(length * shorter_side / shorter), 1) for length in image.size)
        image = image.resize(size, load_pillow().Resampling.BILINEAR)
    return to_tensor(image, channels)


def read_image(path: Path, size: tuple[int, int, int]) -> Tensor:
    """An image file as floats from 0 to 1 of this size (C, H, W): the largest centered part of these proportions.

    Raises MissingDependency without Pillow, and whatever Pillow raises for a corrupt file.
    """
    channels, height, width = size
    image = open_upright(path, channels)
    from PIL import ImageOps

    fitted = ImageOps.fit(image, (width, height), load_pillow().Resampling.BILINEAR)
    return to_tensor(fitted, channels).permute(2, 0, 1).float() / 255


def read_or_skip(read: Callable[[], T], name: str | Callable[[], str], on_corrupt: OnCorrupt) -> T | None:
    """What ``read`` returns. Where it fails, raise DataError with the name, or with "skip" warn and return None."""
    try:
        return read()
    except (DataError, MissingDependency):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything for a corrupt file
        name = name if isinstance(name, str) else name()
        if on_corrupt == "error":
            raise DataError(f"{name} is corrupt or not an image ({error}): on_corrupt='skip' leaves it out") from error
        warnings.warn(f"archzoo: skipped {name}, which is corrupt: {error}", stacklevel=2)
        return None


def load_pillow() -> Any:
    """Pillow's module Image. Raises MissingDependency where it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency(
            "reading images needs Pillow, which is not installed: pip install 'archzoo[images]'"
        ) from error
    return Image


def check_channels(channels: int) -> None:
    """Raise DataError unless there are 1 or 3."""
    if channels not in _MODES:
        raise DataError(f"images are read with 1 or 3 channels, not {channels}")


def open_upright(source: Any, channels: int) -> Any:
    """A Pillow image of a path, an open file or another one, upright and of this number of channels."""
    module = load_pillow()
    from PIL import ImageOps

    check_channels(channels)
    if isinstance(source, module.Image):
        return ImageOps.exif_transpose(source).convert(_MODES[channels])
    with module.open(source) as image:
        return ImageOps.exif_transpose(image).convert(_MODES[channels])


def to_tensor(image: Any, channels: int) -> Tensor:
    """A Pillow image as bytes (height, width, channels)."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(image.height, image.width, channels)
