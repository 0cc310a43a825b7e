"""What a profile is: a row for each module, to read, to compare, to keep as JSON."""

import json
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Any

from archzoo.errors import ProfileError
from archzoo.profiler.conventions import CONVENTIONS, Convention
from archzoo.profiler.intervals import Field, ReceptiveField
from archzoo.profiler.operators import Work
from archzoo.profiler.rendering import as_html, as_text
from archzoo.profiler.rows import Row, Shape


@dataclass
class Profile:
    """What a model costs for one input of ``input_size``: exact integers, one row a module.

    ``rows[0]`` is the whole model, named "". ``depth`` is the number of layers with weights on the longest path,
    ``maps`` what each module returned, name and shape without the batch, in the order in which they finished.
    ``unknown`` names the operators that no formula covers, with how often each ran: where it is not empty, the
    multiply-adds are a lower bound. ``batch`` is how many inputs ran together; every count is for one of them.
    """

    model: str
    input_size: Any
    rows: list[Row]
    depth: int = 0
    maps: list[tuple[str, Shape]] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    batch: int = 1

    @property
    def params(self) -> int:
        """Learnable numbers, shared ones once."""
        return self.rows[0].params

    @property
    def macs(self) -> int:
        """Multiply-adds for one input."""
        return self.rows[0].macs

    @property
    def backward_macs(self) -> int:
        """Multiply-adds of one backward pass, for one input."""
        return self.rows[0].backward_macs

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return self.rows[0].flops

    @property
    def other(self) -> int:
        """Elements normalized, read by pooling windows, or worked on one by one, for one input."""
        return self.rows[0].other

    def under(self, convention: str) -> int:
        """The cost as another tool or paper counts it: see ``archzoo.profiler.CONVENTIONS``."""
        return _convention(convention).count(self.rows[0].work)

    def explain(self, convention: str) -> str:
        """The same in words, with every difference from the multiply-adds."""
        return _convention(convention).explain(self.rows[0].work)

    def at(self, name: str) -> Row:
        """The row of one module. Raises ProfileError with the nearest names where there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        parts = [row.name for row in self.rows if row.name]
        end = name.rpartition(".")[2]
        near = [part for part in parts if part.endswith(end)] or parts
        raise ProfileError(f"{self.model} has no part {name!r}; it has {', '.join(near[:5])}")

    def sides(self, within: str = "features") -> tuple[int, ...]:
        """The sides of the square maps that one part passes through, in order, repeats left out."""
        sides = [shape[-1] for name, shape in self.maps if name.startswith(f"{within}.") and len(shape) == 3]
        return tuple(side for side, _ in groupby(sides))

    def to_json(self) -> str:
        """Everything, so that ``from_json`` gives an equal profile back."""
        return json.dumps(
            {"archzoo_profile": 1, **vars(self), "rows": [row.as_dict() for row in self.rows]}, indent=1, default=str
        )

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """The profile that ``to_json`` wrote. Raises ProfileError for any other text."""
        try:
            found = json.loads(text)
            if found.pop("archzoo_profile") != 1:
                raise ValueError("written by another version")
            rows = [_row(row) for row in found.pop("rows")]
            maps = [(name, tuple(shape)) for name, shape in found.pop("maps")]
            return cls(rows=rows, maps=maps, input_size=_sizes(found.pop("input_size")), **found)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProfileError(f"no profile that archzoo wrote: {type(error).__name__}: {error}") from error

    def __str__(self) -> str:
        return as_text(self.model, self.rows, self.unknown)

    def _repr_html_(self) -> str:
        return as_html(self.model, self.rows, self.unknown)


def _convention(name: str) -> Convention:
    if name not in CONVENTIONS:
        raise ProfileError(f"no convention is called {name!r}; there are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def _row(found: dict[str, Any]) -> Row:
    seen, output = found.pop("seen"), found.pop("output")
    return Row(
        work=Work(**found.pop("work")),
        output=None if output is None else tuple(output),
        seen=None if seen is None else ReceptiveField(_axes(seen["axes"]), tuple(seen["shape"])),
        **found,
    )


def _axes(found: Any) -> Field:
    """Intervals as they were: whole numbers are numbers in JSON, fractions are text."""
    return tuple(
        (dim, tuple((_number(jump), _number(lo), _number(hi)) for jump, lo, hi in intervals))
        for dim, intervals in found
    )


def _number(found: int | str) -> int | Fraction:
    return found if isinstance(found, int) else Fraction(found)


def _sizes(found: Any) -> Any:
    """Lists as the tuples that they were, inside dicts too."""
    if isinstance(found, dict):
        return {name: _sizes(one) for name, one in found.items()}
    return tuple(map(_sizes, found)) if isinstance(found, list) else found
