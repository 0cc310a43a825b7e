"""What a profile is: a row for each module, to read, to compare, to keep as JSON."""

import json
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any

from archzoo.profiler.conventions import CONVENTIONS, Convention
from archzoo.profiler.intervals import Field, ReceptiveField
from archzoo.profiler.operators import Work

if TYPE_CHECKING:
    from archzoo.profiler.tape import Tape

Shape = tuple[int, ...]


class ProfileError(ValueError):
    """A model could not be counted. The message names the part where it failed, and what would help.

    ``partial`` is what had been counted until then, where there is something.
    """

    def __init__(self, message: str, partial: "Profile | None" = None) -> None:
        super().__init__(message)
        self.partial = partial


@dataclass(eq=False)
class Row:
    """What one module costs for one input, all that is inside it included.

    ``params`` are its learnable numbers, each once, ``frozen`` those that need no gradient; ``conv_params`` and
    ``linear_params`` are weights of convolutions and linear layers, ``norm_params`` scale and shift of normalisations,
    ``biases`` what a layer adds. ``work`` is what it did. ``output`` is the shape of what it returned when it last ran
    (of the first tensor, if there were several), without the batch, and ``field`` what one number of it sees of the
    image; both are None where it never ran or returned no tensor.
    """

    name: str
    kind: str
    params: int = 0
    frozen: int = 0
    conv_params: int = 0
    linear_params: int = 0
    norm_params: int = 0
    biases: int = 0
    work: Work = field(default_factory=Work)
    calls: int = 0
    output: Shape | None = None
    seen: "tuple[Tape, int, Shape] | ReceptiveField | None" = field(default=None, repr=False)

    @property
    def field(self) -> ReceptiveField | None:
        """What one number of the output sees of the image: worked out when it is first asked for."""
        if isinstance(self.seen, tuple):
            tape, place, shape = self.seen
            self.seen = tape.field(place, shape)
        return self.seen

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return {**vars(self), "work": asdict(self.work), "seen": self.field and asdict(self.field)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.as_dict() == other.as_dict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "seen": self.field}

    @property
    def weights(self) -> int:
        """Learnable numbers that are neither a bias nor of a normalisation."""
        return self.params - self.norm_params - self.biases

    @property
    def trainable(self) -> int:
        """Learnable numbers that need a gradient."""
        return self.params - self.frozen

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.work.macs

    @property
    def backward_macs(self) -> int:
        """Multiply-adds of the gradients of everything that needs one, for a loss behind the output."""
        return self.work.backward_macs

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return self.work.flops

    @property
    def other(self) -> int:
        """Elements normalised, read by pooling windows, or worked on one by one: never part of the multiply-adds."""
        return self.work.other

    @property
    def connections(self) -> int:
        """Multiply-adds, and one connection more for each unit with a bias (LeCun et al. 1998)."""
        return self.work.connections

    @property
    def neurons(self) -> int:
        """Outputs of layers with weights."""
        return self.work.neurons

    @property
    def layers(self) -> int:
        """How many layers with weights ran."""
        return self.work.layers

    @property
    def level(self) -> int:
        """How deep the module is nested: 0 is the model."""
        return self.name.count(".") + bool(self.name)


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
        """Elements normalised, read by pooling windows, or worked on one by one, for one input."""
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
        from archzoo.profiler.rendering import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from archzoo.profiler.rendering import as_html

        return as_html(self)


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
