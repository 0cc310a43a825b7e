"""ONNX's operators as functions of torch: from the attributes of a node and its inputs, to its results.

Inputs that are left out are None. What only values tell (a shape to reshape to, axes) are tensors with values.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.errors import ProfileError

Attributes = dict[str, Any]
Rule = Callable[..., Any]
DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    14: torch.complex64,
    15: torch.complex128,
    16: torch.bfloat16,
}
aten = torch.ops.aten


def ints(values: Any) -> list[int]:
    """Integers from a tensor, a list or a number."""
    if isinstance(values, Tensor):
        if values.is_meta:
            raise ProfileError("the graph computes a shape from values of its inputs, which only a run tells")
        values = values.tolist()
    return [int(value) for value in values] if isinstance(values, list | tuple) else [int(values)]


def _pads(attributes: Attributes, x: Tensor, kernel: Sequence[int]) -> list[tuple[int, int]]:
    """Padding before and after each axis."""
    axes = len(kernel)
    auto = attributes.get("auto_pad", "NOTSET")
    pads = attributes.get("pads") or [0] * (2 * axes)
    if auto in ("NOTSET", "VALID"):
        return list(zip(pads[:axes], pads[axes:], strict=True)) if auto == "NOTSET" else [(0, 0)] * axes
    strides, dilations = (attributes.get(name) or [1] * axes for name in ("strides", "dilations"))
    around = []
    for side, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max((-(-side // s) - 1) * s + (k - 1) * d + 1 - side, 0)
        less, more = total // 2, total - total // 2
        around.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return around


def _around(x: Tensor, pads: Sequence[tuple[int, int]], value: float) -> tuple[Tensor, list[int]]:
    """The input and the padding that is equal on both sides; any other padding is done here."""
    if all(before == after for before, after in pads):
        return x, [before for before, _ in pads]
    return F.pad(x, [side for pair in reversed(pads) for side in pair], value=value), [0] * len(pads)


def conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution of any number of axes."""
    axes = weight.dim() - 2
    x, padding = _around(x, _pads(attributes, x, weight.shape[2:]), 0)
    strides, dilations = (attributes.get(name) or [1] * axes for name in ("strides", "dilations"))
    out: Tensor = aten.convolution.default(
        x, weight, bias, strides, padding, dilations, False, [0] * axes, attributes.get("group", 1)
    )
    return out


def conv_transpose(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution, with equal padding on both sides."""
    axes = weight.dim() - 2
    pads = _pads(attributes, x, weight.shape[2:])
    if any(before != after for before, after in pads) or attributes.get("output_shape"):
        raise ProfileError("ConvTranspose with unequal padding, or with output_shape, has no rule")
    strides, dilations = (attributes.get(name) or [1] * axes for name in ("strides", "dilations"))
    more = attributes.get("output_padding") or [0] * axes
    out: Tensor = aten.convolution.default(
        x, weight, bias, strides, [before for before, _ in pads], dilations, True, more, attributes.get("group", 1)
    )
    return out


def gemm(attributes: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """A matrix product, of transposed matrices if so stated."""
    a = a.t() if attributes.get("transA") else a
    b = b.t() if attributes.get("transB") else b
    return torch.mm(a, b) if c is None else torch.addmm(c, a, b)


def batch_norm(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """Batch normalization by running statistics."""
    return F.batch_norm(x, mean, var, scale, bias, False)


def pool(kind: str, fill: float) -> Rule:
    """Max or average pooling."""

    def rule(attributes: Attributes, x: Tensor) -> Tensor:
        kernel = attributes["kernel_shape"]
        x, padding = _around(x, _pads(attributes, x, kernel), fill)
        strides = attributes.get("strides") or [1] * len(kernel)
        function = getattr(F, f"{kind}_pool{len(kernel)}d")
        ceil = bool(attributes.get("ceil_mode"))
        if kind == "avg":
            out: Tensor = function(x, kernel, strides, padding, ceil, bool(attributes.get("count_include_pad")))
        else:
            dilations = attributes.get("dilations") or [1] * len(kernel)
            out = function(x, kernel, strides, padding, dilations, ceil)
        return out

    return rule


def global_average(attributes: Attributes, x: Tensor) -> Tensor:
    """Averages of whole maps."""
    return x.mean(list(range(-1, 1 - x.dim(), -1)), keepdim=True)


def reduction(function: Rule) -> Rule:
    """A reduction over axes that are an attribute, or in later versions an input."""

    def rule(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
        axes = axes if axes is not None else attributes.get("axes")
        over = ints(axes) if axes is not None else list(range(x.dim()))
        out: Tensor = function(x, over, bool(attributes.get("keepdims", 1)))
        return out

    return rule


def reshape(attributes: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    """0 keeps a side, -1 is what is left."""
    sides = ints(shape)
    keep = not attributes.get("allowzero")
    return x.reshape([x.shape[axis] if side == 0 and keep else side for axis, side in enumerate(sides)])


def flatten(attributes: Attributes, x: Tensor) -> Tensor:
    """Two axes of all."""
    axis = attributes.get("axis", 1)
    return x.reshape(prod(x.shape[:axis]), -1) if axis != 1 else x.flatten(1)


def squeeze(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    """Without axes of length 1."""
    axes = axes if axes is not None else attributes.get("axes")
    return x.squeeze() if axes is None else x.squeeze(ints(axes))


def unsqueeze(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    """With more axes of length 1, by their places in the result."""
    axes = ints(axes if axes is not None else attributes["axes"])
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def split(attributes: Attributes, x: Tensor, lengths: Any = None) -> Any:
    """Parts of given lengths, or of equal ones."""
    axis = attributes.get("axis", 0)
    lengths = lengths if lengths is not None else attributes.get("split")
    if lengths is not None:
        return torch.split(x, ints(lengths), axis)
    return x.chunk(attributes["num_outputs"], axis)


def slices(
    attributes: Attributes, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Tensor:
    """A part along some axes."""
    starts, ends = (
        ints(given if given is not None else attributes[name]) for given, name in ((starts, "starts"), (ends, "ends"))
    )
    axes = axes if axes is not None else attributes.get("axes")
    axes = ints(axes) if axes is not None else list(range(len(starts)))
    for axis, start, end, step in zip(
        axes, starts, ends, ints(steps) if steps is not None else [1] * len(axes), strict=True
    ):
        if step < 0:
            raise ProfileError("Slice with a negative step has no rule")
        x = x[(slice(None),) * (axis % x.dim()) + (slice(start, end, step),)]
    return x


def gather(attributes: Attributes, x: Tensor, index: Tensor) -> Tensor:
    """Elements along one axis."""
    axis = attributes.get("axis", 0) % x.dim()
    picked = x.index_select(axis, index.reshape(-1))
    return picked.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def pad(attributes: Attributes, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    """Padding in one of torch's modes."""
    sides = ints(pads if pads is not None else attributes["pads"])
    over = ints(axes) if axes is not None else list(range(x.dim()))
    before, after = [0] * x.dim(), [0] * x.dim()
    for position, axis in enumerate(over):
        before[axis], after[axis] = sides[position], sides[position + len(over)]
    around = [side for axis in reversed(range(x.dim())) for side in (before[axis], after[axis])]
    mode = {"edge": "replicate", "wrap": "circular"}.get(attributes.get("mode", "constant"), attributes.get("mode"))
    if mode in (None, "constant"):
        return F.pad(x, around, value=float(value) if isinstance(value, Tensor) and not value.is_meta else 0.0)
    while len(around) > 2 and around[-2:] == [0, 0]:
        around = around[:-2]
    return F.pad(x, around, mode=str(mode))


def resize(attributes: Attributes, x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
    """Interpolation to a size."""
    if sizes is not None:
        target = ints(sizes)[2:]
    else:
        target = [int(side * scale) for side, scale in zip(x.shape, scales.tolist(), strict=True)][2:]
    mode = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}.get(x.dim(), "linear"), "cubic": "bicubic"}
    return F.interpolate(x, target, mode=mode.get(attributes.get("mode", "nearest"), "nearest"))


def layer_norm(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Normalization over the last axes."""
    axis = attributes.get("axis", -1) % x.dim()
    return F.layer_norm(x, x.shape[axis:], scale, bias)


def clip(attributes: Attributes, x: Tensor, least: Any = None, most: Any = None) -> Tensor:
    """Limits to a range. Which they are changes no count, and they may be results of others, without values."""
    return F.hardtanh(x, 0.0, 1.0) if x.is_floating_point() else x.clamp(0, 1)


def shape_of(attributes: Attributes, x: Tensor) -> Tensor:
    """The sides of a tensor, as a tensor that has values."""
    return torch.tensor(list(x.shape)[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64)


def expand(attributes: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    """Broadcasting to a shape."""
    sides = torch.broadcast_shapes(x.shape, tuple(ints(shape)))  # type: ignore[no-untyped-call]
    return x.expand(sides)


def cast(attributes: Attributes, x: Tensor, *_: Any) -> Tensor:
    """Another dtype."""
    return x.to(DTYPES[attributes["to"]]) if "to" in attributes else x


def constant_of_shape(attributes: Attributes, shape: Tensor) -> Tensor:
    """A tensor that is full of one value, which is zero by default."""
    value = attributes.get("value", torch.zeros(1))
    return torch.full(ints(shape), value.reshape(-1)[0].item(), dtype=value.dtype)


def plain(function: Rule) -> Rule:
    """A function of the inputs alone."""
    return lambda attributes, *inputs: function(*inputs)


RULES: dict[str, Rule] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": plain(torch.matmul),
    "Einsum": lambda attributes, *inputs: torch.einsum(attributes["equation"], *inputs),
    "BatchNormalization": batch_norm,
    "InstanceNormalization": lambda attributes, x, scale, bias: F.instance_norm(x, None, None, scale, bias),
    "LayerNormalization": layer_norm,
    "GroupNormalization": lambda attributes, x, *rest: F.group_norm(x, attributes["num_groups"], *rest),
    "LRN": lambda attributes, x: F.local_response_norm(x, attributes["size"]),
    "MaxPool": pool("max", float("-inf")),
    "AveragePool": pool("avg", 0.0),
    "GlobalAveragePool": global_average,
    "GlobalMaxPool": lambda attributes, x: x.amax(list(range(2, x.dim())), keepdim=True),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "ReduceMax": reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMin": reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "ReduceL2": reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, dim=axes, keepdim=keep)),
    "Softmax": lambda attributes, x: x.softmax(attributes.get("axis", -1)),
    "LogSoftmax": lambda attributes, x: x.log_softmax(attributes.get("axis", -1)),
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": lambda attributes, x: x.permute(attributes.get("perm") or list(reversed(range(x.dim())))),
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Concat": lambda attributes, *inputs: torch.cat(inputs, attributes["axis"]),
    "Split": split,
    "Slice": slices,
    "Gather": gather,
    "Pad": pad,
    "Resize": resize,
    "Upsample": lambda attributes, x, scales: resize(attributes, x, None, scales),
    "Shape": shape_of,
    "Size": lambda attributes, x: torch.tensor(x.numel()),
    "Expand": expand,
    "Tile": lambda attributes, x, repeats: x.repeat(ints(repeats)),
    "Cast": cast,
    "CastLike": lambda attributes, x, like: x.to(like.dtype),
    "ConstantOfShape": constant_of_shape,
    "Range": plain(lambda start, limit, delta: torch.arange(start.item(), limit.item(), delta.item())),
    "DepthToSpace": lambda attributes, x: F.pixel_shuffle(x, attributes["blocksize"]),
    "SpaceToDepth": lambda attributes, x: F.pixel_unshuffle(x, attributes["blocksize"]),
    "Identity": plain(lambda x: x),
    "Dropout": lambda attributes, x, *_: x,
    "Clip": clip,
    "LeakyRelu": lambda attributes, x: F.leaky_relu(x, attributes.get("alpha", 0.01)),
    "Elu": plain(F.elu),
    "Selu": plain(F.selu),
    "Celu": plain(F.celu),
    "Gelu": plain(F.gelu),
    "PRelu": plain(torch.mul),
    "HardSigmoid": plain(F.hardsigmoid),
    "HardSwish": plain(F.hardswish),
    "Softplus": plain(F.softplus),
    "Softsign": plain(F.softsign),
    "Mish": plain(F.mish),
    "Relu": plain(torch.relu),
    "Where": plain(torch.where),
    "Not": plain(torch.logical_not),
    "And": plain(torch.logical_and),
    "Or": plain(torch.logical_or),
    "Equal": plain(torch.eq),
    "Greater": plain(torch.gt),
    "GreaterOrEqual": plain(torch.ge),
    "Less": plain(torch.lt),
    "LessOrEqual": plain(torch.le),
    "Max": plain(torch.maximum),
    "Min": plain(torch.minimum),
    "Mod": plain(torch.remainder),
    **{name: plain(getattr(torch, name.lower())) for name in ("Add", "Sub", "Mul", "Div", "Pow", "Abs", "Neg", "Exp")},
    **{name: plain(getattr(torch, name.lower())) for name in ("Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round")},
    **{name: plain(getattr(torch, name.lower())) for name in ("Sigmoid", "Tanh", "Erf", "Sin", "Cos", "Sign")},
}
