"""Recipes: rates where the papers change them, an optimizer for each, and changes of their values."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch

import archzoo
from archzoo import cli
from archzoo import recipes as types
from archzoo.errors import RecipeError
from archzoo.recipes import (
    TRAINING_IMAGES,
    Bytes,
    Cosine,
    Duration,
    InverseTime,
    MultiStep,
    ParameterGroup,
    PolynomialDecay,
    RandomCrop,
    RandomHorizontalFlip,
    Recipe,
    ReduceOnPlateau,
    Warmup,
    WarmupUntil,
    describe,
    draw_rates,
    rate_factor,
    read_changes,
)
from archzoo.recipes._parsing import FIELDS
from archzoo.registry import find_recipe, recipes, recipes_of
from archzoo.training import check_groups, choose_recipe
from archzoo.training._optimizer import build_optimizer


def rate(recipe: Recipe, epoch: float, images: int = 50_000) -> float:
    """The learning rate at the first iteration of an epoch, as a paper states it."""
    run = recipe.duration(images)
    return recipe.lr * recipe.schedule.factor(round(epoch * run.per_epoch), run)


@pytest.mark.parametrize(
    ("network", "rates"),
    [
        # Network, and (epoch, rate) just before and after each change that the paper prints.
        ("densenet_bc", [(0, 0.1), (149, 0.1), (150, 0.01), (224, 0.01), (225, 0.001), (299, 0.001)]),
        ("wide_resnet_28_10", [(59, 0.1), (60, 0.02), (119, 0.02), (120, 0.004), (159, 0.004), (160, 0.0008)]),
        ("stochastic_depth_110", [(249, 0.1), (250, 0.01), (374, 0.01), (375, 0.001)]),
        ("stochastic_depth_1202", [(0, 0.01), (9, 0.01), (10, 0.1), (149, 0.1), (150, 0.01), (225, 0.001)]),
        ("fractalnet20", [(199, 0.02), (200, 0.002), (299, 0.002), (300, 2e-4), (350, 2e-5), (375, 2e-6), (399, 2e-6)]),
        ("lenet5", [(1, 5e-4), (2, 2e-4), (4, 2e-4), (5, 1e-4), (8, 5e-5), (11, 5e-5), (12, 1e-5)]),
        ("googlenet", [(0, 0.01), (7, 0.01), (8, 0.0096), (16, 0.009216)]),
        ("densenet121", [(29, 0.1), (30, 0.01), (60, 0.001), (89, 0.001)]),
        ("alexnet_one_tower", [(0, 0.01), (89.9, 0.01 / 250)]),
    ],
)
def test_the_rate_changes_where_the_paper_says(network: str, rates: list[tuple[float, float]]) -> None:
    recipe = find_recipe(network)
    for epoch, expected in rates:
        assert rate(recipe, epoch) == pytest.approx(expected), epoch


def test_iterations_count_where_the_paper_counts_iterations() -> None:
    for name, first in (("resnet56", 0.1), ("resnet110", 0.01)):
        recipe = find_recipe(name)
        run = recipe.duration(45_000)
        rates = [recipe.lr * recipe.schedule.factor(at, run) for at in (0, 399, 400, 31_999, 32_000, 48_000, 63_999)]
        assert rates == pytest.approx([first, first, 0.1, 0.1, 0.01, 0.001, 0.001])
        assert run.iterations == 64_000


def test_the_first_recipe_of_a_network_is_for_images_of_its_size() -> None:
    for name in filter(recipes_of, archzoo.names()):
        recipe = find_recipe(name)
        assert recipe.networks != ("*",), name
        assert (recipe.data == "imagenet") == (archzoo.find(name).input_size[1] > 64), name


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
def test_a_recipe_makes_an_optimizer_and_a_rate_that_is_never_negative(recipe: Recipe) -> None:
    optimizer = build_optimizer(torch.nn.Linear(2, 2), recipe.with_changes(groups=()))
    assert optimizer.defaults["lr"] == recipe.lr
    rates = recipe.rates(TRAINING_IMAGES.get(recipe.data, 1000))
    assert max(rates) == pytest.approx(recipe.lr)
    assert min(rates) >= 0
    assert json.loads(json.dumps(recipe.to_dict()))["schedule"]["type"]
    assert draw_rates(recipe, TRAINING_IMAGES.get(recipe.data, 1000)).count("*") == 60


def test_ants_and_bees_are_trained_as_the_tutorial_trains_them() -> None:
    """pytorch/tutorials, beginner_source/transfer_learning_tutorial.py, whose batches are of 4."""
    recipe = find_recipe("ants_and_bees")
    assert (recipe.batch_size, recipe.epochs, recipe.lr, recipe.weight_decay) == (4, 25, 0.001, 0)
    assert (recipe.optimizer, recipe.select) == (types.sgd(0.9), "best")
    assert [rate(recipe, epoch, 244) for epoch in (6, 7, 14, 21)] == pytest.approx([1e-3, 1e-4, 1e-5, 1e-6])
    assert recipe.augmentation == (types.RandomResizedCrop(), RandomHorizontalFlip())
    assert recipe.preprocessing == types.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert recipe.protocol == types.SingleCrop(224, resize=256)
    frozen, course = find_recipe("ants_and_bees_frozen"), find_recipe("ants_and_bees_32")
    differences = [
        {name for name, value in vars(recipe).items() if getattr(other, name) != value} - {"name", "source"}
        for other in (frozen, course)
    ]
    assert differences == [{"groups"}, {"batch_size", "unconfirmed"}]
    assert course.batch_size == 32


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [recipe for recipe in recipes() if recipe.groups], ids=lambda recipe: recipe.name)
def test_the_groups_of_a_recipe_name_parameters_of_all_its_networks(recipe: Recipe) -> None:
    of_any = recipe.networks == ("*",)
    names = ["resnet20"] if of_any else [name for name in archzoo.names() if recipe in recipes_of(name)]
    assert names
    for name in names:
        check_groups(archzoo.build(name, device="meta"), recipe.groups)


def test_names_are_distinct() -> None:
    assert len({recipe.name for recipe in recipes()}) == len(recipes())


def test_a_plateau_drops_when_nothing_improves_and_not_more_often_than_it_may() -> None:
    plateau = ReduceOnPlateau(gamma=0.1, patience=2, drops=2)
    assert plateau.factor_after([5, 4, 3]) == 1
    assert plateau.factor_after([5, 4, 4, 4]) == pytest.approx(0.1)
    assert plateau.factor_after([5, 4, 4, 4, 4]) == pytest.approx(0.1)
    assert plateau.factor_after([5] + [4] * 9) == pytest.approx(0.01)
    assert plateau.factor_after([5, 4, 4.5, 3, 3.5, 2]) == 1


def test_a_plateau_of_the_training_error_is_nins() -> None:
    """NiN, Sec. 4: the rate falls when the accuracy on the training set stops improving."""
    run, flat, falling = Duration(100, 10), [5.0] * 9, [9.0, 8, 7, 6, 5, 4, 3, 2, 1]
    plateau = ReduceOnPlateau(patience=2, drops=1, measure="training")
    assert rate_factor(plateau, 90, run, falling, flat) == pytest.approx(0.1)
    assert rate_factor(plateau, 90, run, flat, falling) == 1
    assert rate_factor(Warmup(0.5, 1, plateau, "epochs"), 90, run, falling, flat) == pytest.approx(0.1)
    with pytest.raises(RecipeError, match="measure of ReduceOnPlateau must be 'validation' or 'training', not 'test'"):
        ReduceOnPlateau(measure="test")  # type: ignore[arg-type]


def test_resnet_110_warms_up_until_the_training_error_is_below_80_percent() -> None:
    """ResNet, Sec. 4.2."""
    run = Duration(100, 10)
    schedule = WarmupUntil(0.1, 0.8, MultiStep((2,)))
    assert [rate_factor(schedule, 9, run, [], errors) for errors in ([], [0.85], [0.8])] == [0.1, 0.1, 0.1]
    assert rate_factor(schedule, 10, run, [0.9], [0.79]) == 1
    assert rate_factor(schedule, 30, run, [0.9] * 3, [0.85, 0.79, 0.9]) == pytest.approx(0.1)
    assert [schedule.factor(at, run) for at in (0, 19, 20)] == pytest.approx([1, 1, 0.1])
    with pytest.raises(RecipeError, match="error of WarmupUntil must be more than 0 and at most 1, not 80"):
        WarmupUntil(0.1, 80, MultiStep((2,)))


def test_cosines_restart_and_inverse_time_falls_as_its_name() -> None:
    run = Duration(100, 10)
    cosine = Cosine(restarts=2)
    assert [cosine.factor(at, run) for at in (0, 25, 50, 75)] == pytest.approx([1, 0.5, 1, 0.5])
    assert [InverseTime(1.0, "epochs").factor(at, run) for at in (0, 10, 30)] == pytest.approx([1, 0.5, 0.25])
    assert Warmup(0.1, 2, InverseTime(0.0), "epochs").factor(19, run) == 0.1


def test_a_power_of_the_remaining_share_is_caffes_poly() -> None:
    """Caffe: base_lr * (1 - iter / max_iter) ^ power."""
    run = Duration(100, 10)
    assert [PolynomialDecay(0.5).factor(at, run) for at in (0, 75, 100)] == pytest.approx([1, 0.5, 0])
    assert PolynomialDecay().factor(30, run) == pytest.approx(0.7)
    with pytest.raises(RecipeError, match="power of PolynomialDecay must be more than 0 and at most 100, not 0"):
        PolynomialDecay(0)


def test_values_are_changed_by_name_and_type() -> None:
    recipe = find_recipe("densenet_bc")
    texts = {"batch_size": "32", "lr": "1e-3", "nesterov": "false"}
    texts["augmentation"] = "RandomHorizontalFlip, RandomCrop(padding=4)"
    changed = recipe.with_changes(**read_changes(recipe, texts))
    assert (changed.batch_size, changed.lr, changed.optimizer.options["nesterov"]) == (32, 0.001, False)
    assert changed.augmentation == (RandomHorizontalFlip(), RandomCrop(padding=4))
    for texts, message in (
        ({"batch_size": "many"}, "batch_size must be an integer, not 'many'"),
        ({"batchsize": "3"}, "a recipe has no 'batchsize': did you mean 'batch_size'"),
        ({"batch_size": "0"}, "batch_size must be an integer from 1 to 10,000,000, not 0"),
        ({"lr": "fast"}, "lr must be a number, such as 0.1, not 'fast'"),
        ({"augmentation": "miror"}, "augmentation has no miror: choose from CenterCrop, ColorJitter"),
        ({"augmentation": "RandomHorizontalFlop"}, "has no RandomHorizontalFlop: did you mean RandomHorizontalFlip"),
        ({"augmentation": "RandomCrop(4, 4, 4, 4)"}, "augmentation: RandomCrop"),
        ({"batch_norm_images": "1e4"}, "batch_norm_images must be an integer, not '1e4'"),
        ({"batch_norm_images": "-1"}, "batch_norm_images must be an integer from 0 to 999,999,999, not -1"),
        (
            {"groups": "ParameterGroup('*.bias', lr_mult=-1)"},
            "lr_mult of ParameterGroup must be at least 0 and at",
        ),
        ({"groups": "ParameterGroup('')"}, "pattern of ParameterGroup must be a shell pattern, such as '.*.bias'"),
        ({"preprocessing": "Bytes('GBR')"}, "order of Bytes must be 'RGB' or 'BGR', not 'GBR'"),
        ({"epochs": "0"}, "epochs must be an integer from 1 to 999,999,999, not 0"),
        ({"epochs": "3", "iterations": "4"}, "exactly one of epochs and iterations"),
    ):
        with pytest.raises(RecipeError, match=message):
            recipe.with_changes(**read_changes(recipe, texts))


def test_parameter_groups_and_bytes_are_read_from_the_command_line_as_they_are_printed() -> None:
    recipe = find_recipe("densenet_bc")
    texts = {
        "groups": "ParameterGroup(pattern='*.bias', lr_mult=2, decay_mult=0), ParameterGroup(pattern='c*')",
        "batch_norm_images": "5000",
        "preprocessing": "Bytes(order='BGR')",
    }
    changed = recipe.with_changes(**read_changes(recipe, texts))
    assert changed.groups == (ParameterGroup("*.bias", lr_mult=2, decay_mult=0), ParameterGroup("c*"))
    assert (changed.batch_norm_images, changed.preprocessing) == (5000, Bytes("BGR"))
    assert {name: describe(changed)[name] for name in texts} == texts
    assert changed.to_dict()["groups"][0] == {
        "type": "ParameterGroup",
        "pattern": "*.bias",
        "lr_mult": 2,
        "decay_mult": 0,
    }
    with pytest.raises(RecipeError, match=r"groups must be a tuple of parameter groups, not \('\*.bias',\)"):
        recipe.with_changes(groups=("*.bias",))


@pytest.mark.parametrize(
    ("field", "base"),
    [
        ("augmentation", types.Transform),
        ("preprocessing", types.Preprocessing),
        ("protocol", types.Protocol),
        ("regularizers", types.Regularizer),
        ("schedule", types.Schedule),
    ],
)
def test_every_type_of_a_value_is_exported_and_read_from_the_command_line(field: str, base: Any) -> None:
    direct: list[type] = base.__subclasses__()
    every = [kind for parent in (base, *direct) for kind in parent.__subclasses__()]
    ours = [kind for kind in every if kind.__module__.startswith("archzoo.")]  # tests make some of their own
    kinds = {kind.__name__ for kind in ours if not kind.__name__.startswith("_")}
    assert kinds <= set(types.__all__)
    assert kinds - {"Lambda"} == FIELDS[field].keys()  # a function cannot be written as text


def test_an_unknown_network_or_data_is_refused() -> None:
    with pytest.raises(RecipeError, match="no recipe for 'resnet20' on 'svhn'; there are resnet_cifar10"):
        find_recipe("resnet20", "svhn")


def test_the_command_prints_and_draws(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["archzoo", "recipe", "DenseNet-BC", "batch_size=32"])
    with pytest.raises(SystemExit) as done:
        cli.main()
    out = capsys.readouterr().out
    assert done.value.code == 0
    assert "densenet_cifar" in out
    assert "batch_size  32" in out
    assert "0 to 300 epochs" in out


@pytest.mark.slow
def test_the_command_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['archzoo', 'recipe', 'resnet20', 'lr=0.2', 'momentum=0.8']\n"
        "from archzoo import cli\n"
        "try: cli.main()\n"
        "except SystemExit as done: print('torch' in sys.modules, done.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "momentum=0.8" in done.stdout
    assert done.stdout.splitlines()[-1] == "False 0"


def test_a_network_without_a_published_recipe_is_not_given_another_ones() -> None:
    assert choose_recipe("googlenet_bn", "digits").name == "digits"
    assert choose_recipe("googlenet_bn", "photos", "constant").name == "constant"
    with pytest.raises(RecipeError, match="no recipe is published for googlenet_bn .*: choose one by name, such as"):
        choose_recipe("googlenet_bn", "photos")


def test_data_that_no_paper_trained_on_takes_the_recipe_of_the_networks_own_paper() -> None:
    assert choose_recipe("resnet20", "photos") == find_recipe("resnet20")
    assert choose_recipe("resnet20", "digits").name == "digits"
