"""The SVG elements of a diagram: boxes, edges, and frames around the boxes of a module."""

from dataclasses import dataclass, field

from archzoo.escaping import markup
from archzoo.report.diagram._boxes import Box
from archzoo.report.diagram._measuring import JOIN, LABEL, LINE, PAD, extent, is_sum, text_lines

ROUND = 5.0
Port = tuple[float, float, bool]  # the end of an edge, and whether it has an arrow


@dataclass
class Canvas:
    """SVG elements by layer, and the extent of every frame so far."""

    frames: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    frame_edges: dict[str, list[float]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    right: float = 0.0

    def box(self, box: Box, x: float, y: float) -> None:
        """Draw a box, its axis at x and its top at y."""
        left, right, height = extent(box)
        for frame in box.frames:
            self.reach(frame, x - left, y, x + right, y + height)
        self.right = max(self.right, x + right)
        if is_sum(box):
            radius = JOIN / 2
            self.boxes.append(f'<rect class="join" {rectangle(x - radius, y, JOIN, JOIN)} rx="{px(radius)}"/>')
            self.boxes.append(f'<text x="{px(x)}" y="{px(y + 14.5)}">+</text>')
            return
        tooltip = f"<title>{markup(_tooltip(box))}</title>" if box.params or box.macs else ""
        self.boxes.append(
            f'<g>{tooltip}<rect class="{box.kind}" {rectangle(x - left, y, left + right, height)} rx="5"/>'
        )
        for line, (text, kind) in enumerate(text_lines(box)):
            baseline = y + 5 + LINE * (line + 0.75)
            self.boxes.append(f'<text class="{kind}" x="{px(x)}" y="{px(baseline)}">{markup(text)}</text>')
        self.boxes.append("</g>")

    def reach(self, frame: str, left: float, top: float, right: float, bottom: float) -> None:
        """Extend a frame to include this rectangle."""
        edges = self.frame_edges.setdefault(frame, [left, top, right, bottom])
        edges[:] = min(edges[0], left), min(edges[1], top), max(edges[2], right), max(edges[3], bottom)

    def edge(self, start: Port, end: Port, turn: float) -> None:
        """A line down, across at the height ``turn``, and down; with an arrow where it ends at a box."""
        (x0, y0, _), (x1, y1, arrow) = start, end
        if abs(x0 - x1) < 0.5:
            line = f"M{px(x0)} {px(y0)}V{px(y1)}"
        else:
            bend = max(min(ROUND, abs(x1 - x0) / 2, turn - y0, y1 - turn), 0)
            away = bend if x1 > x0 else -bend
            line = (
                f"M{px(x0)} {px(y0)}V{px(turn - bend)}q0 {px(bend)} {px(away)} {px(bend)}"
                f"H{px(x1 - away)}q{px(away)} 0 {px(away)} {px(bend)}V{px(y1)}"
            )
        self.paths.append(f'<path d="{line}"/>')
        if arrow:
            self.paths.append(f'<path class="a" d="M{px(x1)} {px(y1)}l-3.5 -6h7z"/>')

    def draw_frames(self) -> None:
        """Draw the frames around their contents, outer frames first and larger."""
        for frame in sorted(self.frame_edges, key=lambda path: path.count(".")):
            left, top, right, bottom = self.frame_edges[frame]
            paths = [path for path in self.frame_edges if path.startswith(f"{frame}.")]
            inside = [self.frame_edges[path] for path in paths]
            sides = PAD * (1 + max((path.count(".") for path in paths), default=0))
            sides -= PAD * frame.count(".") if inside else 0
            above = LABEL * (1 + sum(edges[1] == top for edges in inside))
            below = PAD * (1 + sum(edges[3] == bottom for edges in inside))
            rect = rectangle(left - sides, top - above, right - left + 2 * sides, bottom - top + above + below)
            name = self.names.get(frame, frame.rpartition(".")[2])
            self.frames.append(f'<rect class="f" {rect} rx="7"/>')
            label = f'x="{px(left - sides + 6)}" y="{px(top - above + 12)}"'
            # Twice: its outline covers the line behind it. Not all programs draw an outline below its own text.
            self.labels.append(f'<text class="f h" aria-hidden="true" {label}>{markup(name)}</text>')
            self.labels.append(f'<text class="f" {label}>{markup(name)}</text>')
            self.right = max(self.right, right + sides)


def _tooltip(box: Box) -> str:
    return f"{box.name}: {box.params:,} parameters, {box.macs:,} multiply-adds"


def px(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def rectangle(x: float, y: float, width: float, height: float) -> str:
    """The attributes of a rectangle."""
    return f'x="{px(x)}" y="{px(y)}" width="{px(width)}" height="{px(height)}"'
