"""The extent of every item of a diagram: to the left and right of its axis, and its height."""

from collections.abc import Sequence
from itertools import takewhile

from archzoo.report.diagram._boxes import Box, Item, LayeredGraph, Parallel, Repeat, Series, boxes_in

GAP, SIDE, PAD = 22.0, 22.0, 8.0  # between boxes in a column; between columns; from a frame to its contents
LABEL = 16.0  # the height of a frame's name
LINE = 14.0
JOIN = 20.0


def extent(item: Item | Series, opened: int = 0) -> tuple[float, float, float]:
    """Width left and right of the axis, and height; ``opened`` frames are already open around the item."""
    match item:
        case Box():
            if is_sum(item):
                return JOIN / 2, JOIN / 2, JOIN
            lines = text_lines(item)
            half = max(max(text_width(text, kind == "t") for text, kind in lines) / 2 + 10, 30)
            return half, half, 10 + LINE * len(lines)
        case Series():
            gaps = series_gaps(item, opened)
            sizes = [extent(inner, shared) for inner, (_, shared) in zip(item.items, gaps, strict=False)]
            height = sum(size[2] for size in sizes) + sum(gap for gap, _ in gaps)
            return max((s[0] for s in sizes), default=4.0), max((s[1] for s in sizes), default=4.0), height
        case Parallel():
            columns = [column_extent(branch, item) for branch in item.branches]
            axis = axis_of(item, columns)
            total = sum(left + right for left, right, _ in columns) + SIDE * (len(columns) - 1)
            return axis, total - axis, max(height for _, _, height in columns)
        case Repeat():
            left, right, height = extent(item.body, opened)
            return left, right + 12 + text_width(times_label(item), True) + 8, height
        case LayeredGraph():
            widths = [sum(sum(extent(box)[:2]) for box in row) + SIDE * (len(row) - 1) for row in item.rows]
            heights = [max(extent(box)[2] for box in row) for row in item.rows]
            return max(widths) / 2, max(widths) / 2, sum(heights) + 2 * GAP * (len(heights) - 1)


def column_extent(branch: Series, around: Parallel) -> tuple[float, float, float]:
    """The extent of a branch, including frames that are around its boxes only."""
    shared = len(shared_frames(around))
    left, right, height = extent(branch, shared)
    extra = max((len(box.frames) - shared for box in boxes_in(branch)), default=0)
    return left + PAD * extra, right + PAD * extra, height


def axis_of(item: Parallel, columns: Sequence[tuple[float, float, float]]) -> float:
    """Where edges enter and leave branches: at the larger of two, in the middle of more."""
    widths = [left + right for left, right, _ in columns]
    if len(item.branches) > 2 and all(branch.items for branch in item.branches):
        return (sum(widths) + SIDE * (len(widths) - 1)) / 2
    sizes = [sum(1 for _ in boxes_in(branch)) for branch in item.branches]
    main = sizes.index(max(sizes))
    return sum(widths[:main]) + SIDE * main + columns[main][0]


def shared_frames(item: Item) -> tuple[str, ...]:
    """The frames around all boxes of an item."""
    levels = zip(*(box.frames for box in boxes_in(item)), strict=False)
    return tuple(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))


def series_gaps(series: Series, opened: int) -> list[tuple[float, int]]:
    """The gap above each item and below the last, with the number of frames open there.

    A gap has room for the frames that begin and end in it.
    """
    gaps: list[tuple[float, int]] = []
    before: tuple[str, ...] | None = None
    for item in series.items:
        here = shared_frames(item)
        if before is None:
            gap = LABEL * max(len(here) - opened, 0)
        else:
            gap = GAP + LABEL * len(set(here) - set(before)) + PAD * len(set(before) - set(here))
        gaps.append((gap, len(here)))
        before = here
    return [*gaps, (PAD * max(len(before or ()) - opened, 0), opened)]


def times_label(item: Repeat) -> str:
    """The label of a repeated part."""
    return f"x {item.times}"


def text_lines(box: Box) -> list[tuple[str, str]]:
    """The lines of text in a box, each with its CSS class: name, description, output size."""
    size = "x".join(map(str, box.output)) if box.output else ""
    if box.kind == "join":
        return [(" · ".join((box.title, *box.notes)), "s")]
    if box.kind == "step":
        return (
            [(box.title, "s")] if box.notes in ((), (box.title,)) else [(box.title, "t"), (" · ".join(box.notes), "s")]
        )
    if box.kind == "image":
        return [(f"image {size}", "t")]
    return [(box.title, "t"), (" · ".join(box.notes), ""), *([(size, "s")] if size and box.kind != "linear" else [])]


def is_sum(box: Box) -> bool:
    """Whether a box is a plain sum, drawn as a circle."""
    return box.kind == "join" and box.title == "+" and not box.notes


def text_width(text: str, bold: bool) -> float:
    """The approximate width of a text in pixels; fonts differ."""
    narrow = sum(character in "iljtfr.,:;'|()[]/ 1" for character in text)
    wide = sum(character in "mwMWCNO@" for character in text)
    return (6.9 * len(text) - 2.6 * narrow + 2.0 * wide) * (1.16 if bold else 1.0)
