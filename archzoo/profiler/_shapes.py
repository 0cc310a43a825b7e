"""Shape rules: the result on meta tensors of the operators that convolutional networks use.

PyTorch computes most of these in Python, some in a millisecond per call; here they take microseconds. Every rule takes
the operator's own arguments and returns either what PyTorch would (shape, strides, dtype), or NotImplemented, which
leaves the call to PyTorch: layouts other than contiguous, mixed dtypes, and anything that looks wrong.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
META = torch.device("meta")
CHANNELS_LAST = torch.channels_last
Shape = Sequence[int]


def empty(shape: Shape, dtype: torch.dtype) -> Tensor:
    """A meta tensor of this shape, contiguous."""
    return torch.empty(shape, dtype=dtype, device=META)


def plain(x: Tensor) -> bool:
    """Whether the strides are exactly row-major, also where sides of length one leave that open."""
    if not x.is_contiguous():
        return False
    if x.dim() != 4 or not x.is_contiguous(memory_format=CHANNELS_LAST):
        return True
    _, maps, height, width = x.shape
    return x.stride() == (maps * height * width, height * width, width, 1)


def like(x: Tensor) -> Any:
    """A meta tensor with the shape, strides and dtype of ``x``, if ``x`` is contiguous or channels_last."""
    if plain(x):
        return torch.empty(x.shape, dtype=x.dtype, device=META)
    if x.dim() == 4 and x.is_contiguous(memory_format=CHANNELS_LAST) and not x.is_contiguous():
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=META)
    return NotImplemented


def window(side: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool = False) -> int:
    """How often a window fits on a padded side; with ``ceil`` a last one may overhang if it starts on the map."""
    room = side + 2 * padding - dilation * (kernel - 1) - 1
    fits = -(-room // stride) if ceil else room // stride
    return fits + 1 - (ceil and fits * stride >= side + padding)


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    transposed: bool,
    output_padding: Shape,
    groups: int,
) -> Any:
    """Convolution: as many outputs per side as windows fit."""
    if (
        transposed
        or x.dtype is not weight.dtype
        or x.dim() < 3
        or x.dim() != weight.dim()
        or not (plain(x) and plain(weight))
    ):
        return NotImplemented
    batch, channels, *sides = x.shape
    maps, inputs, *kernel = weight.shape
    if channels != inputs * groups or not batch or not len(sides) == len(kernel) == len(stride) == len(padding):
        return NotImplemented
    out = [batch, maps]
    for side, k, s, p, d in zip(sides, kernel, stride, padding, dilation, strict=True):
        room = side + 2 * p - d * (k - 1) - 1
        if room < 0 or s < 1:
            return NotImplemented
        out.append(room // s + 1)
    return empty(out, x.dtype)


def batch_norm(x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *_: Any) -> Any:
    """Batch normalization: the maps and two statistics per channel, in float32 at least."""
    out = like(x)
    if out is NotImplemented or x.dim() < 2 or not x.is_floating_point() or (training and x.numel() <= x.shape[1]):
        return NotImplemented
    saved = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return out, empty(x.shape[1:2], saved), empty(x.shape[1:2], saved)


def alike(x: Tensor, *_: Any, **__: Any) -> Any:
    """Elementwise functions of one tensor."""
    return like(x) if x.is_floating_point() else NotImplemented


def in_place(x: Tensor, *_: Any, **__: Any) -> Any:
    """In-place operators return their input."""
    return x


def stack(parts: Sequence[Tensor], dim: int = 0) -> Any:
    """Concatenation along a new dimension."""
    first = parts[0]
    if not (-first.dim() - 1 <= dim <= first.dim()) or not all(
        part.shape == first.shape and part.dtype is first.dtype and plain(part) for part in parts
    ):
        return NotImplemented
    sides = list(first.shape)
    sides.insert(dim % (len(sides) + 1), len(parts))
    return empty(sides, first.dtype)


def arithmetic(a: Tensor, b: Any, *_: Any, **__: Any) -> Any:
    """Arithmetic of a tensor with a tensor of the same shape and dtype, or with a number."""
    if not a.is_floating_point() or isinstance(b, complex):
        return NotImplemented
    if isinstance(b, Tensor) and (a.shape != b.shape or a.dtype is not b.dtype or a.stride() != b.stride()):
        return NotImplemented
    return like(a)


def concatenation(parts: Sequence[Tensor], dim: int = 0) -> Any:
    """Concatenation along an existing dimension."""
    first = parts[0]
    sides = list(first.shape)
    if not (sides and -len(sides) <= dim < len(sides)):
        return NotImplemented
    dim %= len(sides)
    rest = sides[:dim], sides[dim + 1 :]
    length = 0
    for part in parts:
        shape = list(part.shape)
        if (shape[:dim], shape[dim + 1 :]) != rest or part.dtype is not first.dtype or not plain(part):
            return NotImplemented
        length += shape[dim]
    sides[dim] = length
    return empty(sides, first.dtype)


def _pool(
    x: Tensor, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil: bool
) -> tuple[int, ...] | None:
    """The output shape of 2d pooling, or None to leave the call to PyTorch."""
    kernel, padding, dilation = (tuple(value) * (3 - len(value)) for value in (kernel, padding, dilation))
    stride = tuple(stride) * (3 - len(stride)) if stride else kernel
    if not plain(x) or x.dim() not in (3, 4) or min(x.shape) == 0:
        return None
    if min(*stride, *dilation) < 1 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return None
    per_side = zip(x.shape[-2:], kernel, stride, padding, dilation, strict=True)
    out = [window(*side, ceil) for side in per_side]
    return None if min(out) < 1 else (*x.shape[:-2], *out)


def max_pool(
    x: Tensor, kernel: Shape, stride: Shape = (), padding: Shape = (0,), dilation: Shape = (1,), ceil: bool = False
) -> Any:
    """Max pooling: the maps and the indices of the maxima."""
    shape = _pool(x, kernel, stride, padding, dilation, ceil)
    return NotImplemented if shape is None else (empty(shape, x.dtype), empty(shape, torch.int64))


def avg_pool(
    x: Tensor, kernel: Shape, stride: Shape = (), padding: Shape = (0,), ceil: bool = False, *_: Any, **__: Any
) -> Any:
    """Average pooling."""
    shape = _pool(x, kernel, stride, padding, (1,), ceil)
    return NotImplemented if shape is None or not x.is_floating_point() else empty(shape, x.dtype)


def adaptive_avg_pool(x: Tensor, size: Shape) -> Any:
    """Adaptive average pooling to ``size``."""
    if not plain(x) or x.dim() not in (3, 4) or min(x.shape) == 0 or not x.is_floating_point():
        return NotImplemented
    return empty((*x.shape[:-2], *size), x.dtype)


def reduction(x: Tensor, dim: Shape | None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Sums or means over some dimensions."""
    if not dim or dtype is not None or not x.is_floating_point() or not plain(x):
        return NotImplemented
    over = {axis % x.dim() for axis in dim if -x.dim() <= axis < x.dim()}
    if len(over) != len(dim):
        return NotImplemented
    sides = enumerate(x.shape)
    shape = [1 if axis in over else side for axis, side in sides if keepdim or axis not in over]
    return empty(shape, x.dtype)


def product(a: Tensor, b: Tensor) -> Any:
    """A matrix product."""
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0] or a.dtype is not b.dtype:
        return NotImplemented
    return empty((a.shape[0], b.shape[1]), a.dtype)


def product_and_sum(bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> Any:
    """A matrix product with a bias row."""
    if bias.dim() != 1 or bias.dtype is not a.dtype or a.dim() != 2 or b.dim() != 2 or bias.shape[0] != b.shape[1]:
        return NotImplemented
    return product(a, b)


def padded(x: Tensor, pad: Shape, value: float = 0) -> Any:
    """Constant padding, given from the last dimension backwards."""
    if not plain(x) or len(pad) % 2 or len(pad) > 2 * x.dim() or min(pad, default=-1) < 0 or not any(pad):
        return NotImplemented
    sides = list(x.shape)
    for i in range(len(pad) // 2):
        sides[-1 - i] += pad[2 * i] + pad[2 * i + 1]
    return NotImplemented if min(sides) < 1 else empty(sides, x.dtype)


SHAPES: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: convolution,
    aten.native_batch_norm.default: batch_norm,
    aten.add.Tensor: arithmetic,
    aten.sub.Tensor: arithmetic,
    aten.mul.Tensor: arithmetic,
    aten.div.Tensor: arithmetic,
    aten.pow.Tensor_Scalar: arithmetic,
    aten.cat.default: concatenation,
    aten.stack.default: stack,
    aten.max_pool2d_with_indices.default: max_pool,
    aten.avg_pool2d.default: avg_pool,
    aten._adaptive_avg_pool2d.default: adaptive_avg_pool,
    aten.mean.dim: reduction,
    aten.sum.dim_IntList: reduction,
    aten.mm.default: product,
    aten.addmm.default: product_and_sum,
    aten.constant_pad_nd.default: padded,
} | {
    operator.default: alike
    for operator in (aten.relu, aten.tanh, aten.sigmoid, aten.silu, aten.gelu, aten.hardtanh, aten.hardswish, aten.elu)
}
for _operator in (aten.relu_, aten.tanh_, aten.sigmoid_, aten.silu_, aten.hardtanh_, aten.hardswish_, aten.elu_):
    SHAPES[_operator.default] = in_place
