"""Figures: what is drawn is what is counted, and the same figure is the same bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle
from torch import nn

import archzoo
from archzoo.profiler import memory
from archzoo.registry import results
from archzoo.report import figures
from tests.shell import Shell


def points(axis: Any) -> set[tuple[float, float]]:
    """What an axis draws, in its data."""
    return {(float(x), float(y)) for line in axis.lines for x, y in zip(*line.get_data(), strict=True)}


@pytest.mark.slow
def test_points_are_our_counts_and_the_papers_errors() -> None:
    params, macs = figures.cost_against_error("imagenet top-1", "single crop").axes
    error = {
        result.name: result.error
        for result in results("densenet*", "imagenet top-1")
        if result.protocol == "single crop"
    }
    assert error["densenet121"] == 25.02
    for name, value in error.items():
        cost = archzoo.profile(archzoo.build(name, device="meta"), (3, 224, 224))
        assert (cost.params, value) in points(params)
        assert (cost.macs, value) in points(macs)


def test_the_timeline_has_each_network_with_its_counts() -> None:
    names = ("lenet5", "alexnet", "squeezenet1_0")
    for axis, quantity in zip(figures.timeline(names).axes, ("depth", "params", "macs"), strict=True):
        costs = [archzoo.profile(archzoo.build(name, device="meta"), archzoo.find(name).input_size) for name in names]
        assert points(axis) == {(i, getattr(cost, quantity)) for i, cost in enumerate(costs)}


def test_shares_add_up_to_a_hundred() -> None:
    for axis in figures.stage_shares(("alexnet", "squeezenet1_0")).axes:
        widths: dict[float, float] = {}
        for bar in axis.patches:
            assert isinstance(bar, Rectangle)
            widths[round(bar.get_y(), 3)] = widths.get(round(bar.get_y(), 3), 0.0) + bar.get_width()
        assert list(widths.values()) == pytest.approx([100, 100])


@pytest.mark.parametrize("phase", ["inference", "training"])
def test_memory_over_time_reaches_no_more_than_the_peak(phase: str) -> None:
    usage = memory(archzoo.build("resnet20", device="meta"), (3, 32, 32), batch=4, device="cuda")
    drawn = max(y for x, y in points(figures.memory_over_time(usage, phase).axes[0]))
    assert drawn == pytest.approx(getattr(usage, phase) / 2**20, rel=0.02)


def test_receptive_fields_end_at_those_of_the_papers() -> None:
    lines = figures.receptive_field_growth(("vgg_d", "resnet50")).axes[0].lines[:2]
    last = [np.asarray(line.get_ydata())[-1] for line in lines]
    assert last == [196, 483]  # VGG-16's last convolution; behind the last pooling it is 212


def test_optimizers_go_down_a_ravine_and_are_torchs() -> None:
    surface, start = figures.SURFACES["ravine"]
    for make in figures.OPTIMIZERS.values():
        visited = figures.path(make, surface, start, 60)
        assert visited.shape == (61, 2)
        assert surface(visited[-1]) < 0.5 * surface(visited[0])
    point = figures.path(figures.OPTIMIZERS["SGD"], surface, start, 1)[1]
    assert point.tolist() == pytest.approx(
        [-9 + 0.1 * 0.1 * 9, 2.5 - 0.1 * 2 * 2.5]
    )  # by hand: minus rate times gradient


@pytest.mark.slow
def test_filters_curves_maps_and_predictions_are_drawn_as_given() -> None:
    assert len(figures.first_filters(archzoo.build("nin")).axes) == 192
    assert len(figures.feature_reuse_map({"denseblock1": torch.rand(4, 4), "denseblock2": torch.rand(3, 3)}).axes) == 3
    rows = [
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "validation_loss": 2 / epoch,
            "train_error": 0.2,
            "validation_error": 0.3,
        }
        for epoch in (1, 2)
    ]
    loss, error = figures.training_curves({"run": rows}).axes
    assert points(loss) == {(1, 1), (2, 0.5), (1, 2), (2, 1)}
    assert points(error) == {(1, 20), (2, 20), (1, 30), (2, 30)}
    usage = figures.predictions(torch.rand(3, 1, 8, 8), [0, 1, 1], [0, 1, 0], ["ant", "bee"])
    assert [axis.get_title() for axis in usage.axes] == ["ant", "bee", "ant, not bee"]
    assert "2 of 3 right" in [text.get_text() for text in usage.texts]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        figures.save(figures.schedules({"steps": [0.1, 0.1, 0.01]}), tmp_path / f"{name}.{suffix}")
    first, second = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert first == second
    assert len(first) > 1000


def test_bad_input_is_refused_with_what_would_be_right(tmp_path: Path) -> None:
    figure = figures.schedules({"steps": [0.1, 0.01]})
    with pytest.raises(archzoo.ArchzooError, match=r"written as \.png, \.svg or \.pdf, not 'figure\.jpg'"):
        figures.save(figure, tmp_path / "figure.jpg")
    with pytest.raises(archzoo.ArchzooError, match="figure.png cannot be written: No such file"):
        figures.save(figure, tmp_path / "no" / "figure.png")
    with pytest.raises(archzoo.ArchzooError, match="nothing is published on 'svhn' for 'ten crops'"):
        figures.cost_against_error("svhn", "ten crops")
    with pytest.raises(ValueError, match="no results on 'cifar'"):
        figures.cost_against_error("cifar")
    with pytest.raises(archzoo.ArchzooError, match="no convolution"):
        figures.first_filters(nn.Linear(2, 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_writes_what_is_asked_for(shell: Shell, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "log.csv").write_text("epoch,train_loss,validation_loss,train_error,validation_error\n1,2,3,0.5,0.6\n")
    out = tmp_path / "figures"
    code, _, err = shell("figures", "optimizers", "--run", str(run), "--output", str(out), "--format", "png")
    assert (code, sorted(path.name for path in out.iterdir())) == (0, ["curves.png", "optimizers.png"])
    assert "wrote" in err
    file = str(out / "curves.png")
    code, _, err = shell("figures", "cost", "--output", file)
    assert (code, "cannot be a folder for figures" in err) == (2, True)
    code, _, err = shell("figures", "--run", str(tmp_path), "--output", str(out))
    assert (code, "has no log.csv of a run" in err) == (2, True)
