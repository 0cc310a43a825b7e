"""Scores and protocols: by hand, and against what they must equal."""

import json
import math

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.data.dataset import ImageSet
from archzoo.data.preprocessing import Prepared, prepare
from archzoo.data.splits import Splits
from archzoo.errors import DataError
from archzoo.layers import Net
from archzoo.training.distributed import Distributed
from archzoo.training.evaluation import Score, convolved, evaluate, protocol_of, spread
from archzoo.training.recipes import RECIPES

COLORS = ImageSet.from_tensor(
    "colors",
    torch.randint(0, 256, (12, 3, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8),
    torch.arange(12) % 3,
    ["red", "green", "blue"],
)


class Brightest(nn.Module):
    """Logits that are the mean of each channel."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


@pytest.fixture(scope="module")
def plain() -> Prepared:
    return prepare((), "values from 0 to 1", COLORS, 40)


def test_a_score_is_counted_by_hand(plain: Prepared) -> None:
    means = COLORS.take(torch.arange(12))
    assert isinstance(means, Tensor)
    logits = means.double().div(255).mean((2, 3))
    score = evaluate(Brightest(), COLORS, plain, batch=5)
    for truth in range(3):
        for answer in range(3):
            expected = ((COLORS.labels == truth) & (logits.argmax(1) == answer)).sum()
            assert score.confusion[truth, answer] == expected
    assert score.top1 == pytest.approx((logits.argmax(1) == COLORS.labels).double().mean().item())
    assert score.top5 == 1.0
    assert score.loss == pytest.approx(nn.functional.cross_entropy(logits, COLORS.labels).item(), rel=1e-5)
    per_class = [(logits.argmax(1)[COLORS.labels == one] == one).double().mean().item() for one in range(3)]
    assert list(score.per_class.values()) == pytest.approx(per_class)
    assert json.loads(json.dumps(score.as_dict()))["pictures"] == 12


def test_the_first_five_are_counted() -> None:
    pictures = ImageSet.from_tensor("x", torch.zeros(7, 1, 2, 2, dtype=torch.uint8), torch.arange(7), list("abcdefg"))

    class Falling(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return -torch.arange(7.0).expand(len(images), 7)

    score = evaluate(Falling(), pictures, prepare((), "values from 0 to 1", pictures, 2))
    assert (score.top1, score.top5) == (pytest.approx(1 / 7), pytest.approx(5 / 7))


def test_a_class_without_pictures_has_no_share() -> None:
    score = Score(torch.tensor([[2, 0], [0, 0]]), 2, 0.1, "single view", ("a", "b"))
    assert math.isnan(score.per_class["b"])
    assert score.as_dict()["per_class"] == {"a": 1.0, "b": None}


def test_an_ensemble_averages_probabilities(plain: Prepared) -> None:
    class Sure(nn.Module):
        def __init__(self, logits: list[float]) -> None:
            super().__init__()
            self.logits = torch.tensor(logits)

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 3)

    one, other = Sure([2.0, 1.0, 0.0]), Sure([0.0, 1.0, 5.0])
    score = evaluate([one, other], COLORS, plain)
    mean = (one.logits.softmax(0) + other.logits.softmax(0)) / 2
    assert score.loss == pytest.approx(-mean.log().mean().item(), rel=1e-5)
    assert score.confusion[:, int(mean.argmax())].sum() == 12


def test_evaluation_leaves_every_mode_as_it_was(plain: Prepared) -> None:
    net = archzoo.build("resnet20", num_classes=3).train()
    net.features.eval()
    modes = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    evaluate(net, COLORS, plain)
    assert modes == [module.training for module in net.modules()]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_processes_judge_shares_that_add_up(plain: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = evaluate(Brightest(), COLORS, plain)
    shares: list[Tensor] = []
    monkeypatch.setattr(Distributed, "total", lambda self, values: shares.append(values) or values)
    for rank in range(5):
        evaluate(Brightest(), COLORS, plain, processes=Distributed(rank, 5))
    assert torch.equal(torch.stack(shares).sum(0)[:9].long(), alone.confusion.flatten())


@pytest.mark.parametrize(
    ("protocol", "views"),
    [("single view", 1), ("ten crops, softmax averaged", 10), ("144 crops", 144), ("dense, over several scales", 6)],
)
def test_a_protocol_has_its_number_of_views(protocol: str, views: int) -> None:
    prepared = prepare((), "mean and deviation by channel", COLORS, 24)
    seen = list(protocol_of(protocol)(COLORS.take(torch.arange(2)), prepared))
    assert len(seen) == views
    assert all(len(view) == 2 for view in seen)
    score = evaluate(Brightest(), COLORS, prepared, protocol=protocol)
    assert score.pictures == 12
    assert score.protocol == protocol


def test_a_larger_view_is_the_middle_of_the_scaled_picture() -> None:
    """Pre-activation ResNet-200: one 320x320 crop of a shorter side of 320."""
    prepared = prepare((), "values from 0 to 1", COLORS, 24)
    images = COLORS.take(torch.arange(2))
    assert isinstance(images, Tensor)
    (view,) = protocol_of("one 32x32 crop of a shorter side of 40")(images, prepared)
    torch.testing.assert_close(view, images[..., 4:36, 4:36] / 255)


def test_every_recipe_has_a_protocol_that_runs() -> None:
    for recipe in RECIPES:
        assert protocol_of(recipe.protocol)


@pytest.mark.parametrize("name", ["vgg_a", "alexnet_one_tower", "resnet18", "lenet5_textbook"])
def test_linear_layers_as_convolutions_are_the_network_itself_at_its_own_size(name: str) -> None:
    """VGG, Sec. 3.2."""
    entry = archzoo.find(name)
    net = archzoo.build(name, num_classes=10).eval()
    whole = convolved(net).eval()
    images = torch.randn(2, *entry.input_size)
    torch.testing.assert_close(whole(images), net(images), atol=1e-5, rtol=1e-4)
    larger = torch.randn(1, entry.input_size[0], *(side + 32 for side in entry.input_size[1:]))
    assert whole(larger).shape == (1, 10)


def test_dense_scores_are_the_mean_over_positions() -> None:
    """A network of one linear layer on 2x2 maps, over 3x3 maps: the mean of its four windows."""
    features = nn.Sequential(nn.Conv2d(1, 3, 1))
    net = Net(features, nn.Sequential(nn.Flatten(), nn.Linear(12, 5)))
    image = torch.randn(1, 1, 3, 3)
    windows = [net(image[..., top : top + 2, left : left + 2]) for top in (0, 1) for left in (0, 1)]
    torch.testing.assert_close(convolved(net)(image), torch.stack(windows).mean(0))


def test_a_mean_of_one_frame_fits_no_views_of_others(few: Splits) -> None:
    prepared = prepare((), "mean by pixel", few.train, 32)
    with pytest.raises(DataError, match="needs another mean"):
        evaluate(archzoo.build("lenet5_textbook"), few.test, prepared, protocol="144 crops")
    assert evaluate(archzoo.build("lenet5_textbook"), few.test, prepared, protocol="ten crops").pictures == 64


def test_bad_questions_are_refused(plain: Prepared, few: Splits) -> None:
    with pytest.raises(DataError, match="no protocol 'two crops'; there are 'single view'"):
        evaluate(Brightest(), COLORS, plain, protocol="two crops")
    with pytest.raises(DataError, match="the network tells 3 classes, and colors has 4"):
        evaluate(
            Brightest(),
            ImageSet.from_tensor("colors", torch.zeros(1, 3, 40, 40).byte(), torch.zeros(1), list("abcd")),
            plain,
        )
    with pytest.raises(DataError, match="no pictures to evaluate"):
        evaluate(Brightest(), COLORS.subset(torch.arange(0)), plain)


def test_runs_have_a_mean_and_a_deviation() -> None:
    assert spread([0.9]) == "90.00%"
    assert spread([0.90, 0.92, 0.94]) == "92.00% +- 2.00% of 3 runs"
