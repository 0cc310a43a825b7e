"""Placing the items of a diagram along the flow."""

from collections import Counter

from archzoo.report.diagram._boxes import Box, Item, LayeredGraph, Parallel, Repeat, Series, boxes_in
from archzoo.report.diagram._measuring import (
    GAP,
    SIDE,
    Layout,
    axis_of,
    frames_around,
    frames_begun,
    shared_frames,
    times_label,
)
from archzoo.report.diagram._plan import Edge, Plan

MARGIN = 14.0
MOST_PUSHES = 3  # of a box out of a frame
Port = tuple[float, float, bool]  # the end of an edge, across and along, and whether it has an arrow


def plan(series: Series, *, horizontal: bool = False) -> Plan:
    """Place an architecture so that no box is across a frame.

    A box behind the contents of a frame moves behind the frame. A frame around boxes of others is left out.
    """
    pushed: dict[int, float] = {}
    pushes: Counter[tuple[int, str]] = Counter()
    without: set[str] = set()
    while True:
        placed = _placed(series, Layout(horizontal, pushed), without)
        crossing = _crossing(placed)
        if not crossing:
            return placed
        hopeless = {frame for box, frame, _ in crossing if pushes[id(box), frame] == MOST_PUSHES}
        if hopeless:  # once more without them
            without |= hopeless
            pushed, pushes = {}, Counter()
            continue
        pushes.update((id(box), frame) for box, frame, _ in crossing)
        room: dict[int, float] = {}
        for box, _, missing in crossing:
            room[id(box)] = max(missing, room.get(id(box), 0.0))
        pushed = {**pushed, **{box: pushed.get(box, 0.0) + missing for box, missing in room.items()}}


def _placed(series: Series, layout: Layout, without: set[str]) -> Plan:
    drawn = Plan(layout)
    before, _, _ = layout.extent(series)
    room = layout.frame_across[0] * max((len(box.frames) for box in boxes_in(series)), default=0)
    place(drawn, series, MARGIN + room + before, MARGIN)
    for frame in without:
        drawn.contents.pop(frame, None)
    return drawn


def _crossing(drawn: Plan) -> list[tuple[Box, str, float]]:
    """The boxes within or across a frame that is not theirs, and how far each is from behind it."""
    crossing = []
    end, start = ("right", "left") if drawn.layout.horizontal else ("bottom", "top")
    for frame, rect in drawn.frames().items():
        for box, place_of_box in drawn.boxes:
            if frame not in box.frames and rect.overlaps(place_of_box):
                crossing.append((box, frame, getattr(rect, end) + GAP - getattr(place_of_box, start)))
    return crossing


def place(
    drawn: Plan, item: Item | Series, across: float, along: float, opened: int = 0
) -> tuple[list[Port], list[Port]]:
    """Place an item with its axis at ``across`` and its start at ``along``; return where edges enter and leave it."""
    match item:
        case Box():
            return _place_box(drawn, item, across, along)
        case Series():
            return _place_series(drawn, item, across, along, opened)
        case Parallel():
            return _place_branches(drawn, item, across, along)
        case Repeat():
            return _place_repeat(drawn, item, across, along, opened)
        case LayeredGraph():
            return _place_layered(drawn, item, across, along)


def _place_box(drawn: Plan, box: Box, across: float, along: float) -> tuple[list[Port], list[Port]]:
    before, after, length = drawn.layout.extent(box)
    rect = drawn.rect(across - before, along, across + after, along + length)
    drawn.boxes.append((box, rect))
    for frame in box.frames:
        drawn.reach(frame, rect)
    return [(across, along, True)], [(across, along + length, True)]


def _place_series(
    drawn: Plan, series: Series, across: float, along: float, opened: int
) -> tuple[list[Port], list[Port]]:
    ins: list[Port] = []
    outs: list[Port] = []
    begun, named = frames_begun(series, opened), drawn.layout.names_before(series, opened)
    for i, (item, (gap, shared)) in enumerate(zip(series.items, drawn.layout.gaps(series, opened), strict=False)):
        along += gap
        for frame in begun[i]:
            drawn.reach(frame, drawn.rect(across - named[i], along, across, along))
        entries, exits = place(drawn, item, across, along, shared)
        for start in outs:
            for end in entries:
                _connect(drawn, start, end, end[1] - GAP / 2 if len(outs) > 1 else start[1] + GAP / 2)
        ins, outs = ins or entries, exits
        along += drawn.layout.extent(item, shared)[2]
    return ins, outs


def _place_branches(drawn: Plan, item: Parallel, across: float, along: float) -> tuple[list[Port], list[Port]]:
    branches = drawn.layout.branches(item)
    start = across - axis_of(item, branches)
    shared = shared_frames(item)
    ins: list[Port] = []
    outs: list[Port] = []
    for branch, (before, after, _) in zip(item.branches, branches, strict=True):
        axis = start + before
        if branch.items:
            entries, exits = place(drawn, branch, axis, along, len(shared))
        else:  # the identity, a line alone
            entries = exits = [(axis, along, False)]
            for frame in shared:
                drawn.reach(frame, drawn.rect(axis, along, axis, along))
        ins, outs = ins + entries, outs + exits
        start += before + after + SIDE
    return ins, outs


def _place_repeat(drawn: Plan, item: Repeat, across: float, along: float, opened: int) -> tuple[list[Port], list[Port]]:
    _, after, length = drawn.layout.extent(item.body, opened)
    ports = place(drawn, item.body, across, along, opened)
    drawn.names[item.names[0]] = item.span
    bracket = across + after + drawn.layout.bracket(item)
    corners = ((bracket - 4, along), (bracket, along), (bracket, along + length), (bracket - 4, along + length))
    drawn.brackets.append((tuple(drawn.point(*corner) for corner in corners), times_label(item)))
    whole = across + drawn.layout.extent(item, opened)[1]
    for frame in frames_around(item):
        drawn.reach(frame, drawn.rect(across, along, whole, along + length))
    return ports


def _place_layered(drawn: Plan, item: LayeredGraph, across: float, along: float) -> tuple[list[Port], list[Port]]:
    starts: dict[Box, Port] = {}
    ends: dict[Box, Port] = {}
    for row in item.rows:
        extents = [drawn.layout.extent(box) for box in row]
        axis = across - (sum(before + after for before, after, _ in extents) + SIDE * (len(row) - 1)) / 2
        for box, (before, after, _) in zip(row, extents, strict=True):
            (starts[box],), (ends[box],) = _place_box(drawn, box, axis + before, along)
            axis += before + after + SIDE
        along += max(length for _, _, length in extents) + 2 * GAP
    for source, target in item.edges:
        _connect(drawn, ends[source], starts[target], starts[target][1] - GAP)
    return [starts[box] for box in item.ends[0]], [ends[box] for box in item.ends[1]]


def _connect(drawn: Plan, start: Port, end: Port, turn: float) -> None:
    """A line along the flow, across at ``turn``, and along again."""
    (x0, y0, _), (x1, y1, arrow) = start, end
    corners = ((x0, y0), (x0, y1)) if abs(x0 - x1) < 0.5 else ((x0, y0), (x0, turn), (x1, turn), (x1, y1))
    drawn.edges.append(Edge(tuple(drawn.point(*corner) for corner in corners), arrow))
