"""Preprocessing: what each recipe's pipeline ends in, and what it is fitted to."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from archzoo.data import EpochBatches, ImageSet, Splits, prepare
from archzoo.data import _steps as steps
from archzoo.data._augmentation import apply
from archzoo.data._fitting import channel_statistics
from archzoo.errors import DataError
from archzoo.recipes import (
    Bytes,
    Normalize,
    PCADecorrelation,
    Preprocessing,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    Recipe,
    Rescale,
    Resize,
    SubtractMean,
    ZCAWhitening,
)
from archzoo.registry import recipes


@pytest.mark.slow
@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
def test_every_recipe_ends_in_the_input_of_a_network(recipe: Recipe) -> None:
    generator = torch.Generator().manual_seed(0)
    imagenet = recipe.data == "imagenet"
    # Whitening 32x32x3 pixels takes the eigenvectors of a matrix of 3072 rows.
    small = 16 if isinstance(recipe.preprocessing, ZCAWhitening) else 32
    sizes = [(300, 260), (270, 400), (280, 280), (512, 300)] if imagenet else [(small, small)] * 4
    side = 224 if imagenet else small
    channels = 1 if recipe.data in ("mnist", "fashion_mnist", "digits") else 3
    decoded = [
        torch.randint(0, 256, (height, width, channels), generator=generator, dtype=torch.uint8)
        for height, width in sizes
    ]
    images = ImageSet(
        "some",
        torch.cat([image.flatten() for image in decoded]),
        torch.tensor([0, *torch.tensor([image.numel() for image in decoded]).cumsum(0)[:-1].tolist()]),
        torch.tensor(sizes),
        torch.tensor([0, 1, 0, 1]),
        ("a", "b"),
        channels,
    )
    prepared = prepare(recipe.augmentation, recipe.preprocessing, images, side)
    batch = EpochBatches(images, prepared.train, 4, 0, 0)[0].images
    crops = prepared.center_crop(images.take(torch.arange(4)))
    assert batch.shape == crops.shape == (4, channels, side, side)
    assert batch.dtype == torch.float32
    assert batch.isfinite().all()
    assert 0.001 < batch.std() < 300


def test_zeros_around_an_image_are_the_mean(few: Splits) -> None:
    """The authors' code of ResNet and DenseNet normalizes before it pads."""
    prepared = prepare((RandomCrop(padding=4),), Normalize(), few.train, 32)
    images = few.train.take(torch.arange(8))
    corner = prepared.train(images, torch.tensor([[0.0, 0.0]]).repeat(8, 1))
    assert not corner[:, :, :4].any()
    torch.testing.assert_close(corner[:, :, 4:, 4:], prepared.center_crop(images)[:, :, :28, :28])


def test_black_around_an_image_is_black(few: Splits) -> None:
    """torchvision's RandomCrop before ToTensor and Normalize, as in the released code of Random Erasing."""
    constants = ([0.5], [0.25])
    crop = RandomCrop(padding=4, padding_mode="black")
    prepared = prepare((crop, RandomErasing(p=0.0)), Normalize(), few.train, 32, constants)
    images = few.train.take(torch.arange(8))
    corner = prepared.train(images, torch.zeros(8, prepared.train.draws))
    assert bool((corner[:, :, :4] == -2).all())  # (0 - 0.5) / 0.25
    torch.testing.assert_close(corner[:, :, 4:, 4:], prepared.center_crop(images)[:, :, :28, :28])
    for augmentation, preprocessing in (((RandomErasing(), crop), Normalize()), ((crop,), SubtractMean("pixel"))):
        with pytest.raises(DataError, match=r"padding_mode='black'\) pads bytes, and images are normalized before it"):
            prepare(augmentation, preprocessing, few.train, 32)


def test_normalization_comes_before_the_first_step_that_fills(few: Splits) -> None:
    def kinds(*transforms: object) -> list[str]:
        prepared = prepare(transforms, Normalize(), few.train, 32)  # type: ignore[arg-type]
        return [type(step).__name__ for step in prepared.train.steps]

    assert kinds(RandomHorizontalFlip(), RandomCrop(padding=4)) == ["RandomHorizontalFlip", "Normalize", "RandomCrop"]
    assert kinds(RandomCrop(), RandomErasing()) == ["RandomCrop", "Normalize", "RandomErasing"]
    assert kinds(RandomCrop(), RandomHorizontalFlip()) == ["RandomCrop", "RandomHorizontalFlip", "Normalize"]


@pytest.mark.slow
def test_each_preprocessing_does_what_it_says(few: Splits) -> None:
    images = few.train.take(torch.arange(256))
    assert isinstance(images, Tensor)
    values = images.double() / 255

    def crops(preprocessing: Preprocessing, *augmentation: RandomCrop) -> Tensor:
        return prepare(augmentation, preprocessing, few.train, 32).center_crop(images)

    normalized = crops(Normalize())
    assert abs(normalized.mean()) < 1e-5
    assert abs(normalized.std(correction=0) - 1) < 1e-5
    by_pixel = crops(SubtractMean("pixel"), RandomCrop(padding=4))
    torch.testing.assert_close(by_pixel.double(), 255 * (values - values.mean(0)), atol=1e-3, rtol=0)
    by_channel = crops(SubtractMean())
    torch.testing.assert_close(by_channel.double(), 255 * (values - values.mean()), atol=1e-3, rtol=0)
    torch.testing.assert_close(crops(SubtractMean(values=(10.0,))).double(), 255 * values - 10, atol=1e-3, rtol=0)
    assert torch.equal(crops(Rescale()), images.float() / 255)
    rescaled = crops(Rescale(-0.1, 1.175))
    assert rescaled.min() == pytest.approx(-0.1, abs=1e-6)
    assert rescaled.max() == pytest.approx(1.175, abs=1e-6)
    whitened = crops(ZCAWhitening())
    covariance = torch.cov(whitened.flatten(1).T, correction=0)
    variances = torch.linalg.eigvalsh(covariance)
    assert variances.max() < 1.01
    assert variances[-5] > 0.9


def test_decorrelated_images_have_no_covariance_and_whitened_ones_have_unit_variances(few: Splits) -> None:
    """CS231n: zero-center, decorrelate by the components of the covariance, divide by the roots of its variances."""
    images = few.train.take(torch.arange(256))
    small = Resize(8)
    rotated = prepare((small,), PCADecorrelation(), few.train, 8).center_crop(images).flatten(1).double()
    plain = prepare((small,), Rescale(), few.train, 8).center_crop(images).flatten(1).double()
    torch.testing.assert_close(rotated.mean(0), torch.zeros(64, dtype=torch.float64), atol=1e-6, rtol=0)
    covariance = torch.cov(rotated.T, correction=0)
    variances = covariance.diagonal()
    torch.testing.assert_close(covariance, torch.diag(variances), atol=1e-6, rtol=0)
    assert (variances.diff() < 1e-6).all()  # the largest first
    expected = torch.linalg.svdvals(plain - plain.mean(0)).square() / 256  # as the course computes them
    torch.testing.assert_close(variances, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.cdist(rotated, rotated), torch.cdist(plain, plain), atol=1e-5, rtol=1e-5)
    whitened = prepare((small,), PCADecorrelation(whiten=True), few.train, 8).center_crop(images).flatten(1).double()
    unit = torch.diag(variances / (variances + 1e-5))
    torch.testing.assert_close(torch.cov(whitened.T, correction=0), unit, atol=1e-5, rtol=0)


def test_bytes_keep_their_values_and_turn_to_the_order_of_channels() -> None:
    """ShuffleNet V2's released script: BGR from 0 to 255, no mean, no deviation."""
    pixels = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    images = ImageSet.from_tensor("some", pixels, torch.zeros(4, dtype=torch.int64), ["class"])
    for preprocessing, order in ((Bytes(), [0, 1, 2]), (Bytes("BGR"), [2, 1, 0])):
        prepared = prepare((), preprocessing, images, 8)
        torch.testing.assert_close(prepared.center_crop(pixels), pixels[:, order].float())
        torch.testing.assert_close(prepared.train(pixels), pixels[:, order].float())
    pairs = ImageSet.from_tensor("pairs", pixels[:, :2], torch.zeros(4, dtype=torch.int64), ["class"])
    with pytest.raises(DataError, match=r"Bytes\('BGR'\) takes images of 3 channels, or of 1, not the 2 of pairs"):
        prepare((), Bytes("BGR"), pairs, 8)


def test_fitted_tensors_can_be_used_again(few: Splits) -> None:
    images = few.test.take(torch.arange(8))
    first = prepare((), SubtractMean("pixel"), few.train, 32)
    second = prepare((), SubtractMean("pixel"), few.test, 32, fitted=first.fitted)
    assert torch.equal(first.center_crop(images), second.center_crop(images))


def test_normalization_does_not_change_its_input() -> None:
    images = torch.rand(2, 1, 3, 3)
    before = images.clone()
    apply(steps.Normalize(torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1)), images, torch.empty(2, 0))
    assert torch.equal(images, before)


def test_small_images_are_centered_on_zeros() -> None:
    padded = apply(steps.Pad(32), torch.ones(1, 1, 28, 28), torch.empty(1, 0))
    assert isinstance(padded, Tensor)
    assert padded.sum() == 28 * 28
    assert padded[0, 0, 2:30, 2:30].all()


def test_mean_and_std_are_those_of_all_pixels(few: Splits) -> None:
    images = few.train.take(torch.arange(256))
    assert isinstance(images, Tensor)
    values = images.double() / 255
    mean, std = channel_statistics(few.train)
    assert mean == pytest.approx([values.mean().item()])
    assert std == pytest.approx([values.std(correction=0).item()])


@dataclass(frozen=True)
class Unknown(Preprocessing):
    """A preprocessing that nothing fits."""


def test_what_does_not_fit_says_why(few: Splits) -> None:
    with pytest.raises(DataError, match=r"no preprocessing Unknown\(\): use one of archzoo.recipes"):
        prepare((), Unknown(), few.train, 32)
    with pytest.raises(DataError, match="digits has 1 channels, but 3 channel means were given"):
        prepare((), SubtractMean(values=(123.0, 117.0, 104.0)), few.train, 32)
    black = ImageSet.from_tensor("black", torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4), ["class"])
    with pytest.raises(DataError, match="a channel of black has the same value everywhere"):
        prepare((), Normalize(), black, 8)
    with pytest.raises(DataError, match="images of 40x40 do not fit in 32x32"):
        apply(steps.Pad(32), torch.ones(1, 1, 40, 40), torch.empty(1, 0))
    by_pixel = prepare((Resize(32),), SubtractMean("pixel"), few.train, 32)
    with pytest.raises(DataError, match="the mean is by pixel"):
        by_pixel.normalize_crops(torch.zeros(1, 1, 32, 32))
