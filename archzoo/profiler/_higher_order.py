"""Higher-order operators: those with a function among their operands, which PyTorch runs only when compiled."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from archzoo.errors import ProfileError
from archzoo.profiler._operator import Operator
from archzoo.profiler._products import attention
from archzoo.restoring import attribute_set

MODULE = "torch.nn.attention.flex_attention"
FLEX_ATTENTION = Operator(None, attention, (0, 1, 2), name="flex_attention")


def run_higher_order(operator: Any, args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The result of ``flex_attention``: attended values, and logsumexp and largest score of every query.

    The last two are empty unless its options ask for them. Raises ProfileError for any other operator.
    """
    if operator is not torch.ops.higher_order.flex_attention:
        raise ProfileError(f"the higher-order operator {operator} cannot be counted")
    query, _, value, *_, options = args[:7]

    def of_each_query(option: str) -> Tensor:
        shape = query.shape[:-1] if options.get(option) else (0,)
        return torch.empty(shape, dtype=torch.float32, device=query.device)

    out = query.new_empty((*query.shape[:-1], value.shape[-1]))
    return out, of_each_query("OUTPUT_LOGSUMEXP"), of_each_query("OUTPUT_MAX")


def flex_attention_refused() -> AbstractContextManager[None]:
    """Raise ProfileError where ``flex_attention`` is called inside the block, before it is compiled."""
    return _flex_attention_with("_validate_device", _refuse)


def flex_attention_uncompiled() -> AbstractContextManager[None]:
    """Let ``flex_attention`` call its operator, which is counted, without compiling it first."""
    return _flex_attention_with("_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


def _flex_attention_with(name: str, value: Any) -> AbstractContextManager[None]:
    """Its module with another value of an attribute, where it is imported."""
    module = sys.modules.get(MODULE)
    return nullcontext() if module is None else attribute_set(module, name, value)


def _refuse(*_: Any) -> None:
    raise ProfileError(
        "the memory of flex_attention is not modeled: it keeps all scores, or none where it is compiled. Call "
        "scaled_dot_product_attention in its place, which keeps none either"
    )
