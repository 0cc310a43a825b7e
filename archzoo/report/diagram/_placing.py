"""Placing the items of a diagram on a canvas, from top to bottom."""

from archzoo.report.diagram._boxes import Box, Item, LayeredGraph, Parallel, Repeat, Series
from archzoo.report.diagram._canvas import Canvas, Port, px
from archzoo.report.diagram._measuring import (
    GAP,
    SIDE,
    axis_of,
    column_extent,
    extent,
    series_gaps,
    shared_frames,
    text_width,
    times_label,
)


def place(canvas: Canvas, item: Item | Series, x: float, y: float, opened: int = 0) -> tuple[list[Port], list[Port]]:
    """Draw an item with its axis at x and its top at y; return where edges enter and leave it."""
    match item:
        case Box():
            canvas.box(item, x, y)
            return [(x, y, True)], [(x, y + extent(item)[2], True)]
        case Series():
            return _place_series(canvas, item, x, y, opened)
        case Parallel():
            return _place_branches(canvas, item, x, y)
        case Repeat():
            return _place_repeat(canvas, item, x, y, opened)
        case LayeredGraph():
            return _place_layered(canvas, item, x, y)


def _place_series(canvas: Canvas, series: Series, x: float, y: float, opened: int) -> tuple[list[Port], list[Port]]:
    ins: list[Port] = []
    outs: list[Port] = []
    for item, (gap, shared) in zip(series.items, series_gaps(series, opened), strict=False):
        y += gap
        entries, exits = place(canvas, item, x, y, shared)
        for start in outs:
            for end in entries:
                turn = end[1] - GAP / 2 if len(outs) > 1 else start[1] + GAP / 2
                canvas.edge(start, end, turn)
        ins, outs = ins or entries, exits
        y += extent(item, shared)[2]
    return ins, outs


def _place_branches(canvas: Canvas, item: Parallel, x: float, y: float) -> tuple[list[Port], list[Port]]:
    columns = [column_extent(branch, item) for branch in item.branches]
    start = x - axis_of(item, columns)
    shared = shared_frames(item)
    ins: list[Port] = []
    outs: list[Port] = []
    for branch, (before, after, _) in zip(item.branches, columns, strict=True):
        axis = start + before
        if branch.items:
            entries, exits = place(canvas, branch, axis, y, len(shared))
        else:  # the identity, a line alone
            entries = exits = [(axis, y, False)]
            for frame in shared:
                canvas.reach(frame, axis, y, axis, y)
        ins, outs = ins + entries, outs + exits
        start += before + after + SIDE
    return ins, outs


def _place_repeat(canvas: Canvas, item: Repeat, x: float, y: float, opened: int) -> tuple[list[Port], list[Port]]:
    _, right, height = extent(item.body, opened)
    ports = place(canvas, item.body, x, y, opened)
    canvas.names[item.names[0]] = item.span
    bracket = x + right + 10
    canvas.paths.append(f'<path class="r" d="M{px(bracket - 4)} {px(y)}h4V{px(y + height)}h-4"/>')
    canvas.boxes.append(
        f'<text class="r" x="{px(bracket + 6)}" y="{px(y + height / 2 + 4)}">{times_label(item)}</text>'
    )
    canvas.right = max(canvas.right, bracket + 6 + text_width(times_label(item), True))
    return ports


def _place_layered(canvas: Canvas, item: LayeredGraph, x: float, y: float) -> tuple[list[Port], list[Port]]:
    tops: dict[Box, Port] = {}
    bottoms: dict[Box, Port] = {}
    for row in item.rows:
        width = sum(sum(extent(box)[:2]) for box in row) + SIDE * (len(row) - 1)
        start = x - width / 2
        for box in row:
            left, right, height = extent(box)
            canvas.box(box, start + left, y)
            tops[box], bottoms[box] = (start + left, y, True), (start + left, y + height, True)
            start += left + right + SIDE
        y += max(extent(box)[2] for box in row) + 2 * GAP
    for source, target in item.edges:
        canvas.edge(bottoms[source], tops[target], tops[target][1] - GAP)
    return [tops[box] for box in item.ends[0]], [bottoms[box] for box in item.ends[1]]
