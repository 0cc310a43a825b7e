"""The result of profiling a model: statistics per module, readable, comparable, and stored as JSON."""

import json
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from typing import Any

from archzoo.errors import ProfileError
from archzoo.profiler._conventions import find_convention
from archzoo.profiler._coverage import Coverage
from archzoo.profiler._intervals import Field, Interval, Phases, ReceptiveField
from archzoo.profiler._module_stats import ModuleStats, Shape
from archzoo.profiler._rendering import as_html, as_summary, as_text, notes
from archzoo.profiler._work import Work


@dataclass(repr=False)
class Profile:
    """The cost of a model for one input of ``input_size``: exact integers, per module.

    Attributes:
        modules: Statistics of every module; the first is the whole model, named "".
        depth: Layers with weights on the longest path.
        outputs: Name and output shape, without the batch, of every module call, in the order in which they finished.
        coverage: The operators that were called, by how they were counted.
        batch: How many inputs ran together. All counts are for one of them.
        batch_axis: The dimension of the inputs that is the batch, or None if the counts are for the whole call.
    """

    model: str
    input_size: Any
    modules: list[ModuleStats]
    depth: int = 0
    outputs: list[tuple[str, Shape]] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    batch: int = 1
    batch_axis: int | None = 0

    @property
    def rows(self) -> list[ModuleStats]:
        """The same list as ``modules``: one row per module."""
        return self.modules

    @property
    def uncounted_ops(self) -> dict[str, int]:
        """Operators without a formula, with their number of calls. If not empty, ``macs`` is a lower bound."""
        return self.coverage.uncounted

    @property
    def params(self) -> int:
        """Parameters, shared ones once."""
        return self.modules[0].params

    @property
    def macs(self) -> int:
        """Multiply-adds of the forward pass, for one input."""
        return self.modules[0].macs

    @property
    def padding_macs(self) -> int:
        """Those of ``macs`` that multiply a zero of the padding, for one input."""
        return self.modules[0].padding_macs

    @property
    def backward_macs(self) -> int:
        """Multiply-adds of the backward pass, for one input."""
        return self.modules[0].backward_macs

    @property
    def flops(self) -> int:
        """2 x ``macs``."""
        return self.modules[0].flops

    @property
    def other_ops(self) -> int:
        """Elements normalized, read by pooling windows or computed elementwise, for one input."""
        return self.modules[0].other_ops

    def under(self, convention: str) -> int:
        """The cost as another tool or paper counts it: see ``archzoo.profiler.CONVENTIONS``."""
        return self.modules[0].under(convention)

    def explain(self, convention: str) -> str:
        """The cost under a convention, with every term of it."""
        return find_convention(convention).explain(self.modules[0].work)

    def at(self, name: str) -> ModuleStats:
        """The statistics of one module. Raises ProfileError that suggests the nearest names."""
        for stats in self.modules:
            if stats.name == name:
                return stats
        parts = [stats.name for stats in self.modules if stats.name]
        end = name.rpartition(".")[2]
        near = [part for part in parts if part.endswith(end)] or parts
        raise ProfileError(f"{self.model} has no part {name!r}; it has {', '.join(near[:5])}")

    def sides(self, within: str = "features") -> tuple[int, ...]:
        """The side lengths of the square feature maps inside one part, in order, without repeats.

        What TensorFlow's padding returns belongs to the layer behind it, and is left out.
        """
        paddings = {stats.name for stats in self.modules if stats.kind == "SamePadding"}
        outputs = [(name, shape) for name, shape in self.outputs if name not in paddings]
        sides = [shape[-1] for name, shape in outputs if name.startswith(f"{within}.") and len(shape) == 3]
        return tuple(side for side, _ in groupby(sides))

    def copy(self) -> "Profile":
        """A profile that can be changed without this one: only what is computed on first access is shared."""
        modules = [replace(stats, work=replace(stats.work)) for stats in self.modules]
        return replace(self, modules=modules, outputs=list(self.outputs), coverage=self.coverage.copy())

    def notes(self) -> list[str]:
        """A note for each operator that has no formula; the last one is about all operators."""
        return notes(self.coverage)

    def to_json(self) -> str:
        """The whole profile as JSON; ``from_json`` reads it back."""
        modules = [stats.as_dict() for stats in self.modules]
        values = {"archzoo_profile": 1, **vars(self), "modules": modules, "coverage": asdict(self.coverage)}
        return json.dumps(values, indent=1, default=str)

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """The profile that ``to_json`` wrote. Raises ProfileError for any other text."""
        try:
            values = json.loads(text)
            version = values.pop("archzoo_profile")
            if version != 1:
                raise ProfileError(f"cannot read version {version!r} of a profile, only version 1")
            modules = [_module_stats(stats) for stats in values.pop("modules")]
            outputs = [(name, tuple(shape)) for name, shape in values.pop("outputs")]
            without_formula = values.pop("uncounted_ops", {})  # all that earlier versions wrote
            coverage = Coverage(**values.pop("coverage", {"uncounted": without_formula}))
            sizes = _sizes(values.pop("input_size"))
            return cls(modules=modules, outputs=outputs, input_size=sizes, coverage=coverage, **values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProfileError(f"not a profile that archzoo wrote: {type(error).__name__}: {error}") from error

    def __repr__(self) -> str:
        return as_summary(self)

    def __str__(self) -> str:
        return as_text(self.model, self.modules, self.coverage)

    def _repr_html_(self) -> str:
        return as_html(self.model, self.modules, self.coverage)


def _module_stats(values: dict[str, Any]) -> ModuleStats:
    receptive_field, output = values.pop("receptive_field"), values.pop("output")
    if receptive_field is not None:
        receptive_field = ReceptiveField(_axes(receptive_field["axes"]), tuple(receptive_field["shape"]))
    return ModuleStats(
        work=Work(**values.pop("work")),
        output=None if output is None else tuple(output),
        field_source=receptive_field,
        **values,
    )


def _axes(axes: Any) -> Field:
    """Intervals from JSON, where integers are numbers and fractions are text."""
    return tuple((dim, tuple(map(_interval, intervals))) for dim, intervals in axes)


def _interval(values: Any) -> Interval:
    if isinstance(values, dict):
        spans = (span and (_number(span[0]), _number(span[1])) for span in values["spans"])
        return Phases(_number(values["jump"]), tuple(spans))
    jump, lo, hi = map(_number, values)
    return jump, lo, hi


def _number(value: int | str) -> int | Fraction:
    return value if isinstance(value, int) else Fraction(value)


def _sizes(sizes: Any) -> Any:
    """Tuples from the lists of JSON, inside dicts too."""
    if isinstance(sizes, dict):
        return {name: _sizes(size) for name, size in sizes.items()}
    return tuple(map(_sizes, sizes)) if isinstance(sizes, list) else sizes
