"""What happens to pictures: by hand, in distribution, and the same whatever else changes."""

import math

import pytest
import torch
from torch import Tensor

from archzoo.data import augmentation
from archzoo.data.augmentation import (
    AreaCrop,
    ColorJitter,
    Crop,
    Erase,
    Mirror,
    Pad,
    PCAColor,
    Pipeline,
    ShorterSide,
    Step,
    derive_seed,
    steps_of,
)
from archzoo.data.crops import multi_crop_144, ten_crops
from archzoo.data.dataset import ImageSet, of_tensor
from archzoo.data.fitting import channel_statistics, principal_components
from archzoo.data.loading import EpochBatches, load_batches
from archzoo.data.preprocessing import Center, Normalize, Prepared, prepare
from archzoo.data.resizing import resize_shorter_side
from archzoo.data.splits import Splits
from archzoo.errors import DataError
from archzoo.registry import recipes


def counted(count: int, channels: int = 3, side: int = 8) -> Tensor:
    """ImageSet of which no two pixels are alike."""
    return torch.arange(count * channels * side * side, dtype=torch.float32).view(count, channels, side, side)


def test_a_padded_crop_is_a_shift_with_zeros() -> None:
    images = counted(9) + 1
    places = torch.tensor([(top, left) for top in range(3) for left in range(3)])
    numbers = (places + 0.5) / 3  # of the three tops and lefts that a margin of 1 leaves
    none = torch.empty(9, 0)
    cropped = Crop(8)(Pad(1)(images, none), numbers)
    for image, crop, (top, left) in zip(images, cropped, places.tolist(), strict=True):
        wide = torch.zeros(3, 10, 10)
        wide[:, 1:9, 1:9] = image
        assert torch.equal(crop, wide[:, top : top + 8, left : left + 8])


def test_padding_by_reflection_repeats_no_edge() -> None:
    padded = Pad(2, "reflect")(counted(1), torch.empty(1, 0))
    assert isinstance(padded, Tensor)
    assert padded[0, 0, 2, :4].tolist() == [2, 1, 0, 1]


def test_crops_of_a_list_and_of_a_batch_are_the_same() -> None:
    images, numbers = counted(16), torch.rand(16, 2)
    assert torch.equal(Crop(5)(images, numbers), Crop(5)(list(images), numbers))


def test_every_place_is_drawn_equally_often() -> None:
    images = counted(1).expand(20_000, -1, -1, -1)
    firsts = Crop(6)(images, torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0)))[:, 0, 0, 0]
    counts = firsts.unique(return_counts=True)[1]
    assert len(counts) == 9
    assert (counts / 20_000 - 1 / 9).abs().max() < 5 * math.sqrt(1 / 9 / 20_000)


def test_half_of_the_pictures_are_mirrored() -> None:
    images = counted(1000)
    turned = Mirror()(images, torch.linspace(0, 1, 1000).unsqueeze(1))
    same = (turned == images).flatten(1).all(1)
    assert same.sum() == 500
    assert torch.equal(turned[~same], images[~same].flip(-1))


def test_area_crops_have_the_areas_and_shapes_of_the_paper() -> None:
    """GoogLeNet, Sec. 6: 8% to 100% of the area, sides 3/4 to 4/3, both evenly."""
    step = AreaCrop(16)
    numbers = torch.rand(4000, 22, generator=torch.Generator().manual_seed(0)).tolist()
    boxes = torch.tensor([step.box(400, 400, drawn) for drawn in numbers], dtype=torch.float64)
    top, left, height, width = boxes.unbind(1)
    area, shape = height * width / 400**2, width / height
    assert ((top >= 0) & (left >= 0) & (top + height <= 400) & (left + width <= 400)).all()
    assert area.min() > 0.075
    assert area.max() > 0.95
    assert 0.74 < shape.min() < 0.76
    assert 1.32 < shape.max() < 1.345
    assert abs(shape.log().mean()) < 0.02
    assert ((height - 400 * 0.4).abs() > 0).any()


def test_jitter_of_no_strength_changes_nothing_and_strength_changes_what_it_says() -> None:
    images = torch.rand(12, 3, 4, 4)
    numbers = torch.rand(12, 4)
    torch.testing.assert_close(ColorJitter(0.0)(images, numbers), images)
    brighter = augmentation.brightness(images / 2, torch.full((12,), 1.5))
    torch.testing.assert_close(brighter, images * 0.75)
    flat = augmentation.contrast(images, torch.zeros(12))
    assert flat.flatten(1).std(dim=1).max() < 1e-6
    gray = augmentation.saturation(images, torch.zeros(12))
    torch.testing.assert_close(gray[:, 0], gray[:, 2])


def test_pca_color_has_the_deviation_of_the_paper_along_each_component() -> None:
    """AlexNet, Sec. 4.1: components times eigenvalues times Gaussians of deviation 0.1."""
    components = torch.tensor(augmentation.IMAGENET_COMPONENTS)
    torch.testing.assert_close(components.T @ components, torch.eye(3), atol=2e-3, rtol=0)
    numbers = torch.rand(50_000, 3, generator=torch.Generator().manual_seed(0))
    added = PCAColor(0.1)(torch.zeros(50_000, 3, 1, 1), numbers)
    assert isinstance(added, Tensor)
    along = (added.view(-1, 3) @ components).std(0)
    torch.testing.assert_close(along, 0.1 * torch.tensor(augmentation.IMAGENET_DEVIATIONS), rtol=0.02, atol=0)


def test_principal_colors_are_found() -> None:
    draw = torch.Generator().manual_seed(0)
    direction = torch.tensor([0.6, 0.8, 0.0])
    colors = 0.5 + 0.1 * torch.randn(4000, 1, generator=draw) * direction
    images = (colors * 255).round().clamp(0, 255).to(torch.uint8).view(40, 10, 10, 3).permute(0, 3, 1, 2)
    values, components = principal_components(of_tensor("flat", images, torch.zeros(40, dtype=torch.long), ["one"]))
    assert values[0] == pytest.approx(0.1, rel=0.05)
    first = torch.tensor(components)[:, 0]
    assert abs(float(first @ direction)) == pytest.approx(1, abs=1e-3)


def test_erasing_leaves_zeros_in_one_box_for_its_share_of_pictures() -> None:
    images = torch.ones(2000, 1, 20, 20)
    erased = Erase(0.5)(images, torch.rand(2000, 23, generator=torch.Generator().manual_seed(0)))
    assert isinstance(erased, Tensor)
    shares = (erased == 0).flatten(1).float().mean(1)
    assert 0.45 < (shares > 0).float().mean() < 0.55
    assert 0.01 < shares[shares > 0].min() < 0.04
    assert 0.3 < shares.max() < 0.36
    for image in erased[shares > 0][:50, 0]:
        rows, columns = (image == 0).any(1), (image == 0).any(0)
        assert (image[rows][:, columns] == 0).all()
    assert torch.equal(images, torch.ones_like(images))


def test_a_shorter_side_keeps_proportions() -> None:
    assert resize_shorter_side(torch.rand(3, 30, 45), 20).shape == (3, 20, 30)
    assert resize_shorter_side(torch.rand(3, 45, 30), 20).shape == (3, 30, 20)
    sides = [min(one.shape[1:]) for one in ShorterSide(8, 12)([torch.rand(1, 10, 15)] * 500, torch.rand(500, 1))]
    assert set(sides) == {8, 9, 10, 11, 12}


def test_ten_crops_are_corners_middle_and_mirrors() -> None:
    images = counted(2, side=6)
    crops = ten_crops(images, 4)
    assert crops.shape == (10, 2, 3, 4, 4)
    assert torch.equal(crops[0], images[..., :4, :4])
    assert torch.equal(crops[3], images[..., 2:, 2:])
    assert torch.equal(crops[4], images[..., 1:5, 1:5])
    assert torch.equal(crops[5], images.flip(-1)[..., :4, :4])


def test_googlenet_has_144_crops_of_a_picture() -> None:
    """Sec. 7: 4 scales x 3 squares x 6 x 2."""
    image = torch.rand(3, 40, 90)  # long enough for squares whose crops are all different
    crops = multi_crop_144(image, 24, (28, 31, 35, 38))
    assert crops.shape == (144, 3, 24, 24)
    assert len({crop.numpy().tobytes() for crop in crops}) == 144


def test_what_a_picture_gets_depends_on_seed_epoch_and_picture_alone(few: Splits, prepared: Prepared) -> None:
    def of(batch: int, seed: int, epoch: int, rank: int = 0, world: int = 1) -> dict[int, Tensor]:
        order = EpochBatches(few.train, prepared.train, batch, seed, epoch, rank, world)
        found = {}
        for step in range(len(order)):
            mine = order.indices(step)[rank::world].tolist()
            found |= dict(zip(mine, order[step].images, strict=True))
        return found

    whole = of(32, 1, 2)
    assert len(whole) == 256
    for other in (of(64, 1, 2), of(32, 1, 2, 0, 3), of(32, 1, 2, 2, 3)):
        assert all(torch.equal(whole[place], image) for place, image in other.items())
    for other in (of(32, 2, 2), of(32, 1, 3)):
        assert sum(not torch.equal(whole[place], image) for place, image in other.items()) > 200


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_share_the_same_global_batches(few: Splits, prepared: Prepared, world: int) -> None:
    alone = EpochBatches(few.train, prepared.train, 20, seed=3, epoch=1)
    shares = [EpochBatches(few.train, prepared.train, 20, 3, 1, rank, world) for rank in range(world)]
    assert len(alone) == 256 // 20
    for step in range(len(alone)):
        labels = torch.cat([share[step].labels for share in shares])
        assert labels.sort().values.tolist() == alone[step].labels.sort().values.tolist()
        assert len(labels) == 20


def test_worker_processes_change_nothing(few: Splits, prepared: Prepared) -> None:
    order = EpochBatches(few.train, prepared.train, 64, 0, 0)
    alone, helped = list(load_batches(order, 1)), list(load_batches(order, 1, workers=2))
    assert len(alone) == len(helped) == 3
    assert all(torch.equal(one.images, other.images) for one, other in zip(alone, helped, strict=True))


def test_an_epoch_shows_every_picture_once_in_another_order_each_time(few: Splits, prepared: Prepared) -> None:
    first, second = (EpochBatches(few.train, prepared.train, 32, 0, epoch).order for epoch in (0, 1))
    assert first.sort().values.tolist() == list(range(256)) == second.sort().values.tolist()
    assert (first == second).sum() < 20


def test_seeds_of_neighbors_differ_in_many_bits() -> None:
    seeds = {derive_seed("x", seed, epoch) for seed in range(30) for epoch in range(30)}
    assert len(seeds) == 900
    assert bin(derive_seed("x", 0, 0) ^ derive_seed("x", 0, 1)).count("1") > 10


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
def test_the_words_of_every_recipe_are_steps_that_end_in_the_input_of_a_network(recipe: object) -> None:
    draw = torch.Generator().manual_seed(0)
    sides = [(300, 260), (270, 400), (280, 280), (512, 300)] if recipe.data == "imagenet" else [(32, 32)] * 4  # type: ignore[attr-defined]
    side = 224 if recipe.data == "imagenet" else 32  # type: ignore[attr-defined]
    channels = 1 if recipe.data in ("mnist", "digits") else 3  # type: ignore[attr-defined]
    images = [
        torch.randint(0, 256, (height, width, channels), generator=draw, dtype=torch.uint8) for height, width in sides
    ]
    pictures = ImageSet(
        "some",
        torch.cat([image.flatten() for image in images]),
        torch.tensor([0, *torch.tensor([image.numel() for image in images]).cumsum(0)[:-1].tolist()]),
        torch.tensor(sides),
        torch.tensor([0, 1, 0, 1]),
        ("a", "b"),
        channels,
    )
    prepared = prepare(recipe.augmentation, recipe.preprocessing, pictures, side)  # type: ignore[attr-defined]
    batch = EpochBatches(pictures, prepared.train, 4, 0, 0)[0].images
    view = prepared.view(pictures.take(torch.arange(4)))
    assert batch.shape == view.shape == (4, channels, side, side)
    assert batch.dtype == torch.float32
    assert batch.isfinite().all()
    assert 0.001 < batch.std() < 300


def test_zeros_around_a_picture_are_the_mean(few: Splits) -> None:
    """The authors' code of ResNet and DenseNet normalizes before it pads."""
    prepared = prepare(("pad 4 and crop",), "mean and deviation by channel", few.train, 32)
    images = few.train.take(torch.arange(8))
    corner = prepared.train(images, torch.tensor([[0.0, 0.0]]).repeat(8, 1))
    assert not corner[:, :, :4].any()
    torch.testing.assert_close(corner[:, :, 4:, 4:], prepared.view(images)[:, :, :28, :28])


def test_preprocessing_does_what_its_words_say(few: Splits) -> None:
    images = few.train.take(torch.arange(256))
    values = images.double() / 255
    view = prepare((), "mean and deviation by channel", few.train, 32).view(images)
    assert abs(view.mean()) < 1e-5
    assert abs(view.std(correction=0) - 1) < 1e-5
    by_pixel = prepare(("pad 4 and crop",), "mean by pixel", few.train, 32).view(images)
    torch.testing.assert_close(by_pixel.double(), 255 * (values - values.mean(0)), atol=1e-3, rtol=0)
    ink = prepare((), "background -0.1, ink 1.175", few.train, 32).view(images)
    assert ink.min() == pytest.approx(-0.1, abs=1e-6)
    assert ink.max() == pytest.approx(1.175, abs=1e-6)
    white = prepare((), "global contrast normalization and ZCA", few.train, 32).view(images)
    covariance = torch.cov(white.flatten(1).T, correction=0)
    values = torch.linalg.eigvalsh(covariance)
    assert values.max() < 1.01
    assert values[-5] > 0.9


def test_normalization_leaves_what_it_was_given() -> None:
    images = torch.rand(2, 1, 3, 3)
    before = images.clone()
    Normalize(torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1))(images, torch.empty(2, 0))
    assert torch.equal(images, before)


def test_small_pictures_stand_in_the_middle() -> None:
    centered = Center(32)(torch.ones(1, 1, 28, 28), torch.empty(1, 0))
    assert isinstance(centered, Tensor)
    assert centered.sum() == 28 * 28
    assert centered[0, 0, 2:30, 2:30].all()


def test_mean_and_deviation_are_those_of_all_pixels(few: Splits) -> None:
    values = few.train.take(torch.arange(256)).double() / 255
    mean, deviation = channel_statistics(few.train)
    assert mean == pytest.approx([values.mean().item()])
    assert deviation == pytest.approx([values.std(correction=0).item()])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pad 4", "no augmentation 'pad 4'; there are .*'pad N and crop'"),
        ("color jitter", "no augmentation"),
    ],
)
def test_unknown_words_are_refused_with_those_that_there_are(words: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        steps_of(words, 32)


def test_steps_that_do_not_fit_say_why() -> None:
    with pytest.raises(DataError, match="a picture of 8x8 has no crop of 9x9"):
        Crop(9)(counted(1), torch.zeros(1, 2))
    with pytest.raises(DataError, match="PCA color is for pictures of 3 channels, not 1"):
        PCAColor(0.1)(torch.zeros(1, 1, 2, 2), torch.zeros(1, 3))
    steps: tuple[Step, ...] = (ShorterSide(8),)
    with pytest.raises(DataError, match="pictures differ in size, 8x10 and 8x12"):
        Pipeline(steps)([torch.rand(1, 8, 10), torch.rand(1, 8, 12)], torch.empty(2, 0))
