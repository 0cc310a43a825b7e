"""An architecture as boxes in series and in parallel, from the traced graph: what a diagram draws."""

import re
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import fx, nn

from archzoo.profiler import Profile, profile

Kind = Literal["image", "conv", "linear", "pool", "layer", "part", "join", "step"]
STEPS = 3  # so many equal parts in a row become one with a number
EQUAL_LAYERS = 6  # single layers are drawn one by one below this number
PERIODS = (1, 2, 3, 4)  # how many items make up one part, such as branches, a sum and an activation


class DiagramError(ValueError):
    """A network whose graph cannot be traced. The message says where, and what to do."""


@dataclass(frozen=True)
class Box:
    """One part of the picture. ``frames`` are the opened modules around it, the outermost first."""

    name: str
    title: str
    kind: Kind
    notes: tuple[str, ...] = ()
    output: tuple[int, ...] | None = None
    params: int = 0
    macs: int = 0
    frames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parallel:
    """Branches between the same two points; one without items is the identity."""

    branches: "tuple[Series, ...]"


@dataclass(frozen=True)
class Repeat:
    """The first of several equal parts in a row; ``names`` are those of the first and of the last."""

    body: "Series"
    times: int
    names: tuple[str, str]

    @property
    def span(self) -> str:
        """What they are called together: "block2 to 18"."""
        first, last = (name.rpartition(".")[2] for name in self.names)
        same = re.match(r"\D*", last)
        start = same[0] if same else ""
        return f"{first} to {last.removeprefix(start) if first.startswith(start) else last}"


@dataclass(frozen=True)
class Tangle:
    """Boxes that are neither in series nor in parallel: rows of them, and who reads whom."""

    rows: tuple[tuple[Box, ...], ...]
    edges: tuple[tuple[Box, Box], ...]
    ends: tuple[tuple[Box, ...], tuple[Box, ...]]


Item = Box | Parallel | Repeat | Tangle


@dataclass(frozen=True)
class Series:
    """Items one after the other."""

    items: tuple[Item, ...] = ()


def boxes_in(item: Item | Series) -> Iterable[Box]:
    """All boxes, in order."""
    match item:
        case Box():
            yield item
        case Repeat():
            yield from boxes_in(item.body)
        case Tangle():
            for row in item.rows:
                yield from row
        case Parallel():
            for branch in item.branches:
                yield from boxes_in(branch)
        case Series():
            for one in item.items:
                yield from boxes_in(one)


def architecture(net: nn.Module, input_size: tuple[int, ...], depth: int | None = 2, *, fold: bool = True) -> Series:
    """The parts of a network for one image of (channels, height, width), opened down to ``depth`` levels, None for all.

    Equal parts in a row are folded into one with a number unless ``fold`` is false. The network is as it was behind it.
    Raises DiagramError where its forward has control flow that depends on data, ProfileError where it cannot be run.
    """
    if depth is not None and depth < 1:
        raise DiagramError(f"depth must be at least 1, or None for everything, not {depth}")
    counted = profile(net, input_size)
    graph = _Graph(net, counted, input_size, depth)
    series = Series((graph.boxes[graph.source], *_series(graph, graph.order[1:], graph.source, None).items))
    merged = _unframed(_merged(series))
    return _folded(merged) if fold else merged


# Tracing


class _Tracer(fx.Tracer):
    """Follows a network, without looking into modules that are closed, and notes within which module each node is."""

    def __init__(self, closed: Callable[[nn.Module, str], bool]) -> None:
        super().__init__()
        self.closed = closed
        self.within = [""]

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        path = self.path_of_module(m)
        if self.closed(m, path):
            seen = tuple(value for value in (*args, *kwargs.values()) if isinstance(value, fx.Proxy))
            return self.create_proxy("call_module", path, seen, {})
        self.within.append(path)
        try:
            return forward(*args, **kwargs)
        finally:
            self.within.pop()

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node: fx.Node = super().create_node(*args, **kwargs)
        node.meta["within"] = self.within[-1]
        return node


# Functions that hand on what they are given, as far as a picture goes, and those that only tell its size.
SILENT = {"getitem", "chunk", "split", "flatten", "unflatten", "view", "reshape", "contiguous", "mul", "div", "pad"}
SILENT |= {"truediv", "transpose", "permute", "clone", "to", "float", "squeeze", "unsqueeze"}
HOLDERS = ("features", "classifier", "layers", "branch", "blocks")  # names that say nothing in a picture
SIZES = {"size", "getattr", "floordiv", "dim"}
RESHAPES = {"view", "reshape", "unflatten"}
JOINS = {"add": "+", "iadd": "+", "add_": "+", "cat": "concatenate", "concat": "concatenate"}
ACTIVATIONS = {"relu": "ReLU", "relu_": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid", "dropout": "dropout"}


class _Graph:
    """The traced nodes that are drawn, with who reads whom."""

    def __init__(self, net: nn.Module, counted: Profile, input_size: tuple[int, ...], depth: int | None) -> None:
        self.net, self.counted, self.depth = net, counted, depth
        self.levels: dict[str, int] = {}
        modes = {module: module.training for module in net.modules()}
        tracer = _Tracer(self._closed)
        try:
            net.eval()
            traced = tracer.trace(net)
        except Exception as error:
            where = tracer.within[-1] or "the network itself"
            raise DiagramError(
                f"the graph of {type(net).__name__} cannot be traced within {where}: {error}; a smaller depth leaves "
                "that part closed"
            ) from error
        finally:
            for module, training in modes.items():
                module.training = training
        self.boxes: dict[str, Box] = {}
        self.before: dict[str, list[str]] = {}
        self._read(traced, input_size)

    def _closed(self, module: nn.Module, path: str) -> bool:
        if next(module.children(), None) is None:
            return True
        told = typing.get_type_hints(type(module).forward).get("return", torch.Tensor)
        if told not in (torch.Tensor, Any):
            return False
        return self.depth is not None and self._level(path) >= self.depth and not self._transparent(path)

    def _level(self, path: str) -> int:
        """How many modules that count one is within, itself among them."""
        if path and path not in self.levels:
            self.levels[path] = self._level(path.rpartition(".")[0]) + (not self._transparent(path))
        return self.levels.get(path, 0)

    def _transparent(self, path: str) -> bool:
        """Features, classifier, and sequences that a module has only to hold its layers."""
        parent, _, last = path.rpartition(".")
        if not parent:
            return last in ("features", "classifier")
        holder = type(self.net.get_submodule(parent))
        plain = type(self.net.get_submodule(path)) is nn.Sequential
        return plain and holder is not nn.Sequential and not self._transparent_root(parent)

    def _transparent_root(self, parent: str) -> bool:
        return parent in ("features", "classifier") and isinstance(self.net.get_submodule(parent), nn.Sequential)

    def _title(self, path: str) -> str:
        """The last part of a name, with the sequence that only holds it where that has a name of its own."""
        *_, parent, last = ("", *path.split("."))
        held = self._transparent(path.rpartition(".")[0]) and parent not in (*HOLDERS, last)
        return f"{parent} {last}" if held else last

    def _read(self, traced: fx.Graph, input_size: tuple[int, ...]) -> None:
        """Keep what is drawn, join what is not, and drop what the output does not depend on."""
        sources: dict[str, list[str]] = {}
        last: list[str] = []
        for node in traced.nodes:
            before = list(dict.fromkeys(name for one in node.all_input_nodes for name in sources.get(one.name, [])))
            if node.op == "output":
                last = before
            elif node.op == "placeholder":
                self.boxes[node.name] = Box("", "image", "image", (), tuple(input_size))
                self.before[node.name], sources[node.name] = [], [node.name]
            elif node.op == "get_attr" or not before or _called(node) in SIZES:
                sources[node.name] = []
            elif _called(node) == "truediv" and self.boxes[before[0]].title == "+":
                self.boxes[before[0]] = replace(self.boxes[before[0]], title="mean")
                sources[node.name] = before
            elif (box := self._box(node, len(before))) is None:
                sources[node.name] = before
            else:
                given = self.boxes[before[0]].output
                if box.kind == "part" and given and box.output and given[1:] != box.output[1:]:
                    box = replace(box, notes=(f"{box.notes[0]}, /{given[-1] // max(box.output[-1], 1)}",))
                self.boxes[node.name] = box if box.output else replace(box, output=given)
                self.before[node.name], sources[node.name] = self._summands(node, before), [node.name]
        needed, waiting = set(last), list(last)
        while waiting:
            fresh = [name for name in self.before[waiting.pop()] if name not in needed]
            needed.update(fresh)
            waiting += fresh
        self.order = [name for name in self.boxes if name in needed]
        self.source = self.order[0]
        self.after: dict[str, list[str]] = {name: [] for name in self.order}
        for name in self.order:
            for one in self.before[name]:
                self.after[one].append(name)

    def _summands(self, node: fx.Node, before: list[str]) -> list[str]:
        """What a sum adds up, sums of which nobody else reads opened."""
        if _called(node) not in JOINS or JOINS[_called(node)] != "+":
            return before
        alone = {one.name for one in node.all_input_nodes if len(one.users) == 1}
        opened = [self.before[name] if name in alone and self.boxes[name].title == "+" else [name] for name in before]
        return list(dict.fromkeys(name for names in opened for name in names))

    def _box(self, node: fx.Node, many: int) -> Box | None:
        within = node.meta["within"]
        frames = tuple(path for path in _paths(within) if not self._transparent(path))
        if node.op == "call_module":
            path = str(node.target)
            module = self.net.get_submodule(path)
            row = self.counted.at(path)
            kind, notes = describe(module)
            if not notes:
                return None
            return Box(path, self._title(path), kind, notes, row.output, row.params, row.macs, frames)
        called = _called(node)
        if called in JOINS and many > 1:
            return Box(within, JOINS[called], "join", frames=frames)
        if called in ("transpose", "permute") and _called(node.all_input_nodes[0]) in RESHAPES:
            return Box(within, "shuffle", "step", ("channel shuffle",), frames=frames)
        if called in SILENT or called in JOINS:
            return None
        words = ACTIVATIONS.get(called, called.replace("_", " "))
        return Box(within, words, "step", (words,), frames=frames)


def _called(node: fx.Node) -> str:
    """The name of the function or method of a node; nothing for a module."""
    if node.op not in ("call_function", "call_method"):
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return str(name).lower().lstrip("_")


def _paths(path: str) -> list[str]:
    parts = path.split(".") if path else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


# What a part does, in the words of a paper's figure


def describe(module: nn.Module) -> tuple[Kind, tuple[str, ...]]:
    """The kind of a part, and what it does; no words for one that hands on what it is given."""
    match module:
        case nn.Identity() | nn.Flatten() | nn.Unflatten():
            return "step", ()
        case nn.Sequential() if not len(module):
            return "step", ()
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return "conv", (_convolution(module, "conv"),)
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            return "conv", (_convolution(module, "transposed conv"),)
        case nn.Linear():
            return "linear", (f"linear, {module.out_features:,}",)
        case nn.MaxPool2d() | nn.AvgPool2d():
            kind = "max" if isinstance(module, nn.MaxPool2d) else "average"
            return "pool", (f"{_sides(module.kernel_size)} {kind} pool{_stride(module.stride)}",)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            kind = "average" if isinstance(module, nn.AdaptiveAvgPool2d) else "max"
            whole = module.output_size in (1, (1, 1))
            return "pool", (f"global {kind} pool" if whole else f"{kind} pool to {_sides(module.output_size)}",)
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d():
            return "step", ("BN",)
        case nn.Dropout() | nn.Dropout2d():
            return "step", (f"dropout {module.p:g}",)
        case nn.ReLU() | nn.Tanh() | nn.Sigmoid() | nn.Softmax():
            return "step", ({"ReLU": "ReLU"}.get(type(module).__name__, type(module).__name__.lower()),)
    if next(module.children(), None) is None:
        return "layer" if module.state_dict() else "step", (_words(module),)
    many = sum(isinstance(one, nn.Conv1d | nn.Conv2d | nn.Conv3d) for one in module.modules())
    return "part", (f"{many} convolution{'s' if many != 1 else ''}" if many else _parts(module),)


def _parts(module: nn.Module) -> str:
    """What a part without convolutions is: its own words, or how many there are in a sequence."""
    count = len(list(module.children()))
    return f"{count} part{'s' if count != 1 else ''}" if type(module) is nn.Sequential else _words(module)


def _words(module: nn.Module) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(module).__name__).lower()


def _convolution(module: Any, word: str) -> str:
    depthwise = module.groups == module.in_channels and module.groups > 1
    groups = f", {module.groups} groups" if module.groups > 1 and not depthwise else ""
    wide = f", dilated {module.dilation[0]}" if max(module.dilation) > 1 else ""
    kind = f"depthwise {word}" if depthwise else word
    return f"{_sides(module.kernel_size)} {kind}, {module.out_channels}{_stride(module.stride)}{groups}{wide}"


def _sides(size: Any) -> str:
    sides = size if isinstance(size, tuple) else (size, size)
    return "x".join(str(side) for side in sides)


def _stride(stride: Any) -> str:
    strides = stride if isinstance(stride, tuple) else (stride,)
    return f", /{'x'.join(map(str, dict.fromkeys(strides)))}" if max(strides) > 1 else ""


# Series and parallel


def _series(graph: _Graph, members: Sequence[str], source: str, sink: str | None) -> Series:
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


def _between(
    graph: _Graph, members: Sequence[str], source: str, sink: str | None, *, whole: bool = False
) -> list[Item]:
    """What is between two points that all paths go through; the whole of a branch is not looked into again."""
    if not members:
        return []
    direct = not whole and sink in graph.after[source]
    groups = _connected(graph, members)
    if len(groups) == 1 and not direct:
        return [_tangle(graph, members)]
    branches = [_series(graph, group, source, sink) for group in groups]
    return [Parallel((*branches, Series()) if direct else tuple(branches))]


def _connected(graph: _Graph, members: Sequence[str]) -> list[list[str]]:
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


def _tangle(graph: _Graph, members: Sequence[str]) -> Tangle:
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


# Small steps beside the layers that they belong to


def _merged(series: Series) -> Series:
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
                replace(item, branches=tuple(map(_merged, item.branches))) if isinstance(item, Parallel) else item
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


def _unframed(series: Series) -> Series:
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


def _folded(series: Series) -> Series:
    items = [
        replace(item, branches=tuple(map(_folded, item.branches))) if isinstance(item, Parallel) else item
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
    paths = [_paths(box.name) for item in items for box in boxes_in(item)]
    common = [level[0] for level in zip(*paths, strict=False) if len(set(level)) == 1]
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
