"""TensorFlow's padding "SAME", and 3x3 convolutions that pad as networks of TensorFlow or of torch do."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers._modules import Conv2d

Padding = Literal["same", "symmetric"]


class SamePadding(nn.Module):
    """The padding "SAME" of TensorFlow for the convolution or pooling that comes next: ceil(side / stride) positions.

    Of an odd number of missing rows or columns, the bottom and the right get one more: a 3x3 window of stride 2 reads
    maps of an even side with nothing above and one row of zeros below. Maps (N, C, H, W) become maps of the same N and
    C. ``value`` is written; -inf is that of max pooling.
    """

    def __init__(self, kernel_size: int, stride: int, value: float = 0.0) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.value = value

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        return F.pad(maps, (*self.before_and_after(width), *self.before_and_after(height)), value=self.value)

    def before_and_after(self, side: int) -> tuple[int, int]:
        """The rows or columns that are added before and after ``side`` of them."""
        last_window = (side - 1) // self.stride * self.stride
        missing = last_window + self.kernel_size - side
        if self.kernel_size < self.stride:  # rows between windows are not read, nor need those behind the last one be
            missing = max(missing, 0)
        return missing // 2, missing - missing // 2

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


def padded_conv3x3(
    padding: Padding, in_channels: int, out_channels: int, stride: int = 1, groups: int = 1
) -> dict[str, nn.Module]:
    """A 3x3 convolution without bias, padded as TensorFlow does ("same"), or by one on every side ("symmetric").

    At a stride of 1 both are the same, and the convolution itself pads.
    """
    if padding == "symmetric" or stride == 1:
        return {"conv": Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)}
    conv = Conv2d(in_channels, out_channels, 3, stride, groups=groups, bias=False)
    return {"pad": SamePadding(3, stride), "conv": conv}
