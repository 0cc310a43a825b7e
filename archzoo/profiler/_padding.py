"""Multiply-adds by padding: those of a convolution that read a zero beside its input, counted from shapes.

Along one axis, the weight at position j of a kernel meets the input at o * stride - padding + j * dilation for output
o. It is a multiplication by padding where that is outside of the input. Axes are independent: what is inside is the
product of their counts, as in XLA's cost analysis (HloCostAnalysis::GetConvolutionFlops). A transposed convolution is
the gradient of a convolution, with input and output exchanged: its padding cuts off what falls outside of the output.

Zeros that ``F.pad`` or ``ZeroPad2d`` put around the input are padding too, where the convolution reads them directly.
Other modes of padding are no zeros.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

from torch import Tensor

from archzoo.profiler._work import Counts

Borders = tuple[tuple[int, int], ...]  # zeros before and after, of each axis behind batch and channels
NAME = "zero_borders"  # of the attribute of a tensor that has its borders, and its version when it got them


def valid_positions(
    side: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int, before: int = 0, after: int = 0
) -> int:
    """Pairs of an output and a position of the kernel that meet an input which is not one of its zero borders."""
    count = 0
    for position in range(kernel):
        offset = padding - position * dilation
        first = max(-((-before - offset) // stride), 0)
        last = min((side - after - 1 + offset) // stride, outputs - 1)
        count += max(last - first + 1, 0)
    return count


def valid_landings(
    side: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int, before: int = 0, after: int = 0
) -> int:
    """The same of a transposed convolution: pairs of an input and a position of the kernel that meet an output."""
    count = 0
    for position in range(kernel):
        offset = padding - position * dilation
        first = max(-(-offset // stride), before)
        last = min((outputs - 1 + offset) // stride, side - after - 1)
        count += max(last - first + 1, 0)
    return count


def convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Multiply-adds by padding, of the forward pass."""
    borders = getattr(x, NAME, None)
    padding = rest[2]
    if borders is None and not any(padding):
        return 0
    borders = _unwritten(x, borders)
    stride, dilation = tuple(rest[1]), tuple(rest[3])
    return _padding(x.shape, weight.shape, out.shape, stride, tuple(padding), dilation, rest[4], borders)


@lru_cache(2**14)
def _padding(
    x: Sequence[int],
    weight: Sequence[int],
    out: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    borders: Borders | None,
) -> int:
    """Multiply-adds by padding, from shapes."""
    sides, kernel, outputs = x[2:], weight[2:], out[2:]
    per_axis = zip(
        sides,
        outputs,
        kernel,
        *_spread(len(sides), stride, padding, dilation),
        borders or ((0, 0),) * len(sides),
        strict=True,
    )
    count = valid_landings if transposed else valid_positions
    valid = prod(count(side, *values, *border) for side, *values, border in per_axis)
    positions = prod(sides if transposed else outputs) * prod(kernel)
    pairs = prod((x if transposed else out)[:2]) * weight[1]  # of maps, in all inputs
    return pairs * (positions - valid)


def _spread(axes: int, *values: Sequence[int]) -> list[Sequence[int]]:
    """Values of each axis, where one may stand for all."""
    return [value if len(value) == axes else tuple(value) * axes for value in values]


def convolution_gradients(out: Any, grad: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """As many as forward for each gradient."""
    gradients: int = sum(rest[-1][:2])
    return gradients * convolution(grad, x, weight, *rest)


def temporal_convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """``conv_tbc``: (time, batch, channels), the weight is (kernel, inputs, outputs)."""
    padding: int = rest[1] if len(rest) > 1 else 0
    valid = valid_positions(x.shape[0], out.shape[0], weight.shape[0], 1, padding, 1)
    return (out.shape[0] * weight.shape[0] - valid) * x.shape[1] * prod(weight.shape[1:])


def record_borders(out: Tensor, x: Tensor, pad: Sequence[int], value: float = 0, *_: Any, **__: Any) -> Counts:
    """``constant_pad_nd``: note on its result how many zeros are around it. It has no arithmetic to count."""
    axes = x.dim() - 2
    if value != 0 or axes < 1:
        return {}
    inner = _unwritten(x, getattr(x, NAME, None)) or ((0, 0),) * axes
    outer = [(pad[2 * axis], pad[2 * axis + 1]) if 2 * axis < len(pad) else (0, 0) for axis in reversed(range(axes))]
    borders = tuple(
        tuple(max(zeros + more, 0) for zeros, more in zip(*both, strict=True))
        for both in zip(inner, outer, strict=True)
    )
    if not out.is_inference():  # where writes are not counted
        setattr(out, NAME, (borders, out._version))
    return {}


def _unwritten(x: Tensor, noted: "tuple[Borders, int] | None") -> Borders | None:
    """The zeros around a tensor, or None if none are known, or if something was written into it since."""
    return None if noted is None or noted[1] != x._version else noted[0]
