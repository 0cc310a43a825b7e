"""The differences between two networks, part by part, and their costs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from torch import nn

from archzoo.errors import ProfileError
from archzoo.profiler._counting import profile
from archzoo.profiler._meta import modules_of
from archzoo.profiler._module_stats import ModuleStats

ABSENT = "-"


@dataclass(frozen=True)
class Difference:
    """One part in which two networks differ: its description in each, "-" where it is absent."""

    part: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """All differences of two networks, in the order of their parts, and their costs; a file of tensors has no MACs."""

    first: str
    second: str
    differences: list[Difference] = field(repr=False)
    params: tuple[int, int]
    macs: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """All values in plain types."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [("", self.first, self.second), *((d.part, d.first, d.second) for d in self.differences)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
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
    """Compare two networks part by part, for inputs of one size (or of two), in eval mode.

    Parts correspond by name. Raises ProfileError if one of the networks cannot run on its input.
    """
    nets = first, second
    profiles = profile(first, input_size), profile(second, input_size if second_size is None else second_size)
    modules = [{name: module for module, name in modules_of(net).items()} for net in nets]
    stats = [{module.name: module for module in result.modules} for result in profiles]
    differences: list[Difference] = []
    absent: list[str] = []
    for part in _merged(list(modules[0]), list(modules[1])):
        if any(part.startswith(f"{outer}.") for outer in absent):
            continue
        both = [by_name.get(part) for by_name in modules]
        kinds = {type(module) for module in both}
        if len(kinds) > 1 and (None in both or _holds_parts(both)):
            absent.append(part)
            cells = [_whole(module, by_name.get(part)) for module, by_name in zip(both, stats, strict=True)]
            differences.append(Difference(part, *cells))
        elif both[0] is not None and both[1] is not None:
            cells = _differing([_settings(module) for module in both if module is not None])
            shapes = [_spell(by_name[part].output) for by_name in stats]
            if shapes[0] != shapes[1] and not _holds_parts(both):
                cells = [
                    f"{cell}{', ' if cell else ''}output {shape}" for cell, shape in zip(cells, shapes, strict=True)
                ]
            if any(cells):
                differences.append(Difference(part, *(cell or ABSENT for cell in cells)))
    params, macs = (profiles[0].params, profiles[1].params), (profiles[0].macs, profiles[1].macs)
    return Comparison(*names, differences, params, macs)


def compare_shapes(model: nn.Module, shapes: Mapping[str, Sequence[int]], names: tuple[str, str]) -> Comparison:
    """Compare a network's state dict with the tensors of a file, by name and shape; the costs are tensor elements."""
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    theirs = {name: tuple(shape) for name, shape in shapes.items()}
    differences = [
        Difference(name, _spell(own.get(name)), _spell(theirs.get(name)))
        for name in _merged(list(own), list(theirs))
        if own.get(name) != theirs.get(name)
    ]
    return Comparison(*names, differences, (_numbers(own), _numbers(theirs)))


def shapes_in(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header. Raises ProfileError if it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ProfileError(f"{path} cannot be read as a safetensors file: {error}") from error


def _merged(first: list[str], second: list[str]) -> list[str]:
    """The names of both lists in one order: names that only the second has come after their predecessor there."""
    order = list(first)
    known = set(first)
    last = -1
    places = {name: index for index, name in enumerate(order)}
    extra: dict[int, list[str]] = {}
    for name in second:
        if name in known:
            last = places[name]
        else:
            extra.setdefault(last, []).append(name)
    merged = extra.get(-1, [])
    for index, name in enumerate(order):
        merged += [name, *extra.get(index, [])]
    return merged


def _settings(module: nn.Module) -> list[str]:
    """A module's class, then the settings in its repr."""
    settings = re.findall(r"(?:[^,(]|\([^)]*\))+", module.extra_repr())
    if isinstance(module, nn.modules.conv._ConvNd):
        settings[:2] = f"in={module.in_channels}", f"out={module.out_channels}"
    return [type(module).__name__, *(setting.strip() for setting in settings)]


def _differing(settings: Sequence[list[str]]) -> list[str]:
    """The settings of each module that the other does not have; unnamed settings are compared by position."""
    first, second = settings
    cells = []
    for own, other in ((first, second), (second, first)):
        named = set(other)
        kept = [
            setting
            for index, setting in enumerate(own)
            if (setting not in named if "=" in setting else index >= len(other) or other[index] != setting)
        ]
        cells.append(", ".join(kept))
    return cells


def _whole(module: nn.Module | None, stats: ModuleStats | None) -> str:
    if module is None or stats is None:
        return ABSENT
    layers = [", ".join(_settings(layer)) for layer in module.modules() if not layer._modules]
    shown = " + ".join(layers[:4]) + (f" and {len(layers) - 4} more" if len(layers) > 4 else "")
    return f"{shown} ({stats.params:,} params, {stats.macs:,} MACs)" if stats.params else shown


def _holds_parts(modules: Sequence[nn.Module | None]) -> bool:
    return any(module is not None and bool(module._modules) for module in modules)


def _spell(shape: Sequence[int] | None) -> str:
    return ABSENT if shape is None else "x".join(map(str, shape)) or "one number"


def _numbers(shapes: Mapping[str, Sequence[int]]) -> int:
    return sum(prod(shape) for shape in shapes.values())
