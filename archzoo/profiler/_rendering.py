"""A profile as text and as HTML, with columns of the reader's choice."""

from collections.abc import Callable, Sequence
from typing import Any

from archzoo.errors import ProfileError
from archzoo.escaping import markup, one_line
from archzoo.profiler._coverage import Coverage
from archzoo.profiler._inputs import spell_sizes
from archzoo.profiler._module_stats import ModuleStats


def _shape(stats: ModuleStats) -> str:
    return "x".join(map(str, stats.output)) if stats.output else "-"


def _per_axis(values: Sequence[float | None]) -> str:
    if not values:
        return "-"
    distinct = values[:1] if len(set(values)) == 1 else values
    return "x".join("?" if value is None else f"{value:g}" for value in distinct)


COLUMNS: dict[str, Callable[[ModuleStats], str]] = {
    "kind": lambda stats: stats.kind,
    "output": _shape,
    "params": lambda stats: f"{stats.params:,}",
    "trainable": lambda stats: f"{stats.trainable:,}",
    "frozen": lambda stats: f"{stats.frozen:,}",
    "weights": lambda stats: f"{stats.weights:,}",
    "conv_params": lambda stats: f"{stats.conv_params:,}",
    "linear_params": lambda stats: f"{stats.linear_params:,}",
    "norm_params": lambda stats: f"{stats.norm_params:,}",
    "biases": lambda stats: f"{stats.biases:,}",
    "macs": lambda stats: f"{stats.macs:,}",
    "padding_macs": lambda stats: f"{stats.padding_macs:,}",
    "backward_macs": lambda stats: f"{stats.backward_macs:,}",
    "flops": lambda stats: f"{stats.flops:,}",
    "other_ops": lambda stats: f"{stats.other_ops:,}",
    "norm": lambda stats: f"{stats.work.norm:,}",
    "pool": lambda stats: f"{stats.work.pool_reads:,}",
    "elementwise": lambda stats: f"{stats.work.elementwise:,}",
    "neurons": lambda stats: f"{stats.neurons:,}",
    "layers": lambda stats: f"{stats.layers:,}",
    "calls": lambda stats: f"{stats.calls:,}",
    "receptive_field": lambda stats: _per_axis(stats.receptive_field.size if stats.receptive_field else ()),
    "stride": lambda stats: _per_axis(stats.receptive_field.stride if stats.receptive_field else ()),
    "offset": lambda stats: _per_axis(stats.receptive_field.offset if stats.receptive_field else ()),
}
DEFAULT_COLUMNS = ("output", "params", "macs", "other_ops", "receptive_field", "stride")
TEXT_COLUMNS = {"", "kind"}  # left-aligned


def table(
    title: str,
    modules: Sequence[ModuleStats],
    columns: Sequence[str] = DEFAULT_COLUMNS,
    depth: int | None = None,
    sort: str = "",
) -> tuple[list[str], list[list[str]]]:
    """Header and cells, a row per module: down to ``depth`` levels, in model order or by ``sort`` in descending order.

    Raises ProfileError for an unknown column.
    """
    for column in (*columns, *filter(None, [sort])):
        if column not in COLUMNS:
            raise ProfileError(f"no column is called {column!r}; there are {', '.join(COLUMNS)}")
    modules = [stats for stats in modules if depth is None or stats.level <= depth]
    if sort:
        modules = sorted(modules, key=lambda stats: _sort_key(stats, sort), reverse=sort not in TEXT_COLUMNS)
    cells = [[stats.name or title, *(COLUMNS[column](stats) for column in columns)] for stats in modules]
    return ["", *columns], cells


def _sort_key(stats: ModuleStats, column: str) -> float | str:
    text = COLUMNS[column](stats).replace(",", "")
    if column in TEXT_COLUMNS:
        return text
    try:
        return float(text.partition("x")[0])
    except ValueError:
        return -1


def as_text(title: str, modules: Sequence[ModuleStats], coverage: Coverage) -> str:
    """The default columns as plain text, with a note for each uncounted operator; the last line is about all."""
    head, cells = table(title, modules)
    cells = [[one_line(cell) for cell in row] for row in cells]
    widths = [max(len(row[column]) for row in (head, *cells)) for column in range(len(head))]
    lines = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in (head, *cells))
    ]
    return "\n".join([*lines, *notes(coverage)])


def as_summary(profile: Any) -> str:
    """The costs of the whole model in a few lines."""
    whole = profile.modules[0]
    counts = {
        "parameters": whole.params,
        "multiply-adds": whole.macs,
        "other operations": whole.other_ops,
        "layers deep": profile.depth,
        "modules": len(profile.modules),
    }
    width = max(len(f"{count:,}") for count in counts.values())
    lines = [f"Profile of {one_line(profile.model)}, input {spell_sizes(profile.input_size)}"]
    lines += [f"  {count:>{width},} {name}" for name, count in counts.items()]
    return "\n".join([*lines, *notes(profile.coverage)])


def notes(coverage: Coverage) -> list[str]:
    """A note for each operator that has no formula, and one about the operators that have."""
    uncounted = [
        f"not counted: {one_line(name)}, {calls} times; the multiply-adds are a lower bound"
        for name, calls in coverage.uncounted.items()
    ]
    return [*uncounted, str(coverage)]


def as_html(title: str, modules: Sequence[ModuleStats], coverage: Coverage) -> str:
    """The default columns as an HTML table for a notebook, modules indented by level."""
    head, cells = table(title, modules)
    lines = ["<tr>" + "".join(f"<th>{markup(name)}</th>" for name in head) + "</tr>"]
    for stats, (name, *rest) in zip(modules, cells, strict=True):
        first = f'<td style="text-align:left;padding-left:{stats.level}em">{markup(name)}</td>'
        lines.append(f"<tr>{first}{''.join(f'<td>{markup(cell)}</td>' for cell in rest)}</tr>")
    below = "".join(f"<p>{markup(note)}</p>" for note in notes(coverage))
    return f"<table>{''.join(lines)}</table>{below}"
