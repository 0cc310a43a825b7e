"""Pictures to look at: those that a recipe trains on, or two photographs that need no download."""

import os
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data._conversion import Conversion
from archzoo.data._dataset import ImageSet
from archzoo.data._folders import read_images
from archzoo.data._formats import load_pillow
from archzoo.data._layout import read_content
from archzoo.data._reading import Reading, read_pixels
from archzoo.data._resizing import center_crop, resize_shorter_side
from archzoo.data._sources import load
from archzoo.errors import DataError, MissingDependency

THUMBNAIL_SIDE = 64  # in pixels: networks with an input of at most this side take thumbnails, as CIFAR's are


def load_pictures(source: str | Path, *, side: int = 224) -> ImageSet:
    """The pictures of a source.

    Args:
        source: A source of ``load``, whose training images are returned; a folder that holds pictures and no folders of
            classes, in color; or ``photographs``.
        side: The input side of the network, in pixels.

    Raises:
        DataError: For an unknown source, or one that cannot be read.
        MissingDependency: Where a package that reads the source is not installed.
    """
    folder = Path(source)
    if str(source) == "photographs":
        return load_photographs(side)
    if folder.is_dir() and read_content(folder).images:
        return read_images(folder, Reading())
    return load(source, side=side).train


def read_picture(path: Path, channels: int) -> Tensor:
    """A picture as bytes (C, h, w).

    Raises MissingDependency, ValueRangeError, DataError for what is no file, such as a device that has no end, and
    whatever Pillow raises for a corrupt one.
    """
    if isinstance(path, Path) and os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path} is a folder, a device or a pipe, not a picture")
    return read_pixels(path, Conversion(channels)).permute(2, 0, 1)


def has_colors(path: Path) -> bool:
    """Whether a picture is in color, by its header."""
    with load_pillow().open(path) as image:
        return image.mode not in ("1", "L", "LA", "La", "I", "F") and not image.mode.startswith("I;")


def load_photographs(side: int = 224) -> ImageSet:
    """scikit-learn's two sample photographs, a temple and a flower.

    They have 427x640 pixels. For a ``side`` of at most 64 pixels, the central square is reduced to it. Raises
    MissingDependency without scikit-learn or Pillow.
    """
    try:
        from sklearn.datasets import load_sample_images

        bunch = load_sample_images()
    except ImportError as error:
        raise MissingDependency(
            "the photographs come from scikit-learn and Pillow, which are not installed: pip install 'archzoo[train]'"
        ) from error
    photographs = [torch.from_numpy(image.copy()).permute(2, 0, 1) for image in bunch.images]
    if side <= THUMBNAIL_SIDE:
        photographs = [_thumbnail(photograph, side) for photograph in photographs]
    classes = [Path(name).stem for name in bunch.filenames]
    return ImageSet.from_tensor("photographs", torch.stack(photographs), torch.arange(len(classes)), classes)


def _thumbnail(image: Tensor, side: int) -> Tensor:
    return center_crop(resize_shorter_side(image, side), side, side)
