"""torchvision's transforms as witnesses: the same images for the same numbers, and the same distributions."""

import math
import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor

from archzoo.data import Pipeline, center_crop, multi_crop_144, resize_shorter_side, stack, ten_crops
from archzoo.data import _steps as steps
from archzoo.data._augmentation import apply
from archzoo.data._color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from archzoo.data._crops import draw_crop_box
from archzoo.data._idx import read_idx
from archzoo.data._resizing import resize
from archzoo.recipes import Lambda, RandomCrop, RandomErasing, RandomHorizontalFlip, RandomResizedCrop

pytest.importorskip("torchvision", reason="torchvision is not installed")
v2 = pytest.importorskip("torchvision.transforms.v2")
theirs = pytest.importorskip("torchvision.transforms.v2.functional")

NONE = torch.empty(4, 0)


def random_images(height: int = 40, width: int = 52) -> Tensor:
    return torch.randint(0, 256, (4, 3, height, width), dtype=torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 70), (80, 104), (41, 52)])
def test_images_are_resized_alike_as_bytes_and_as_floats(height: int, width: int) -> None:
    for image in random_images():
        ours, resized = resize(image, height, width), theirs.resize(image, [height, width], antialias=True)
        assert (
            ours.int() - resized.int()
        ).abs().max() <= 1  # bytes are rounded on the way, in one library or the other
        floats = image.float() / 255
        torch.testing.assert_close(resize(floats, height, width), theirs.resize(floats, [height, width]))


@pytest.mark.parametrize("size", [(40, 52), (52, 40), (31, 97), (33, 33)])
def test_the_shorter_side_and_the_center_are_theirs(size: tuple[int, int]) -> None:
    for image in random_images(*size).float():
        resized = resize_shorter_side(image, 24)
        torch.testing.assert_close(resized, theirs.resize(image, 24, antialias=True))
        assert torch.equal(center_crop(resized, 21, 21), theirs.center_crop(resized, [21, 21]))


def test_ten_crops_are_theirs() -> None:
    images = random_images()
    assert torch.equal(ten_crops(images, 32), torch.stack(theirs.ten_crop(images, 32)))


def test_the_first_ten_of_144_crops_are_theirs() -> None:
    image = random_images(40, 40)[0].float()
    expected = torch.stack(theirs.ten_crop(theirs.resize(image, 32, antialias=True), 28))
    torch.testing.assert_close(multi_crop_144(image, 28, sizes=(32,))[:10], expected)


def test_padding_and_normalization_are_theirs() -> None:
    images = random_images(40, 40)
    whole = torch.zeros(4, 2)  # the numbers of the top left crop: all of a square image
    assert torch.equal(stack(apply(RandomCrop(48, padding=4), images, whole)), theirs.pad(images, [4]))
    floats = images.float() / 255
    reflected = stack(apply(RandomCrop(48, padding=4, padding_mode="reflect"), images, whole))
    torch.testing.assert_close(reflected, theirs.pad(floats, [4], padding_mode="reflect"))
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    step = steps.Normalize(torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1))
    torch.testing.assert_close(apply(step, images, NONE), theirs.normalize(floats, mean, std))


def test_a_pipeline_of_cifar_is_theirs_with_the_same_numbers() -> None:
    """Normalize, pad by 4, crop, flip: the crop and the flip that the numbers draw, by torchvision's functions."""
    images, numbers = random_images(32, 32), torch.rand(4, 3)
    mean, std = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
    normalize = steps.Normalize(torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1))
    batch = Pipeline((normalize, RandomCrop(32, padding=4), RandomHorizontalFlip()))(images, numbers)
    padded = theirs.pad(theirs.normalize(images.float() / 255, mean, std), [4])
    for image, crop, (down, right, flip) in zip(padded, batch, numbers.tolist(), strict=True):
        expected = theirs.crop(image, int(down * 9), int(right * 9), 32, 32)
        torch.testing.assert_close(crop, theirs.horizontal_flip(expected) if flip < 0.5 else expected)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
def test_colors_are_theirs(factor: float) -> None:
    images, factors = random_images().float() / 255, torch.full((4,), factor)
    torch.testing.assert_close(adjust_brightness(images, factors).clamp(0, 1), theirs.adjust_brightness(images, factor))
    # Their weights of red, green and blue have four digits, ITU-R 601's three.
    for ours, other in ((adjust_contrast, theirs.adjust_contrast), (adjust_saturation, theirs.adjust_saturation)):
        torch.testing.assert_close(ours(images, factors).clamp(0, 1), other(images, factor), atol=2e-4, rtol=0)


@pytest.mark.parametrize("share", [-0.5, -0.13, 0.0, 0.02, 0.4, 0.5])
def test_hues_are_theirs(share: float) -> None:
    images = random_images().float() / 255
    images[0, :, :3] = 0.5  # grays have no hue
    images[1, :, :3] = torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1)  # two channels are the largest
    ours = adjust_hue(images, torch.full((4,), share))
    torch.testing.assert_close(ours, theirs.adjust_hue(images, share), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 70), (80, 104)])
def test_bicubic_and_bilinear_without_antialiasing_are_theirs(height: int, width: int) -> None:
    cubic, linear = v2.InterpolationMode.BICUBIC, v2.InterpolationMode.BILINEAR
    for image in random_images().float() / 255:
        bicubic = theirs.resize(image, [height, width], cubic, antialias=True)
        torch.testing.assert_close(resize(image, height, width, "bicubic"), bicubic)
        plain = theirs.resize(image, [height, width], linear, antialias=False)
        torch.testing.assert_close(resize(image, height, width, "opencv_bilinear"), plain)


def gap(ours: Tensor, others: Tensor) -> float:
    """Kolmogorov and Smirnov's distance between two samples."""
    values = torch.cat([ours, others]).sort().values
    shares = [torch.searchsorted(part.sort().values, values, right=True) / len(part) for part in (ours, others)]
    return float((shares[0] - shares[1]).abs().max())


DRAWS = 4000
FAR = 2.0 * math.sqrt(2 / DRAWS)  # two samples of one distribution are so far apart once in about 1,500 times


@pytest.mark.parametrize("edge", ["top", "left", "height", "width"])
def test_resized_crops_are_drawn_as_theirs(edge: str) -> None:
    transform, crop, image = RandomResizedCrop(32), v2.RandomResizedCrop(32), torch.empty(3, 300, 400)
    torch.manual_seed(1)
    place = ["top", "left", "height", "width"].index(edge)
    numbers = torch.rand(DRAWS, transform.draws).tolist()
    ours = torch.tensor([draw_crop_box(transform, 300, 400, drawn)[place] for drawn in numbers])
    others = torch.tensor([crop.make_params([image])[edge] for _ in range(DRAWS)])
    assert gap(ours.float(), others.float()) < FAR


def test_resized_crops_of_one_box_are_theirs() -> None:
    transform = RandomResizedCrop(32)
    numbers = torch.rand(4, transform.draws)
    images = random_images(90, 120).float() / 255
    for image, crop, drawn in zip(images, apply(transform, images, numbers), numbers.tolist(), strict=True):
        box = draw_crop_box(transform, 90, 120, drawn)
        torch.testing.assert_close(crop, theirs.resized_crop(image, *box, [32, 32]))


def test_boxes_are_erased_as_often_and_as_large_as_theirs() -> None:
    torch.manual_seed(2)
    ones = torch.ones(DRAWS, 1, 32, 32)
    transform, erasing = RandomErasing(0.5), v2.RandomErasing(0.5)
    ours = (stack(apply(transform, ones, torch.rand(DRAWS, transform.draws))) == 0).flatten(1).float().mean(1)
    others = torch.stack([(erasing(image) == 0).float().mean() for image in ones])
    assert abs((ours > 0).float().mean() - (others > 0).float().mean()) < 5 * math.sqrt(0.5 / DRAWS)
    assert gap(ours[ours > 0][: DRAWS // 3], others[others > 0][: DRAWS // 3]) < FAR * math.sqrt(3)


def test_an_idx_file_is_what_theirs_reads(tmp_path: Path) -> None:
    mnist = pytest.importorskip("torchvision.datasets.mnist")
    images = torch.randint(0, 256, (3, 28, 20), dtype=torch.uint8)
    file = tmp_path / "images"
    file.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape) + images.numpy().tobytes())
    assert torch.equal(read_idx(file, 3)[0], images)
    assert torch.equal(mnist.read_image_file(str(file)), images)


def test_their_transforms_plug_in_and_are_seeded() -> None:
    jitter = v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4, 0.1), v2.RandomCrop(24)])
    pipeline = Pipeline((Lambda(jitter), steps.Normalize(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))))
    images, numbers = random_images(), torch.rand(4, 1)
    before = torch.get_rng_state()
    batch = pipeline(images, numbers)
    assert torch.equal(torch.get_rng_state(), before)
    assert batch.shape == (4, 3, 24, 24)
    assert torch.equal(pipeline(images, numbers), batch)
    assert torch.equal(pipeline(images[2:], numbers[2:]), batch[2:])  # whatever else is in the batch
    assert not torch.equal(pipeline(images, 1 - numbers), batch)
