"""A planned diagram: where its boxes, edges, brackets and frames are on the page."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from archzoo.report.diagram._boxes import Box
from archzoo.report.diagram._measuring import LABEL, PAD, Layout, name_width

Point = tuple[float, float]


class Rect(NamedTuple):
    """A rectangle of the page, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def joined(self, other: "Rect | None") -> "Rect":
        """The smallest rectangle around both."""
        if other is None:
            return self
        return Rect(*map(min, self[:2], other[:2]), *map(max, self[2:], other[2:]))

    def overlaps(self, other: "Rect") -> bool:
        """Whether they have an area in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True)
class Edge:
    """A line of right angles from box to box, with an arrow where it ends at a box."""

    points: tuple[Point, ...]
    arrow: bool

    def segments(self) -> Iterator[Rect]:
        """The rectangles that its straight parts cover."""
        for (x0, y0), (x1, y1) in zip(self.points, self.points[1:], strict=False):
            yield Rect(min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1)


@dataclass
class Plan:
    """Everything that is drawn, in coordinates of the page, from coordinates across and along the flow."""

    layout: Layout
    boxes: list[tuple[Box, Rect]] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    brackets: list[tuple[tuple[Point, ...], str]] = field(default_factory=list)
    contents: dict[str, Rect] = field(default_factory=dict)  # of frames
    names: dict[str, str] = field(default_factory=dict)  # of frames around repeated parts

    def point(self, across: float, along: float) -> Point:
        """A point of the page."""
        return (along, across) if self.layout.horizontal else (across, along)

    def rect(self, before: float, start: float, after: float, end: float) -> Rect:
        """A rectangle of the page."""
        return Rect(*self.point(before, start), *self.point(after, end))

    def reach(self, frame: str, rect: Rect) -> None:
        """Extend the contents of a frame to include this rectangle."""
        self.contents[frame] = rect.joined(self.contents.get(frame))

    def frames(self) -> dict[str, Rect]:
        """The rectangle of each frame, around its contents and the frames within it; outer frames come first."""
        rects: dict[str, Rect] = {}
        for frame in sorted(self.contents, key=lambda path: -path.count(".")):
            inner = self.contents[frame]
            for path, rect in rects.items():
                if path.startswith(f"{frame}."):
                    inner = inner.joined(rect)
            rects[frame] = Rect(inner.left - PAD, inner.top - LABEL, inner.right + PAD, inner.bottom + PAD)
        return dict(reversed(rects.items()))

    def label(self, frame: str) -> str:
        """The name that stands at the top of a frame."""
        return self.names.get(frame, frame.rpartition(".")[2])

    def label_place(self, frame: str, rect: Rect) -> Point:
        """Where a frame's name begins: as far left in its frame as no edge crosses it."""
        width, baseline = name_width(self.label(frame)), rect.top + 12
        strip = Rect(rect.left, baseline - 10, rect.right, baseline + 3)
        crossing = [part for edge in self.edges for part in edge.segments() if part.overlaps(strip)]
        starts = [rect.left + 6, *sorted(part.right + 4 for part in crossing)]
        for start in starts:
            needed = Rect(start - 4, strip.top, start + width + 4, strip.bottom)
            if needed.right <= rect.right and not any(part.overlaps(needed) for part in crossing):
                return start, baseline
        return starts[0], baseline
