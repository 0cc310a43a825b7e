"""Published errors and what training here reaches: which were met, and how each run is repeated. Imports no torch."""

from archzoo.results._measured import MEASURED, Measured, read_measured, text_of
from archzoo.results._model_index import model_index
from archzoo.results._records import describe_run
from archzoo.results._rows import Row, Verdict, find_row, rows

__all__ = [
    "MEASURED",
    "Measured",
    "Row",
    "Verdict",
    "describe_run",
    "find_row",
    "model_index",
    "read_measured",
    "rows",
    "text_of",
]
