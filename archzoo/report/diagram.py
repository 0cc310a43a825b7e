"""An architecture as the paper would draw it, as SVG: from the image down to the classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from xml.sax.saxutils import escape

from torch import nn

from archzoo.profiler import Profile
from archzoo.report.graphs import Box, Item, Parallel, Repeat, Series, Tangle, architecture, boxes_in

GAP, SIDE, PAD = 22.0, 22.0, 8.0  # between boxes in a column; between columns; from a frame to what is in it
LABEL = 16.0  # the height of a frame's name
LINE, MARGIN, ROUND = 14.0, 14.0, 5.0
JOIN = 20.0

STYLE = """
.az{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;background:var(--az-back,#fff)}
.az text{fill:var(--az-ink,#1d2733);text-anchor:middle}.az .t{font-weight:600}.az .s{fill:var(--az-soft,#5b6878)}
.az text.f,.az text.r{text-anchor:start;fill:var(--az-soft,#5b6878)}.az text.r{font-weight:600;font-size:13px}
.az text.f{paint-order:stroke;stroke:var(--az-back,#fff);stroke-width:4px;stroke-linejoin:round}
.az rect{stroke:var(--az-line,#8a97a8);fill:var(--az-box,#f4f6f9)}.az rect.f{fill:var(--az-frame,#1d273308);stroke:none}
.az .conv{fill:var(--az-conv,#dcebfb);stroke:var(--az-conv-line,#5b93cc)}
.az .pool{fill:var(--az-pool,#def3e4);stroke:var(--az-pool-line,#5aa574)}
.az .linear,.az .layer{fill:var(--az-linear,#fdead2);stroke:var(--az-linear-line,#cf964a)}
.az .part{fill:var(--az-part,#e9e4f7);stroke:var(--az-part-line,#8c78c4)}
.az .join,.az .image{fill:var(--az-back,#fff)}
.az path{fill:none;stroke:var(--az-line,#8a97a8);stroke-width:1.3}.az path.a{fill:var(--az-line,#8a97a8);stroke:none}
.az path.r{stroke-dasharray:3 3}
"""
DARK = """
@media (prefers-color-scheme:dark){.az{--az-back:#12171e;--az-ink:#e4e9f0;--az-soft:#9aa7b8;--az-line:#76849a;
--az-box:#1d2530;--az-frame:#ffffff0c;--az-conv:#173450;--az-conv-line:#5b93cc;--az-pool:#173a26;--az-pool-line:#5aa574;
--az-linear:#43300f;--az-linear-line:#cf964a;--az-part:#2c2548;--az-part-line:#8c78c4}}
"""

Port = tuple[float, float, bool]  # where a line ends, and whether with an arrow


def diagram(
    net: nn.Module,
    input_size: tuple[int, ...],
    *,
    depth: int | None = 2,
    title: str = "",
    fold: bool = True,
    style: bool = True,
    counted: Profile | None = None,
) -> str:
    """SVG of a network for one image of (channels, height, width): parts by their names, what they do, map sizes.

    Parts are opened down to ``depth`` levels, None for all; equal ones in a row are drawn once unless ``fold`` is
    false. Without ``style`` it relies on a page that has STYLE. ``counted`` is the network's profile at this size, if
    there is one. Raises DiagramError where the graph cannot be traced.
    """
    return draw(architecture(net, input_size, depth, fold=fold, counted=counted), title, style=style)


def draw(series: Series, title: str = "", *, style: bool = True) -> str:
    """SVG of an architecture."""
    canvas = _Canvas()
    left, right, height = _size(series)
    margin = MARGIN + PAD * max(len(box.frames) for box in boxes_in(series))
    _place(canvas, series, margin + left, MARGIN)
    canvas.draw_frames()
    width, high = max(left + right + 2 * margin, canvas.right + MARGIN), height + 2 * MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="az" role="img" viewBox="0 0 {_n(width)} {_n(high)}"'
    named = f"<title>{escape(title)}</title>" if title else ""
    css = f"<style>{(STYLE + DARK).strip()}</style>" if style else ""
    back = '<rect width="100%" height="100%" style="fill:var(--az-back,#fff);stroke:none"/>' if style else ""
    body = "".join((*canvas.frames, *canvas.paths, *canvas.labels, *canvas.boxes))
    return f'{head} width="{_n(width)}" height="{_n(high)}">{named}{css}{back}{body}</svg>\n'


@dataclass
class _Canvas:
    """What has been drawn, and where boxes are, for the frames around them."""

    frames: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    within: dict[str, list[float]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    right: float = 0.0

    def box(self, box: Box, x: float, y: float) -> None:
        """Draw a box, its axis at x and its top at y."""
        left, right, height = _size(box)
        for frame in box.frames:
            self.reach(frame, x - left, y, x + right, y + height)
        self.right = max(self.right, x + right)
        if _is_sum(box):
            radius = JOIN / 2
            self.boxes.append(f'<rect class="join" {_at(x - radius, y, JOIN, JOIN)} rx="{_n(radius)}"/>')
            self.boxes.append(f'<text x="{_n(x)}" y="{_n(y + 14.5)}">+</text>')
            return
        hint = f"<title>{escape(_hint(box))}</title>" if box.params or box.macs else ""
        self.boxes.append(f'<g>{hint}<rect class="{box.kind}" {_at(x - left, y, left + right, height)} rx="5"/>')
        for number, (text, kind) in enumerate(_lines(box)):
            self.boxes.append(
                f'<text class="{kind}" x="{_n(x)}" y="{_n(y + 5 + LINE * (number + 0.75))}">{escape(text)}</text>'
            )
        self.boxes.append("</g>")

    def reach(self, frame: str, left: float, top: float, right: float, bottom: float) -> None:
        """Make a frame large enough for this."""
        edges = self.within.setdefault(frame, [left, top, right, bottom])
        edges[:] = min(edges[0], left), min(edges[1], top), max(edges[2], right), max(edges[3], bottom)

    def edge(self, start: Port, end: Port, turn: float) -> None:
        """A line down, across at the height ``turn``, and down; with an arrow where it ends at a box."""
        (x0, y0, _), (x1, y1, arrow) = start, end
        if abs(x0 - x1) < 0.5:
            line = f"M{_n(x0)} {_n(y0)}V{_n(y1)}"
        else:
            bend = max(min(ROUND, abs(x1 - x0) / 2, turn - y0, y1 - turn), 0)
            away = bend if x1 > x0 else -bend
            line = (
                f"M{_n(x0)} {_n(y0)}V{_n(turn - bend)}q0 {_n(bend)} {_n(away)} {_n(bend)}H{_n(x1 - away)}"
                f"q{_n(away)} 0 {_n(away)} {_n(bend)}V{_n(y1)}"
            )
        self.paths.append(f'<path d="{line}"/>')
        if arrow:
            self.paths.append(f'<path class="a" d="M{_n(x1)} {_n(y1)}l-3.5 -6h7z"/>')

    def draw_frames(self) -> None:
        """Frames around all that is in them, the outer ones first and larger."""
        for frame in sorted(self.within, key=lambda one: one.count(".")):
            left, top, right, bottom = self.within[frame]
            inside = [self.within[one] for one in self.within if one.startswith(f"{frame}.")]
            sides = PAD * (1 + max((one.count(".") for one in self.within if one.startswith(f"{frame}.")), default=0))
            sides -= PAD * frame.count(".") if inside else 0
            above = LABEL * (1 + sum(edges[1] == top for edges in inside))
            below = PAD * (1 + sum(edges[3] == bottom for edges in inside))
            place = _at(left - sides, top - above, right - left + 2 * sides, bottom - top + above + below)
            name = self.names.get(frame, frame.rpartition(".")[2])
            self.frames.append(f'<rect class="f" {place} rx="7"/>')
            label = f'x="{_n(left - sides + 6)}" y="{_n(top - above + 12)}"'
            self.labels.append(f'<text class="f" {label}>{escape(name)}</text>')
            self.right = max(self.right, right + sides)


# How large things are: to the left and to the right of their axis, and high


def _size(item: Item | Series, opened: int = 0) -> tuple[float, float, float]:
    """To the left and to the right of the axis, and the height, where so many frames are open around it."""
    match item:
        case Box():
            if _is_sum(item):
                return JOIN / 2, JOIN / 2, JOIN
            lines = _lines(item)
            half = max(max(_width(text, kind == "t") for text, kind in lines) / 2 + 10, 30)
            return half, half, 10 + LINE * len(lines)
        case Series():
            gaps = _gaps(item, opened)
            sizes = [_size(one, shared) for one, (_, shared) in zip(item.items, gaps, strict=False)]
            height = sum(size[2] for size in sizes) + sum(gap for gap, _ in gaps)
            return max((s[0] for s in sizes), default=4.0), max((s[1] for s in sizes), default=4.0), height
        case Parallel():
            columns = [_column(branch, item) for branch in item.branches]
            axis = _axis(item, columns)
            total = sum(left + right for left, right, _ in columns) + SIDE * (len(columns) - 1)
            return axis, total - axis, max(height for _, _, height in columns)
        case Repeat():
            left, right, height = _size(item.body, opened)
            return left, right + 12 + _width(_times(item), True) + 8, height
        case Tangle():
            widths = [sum(sum(_size(box)[:2]) for box in row) + SIDE * (len(row) - 1) for row in item.rows]
            heights = [max(_size(box)[2] for box in row) for row in item.rows]
            return max(widths) / 2, max(widths) / 2, sum(heights) + 2 * GAP * (len(heights) - 1)


def _column(branch: Series, around: Parallel) -> tuple[float, float, float]:
    """A branch with the room that frames around its boxes alone need."""
    shared = len(_shared(around))
    left, right, height = _size(branch, shared)
    extra = max((len(box.frames) - shared for box in boxes_in(branch)), default=0)
    return left + PAD * extra, right + PAD * extra, height


def _axis(item: Parallel, columns: Sequence[tuple[float, float, float]]) -> float:
    """Where the line through branches goes in and out: in the largest of two, in the middle of more."""
    widths = [left + right for left, right, _ in columns]
    if len(item.branches) > 2 and all(branch.items for branch in item.branches):
        return (sum(widths) + SIDE * (len(widths) - 1)) / 2
    sizes = [sum(1 for _ in boxes_in(branch)) for branch in item.branches]
    main = sizes.index(max(sizes))
    return sum(widths[:main]) + SIDE * main + columns[main][0]


def _shared(item: Item) -> tuple[str, ...]:
    """The frames around all boxes of an item."""
    levels = zip(*(box.frames for box in boxes_in(item)), strict=False)
    return tuple(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))


def _gaps(series: Series, opened: int) -> list[tuple[float, int]]:
    """The room above each item and below the last, for frames that end and begin there, and how many are then open."""
    gaps: list[tuple[float, int]] = []
    before: tuple[str, ...] | None = None
    for item in series.items:
        here = _shared(item)
        if before is None:
            gap = LABEL * max(len(here) - opened, 0)
        else:
            gap = GAP + LABEL * len(set(here) - set(before)) + PAD * len(set(before) - set(here))
        gaps.append((gap, len(here)))
        before = here
    return [*gaps, (PAD * max(len(before or ()) - opened, 0), opened)]


# Placing


def _place(canvas: _Canvas, item: Item | Series, x: float, y: float, opened: int = 0) -> tuple[list[Port], list[Port]]:
    """Draw with the axis at x and the top at y; where lines go in, and where they come out."""
    match item:
        case Box():
            canvas.box(item, x, y)
            return [(x, y, True)], [(x, y + _size(item)[2], True)]
        case Series():
            return _place_series(canvas, item, x, y, opened)
        case Parallel():
            return _place_branches(canvas, item, x, y)
        case Repeat():
            return _place_repeat(canvas, item, x, y, opened)
        case Tangle():
            return _place_tangle(canvas, item, x, y)


def _place_series(canvas: _Canvas, series: Series, x: float, y: float, opened: int) -> tuple[list[Port], list[Port]]:
    ins: list[Port] = []
    outs: list[Port] = []
    for item, (gap, shared) in zip(series.items, _gaps(series, opened), strict=False):
        y += gap
        entries, exits = _place(canvas, item, x, y, shared)
        for start in outs:
            for end in entries:
                turn = end[1] - GAP / 2 if len(outs) > 1 else start[1] + GAP / 2
                canvas.edge(start, end, turn)
        ins, outs = ins or entries, exits
        y += _size(item, shared)[2]
    return ins, outs


def _place_branches(canvas: _Canvas, item: Parallel, x: float, y: float) -> tuple[list[Port], list[Port]]:
    columns = [_column(branch, item) for branch in item.branches]
    start = x - _axis(item, columns)
    shared = _shared(item)
    ins: list[Port] = []
    outs: list[Port] = []
    for branch, (before, after, _) in zip(item.branches, columns, strict=True):
        axis = start + before
        if branch.items:
            entries, exits = _place(canvas, branch, axis, y, len(shared))
        else:  # the identity, a line alone
            entries = exits = [(axis, y, False)]
            for frame in shared:
                canvas.reach(frame, axis, y, axis, y)
        ins, outs = ins + entries, outs + exits
        start += before + after + SIDE
    return ins, outs


def _place_repeat(canvas: _Canvas, item: Repeat, x: float, y: float, opened: int) -> tuple[list[Port], list[Port]]:
    _, right, height = _size(item.body, opened)
    ports = _place(canvas, item.body, x, y, opened)
    canvas.names[item.names[0]] = item.span
    place = x + right + 10
    canvas.paths.append(f'<path class="r" d="M{_n(place - 4)} {_n(y)}h4V{_n(y + height)}h-4"/>')
    canvas.boxes.append(f'<text class="r" x="{_n(place + 6)}" y="{_n(y + height / 2 + 4)}">{_times(item)}</text>')
    canvas.right = max(canvas.right, place + 6 + _width(_times(item), True))
    return ports


def _times(item: Repeat) -> str:
    return f"x {item.times}"


def _place_tangle(canvas: _Canvas, item: Tangle, x: float, y: float) -> tuple[list[Port], list[Port]]:
    tops: dict[Box, Port] = {}
    bottoms: dict[Box, Port] = {}
    for row in item.rows:
        width = sum(sum(_size(box)[:2]) for box in row) + SIDE * (len(row) - 1)
        start = x - width / 2
        for box in row:
            left, right, height = _size(box)
            canvas.box(box, start + left, y)
            tops[box], bottoms[box] = (start + left, y, True), (start + left, y + height, True)
            start += left + right + SIDE
        y += max(_size(box)[2] for box in row) + 2 * GAP
    for one, other in item.edges:
        canvas.edge(bottoms[one], tops[other], tops[other][1] - GAP)
    return [tops[box] for box in item.ends[0]], [bottoms[box] for box in item.ends[1]]


# Words and numbers


def _lines(box: Box) -> list[tuple[str, str]]:
    """The lines of text in a box, with their class: its name, what it does, and the maps that it gives."""
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


def _is_sum(box: Box) -> bool:
    return box.kind == "join" and box.title == "+" and not box.notes


def _hint(box: Box) -> str:
    return f"{box.name}: {box.params:,} parameters, {box.macs:,} multiply-adds"


def _width(text: str, bold: bool) -> float:
    """About how wide a text is, in pixels: fonts differ."""
    narrow = sum(character in "iljtfr.,:;'|()[]/ 1" for character in text)
    wide = sum(character in "mwMWCNO@" for character in text)
    return (6.9 * len(text) - 2.6 * narrow + 2.0 * wide) * (1.16 if bold else 1.0)


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _at(x: float, y: float, width: float, height: float) -> str:
    return f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
