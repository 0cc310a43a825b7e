"""What the first step of a pipeline takes from an image: known before the image is decoded, so that less is decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import Any

from torch import Tensor

from archzoo.data._crops import Box, draw_crop_box
from archzoo.data._resizing import draw_sides, scaled_size, size_of
from archzoo.recipes import Interpolation, RandomResizedCrop, Resize


@dataclass(frozen=True)
class View:
    """A box of an image (top, left, height, width), the height and width that it is resized to, and how."""

    box: Box
    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"


ViewOf = Callable[[int, int], View]  # of an image of this height and width


@dataclass(frozen=True)
class Views:
    """The view of each image, by its size. ``same_size``: the step returns one tensor rather than a list."""

    by_image: list[ViewOf]
    same_size: bool


@singledispatch
def views_of(step: Any, numbers: Tensor) -> Views | None:
    """The views that a step takes with numbers (N, draws); None for a step that is no crop and resize."""
    return None


@views_of.register
def _random_resized_crop(step: RandomResizedCrop, numbers: Tensor) -> Views:
    return Views([partial(_crop, step, drawn) for drawn in numbers.tolist()], same_size=True)


@views_of.register
def _resize(step: Resize, numbers: Tensor) -> Views:
    return Views([partial(_whole, side, step.interpolation) for side in draw_sides(step, numbers)], same_size=False)


def _crop(step: RandomResizedCrop, drawn: list[float], height: int, width: int) -> View:
    side = size_of(step)
    return View(draw_crop_box(step, height, width, drawn), (side, side), step.interpolation)


def _whole(side: int, interpolation: Interpolation, height: int, width: int) -> View:
    return View((0, 0, height, width), scaled_size((height, width), side), interpolation)
