"""Less to draw: small steps within the boxes of their layers, and equal parts in a row once."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archzoo.report.graphs.boxes import Box, Item, Parallel, Repeat, Series, boxes_in
from archzoo.report.graphs.tracing import paths

STEPS = 3  # so many equal parts in a row become one with a number
EQUAL_LAYERS = 6  # single layers are drawn one by one below this number
PERIODS = (1, 2, 3, 4)  # how many items make up one part, such as branches, a sum and an activation


# Small steps beside the layers that they belong to


def merged(series: Series) -> Series:
    """Norms, activations and dropout written into the box of their layer: behind it, or before it where they begin."""
    items: list[Item] = []
    run: list[Box] = []
    for item in series.items:
        if isinstance(item, Box) and item.kind != "image" and (not run or run[-1].frames == item.frames):
            run.append(item)
            continue
        items += _absorbed(run)
        run = [item] if isinstance(item, Box) and item.kind != "image" else []
        if not run:
            items.append(
                replace(item, branches=tuple(map(merged, item.branches))) if isinstance(item, Parallel) else item
            )
    return Series((*items, *_absorbed(run)))


def _absorbed(run: Sequence[Box]) -> list[Box]:
    pre_activation = bool(run) and run[0].kind == "step" and run[0].notes == ("BN",)
    done: list[Box] = []
    waiting: list[Box] = []
    for box in run:
        if box.kind == "step":
            if not pre_activation and done and not waiting and done[-1].kind not in ("part", "step"):
                done[-1] = _with(done[-1], (*done[-1].notes, *box.notes), box)
            else:
                waiting.append(box)
            continue
        if waiting and pre_activation and box.kind in ("conv", "linear"):
            for one in waiting:
                box = _with(box, box.notes, one)
            box = replace(box, notes=(*(note for one in waiting for note in one.notes), *box.notes))
        else:
            done += _together(waiting)
        waiting = []
        done.append(box)
    return [*done, *_together(waiting)]


def _with(box: Box, notes: tuple[str, ...], other: Box) -> Box:
    return replace(
        box,
        notes=notes,
        params=box.params + other.params,
        macs=box.macs + other.macs,
        output=box.output if box.kind != "join" else other.output,
    )


def _together(steps: Sequence[Box]) -> list[Box]:
    if not steps:
        return []
    first, *rest = steps
    for one in rest:
        first = _with(first, (*first.notes, *one.notes), one)
    return [replace(first, title=" · ".join(first.notes), notes=(), output=steps[-1].output)]


def unframed(series: Series) -> Series:
    """Frames around a single box become the name of that box."""
    many = Counter(frame for box in boxes_in(series) for frame in box.frames)

    def bare(item: Item) -> Item:
        if isinstance(item, Parallel):
            return replace(item, branches=tuple(Series(tuple(map(bare, branch.items))) for branch in item.branches))
        if not isinstance(item, Box) or not item.frames or many[item.frames[-1]] > 1:
            return item
        title = item.frames[-1].rpartition(".")[2]
        return bare(replace(item, title=title, frames=item.frames[:-1]))

    return Series(tuple(map(bare, series.items)))


# Equal parts in a row


def folded(series: Series) -> Series:
    """Equal parts in a row written as one with a number, within branches too."""
    items = [
        replace(item, branches=tuple(map(folded, item.branches))) if isinstance(item, Parallel) else item
        for item in series.items
    ]
    signs = list(map(_sign, items))
    found: list[Item] = []
    at = 0
    while at < len(items):
        covered, period = max(
            (
                (_times(signs, at, period) * period, -period)
                for period in PERIODS
                if _worthwhile(items, signs, at, period)
            ),
            default=(1, 0),
        )
        if period:
            body, last = items[at : at - period], items[at + covered + period : at + covered]
            repeat = Repeat(Series(tuple(body)), covered // -period, (_whole(body), _whole(last)))
            if isinstance(body[0], Box) and isinstance(last[0], Box) and len(body) == 1:
                repeat = replace(repeat, body=Series((replace(body[0], title=repeat.span, output=last[0].output),)))
            found.append(repeat)
        else:
            found.append(items[at])
        at += covered
    return Series(tuple(found))


def _worthwhile(items: Sequence[Item], signs: Sequence[Any], at: int, period: int) -> bool:
    body = items[at : at + period]
    if isinstance(body[0], Box) and body[0].kind == "join":
        return False
    large = any(not isinstance(item, Box) or item.kind == "part" for item in body)
    return _times(signs, at, period) >= (STEPS if large else EQUAL_LAYERS)


def _times(signs: Sequence[Any], at: int, period: int) -> int:
    body = signs[at : at + period]
    times = 1
    while len(body) == period and signs[at + times * period : at + (times + 1) * period] == body:
        times += 1
    return times


def _whole(items: Sequence[Item]) -> str:
    """The name of what some items make up together: the innermost module that has all of them."""
    within = [paths(box.name) for item in items for box in boxes_in(item)]
    common = [level[0] for level in zip(*within, strict=False) if len(set(level)) == 1]
    return common[-1] if common else ""


def _sign(item: Item | Series) -> Any:
    """What two equal parts have in common: everything but numbers in names, and the maps that pile up."""
    match item:
        case Box():
            frames = tuple(re.sub(r"\d+", "#", frame.rpartition(".")[2]) for frame in item.frames)
            stage = item.frames[0] if item.frames else ""
            sides = item.output[1:] if item.output else None
            return (
                item.kind,
                re.sub(r"\d+", "#", item.title),
                item.notes,
                sides,
                frames,
                stage if len(frames) > 1 else "",
            )
        case Series():
            return tuple(map(_sign, item.items))
        case Parallel():
            return tuple(map(_sign, item.branches))
        case Repeat():
            return item.times, _sign(item.body)
    return id(item)
