"""From operator to formula: the cost of one call of an ATen operator.

A multiply-add (MAC) is one multiplication and one addition, of convolutions and matrix products only (``PRODUCTS``).
Normalization, pooling and elementwise arithmetic are in ``OTHER_OPS``, counted separately and never as MACs. Operators
that only move data are in ``MOVES``. An operator in none of these tables is reported by name.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from archzoo.profiler._receptive_fields import Rule, mixed, rule_of
from archzoo.profiler._shapes import SHAPES
from archzoo.profiler._work import Counts

aten = torch.ops.aten


@dataclass(frozen=True)
class Operator:
    """The rules for one operator.

    Attributes:
        shape: Computes the result on meta tensors, or NotImplemented.
        macs: Computes the multiply-adds.
        factors: The positions of the operands that are multiplied.
        weight: The position of the weight, if the operator is a layer.
        bias: The position of the bias, if the operator is a layer.
        other_ops: Computes all other counts.
        known: Whether the operator is in any table; if not, it is reported.
        subject: Which of the tensors must be a meta tensor for ``shape`` to apply.
        writes: Whether the operator may write into a part of a tensor.
        fresh: Whether the operator creates a tensor without reading one.
        field_rule: Computes the receptive field of the result.
        positions: The positions of operands that may be tensors or lists of tensors.
    """

    shape: Callable[..., Any] | None = None
    macs: Callable[..., int] | None = None
    factors: tuple[int, ...] = (0, 1)
    weight: int | None = None
    bias: int | None = None
    other_ops: Callable[..., Counts] | None = None
    known: bool = True
    subject: int = 0
    writes: bool = False
    fresh: bool = False
    field_rule: Rule = mixed
    positions: tuple[int, ...] = ()

    def tensors(self, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
        """The tensors among the operands of a call, including those in lists."""
        tensors: list[Tensor] = []
        count = len(args)
        for position in self.positions:
            if position < count:
                operand = args[position]
                if isinstance(operand, Tensor):
                    tensors.append(operand)
                elif isinstance(operand, list | tuple):
                    tensors += [inner for inner in operand if isinstance(inner, Tensor)]
        for operand in kwargs.values():
            if isinstance(operand, Tensor):
                tensors.append(operand)
        return tensors


def convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Each output reads one kernel; a transposed convolution writes one kernel for each input instead."""
    transposed = rest[4]
    return (x if transposed else out).numel() * prod(weight.shape[1:])


def attention(out: Any, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **_: Any) -> int:
    """Queries x keys, then attention weights x values."""
    scores = query.numel() * key.shape[-2]
    return scores + scores // query.shape[-1] * value.shape[-1]


def _matrix(out: Tensor, a: Tensor, b: Tensor) -> int:
    return out.numel() * a.shape[-1]


def _vector(out: Tensor, a: Tensor, b: Tensor) -> int:
    return a.numel()


def _matrix_and_sum(out: Tensor, bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> int:
    return a.numel() * b.shape[-1]


_ATTENTION = Operator(None, attention, (0, 1, 2))
PRODUCTS: dict[Any, Operator] = {
    aten.convolution: Operator(None, convolution, weight=1, bias=2),
    aten._convolution: Operator(None, convolution, weight=1, bias=2),
    aten.linear: Operator(None, lambda out, x, weight, bias=None: out.numel() * weight.shape[-1], weight=1, bias=2),
    aten.addmm: Operator(None, _matrix_and_sum, (1, 2), weight=2, bias=0, subject=1),
    aten.mm: Operator(None, _matrix, weight=1),
    aten.bmm: Operator(None, _matrix),
    aten.mv: Operator(None, _vector),
    aten.dot: Operator(None, _vector),
    aten.vdot: Operator(None, _vector),
    aten.addbmm: Operator(None, _matrix_and_sum, (1, 2)),
    aten.baddbmm: Operator(None, _matrix_and_sum, (1, 2)),
    aten.addmv: Operator(None, lambda out, bias, a, b, **_: a.numel(), (1, 2)),
    aten._scaled_dot_product_flash_attention: _ATTENTION,
    aten._scaled_dot_product_flash_attention_for_cpu: _ATTENTION,
    aten._scaled_dot_product_efficient_attention: _ATTENTION,
    aten._scaled_dot_product_cudnn_attention: _ATTENTION,
    aten._scaled_dot_product_fused_attention_overrideable: _ATTENTION,
}


def _batch_norm(out: Any, x: Tensor, weight: Tensor | None = None, *_: Any, **__: Any) -> Counts:
    count = x.numel()
    return {"batch_norm": count, "batch_norm_affine": count if weight is not None else 0}


def _layer_norm(out: Any, x: Tensor, shape: Any, weight: Tensor | None = None, *_: Any, **__: Any) -> Counts:
    count = x.numel()
    return {"layer_norm": count, "layer_norm_affine": count if weight is not None else 0}


def _group_norm(out: Any, x: Tensor, weight: Tensor | None = None, *_: Any, **__: Any) -> Counts:
    return _layer_norm(out, x, None, weight)


def _max_pool(out: Any, x: Tensor, kernel: Any, *_: Any, **__: Any) -> Counts:
    return {"pool_reads": out[0].numel() * _area(kernel, x.dim() - 2)}


def _avg_pool(out: Tensor, x: Tensor, kernel: Any, *_: Any, **__: Any) -> Counts:
    count = out.numel()
    return {"avg_pooled": count, "pool_reads": count * _area(kernel, x.dim() - 2)}


def _area(kernel: Any, sides: int) -> int:
    """The area of a window; torch may give a single side for a square one."""
    area: int = prod(kernel) if len(kernel) > 1 else kernel[0] ** sides
    return area


def _adaptive(out: Tensor, x: Tensor, *_: Any, **__: Any) -> Counts:
    return {"adaptive_inputs": x.numel(), "adaptive_outputs": out.numel(), "pool_reads": x.numel()}


def _mean(out: Tensor, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Counts:
    # Adaptive pooling to one position is this call of torch's own, with these dimensions in this order.
    return _adaptive(out, x) if keepdim and list(dim or ()) == [-1, -2] else {"elementwise": x.numel()}


def _reads(out: Any, x: Any, *_: Any, **__: Any) -> Counts:
    return {"elementwise": x.numel()}


def _pool_reads(out: Any, x: Tensor, *_: Any, **__: Any) -> Counts:
    return {"pool_reads": x.numel()}


def _writes(out: Any, *_: Any, **__: Any) -> Counts:
    return {"elementwise": out.numel() if isinstance(out, Tensor) else 0}


def _packets(names: str) -> list[Any]:
    return [getattr(aten, name) for name in names.split() if hasattr(aten, name)]


OTHER_OPS: dict[Any, Callable[..., Counts]] = {}
for _count, _names in (
    (
        _batch_norm,
        """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_no_update
        _batch_norm_with_update cudnn_batch_norm""",
    ),
    (_layer_norm, "native_layer_norm"),
    (_group_norm, "native_group_norm"),
    (_max_pool, "max_pool2d_with_indices"),
    (_avg_pool, "avg_pool1d avg_pool2d avg_pool3d"),
    (_adaptive, "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d"),
    (_mean, "mean"),
    (
        _pool_reads,
        "max_pool3d_with_indices max_pool1d_with_indices adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d",
    ),
    (
        _reads,
        """sum amax amin max min argmax argmin var var_mean std prod cumsum cumprod norm linalg_vector_norm logsumexp
        any all count_nonzero topk sort argsort _softmax _log_softmax _safe_softmax glu bucketize searchsorted""",
    ),
    (
        _writes,
        """native_dropout upsample_nearest1d upsample_nearest2d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
        hardswish hardswish_ mish_ gelu_ prelu _prelu_kernel relu6_ log_sigmoid_forward rrelu_with_noise threshold_""",
    ),
):
    OTHER_OPS.update(dict.fromkeys(_packets(_names), _count))

# Operators that create tensors without reading one.
FRESH = set(
    _packets("""
zeros ones full empty arange linspace eye scalar_tensor empty_strided rand randn randint randperm empty_like zeros_like
ones_like full_like rand_like randn_like new_empty new_zeros new_ones new_full new_empty_strided
""")
)
# Operators that move or look up data without arithmetic.
MOVES = set(
    _packets("""
embedding cat stack split split_with_sizes unbind clone copy_ _to_copy index index_select gather scatter scatter_
index_put index_put_ slice_scatter select_scatter repeat roll flip tril triu constant_pad_nd reflection_pad1d
reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d fill_ zero_ lift_fresh
lift_fresh_copy _unsafe_view _reshape_alias resize_ channel_shuffle native_channel_shuffle pixel_shuffle
unsafe_split unsafe_split_with_sizes as_strided_
pixel_unshuffle bernoulli bernoulli_ uniform_ normal_ nonzero masked_fill masked_fill_ where _local_scalar_dense
squeeze_ unsqueeze_ transpose_ t_ detach_ im2col col2im unfold_copy alias _conj
""")
)


@cache
def look_up(operator: Any) -> Operator:
    """The rules for an operator."""
    schema = operator._schema
    return replace(
        _counting_rules(operator, operator.overloadpacket),
        shape=SHAPES.get(operator),
        field_rule=rule_of(operator),
        writes=schema.is_mutable and operator not in SHAPES,
        positions=tuple(i for i, argument in enumerate(schema.arguments) if "Tensor" in str(argument.type)),
    )


def _counting_rules(operator: Any, packet: Any) -> Operator:
    if packet in PRODUCTS:
        return PRODUCTS[packet]
    if packet in FRESH:
        return Operator(fresh=True)
    if packet in MOVES or operator.is_view:
        return Operator()
    if packet in OTHER_OPS:
        return Operator(other_ops=OTHER_OPS[packet])
    pointwise = torch.Tag.pointwise in operator.tags
    return Operator(other_ops=_writes if pointwise else None, known=pointwise)
