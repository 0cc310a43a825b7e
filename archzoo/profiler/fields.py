"""From operator to receptive field: how what an operator returns sees the image.

Every rule takes what the operator returned, its operands that depend on the image, each with its field, and the
operator's own arguments. Where no rule is known, all positions of all operands are mixed: never too small.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd
from typing import Any, TypeAlias

import torch
from torch import Tensor

from archzoo.profiler.intervals import Axis, Field, collapse, move, unite

aten = torch.ops.aten
Inputs: TypeAlias = Sequence[tuple[Tensor, Field]]  # the operands that depend on the image, each with its field


def _settled(field: Field, tensor: Tensor, out: Tensor) -> Field:
    """The field of a tensor whose values are spread over a larger one: what had one position there stays there."""
    if all(dim is None or tensor.shape[dim] == out.shape[dim] for dim, _ in field):
        return field
    return tuple(
        axis
        if axis[0] is None or tensor.shape[axis[0]] == out.shape[axis[0]]
        else collapse(axis, tensor.shape[axis[0]])
        for axis in field
    )


def pointwise(out: Any, inputs: Inputs, *_: Any, **__: Any) -> Field:
    """Of numbers worked out position by position, from tensors that broadcast."""
    out = out[0] if isinstance(out, tuple | list) else out
    if len(inputs) == 1 and inputs[0][0].shape == out.shape:
        return inputs[0][1]
    settled = [_settled(field, tensor, out) for tensor, field in inputs]
    return unite(settled) if _aligned(settled) else mixed(out, inputs)


def _aligned(fields: Sequence[Field]) -> bool:
    """Whether no axis of the image runs along different dimensions in different tensors."""
    return all(len({dim for dim, _ in axes if dim is not None}) < 2 for axes in zip(*fields, strict=True))


def mixed(out: Any, inputs: Inputs, *_: Any, **__: Any) -> Field:
    """Of numbers that may depend on all positions of all inputs."""
    return unite(
        tuple(axis if axis[0] is None else collapse(axis, tensor.shape[axis[0]]) for axis in field)
        for tensor, field in inputs
    )


def _each(value: Sequence[int], axes: int) -> Sequence[int]:
    """A value for each axis, where torch gives one if they are equal."""
    return list(value) * axes if len(value) == 1 else value


def _windowed(
    tensor: Tensor,
    field: Field,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Field:
    out: list[Axis] = []
    before: tuple[Any, ...] = ()
    for axis in field:
        dim = axis[0]
        if dim is None or dim < -len(kernel):  # no dimension, or the one of the channels, which is read whole
            out.append(axis if dim is None else collapse(axis, tensor.shape[dim]))
            continue
        window = axis[1], kernel[dim], stride[dim], padding[dim], dilation[dim]
        if window == before:  # square windows over square fields: the axes are alike
            out.append((dim, out[-1][1]))
            continue
        _, k, s, p, d = before = window
        out.append(move(axis, s, -p, d * (k - 1) - p))
    return tuple(out)


def convolution(out: Tensor, inputs: Inputs, x: Tensor, weight: Tensor, *rest: Any) -> Field:
    """Of a convolution; a transposed one spreads every input over a window of the output."""
    if len(inputs) > 1 or inputs[0][0] is not x:
        return mixed(out, inputs)
    _, stride, padding, dilation, transposed, _, _ = rest
    kernel = weight.shape[2:]
    stride, padding, dilation = (_each(one, len(kernel)) for one in (stride, padding, dilation))
    if not transposed:
        return _windowed(x, inputs[0][1], kernel, stride, padding, dilation)
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        dim = axis[0]
        if dim is None or dim < -len(kernel):
            axes.append(axis if dim is None else collapse(axis, x.shape[dim]))
            continue
        s, reach = stride[dim], dilation[dim] * (kernel[dim] - 1)
        axes.append(move(axis, Fraction(1, s), Fraction(padding[dim] - reach, s), Fraction(padding[dim], s)))
    return tuple(axes)


def pooling(
    out: Any,
    inputs: Inputs,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Any = (1,),
    *_: Any,
    **__: Any,
) -> Field:
    """Of pooling by windows (the fifth operand of average pooling is no dilation, but whether it rounds up)."""
    dilation = (1,) if isinstance(dilation, bool) else dilation
    kernel, stride, padding, dilation = (
        _each(one, x.dim() - 2) for one in (kernel, stride or kernel, padding, dilation)
    )
    return _windowed(x, inputs[0][1], kernel, stride, padding, dilation)


def adaptive_pooling(out: Any, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Of windows that share a side out among the outputs: from floor(p n / m) to ceil((p + 1) n / m) - 1."""
    pooled = out[0] if isinstance(out, tuple) else out
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] is not None:
            n, m = x.shape[axis[0]], pooled.shape[axis[0]]
            axis = move(axis, Fraction(n, m), -_rounding(n, m), Fraction(n, m) - 1 + _rounding(n, m))
        axes.append(axis)
    return tuple(axes)


def upsampling(out: Tensor, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Of interpolation by the nearest position: p reads floor(p n / m)."""
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] is not None:
            n, m = x.shape[axis[0]], out.shape[axis[0]]
            axis = move(axis, Fraction(n, m), -_rounding(n, m), 0)
        axes.append(axis)
    return tuple(axes)


def _rounding(n: int, m: int) -> Fraction:
    """By how much rounding can move a multiple of n / m at most."""
    parts = m // gcd(n, m)
    return Fraction(parts - 1, parts)


def reduction(out: Any, inputs: Inputs, x: Tensor, dim: Any = None, keepdim: Any = False, *_: Any, **__: Any) -> Field:
    """Of a sum over some dimensions: they are gone, or of length one."""
    if dim is None or not isinstance(dim, int | list | tuple):
        return mixed(out, inputs)
    over = {at % x.dim() - x.dim() for at in ([dim] if isinstance(dim, int) else dim)} or set(range(-x.dim(), 0))
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] in over:
            axes.append(collapse(axis, x.shape[axis[0]]))  # type: ignore[index]
        elif axis[0] is None or keepdim is True:
            axes.append(axis)
        else:
            axes.append((axis[0] + sum(gone > axis[0] for gone in over), axis[1]))
    return tuple(axes)


def along(out: Any, inputs: Inputs, x: Tensor, dim: int, *_: Any, **__: Any) -> Field:
    """Of numbers that depend on all others along one dimension: softmax, cumulative sums."""
    at = dim % x.dim() - x.dim()
    return tuple(axis if axis[0] != at else (axis[0], collapse(axis, x.shape[at])[1]) for axis in inputs[0][1])


def concatenation(out: Tensor, inputs: Inputs, parts: Any, dim: int = 0) -> Field:
    """Of parts side by side: along a dimension of the image, no interval says where a part begins."""
    at = dim % out.dim() - out.dim()
    if any(axis[0] == at for _, field in inputs for axis in field):
        return mixed(out, inputs)
    fields = [field for _, field in inputs]
    return unite(fields) if _aligned(fields) else mixed(out, inputs)


def stacking(out: Tensor, inputs: Inputs, parts: Any, dim: int = 0) -> Field:
    """Of parts along a new dimension."""
    at = dim % out.dim() - out.dim()
    fields = [field for _, field in inputs]
    together = unite(fields) if _aligned(fields) else mixed(out, inputs)
    return tuple((dim if dim is None or dim > at else dim - 1, intervals) for dim, intervals in together)


def reshaping(out: Tensor, inputs: Inputs, x: Tensor, *_: Any, **__: Any) -> Field:
    """Of the same numbers in another shape: a dimension stays itself where all behind it are as they were."""
    return tuple(
        axis if axis[0] is None or x.shape[axis[0] :] == out.shape[axis[0] :] else collapse(axis, x.shape[axis[0]])
        for axis in inputs[0][1]
    )


def transposition(out: Tensor, inputs: Inputs, x: Tensor, a: int, b: int) -> Field:
    """Of two dimensions that change places."""
    order = list(range(x.dim()))
    order[a], order[b] = order[b], order[a]
    return permutation(out, inputs, x, order)


def permutation(out: Tensor, inputs: Inputs, x: Tensor, order: Sequence[int]) -> Field:
    """Of dimensions in another order."""
    places = [at % x.dim() - x.dim() for at in order]
    return tuple((dim if dim is None else places.index(dim) - x.dim(), intervals) for dim, intervals in inputs[0][1])


def turning(out: Tensor, inputs: Inputs, x: Tensor) -> Field:
    """Of the transposed of a matrix."""
    return transposition(out, inputs, x, 0, 1) if x.dim() == 2 else inputs[0][1]


def unsqueezing(out: Tensor, inputs: Inputs, x: Tensor, dim: int) -> Field:
    """Of a tensor with one more dimension, of length one."""
    return stacking(out, inputs, [x], dim)


def squeezing(out: Tensor, inputs: Inputs, x: Tensor, dim: Any = None) -> Field:
    """Of a tensor without some dimensions of length one."""
    asked = range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = [at for at in asked if x.shape[at] == 1]
    return reduction(out, inputs, x, gone) if gone else inputs[0][1]


def selecting(out: Tensor, inputs: Inputs, x: Tensor, dim: int, index: int) -> Field:
    """Of one position of a dimension, which is gone."""
    at, index = dim % x.dim() - x.dim(), index % x.shape[dim]
    axes: list[Axis] = []
    for axis in inputs[0][1]:
        if axis[0] == at:
            axis = collapse(move(axis, 1, index, index), 1)
        elif axis[0] is not None and axis[0] < at:
            axis = (axis[0] + 1, axis[1])
        axes.append(axis)
    return tuple(axes)


def splitting(out: Any, inputs: Inputs, x: Tensor, sizes: Any, dim: int = 0) -> Field:
    """Of pieces of one dimension, all of them together."""
    return along(out, inputs, x, dim)


def indexing(out: Tensor, inputs: Inputs, x: Tensor, places: Sequence[Any]) -> Field:
    """Of chosen positions: the dimensions behind those that are chosen from stay as they are."""
    if len(inputs) > 1:
        return mixed(out, inputs)
    last = max(at for at, chosen in enumerate(places) if chosen is not None) - x.dim()
    return tuple(
        axis if axis[0] is None or axis[0] > last else collapse(axis, x.shape[axis[0]]) for axis in inputs[0][1]
    )


def batch_norm(
    out: Any, inputs: Inputs, x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool = False, *_: Any
) -> Field:
    """Of a batch normalization: position by position, unless it takes the statistics of these very maps."""
    if not training:
        return pointwise(out, inputs)
    axes = (axis if axis[0] is None else (axis[0], collapse(axis, x.shape[axis[0]])[1]) for axis in inputs[0][1])
    return tuple(axes)


def layer_norm(out: Any, inputs: Inputs, x: Tensor, shape: Sequence[int], *_: Any) -> Field:
    """Of a normalization over the last dimensions."""
    field = inputs[0][1]
    for at in range(1, len(shape) + 1):
        field = along(out, [(x, field)], x, -at)
    return field


def slicing(
    out: Tensor,
    inputs: Inputs,
    x: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Field:
    """Of every ``step``-th position from ``start`` on."""
    at = dim % x.dim() - x.dim()
    first = start or 0
    first = max(first + x.shape[at], 0) if first < 0 else min(first, x.shape[at])
    return tuple(move(axis, step, first, first) if axis[0] == at else axis for axis in inputs[0][1])


def padding(out: Tensor, inputs: Inputs, x: Tensor, pad: Sequence[int], *_: Any, **__: Any) -> Field:
    """Of a map with borders, given from the last dimension backwards: position p reads p minus the border."""
    before = {-1 - at: pad[2 * at] for at in range(len(pad) // 2)}
    return tuple(
        axis if axis[0] not in before else move(axis, 1, -before[axis[0]], -before[axis[0]]) for axis in inputs[0][1]
    )


def product(out: Tensor, inputs: Inputs, *operands: Any, **_: Any) -> Field:
    """Of a matrix product with one operand from the image: its last dimension is summed over, if it stands left."""
    left = operands[1] if len(operands) > 2 else operands[0]
    if len(inputs) > 1 or inputs[0][0] is not left:
        return mixed(out, inputs)
    return tuple(axis if axis[0] != -1 else collapse(axis, left.shape[-1]) for axis in inputs[0][1])


Rule: TypeAlias = Callable[..., Field]
_RULES: dict[Rule, str] = {
    convolution: "convolution _convolution",
    pooling: "max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d",
    adaptive_pooling: """_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d
        adaptive_max_pool3d""",
    upsampling: "upsample_nearest1d upsample_nearest2d",
    reduction: "mean sum amax amin",
    along: "_softmax _log_softmax _safe_softmax cumsum cumprod",
    concatenation: "cat",
    stacking: "stack",
    reshaping: "view _unsafe_view _reshape_alias",
    transposition: "transpose",
    permutation: "permute",
    turning: "t",
    unsqueezing: "unsqueeze",
    squeezing: "squeeze",
    selecting: "select",
    slicing: "slice",
    splitting: "split split_with_sizes unsafe_split unsafe_split_with_sizes",
    indexing: "index",
    layer_norm: "native_layer_norm",
    batch_norm: "native_batch_norm _native_batch_norm_legit cudnn_batch_norm",
    padding: "constant_pad_nd",
    product: "mm addmm bmm",
    pointwise: """clone alias detach _to_copy native_dropout expand lift_fresh copy_
        _native_batch_norm_legit_no_training _batch_norm_no_update _batch_norm_with_update hardswish hardswish_ mish_
        gelu_ prelu _prelu_kernel relu6_ log_sigmoid_forward rrelu_with_noise threshold_""",
}
FIELDS: dict[Any, Rule] = {getattr(aten, name): rule for rule, names in _RULES.items() for name in names.split()}


def rule_of(operator: Any) -> Rule:
    """How an operator's output sees the image; where nothing is known about it, as a mixture of all."""
    if operator.overloadpacket in FIELDS:
        return FIELDS[operator.overloadpacket]
    return pointwise if torch.Tag.pointwise in operator.tags else mixed
