"""A graph as a module: its steps, in parts that run one another as the modules of the original did."""

from collections import ChainMap
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

from torch import Tensor, nn

Scope: TypeAlias = tuple[str, str]  # the name of a module, and its class
# What reading a file that is damaged, or made to do harm, may raise.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

Env: TypeAlias = MutableMapping[str, Any]  # values by name


@dataclass(frozen=True, eq=False)
class Step:
    """One node: ``run`` returns the values of ``writes`` from those of all names. ``scopes`` are the modules around."""

    run: Callable[[Env], Sequence[Any]]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    scopes: tuple[Scope, ...]


@dataclass
class Program:
    """A network from a file. ``input_size`` is as for ``archzoo.profile``."""

    model: nn.Module
    input_size: Any


class Call:
    """A call of a part inside of another: its name there, and which of its segments."""

    def __init__(self, name: str, index: int) -> None:
        self.name, self.index = name, index


class Segment:
    """Consecutive steps of one part, what they read from around it, and what they write that is read there."""

    def __init__(self, items: "list[Step | Call]", inputs: list[str], outputs: list[str]) -> None:
        self.items, self.inputs, self.outputs = items, inputs, outputs


class Part(nn.Module):
    """A part of the graph. ``counts_as`` is the class of torch whose parameters it has."""

    counts_as: type[nn.Module] = nn.Module

    def __init__(self, constants: Env) -> None:
        super().__init__()
        self.segments: list[Segment] = []
        self.constants = constants

    def forward(self, *values: Any, segment: int = 0) -> Any:
        """Run one segment."""
        current = self.segments[segment]
        env = ChainMap(dict(zip(current.inputs, values, strict=True)), self.constants)
        for item in current.items:
            if isinstance(item, Step):
                env.update(zip(item.writes, item.run(env), strict=False))
                continue
            part = self.get_submodule(item.name)
            assert isinstance(part, Part)
            called = part.segments[item.index]
            results = part(*(env[name] for name in called.inputs), segment=item.index)
            env.update(zip(called.outputs, results if len(called.outputs) > 1 else [results], strict=False))
        results = tuple(env[name] for name in current.outputs)
        return results[0] if len(results) == 1 else results


class Builder:
    """Builds the module of a graph from its steps."""

    def __init__(self, kind: str, steps: Sequence[Step], inputs: list[str], outputs: list[str]) -> None:
        self.steps, self.outputs = steps, set(outputs)
        self.constants: Env = {}
        self.last_read = {name: index for index, step in enumerate(steps) for name in step.reads}
        self.root = part_of(kind)(self.constants)
        self.parts = {"": self.root}
        items = self._items(range(len(steps)), "", 0)
        self.root.segments.append(Segment(items, inputs, outputs))

    def _items(self, indices: Sequence[int], around: str, level: int) -> list[Step | Call]:
        """The steps of one part, with those of its own parts as calls."""
        items: list[Step | Call] = []
        for scope, group in groupby(indices, lambda index: self._scope(index, level)):
            if scope is None:
                items += [self.steps[index] for index in group]
            else:
                items.append(self._call(list(group), around, scope, level))
        return items

    def _scope(self, index: int, level: int) -> Scope | None:
        scopes = self.steps[index].scopes
        return scopes[level] if level < len(scopes) else None

    def _call(self, indices: list[int], around: str, scope: Scope, level: int) -> Call:
        name, kind = scope
        part = self._place(name, kind)
        written = [name for index in indices for name in self.steps[index].writes]
        read = [name for index in indices for name in self.steps[index].reads]
        inputs = [name for name in dict.fromkeys(read) if name not in set(written)]
        used = [name for name in written if name in self.outputs or self.last_read.get(name, -1) > indices[-1]]
        items = self._items(indices, name, level + 1)
        part.segments.append(Segment(items, inputs, used[::-1]))  # what a module returns is what it computes last
        return Call(name.removeprefix(f"{around}.") if around else name, len(part.segments) - 1)

    def _place(self, name: str, kind: str = "Module") -> Part:
        """The part of this name, in the parts around it."""
        if name not in self.parts:
            around, _, own = name.rpartition(".")
            self.parts[name] = part_of(kind)(self.constants)
            self._place(around).add_module(own, self.parts[name])
        return self.parts[name]

    def add_tensor(self, name: str, value: str, tensor: Tensor) -> None:
        """Add a parameter or buffer by its full name, and the name of its value in the graph."""
        where, _, own = name.rpartition(".")
        if where and where not in self.parts:
            where, own = "", name.replace(".", "_")
        part = self.parts[where]
        if isinstance(tensor, nn.Parameter):
            part.register_parameter(own, tensor)
        else:
            part.register_buffer(own, tensor)
        self.constants[value] = tensor

    def finish(self) -> nn.Module:
        """The module, after all tensors are added: what is constant is no operand of a part."""
        for part in self.parts.values():
            for segment in part.segments:
                segment.inputs = [name for name in segment.inputs if name not in self.constants]
        return self.root.eval()


def part_of(kind: str) -> type[Part]:
    """The class of a part that has the name of the original's class: torch.nn.modules.conv.Conv2d."""
    name = kind.rpartition(".")[2] or "Module"
    own = getattr(nn, name, nn.Module) if kind.startswith("torch.nn.") else nn.Module
    return type(name, (Part,), {"counts_as": own})


def names_in(value: Any) -> Iterator[str]:
    """The names of values among the arguments of a node."""
    if isinstance(value, Name):
        yield value.name
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names_in(inner)


@dataclass(frozen=True)
class Name:
    """An argument that is a value of the graph."""

    name: str


def resolve(value: Any, env: Env) -> Any:
    """An argument with values in place of their names."""
    if isinstance(value, Name):
        return env[value.name]
    return [resolve(inner, env) for inner in value] if isinstance(value, list | tuple) else value
