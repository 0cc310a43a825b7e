"""Higher-order operators: those with a function among their operands, which PyTorch runs only when compiled."""

from typing import Any

import torch
from torch import Tensor

from archzoo.errors import ProfileError
from archzoo.profiler._operator import Operator
from archzoo.profiler._products import attention

FLEX_ATTENTION = Operator(None, attention, (0, 1, 2), name="flex_attention")


def run_higher_order(operator: Any, args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The result of ``flex_attention``: attended values, and logsumexp and largest score of every query.

    Raises ProfileError for any other operator.
    """
    if operator is not torch.ops.higher_order.flex_attention:
        raise ProfileError(f"the higher-order operator {operator} cannot be counted")
    query, _, value = args[:3]
    scores = query.new_empty(query.shape[:-1], dtype=torch.float32)
    return query.new_empty((*query.shape[:-1], value.shape[-1])), scores, torch.empty_like(scores)
