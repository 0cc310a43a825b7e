"""A profile as text and as HTML, in columns of the reader's choice."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from archzoo.errors import ProfileError
from archzoo.profiler.rows import Row


def _shape(row: Row) -> str:
    return "x".join(map(str, row.output)) if row.output else "-"


def _per_axis(values: Sequence[float | None]) -> str:
    if not values:
        return "-"
    distinct = values[:1] if len(set(values)) == 1 else values
    return "x".join("?" if value is None else f"{value:g}" for value in distinct)


COLUMNS: dict[str, Callable[[Row], str]] = {
    "kind": lambda row: row.kind,
    "output": _shape,
    "params": lambda row: f"{row.params:,}",
    "trainable": lambda row: f"{row.trainable:,}",
    "frozen": lambda row: f"{row.frozen:,}",
    "weights": lambda row: f"{row.weights:,}",
    "conv_params": lambda row: f"{row.conv_params:,}",
    "linear_params": lambda row: f"{row.linear_params:,}",
    "norm_params": lambda row: f"{row.norm_params:,}",
    "biases": lambda row: f"{row.biases:,}",
    "macs": lambda row: f"{row.macs:,}",
    "backward_macs": lambda row: f"{row.backward_macs:,}",
    "flops": lambda row: f"{row.flops:,}",
    "other": lambda row: f"{row.other:,}",
    "norm": lambda row: f"{row.work.norm:,}",
    "pool": lambda row: f"{row.work.pool_reads:,}",
    "elementwise": lambda row: f"{row.work.elementwise:,}",
    "neurons": lambda row: f"{row.neurons:,}",
    "layers": lambda row: f"{row.layers:,}",
    "calls": lambda row: f"{row.calls:,}",
    "field": lambda row: _per_axis(row.field.size if row.field else ()),
    "stride": lambda row: _per_axis(row.field.stride if row.field else ()),
    "offset": lambda row: _per_axis(row.field.offset if row.field else ()),
}
USUAL = ("output", "params", "macs", "other", "field", "stride")
TEXT = {"", "kind"}  # columns of text, which stands left


def table(
    title: str, rows: Sequence[Row], columns: Sequence[str] = USUAL, depth: int | None = None, sort: str = ""
) -> tuple[list[str], list[list[str]]]:
    """Heads and cells, a row a module: down to ``depth`` levels, in the model's order or the largest ``sort`` first.

    Raises ProfileError for a column that does not exist.
    """
    for column in (*columns, *filter(None, [sort])):
        if column not in COLUMNS:
            raise ProfileError(f"no column is called {column!r}; there are {', '.join(COLUMNS)}")
    rows = [row for row in rows if depth is None or row.level <= depth]
    if sort:
        rows = sorted(rows, key=lambda row: _size(row, sort), reverse=sort not in TEXT)
    cells = [[row.name or title, *(COLUMNS[column](row) for column in columns)] for row in rows]
    return ["", *columns], cells


def _size(row: Row, column: str) -> float | str:
    text = COLUMNS[column](row).replace(",", "")
    if column in TEXT:
        return text
    try:
        return float(text.partition("x")[0])
    except ValueError:
        return -1


def as_text(title: str, rows: Sequence[Row], unknown: Mapping[str, int]) -> str:
    """The usual columns, in lines, and what was not counted."""
    head, cells = table(title, rows)
    widths = [max(len(row[at]) for row in (head, *cells)) for at in range(len(head))]
    lines = [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in (head, *cells))
    ]
    return "\n".join([*lines, *notes(unknown)])


def notes(unknown: Mapping[str, int]) -> list[str]:
    """What a reader of the numbers has to know beside them."""
    return [
        f"not counted: {name}, {times} times; the multiply-adds are a lower bound" for name, times in unknown.items()
    ]


def as_html(title: str, rows: Sequence[Row], unknown: Mapping[str, int]) -> str:
    """The usual columns as a table for a notebook; parts are indented by level."""
    head, texts = table(title, rows)
    levels = [row.level for row in rows]
    cells = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    for level, (name, *rest) in zip(levels, texts, strict=True):
        first = f'<td style="text-align:left;padding-left:{level}em">{escape(name)}</td>'
        cells.append(f"<tr>{first}{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>")
    below = "".join(f"<p>{escape(note)}</p>" for note in notes(unknown))
    return f"<table>{''.join(cells)}</table>{below}"
