"""An architecture as boxes in series and in parallel, from its traced graph."""

from collections.abc import Iterator
from typing import Literal

from torch import nn

from archzoo.errors import ReportError
from archzoo.options import shown
from archzoo.profiler import Profile, profile
from archzoo.report.diagram._boxes import Item, LayeredGraph, Parallel, Repeat, Series
from archzoo.report.diagram._folding import folded, merged, unframed
from archzoo.report.diagram._series import series_between
from archzoo.report.diagram._tracing import TracedGraph

Depth = int | Literal["auto"] | None
WITHOUT_BRANCHES = 2  # levels that are opened where nothing branches


def architecture(
    net: nn.Module,
    input_size: tuple[int, ...],
    depth: Depth = "auto",
    *,
    fold: bool = True,
    counted: Profile | None = None,
) -> Series:
    """Trace a network for one image of (channels, height, width), opened down to ``depth`` levels, None for all.

    With "auto" it is opened as far as the first branches: to a shortcut, a concatenation or a shuffle, the idea of most
    papers. Equal parts in a row are folded into one with a number unless ``fold`` is false. ``counted`` is the
    profile of the network at this size, computed if not given. The network is not changed. Raises ReportError if its
    forward has control flow that depends on data, ProfileError if it cannot run.
    """
    if depth not in (None, "auto") and not (type(depth) is int and depth >= 1):
        raise ReportError(f"depth must be at least 1, or None for everything, not {shown(depth)}")
    counted = counted or profile(net, input_size)
    if depth == "auto":
        return _as_deep_as_branches(net, input_size, counted, fold=fold)
    return _opened(net, input_size, depth, counted, fold=fold)


def _as_deep_as_branches(net: nn.Module, input_size: tuple[int, ...], counted: Profile, *, fold: bool) -> Series:
    shallow = _opened(net, input_size, WITHOUT_BRANCHES, counted, fold=fold)
    if any(map(_branches, _items(shallow))):
        return shallow
    deepest = max(name.count(".") + 1 for name, _ in net.named_modules())
    for depth in range(WITHOUT_BRANCHES + 1, deepest + 1):
        try:
            opened = _opened(net, input_size, depth, counted, fold=fold)
        except ReportError:  # a part that cannot be traced stays closed
            break
        if any(map(_branches, _items(opened))):
            return opened
    return shallow


def _items(series: Series) -> Iterator[Item]:
    """The items of a series, and those that are repeated."""
    for item in series.items:
        yield item
        if isinstance(item, Repeat):
            yield from _items(item.body)


def _branches(item: Item) -> bool:
    return isinstance(item, Parallel | LayeredGraph)


def _opened(net: nn.Module, input_size: tuple[int, ...], depth: int | None, counted: Profile, *, fold: bool) -> Series:
    graph = TracedGraph(net, counted, input_size, depth)
    series = Series((graph.boxes[graph.source], *series_between(graph, graph.order[1:], graph.source, None).items))
    series = unframed(merged(series))
    return folded(series) if fold else series
