"""Figures: what is drawn is what is counted, and the same figure is the same bytes."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from PIL import Image
from torch import nn

import archzoo
from archzoo.data import ImageSet, augmented_views
from archzoo.profiler import memory
from archzoo.registry import find_recipe, results
from archzoo.report import figures
from archzoo.report.figures._costs import _labels
from tests.shell import Shell


def points(axis: Any) -> set[tuple[float, float]]:
    """What an axis draws, in its data."""
    return {(float(x), float(y)) for line in axis.lines for x, y in zip(*line.get_data(), strict=True)}


@pytest.mark.slow
@pytest.mark.xdist_group("profiles")  # in the process that has the profiles
def test_points_are_our_counts_and_the_papers_errors() -> None:
    figure = figures.cost_against_error("imagenet top-1", "single crop")
    params, macs = figure.axes
    error: dict[str, float] = {}
    for result in results("densenet*", "imagenet top-1"):
        if result.protocol == "single crop" and not result.options:
            error[result.name] = min(result.error, error.get(result.name, 100.0))
    assert error["densenet121"] == 25.0  # of the authors' release; Table 3 has 25.02
    for name, value in error.items():
        cost = archzoo.profile(archzoo.build(name, device="meta"), (3, 224, 224))
        assert (cost.params, value) in points(params)
        assert (cost.macs, value) in points(macs)
    assert {name: value for name, value in error.items() if name.startswith("densenet1")} == {
        "densenet121": 25.0,
        "densenet161": 22.2,
        "densenet169": 23.6,  # none of a single crop of 320x320
    }
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"ResNet (2015)", "SENet (2017)", "ShuffleNet V2 (2018)"} <= set(legend)
    for axis in (params, macs):
        check_labels(figure, axis)


def check_labels(figure: Any, axis: Any) -> None:
    """Each point that is not small has a label, which covers no point and no other label, and is on the axis."""
    drawing = FigureCanvasAgg(figure)
    drawing.draw()
    boxes = [text.get_window_extent(drawing.get_renderer()) for text in axis.texts if text.get_text()]
    large = [line for line in axis.lines if line.get_markersize() > 3]
    assert len(boxes) == sum(len(line.get_xdata()) for line in large)
    assert [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)] == []
    covered = [
        (box, point) for box in boxes for point in axis.transData.transform(list(points(axis))) if box.contains(*point)
    ]
    assert covered == []
    assert all(axis.get_window_extent().contains(*corner) for box in boxes for corner in box.corners())


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["resnet50", "resnet101", "resnet101_v1_5"], ["50", "101", "101-v1.5"]),
        (["preact_resnet110", "preact_resnet164"], ["110", "164"]),
        (["mobilenet_v2_x1_0", "mobilenet_v2_x0_35"], ["x1.0", "x0.35"]),
        (["mobilenet_v1", "mobilenet_v1_x0_5", "conv_mobilenet"], ["mobilenet-v1", "x0.5", "conv-mobilenet"]),
        (["shufflenet_v1_g1_x1_0", "shufflenet_v1_g8_x1_0"], ["g1-x1.0", "g8-x1.0"]),
        (["se_resnet50", "se_resnext50_32x4d", "senet154"], ["resnet50", "resnext50-32x4d", "senet154"]),
        (["densenet", "densenet_bc", "densenet_100_12"], ["densenet", "bc", "100-12"]),
        (["squeezenet1_0"], ["SqueezeNet"]),
    ],
)
def test_a_label_is_what_sets_a_network_apart(names: list[str], labels: list[str]) -> None:
    assert [_labels("SqueezeNet (2016)", names)[name] for name in names] == labels


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


@pytest.mark.slow
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


def test_newtons_method_is_done_in_one_step_or_stays_at_the_saddle() -> None:
    """By hand: a quadratic is its own approximation, and the saddle's is 0.5 x^2 - 0.5 y^2 around the origin."""
    ravine, saddle = figures.SURFACES["ravine"], figures.SURFACES["saddle"]
    assert figures.newton_path(*ravine, 1).tolist() == [list(ravine[1]), [0.0, 0.0]]
    assert figures.newton_path(*saddle, 60)[-1].tolist() == pytest.approx([0, 0])


def test_l_bfgs_reaches_the_minima() -> None:
    """Those of the saddle are where -y + 0.08 y^3 = 0."""
    make = figures.OPTIMIZERS["L-BFGS"]
    assert figures.path(make, *figures.SURFACES["ravine"], 12)[-1].tolist() == pytest.approx([0, 0], abs=1e-3)
    x, y = figures.path(make, *figures.SURFACES["saddle"], 12)[-1].tolist()
    assert (x, abs(y)) == pytest.approx((0, 12.5**0.5), abs=0.02)


def test_every_optimizer_has_its_path_in_the_legend() -> None:
    figure = figures.optimizer_paths(steps=3)
    legend = figure.axes[1].get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*figures.OPTIMIZERS, "Newton", "start"]
    assert len({(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}) == len(names)


def test_activations_and_their_derivatives_are_those_of_the_textbook() -> None:
    x = torch.tensor([-3.0, -0.4, 0.7, 2.5], dtype=torch.float64)
    s, t, negative = 1 / (1 + (-x).exp()), (x.exp() - (-x).exp()) / (x.exp() + (-x).exp()), x < 0
    expected = {
        "sigmoid": (s, s * (1 - s)),
        "tanh": (t, 1 - t**2),
        "ReLU": (x * ~negative, 1.0 * ~negative),
        "leaky ReLU": (torch.where(negative, 0.1 * x, x), torch.where(negative, 0.1, 1.0)),
        "ELU": (torch.where(negative, x.exp() - 1, x), torch.where(negative, x.exp(), 1.0)),
        # The tangents of x^2 / 2 at -1.5, -0.5, 0.5 and 1.5: the nearest one is the largest.
        "maxout": (
            torch.tensor([1.5 * 3 - 1.125, 0.2 - 0.125, 0.35 - 0.125, 1.5 * 2.5 - 1.125]),
            torch.tensor([-1.5, -0.5, 0.5, 1.5]),
        ),
    }
    assert expected.keys() == figures.ACTIVATIONS.keys()
    for name, (values, slopes) in expected.items():
        torch.testing.assert_close(figures.ACTIVATIONS[name](x), values.double(), msg=name)
        torch.testing.assert_close(figures.derivative(figures.ACTIVATIONS[name], x), slopes.double(), msg=name)


def test_saturation_is_shaded_where_the_derivative_is_small() -> None:
    """By hand: s (1 - s) = 0.05 at +-2.887, 1 - t^2 = 0.05 at +-2.178, e^x = 0.05 at -2.996."""
    shaded = {}
    for axis in figures.activations().axes:
        ends = [path.get_extents() for collection in axis.collections for path in collection.get_paths()]
        shaded[axis.get_title(loc="left")] = [round(end, 1) for box in ends for end in (box.x0, box.x1)]
    assert shaded == {
        "sigmoid": [-6, -2.9, 2.9, 6],
        "tanh": [-6, -2.2, 2.2, 6],
        "ReLU": [-6, 0],
        "leaky ReLU": [],
        "ELU": [-6, -3],
        "maxout": [],
    }


def digit_images(count: int) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8)
    return ImageSet.from_tensor("digits", pixels, torch.arange(count) % 10, list("0123456789"))


def test_augmentation_shows_the_original_and_then_the_views_of_training() -> None:
    images, recipe = digit_images(21), find_recipe("digits")
    figure = figures.augmentation(recipe, images, pictures=3, epochs=2, seed=4)
    axes = np.array(figure.axes).reshape(3, 3)
    assert [axis.get_title() for axis in axes[0]] == ["original", "epoch 1", "epoch 2"]
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["0", "0", "0"]  # of images 0, 10 and 20
    assert figure.get_suptitle() == "digits: RandomCrop(padding=2)"
    views = augmented_views(recipe.augmentation, recipe.preprocessing, images, 32, [0, 10, 20], epochs=2, seed=4)
    for row, index in enumerate((0, 10, 20)):
        original, *drawn = (np.asarray(axis.images[0].get_array()) for axis in axes[row])
        assert (original == images.take(torch.tensor([index]))[0].squeeze(0).numpy()).all()
        for epoch in range(2):
            assert (drawn[epoch] == views[epoch, row, 0].numpy()).all()


def test_the_input_side_is_that_of_the_recipes_network() -> None:
    names = ("lenet5_mnist", "wide_resnet_cifar", "alexnet_imagenet", "fine_tuning", "digits")
    assert [figures.input_side(find_recipe(name)) for name in names] == [32, 32, 224, 224, 32]


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
        figures.save(figure, Path("/proc/no/figure.png"))
    with pytest.raises(archzoo.ArchzooError, match="nothing is published on 'svhn' for 'ten crops'"):
        figures.cost_against_error("svhn", "ten crops")
    with pytest.raises(ValueError, match="no results on 'cifar'"):
        figures.cost_against_error("cifar")
    with pytest.raises(archzoo.ArchzooError, match="at least one picture and one epoch are drawn, not 0 and 6"):
        figures.augmentation("digits", digit_images(2), pictures=0)
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
    assert (code, "cannot be a folder for output" in err) == (2, True)
    code, _, err = shell("figures", "--run", str(tmp_path), "--output", str(out))
    assert (code, "has no log.csv of a run" in err) == (2, True)


@pytest.mark.slow
def test_the_command_draws_augmentation_of_any_recipe_and_pictures(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "figures"
    arguments = ("--output", str(out), "--format", "png", "--pictures", "1", "--epochs", "1")
    code, _, err = shell("figures", "augmentation", "--recipe", "digits", "--recipe", "wide_resnet_cifar", *arguments)
    assert (code, err.count("wrote")) == (0, 2)
    code, _, _ = shell("figures", "augmentation", "--recipe", "lenet5_textbook", "--data", "digits", *arguments)
    assert code == 0
    folder = tmp_path / "mnist"  # named as a dataset of one channel, but with pictures in color
    folder.mkdir()
    Image.linear_gradient("L").convert("RGB").save(folder / "gradient.png")
    code, _, _ = shell("figures", "augmentation", "--recipe", "digits", "--data", str(folder), *arguments)
    assert code == 0
    names = [f"augmentation-{name}.png" for name in ("digits", "lenet5_textbook", "wide_resnet_cifar")]
    assert sorted(path.name for path in out.iterdir()) == names
    code, _, err = shell("figures", "optimizers", "--recipe", "digits", *arguments)
    assert (code, "are for the figure augmentation: name it too" in err) == (2, True)
    code, _, err = shell("figures", "augmentation", "--data", "nowhere", *arguments)
    assert (code, "no dataset and no folder is called 'nowhere'" in err) == (2, True)


@pytest.mark.slow
def test_without_scikit_learn_the_command_draws_all_other_figures(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr("archzoo.cli._drawings._drawings", lambda: {"activations": {"act": figures.activations}})
    code, _, err = shell("figures", "--output", str(tmp_path))
    assert (code, [path.name for path in tmp_path.iterdir()]) == (0, ["act.svg"])
    assert "left out augmentation-alexnet_imagenet.svg: the photographs come from scikit-learn" in err
    code, _, err = shell("figures", "augmentation", "--output", str(tmp_path))
    assert (code, "pip install 'archzoo[train]'" in err) == (2, True)
