"""The crops of each evaluation protocol: batches (N, C, h, w), one crop of every image at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from archzoo.data import (
    RESIZE_RATIO,
    Images,
    Prepared,
    center_crop,
    multi_crop_144,
    resize_shorter_side,
    stack,
    ten_crops,
)
from archzoo.errors import RecipeError
from archzoo.recipes import Dense, Interpolation, MultiCrop144, Protocol, SingleCrop, TenCrop

Crops = Callable[[Images, Prepared], Iterator[Tensor]]
# GoogLeNet's shorter sides (Sec. 7).
MULTI_CROP_SIDES = (256, 288, 320, 352)


def crops_of(protocol: Protocol) -> Crops:
    """The function that makes a protocol's crops. Raises RecipeError for a protocol without one."""
    if isinstance(protocol, SingleCrop):
        if protocol.size is None or protocol.resize is None:
            return single_crop
        return _resized_single_crop(protocol.size, protocol.resize, protocol.interpolation)
    if isinstance(protocol, Dense):
        return partial(dense, sides=protocol.sides)
    by_type: dict[type[Protocol], Crops] = {TenCrop: ten_crop, MultiCrop144: multi_crop}
    if type(protocol) not in by_type:
        known = ", ".join(["SingleCrop", *(kind.__name__ for kind in by_type), "Dense"])
        raise RecipeError(f"protocol must be one of {known}, not {protocol!r}")
    return by_type[type(protocol)]


def single_crop(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """The center of each image."""
    yield prepared.center_crop(images)


def _resized_single_crop(size: int, resize: int, interpolation: Interpolation) -> Crops:
    """The center of each image after its shorter side is resized, for networks that take any size."""

    def crops(images: Images, prepared: Prepared) -> Iterator[Tensor]:
        resized = [resize_shorter_side(image, resize, interpolation) for image in images]
        centers = [center_crop(image, size, size) for image in resized]
        yield prepared.normalize_crops(torch.stack(centers))

    return crops


def ten_crop(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """Corners, center, and the same mirrored. Images no larger than a crop are enlarged as 224 to 256."""
    by_image = []
    for image in prepared.frame.transform(images):
        if min(image.shape[1:]) <= prepared.side:
            image = resize_shorter_side(image, round(prepared.side * RESIZE_RATIO))
        by_image.append(ten_crops(image, prepared.side))
    for position in range(10):
        yield prepared.finish(torch.stack([crops[position] for crops in by_image]))


def multi_crop(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """GoogLeNet's 144 crops (Sec. 7), of four scales in the proportions that 256 to 352 have to 224."""
    sides = [round(prepared.side * side / 224) for side in MULTI_CROP_SIDES]
    by_image = [multi_crop_144(image, prepared.side, sides) for image in images]
    for position in range(144):
        yield prepared.normalize_crops(torch.stack([crops[position] for crops in by_image]))


def dense(images: Images, prepared: Prepared, sides: Sequence[int]) -> Iterator[Tensor]:
    """Whole images of these shorter sides, and mirrored (VGG, Sec. 3.2), for a fully convolutional network."""
    for side in sides:
        scaled = stack([resize_shorter_side(image, round(prepared.side * side / 224)) for image in images])
        batch = prepared.normalize_crops(scaled)
        yield batch
        yield batch.flip(-1)
