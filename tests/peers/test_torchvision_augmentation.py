"""torchvision's transforms as witnesses: the same images for the same numbers, and drawn as often."""

import math

import pytest
import torch
from torch import Tensor

from archzoo.data.augmentation import (
    AreaCrop,
    Erase,
    Other,
    Pad,
    Pipeline,
    brightness,
    contrast,
    many_crops,
    middle,
    resize,
    saturation,
    scale_shorter,
    ten_crops,
)
from archzoo.data.preprocessing import Normalize

pytest.importorskip("torchvision", reason="torchvision is not installed")
v2 = pytest.importorskip("torchvision.transforms.v2")
theirs = pytest.importorskip("torchvision.transforms.v2.functional")

NONE = torch.empty(4, 0)


def random_images(height: int = 40, width: int = 52) -> Tensor:
    return torch.randint(0, 256, (4, 3, height, width), dtype=torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 70), (80, 104), (41, 52)])
def test_images_are_scaled_alike_as_bytes_and_as_floats(height: int, width: int) -> None:
    for image in random_images():
        ours, scaled = resize(image, height, width), theirs.resize(image, [height, width], antialias=True)
        assert (ours.int() - scaled.int()).abs().max() <= 1  # bytes are rounded on the way, in one library or the other
        floats = image.float() / 255
        torch.testing.assert_close(resize(floats, height, width), theirs.resize(floats, [height, width]))


@pytest.mark.parametrize("size", [(40, 52), (52, 40), (31, 97), (33, 33)])
def test_the_shorter_side_and_the_middle_are_theirs(size: tuple[int, int]) -> None:
    for image in random_images(*size).float():
        scaled = scale_shorter(image, 24)
        torch.testing.assert_close(scaled, theirs.resize(image, 24, antialias=True))
        assert torch.equal(middle(scaled, 21, 21), theirs.center_crop(scaled, [21, 21]))


def test_ten_crops_are_theirs() -> None:
    images = random_images()
    assert torch.equal(ten_crops(images, 32), torch.stack(theirs.ten_crop(images, 32)))


def test_the_first_ten_of_many_crops_are_theirs() -> None:
    image = random_images(40, 40)[0].float()
    expected = torch.stack(theirs.ten_crop(theirs.resize(image, 32, antialias=True), 28))
    torch.testing.assert_close(many_crops(image, 28, sides=(32,))[:10], expected)


def test_padding_and_normalization_are_theirs() -> None:
    images = random_images()
    padded = Pad(4)(images, NONE)
    assert isinstance(padded, Tensor)
    assert torch.equal(padded, theirs.pad(images, [4]))
    floats = images.float() / 255
    reflected = Pad(4, "reflect")(images, NONE)
    assert isinstance(reflected, Tensor)
    torch.testing.assert_close(reflected, theirs.pad(floats, [4], padding_mode="reflect"))
    mean, deviation = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    step = Normalize(torch.tensor(mean).view(3, 1, 1), torch.tensor(deviation).view(3, 1, 1))
    torch.testing.assert_close(step(images, NONE), theirs.normalize(floats, mean, deviation))


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
def test_colors_are_theirs(factor: float) -> None:
    images, factors = random_images().float() / 255, torch.full((4,), factor)
    torch.testing.assert_close(brightness(images, factors), theirs.adjust_brightness(images, factor))
    # Their weights of red, green and blue have four digits, ITU-R 601's three.
    for ours, expected in (
        (contrast(images, factors), theirs.adjust_contrast(images, factor)),
        (saturation(images, factors), theirs.adjust_saturation(images, factor)),
    ):
        torch.testing.assert_close(ours, expected, atol=2e-4, rtol=0.0)


def gap(ours: Tensor, others: Tensor) -> float:
    """Kolmogorov and Smirnov's distance between two samples."""
    every = torch.cat([ours, others]).sort().values
    shares = [torch.searchsorted(sample.sort().values, every, right=True) / len(sample) for sample in (ours, others)]
    return float((shares[0] - shares[1]).abs().max())


DRAWS = 4000
FAR = 2.0 * math.sqrt(2 / DRAWS)  # two samples of one distribution are so far apart once in about 1,500 times


@pytest.mark.parametrize("edge", ["top", "left", "height", "width"])
def test_area_crops_are_drawn_as_theirs(edge: str) -> None:
    step, crop, image = AreaCrop(32), v2.RandomResizedCrop(32), torch.empty(3, 300, 400)
    torch.manual_seed(1)
    place = ["top", "left", "height", "width"].index(edge)
    ours = torch.tensor([step.box(300, 400, drawn)[place] for drawn in torch.rand(DRAWS, step.draws).tolist()])
    others = torch.tensor([crop.make_params([image])[edge] for _ in range(DRAWS)])
    assert gap(ours.float(), others.float()) < FAR


def test_area_crops_of_one_box_are_theirs() -> None:
    step = AreaCrop(32)
    numbers = torch.rand(4, step.draws)
    images = random_images(90, 120).float() / 255
    for image, crop, drawn in zip(images, step(images, numbers), numbers.tolist(), strict=True):
        torch.testing.assert_close(crop, theirs.resized_crop(image, *step.box(90, 120, drawn), [32, 32]))


def test_parts_are_erased_as_often_and_as_large_as_theirs() -> None:
    torch.manual_seed(2)
    ones = torch.ones(DRAWS, 1, 32, 32)
    step, erasing = Erase(0.5), v2.RandomErasing(0.5)
    erased = step(ones, torch.rand(DRAWS, step.draws))
    assert isinstance(erased, Tensor)
    ours = erased.eq(0).flatten(1).float().mean(1)
    others = torch.stack([(erasing(image) == 0).float().mean() for image in ones])
    assert abs((ours > 0).float().mean() - (others > 0).float().mean()) < 5 * math.sqrt(0.5 / DRAWS)
    assert gap(ours[ours > 0][: DRAWS // 3], others[others > 0][: DRAWS // 3]) < FAR * math.sqrt(3)


def test_their_transforms_plug_in_and_are_seeded() -> None:
    jitter = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4, 0.1), v2.RandomCrop(24)])
    pipeline = Pipeline((Other(jitter), Normalize(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))))
    images, numbers = random_images(), torch.rand(4, 1)
    before = torch.get_rng_state()
    transformed = pipeline(images, numbers)
    assert torch.equal(torch.get_rng_state(), before)
    assert transformed.shape == (4, 3, 24, 24)
    assert torch.equal(pipeline(images, numbers), transformed)
    assert torch.equal(pipeline(images[2:], numbers[2:]), transformed[2:])  # whatever else is in the batch
    assert not torch.equal(pipeline(images, 1 - numbers), transformed)
