"""From operator to formula: what one call of an operator of PyTorch costs.

A multiply-add (MAC) is one multiplication and one addition, of convolutions and matrix products alone. Everything else
that does arithmetic is in ``PLAIN``: counted as no MAC on purpose. An operator in neither is reported by name.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Each output reads one kernel; a transposed convolution writes one kernel for each input instead."""
    transposed = rest[4]
    return (x if transposed else out).numel() * prod(weight.shape[1:])


def attention(out: Any, query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> int:
    """Queries x keys, then weights x values."""
    scores = query.numel() * key.shape[-2]
    return scores + scores // query.shape[-1] * value.shape[-1]


MACS: dict[Any, Callable[..., int]] = {
    aten.convolution: convolution,
    aten._convolution: convolution,
    aten.mm: lambda out, a, b: out.numel() * a.shape[-1],
    aten.bmm: lambda out, a, b: out.numel() * a.shape[-1],
    aten.mv: lambda out, a, b: a.numel(),
    aten.dot: lambda out, a, b: a.numel(),
    aten.vdot: lambda out, a, b: a.numel(),
    aten.addmm: lambda out, bias, a, b, **_: out.numel() * a.shape[-1],
    aten.addbmm: lambda out, bias, a, b, **_: a.numel() * b.shape[-1],
    aten.baddbmm: lambda out, bias, a, b, **_: out.numel() * a.shape[-1],
    aten.addmv: lambda out, bias, a, b, **_: a.numel(),
    aten.linear: lambda out, x, weight, bias=None: out.numel() * weight.shape[-1],
    aten._scaled_dot_product_flash_attention: attention,
    aten._scaled_dot_product_flash_attention_for_cpu: attention,
    aten._scaled_dot_product_efficient_attention: attention,
    aten._scaled_dot_product_cudnn_attention: attention,
    aten._scaled_dot_product_fused_attention_overrideable: attention,
}


def batch_norm_shapes(x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, *_: Any) -> Any:
    """The normalised maps, and two saved statistics of each map, in single precision at least."""
    saved = x.new_empty(x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    return torch.empty_like(x), saved, torch.empty_like(saved)


def addition_shape(a: Tensor, b: Any, *_: Any, **__: Any) -> Any:
    """The sum of two tensors that are alike."""
    alike = isinstance(b, Tensor) and a.shape == b.shape and a.stride() == b.stride() and a.dtype == b.dtype
    return torch.empty_like(a) if alike else NotImplemented


# What an operator returns, where torch works it out slowly on meta tensors (in Python, a millisecond a call), and these
# two are most of a residual network's pass. NotImplemented leaves it to torch.
SHAPES: dict[Any, Callable[..., Any]] = {
    aten.native_batch_norm.default: batch_norm_shapes,
    aten.add.Tensor: addition_shape,
}

# The operand of an operator that is its bias: one addition for each output.
BIAS: dict[Any, int] = {aten.convolution: 2, aten._convolution: 2, aten.addmm: 0, aten.linear: 2}
# The operand that is its weight, where the operator is a layer.
WEIGHT: dict[Any, int] = {
    aten.convolution: 1,
    aten._convolution: 1,
    aten.addmm: 2,
    aten.mm: 1,
    aten.linear: 1,
}

# Arithmetic without multiply-adds: normalisation, pooling, reductions, and what moves data.
_NAMES = """
native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_no_update
_batch_norm_with_update cudnn_batch_norm native_layer_norm native_group_norm
avg_pool1d avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices max_pool1d_with_indices
_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d adaptive_max_pool3d
fractional_max_pool2d upsample_nearest1d upsample_nearest2d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
mean sum amax amin max min argmax argmin var var_mean std prod cumsum cumprod norm linalg_vector_norm logsumexp
any all count_nonzero topk sort argsort _softmax _log_softmax _safe_softmax native_dropout embedding glu
cat stack split split_with_sizes unbind clone copy_ _to_copy index index_select gather scatter scatter_ index_put
index_put_ slice_scatter select_scatter repeat roll flip tril triu constant_pad_nd reflection_pad2d replication_pad2d
zeros ones full empty empty_like zeros_like ones_like full_like new_empty new_zeros new_ones new_full arange linspace
eye scalar_tensor empty_strided new_empty_strided fill_ zero_ lift_fresh lift_fresh_copy _unsafe_view resize_
channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle bernoulli bernoulli_ rand randn randint rand_like
randn_like uniform_ normal_ randperm nonzero masked_fill masked_fill_ where _local_scalar_dense squeeze_ unsqueeze_
transpose_ t_ detach_ im2col col2im bucketize searchsorted unfold_copy
"""
PLAIN = {getattr(aten, name) for name in _NAMES.split() if hasattr(aten, name)}


def is_plain(operator: Any) -> bool:
    """Whether an operator is known to do no multiply-adds: plain arithmetic, elementwise, or a view."""
    return operator.overloadpacket in PLAIN or torch.Tag.pointwise in operator.tags or operator.is_view
