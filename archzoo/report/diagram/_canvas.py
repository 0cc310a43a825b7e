"""The SVG elements of a planned diagram."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from archzoo.escaping import markup
from archzoo.report.diagram._boxes import Box
from archzoo.report.diagram._measuring import JOIN, LINE, is_sum, text_lines, text_width
from archzoo.report.diagram._plan import Edge, Plan, Point, Rect

ROUND = 5.0


def elements(drawn: Plan) -> Iterator[str]:
    """The elements, those behind others first: frames, lines, names of frames, boxes."""
    frames = drawn.frames()
    for rect in frames.values():
        yield f'<rect class="f" {attributes(rect)} rx="7"/>'
    for edge in drawn.edges:
        yield from _line(edge, drawn.layout.horizontal)
    for corners, _ in drawn.brackets:
        yield f'<path class="r" d="{_through(corners, 0)}"/>'
    for frame, rect in frames.items():
        x, y = drawn.label_place(frame, rect)
        yield f'<text class="f" x="{px(x)}" y="{px(y)}">{markup(drawn.label(frame))}</text>'
    for box, rect in drawn.boxes:
        yield from _box(box, rect)
    for corners, label in drawn.brackets:
        x, y = _beside(corners, label, drawn.layout.horizontal)
        yield f'<text class="r" x="{px(x)}" y="{px(y)}">{label}</text>'


def extent(drawn: Plan) -> tuple[float, float]:
    """The right and the bottom edge of everything that is drawn."""
    rects = [rect for _, rect in drawn.boxes] + list(drawn.frames().values())
    for corners, label in drawn.brackets:
        x, y = _beside(corners, label, drawn.layout.horizontal)
        rects.append(Rect(x, y, x + text_width(label, bold=True), y + 2))
    ends = [point for edge in drawn.edges for point in edge.points]
    right = max([rect.right for rect in rects] + [x for x, _ in ends])
    return right, max([rect.bottom for rect in rects] + [y for _, y in ends])


def _box(box: Box, rect: Rect) -> Iterator[str]:
    middle = (rect.left + rect.right) / 2
    if is_sum(box):
        yield f'<rect class="join" {attributes(rect)} rx="{px(JOIN / 2)}"/>'
        yield f'<text x="{px(middle)}" y="{px(rect.top + 14.5)}">+</text>'
        return
    yield f"<g><title>{markup(_tooltip(box))}</title>" if box.params or box.macs else "<g>"
    yield f'<rect class="{box.kind}" {attributes(rect)} rx="5"/>'
    for line, (text, kind) in enumerate(text_lines(box)):
        baseline = rect.top + 5 + LINE * (line + 0.75)
        yield f'<text class="{kind}" x="{px(middle)}" y="{px(baseline)}">{markup(text)}</text>'
    yield "</g>"


def _line(edge: Edge, horizontal: bool) -> Iterator[str]:
    """A line with rounded corners, and its arrow."""
    yield f'<path d="{_through(edge.points, ROUND)}"/>'
    if edge.arrow:
        x, y = edge.points[-1]
        yield f'<path class="a" d="M{px(x)} {px(y)}{"l-6 -3.5v7z" if horizontal else "l-3.5 -6h7z"}"/>'


def _through(corners: Sequence[Point], radius: float) -> str:
    """A path of right angles through these points, its corners rounded as far as the lines between them allow."""
    (x, y), *_ = corners
    path = [f"M{px(x)} {px(y)}"]
    for i, (start, end) in enumerate(pairwise(corners), 1):
        ahead = _unit(start, end)
        if i + 1 == len(corners):
            bend = 0.0
        else:
            bend = min(radius, _length(start, end) / (2 if i > 1 else 1), _length(end, corners[i + 1]) / 2)
        x, y = end[0] - bend * ahead[0], end[1] - bend * ahead[1]
        path.append(f"H{px(x)}" if ahead[0] else f"V{px(y)}")
        if bend:
            turn = _unit(end, corners[i + 1])
            control = f"{px(bend * ahead[0])} {px(bend * ahead[1])}"
            path.append(f"q{control} {px(bend * (ahead[0] + turn[0]))} {px(bend * (ahead[1] + turn[1]))}")
    return "".join(path)


def _length(start: Point, end: Point) -> float:
    return abs(end[0] - start[0]) + abs(end[1] - start[1])


def _unit(start: Point, end: Point) -> tuple[int, int]:
    """The direction of a line along an axis."""
    x, y = end[0] - start[0], end[1] - start[1]
    return (x > 0) - (x < 0), 0 if x else (y > 0) - (y < 0)


def _beside(corners: Sequence[Point], label: str, horizontal: bool) -> Point:
    """Where the label of a bracket begins: at its side, or below it."""
    _, (x0, y0), (x1, y1), _ = corners
    if horizontal:
        return (x0 + x1 - text_width(label, bold=True)) / 2, y0 + LINE
    return x0 + 6, (y0 + y1) / 2 + 4


def _tooltip(box: Box) -> str:
    return f"{box.name}: {box.params:,} parameters, {box.macs:,} multiply-adds"


def px(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def attributes(rect: Rect) -> str:
    """A rectangle as attributes of its element."""
    left, top, right, bottom = rect
    return f'x="{px(left)}" y="{px(top)}" width="{px(right - left)}" height="{px(bottom - top)}"'
