"""The items of a diagram: boxes in series, in parallel, repeated, or in layers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "conv", "linear", "pool", "layer", "part", "join", "step"]


@dataclass(frozen=True)
class Box:
    """One box of the diagram. ``frames`` are the opened modules around it, the outermost first."""

    name: str
    title: str
    kind: Kind
    notes: tuple[str, ...] = ()
    output: tuple[int, ...] | None = None
    params: int = 0
    macs: int = 0
    frames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parallel:
    """Branches between the same two points; one without items is the identity."""

    branches: "tuple[Series, ...]"


@dataclass(frozen=True)
class Repeat:
    """The first of several equal parts in a row; ``names`` are those of the first and of the last."""

    body: "Series"
    times: int
    names: tuple[str, str]

    @property
    def span(self) -> str:
        """Their joint name: "block2 to 18"."""
        first, last = (name.rpartition(".")[2] for name in self.names)
        same = re.match(r"\D*", last)
        start = same[0] if same else ""
        return f"{first} to {last.removeprefix(start) if first.startswith(start) else last}"


@dataclass(frozen=True)
class LayeredGraph:
    """Boxes that are neither in series nor in parallel: in rows by depth, with the edges between them."""

    rows: tuple[tuple[Box, ...], ...]
    edges: tuple[tuple[Box, Box], ...]
    ends: tuple[tuple[Box, ...], tuple[Box, ...]]


Item = Box | Parallel | Repeat | LayeredGraph


@dataclass(frozen=True)
class Series:
    """Items in sequence."""

    items: tuple[Item, ...] = ()


def boxes_in(item: Item | Series) -> Iterable[Box]:
    """All boxes, in order."""
    match item:
        case Box():
            yield item
        case Repeat():
            yield from boxes_in(item.body)
        case LayeredGraph():
            for row in item.rows:
                yield from row
        case Parallel():
            for branch in item.branches:
                yield from boxes_in(branch)
        case Series():
            for inner in item.items:
                yield from boxes_in(inner)
