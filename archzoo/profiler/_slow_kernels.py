"""Which convolutions PyTorch computes on the CPU by kernels of its own, which unfold maps into columns."""

from collections.abc import Sequence

import torch
from torch import Tensor

SLOW = ("Slow2d", "Slow3d", "SlowDilated2d", "SlowDilated3d", "SlowTranspose2d", "SlowTranspose3d")
OF_ONE_IMAGE = SLOW[2:]  # these unfold one image after another, the others the whole batch


def slow_kernel(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> str | None:
    """PyTorch's own kernel that a convolution takes on the CPU, None for oneDNN's."""
    row = [1] * (x.dim() == 3), [0] * (x.dim() == 3)  # one dimension is computed as one row of two
    sides = [*row[0], *stride], [*row[1], *padding], [*row[0], *dilation]
    geometry = (*sides, transposed, [*row[1], *output_padding], groups, None)
    backend = torch._C._select_conv_backend(_stand_in(x), _stand_in(weight), None, *geometry)
    return next((name for name in SLOW if str(backend).endswith(f".{name}")), None)


def _stand_in(tensor: Tensor) -> Tensor:
    """A tensor of the CPU with this shape, that of a row for one dimension, and a single element."""
    shape = tensor.shape if tensor.dim() != 3 else (*tensor.shape[:2], 1, tensor.shape[2])
    return torch.empty((), dtype=tensor.dtype, device="cpu").expand(shape)
