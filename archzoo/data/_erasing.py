"""Random erasing (Zhong et al. 2017)."""

import math

import torch
from torch import Tensor

from archzoo.data._images import Images, stack
from archzoo.errors import DataError
from archzoo.recipes import RandomErasing, Range


def random_erasing(transform: RandomErasing, images: Images, numbers: Tensor) -> Tensor:
    """Overwrite a box of each image where its first number is below the probability.

    Raises DataError where ``fill`` has another number of values than one or the channels.
    """
    batch = stack(images)
    drawn = numbers.double().to(batch.device)
    height, width = batch.shape[-2:]
    is_log = transform.aspect == "log_uniform"
    boxes = draw_box_sizes(height, width, drawn[:, 1:-2], transform.scale, transform.ratio, is_log=is_log)
    rows, columns = (
        _within(side, (place * (side - size + 1)).long(), size)
        for side, size, place in ((height, boxes[:, 0], drawn[:, -2]), (width, boxes[:, 1], drawn[:, -1]))
    )
    erased = (drawn[:, 0] < transform.p).view(-1, 1, 1) & rows.unsqueeze(2) & columns.unsqueeze(1)
    return _fill(batch, erased, transform.fill)


def _fill(batch: Tensor, erased: Tensor, fill: tuple[float, ...]) -> Tensor:
    """Images (N, C, H, W) with these values where ``erased`` (N, H, W). No number is copied to a device."""
    if len(fill) == 1:
        return batch.masked_fill(erased.unsqueeze(1), fill[0])
    if len(fill) != batch.shape[1]:
        raise DataError(
            f"fill of RandomErasing has {len(fill)} values, and images have {batch.shape[1]} channels: give one value, "
            f"or one for each channel"
        )
    return torch.stack([batch[:, at].masked_fill(erased, value) for at, value in enumerate(fill)], 1)


def _within(side: int, starts: Tensor, lengths: Tensor) -> Tensor:
    """Which of ``side`` positions lie in each interval, (N, side)."""
    positions = torch.arange(side, device=starts.device)
    return (positions >= starts.unsqueeze(1)) & (positions < (starts + lengths).unsqueeze(1))


def draw_box_sizes(
    height: int, width: int, drawn: Tensor, scale: Range, ratio: Range, *, is_log: bool = True
) -> Tensor:
    """The height and width of the first box that is smaller than an image both ways, or 0: (N, 2).

    Each row has pairs of numbers, on any device. They draw an area, as a share of the image, and the logarithm of
    width / height, both uniform; or without ``is_log``, height / width itself.
    """
    areas = height * width * (scale[0] + drawn[:, ::2] * (scale[1] - scale[0]))
    if is_log:
        low, high = math.log(ratio[0]), math.log(ratio[1])
        wide = torch.exp(low + drawn[:, 1::2] * (high - low))
        heights, widths = torch.sqrt(areas / wide), torch.sqrt(areas * wide)
    else:
        tall = ratio[0] + drawn[:, 1::2] * (ratio[1] - ratio[0])
        heights, widths = torch.sqrt(areas * tall), torch.sqrt(areas / tall)
    heights, widths = heights.round(), widths.round()
    fits = (heights > 0) & (heights < height) & (widths > 0) & (widths < width)
    first = fits & (fits.cumsum(1) == 1)
    return torch.stack([(sides * first).sum(1) for sides in (heights, widths)], 1).long()
