"""The style of figures, and writing them to files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archzoo.errors import MissingDependency, ReportError
from archzoo.escaping import one_line
from archzoo.files import atomic_write

try:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter
except ImportError as error:
    raise MissingDependency(
        "figures need matplotlib, which is not installed: pip install 'archzoo[figures]'"
    ) from error

# The palette of Okabe and Ito, which people with color blindness can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
INK, LINE = "#1d2733", "#d9dfe7"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "archzoo",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "figure.facecolor": "white",
}


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as .png, .svg or .pdf, atomically; the same figure gives the same bytes.

    Raises ReportError for any other suffix, and if the file cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ReportError(f"a figure is written as .png, .svg or .pdf, not {target.name!r}")
    metadata: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format=kind, dpi=150, metadata=metadata[kind])
    try:
        with atomic_write(target) as partial:
            partial.write_bytes(out.getvalue())
    except OSError as error:
        raise ReportError(f"{target} cannot be written: {error.strerror}") from error


@contextmanager
def canvas(
    width: float, height: float, columns: int = 1, rows: int = 1, **options: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in archzoo's style, and its axes: a single one, or an array."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(rows, columns, **options)


def plot_text(text: str) -> str:
    """A text of others for a figure, where two dollar signs would begin a formula."""
    return one_line(text).replace("$", r"\$")


def format_count(value: float, _: Any = None) -> str:
    """A count with a unit, such as 10M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def count_ticks(axis: Any) -> None:
    """Write ticks as 10M instead of as powers of ten."""
    axis.set_major_formatter(FuncFormatter(format_count))
    axis.set_minor_formatter(NullFormatter())
