"""Pictures to look at are those that training sees."""

import sys
from pathlib import Path

import pytest
import torch

from archzoo.data import EpochBatches, ImageSet, augmented_views, load_photographs, load_pictures, prepare, stack
from archzoo.errors import DataError, MissingDependency
from archzoo.recipes import (
    Normalize,
    Preprocessing,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    SubtractMean,
    ZCAWhitening,
)

Image = pytest.importorskip("PIL.Image")
SHIFTS = (RandomCrop(padding=2), RandomHorizontalFlip())


def noise(count: int = 12, side: int = 8) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    return ImageSet.from_tensor("noise", pixels, torch.zeros(count, dtype=torch.long), ["class"])


def test_a_view_is_what_training_feeds_to_the_network_in_that_epoch() -> None:
    """Normalized by hand, the views are the batches of an epoch, image by image."""
    images = noise()
    values = stack(images.take(torch.arange(12))).double() / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3), correction=0)
    views = augmented_views(SHIFTS, Normalize(), images, 8, range(12), epochs=3, seed=5)
    normalized = (views - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    for epoch in range(3):
        batches = EpochBatches(images, prepare(SHIFTS, Normalize(), images, 8).train, 4, seed=5, epoch=epoch)
        for step in range(3):
            drawn = normalized[epoch, batches.indices(step)].float()
            torch.testing.assert_close(batches[step].images, drawn, atol=1e-5, rtol=0)


@pytest.mark.parametrize("preprocessing", [SubtractMean(), SubtractMean("pixel"), ZCAWhitening(), Rescale(-1.0, 1.0)])
def test_views_have_the_colors_of_the_pictures_and_padding_that_of_zero(preprocessing: Preprocessing) -> None:
    """Zero is the mean where a mean is subtracted, and the middle of the range for Rescale(-1, 1)."""
    images = noise()
    mean = stack(images.take(torch.arange(12))).double().mean((0, 2, 3)) / 255
    fill = torch.full((3,), 0.5).double() if isinstance(preprocessing, Rescale) else mean
    view = augmented_views((RandomCrop(padding=8),), preprocessing, images, 8, [3], epochs=1)[0, 0].double()
    original = images.take(torch.tensor([3]))[0].double() / 255
    is_fill = ((view - fill.view(-1, 1, 1)).abs() < 1e-5).all(0)
    rows, columns = (~is_fill).any(1), (~is_fill).any(0)
    part = view[:, rows][:, :, columns]
    assert is_fill.any()
    assert part.numel() > 0
    height, width = part.shape[1:]
    windows = original.unfold(1, height, 1).unfold(2, width, 1)
    distances = (windows - part.unsqueeze(1).unsqueeze(1)).abs().amax((0, 3, 4))
    assert distances.min() < 1e-5


def test_views_do_not_depend_on_which_images_are_asked_for() -> None:
    images = noise()
    every = augmented_views(SHIFTS, Normalize(), images, 8, range(12), epochs=2)
    some = augmented_views(SHIFTS, Normalize(), images, 8, [7, 2], epochs=2)
    assert torch.equal(some, every[:, [7, 2]])
    assert not torch.equal(every[0], every[1])
    assert 0 <= every.min() <= every.max() <= 1


def test_the_photographs_are_two_in_color_and_small_for_small_networks() -> None:
    photographs = load_photographs()
    assert (photographs.size, photographs.channels, photographs.classes) == ((427, 640), 3, ("china", "flower"))
    assert load_pictures("photographs", side=32).size == (32, 32)


def test_a_folder_of_pictures_needs_no_folders_of_classes(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "more").mkdir(parents=True)
    for name, color in {"a.png": (255, 0, 0), "more/b.png": (0, 0, 255)}.items():
        Image.new("RGB", (6, 5), color).save(folder / name)
    images = load_pictures(folder)
    assert (len(images), images.classes, images.size) == (2, ("holiday",), (5, 6))
    assert stack(images.take(torch.tensor([0, 1])))[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_a_folder_of_classes_gives_its_training_images_as_training_does(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("RGB", (6, 5), (number, number, number)).save(tmp_path / name / f"{number}.png")
    images = load_pictures(tmp_path)
    assert images.classes == ("ant", "bee")
    assert len(images) == 14  # 20 less a fifth for the test, less a tenth of the rest for validation


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no dataset and no folder is called 'nowhere'"):
        load_pictures("nowhere")
    with pytest.raises(DataError, match="has no folders of images, one per class"):
        load_pictures(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependency, match=r"come from scikit-learn and Pillow.*pip install 'archzoo\[train\]'"):
        load_photographs()
