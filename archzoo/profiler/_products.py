"""Multiply-adds of convolutions and matrix products, by operator. Every formula takes the result and the operands."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from archzoo.profiler import _padding
from archzoo.profiler._operator import Operator
from archzoo.profiler._sparse_layouts import INDICES, stored_elements

aten = torch.ops.aten


def convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Each output reads one kernel; a transposed convolution writes one kernel for each input instead."""
    transposed: bool = rest[4]
    return (x if transposed else out).numel() * prod(weight.shape[1:])


def transposed_by_output(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """The multiply-adds of a transposed convolution if each output read a kernel."""
    groups: int = rest[6]
    return out.numel() * (x.shape[1] // groups) * prod(weight.shape[2:])


def convolution_gradients(out: Any, grad: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """As many as forward for the gradient of the input, and for that of the weight."""
    transposed: bool = rest[4]
    gradients: int = sum(rest[-1][:2])
    return gradients * (x if transposed else grad).numel() * prod(weight.shape[1:])


def attention(out: Any, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **_: Any) -> int:
    """Queries x keys, then attention weights x values."""
    scores = query.numel() * key.shape[-2]
    return scores + scores // query.shape[-1] * value.shape[-1]


def bilinear(out: Tensor, left: Tensor, weight: Tensor, right: Tensor, *_: Any, **__: Any) -> int:
    """``Bilinear``: for each output, left x matrix, then that vector x right."""
    return out.numel() * (left.shape[-1] + 1) * right.shape[-1]


def recurrent(out: Any, x: Tensor, weights: Any, *rest: Any, **_: Any) -> int:
    """A recurrent layer: every step multiplies its input, and the hidden state, by a matrix."""
    tensors: list[Tensor] = [weights, rest[0]] if isinstance(weights, Tensor) else weights
    return x.numel() // x.shape[-1] * sum(tensor.numel() for tensor in tensors if tensor.dim() == 2)


def linear(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """Each output reads one row of the weight."""
    return out.numel() * weight.shape[-1]


def packed_linear(out: Tensor, x: Tensor, *_: Any, **__: Any) -> int:
    """A linear layer whose quantized weight is packed, so that only its inputs and outputs have shapes."""
    return out.numel() * x.shape[-1]


def deformable(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """A deformable convolution: each output reads one kernel, as of any other, at positions between the inputs."""
    return out.numel() * prod(weight.shape[1:])


def temporal_convolution(out: Tensor, x: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """``conv_tbc``: the weight is (kernel, inputs, outputs)."""
    return out.numel() * weight.shape[0] * weight.shape[1]


def matrix(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """A matrix product, or a batch of them. Each element that a sparse matrix has meets a row of the other."""
    if a.layout in INDICES:
        return stored_elements(a) * b.shape[-1]
    if b.layout in INDICES:
        return stored_elements(b) * a.shape[-2]
    return out.numel() * a.shape[-1]


def matrix_lists(out: Any, left: Any, right: Any) -> int:
    """The matrix products of two lists, pair by pair."""
    return sum(matrix(*operands) for operands in zip(out, left, right, strict=True))


def grouped(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """Matrix products of consecutive groups: of two matrices, the columns of the first are in groups."""
    return a.numel() * b.shape[-1] if a.dim() == b.dim() == 2 else out.numel() * a.shape[-1]


def vector(out: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """A matrix or a vector times a vector."""
    return stored_elements(a)


def matrix_and_sum(out: Tensor, bias: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """A matrix product that is added to a tensor."""
    return stored_elements(a) * b.shape[-1]


def vector_and_sum(out: Tensor, bias: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """A matrix times a vector, added to a vector."""
    return stored_elements(a)


def outer(out: Tensor, bias: Tensor, a: Tensor, b: Tensor, *_: Any, **__: Any) -> int:
    """Every element of one vector times every element of another, added to a matrix."""
    return a.numel() * b.numel()


_ATTENTION = Operator(None, attention, (0, 1, 2))
_CONVOLUTION = Operator(
    None, convolution, weight=1, bias=2, padding=_padding.convolution, by_output=transposed_by_output
)
_LINEAR = Operator(None, matrix_and_sum, (1, 2), weight=2, bias=0, subject=1)
_SUMMED = Operator(None, matrix_and_sum, (1, 2))
_VECTOR = Operator(None, vector)
_RULES: tuple[tuple[Operator, str], ...] = (
    (_CONVOLUTION, "convolution _convolution convolution_overrideable"),
    (Operator(None, convolution_gradients, (), padding=_padding.convolution_gradients), "convolution_backward"),
    (Operator(None, temporal_convolution, weight=1, bias=2, padding=_padding.temporal_convolution), "conv_tbc"),
    (Operator(None, linear, weight=1, bias=2), "linear"),
    (_LINEAR, "addmm addmm_ _addmm_activation"),
    (Operator(None, matrix, weight=1), "mm _int_mm"),
    (Operator(None, matrix), "bmm"),
    (Operator(None, matrix_lists, ()), "_foreach_mm"),
    (Operator(None, matrix, (0,), weight=1), "_scaled_mm _scaled_mm_v2 _weight_int8pack_mm"),
    (Operator(None, grouped), "_grouped_mm _scaled_grouped_mm _scaled_grouped_mm_v2"),
    (_SUMMED, "addbmm addbmm_ baddbmm baddbmm_ _sparse_addmm"),
    (_VECTOR, "mv dot vdot"),
    (Operator(None, vector_and_sum, (1, 2)), "addmv addmv_"),
    (Operator(None, outer, (1, 2)), "addr addr_"),
    (Operator(None, bilinear, (0, 1, 2), weight=1), "_trilinear"),
    (Operator(None, recurrent, (0, 1), weight=1), "mkldnn_rnn_layer _cudnn_rnn miopen_rnn"),
    (
        _ATTENTION,
        """_scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
        _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable""",
    ),
)
PRODUCTS: dict[Any, Operator] = {
    getattr(aten, name): rule for rule, names in _RULES for name in names.split() if hasattr(aten, name)
}
# Operators outside of ATen, by the names of their packets: they exist where their library is loaded.
_PACKED = Operator(None, packed_linear, (0,))
PRODUCTS_ELSEWHERE: dict[str, Operator] = {
    "quantized.linear_dynamic": _PACKED,
    "quantized.linear_relu_dynamic": _PACKED,
    "quantized.linear_dynamic_fp16": _PACKED,
    "quantized.linear_relu_dynamic_fp16": _PACKED,
    "torchvision.deform_conv2d": Operator(None, deformable, weight=1),
}
