"""What benchmarks/gpu.py does where there is no GPU: bars, shares of the time, and rows that fail."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from gpu import ROWS, Run, as_row
from gpu_bench import Measured, guarded


@pytest.mark.parametrize(
    ("value", "at_least", "at_most", "is_met"),
    [
        (2.0, None, None, True),
        (2.0, 2.0, None, True),
        (1.9, 2.0, None, False),
        (2.0, None, 2.0, True),
        (2.1, None, 2.0, False),
        (1.0, 0.98, 1.02, True),
        (1.03, 0.98, 1.02, False),
        (math.nan, None, 2.0, False),
        (None, None, 2.0, False),
    ],
)
def test_a_bar_is_met_by_a_number_within_it(
    value: float | None, at_least: float | None, at_most: float | None, is_met: bool
) -> None:
    assert Measured("time", value, at_least=at_least, at_most=at_most).is_met == is_met


def test_what_was_measured_before_a_failure_stands_beside_the_reason() -> None:
    def measured() -> Iterator[Measured]:
        yield Measured("rate", 1.5)
        raise RuntimeError("out of memory\nmore")

    values = list(guarded("row", measured()))
    assert values == [Measured("rate", 1.5), Measured("row", None, problem="RuntimeError: out of memory")]
    assert as_row(values[1], judged=True) == "| row | | | | | FAILED: RuntimeError: out of memory |"


def test_a_row_without_a_bar_has_no_verdict_and_a_missed_one_says_so() -> None:
    assert as_row(Measured("rate", 12_345.6), judged=True) == "| rate | 12,346 | images/s |  |  |  |"
    assert as_row(Measured("share", 0.9, "of it", 0.95), judged=True) == "| share | 0.900 | of it | 0.95 |  | MISSED |"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_shares_of_all_rows_are_the_whole_time(device: str) -> None:
    run = Run(list(ROWS), device, 100)
    assert sum(run.share(name, 100) for name in ROWS) == pytest.approx(100)
    run.left = ["wide"]
    assert run.share("wide", 40) == 40  # what the others have not used
