"""Worksheets: a network's layers with sizes, parameters and multiply-adds to fill in, and the key to them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from archzoo.escaping import latex, markdown
from archzoo.profiler import ModuleStats, Profile
from archzoo.report.tables._text import csv_table, latex_row, markdown_table

Format = Literal["markdown", "latex", "csv"]
HEAD = ("layer", "what it is", "output", "parameters", "multiply-adds")
HOW = ("how: parameters", "how: multiply-adds")
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True)
class Row:
    """A layer: what is printed on the sheet, what is to fill in, and how that is computed."""

    name: str
    description: str
    output: str
    params: int
    macs: int
    how: tuple[str, str] = ("", "")


def write_worksheet(net: nn.Module, counted: Profile, form: Format, *, key: bool) -> str:
    """A table of the layers of a network that have weights or change the size of the maps, and their sum.

    Args:
        net: The network.
        counted: Its profile, which has all numbers.
        form: "markdown", "latex" or "csv".
        key: Fill in the sizes and the counts, and how each is computed, or leave them blank.
    """
    rows = list(worksheet_rows(net, counted))
    total = Row("total", "", "", counted.params, counted.macs)
    cells = [_cells(row, key=key) for row in (*rows, total)]
    head = [*HEAD, *HOW] if key else list(HEAD)
    size = "x".join(map(str, counted.input_size))
    title = f"{counted.model}, input {size} (channels x height x width){', key' if key else ''}"
    if form == "csv":
        return csv_table(head, [[_plain(cell) for cell in row] for row in cells])
    if form == "markdown":
        table = markdown_table(head, ([*map(markdown, row)] for row in cells))
        return f"# {markdown(title)}\n\n{table}\n"
    return _latex(title, head, cells)


def worksheet_rows(net: nn.Module, counted: Profile) -> Iterator[Row]:
    """The layers in their order, and what the network computes outside of them, if that counts."""
    parents = {stats.name.rpartition(".")[0] for stats in counted.modules if stats.name}
    ran = [stats for stats in counted.modules if stats.calls and stats.name not in parents]
    params, macs = counted.params, counted.macs
    before: tuple[int, ...] | None = tuple(counted.input_size)
    for stats in ran:
        layer = net.get_submodule(stats.name)
        if _is_shown(layer, stats, before):
            how = _how(layer, stats)
            yield Row(stats.name, describe(layer), _size(stats.output), stats.params, stats.macs, how)
            params, macs = params - stats.params, macs - stats.macs
        before = stats.output
    if params or macs:
        yield Row("elsewhere", "shared layers count once", "", params, macs)


def describe(layer: Any) -> str:
    """A layer with all that its output, its parameters and its multiply-adds depend on."""
    if isinstance(layer, nn.Conv2d):
        groups = "depthwise" if 1 < layer.groups == layer.in_channels else f"{layer.groups} groups"
        parts = [f"{_sides(layer.kernel_size)} convolution", f"{layer.out_channels} maps", *_window(layer)]
        parts += [groups] if layer.groups > 1 else []
        return ", ".join([*parts, *([] if layer.bias is not None else ["no bias"])])
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        kind = "max" if isinstance(layer, nn.MaxPool2d) else "average"
        rounds = ["sizes rounded up"] if layer.ceil_mode else []
        return ", ".join([f"{_sides(layer.kernel_size)} {kind} pooling", *_window(layer), *rounds])
    if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        kind = "average" if isinstance(layer, nn.AdaptiveAvgPool2d) else "max"
        return f"{kind} pooling to {_sides(layer.output_size)}"
    if isinstance(layer, nn.Linear):
        return f"linear layer, {layer.out_features} units{'' if layer.bias is not None else ', no bias'}"
    if isinstance(layer, nn.BatchNorm2d):
        missing = [word for word, tensor in (("scale", layer.weight), ("shift", layer.bias)) if tensor is None]
        return "batch normalization" + (f" without {' and '.join(missing)}" if missing else "")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(layer).__name__).lower()
    return ", ".join(filter(None, (words, layer.extra_repr())))


def _window(layer: Any) -> list[str]:
    """The stride and the padding of a window, where they are not 1 and 0."""
    stride, padding = _step(layer.stride), _step(layer.padding)
    return [*([f"stride {stride}"] if stride != "1" else []), *([f"padding {padding}"] if padding != "0" else [])]


def _step(size: Any) -> str:
    """A stride or padding: one number where both sides have it."""
    return "x".join(map(str, dict.fromkeys(size))) if isinstance(size, tuple) else str(size)


def _sides(size: Any) -> str:
    """Both sides of a window."""
    sides = size if isinstance(size, tuple) else (size, size)
    return "x".join(map(str, sides))


def _is_shown(layer: nn.Module, stats: ModuleStats, before: tuple[int, ...] | None) -> bool:
    if stats.params or stats.macs or isinstance(layer, POOLING):
        return True
    return stats.output != before and not isinstance(layer, nn.Flatten)


def _cells(row: Row, *, key: bool) -> list[str]:
    printed = [row.name, row.description]
    return [*printed, row.output, f"{row.params:,}", f"{row.macs:,}", *row.how] if key else [*printed, "", "", ""]


def _size(output: tuple[int, ...] | None) -> str:
    return "x".join(map(str, output or ()))


def _how(layer: Any, stats: ModuleStats) -> tuple[str, str]:
    """The products that give the two counts; nothing where they are not those of a plain layer."""
    if not stats.output or stats.calls != 1:
        return "", ""
    if isinstance(layer, nn.Conv2d):
        height, width = layer.kernel_size
        kernel, maps = f"{height}x{width}x{layer.in_channels // layer.groups}", layer.out_channels
        return f"{kernel}x{maps}{_bias(layer, maps)}", f"{kernel}x{maps}x{stats.output[1]}x{stats.output[2]}"
    if isinstance(layer, nn.Linear):
        product = f"{layer.in_features}x{layer.out_features}"
        return f"{product}{_bias(layer, layer.out_features)}", product
    if isinstance(layer, nn.BatchNorm2d) and stats.params:
        vectors = sum(tensor is not None for tensor in (layer.weight, layer.bias))
        return f"{vectors}x{layer.num_features}", ""
    return "", ""


def _bias(layer: Any, outputs: int) -> str:
    return "" if layer.bias is None else f" + {outputs}"


def _plain(cell: str) -> str:
    digits = cell.replace(",", "")
    return digits if digits.isdigit() else cell


def _latex(title: str, head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A longtable with booktabs rules, for a document that loads both packages; names may break at dots."""
    numbers = "r" * (len(HEAD) - 3)
    rules = "l" * (len(head) - len(HEAD))
    lines = [
        r"% needs \usepackage{booktabs,longtable}",
        rf"\begin{{longtable}}{{llr{numbers}{rules}}}",
        rf"\caption{{{latex(title)}}} \\",
        r"\toprule",
        latex_row([*map(latex, head)]),
        r"\midrule\endhead",
        *(latex_row([*map(latex, row)]) for row in cells[:-1]),
        r"\midrule",
        latex_row([*map(latex, cells[-1])]),
        r"\bottomrule",
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"
