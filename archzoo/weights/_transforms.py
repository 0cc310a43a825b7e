"""Images as published weights expect them: resized, cropped, normalized."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archzoo.data import center_crop, read_picture, resize_shorter_side
from archzoo.errors import ArchzooError, DataError
from archzoo.options import in_a_line, shown
from archzoo.recipes import Interpolation
from archzoo.registry import find
from archzoo.weights._published import choose
from archzoo.weights._published_set import PublishedWeights

# The shorter side for a crop of 224: seven eighths of it are cropped, but by torchvision's later recipes and timm's.
USUAL_SIDE = 256
LATER_TORCHVISION = 232
LATER_NETWORKS = ("resnext101_64x4d", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0")
TIMM_A1 = 235
TIMM_SIDES = {"mobilenetv1_125.ra4_e3600_r224_in1k": 248}
# The same for a crop of 299, which timm rounds down, and of some networks takes a larger part.
USUAL_SIDE_299 = 342
TIMM_299 = 341
TIMM_LARGER_PART = ("legacy_xception", "inception_resnet_v2"), 333
# The ends of timm's tags, and the beginnings, of weights that it resizes by splines.
BICUBIC = (
    (".a1_in1k", ".gluon_in1k"),
    ("densenet", "mobilenetv1_", "mobilenetv2_", "inception_", "legacy_xception"),
)


LARGEST = 1 << 28  # pixels of an image after resizing


@dataclass(frozen=True)
class Transform:
    """An image as a set of weights expects it: the shorter side resized, the center cropped, channels normalized.

    ``mean`` and ``std`` are of channels with values from 0 to 1, in the order ``channels``. Pixels come in the order
    red, green, blue.
    """

    shorter_side: int
    crop: tuple[int, int]
    interpolation: Interpolation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str = "RGB"

    def __call__(self, image: Any) -> Tensor:
        """An image as floats (C, H, W), or a batch (N, C, H, W).

        ``image`` is a path, a Pillow image, or a tensor (C, h, w) or (N, C, h, w) of bytes, or of floats from 0 to 1.
        Raises DataError for another one, for a file that cannot be read, and for an image that would be resized to more
        than 2^28 pixels, and MissingDependency without Pillow.
        """
        pixels = image if isinstance(image, Tensor) else self._read(image)
        self._check(pixels)
        if pixels.dim() == 4:
            return torch.stack([self(image) for image in pixels])
        resized = resize_shorter_side(pixels, self.shorter_side, self.interpolation)
        cropped = center_crop(resized, *self.crop)
        values = cropped.float() / 255 if cropped.dtype == torch.uint8 else cropped
        if self.channels == "BGR":
            values = values.flip(0)
        mean, std = (values.new_tensor(numbers).view(-1, 1, 1) for numbers in (self.mean, self.std))
        return (values - mean) / std

    def _read(self, image: Any) -> Tensor:
        path = Path(image) if isinstance(image, (str, os.PathLike)) else image
        try:
            return read_picture(path, len(self.mean))
        except ArchzooError:
            raise
        except Exception as error:  # Pillow's readers raise nearly anything
            reason = getattr(error, "strerror", "") or in_a_line(error)
            raise DataError(f"{shown(image)} cannot be read as an image: {reason}") from error

    def _check(self, pixels: Tensor) -> None:
        if pixels.dim() not in (3, 4) or pixels.shape[-3] != len(self.mean):
            raise DataError(
                f"an image must be ({len(self.mean)}, h, w), or a batch (N, {len(self.mean)}, h, w), not a tensor of "
                f"shape {tuple(pixels.shape)}"
            )
        height, width = pixels.shape[-2:]
        if not height or not width or max(height, width) * self.shorter_side**2 > LARGEST * min(height, width):
            raise DataError(
                f"an image of {height}x{width} cannot be resized to a shorter side of {self.shorter_side}: it would "
                f"have no pixels, or more than {LARGEST:,}"
            )
        if pixels.dtype != torch.uint8 and not pixels.is_floating_point():
            raise DataError(f"an image must be of bytes, or of floats from 0 to 1, not of {shown(pixels.dtype)}")


def transform(name: str, weights: str) -> Transform:
    """What published weights expect of an image: resizing, crop, mean and deviation of each channel, their order.

    Args:
        name: The network.
        weights: The set, such as "torchvision" or "timm:resnet18.a1_in1k", as for ``archzoo.build``.

    Raises UnknownName or BadOption if there are no such weights. Sets for 32x32 pixels are not cropped.
    """
    return transform_of(choose(find(name), weights, {}))


def transform_of(published: PublishedWeights) -> Transform:
    """The same for a set."""
    _, height, width = published.input_size
    side = _shorter_side(published) if height in (224, 299) else height
    by = published.library == "timm" and (published.tag.endswith(BICUBIC[0]) or published.tag.startswith(BICUBIC[1]))
    return Transform(
        *(side, (height, width), "bicubic" if by else "bilinear"),
        *(published.mean, published.std, published.channels),
    )


def _shorter_side(published: PublishedWeights) -> int:
    if published.input_size[1] == 299:
        networks, side = TIMM_LARGER_PART
        of_timm = side if published.tag.startswith(networks) else TIMM_299
        return of_timm if published.library == "timm" else USUAL_SIDE_299
    if published.library == "torchvision":
        later = published.tag == "IMAGENET1K_V2" or published.network in LATER_NETWORKS
        return LATER_TORCHVISION if later else USUAL_SIDE
    if published.library == "timm":
        return TIMM_SIDES.get(published.tag, TIMM_A1 if published.tag.endswith(".a1_in1k") else USUAL_SIDE)
    return USUAL_SIDE
