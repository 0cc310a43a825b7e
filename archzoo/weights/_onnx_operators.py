"""What the operators of an ONNX graph compute, as far as classic networks have them.

Each function takes the attributes of a node and its operands. The values of integer tensors, such as the shape of a
reshape, are lists of Python's.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.layers import ResponseNorm

Attributes = Mapping[str, Any]
Sides = tuple[int, int]


# A graph of a hostile file may ask for any amount of memory: numbers for one image, several times what networks need.
MOST_ELEMENTS = 1 << 26


class NotFollowed(NotImplementedError):
    """An operator, or a setting of one, that is not known here, or more memory or time than any network needs."""


def check_elements(elements: int) -> None:
    """Raise NotFollowed for more numbers than networks have at a time for one image."""
    if elements > MOST_ELEMENTS:
        raise NotFollowed(f"maps of {elements:,} values")


def _pair(values: Sequence[int] | None, default: int = 1) -> Sides:
    if values is None:
        return default, default
    if len(values) != 2:
        raise NotFollowed("windows that are not of two dimensions")
    return int(values[0]), int(values[1])


def _pads(node: Attributes, maps: Tensor, kernel: Sides, stride: Sides, dilation: Sides) -> tuple[Sides, Sides]:
    """The padding before and after the maps, in both dimensions."""
    mode = node.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        sides = zip(maps.shape[2:], kernel, stride, dilation, strict=True)
        total = [max((-(-side // s) - 1) * s + d * (k - 1) + 1 - side, 0) for side, k, s, d in sides]
        small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        before, after = (small, large) if mode == "SAME_UPPER" else (large, small)
        return _pair(before), _pair(after)
    pads = [0] * 4 if mode == "VALID" else node.get("pads", [0] * 4)
    if len(pads) != 4 or min(pads) < 0:
        raise NotFollowed(f"pads of {pads}")
    return _pair(pads[:2]), _pair(pads[2:])


def _padded(maps: Tensor, before: Sides, after: Sides, value: float) -> Tensor:
    height, width = (side + b + a for side, b, a in zip(maps.shape[2:], before, after, strict=True))
    check_elements(maps.shape[1] * height * width)
    return F.pad(maps, (before[1], after[1], before[0], after[0]), value=value)


def conv(node: Attributes, maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.dim() != 4:
        raise NotFollowed("convolutions that are not of two dimensions")
    kernel = _pair(weight.shape[2:])
    stride, dilation = _pair(node.get("strides")), _pair(node.get("dilations"))
    before, after = _pads(node, maps, kernel, stride, dilation)
    if before != after:
        maps, before = _padded(maps, before, after, 0.0), (0, 0)
    out = F.conv2d(maps, weight, bias, stride, before, dilation, int(node.get("group", 1)))
    check_elements(prod(out.shape[2:]) * prod(weight.shape[1:]))  # the windows, which torch lays out as a matrix
    return out


def _windows(side: int, before: int, after: int, kernel: int, stride: int, ceil: bool) -> int:
    rest = side + before + after - kernel
    return (-(-rest // stride) if ceil else rest // stride) + 1


def max_pool(node: Attributes, maps: Tensor) -> Tensor:
    """Padding at the end that only completes the last window is rounding up, which is the same function."""
    kernel, stride, dilation = _pair(node["kernel_shape"]), _pair(node.get("strides")), _pair(node.get("dilations"))
    before, after = _pads(node, maps, kernel, stride, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    sides = list(zip(maps.shape[2:], before, after, spans, stride, strict=True))
    wanted = [_windows(*side, bool(node.get("ceil_mode", 0))) for side in sides]
    for ceil in (False, True):
        # Torch drops a last window that starts beyond the maps.
        fits = all(b <= k // 2 for b, k in zip(before, kernel, strict=True))
        rounded = [_windows(side, b, b, span, s, ceil) for side, b, _, span, s in sides]
        starts = [(n - 1) * s - b for n, (_, b, _, _, s) in zip(rounded, sides, strict=True)]
        inside = all(start < side for start, side in zip(starts, maps.shape[2:], strict=True))
        if fits and rounded == wanted and inside:
            return F.max_pool2d(maps, kernel, stride, before, dilation, ceil_mode=ceil)
    if node.get("ceil_mode", 0):
        raise NotFollowed("a max pooling whose windows end beyond its padding")
    return F.max_pool2d(_padded(maps, before, after, float("-inf")), kernel, stride, 0, dilation)


def average_pool(node: Attributes, maps: Tensor) -> Tensor:
    kernel, stride = _pair(node["kernel_shape"]), _pair(node.get("strides"))
    before, after = _pads(node, maps, kernel, stride, (1, 1))
    sides = zip(maps.shape[2:], before, after, kernel, stride, strict=True)
    ceil, counted = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    wanted = [_windows(*side, ceil) for side in sides]
    covers = all(k >= side + b for side, b, k in zip(maps.shape[2:], before, kernel, strict=True))
    if wanted == [1, 1] and covers and (not counted or before == after == (0, 0)):
        return maps.mean((2, 3), keepdim=True)
    if before != after or (ceil and counted):
        raise NotFollowed("an average pooling with another padding at its end")
    return F.avg_pool2d(maps, kernel, stride, before, ceil_mode=ceil, count_include_pad=counted)


def lrn(node: Attributes, maps: Tensor) -> Tensor:
    """ONNX divides alpha by the size, as Caffe does."""
    size = int(node["size"])
    if size < 1 or size % 2 == 0:
        raise NotFollowed(f"a response normalization over {size} maps")
    check_elements((maps.shape[1] + size) * prod(maps.shape[2:]))
    alpha, beta, bias = (node.get(name, value) for name, value in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    normalized: Tensor = ResponseNorm(size, alpha / size, beta, bias)(maps)
    return normalized


def batch_norm(node: Attributes, maps: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    if node.get("training_mode", 0):
        raise NotFollowed("batch normalization in training mode")
    return F.batch_norm(maps, mean, var, scale, bias, False, 0.1, node.get("epsilon", 1e-5))


def gemm(node: Attributes, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if node.get("transA", 0) or node.get("alpha", 1.0) != 1 or node.get("beta", 1.0) != 1:
        raise NotFollowed("a Gemm that is scaled or transposes its input")
    bias = bias.flatten() if bias is not None and bias.dim() > 1 else bias
    return F.linear(rows, weight if node.get("transB", 0) else weight.t(), bias)


def reshape(node: Attributes, maps: Tensor, shape: Sequence[int] | None = None) -> Tensor:
    """The first side is the batch, which files write as 1: it stays."""
    sides = list(node.get("shape", []) if shape is None else shape)
    if len(sides) < 2 or len(sides) > 8:
        raise NotFollowed(f"a reshape to {sides}")
    sides = [maps.shape[i] if side == 0 else side for i, side in enumerate(sides)]
    return maps.reshape(maps.shape[0], *sides[1:])


def pad(node: Attributes, maps: Tensor, pads: Sequence[int] | None = None, value: Any = None, _: Any = None) -> Tensor:
    pads = list(node.get("pads", []) if pads is None else pads)
    value = node.get("value", 0.0) if value is None else float(value)
    if node.get("mode", "constant") != "constant" or len(pads) != 2 * maps.dim() or min(pads) < 0:
        raise NotFollowed("a padding that is no constant one of every dimension")
    ends = zip(pads[: maps.dim()], pads[maps.dim() :], strict=True)
    return F.pad(maps, [side for end in reversed(list(ends)) for side in end], value=value)


def slice_(node: Attributes, maps: Tensor, *numbers: Sequence[int] | None) -> Tensor:
    given = dict(zip(("starts", "ends", "axes", "steps"), numbers, strict=False))
    starts, ends = (node.get(name) if given.get(name) is None else given[name] for name in ("starts", "ends"))
    if starts is None or ends is None:
        raise NotFollowed("a slice between values that are computed")
    axes: Any = node.get("axes", range(len(starts))) if given.get("axes") is None else given["axes"]
    steps: Any = [1] * len(starts) if given.get("steps") is None else given["steps"]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise NotFollowed("a slice that goes back")
        index = [slice(None)] * maps.dim()
        index[axis] = slice(start, end, step)
        maps = maps[tuple(index)]
    return maps


def split(node: Attributes, maps: Tensor, sizes: Sequence[int] | None = None) -> tuple[Tensor, ...]:
    axis = node.get("axis", 0)
    sizes = node.get("split") if sizes is None else sizes
    if sizes is None:
        return maps.chunk(int(node["num_outputs"]), axis)
    return torch.split(maps, list(sizes), axis)


def concat(node: Attributes, *maps: Tensor) -> Tensor:
    return torch.cat(maps, int(node.get("axis", 1)))


def flatten(node: Attributes, maps: Tensor) -> Tensor:
    if node.get("axis", 1) != 1:
        raise NotFollowed("a flattening of the batch")
    return maps.flatten(1)


def mean(node: Attributes, maps: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    chosen = node.get("axes") if axes is None else axes
    if not chosen:
        raise NotFollowed("a mean over everything")
    return maps.mean(list(chosen), keepdim=bool(node.get("keepdims", 1)))


def squeeze(node: Attributes, maps: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    chosen = node.get("axes") if axes is None else axes
    if not chosen:
        raise NotFollowed("a squeeze of whatever has one element")
    return maps.squeeze(tuple(int(axis) for axis in chosen))


def unsqueeze(node: Attributes, maps: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    for axis in sorted(node.get("axes", []) if axes is None else axes):
        maps = maps.unsqueeze(int(axis))
    return maps


def softmax(node: Attributes, maps: Tensor) -> Tensor:
    return maps.softmax(int(node.get("axis", 1)))


def clip(node: Attributes, maps: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low, high = (node.get(n) if v is None else float(v) for n, v in (("min", low), ("max", high)))
    return maps.clamp(low, high)


def dropout(node: Attributes, maps: Tensor, rate: Any = None, training: Any = None) -> Tensor:
    """Its input, in eval mode."""
    if training:
        raise NotFollowed("a dropout in training mode")
    return maps


Operator = Callable[..., Tensor | tuple[Tensor, ...]]
OPERATORS: Mapping[str, Operator] = {
    "Conv": conv,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": lambda node, maps: maps.mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda node, maps: maps.amax((2, 3), keepdim=True),
    "LRN": lrn,
    "BatchNormalization": batch_norm,
    "Gemm": gemm,
    "MatMul": lambda node, rows, weight: rows @ weight,
    "Relu": lambda node, maps: maps.relu(),
    "Sigmoid": lambda node, maps: maps.sigmoid(),
    "Tanh": lambda node, maps: maps.tanh(),
    "Softmax": softmax,
    "Clip": clip,
    "Add": lambda node, a, b: a + b,
    "Sum": lambda node, *parts: sum(parts[1:], start=parts[0]),
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Div": lambda node, a, b: a / b,
    "Pow": lambda node, a, b: a**b,
    "Sqrt": lambda node, maps: maps.sqrt(),
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Pad": pad,
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": lambda node, maps: maps.permute(node["perm"]),
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "ReduceMean": mean,
    "Dropout": dropout,
    "Identity": lambda node, maps: maps,
}
PRODUCTS = ("Conv", "Gemm", "MatMul")


def products(kind: str, weight: Tensor, out: Tensor) -> int:
    """The multiplications of an operator, as far as they count."""
    if kind not in PRODUCTS:
        return out.numel()
    return out.numel() * max(prod(weight.shape) // max(weight.shape[0], 1), 1)
