"""Higher-order operators: those with a function among their operands, which PyTorch runs only when compiled."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from archzoo.errors import ProfileError
from archzoo.profiler._operator import Operator
from archzoo.profiler._products import attention

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


@contextmanager
def flex_attention_refused() -> Iterator[None]:
    """Raise ProfileError where ``flex_attention`` is called inside the block, before it is compiled."""
    module: Any = sys.modules.get(MODULE)
    if module is None:
        yield
        return
    before = module._validate_device
    module._validate_device = _refuse
    try:
        yield
    finally:
        module._validate_device = before


def _refuse(*_: Any) -> None:
    raise ProfileError(
        "the memory of flex_attention is not modeled: it keeps all scores, or none where it is compiled. Call "
        "scaled_dot_product_attention in its place, which keeps none either"
    )
