"""The extent of every item of a diagram: before and after its axis, and along the flow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from archzoo.report.diagram._boxes import Box, Item, LayeredGraph, Parallel, Repeat, Series, boxes_in

GAP, SIDE, PAD = 22.0, 22.0, 8.0  # between boxes in sequence; between branches; from a frame to its contents
LABEL = 16.0  # the height of a frame's name, which stands at its top
LINE = 14.0
JOIN = 20.0
BRACKET = 10.0  # from a repeated part to the middle of its bracket


@dataclass(frozen=True)
class Layout:
    """Measures items along the flow and across it: downwards, or to the right in a horizontal layout.

    ``pushed`` is additional room before a box, by the box's id.
    """

    horizontal: bool = False
    pushed: Mapping[int, float] = field(default_factory=dict)

    @property
    def frame_across(self) -> tuple[float, float]:
        """The room of a frame before and after its contents, across the flow."""
        return (LABEL if self.horizontal else PAD), PAD

    @property
    def frame_along(self) -> tuple[float, float]:
        """The room of a frame at its beginning and at its end."""
        return (PAD if self.horizontal else LABEL), PAD

    def extent(self, item: Item | Series, opened: int = 0) -> tuple[float, float, float]:
        """The size before and after the axis, and the length; ``opened`` frames are already open around the item."""
        match item:
            case Box():
                return self._box(item)
            case Series():
                gaps = self.gaps(item, opened)
                sizes = [self.extent(inner, shared) for inner, (_, shared) in zip(item.items, gaps, strict=False)]
                length = sum(size[2] for size in sizes) + sum(gap for gap, _ in gaps)
                named = max(self.names_before(item, opened), default=0.0)
                return max([named or 4.0, *(s[0] for s in sizes)]), max((s[1] for s in sizes), default=4.0), length
            case Parallel():
                branches = self.branches(item)
                axis = axis_of(item, branches)
                total = sum(before + after for before, after, _ in branches) + SIDE * (len(branches) - 1)
                return axis, total - axis, max(length for _, _, length in branches)
            case Repeat():
                before, after, length = self.extent(item.body, opened)
                return before, after + self.bracket(item) + self._beside_bracket(item), length
            case LayeredGraph():
                widths = [sum(sum(self.extent(box)[:2]) for box in row) + SIDE * (len(row) - 1) for row in item.rows]
                lengths = [max(self.extent(box)[2] for box in row) for row in item.rows]
                return max(widths) / 2, max(widths) / 2, sum(lengths) + 2 * GAP * (len(lengths) - 1)

    def _box(self, box: Box) -> tuple[float, float, float]:
        width, height = box_size(box)
        return (height / 2, height / 2, width) if self.horizontal else (width / 2, width / 2, height)

    def branches(self, item: Parallel) -> list[tuple[float, float, float]]:
        """The extent of each branch, including frames that are around its boxes only."""
        return [self._branch(branch, len(shared_frames(item))) for branch in item.branches]

    def _branch(self, branch: Series, shared: int) -> tuple[float, float, float]:
        before, after, length = self.extent(branch, shared)
        extra = max((len(box.frames) - shared for box in boxes_in(branch)), default=0)
        room_before, room_after = self.frame_across
        return before + room_before * extra, after + room_after * extra, length

    def gaps(self, series: Series, opened: int) -> list[tuple[float, int]]:
        """The gap before each item and behind the last, with the number of frames open there.

        A gap has room for the frames that begin and end in it.
        """
        at_start, at_end = self.frame_along
        gaps: list[tuple[float, int]] = []
        previous: tuple[str, ...] | None = None
        for item, begun in zip(series.items, frames_begun(series, opened), strict=True):
            here = shared_frames(item)
            gap = at_start * len(begun)
            if previous is not None:
                gap += GAP + at_end * len(set(previous) - set(here))
            gaps.append((gap + self.pushed.get(id(item), 0.0), len(here)))
            previous = here
        return [*gaps, (at_end * max(len(previous or ()) - opened, 0), opened)]

    def names_before(self, series: Series, opened: int) -> list[float]:
        """The room before the axis for the names of the frames that begin at each item, beside the edge to it."""
        if self.horizontal:
            return [0.0] * len(series.items)
        return [
            max((name_width(frame_name(item, frame)) + 6 for frame in begun), default=0.0)
            for item, begun in zip(series.items, frames_begun(series, opened), strict=True)
        ]

    def bracket(self, item: Repeat) -> float:
        """From the contents of a repeated part to its bracket, which is beside the part's own frames."""
        around = len(frames_around(item))
        return self.frame_across[1] * max(len(box.frames) - around for box in boxes_in(item)) + BRACKET

    def _beside_bracket(self, item: Repeat) -> float:
        return 4 + LINE if self.horizontal else 6 + text_width(times_label(item), True) + 8


def axis_of(item: Parallel, branches: Sequence[tuple[float, float, float]]) -> float:
    """Where edges enter and leave branches: at the larger of two, in the middle of more."""
    widths = [before + after for before, after, _ in branches]
    if len(item.branches) > 2 and all(branch.items for branch in item.branches):
        return (sum(widths) + SIDE * (len(widths) - 1)) / 2
    sizes = [sum(1 for _ in boxes_in(branch)) for branch in item.branches]
    main = sizes.index(max(sizes))
    return sum(widths[:main]) + SIDE * main + branches[main][0]


def shared_frames(item: Item) -> tuple[str, ...]:
    """The frames around all boxes of an item."""
    levels = zip(*(box.frames for box in boxes_in(item)), strict=False)
    return tuple(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))


def frames_begun(series: Series, opened: int) -> list[tuple[str, ...]]:
    """The frames that begin at each item."""
    frames = list(map(shared_frames, series.items))
    before = [frames[0][:opened] if frames else (), *frames[:-1]]
    return [tuple(frame for frame in here if frame not in last) for here, last in zip(frames, before, strict=False)]


def frame_name(item: Item, frame: str) -> str:
    """The name of a frame that begins at an item."""
    return item.span if isinstance(item, Repeat) and frame == item.names[0] else frame.rpartition(".")[2]


def name_width(name: str) -> float:
    """The width of a frame's name in the widest of the usual fonts."""
    return 1.1 * text_width(name, bold=False)


def frames_around(item: Repeat) -> tuple[str, ...]:
    """The frames around all copies of a repeated part, without the part's own."""
    return tuple(frame for frame in shared_frames(item) if item.names[0].startswith(f"{frame}."))


def times_label(item: Repeat) -> str:
    """The label of a repeated part."""
    return f"x {item.times}"


def box_size(box: Box) -> tuple[float, float]:
    """The width and height of a box."""
    if is_sum(box):
        return JOIN, JOIN
    lines = text_lines(box)
    width = max(max(text_width(text, kind == "t") for text, kind in lines) + 20, 60)
    return width, 10 + LINE * len(lines)


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
