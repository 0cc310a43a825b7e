"""Images that live on a device: the same steps to the same bits, and reasons where they cannot."""

import math

import pytest
import torch
from torch import Tensor

from archzoo.data import EpochBatches, ImageSet, Splits, prepare, why_not_resident
from archzoo.data._augmentation import apply
from archzoo.data._crops import draw_box_size
from archzoo.data._erasing import draw_box_sizes
from archzoo.data._resident import EXACT_STEPS
from archzoo.errors import DataError
from archzoo.recipes import (
    Normalize,
    PCALighting,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Range,
    Transform,
    ZCAWhitening,
)
from archzoo.training import RunConfig
from archzoo.training._placing import place

CPU = torch.device("cpu")
RELEASED = RandomErasing(scale=(0.02, 0.4), ratio=(0.3, 1 / 0.3), aspect="uniform", fill=(0.4914, 0.4822, 0.4465))


def colors(count: int = 12, side: int = 8) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    return ImageSet.from_tensor("colors", images, torch.arange(count) % 3, list("abc"))


@pytest.mark.parametrize(
    "augmentation",
    [
        (RandomCrop(padding=2), RandomHorizontalFlip(), RandomErasing()),
        (RandomCrop(padding=2, padding_mode="black"), RandomHorizontalFlip(), RELEASED),
    ],
    ids=["filled with the mean", "as released"],
)
def test_an_epoch_on_a_device_has_the_same_batches(augmentation: tuple[Transform, ...]) -> None:
    """The whole way over device tensors; here the device is the CPU, whose operators are the same."""
    images = colors()
    prepared = prepare(augmentation, Normalize(), images, 8)
    plain = EpochBatches(images, prepared.train, 4, 0, 3)
    placed = EpochBatches(images.to(CPU), prepared.to(CPU).train, 4, 0, 3)
    for step in range(3):
        assert torch.equal(plain[step].images, placed[step].images)
        assert torch.equal(plain[step].labels, placed[step].labels)


def test_boxes_of_a_batch_are_those_of_each_image() -> None:
    drawn = torch.rand(500, 20, generator=torch.Generator().manual_seed(1))
    for scale, ratio in (((0.02, 0.4), (0.3, 1 / 0.3)), ((0.7, 1.0), (0.2, 5.0))):
        boxes = draw_box_sizes(9, 12, drawn.double(), scale, ratio)
        expected = [first_smaller_box(row, scale, ratio) for row in drawn.tolist()]
        assert boxes.tolist() == [list(box) for box in expected]
    assert (0, 0) in expected  # some have no box that fits
    assert max(expected) != (0, 0)


def first_smaller_box(drawn: list[float], scale: Range, ratio: Range) -> tuple[int, int]:
    """The first of ten boxes that is lower than 9 and narrower than 12 pixels."""
    pairs = [drawn[at : at + 2] for at in range(0, len(drawn), 2)]
    boxes = [draw_box_size(9, 12, pair, scale, ratio) for pair in pairs]
    return next((box for box in boxes if box and box[0] < 9 and box[1] < 12), (0, 0))


def test_an_erased_box_is_where_its_numbers_draw_it() -> None:
    """A quarter of 8x8 with aspect 1 is 4x4; a place of 0.6 of the 5 that fit is 3."""
    numbers = torch.full((2, RandomErasing().draws), 0.5)
    numbers[0, 0], numbers[1, 0] = 0.1, 0.9  # the first is erased
    numbers[:, -2:] = 0.6
    step = RandomErasing(p=0.5, scale=(0.25, 0.25), ratio=(1.0, 1.0))
    erased = apply(step, torch.ones(2, 3, 8, 8), numbers)
    assert isinstance(erased, Tensor)
    expected = torch.ones(8, 8)
    expected[3:7, 3:7] = 0
    assert torch.equal(erased[0], expected.expand(3, 8, 8))
    assert bool((erased[1] == 1).all())
    assert math.sqrt(0.25 * 64) == 4


def test_a_released_box_is_taller_than_wide_by_the_drawn_ratio() -> None:
    """Zhong et al., transforms.py: sqrt(area * aspect) rows and sqrt(area / aspect) columns, smaller than the image.

    A quarter of 20x20 with aspect 2.25 is 15 rows and 6.67 columns; with aspect 4 it would be all 20 rows.
    """
    numbers = torch.full((1, RandomErasing().draws), 0.5)
    numbers[:, 0], numbers[:, -2:] = 0.1, 0.6  # erased, at row 3.6 of 6 places and column 8.4 of 14
    fill = {"aspect": "uniform", "fill": (0.25, -1.0)}
    step = RandomErasing(p=0.5, scale=(0.25, 0.25), ratio=(2.25, 2.25), **fill)  # type: ignore[arg-type]
    erased = apply(step, torch.ones(1, 2, 20, 20), numbers)
    assert isinstance(erased, Tensor)
    for channel, value in enumerate((0.25, -1.0)):
        expected = torch.ones(20, 20)
        expected[3:18, 8:15] = value
        assert torch.equal(erased[0, channel], expected)
    whole = RandomErasing(p=0.5, scale=(0.25, 0.25), ratio=(4.0, 4.0), **fill)  # type: ignore[arg-type]
    assert torch.equal(apply(whole, torch.ones(1, 2, 20, 20), numbers), torch.ones(1, 2, 20, 20))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"fill of RandomErasing has 2 values, and images have 3 channels"):
        apply(step, torch.ones(1, 3, 20, 20), numbers)


def test_uniform_aspects_are_mostly_tall_and_logarithmic_ones_are_not() -> None:
    """Of aspects from 0.3 to 1 / 0.3, a share of (1 / 0.3 - 1) / (1 / 0.3 - 0.3) = 0.769 is above 1, and of their
    logarithms a half."""
    drawn = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(3)).double()
    for is_log, share in ((False, (1 / 0.3 - 1) / (1 / 0.3 - 0.3)), (True, 0.5)):
        boxes = draw_box_sizes(4000, 4000, drawn, (0.02, 0.05), (0.3, 1 / 0.3), is_log=is_log)
        assert float((boxes[:, 0] > boxes[:, 1]).double().mean()) == pytest.approx(share, abs=0.02)
        areas = boxes.prod(1).double() / 4000**2
        assert 0.0199 < float(areas.min()) < 0.0202
        assert 0.0498 < float(areas.max()) < 0.0501


@pytest.mark.parametrize(
    ("transforms", "preprocessing", "reason"),
    [
        ((RandomCrop(padding=2), RandomHorizontalFlip(), RandomErasing()), Normalize(), None),
        ((RandomCrop(padding=2, padding_mode="black"), RELEASED), Normalize(), None),
        ((PCALighting(),), Normalize(), "PCALighting is computed on the CPU"),
        ((RandomResizedCrop(),), Normalize(), "RandomResizedCrop is computed on the CPU"),
        ((), ZCAWhitening(), "ZCAWhitening is computed on the CPU"),
    ],
    ids=str,
)
def test_what_cannot_be_on_a_device_says_why(transforms: object, preprocessing: object, reason: str | None) -> None:
    images = colors()
    prepared = prepare(transforms, preprocessing, images, 8)  # type: ignore[arg-type]
    assert why_not_resident(images, prepared.train, CPU) == reason


def test_two_parts_of_the_same_images_are_on_the_device_once() -> None:
    images = colors()
    splits = Splits(images.subset(torch.arange(8)), images.subset(torch.arange(8, 12)), images)
    prepared = prepare((), Normalize(), images, 8)
    placed = place(splits, prepared, RunConfig(resident=True), torch.device("meta"))
    assert placed.train.pixels.is_meta
    assert placed.validation.pixels is placed.train.pixels
    assert placed.validation.labels.is_meta


def test_images_of_many_sizes_stay() -> None:
    alike = colors()
    pixels, sizes = alike.pixels, alike.sizes.clone()
    sizes[0] = torch.tensor([4, 4])
    many = ImageSet("many", pixels, alike.offsets, sizes, alike.labels, alike.classes, 3)
    prepared = prepare((), Normalize(), alike, 8)
    assert why_not_resident(many, prepared.train, CPU) == "its images differ in size"


def test_no_exact_step_waits_for_the_device() -> None:
    """Reading a number back, as ``.tolist()`` does, makes a GPU wait."""

    class Waits(Exception):
        pass

    class Device(Tensor):
        """A tensor whose numbers cannot be read."""

        @classmethod
        def __torch_function__(cls, func: object, types: object, args: object = (), kwargs: object = None) -> object:
            if getattr(func, "__name__", "") in ("tolist", "item", "__bool__", "__int__", "__float__", "nonzero"):
                raise Waits(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    images = colors()
    prepared = prepare((RandomCrop(padding=2), RandomHorizontalFlip(), RandomErasing()), Normalize(), images, 8)
    assert {type(step) for step in prepared.train.steps} <= set(EXACT_STEPS)
    numbers = torch.rand(12, prepared.train.draws).as_subclass(Device)
    batch = images.take(torch.arange(12))
    assert isinstance(batch, Tensor)
    prepared.train(batch.as_subclass(Device), numbers)
    released = prepare((RandomCrop(padding=2, padding_mode="black"), RELEASED), Normalize(), images, 8).train
    released(batch.as_subclass(Device), torch.rand(12, released.draws).as_subclass(Device))
    with pytest.raises(Waits):
        apply(RandomResizedCrop(size=8), batch.as_subclass(Device), torch.rand(12, 22).as_subclass(Device))
