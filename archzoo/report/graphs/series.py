"""A graph cut into series and parallel branches."""

from collections.abc import Sequence

from archzoo.report.graphs.boxes import Box, Item, Parallel, Series, Tangle
from archzoo.report.graphs.tracing import Graph


def series_between(graph: Graph, members: Sequence[str], source: str, sink: str | None) -> Series:
    """Members between a source and a sink, in topological order, cut where every path goes through one of them.

    An edge from the source straight to the sink is another branch than this.
    """
    place = {name: i for i, name in enumerate(members)}
    end = len(members)

    def furthest_reader(name: str) -> int:
        return max((place.get(one, end) for one in graph.after[name] if one in place or one == sink), default=-1)

    items: list[Item] = []
    before, between = source, list[str]()
    furthest = max((place[one] for one in graph.after[source] if one in place), default=-1)
    for i, name in enumerate(members):
        if furthest <= i:  # nothing jumps over this one
            items += _between(graph, between, before, name)
            items.append(graph.boxes[name])
            before, between = name, []
        else:
            between.append(name)
        furthest = max(furthest, furthest_reader(name))
    if between:
        items += _between(graph, between, before, sink, whole=before == source)
    return Series(tuple(items))


def _between(graph: Graph, members: Sequence[str], source: str, sink: str | None, *, whole: bool = False) -> list[Item]:
    """What is between two points that all paths go through; the whole of a branch is not looked into again."""
    if not members:
        return []
    direct = not whole and sink in graph.after[source]
    groups = _connected(graph, members)
    if len(groups) == 1 and not direct:
        return [_tangle(graph, members)]
    branches = [series_between(graph, group, source, sink) for group in groups]
    return [Parallel((*branches, Series()) if direct else tuple(branches))]


def _connected(graph: Graph, members: Sequence[str]) -> list[list[str]]:
    """Members in groups that have nothing to do with each other, in order."""
    group: dict[str, int] = {}
    inside = set(members)
    for start in members:
        if start in group:
            continue
        number, waiting = len(set(group.values())), [start]
        group[start] = number
        while waiting:
            name = waiting.pop()
            for one in (*graph.after[name], *graph.before[name]):
                if one in inside and one not in group:
                    group[one] = number
                    waiting.append(one)
    found: dict[int, list[str]] = {}
    for name in members:
        found.setdefault(group[name], []).append(name)
    return list(found.values())


def _tangle(graph: Graph, members: Sequence[str]) -> Tangle:
    inside, rank = set(members), dict.fromkeys(members, 0)
    for name in members:
        rank[name] = max([rank[one] + 1 for one in graph.before[name] if one in inside], default=0)
    rows: list[list[Box]] = [[] for _ in range(max(rank.values()) + 1)]
    for name in members:
        rows[rank[name]].append(graph.boxes[name])
    edges = [(graph.boxes[one], graph.boxes[name]) for name in members for one in graph.before[name] if one in inside]
    first = tuple(graph.boxes[name] for name in members if any(one not in inside for one in graph.before[name]))
    last = tuple(graph.boxes[name] for name in members if any(one not in inside for one in graph.after[name]))
    return Tangle(tuple(map(tuple, rows)), tuple(edges), (first, last))
