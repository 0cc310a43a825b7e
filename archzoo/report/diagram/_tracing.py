"""The traced graph of a network: a box for each node that is drawn, and the edges between them."""

import threading
import typing
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx, nn

from archzoo.errors import ReportError
from archzoo.profiler import Profile
from archzoo.report.diagram._boxes import Box
from archzoo.report.diagram._descriptions import describe
from archzoo.restoring import TRACING, copy_to_run, process_restored


class _Tracer(fx.Tracer):
    """Traces a network without entering closed modules, and records the module that each node is in."""

    def __init__(self, closed: Callable[[nn.Module, str], bool]) -> None:
        super().__init__()
        self.closed = closed
        self.within = [""]
        self.thread = threading.get_ident()

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self.thread:  # modules of other threads are called here too
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        if self.closed(m, path):
            inputs = tuple(value for value in (*args, *kwargs.values()) if isinstance(value, fx.Proxy))
            return self.create_proxy("call_module", path, inputs, {})
        self.within.append(path)
        try:
            return forward(*args, **kwargs)
        finally:
            self.within.pop()

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node: fx.Node = super().create_node(*args, **kwargs)
        node.meta["within"] = self.within[-1]
        return node


# Functions that a diagram leaves out, and functions that only return a size.
SILENT = {"getitem", "chunk", "split", "flatten", "unflatten", "view", "reshape", "contiguous", "mul", "div", "pad"}
SILENT |= {"truediv", "transpose", "permute", "clone", "to", "float", "squeeze", "unsqueeze"}
HOLDERS = ("features", "classifier", "layers", "branch", "blocks")  # names that are left out of titles
SIZES = {"size", "getattr", "floordiv", "dim"}
RESHAPES = {"view", "reshape", "unflatten"}
JOINS = {"add": "+", "iadd": "+", "add_": "+", "cat": "concatenate", "concat": "concatenate"}
ACTIVATIONS = {"relu": "ReLU", "relu_": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid", "dropout": "dropout"}


class TracedGraph:
    """The traced nodes that are drawn: ``before`` and ``after`` have the edges, ``order`` is topological."""

    def __init__(self, net: nn.Module, counted: Profile, input_size: tuple[int, ...], depth: int | None) -> None:
        self.net, self.counted, self.depth = net, counted, depth
        self.levels: dict[str, int] = {}
        tracer = _Tracer(self._closed)
        try:
            with process_restored(), TRACING:
                traced = tracer.trace(copy_to_run(net).eval())
        except Exception as error:
            where = tracer.within[-1] or "the network itself"
            raise ReportError(
                f"the graph of {type(net).__name__} cannot be traced within {where}: {error}; a smaller depth leaves "
                "that part closed"
            ) from error
        self.boxes: dict[str, Box] = {}
        self.before: dict[str, list[str]] = {}
        self._read(traced, input_size)

    def _closed(self, module: nn.Module, path: str) -> bool:
        if next(module.children(), None) is None:
            return True
        returned = typing.get_type_hints(type(module).forward).get("return", torch.Tensor)
        if returned not in (torch.Tensor, Any):
            return False
        return self.depth is not None and self._level(path) >= self.depth and not self._transparent(path)

    def _level(self, path: str) -> int:
        """The nesting level of a module, transparent modules not counted."""
        if path and path not in self.levels:
            self.levels[path] = self._level(path.rpartition(".")[0]) + (not self._transparent(path))
        return self.levels.get(path, 0)

    def _transparent(self, path: str) -> bool:
        """Whether a module is only a container: features, classifier, or the sequence that holds a module's layers."""
        parent, _, last = path.rpartition(".")
        if not parent:
            return last in ("features", "classifier")
        holder = type(self.net.get_submodule(parent))
        kind = type(self.net.get_submodule(path))
        plain = kind is nn.Sequential or (issubclass(kind, nn.Sequential) and last in HOLDERS)
        return plain and holder is not nn.Sequential and not self._transparent_root(parent)

    def _transparent_root(self, parent: str) -> bool:
        return parent in ("features", "classifier") and isinstance(self.net.get_submodule(parent), nn.Sequential)

    def _title(self, path: str) -> str:
        """The last part of a name, with the name of the container around it if that says something."""
        *_, parent, last = ("", *path.split("."))
        held = self._transparent(path.rpartition(".")[0]) and parent not in (*HOLDERS, last)
        return f"{parent} {last}" if held else last

    def _read(self, traced: fx.Graph, input_size: tuple[int, ...]) -> None:
        """Keep the nodes that are drawn, contract the others, and drop what the output does not depend on."""
        sources: dict[str, list[str]] = {}
        last: list[str] = []
        for node in traced.nodes:
            before = list(dict.fromkeys(name for read in node.all_input_nodes for name in sources.get(read.name, [])))
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
            for read in self.before[name]:
                self.after[read].append(name)

    def _summands(self, node: fx.Node, before: list[str]) -> list[str]:
        """The inputs of a node; of a sum also the inputs of sums that no other node reads."""
        if _called(node) not in JOINS or JOINS[_called(node)] != "+":
            return before
        alone = {read.name for read in node.all_input_nodes if len(read.users) == 1}
        opened = [self.before[name] if name in alone and self.boxes[name].title == "+" else [name] for name in before]
        return list(dict.fromkeys(name for names in opened for name in names))

    def _box(self, node: fx.Node, inputs: int) -> Box | None:
        within = node.meta["within"]
        frames = tuple(path for path in paths(within) if not self._transparent(path))
        if node.op == "call_module":
            path = str(node.target)
            module = self.net.get_submodule(path)
            stats = self.counted.at(path)
            kind, notes = describe(module)
            if not notes:
                return None
            return Box(path, self._title(path), kind, notes, stats.output, stats.params, stats.macs, frames)
        called = _called(node)
        if called in JOINS and inputs > 1:
            return Box(within, JOINS[called], "join", frames=frames)
        if called == "mul" and inputs > 1 and len(node.users) > 1:  # the factors of others join in their only reader
            return Box(within, "\N{MULTIPLICATION SIGN}", "join", frames=frames)
        if called in ("transpose", "permute") and _called(node.all_input_nodes[0]) in RESHAPES:
            return Box(within, "shuffle", "step", ("channel shuffle",), frames=frames)
        if called in SILENT or called in JOINS:
            return None
        title = ACTIVATIONS.get(called, called.replace("_", " "))
        return Box(within, title, "step", (title,), frames=frames)


def _called(node: fx.Node) -> str:
    """The name of the function or method that a node calls, "" for a module."""
    if node.op not in ("call_function", "call_method"):
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return str(name).lower().lstrip("_")


def paths(path: str) -> list[str]:
    """The paths of all modules around a module and its own, the outermost first."""
    parts = path.split(".") if path else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
