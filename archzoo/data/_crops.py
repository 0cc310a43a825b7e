"""Random crops and flips, and the fixed crops of ten-crop and 144-crop testing."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data._images import Images, stack, to_float
from archzoo.data._resizing import check_crop_fits, resize, resize_shorter_side, size_of
from archzoo.recipes import RandomCrop, RandomHorizontalFlip, RandomResizedCrop, RandomTenCrop, Range

LARGE = 2**15  # values of an image from which the CPU flips images faster one by one
Box = tuple[int, int, int, int]  # top, left, height, width


def random_crop(transform: RandomCrop, images: Images, numbers: Tensor) -> Tensor:
    """Pad each image, then cut a square out of the place that its two numbers draw."""
    side = size_of(transform)
    if transform.padding:
        images = _pad(transform, stack(images))
    if not isinstance(images, Tensor):
        return torch.stack([_crop(image, side, *pair) for image, pair in zip(images, numbers.tolist(), strict=True)])
    check_crop_fits(images, side, side)
    numbers = numbers.to(images.device)
    height, width = images.shape[-2:]
    top, left = (numbers[:, 0] * (height - side + 1)).long(), (numbers[:, 1] * (width - side + 1)).long()
    windows = images.unfold(2, side, 1).unfold(3, side, 1)  # a view (N, C, tops, lefts, side, side)
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def _pad(transform: RandomCrop, batch: Tensor) -> Tensor:
    """Torch reflects floats alone."""
    is_reflected = transform.padding_mode == "reflect"
    padded = to_float(batch) if is_reflected else batch
    return F.pad(padded, [transform.padding] * 4, "reflect" if is_reflected else "constant")


def _crop(image: Tensor, side: int, down: float, right: float) -> Tensor:
    check_crop_fits(image, side, side)
    top, left = int(down * (image.shape[1] - side + 1)), int(right * (image.shape[2] - side + 1))
    return image[:, top : top + side, left : left + side]


def random_resized_crop(transform: RandomResizedCrop, images: Images, numbers: Tensor) -> Tensor:
    """Cut the box that 22 numbers draw out of each image, and resize it to a square."""
    side = size_of(transform)
    crops = []
    for image, drawn in zip(images, numbers.tolist(), strict=True):
        top, left, height, width = draw_crop_box(transform, image.shape[1], image.shape[2], drawn)
        crops.append(resize(image[:, top : top + height, left : left + width], side, side, transform.interpolation))
    return torch.stack(crops)


def draw_crop_box(transform: RandomResizedCrop, height: int, width: int, drawn: Sequence[float]) -> Box:
    """The box that 22 numbers from 0 to 1 draw in an image of this size."""
    is_log = transform.aspect == "log_uniform"
    size = draw_box_size(height, width, drawn[:-2], transform.scale, transform.ratio, is_log=is_log)
    if size is None:
        square = min(height, width)
        return (height - square) // 2, (width - square) // 2, square, square
    return int(drawn[-2] * (height - size[0] + 1)), int(drawn[-1] * (width - size[1] + 1)), *size


def draw_box_size(
    height: int, width: int, drawn: Sequence[float], scale: Range, ratio: Range, *, is_log: bool = True
) -> tuple[int, int] | None:
    """The first drawn height and width that fit in an image; None where none does.

    Each pair of numbers draws an area, as a share of the image, and the logarithm of width / height, both uniform; or
    without ``is_log``, width / height itself, which a coin turns round.
    """
    draw_aspect = _log_uniform if is_log else _uniform_either_way
    for area_number, ratio_number in zip(drawn[::2], drawn[1::2], strict=True):
        area = height * width * (scale[0] + area_number * (scale[1] - scale[0]))
        aspect = draw_aspect(ratio_number, *ratio)
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            return box_height, box_width
    return None


def _log_uniform(number: float, low: float, high: float) -> float:
    return math.exp(math.log(low) + number * (math.log(high) - math.log(low)))


def _uniform_either_way(number: float, low: float, high: float) -> float:
    """The first bit of the number is the coin, and the others are the ratio."""
    turned, share = divmod(2 * number, 1)
    aspect = low + share * (high - low)
    return 1 / aspect if turned else aspect


def random_horizontal_flip(transform: RandomHorizontalFlip, images: Images, numbers: Tensor) -> Images:
    """Flip the images whose number is below the probability."""
    flipped = numbers.flatten() < transform.p
    if isinstance(images, Tensor) and (images.device.type != "cpu" or images[:1].numel() < LARGE):
        return torch.where(flipped.view(-1, 1, 1, 1).to(images.device), images.flip(-1), images)
    one_by_one = [image.flip(-1) if flip else image for image, flip in zip(images, flipped.tolist(), strict=True)]
    return torch.stack(one_by_one) if isinstance(images, Tensor) else one_by_one


def random_ten_crop(transform: RandomTenCrop, images: Images, numbers: Tensor) -> Tensor:
    """Take the one of its ten crops that the number of each image draws."""
    crops = ten_crops(stack(images), size_of(transform))
    chosen = (numbers.flatten() * 10).long()
    return crops[chosen, torch.arange(len(chosen))]


def ten_crops(images: Tensor, side: int) -> Tensor:
    """The four corners and the center of images (..., h, w), then of their mirror images: (10, ..., side, side).

    Raises DataError where images are smaller than ``side``.
    """
    check_crop_fits(images, side, side)
    height, width = images.shape[-2:]
    center = round((height - side) / 2), round((width - side) / 2)
    corners = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side)]
    return torch.stack(
        [
            view[..., top : top + side, left : left + side]
            for view in (images, images.flip(-1))
            for top, left in (*corners, center)
        ]
    )


def multi_crop_144(image: Tensor, side: int, sizes: Sequence[int] = (256, 288, 320, 352)) -> Tensor:
    """GoogLeNet's 144 crops of an image (C, h, w): (144, C, side, side) (Sec. 7).

    The image is resized to four shorter sides. Of each, the squares at both ends and in the center are taken; of each
    square, the four corners, the center and the whole square resized; of each crop, its mirror image too.
    """
    crops = []
    for resized in (resize_shorter_side(image, size) for size in sizes):
        square, longer = sorted(resized.shape[1:])
        is_tall = resized.shape[1] > square
        for start in (0, (longer - square) // 2, longer - square):
            part = resized[:, start : start + square] if is_tall else resized[..., start : start + square]
            whole = resize(part, side, side)
            crops += [ten_crops(part, side), torch.stack([whole, whole.flip(-1)])]
    return torch.cat(crops)
