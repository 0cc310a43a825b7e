"""Datasets from every source: complete, or an error that names what is wrong."""

import io
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from archzoo.data import NORMALIZATION, ImageSet, _cache, load, read_image, sample_per_class
from archzoo.data import _folders as folders
from archzoo.data import _hub as hub
from archzoo.data._cache import DecodedImage, cached
from archzoo.data._conversion import Conversion
from archzoo.data._digits import enlarge, load_digits
from archzoo.data._fitting import channel_statistics
from archzoo.data._hub import HUB, HubDataset, load_hub
from archzoo.data._local import LAYOUTS
from archzoo.data._reading import read_pixels
from archzoo.data._sources import SOURCES
from archzoo.data._splits import split
from archzoo.errors import DataError, MissingDependency
from archzoo.recipes import TRAINING_IMAGES
from tests.shell import Shell

Image = pytest.importorskip("PIL.Image")


def draw(path: Path, color: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (12, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "animals"
    for number in range(10):
        draw(root / "ants" / f"{number}.png", (number, 0, 0), (12 + number, 8))
        draw(root / "bees" / "inside" / f"{number}.PNG", (0, number, 0))
    return root


def test_the_digits_are_those_of_scikit_learn() -> None:
    train, test = load_digits(32)
    assert (len(train), len(test)) == (1438, 359)
    assert train.size == (32, 32)
    assert torch.bincount(test.labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    offsets = torch.cat([train.offsets, test.offsets]).sort().values
    assert offsets.tolist() == [1024 * index for index in range(1797)]
    image = train.take(torch.tensor([0]))
    assert isinstance(image, Tensor)
    assert not image[..., :4].any()
    assert image.max() > 200


@pytest.mark.parametrize(("side", "inner"), [(8, 8), (28, 24), (32, 24), (224, 192)])
def test_digits_are_enlarged_by_an_integer_and_centered(side: int, inner: int) -> None:
    large = enlarge(torch.full((1, 1, 8, 8), 255, dtype=torch.uint8), side)
    margin = (side - inner) // 2
    assert large.shape == (1, 1, side, side)
    assert large.count_nonzero() == inner * inner
    assert (large[..., margin : margin + inner, margin : margin + inner] == 255).all()


def test_splits_share_nothing_and_depend_on_no_training_seed() -> None:
    splits = load("digits")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1294, 144, 359)
    train, validation, test = (set(part.offsets.tolist()) for part in vars(splits).values())
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert torch.equal(load("digits").validation.offsets, splits.validation.offsets)
    assert load("digits", seed=1).test.digest() == splits.test.digest()


def test_cifar_keeps_45000_and_5000() -> None:
    pixels = torch.zeros(50_000, 1, 1, 1, dtype=torch.uint8)
    images = ImageSet.from_tensor("black", pixels, torch.zeros(50_000), ["class"])
    splits = split(images, images, 0.1, 0)
    assert (len(splits.train), len(splits.validation)) == (45_000, 5_000)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_normalization_constants_are_those_of_the_training_images(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ.pop("ARCHZOO_CACHE")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)  # a test downloads nothing
    try:
        train, _ = load_hub(HUB[name], name)
    except DataError as error:
        pytest.skip(f"{name} is not downloaded: {str(error)[:80]}")
    for ours, computed in zip(NORMALIZATION[name], channel_statistics(train), strict=True):
        assert ours == pytest.approx(computed, abs=6e-5)


def test_the_datasets_of_recipes_and_of_the_commands_are_those_that_can_be_loaded(shell: Shell) -> None:
    assert TRAINING_IMAGES.keys() == SOURCES.keys()
    for command in ("train", "finetune"):
        _, out, _ = shell(command, "--help")
        text = " ".join(re.findall(r"[\w:/,.]+", out))
        assert f"{', '.join(TRAINING_IMAGES)}, hub:OWNER/NAME, or a folder" in text


def test_folders_are_classes_and_images_keep_their_sizes(folder: Path) -> None:
    splits = load(folder)
    parts = vars(splits).values()
    assert splits.train.classes == ("ants", "bees")
    assert [len(part) for part in parts] == [14, 2, 4]
    images = [
        (image, label)
        for part in parts
        for image, label in zip(part.take(torch.arange(len(part))), part.labels.tolist(), strict=True)
    ]
    assert {tuple(image.shape) for image, _ in images} == {(3, 8, 12 + more) for more in range(10)}
    colors = sorted((int(image[0, 0, 0]), int(image[1, 0, 0]), label) for image, label in images)
    assert colors == sorted([(number, 0, 0) for number in range(10)] + [(0, number, 1) for number in range(10)])


def test_named_splits_are_used_as_named(folder: Path, tmp_path: Path) -> None:
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        for number in range(count):
            draw(tmp_path / "set" / part / "a" / f"{number}.png")
            draw(tmp_path / "set" / part / "b" / f"{number}.png")
    assert [len(part) for part in vars(load(tmp_path / "set")).values()] == [12, 6, 4]
    (tmp_path / "set" / "test").rename(tmp_path / "elsewhere")
    splits = load(tmp_path / "set", validation=0.25)
    assert [len(part) for part in vars(splits).values()] == [9, 3, 6]  # val is the test set
    draw(tmp_path / "set" / "val" / "c" / "0.png")
    with pytest.raises(DataError, match="differ in their classes: c"):
        load(tmp_path / "set")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Images of one small size, which are decoded once."""
    root = tmp_path / "insects"
    for number in range(10):
        draw(root / "ants" / f"{number}.png", (number, 0, 0))
        draw(root / "bees" / "inside" / f"{number}.PNG", (0, number, 0))
    return root


def test_a_folder_of_one_small_size_is_decoded_once_and_again_when_it_changes(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(small)
    assert before.train.size == (8, 12)
    monkeypatch.setattr(folders, "read_pixels", lambda *_: pytest.fail("decoded again"))
    assert load(small).train.digest() == before.train.digest()
    monkeypatch.undo()
    monkeypatch.setenv("ARCHZOO_CACHE", str(small.parent / "cache"))
    draw(small / "ants" / "0.png", (99, 0, 0))
    images = [image for part in vars(load(small)).values() for image in part.take(torch.arange(len(part)))]
    assert [99, 0, 0] in [image[:, 0, 0].tolist() for image in images]


def test_a_corrupt_small_image_is_an_error_that_names_it_or_is_skipped(small: Path) -> None:
    folder = small
    file = folder / "bees" / "inside" / "3.PNG"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"3.PNG is corrupt.*on_corrupt='skip' leaves it out"):
        load(folder)
    assert not list((folder.parent / "cache").glob("*/"))  # nothing half written
    with pytest.warns(UserWarning, match=r"skipped .*3.PNG, which is corrupt"):
        splits = load(folder, on_corrupt="skip")
    assert sum(len(part) for part in vars(splits).values()) == 19


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: [path.unlink() for path in root.rglob("*.PNG")], "has no images of bees"),
        (lambda root: [path.unlink() for path in root.rglob("*.*") if path.is_file()], "no folders of images"),
        (lambda root: (root / "train").mkdir(), "has train but no val or test"),
        (lambda root: (root / "ants" / "lost.png").symlink_to("nowhere"), "lost.png cannot be read .No such file"),
    ],
)
def test_folders_that_cannot_be_used_say_why(folder: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder)
    with pytest.raises(DataError, match=message):
        load(folder)


def test_unknown_datasets_and_shares_raise_errors_that_name_the_right_ones() -> None:
    with pytest.raises(DataError, match="no dataset and no folder is called 'cifar11': use digits, cifar10"):
        load("cifar11")
    with pytest.raises(DataError, match="validation must be between 0 and 1, not 1.5"):
        load("digits", validation=1.5)


def test_a_cache_that_is_corrupt_or_deleted_is_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cache, "IN_MEMORY", 0)
    splits = load(small)
    file = splits.train.file
    assert file is not None
    splits.train.check_file()
    moved = file.rename(file.with_name("moved"))
    with pytest.raises(DataError, match=r"the images of insects are gone: .*pixels.u8"):
        splits.train.check_file()
    moved.rename(file)
    os.truncate(file, 10)  # reading what is mapped beyond would end this process by SIGBUS
    with pytest.raises(DataError, match=r"the images of insects are gone: .*pixels.u8"):
        splits.train.take(torch.arange(2))
    (file.parent / "index.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="is corrupt .*: delete it to decode the dataset again"):
        load(small)


def test_a_cache_is_complete_or_absent(tmp_path: Path) -> None:
    def fail() -> list[DecodedImage]:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"could not write the cache of x in .*: No space left on device"):
        cached("x", "key", ["a"], 1, fail)
    assert not list((tmp_path / "cache").iterdir())
    with pytest.raises(DataError, match="x has no images that can be read"):
        cached("x", "key", ["a"], 1, list)


def rows(path: Path, count: int = 20) -> None:
    """A dataset as the hub has them: parquet files of encoded images with named labels."""
    datasets = pytest.importorskip("datasets")
    images = []
    for number in range(count):
        file = io.BytesIO()
        Image.new("RGB", (4, 4), (number, 0, 0)).save(file, "png")
        images.append({"bytes": file.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    labels = [number % 2 for number in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict({"image": images, "label": labels}, features).to_parquet(str(path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_datasets_of_the_hub_are_loaded_by_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    rows(tmp_path / "pets" / "train.parquet")
    rows(tmp_path / "pets" / "test.parquet", 6)
    splits = load(f"hub:{tmp_path / 'pets'}")
    assert [len(part) for part in vars(splits).values()] == [18, 2, 6]
    assert splits.train.classes == ("cat", "dog")
    images = splits.test.take(torch.arange(6))
    assert isinstance(images, Tensor)
    assert images[:, 0, 0, 0].tolist() == list(range(6))
    assert splits.test.labels.tolist() == [0, 1] * 3
    unlabeled = replace(splits.test, labels=torch.full((6,), -1))
    with monkeypatch.context() as patch:
        patch.setattr("archzoo.data._sources.load_hub", lambda *_: (splits.train, unlabeled))
        with pytest.raises(DataError, match="6 of the 6 test images of .* have no label, as -1 says"):
            load(f"hub:{tmp_path / 'pets'}")
    monkeypatch.setattr(hub, "_load_rows", lambda *_: pytest.fail("loaded again"))
    assert load(f"hub:{tmp_path / 'pets'}").train.digest() == splits.train.digest()
    monkeypatch.undo()
    monkeypatch.setenv("ARCHZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="has no column 'picture': it has image, label"):
        load_hub(HubDataset(str(tmp_path / "pets"), image="picture"), "pets")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no route\nx")))
    with pytest.raises(DataError, match=r"cifar10 .*could not be downloaded \(no route\): .*hub:FOLDER") as caught:
        load("cifar10")
    assert "\n" not in str(caught.value)


def test_selected_classes_are_numbered_from_zero() -> None:
    train, _ = load_digits(8)
    selected = train.select_classes([7, 3])
    labels = train.labels[(train.labels == 3) | (train.labels == 7)]
    assert selected.classes == ("7", "3")
    assert len(selected) == len(labels)
    assert torch.equal(selected.labels == 0, labels == 7)
    with pytest.raises(DataError, match=r"classes 0 to 9, not \[10\]"):
        train.select_classes([10])


def test_a_few_images_of_each_class_are_drawn_and_more_of_them_hold_the_fewer() -> None:
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 2, 0, 1, 2])
    images = ImageSet.from_tensor("x", torch.zeros(10, 1, 2, 2, dtype=torch.uint8), labels, ["a", "b", "c"])
    drawn = [sample_per_class(images, count, 0) for count in (1, 2, 3)]
    for count, few in enumerate(drawn, 1):
        assert torch.bincount(few.labels).tolist() == [count] * 3
        assert few.labels.tolist() == labels[few.offsets // 4].tolist()  # four bytes an image
        assert few.offsets.tolist() == sorted(few.offsets.tolist())
    smallest, middle, largest = (set(few.offsets.tolist()) for few in drawn)
    assert smallest < middle < largest
    assert len({tuple(sample_per_class(images, 1, seed).offsets.tolist()) for seed in range(20)}) > 5  # of 36
    message = "at most the 3 training images of the smallest class of x, not 4: a, b have fewer"
    with pytest.raises(DataError, match=message):
        sample_per_class(images, 4, 0)
    with pytest.raises(DataError, match="per_class must be at least 1 image, not 0"):
        sample_per_class(images, 0, 0)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 2, 2), torch.zeros(2), "images must be uint8"),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(3), "with 3"),
        (
            torch.zeros(2, 1, 2, 2, dtype=torch.uint8),
            torch.tensor([0, 5]),
            "labels must be from 0 to 1, not",
        ),
    ],
)
def test_images_and_labels_must_fit_together(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageSet.from_tensor("x", images, labels, ["a", "b"])


def test_digests_differ_where_images_do() -> None:
    train, test = load_digits(8)
    changed = replace(train, pixels=train.pixels.flip(0))
    assert len({train.digest(), test.digest(), train.subset(torch.arange(1437)).digest(), changed.digest()}) == 4


def test_every_image_is_read_upright_in_the_channels_that_are_asked_for(tmp_path: Path) -> None:
    """EXIF's orientation 6 says that the first row is the right side."""
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    pixels = read_pixels(tmp_path / "turned.png", Conversion(3))
    assert pixels.shape == (6, 4, 3)
    assert pixels[0, 3].tolist() == [255, 0, 0]
    assert read_pixels(tmp_path / "turned.png", Conversion(1))[0, 3].tolist() == [76]  # ITU-R 601: 0.299 of 255
    assert read_pixels(tmp_path / "turned.png", Conversion(3), shorter_side=2).shape == (3, 2, 3)
    assert read_image(tmp_path / "turned.png", (3, 6, 4))[:, 0, 3].tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="images are read with 1 or 3 channels, not 4"):
        read_pixels(tmp_path / "turned.png", Conversion(4))


def test_missing_packages_name_the_extra_that_installs_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("sklearn", "PIL", "datasets"):
        monkeypatch.setitem(sys.modules, package, None)
    for source, extra in (("digits", "train"), (folder, "images"), ("cifar10", "data")):
        with pytest.raises(MissingDependency, match=rf"not installed: pip install 'archzoo\[{extra}\]'"):
            load(source)


def test_every_dataset_of_the_hub_is_a_source() -> None:
    assert set(SOURCES) == {"digits", *HUB, *LAYOUTS}
    assert NORMALIZATION.keys() <= SOURCES.keys()
