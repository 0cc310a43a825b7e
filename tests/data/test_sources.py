"""Pictures from every source, whole or refused by name."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from archzoo.data.load_digits import enlarge, load_digits
from torch import Tensor

from archzoo.data import sources as data
from archzoo.data.cache import DecodedImage, cached
from archzoo.data.dataset import of_tensor
from archzoo.data.fitting import channel_statistics
from archzoo.data.hub import HubDataset
from archzoo.data.sources import NORMALIZATION, hub, load
from archzoo.data.splits import split
from archzoo.errors import DataError

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
    rest, test = load_digits(32)
    assert (len(rest), len(test)) == (1438, 359)
    assert rest.size == (32, 32)
    assert torch.bincount(test.labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    both = torch.cat([rest.starts, test.starts]).sort().values
    assert both.tolist() == [1024 * place for place in range(1797)]
    one = rest.take(torch.tensor([0]))
    assert isinstance(one, Tensor)
    assert not one[..., :4].any()
    assert one.max() > 200


@pytest.mark.parametrize(("side", "inner"), [(8, 8), (28, 24), (32, 24), (224, 192)])
def test_digits_are_enlarged_by_a_whole_number_and_centered(side: int, inner: int) -> None:
    large = enlarge(torch.full((1, 1, 8, 8), 255, dtype=torch.uint8), side)
    margin = (side - inner) // 2
    assert large.shape == (1, 1, side, side)
    assert large.count_nonzero() == inner * inner
    assert (large[..., margin : margin + inner, margin : margin + inner] == 255).all()


def test_splits_share_nothing_and_depend_on_no_training_seed() -> None:
    splits = load("load_digits")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1294, 144, 359)
    places = [set(part.starts.tolist()) for part in vars(splits).values()]
    assert not places[0] & places[1]
    assert not places[0] & places[2]
    assert not places[1] & places[2]
    assert torch.equal(load("load_digits").validation.starts, splits.validation.starts)
    assert load("load_digits", seed=1).test.digest() == splits.test.digest()


def test_cifar_keeps_45000_and_5000() -> None:
    many = of_tensor("many", torch.zeros(50_000, 1, 1, 1, dtype=torch.uint8), torch.zeros(50_000), ["one"])
    splits = split(many, many, 0.1, 0)
    assert (len(splits.train), len(splits.validation)) == (45_000, 5_000)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_the_constants_of_normalization_are_the_true_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ.pop("ARCHZOO_CACHE")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)  # what is here: nothing is downloaded for a test
    try:
        rest, _ = hub(data.HUB[name], name)
    except DataError as error:
        pytest.skip(f"{name} is not at hand: {str(error)[:80]}")
    for ours, computed in zip(NORMALIZATION[name], channel_statistics(rest), strict=True):
        assert ours == pytest.approx(computed, abs=6e-5)


def test_folders_are_classes_and_pictures_keep_their_sizes(folder: Path) -> None:
    splits = load(folder)
    parts = vars(splits).values()
    assert splits.train.classes == ("ants", "bees")
    assert [len(part) for part in parts] == [14, 2, 4]
    pictures = [
        (image, label)
        for part in parts
        for image, label in zip(part.take(torch.arange(len(part))), part.labels.tolist(), strict=True)
    ]
    assert {tuple(image.shape) for image, _ in pictures} == {(3, 8, 12 + more) for more in range(10)}
    told = sorted((int(image[0, 0, 0]), int(image[1, 0, 0]), label) for image, label in pictures)
    assert told == sorted([(number, 0, 0) for number in range(10)] + [(0, number, 1) for number in range(10)])


def test_named_parts_are_what_they_are_called(folder: Path, tmp_path: Path) -> None:
    for part, many in (("train", 6), ("val", 3), ("test", 2)):
        for number in range(many):
            draw(tmp_path / "set" / part / "a" / f"{number}.png")
            draw(tmp_path / "set" / part / "b" / f"{number}.png")
    assert [len(part) for part in vars(load(tmp_path / "set")).values()] == [12, 6, 4]
    (tmp_path / "set" / "test").rename(tmp_path / "elsewhere")
    splits = load(tmp_path / "set", validation=0.25)
    assert [len(part) for part in vars(splits).values()] == [9, 3, 6]  # val is what is tested on, once
    draw(tmp_path / "set" / "val" / "c" / "0.png")
    with pytest.raises(DataError, match="differ in their classes: c"):
        load(tmp_path / "set")


def test_a_folder_is_decoded_once_and_anew_when_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(folder)
    monkeypatch.setattr(data, "read_pixels", lambda *_: pytest.fail("decoded again"))
    assert load(folder).train.digest() == before.train.digest()
    monkeypatch.undo()
    monkeypatch.setenv("ARCHZOO_CACHE", str(folder.parent / "cache"))
    draw(folder / "ants" / "0.png", (99, 0, 0), (50, 50))
    sides = [part.sides for part in vars(load(folder)).values()]
    assert [50, 50] in torch.cat(sides).tolist()


def test_a_damaged_picture_is_named_and_refused_or_left_out(folder: Path) -> None:
    whole = (folder / "bees" / "inside" / "3.PNG").read_bytes()
    (folder / "bees" / "inside" / "3.PNG").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"3.PNG is damaged.*damaged='skip'"):
        load(folder)
    assert not list((folder.parent / "cache").iterdir())  # nothing half written
    with pytest.warns(UserWarning, match=r"left out .*3.PNG"):
        splits = load(folder, damaged="skip")
    assert sum(len(part) for part in vars(splits).values()) == 19


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: [path.unlink() for path in root.rglob("*.PNG")], "has no pictures of bees"),
        (lambda root: [path.unlink() for path in root.rglob("*.*") if path.is_file()], "no folders of pictures"),
        (lambda root: (root / "train").mkdir(), "has train, but no val or test"),
    ],
)
def test_folders_that_cannot_be_used_say_why(folder: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=message):
        load(folder)


def test_unknown_data_and_shares_are_refused() -> None:
    with pytest.raises(DataError, match="no data 'cifar11'.*load_digits, cifar10"):
        load("cifar11")
    with pytest.raises(DataError, match="validation must be a share between 0 and 1, not 1.5"):
        load("load_digits", validation=1.5)


def test_a_cache_that_is_damaged_or_gone_is_named(folder: Path) -> None:
    splits = load(folder)
    file = splits.train.file
    assert file is not None
    splits.train.check()
    moved = file.rename(file.with_name("moved"))
    with pytest.raises(DataError, match=r"the pictures of animals are gone: .*pixels.u8"):
        splits.train.check()
    moved.rename(file)
    (file.parent / "index.safetensors").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="is damaged .*: delete it, and it is made anew"):
        load(folder)


def test_a_cache_is_whole_or_not_there(tmp_path: Path) -> None:
    def breaks() -> list[DecodedImage]:
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"could not write the cache of x in .*: No space left on device"):
        cached("x", "key", ["a"], 1, breaks)
    assert not list((tmp_path / "cache").iterdir())
    with pytest.raises(DataError, match="x has no pictures that can be read"):
        cached("x", "key", ["a"], 1, list)


def rows(path: Path, count: int = 20) -> None:
    """A dataset as the hub has them: parquet files of encoded pictures with labels that have names."""
    datasets = pytest.importorskip("datasets")
    pictures = []
    for number in range(count):
        file = io.BytesIO()
        Image.new("RGB", (4, 4), (number, 0, 0)).save(file, "png")
        pictures.append({"bytes": file.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    labels = [number % 2 for number in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict({"image": pictures, "label": labels}, features).to_parquet(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_datasets_of_the_hub_come_through_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr(data, "_rows", lambda *_: pytest.fail("asked again"))
    assert load(f"hub:{tmp_path / 'pets'}").train.digest() == splits.train.digest()
    monkeypatch.undo()
    monkeypatch.setenv("ARCHZOO_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="has no column 'picture': it has image, label"):
        hub(HubDataset(str(tmp_path / "pets"), image="picture"), "pets")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("no route\nx")))
    with pytest.raises(DataError, match=r"cifar10 .*could not be fetched \(no route\): .*hub:FOLDER") as caught:
        load("cifar10")
    assert "\n" not in str(caught.value)


def test_classes_are_chosen_and_numbered_anew() -> None:
    rest, _ = load_digits(8)
    some = rest.of_classes([7, 3])
    assert some.classes == ("7", "3")
    assert len(some) == int(((rest.labels == 3) | (rest.labels == 7)).sum())
    assert torch.equal(some.labels == 0, rest.labels[(rest.labels == 3) | (rest.labels == 7)] == 7)
    with pytest.raises(DataError, match=r"classes 0 to 9, not \[10\]"):
        rest.of_classes([10])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 2, 2), torch.zeros(2), "pictures are bytes"),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(3), "with 3"),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 5]), "labels run from 0 to 5, of 2 classes"),
    ],
)
def test_pictures_and_labels_must_go_together(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        of_tensor("x", images, labels, ["a", "b"])


def test_digests_differ_where_pictures_do() -> None:
    rest, test = load_digits(8)
    changed = replace(rest, pixels=rest.pixels.flip(0))
    assert len({rest.digest(), test.digest(), rest.subset(torch.arange(1437)).digest(), changed.digest()}) == 4
