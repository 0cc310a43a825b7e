"""What happened to the inputs, call by call, so that receptive fields are worked out only once somebody asks."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archzoo.profiler.fields import Inputs, Rule
from archzoo.profiler.intervals import Field, ReceptiveField, collapse, unite, whole_image

Call = tuple[Rule, Any, Sequence[tuple[Tensor, int]], Any, dict[str, Any]]


class Tape:
    """The calls that depend on the inputs; every one has a place, the inputs the first ones."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.kept = list(images)  # keeps tensors alive, so that no id is used twice
        self._calls: list[Call] = []
        self._fields = [_field_of_input(image, images[0]) for image in images]
        self._inputs = len(images)

    def record(
        self, rule: Rule, out: Any, inputs: Sequence[tuple[Tensor, int]], args: Any, kwargs: dict[str, Any]
    ) -> int:
        """Note a call, with the places of its operands; the place of what it returned."""
        self._calls.append((rule, out, inputs, args, kwargs))
        return self._inputs + len(self._calls) - 1

    def record_union(self, tensor: Tensor, places: Sequence[int]) -> int:
        """Note a tensor whose parts come from several places."""
        return self.record(_united, tensor, [(tensor, place) for place in places], (), {})

    def field(self, place: int, shape: tuple[int, ...]) -> ReceptiveField | None:
        """What a tensor at this place, of this shape, sees of the image; None for inputs without sides."""
        while len(self._fields) <= place:
            rule, out, inputs, args, kwargs = self._calls[len(self._fields) - self._inputs]
            seen: Inputs = [(tensor, self._fields[before]) for tensor, before in inputs]
            self._fields.append(rule(out, seen, *args, **kwargs))
        axes = self._fields[place]
        return ReceptiveField(axes, shape) if axes else None


def _united(out: Any, inputs: Inputs) -> Field:
    return unite(field for _, field in inputs)


def _field_of_input(image: Tensor, first: Tensor) -> Field:
    """Every input sees itself; one of another size than the first may depend on all of that."""
    sides = first.shape[2:]
    field = whole_image(len(sides))
    if image.shape[2:] == sides:
        return field
    return tuple(collapse(axis, side) for axis, side in zip(field, sides, strict=True))
