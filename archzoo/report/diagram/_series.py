"""Cuts a graph into series and parallel branches."""

from collections.abc import Sequence

from archzoo.report.diagram._boxes import Box, Item, LayeredGraph, Parallel, Series
from archzoo.report.diagram._tracing import TracedGraph


def series_between(graph: TracedGraph, members: Sequence[str], source: str, sink: str | None) -> Series:
    """The members between a source and a sink, in topological order, cut at those that every path goes through.

    An edge from the source to the sink is a separate branch.
    """
    position = {name: i for i, name in enumerate(members)}
    end = len(members)

    def furthest_reader(name: str) -> int:
        return max(
            (position.get(reader, end) for reader in graph.after[name] if reader in position or reader == sink),
            default=-1,
        )

    items: list[Item] = []
    before, between = source, list[str]()
    furthest = max((position[reader] for reader in graph.after[source] if reader in position), default=-1)
    for i, name in enumerate(members):
        if furthest <= i:  # no edge skips this member
            items += _between(graph, between, before, name)
            items.append(graph.boxes[name])
            before, between = name, []
        else:
            between.append(name)
        furthest = max(furthest, furthest_reader(name))
    if between:
        items += _between(graph, between, before, sink, whole=before == source)
    return Series(tuple(items))


def _between(
    graph: TracedGraph, members: Sequence[str], source: str, sink: str | None, *, whole: bool = False
) -> list[Item]:
    """The items between two points that all paths go through. ``whole`` says that the members are a whole branch."""
    if not members:
        return []
    direct = not whole and sink in graph.after[source]
    groups = _connected(graph, members)
    if len(groups) == 1 and not direct:
        return [_layered_graph(graph, members)]
    branches = [series_between(graph, group, source, sink) for group in groups]
    return [Parallel((*branches, Series()) if direct else tuple(branches))]


def _connected(graph: TracedGraph, members: Sequence[str]) -> list[list[str]]:
    """The members in connected components, in order."""
    group: dict[str, int] = {}
    inside = set(members)
    for start in members:
        if start in group:
            continue
        number, waiting = len(set(group.values())), [start]
        group[start] = number
        while waiting:
            name = waiting.pop()
            for neighbor in (*graph.after[name], *graph.before[name]):
                if neighbor in inside and neighbor not in group:
                    group[neighbor] = number
                    waiting.append(neighbor)
    components: dict[int, list[str]] = {}
    for name in members:
        components.setdefault(group[name], []).append(name)
    return list(components.values())


def _layered_graph(graph: TracedGraph, members: Sequence[str]) -> LayeredGraph:
    inside, rank = set(members), dict.fromkeys(members, 0)
    for name in members:
        rank[name] = max([rank[read] + 1 for read in graph.before[name] if read in inside], default=0)
    rows: list[list[Box]] = [[] for _ in range(max(rank.values()) + 1)]
    for name in members:
        rows[rank[name]].append(graph.boxes[name])
    edges = [
        (graph.boxes[read], graph.boxes[name]) for name in members for read in graph.before[name] if read in inside
    ]
    first = tuple(graph.boxes[name] for name in members if any(read not in inside for read in graph.before[name]))
    last = tuple(graph.boxes[name] for name in members if any(reader not in inside for reader in graph.after[name]))
    return LayeredGraph(tuple(map(tuple, rows)), tuple(edges), (first, last))
