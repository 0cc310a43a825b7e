"""How papers trained: rates where the papers change them, and a recipe for every network."""

import json
import sys

import pytest
import torch

import archzoo
from archzoo import cli
from archzoo.errors import RecipeError
from archzoo.training.recipes import IMAGES, RECIPES, Recipe, draw, find_recipe, options_of, read_changes
from archzoo.training.schedules import Cosine, Inverse, Plateau, Run, WarmUp


def rate(recipe: Recipe, epoch: float, images: int = 50_000) -> float:
    """The learning rate at the first iteration of an epoch, as a paper states it."""
    run = recipe.run(images)
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
        run = recipe.run(45_000)
        rates = [recipe.lr * recipe.schedule.factor(at, run) for at in (0, 399, 400, 31_999, 32_000, 48_000, 63_999)]
        assert rates == pytest.approx([first, first, 0.1, 0.1, 0.01, 0.001, 0.001])
        assert run.iterations == 64_000


@pytest.mark.parametrize("name", archzoo.names())
def test_every_network_has_a_recipe_of_its_own_paper(name: str) -> None:
    if name in ("nin_imagenet", "googlenet_bn"):  # no paper trains these
        return
    recipe = find_recipe(name)
    assert recipe.networks != ("*",)
    size = archzoo.find(name).input_size[1]
    assert (recipe.data == "imagenet") == (size > 64)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_makes_an_optimizer_and_a_rate_that_is_never_negative(recipe: Recipe) -> None:
    kinds = {name.lower(): getattr(torch.optim, name) for name in dir(torch.optim)}
    optimizer = kinds[recipe.optimizer]([torch.nn.Parameter(torch.zeros(2))], **options_of(recipe))
    assert optimizer.defaults["lr"] == recipe.lr
    rates = recipe.rates(IMAGES.get(recipe.data, 1000))
    assert max(rates) == pytest.approx(recipe.lr)
    assert min(rates) >= 0
    assert json.loads(json.dumps(recipe.as_dict()))["schedule"]["kind"]
    assert draw(recipe, IMAGES.get(recipe.data, 1000)).count("*") == 60


def test_names_are_distinct() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)


def test_a_plateau_drops_when_nothing_improves_and_not_more_often_than_it_may() -> None:
    plateau = Plateau(by=0.1, patience=2, drops=2)
    assert plateau.after([5, 4, 3]) == 1
    assert plateau.after([5, 4, 4, 4]) == pytest.approx(0.1)
    assert plateau.after([5, 4, 4, 4, 4]) == pytest.approx(0.1)
    assert plateau.after([5] + [4] * 9) == pytest.approx(0.01)
    assert plateau.after([5, 4, 4.5, 3, 3.5, 2]) == 1


def test_cosines_restart_and_inverse_time_falls_as_its_name() -> None:
    run = Run(100, 10)
    cosine = Cosine(restarts=2)
    assert [cosine.factor(at, run) for at in (0, 25, 50, 75)] == pytest.approx([1, 0.5, 1, 0.5])
    assert [Inverse(1.0, "epochs").factor(at, run) for at in (0, 10, 30)] == pytest.approx([1, 0.5, 0.25])
    assert WarmUp(0.1, 2, Inverse(0.0), "epochs").factor(19, run) == 0.1


def test_values_are_changed_by_name_and_type() -> None:
    recipe = find_recipe("densenet_bc")
    texts = {"batch": "32", "lr": "1e-3", "nesterov": "false", "augmentation": "mirror, crop"}
    changed = recipe.with_(**read_changes(recipe, texts))
    assert (changed.batch, changed.lr, changed.nesterov) == (32, 0.001, False)
    assert changed.augmentation == ("mirror", "crop")
    for texts, message in (
        ({"batch": "many"}, "batch must be a int, such as 64, not 'many'"),
        ({"bach": "3"}, "a recipe has no 'bach': did you mean 'batch'"),
        ({"batch": "0"}, "must be positive"),
    ):
        with pytest.raises(RecipeError, match=message):
            recipe.with_(**read_changes(recipe, texts))


def test_an_unknown_network_or_data_is_refused() -> None:
    with pytest.raises(RecipeError, match="no recipe for 'resnet20' on 'svhn'; there are resnet_cifar10"):
        find_recipe("resnet20", "svhn")


def test_the_verb_prints_and_draws(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["archzoo", "recipe", "DenseNet-BC", "batch=32"])
    with pytest.raises(SystemExit) as done:
        cli.main()
    out = capsys.readouterr().out
    assert done.value.code == 0
    assert "densenet_cifar" in out
    assert "batch  32" in out
    assert "0 to 300 epochs" in out
