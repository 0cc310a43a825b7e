"""Scores and protocols: by hand, and against what they must equal."""

import json
import math

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.data import ImageSet, Prepared, Splits, prepare
from archzoo.errors import DataError, RecipeError
from archzoo.layers import Net
from archzoo.recipes import Dense, MultiCrop144, Normalize, Protocol, Rescale, SingleCrop, SubtractMean, TenCrop
from archzoo.registry import recipes
from archzoo.training import Distributed, evaluate, mean_and_deviation
from archzoo.training._fully_convolutional import fully_convolutional
from archzoo.training._protocols import crops_of
from archzoo.training._scores import Score
from tests.networks import EVERY_NET

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
    return prepare((), Rescale(), COLORS, 40)


def test_a_score_is_counted_by_hand(plain: Prepared) -> None:
    means = COLORS.take(torch.arange(12))
    assert isinstance(means, Tensor)
    logits = means.double().div(255).mean((2, 3))
    score = evaluate(Brightest(), COLORS, plain, batch_size=5)
    for truth in range(3):
        for answer in range(3):
            expected = ((COLORS.labels == truth) & (logits.argmax(1) == answer)).sum()
            assert score.confusion[truth, answer] == expected
    assert score.top1 == pytest.approx((logits.argmax(1) == COLORS.labels).double().mean().item())
    assert score.top5 == 1.0
    assert score.loss == pytest.approx(nn.functional.cross_entropy(logits, COLORS.labels).item(), rel=1e-5)
    per_class = [(logits.argmax(1)[COLORS.labels == label] == label).double().mean().item() for label in range(3)]
    assert list(score.per_class.values()) == pytest.approx(per_class)
    assert json.loads(json.dumps(score.to_dict()))["images"] == 12


def test_the_first_five_are_counted() -> None:
    images = ImageSet.from_tensor("x", torch.zeros(7, 1, 2, 2, dtype=torch.uint8), torch.arange(7), list("abcdefg"))

    class Falling(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return -torch.arange(7.0).expand(len(images), 7)

    score = evaluate(Falling(), images, prepare((), Rescale(), images, 2))
    assert score.top1 == pytest.approx(1 / 7)
    assert score.top5 == pytest.approx(5 / 7)


def test_a_class_without_images_has_no_accuracy() -> None:
    score = Score(torch.tensor([[2, 0], [0, 0]]), 2, 0.1, "single crop", ("a", "b"))
    assert math.isnan(score.per_class["b"])
    assert score.to_dict()["per_class"] == {"a": 1.0, "b": None}


def test_an_ensemble_averages_probabilities(plain: Prepared) -> None:
    class Sure(nn.Module):
        def __init__(self, logits: list[float]) -> None:
            super().__init__()
            self.logits = torch.tensor(logits)

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 3)

    first, second = Sure([2.0, 1.0, 0.0]), Sure([0.0, 1.0, 5.0])
    score = evaluate([first, second], COLORS, plain)
    mean = (first.logits.softmax(0) + second.logits.softmax(0)) / 2
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


def test_processes_evaluate_shares_that_add_up(plain: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = evaluate(Brightest(), COLORS, plain)
    shares: list[Tensor] = []

    def record(distributed: Distributed, values: Tensor) -> Tensor:
        shares.append(values)
        return values

    monkeypatch.setattr(Distributed, "all_reduce", record)
    for rank in range(5):
        evaluate(Brightest(), COLORS, plain, distributed=Distributed(rank, 5))
    assert torch.equal(torch.stack(shares).sum(0)[:9].long(), alone.confusion.flatten())


@pytest.mark.parametrize(
    ("protocol", "count"),
    [(SingleCrop(), 1), (TenCrop(), 10), (MultiCrop144(), 144), (Dense(), 6), (Dense((256,)), 2)],
)
def test_a_protocol_has_its_number_of_crops(protocol: Protocol, count: int) -> None:
    prepared = prepare((), Normalize(), COLORS, 24)
    crops = list(crops_of(protocol)(COLORS.take(torch.arange(2)), prepared))
    assert len(crops) == count
    assert all(len(crop) == 2 for crop in crops)
    score = evaluate(Brightest(), COLORS, prepared, protocol=protocol)
    assert score.images == 12
    assert score.protocol == str(protocol)


def test_a_larger_crop_is_the_center_of_the_resized_image() -> None:
    """Pre-activation ResNet-200: one 320x320 crop of a shorter side of 320."""
    prepared = prepare((), Rescale(), COLORS, 24)
    images = COLORS.take(torch.arange(2))
    assert isinstance(images, Tensor)
    (crop,) = crops_of(SingleCrop(32, resize=40))(images, prepared)
    torch.testing.assert_close(crop, images[..., 4:36, 4:36] / 255)


def test_every_recipe_has_a_protocol_that_runs() -> None:
    for recipe in recipes():
        assert callable(crops_of(recipe.protocol))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["alexnet_one_tower", "resnet18", "lenet5_textbook", *(["vgg_a"] if EVERY_NET else [])]
)
def test_linear_layers_as_convolutions_are_the_network_itself_at_its_own_size(name: str) -> None:
    """VGG, Sec. 3.2."""
    entry = archzoo.find(name)
    net = archzoo.build(name, num_classes=10).eval()
    whole = fully_convolutional(net).eval()
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
    torch.testing.assert_close(fully_convolutional(net)(image), torch.stack(windows).mean(0))


def test_a_mean_by_pixel_fits_no_crops_of_other_frames(few: Splits) -> None:
    prepared = prepare((), SubtractMean("pixel"), few.train, 32)
    with pytest.raises(DataError, match="by pixel"):
        evaluate(archzoo.build("lenet5_textbook"), few.test, prepared, protocol=MultiCrop144())
    assert evaluate(archzoo.build("lenet5_textbook"), few.test, prepared, protocol=TenCrop()).images == 64


def test_requests_that_do_not_fit_are_refused(plain: Prepared, few: Splits) -> None:
    with pytest.raises(RecipeError, match=r"protocol must be one of SingleCrop, TenCrop, .*, not Protocol\(\)"):
        evaluate(Brightest(), COLORS, plain, protocol=Protocol())
    four = ImageSet.from_tensor("colors", torch.zeros(1, 3, 40, 40).byte(), torch.zeros(1), list("abcd"))
    with pytest.raises(DataError, match="the network has 3 classes, and colors has 4"):
        evaluate(Brightest(), four, plain)
    with pytest.raises(DataError, match="no images to evaluate"):
        evaluate(Brightest(), COLORS.subset(torch.arange(0)), plain)


def test_runs_have_a_mean_and_a_deviation() -> None:
    assert mean_and_deviation([0.9]) == "90.00%"
    assert mean_and_deviation([0.90, 0.92, 0.94]) == "92.00% +- 2.00% of 3 runs"
