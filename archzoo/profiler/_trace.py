"""The calls that a model makes on its inputs, recorded so that receptive fields are computed only on request."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from archzoo.profiler._intervals import Field, ReceptiveField, collapse, unite, whole_image
from archzoo.profiler._receptive_fields import Inputs, Rule

Call = tuple[Rule, Any, Sequence[tuple[Tensor, int]], Any, dict[str, Any]]


class Origin(NamedTuple):
    """How a tensor was computed.

    ``depth`` is the number of layers with weights before it, ``call_index`` its index in the call trace. Both are -1
    for a tensor that does not depend on the input. ``grad`` says whether it has a gradient.
    """

    depth: int
    call_index: int
    grad: bool


CONSTANT, LEARNABLE = Origin(-1, -1, False), Origin(-1, -1, True)


class CallTrace:
    """The calls that depend on the inputs, in order. Indices count the inputs first, then the calls."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.tensors = list(images)  # keeps tensors alive, so that no id is used twice
        self._calls: list[Call] = []
        self._fields = [_field_of_input(image, images[0]) for image in images]
        self._inputs = len(images)

    def record(
        self, rule: Rule, out: Any, inputs: Sequence[tuple[Tensor, int]], args: Any, kwargs: dict[str, Any]
    ) -> int:
        """Record a call, with the indices of its operands, and return the index of its result."""
        self._calls.append((rule, out, inputs, args, kwargs))
        return self._inputs + len(self._calls) - 1

    def record_union(self, tensor: Tensor, indices: Sequence[int]) -> int:
        """Record a tensor whose parts have several origins, and return its index."""
        return self.record(_united, tensor, [(tensor, index) for index in indices], (), {})

    def receptive_field(self, index: int, shape: tuple[int, ...]) -> ReceptiveField | None:
        """The receptive field of the tensor with this index and shape, or None for inputs without spatial axes."""
        while len(self._fields) <= index:
            rule, out, operands, args, kwargs = self._calls[len(self._fields) - self._inputs]
            inputs: Inputs = [(tensor, self._fields[operand]) for tensor, operand in operands]
            self._fields.append(rule(out, inputs, *args, **kwargs))
        axes = self._fields[index]
        return ReceptiveField(axes, shape) if axes else None


def _united(out: Any, inputs: Inputs) -> Field:
    return unite(field for _, field in inputs)


def _field_of_input(image: Tensor, first: Tensor) -> Field:
    """The identity for the first input; an input of another size may depend on all of the first."""
    sides = first.shape[2:]
    field = whole_image(len(sides))
    if image.shape[2:] == sides:
        return field
    return tuple(collapse(axis, side) for axis, side in zip(field, sides, strict=True))
