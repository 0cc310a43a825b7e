"""Simplifies a diagram: small steps move into the boxes of their layers, and equal parts in a row are drawn once."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archzoo.report.diagram._boxes import Box, Item, Parallel, Repeat, Series, boxes_in
from archzoo.report.diagram._tracing import paths

EQUAL_PARTS = 3  # fold this many equal parts in a row, or more
EQUAL_LAYERS = 6  # fold this many equal single layers, or more
PERIODS = (1, 2, 3, 4)  # items per part, such as branches, a sum and an activation


def merged(series: Series) -> Series:
    """Write norms, activations and dropout into the box of their layer: after it, or before it in pre-activation."""
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
            for step in waiting:
                box = _with(box, box.notes, step)
            box = replace(box, notes=(*(note for step in waiting for note in step.notes), *box.notes))
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
    for step in rest:
        first = _with(first, (*first.notes, *step.notes), step)
    return [replace(first, title=" · ".join(first.notes), notes=(), output=steps[-1].output)]


def unframed(series: Series) -> Series:
    """Turn frames around a single box into the name of that box."""
    counts = Counter(frame for box in boxes_in(series) for frame in box.frames)

    def bare(item: Item) -> Item:
        if isinstance(item, Parallel):
            return replace(item, branches=tuple(Series(tuple(map(bare, branch.items))) for branch in item.branches))
        if not isinstance(item, Box) or not item.frames or counts[item.frames[-1]] > 1:
            return item
        title = item.frames[-1].rpartition(".")[2]
        return bare(replace(item, title=title, frames=item.frames[:-1]))

    return Series(tuple(map(bare, series.items)))


def folded(series: Series) -> Series:
    """Write equal parts in a row as one with a number, inside branches too."""
    items = [
        replace(item, branches=tuple(map(folded, item.branches))) if isinstance(item, Parallel) else item
        for item in series.items
    ]
    keys = list(map(_key, items))
    folded_items: list[Item] = []
    start = 0
    while start < len(items):
        covered, period = max(
            (
                (_times(keys, start, period) * period, -period)
                for period in PERIODS
                if _is_worth_folding(items, keys, start, period)
            ),
            default=(1, 0),
        )
        if period:
            body, last = items[start : start - period], items[start + covered + period : start + covered]
            repeat = Repeat(Series(tuple(body)), covered // -period, (_common_module(body), _common_module(last)))
            if isinstance(body[0], Box) and isinstance(last[0], Box) and len(body) == 1:
                repeat = replace(repeat, body=Series((replace(body[0], title=repeat.span, output=last[0].output),)))
            folded_items.append(repeat)
        else:
            folded_items.append(items[start])
        start += covered
    return Series(tuple(folded_items))


def _is_worth_folding(items: Sequence[Item], keys: Sequence[Any], start: int, period: int) -> bool:
    body = items[start : start + period]
    if isinstance(body[0], Box) and body[0].kind == "join":
        return False
    large = any(not isinstance(item, Box) or item.kind == "part" for item in body)
    return _times(keys, start, period) >= (EQUAL_PARTS if large else EQUAL_LAYERS)


def _times(keys: Sequence[Any], start: int, period: int) -> int:
    body = keys[start : start + period]
    times = 1
    while len(body) == period and keys[start + times * period : start + (times + 1) * period] == body:
        times += 1
    return times


def _common_module(items: Sequence[Item]) -> str:
    """The name of the innermost module that contains all of these items."""
    within = [paths(box.name) for item in items for box in boxes_in(item)]
    common = [level[0] for level in zip(*within, strict=False) if len(set(level)) == 1]
    return common[-1] if common else ""


def _key(item: Item | Series) -> Any:
    """A key that equal parts share: everything but numbers in names and the number of channels."""
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
            return tuple(map(_key, item.items))
        case Parallel():
            return tuple(map(_key, item.branches))
        case Repeat():
            return item.times, _key(item.body)
    return id(item)
