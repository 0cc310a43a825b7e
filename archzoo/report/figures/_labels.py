"""Labels of points that cover no point and no other label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, pi, sin
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SIZE = 6.5  # of the font, in points
NEAR, FAR = (
    (4.0,),
    (10.0, 17.0, 25.0, 34.0, 44.0, 56.0, 70.0, 86.0, 104.0, 124.0, 150.0, 180.0, 220.0),
)  # points from a point to its label
DIRECTIONS = [
    (cos(pi * turn / 8), sin(pi * turn / 8)) for turn in (0, 8, 4, 12, 2, 6, 10, 14, 1, 3, 5, 7, 9, 11, 13, 15)
]
STEP = 2.0  # points between the places where a line is compared with what is there


@dataclass(frozen=True)
class Label:
    """A text for the point (x, y) of an axis."""

    x: float
    y: float
    text: str
    color: Any


Box = tuple[float, float, float, float]  # left, bottom, right, top, in points


@dataclass
class Space:
    """What is taken on an axis: points and labels, which no label covers, and curves, which few do."""

    whole: Box
    taken: list[Box] = field(default_factory=list)
    curves: list[Box] = field(default_factory=list)

    def is_free(self, box: Box, line: Sequence[Box], *, off_curves: bool) -> bool:
        """Whether a label and the line to it cover nothing, and the label is on the axis."""
        if not self.is_inside(box):
            return False
        obstacles = self.taken + (self.curves if off_curves else [])
        return not any(_overlap(part, other) for part in (box, *line) for other in obstacles)

    def is_inside(self, box: Box) -> bool:
        """Whether a label is on the axis."""
        left, bottom, right, top = self.whole
        return left <= box[0] and bottom <= box[1] and box[2] <= right and box[3] <= top


def label_points(
    figure: Figure, axis: Any, labels: Sequence[Label], others: Sequence[Any] = (), curves: Sequence[Sequence[Any]] = ()
) -> None:
    """Write each label beside its point, or farther away at the end of a line, where nothing else is.

    ``others`` are points (x, y) without a label, ``curves`` lines of points that labels avoid where they can. All else
    must have been drawn already, on axes with their final limits. A label for which there is no room stands over what
    is there.
    """
    drawing: Any = FigureCanvasAgg(figure)
    drawing.draw()
    points = 72 / figure.dpi
    frame = axis.get_window_extent()
    space = Space(tuple(edge * points for edge in (frame.x0, frame.y0, frame.x1, frame.y1)))
    places = [_place(axis, (label.x, label.y), points) for label in labels]
    for x, y in places:
        space.taken.append((x - 2.5, y - 2.5, x + 2.5, y + 2.5))
    for x, y in (_place(axis, point, points) for point in others):
        space.taken.append((x - 1.5, y - 1.5, x + 1.5, y + 1.5))
    for curve in curves:
        for start, end in pairwise(_place(axis, point, points) for point in curve):
            space.curves += _along(start, end)
    for label, (x, y) in sorted(zip(labels, places, strict=True), key=lambda pair: -pair[1][1]):
        style: Any = {"fontsize": SIZE, "color": label.color, "in_layout": False}
        text = axis.annotate(label.text, (label.x, label.y), (0, 0), textcoords="offset points", **style)
        extent = text.get_window_extent(drawing.get_renderer())
        left, bottom, line = _best(space, x, y, extent.width * points, extent.height * points)
        text.set_position((left - x, bottom - y))
        if line:
            axis.annotate(
                "",
                (label.x, label.y),
                (line[0] - x, line[1] - y),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": label.color, "shrinkA": 0, "shrinkB": 2},
                annotation_clip=False,
            ).set_in_layout(False)


def _best(space: Space, x: float, y: float, width: float, height: float) -> tuple[float, float, tuple[float, ...]]:
    """Where a label's left and bottom edge are, and the end of its line if it has one. It is taken from the space."""
    candidates = list(_candidates(x, y, width, height))
    own = (x - 3, y - 3, x + 3, y + 3)
    for off_curves, line_matters in ((True, True), (False, True), (False, False)):
        for box, end in candidates:
            line = [part for part in _along((x, y), end) if not _overlap(part, own)] if end else []
            if space.is_free(box, line if line_matters else (), off_curves=off_curves):
                space.taken += [box, *line]
                return box[0], box[1], end
    inside = [box for box, _ in candidates if space.is_inside(box)] or [candidates[0][0]]
    least = min(inside, key=lambda box: sum(_overlap(box, other) for other in space.taken))
    space.taken.append(least)
    return least[0], least[1], ()


def _candidates(x: float, y: float, width: float, height: float) -> Iterator[tuple[Box, tuple[float, ...]]]:
    """The places of a label, the nearest first, with the end of the line to it."""
    for distance in (*NEAR, *FAR):
        for right, up in DIRECTIONS:
            end_x, end_y = x + right * distance, y + up * distance
            left = end_x - width * (1 - right) / 2
            bottom = end_y - height * (1 - up) / 2
            box = (left, bottom, left + width, bottom + height)
            yield box, () if distance in NEAR else (end_x, end_y)


def _along(start: Sequence[float], end: Sequence[float]) -> list[Box]:
    """Small boxes along a line."""
    (x0, y0), (x1, y1) = start, end
    steps = max(int(max(abs(x1 - x0), abs(y1 - y0)) / STEP), 1)
    middles = [(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps) for i in range(steps + 1)]
    return [(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for x, y in middles]


def _place(axis: Any, point: Sequence[float], points: float) -> tuple[float, float]:
    x, y = axis.transData.transform(point)
    return float(x) * points, float(y) * points


def _overlap(first: Box, second: Box) -> bool:
    across = first[0] < second[2] and second[0] < first[2]
    return across and first[1] < second[3] and second[1] < first[3]
