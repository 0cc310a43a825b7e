"""Random Erasing: the recipe of its released code, and which networks its printed errors are about."""

from pathlib import Path

import pytest

import archzoo
from archzoo.data import _local as local
from archzoo.recipes import RandomCrop, RandomErasing, RandomHorizontalFlip
from archzoo.registry import find_recipe, papers, recipes_of, results
from archzoo.training import RunConfig
from archzoo.training._choosing import choose_recipe
from archzoo.training._runs import Job
from tests.data.test_local import write_idx

DATA = ("cifar10", "cifar100", "fashion_mnist")


@pytest.mark.parametrize("data", DATA)
def test_the_recipe_is_that_of_the_release(data: str) -> None:
    """The defaults of cifar.py and fashionmnist.py, and transforms.py."""
    recipe, baseline = find_recipe(f"random_erasing_{data}"), find_recipe(f"random_erasing_{data}_baseline")
    assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.weight_decay) == (300, 128, 0.1, 5e-4)
    assert recipe.optimizer.options == {"momentum": 0.9}
    run = recipe.duration(60_000)
    rates = [recipe.lr * recipe.schedule.factor(epoch * run.per_epoch, run) for epoch in (0, 149, 150, 224, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    crop, flip, erasing = recipe.augmentation
    assert (crop, flip) == (RandomCrop(padding=4, padding_mode="black"), RandomHorizontalFlip(0.5))
    assert isinstance(erasing, RandomErasing)
    assert (erasing.p, erasing.scale, erasing.aspect) == (0.5, (0.02, 0.4), "uniform")
    assert erasing.ratio == pytest.approx((0.3, 10 / 3))
    assert erasing.fill == ((0.4914,) if data == "fashion_mnist" else (0.4914, 0.4822, 0.4465))
    differing = {name for name, value in vars(recipe).items() if getattr(baseline, name) != value}
    assert differing == {"name", "augmentation", "paper_result", "unspecified"}


@pytest.mark.parametrize(
    ("network", "data", "printed"),
    [
        ("resnet20", "fashion_mnist+", [(4.39, 0.08), (4.02, 0.07)]),
        ("resnet32", "fashion_mnist+", [(4.16, 0.13), (3.80, 0.05)]),
        ("wide_resnet_28_10", "fashion_mnist+", [(4.01, None), (3.65, None)]),
        ("resnet20", "cifar10+", [(7.21, 0.17), (6.73, 0.09)]),
        ("wide_resnet_28_10", "cifar100+", [(18.49, None), (17.73, None)]),
    ],
)
def test_errors_are_as_printed(network: str, data: str, printed: list[tuple[float, float | None]]) -> None:
    erasing = [result for result in results(network, data) if result.recipe.startswith("random_erasing")]
    assert [(result.error, result.spread) for result in erasing] == printed
    assert all(("issue 9" in result.note) == (data == "fashion_mnist+") for result in erasing)


def test_its_networks_are_those_that_the_release_builds() -> None:
    """Projections where sizes change: from 16 to 32 and from 32 to 64 maps, each with a batch norm."""
    for name in ("resnet20", "resnet32"):
        counts = [
            sum(parameter.numel() for parameter in archzoo.build(name, device="meta", option=option).parameters())
            for option in ("A", "B")
        ]
        assert counts[1] - counts[0] == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
        assert all(result.options == {"option": "B"} for result in results(name) if "random_erasing" in result.recipe)
    assert not [result for name in ("resnet44", "resnet56", "resnet110") for result in results(name) if result.recipe]


def test_its_recipes_are_chosen_by_name_alone() -> None:
    for name in ("resnet20", "wide_resnet_28_10"):
        assert {f"random_erasing_{data}" for data in DATA} < {recipe.name for recipe in recipes_of(name)}
        for data in DATA:
            assert "random_erasing" not in choose_recipe(name, data).name
        assert choose_recipe(name, "fashion_mnist", "random_erasing_fashion_mnist").input_side == 28


@pytest.mark.filterwarnings("ignore:archzoo. the .* images have none of")
def test_fashion_mnist_is_read_at_its_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "DEBIAN", tmp_path)
    write_idx(tmp_path / "fashion-mnist")
    for recipe, side in ((find_recipe("random_erasing_fashion_mnist"), 28), (find_recipe("digits"), 32)):
        job = Job(
            *(archzoo.find("resnet20"), recipe, "fashion_mnist", {}, None, None, "error", tmp_path / "run"),
            *(RunConfig(), "cpu", lambda message: None),
        )
        with job._setup() as setup:
            batch = setup.prepared.center_crop(setup.splits.test.take(setup.splits.test.labels))
            assert batch.shape == (10, 1, side, side)
            kinds = [type(step).__name__ for step in setup.prepared.train.steps]
            if side == 28:
                assert kinds == ["RandomCrop", "RandomHorizontalFlip", "Normalize", "RandomErasing"]
                assert setup.prepared.fitted["mean"].item() == pytest.approx(0.1307)  # MNIST's, as released


def test_it_is_a_paper_without_networks() -> None:
    (paper,) = (paper for paper in papers() if paper.title.startswith("Random Erasing"))
    assert (paper.networks, paper.models, len(paper.recipes), len(paper.published_results)) == ((), "", 6, 18)


@pytest.mark.parametrize(
    ("network", "least", "most"), [("wide_resnet_40_4", 8.85e6, 8.95e6), ("densenet_bc", 768e3, 769e3)]
)
def test_networks_on_fashion_mnist_have_the_parameters_that_its_readme_prints(
    network: str, least: float, most: float
) -> None:
    """8.9M and 768K; the latter is cut off."""
    net = archzoo.build(network, device="meta", in_channels=1)
    assert least <= sum(parameter.numel() for parameter in net.parameters()) < most
