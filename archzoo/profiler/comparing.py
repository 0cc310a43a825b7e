"""Where two networks differ, part by part, and what that costs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from torch import nn

from archzoo.errors import ProfileError
from archzoo.profiler.counting import profile
from archzoo.profiler.meta import modules_of
from archzoo.profiler.rows import Row

ABSENT = "-"


@dataclass(frozen=True)
class Difference:
    """One part in which two networks differ: what it is in each, "-" where it has none."""

    part: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """All differences of two networks, in the order of their parts, and their costs; no MACs for a file of tensors."""

    first: str
    second: str
    differences: list[Difference]
    params: tuple[int, int]
    macs: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [("", self.first, self.second), *((d.part, d.first, d.second) for d in self.differences)]
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, "", *self.totals()])

    def totals(self) -> list[str]:
        """The costs of both, and their difference."""
        counts = {"params": self.params, "MACs": self.macs}
        return [
            f"{name}: {first:,} and {second:,}, difference {second - first:+,}"
            for name, (first, second) in ((name, pair) for name, pair in counts.items() if pair is not None)
        ]


def compare(
    first: nn.Module,
    second: nn.Module,
    input_size: Any,
    second_size: Any = None,
    names: tuple[str, str] = ("first", "second"),
) -> Comparison:
    """Where two networks differ, part by part, for inputs of one size (or each its own), in evaluation mode.

    Parts are the same if their names are. Raises ProfileError where one of them cannot run on its input.
    """
    nets = first, second
    counted = profile(first, input_size), profile(second, input_size if second_size is None else second_size)
    modules = [{name: module for module, name in modules_of(net).items()} for net in nets]
    rows = [{row.name: row for row in one.rows} for one in counted]
    differences: list[Difference] = []
    absent: list[str] = []
    for part in _merged(list(modules[0]), list(modules[1])):
        if any(part.startswith(f"{outer}.") for outer in absent):
            continue
        both = [found.get(part) for found in modules]
        kinds = {type(module) for module in both}
        if len(kinds) > 1 and (None in both or _holds_parts(both)):
            absent.append(part)
            cells = [_whole(module, each.get(part)) for module, each in zip(both, rows, strict=True)]
            differences.append(Difference(part, *cells))
        elif both[0] is not None and both[1] is not None:
            cells = _differing([_words(module) for module in both if module is not None])
            shapes = [_spell(each[part].output) for each in rows]
            if shapes[0] != shapes[1] and not _holds_parts(both):
                cells = [
                    f"{cell}{', ' if cell else ''}output {shape}" for cell, shape in zip(cells, shapes, strict=True)
                ]
            if any(cells):
                differences.append(Difference(part, *(cell or ABSENT for cell in cells)))
    return Comparison(*names, differences, (counted[0].params, counted[1].params), (counted[0].macs, counted[1].macs))


def compare_shapes(model: nn.Module, shapes: Mapping[str, Sequence[int]], names: tuple[str, str]) -> Comparison:
    """Where a network's state differs from the tensors of a file, by name and shape; costs are numbers stored."""
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    theirs = {name: tuple(shape) for name, shape in shapes.items()}
    differences = [
        Difference(name, _spell(own.get(name)), _spell(theirs.get(name)))
        for name in _merged(list(own), list(theirs))
        if own.get(name) != theirs.get(name)
    ]
    return Comparison(*names, differences, (_numbers(own), _numbers(theirs)))


def shapes_in(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its head alone. Raises ProfileError if it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ProfileError(f"{path} is no safetensors file that can be read: {error}") from error


def _merged(first: list[str], second: list[str]) -> list[str]:
    """Names of both lists in one order: those that only the second has come after what they follow there."""
    order = list(first)
    known = set(first)
    last = -1
    places = {name: at for at, name in enumerate(order)}
    extra: dict[int, list[str]] = {}
    for name in second:
        if name in known:
            last = places[name]
        else:
            extra.setdefault(last, []).append(name)
    merged = extra.get(-1, [])
    for at, name in enumerate(order):
        merged += [name, *extra.get(at, [])]
    return merged


def _words(module: nn.Module) -> list[str]:
    """What a module is, setting by setting: its class, then what it tells of itself."""
    settings = re.findall(r"(?:[^,(]|\([^)]*\))+", module.extra_repr())
    if isinstance(module, nn.modules.conv._ConvNd):
        settings[:2] = f"in={module.in_channels}", f"out={module.out_channels}"
    return [type(module).__name__, *(setting.strip() for setting in settings)]


def _differing(words: Sequence[list[str]]) -> list[str]:
    """Those settings of each that the other does not have; numbers without a name are taken by place."""
    first, second = words
    cells = []
    for mine, other in ((first, second), (second, first)):
        named = set(other)
        kept = [
            word
            for at, word in enumerate(mine)
            if (word not in named if "=" in word else at >= len(other) or other[at] != word)
        ]
        cells.append(", ".join(kept))
    return cells


def _whole(module: nn.Module | None, row: Row | None) -> str:
    if module is None or row is None:
        return ABSENT
    inside = [", ".join(_words(one)) for one in module.modules() if not one._modules]
    shown = " + ".join(inside[:4]) + (f" and {len(inside) - 4} more" if len(inside) > 4 else "")
    return f"{shown} ({row.params:,} params, {row.macs:,} MACs)" if row.params else shown


def _holds_parts(modules: Sequence[nn.Module | None]) -> bool:
    return any(module is not None and bool(module._modules) for module in modules)


def _spell(shape: Sequence[int] | None) -> str:
    return ABSENT if shape is None else "x".join(map(str, shape)) or "one number"


def _numbers(shapes: Mapping[str, Sequence[int]]) -> int:
    return sum(prod(shape) for shape in shapes.values())
