"""Decoding one image, of a JPEG no more than its view needs.

JPEGs are decoded by simplejpeg where it is installed, else by Pillow: to the same bytes, since both are libjpeg-turbo.
Pillow reads everything else: other formats, CMYK, turned images, and JPEGs that simplejpeg refuses.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from archzoo.data._conversion import Conversion
from archzoo.data._formats import load_pillow
from archzoo.data._reading import read_pixels, to_tensor
from archzoo.data._resizing import resize
from archzoo.data._views import View, ViewOf

SCALES = (8, 4, 2)  # libjpeg's factors that are faster than none
# A JPEG is decoded at a scale that leaves at least this many pixels for each pixel of the view, down and across.
REDUCING_GAP = 2
# Interpolations with antialiasing, and what Pillow calls them.
RESAMPLING = {"bilinear": "BILINEAR", "bicubic": "BICUBIC"}
# What a file with an orientation has somewhere: EXIF's header, or XMP's name for it.
ORIENTATION_MARKS = (b"Exif", b"tiff:Orientation")
ORIENTATION = 0x0112


def decode(data: bytes, conversion: Conversion, view_of: ViewOf | None = None) -> Tensor:
    """An encoded image as bytes (C, H, W): the whole, or the view of it, cropped and resized.

    Raises MissingDependency without Pillow, ValueRangeError as ``convert`` does, and whatever Pillow raises for a
    corrupt image.
    """
    jpeg = open_jpeg(data, conversion.channels)
    if jpeg is None:
        image = read_pixels(io.BytesIO(data), conversion).permute(2, 0, 1)
        return image if view_of is None else _crop(image, view_of(*image.shape[1:]))
    if view_of is None:
        return jpeg.decode(1).permute(2, 0, 1)
    view = view_of(jpeg.height, jpeg.width)
    scale = choose_scale(view)
    pixels = jpeg.decode(scale)
    return _crop(pixels.permute(2, 0, 1), view) if scale == 1 else _resize_box(pixels, view, scale)


def choose_scale(view: View) -> int:
    """The factor that a JPEG is reduced by as it is decoded; 1 where Pillow does not resize as the view asks."""
    if view.interpolation not in RESAMPLING:
        return 1
    gap = min(view.box[2] / view.size[0], view.box[3] / view.size[1])
    return next((scale for scale in SCALES if gap >= scale * REDUCING_GAP), 1)


def _crop(image: Tensor, view: View) -> Tensor:
    top, left, height, width = view.box
    return resize(image[:, top : top + height, left : left + width], *view.size, view.interpolation)


def _resize_box(pixels: Tensor, view: View, scale: int) -> Tensor:
    """The view of a reduced image (h, w, C): its box need not begin or end at a pixel, which Pillow resizes exactly."""
    top, left, height, width = (length / scale for length in view.box)
    first_row, first_column = math.floor(top), math.floor(left)
    part = pixels[first_row : math.ceil(top + height), first_column : math.ceil(left + width)]
    bottom, right = min(top + height - first_row, part.shape[0]), min(left + width - first_column, part.shape[1])
    pillow = load_pillow()
    image = pillow.fromarray(part.squeeze(2).numpy())
    box = (left - first_column, top - first_row, right, bottom)
    by = getattr(pillow.Resampling, RESAMPLING[view.interpolation])
    resized = image.resize(view.size[::-1], by, box=box)
    return to_tensor(resized, pixels.shape[2]).permute(2, 0, 1)


@dataclass(frozen=True)
class Jpeg:
    """A JPEG whose header was read: its size, and the function that decodes it, reduced by a factor, to (h, w, C)."""

    height: int
    width: int
    decode: Callable[[int], Tensor]


def open_jpeg(data: bytes, channels: int) -> Jpeg | None:
    """A JPEG that is upright and has colors that need no conversion; None for any other image."""
    if data[:2] != b"\xff\xd8":
        return None
    simplejpeg = load_simplejpeg()
    if simplejpeg is None:
        return _open_with_pillow(data, channels)
    if any(mark in data for mark in ORIENTATION_MARKS) and _open_with_pillow(data, channels) is None:
        return None
    return _open_with_simplejpeg(simplejpeg, data, channels) or _open_with_pillow(data, channels)


@cache
def load_simplejpeg() -> Any:
    """simplejpeg, or None where it is not installed."""
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def _open_with_simplejpeg(simplejpeg: Any, data: bytes, channels: int) -> Jpeg | None:
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if colors not in (("Gray", "YCbCr", "RGB") if channels == 3 else ("Gray",)):
        return None

    def decode(scale: int) -> Tensor:
        smallest = {"min_height": -(-height // scale), "min_width": -(-width // scale)} if scale > 1 else {}
        try:
            pixels = simplejpeg.decode_jpeg(data, "RGB" if channels == 3 else "GRAY", **smallest)
        except ValueError:  # it refuses what Pillow mends, such as bytes between two segments
            return _decode_with_pillow(load_pillow().open(io.BytesIO(data)), channels, scale)
        return torch.from_numpy(pixels)

    return Jpeg(height, width, decode)


def _open_with_pillow(data: bytes, channels: int) -> Jpeg | None:
    image = load_pillow().open(io.BytesIO(data))
    if image.format not in ("JPEG", "MPO") or image.mode not in (("RGB", "L") if channels == 3 else ("L",)):
        return None
    if image.getexif().get(ORIENTATION, 1) != 1:
        return None
    return Jpeg(image.height, image.width, lambda scale: _decode_with_pillow(image, channels, scale))


def _decode_with_pillow(image: Any, channels: int, scale: int) -> Tensor:
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    return to_tensor(image.convert("RGB" if channels == 3 else "L"), channels)
