"""Random erasing (Zhong et al. 2017)."""

import math

import torch
from torch import Tensor

from archzoo.data._images import Images, stack
from archzoo.recipes import RandomErasing, Range


def random_erasing(transform: RandomErasing, images: Images, numbers: Tensor) -> Tensor:
    """Set a box of each image to zero where its first number is below the probability."""
    batch = stack(images)
    drawn = numbers.double().to(batch.device)
    height, width = batch.shape[-2:]
    boxes = draw_box_sizes(height, width, drawn[:, 1:-2], transform.scale, transform.ratio)
    rows, columns = (
        _within(side, (place * (side - size + 1)).long(), size)
        for side, size, place in ((height, boxes[:, 0], drawn[:, -2]), (width, boxes[:, 1], drawn[:, -1]))
    )
    erased = (drawn[:, 0] < transform.p).view(-1, 1, 1) & rows.unsqueeze(2) & columns.unsqueeze(1)
    return batch.masked_fill(erased.unsqueeze(1), 0)


def _within(side: int, starts: Tensor, lengths: Tensor) -> Tensor:
    """Which of ``side`` positions lie in each interval, (N, side)."""
    positions = torch.arange(side, device=starts.device)
    return (positions >= starts.unsqueeze(1)) & (positions < (starts + lengths).unsqueeze(1))


def draw_box_sizes(height: int, width: int, drawn: Tensor, scale: Range, ratio: Range) -> Tensor:
    """The first height and width that fit in an image, of each row of pairs of numbers; (N, 2), 0 where none does.

    As ``draw_box_size`` draws one, for a whole batch and on its device.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    areas = height * width * (scale[0] + drawn[:, ::2] * (scale[1] - scale[0]))
    aspects = torch.exp(low + drawn[:, 1::2] * (high - low))
    heights, widths = torch.sqrt(areas / aspects).round(), torch.sqrt(areas * aspects).round()
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    first = fits & (fits.cumsum(1) == 1)
    return torch.stack([(sides * first).sum(1) for sides in (heights, widths)], 1).long()
