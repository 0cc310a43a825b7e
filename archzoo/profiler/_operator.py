"""The rules for one operator: what it costs, what its result is like, what its receptive field is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from archzoo.profiler._receptive_fields import Rule, mixed
from archzoo.profiler._work import Counts


@dataclass(frozen=True)
class Operator:
    """The rules for one operator.

    Attributes:
        name: The name of all its overloads, such as aten.convolution.
        shape: Computes the result on meta tensors, or NotImplemented.
        macs: Computes the multiply-adds.
        factors: The positions of the operands that are multiplied.
        weight: The position of the weight, if the operator is a layer.
        bias: The position of the bias, if the operator is a layer.
        padding: Computes how many of the multiply-adds read a zero of the padding.
        by_output: Computes the multiply-adds of a transposed convolution if each output read a kernel.
        other_ops: Computes all other counts.
        known: Whether the operator is in any table; if not, it is reported.
        subject: Which of the tensors must be a meta tensor for ``shape`` to apply.
        writes: Whether the operator may write into a part of a tensor.
        fresh: Whether the operator creates a tensor without reading one.
        field_rule: Computes the receptive field of the result.
        positions: The positions of operands that may be tensors or lists of tensors.
        composite: Whether the operator only calls others, which are counted instead.
        outs: The names of the operands that results are written into.
        estimate: Whether the count is an estimate, since the number of operations is the library's choice.
        values: Computes the result of an operator that reads values, from shapes alone.
    """

    shape: Callable[..., Any] | None = None
    macs: Callable[..., int] | None = None
    factors: tuple[int, ...] = (0, 1)
    weight: int | None = None
    bias: int | None = None
    padding: Callable[..., int] | None = None
    by_output: Callable[..., int] | None = None
    other_ops: Callable[..., Counts] | None = None
    known: bool = True
    subject: int = 0
    writes: bool = False
    fresh: bool = False
    field_rule: Rule = mixed
    positions: tuple[int, ...] = ()
    composite: bool = False
    outs: frozenset[str] = frozenset()
    estimate: bool = False
    values: Callable[..., Any] | None = None
    name: str = ""

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
