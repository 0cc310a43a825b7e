"""Curves of several runs: what is drawn is what the runs say."""

import json
from pathlib import Path
from typing import Any

import pytest

from archzoo.errors import ReportError
from archzoo.report import figures

ROOT = Path(__file__).parents[1]


def lines(axis: Any) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """Color, style and points of each line with more than one point."""
    drawn = [(line.get_color(), line.get_linestyle(), line.get_data()) for line in axis.lines]
    return [(color, style, [*zip(map(float, x), map(float, y), strict=True)]) for color, style, (x, y) in drawn]


def history(*errors: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"iteration": 10.0 * epoch, "train_error": train, "validation_error": validation}
        for epoch, (train, validation) in enumerate(errors, 1)
    ]


def test_each_run_is_a_dashed_and_a_solid_line_in_the_color_of_its_network() -> None:
    first, second = history((0.5, 0.4), (0.2, 0.3)), history((0.6, 0.5), (0.1, 0.2))
    figure = figures.error_curves({"plain": {"plain20": [first, second]}, "residual": {"resnet20": [first]}}, "title")
    axes: Any = figure.axes
    plain, residual = axes
    (color, *_), *_ = drawn = lines(plain)
    assert drawn == [
        (color, "--", [(10, 50), (20, 20)]),
        (color, "-", [(10, 40), (20, 30)]),
        (color, "--", [(10, 60), (20, 10)]),
        (color, "-", [(10, 50), (20, 20)]),
    ]
    assert [points for _, _, points in lines(residual)] == [points for _, _, points in drawn[:2]]
    legends = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in axes]
    assert legends == [["plain20"], ["resnet20"]]
    assert [axis.get_title(loc="left") for axis in axes] == ["plain", "residual"]


def test_a_learning_curve_has_means_and_reaches_from_the_smallest_to_the_largest_error() -> None:
    errors = {"frozen": {1: [40.0, 50.0, 30.0], 10: [20.0, 20.0, 20.0]}, "from scratch": {10: [25.0, 35.0, 30.0]}}
    axes: Any = figures.learning_curves(errors, "digits").axes
    (axis,) = axes
    means = [points for _, style, points in lines(axis) if style == "-"]
    assert means == [[(1, 40), (10, 20)], [(10, 30)]]
    bars = [segment.tolist() for collection in axis.collections for segment in collection.get_segments()]
    assert bars == [[[1, 30], [1, 50]], [[10, 20], [10, 20]], [[10, 25], [10, 35]]]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "10"]


@pytest.mark.parametrize("draw", [figures.error_curves, figures.learning_curves])
def test_nothing_to_draw_is_an_error(draw: Any) -> None:
    with pytest.raises(ReportError, match="at least one .* none are given"):
        draw({})


def rows_of(page: str, columns: int) -> list[list[str]]:
    """The cells of the tables of a guide that have so many columns."""
    lines = (ROOT / "docs" / "guide" / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if len(row) == columns]


def test_the_guide_says_what_plain_and_residual_networks_reached() -> None:
    runs = json.loads((ROOT / "docs" / "figures" / "residual.json").read_text(encoding="utf-8"))["runs"]
    head, _, *table = rows_of("figures.md", 4)
    assert head == ["network", "iterations", "training", "validation"]
    expected = []
    for run in runs:
        last = run["rows"][-1]
        errors = [f"{100 * last[f'{part}_error']:.1f}%" for part in ("train", "validation")]
        expected.append([f"`{run['network']}`", f"{last['iteration']:.0f}", *errors])
    assert table == expected
