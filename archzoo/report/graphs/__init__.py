"""An architecture as boxes in series and in parallel, from the traced graph: what a diagram draws."""

from torch import nn

from archzoo.errors import ReportError
from archzoo.profiler import Profile, profile
from archzoo.report.graphs.boxes import Box, Item, Parallel, Repeat, Series, Tangle, boxes_in
from archzoo.report.graphs.folding import folded, merged, unframed
from archzoo.report.graphs.series import series_between
from archzoo.report.graphs.tracing import Graph

__all__ = [
    "Box",
    "Item",
    "Parallel",
    "Repeat",
    "ReportError",
    "Series",
    "Tangle",
    "architecture",
    "boxes_in",
]


def architecture(
    net: nn.Module,
    input_size: tuple[int, ...],
    depth: int | None = 2,
    *,
    fold: bool = True,
    counted: Profile | None = None,
) -> Series:
    """The parts of a network for one image of (channels, height, width), opened down to ``depth`` levels, None for all.

    Equal parts in a row are folded into one with a number unless ``fold`` is false. ``counted`` is the network's
    profile at this size, which is made where it is not given. The network is as it was behind it.
    Raises ReportError where its forward has control flow that depends on data, ProfileError where it cannot be run.
    """
    if depth is not None and depth < 1:
        raise ReportError(f"depth must be at least 1, or None for everything, not {depth}")
    graph = Graph(net, counted or profile(net, input_size), input_size, depth)
    series = Series((graph.boxes[graph.source], *series_between(graph, graph.order[1:], graph.source, None).items))
    series = unframed(merged(series))
    return folded(series) if fold else series
