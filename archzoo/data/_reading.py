"""Reading image files: how an image becomes a tensor, and what happens to corrupt ones."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from archzoo.data._conversion import Conversion, convert, depth_of
from archzoo.data._formats import load_pillow
from archzoo.errors import DataError, MissingDependency, ValueRangeError

T = TypeVar("T")
OnCorrupt = Literal["error", "skip"]
PLAIN = Conversion()


@dataclass(frozen=True)
class Reading:
    """How the images of a dataset are read: ``pack`` and ``shorter_side`` are those of ``archzoo.data.load``."""

    conversion: Conversion = PLAIN
    on_corrupt: OnCorrupt = "error"
    pack: bool = False
    shorter_side: int | None = None


def read_pixels(source: Any, conversion: Conversion, shorter_side: int | None = None) -> Tensor:
    """An image, given as a path, an open file or a Pillow image, as bytes (height, width, channels).

    The orientation of its EXIF data is applied. An image with a shorter side of more than ``shorter_side`` pixels is
    resized to it. Raises MissingDependency without Pillow, ValueRangeError as ``convert`` does, and whatever Pillow
    raises for a corrupt file.
    """
    image = open_upright(source, conversion)
    shorter = min(image.size)
    if shorter_side is not None and shorter > shorter_side:
        size = tuple(max(round(length * shorter_side / shorter), 1) for length in image.size)
        image = image.resize(size, load_pillow().Resampling.BILINEAR)
    return to_tensor(image, conversion.channels)


def read_image(
    path: Path,
    size: tuple[int, int, int],
    *,
    background: str = "white",
    value_range: tuple[float, float] | None = None,
) -> Tensor:
    """An image file as floats from 0 to 1 of this size (C, H, W): the largest centered part of these proportions.

    ``background`` and ``value_range`` are those of ``archzoo.data.load``; an image of 32-bit integers or floating point
    needs a range. Raises MissingDependency without Pillow, DataError where that range is missing, and whatever Pillow
    raises for a corrupt file.
    """
    channels, height, width = size
    image = open_upright(path, Conversion(channels, background, value_range))
    from PIL import ImageOps

    fitted = ImageOps.fit(image, (width, height), load_pillow().Resampling.BILINEAR)
    return to_tensor(fitted, channels).permute(2, 0, 1).float() / 255


def read_or_skip(read: Callable[[], T], name: str | Callable[[], str], on_corrupt: OnCorrupt) -> T | None:
    """What ``read`` returns. Where it fails, raise DataError with the name, or with "skip" warn and return None."""
    try:
        return read()
    except ValueRangeError as error:
        raise DataError(f"{name if isinstance(name, str) else name()} {error}") from error
    except (DataError, MissingDependency):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything for a corrupt file
        name = name if isinstance(name, str) else name()
        if on_corrupt == "error":
            raise DataError(f"{name} is corrupt or not an image ({error}): on_corrupt='skip' leaves it out") from error
        warnings.warn(f"archzoo: skipped {name}, which is corrupt: {error}", stacklevel=2)
        return None


def open_upright(source: Any, conversion: Conversion) -> Any:
    """A Pillow image of a path, an open file or another one, upright, in the mode L or RGB."""
    if isinstance(source, load_pillow().Image):
        return _upright(source, conversion)
    # By a path, Pillow 13 maps a TIFF into memory with the size that it has when upright, and mixes up its rows.
    if isinstance(source, Path):
        source = io.BytesIO(source.read_bytes())
    with load_pillow().open(source) as image:
        return _upright(image, conversion)


def _upright(image: Any, conversion: Conversion) -> Any:
    from PIL import ImageOps

    depth = depth_of(image)
    return convert(ImageOps.exif_transpose(image), conversion, depth)


def to_tensor(image: Any, channels: int) -> Tensor:
    """A Pillow image as bytes (height, width, channels)."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(image.height, image.width, channels)
