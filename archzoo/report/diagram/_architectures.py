"""An architecture as boxes in series and in parallel, from its traced graph."""

from torch import nn

from archzoo.errors import ReportError
from archzoo.profiler import Profile, profile
from archzoo.report.diagram._boxes import Series
from archzoo.report.diagram._folding import folded, merged, unframed
from archzoo.report.diagram._series import series_between
from archzoo.report.diagram._tracing import TracedGraph


def architecture(
    net: nn.Module,
    input_size: tuple[int, ...],
    depth: int | None = 2,
    *,
    fold: bool = True,
    counted: Profile | None = None,
) -> Series:
    """Trace a network for one image of (channels, height, width), opened down to ``depth`` levels, None for all.

    Equal parts in a row are folded into one with a number unless ``fold`` is false. ``counted`` is the network's
    profile at this size, computed if not given. The network is not changed. Raises ReportError if its forward has
    control flow that depends on data, ProfileError if it cannot run.
    """
    if depth is not None and depth < 1:
        raise ReportError(f"depth must be at least 1, or None for everything, not {depth}")
    graph = TracedGraph(net, counted or profile(net, input_size), input_size, depth)
    series = Series((graph.boxes[graph.source], *series_between(graph, graph.order[1:], graph.source, None).items))
    series = unframed(merged(series))
    return folded(series) if fold else series
