"""Attention as the CPU computes it: its fused kernel keeps no scores, which the formula on meta tensors has."""

from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


class CpuAttention(TorchFunctionMode):
    """Calls the fused kernel of the CPU for attention that it can compute."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is F.scaled_dot_product_attention:
            function = attend
        elif function is F.multi_head_attention_forward:
            function = MULTI_HEAD
        return function(*args, **(kwargs or {}))


def attend(*args: Any, **kwargs: Any) -> Tensor:
    """``scaled_dot_product_attention`` by the fused kernel where it can compute it."""
    out = _fused(*args, **kwargs)
    return F.scaled_dot_product_attention(*args, **kwargs) if out is None else out


def _multi_head() -> Any:
    """Multi-head attention that calls ``attend``: a mode is not asked about what a function calls inside."""
    function: Any = F.multi_head_attention_forward
    names = {"scaled_dot_product_attention": attend, "has_torch_function": lambda _: False}
    return FunctionType(function.__code__, {**function.__globals__, **names}, None, function.__defaults__)


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    """The result of the fused kernel, or None where torch computes scores: with dropout, or other shapes."""
    tensors = (query, key, value)
    same = all(tensor.dim() == 4 and tensor.dtype is query.dtype and tensor.stride(-1) == 1 for tensor in tensors)
    sizes = {(*tensor.shape[:2], tensor.shape[-1]) for tensor in tensors}  # batch, heads, and numbers of each
    if not same or len(sizes) > 1 or dropout_p or enable_gqa:
        return None
    if attn_mask is not None and (attn_mask.requires_grad or is_causal):
        return None
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)  # it becomes a tensor that is added
    out: Tensor = FUSED(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]
    return out


MULTI_HEAD = _multi_head()
