"""A trained network in its file, with its classes and preprocessing; ``archzoo evaluate`` and ``archzoo predict``."""

import csv
import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import archzoo
from archzoo.data import ImageSet, Prepared, Splits, describe_prepared, fit_size, load_digits, prepare, restore_prepared
from archzoo.errors import DataError, WeightsError
from archzoo.recipes import (
    Bytes,
    CenterCrop,
    Normalize,
    PCADecorrelation,
    Preprocessing,
    RandomCrop,
    RandomResizedCrop,
    Rescale,
    Resize,
    SubtractMean,
    Transform,
    ZCAWhitening,
)
from archzoo.registry import find_recipe
from archzoo.training import describe_training, load_trained, match_classes
from archzoo.weights import save, save_with
from tests.shell import Shell

PREPROCESSING = (
    Normalize(),
    SubtractMean("channel"),
    SubtractMean("pixel"),
    Rescale(-1, 1),
    Bytes(),
    ZCAWhitening(),
    PCADecorrelation(),
)
AUGMENTATIONS: tuple[tuple[Transform, ...], ...] = ((RandomCrop(padding=2),), (Resize(10), CenterCrop()))


@pytest.fixture(scope="module")
def digits() -> Splits:
    """Digits of 8x8 pixels."""
    train, test = load_digits(8)
    return Splits(train.subset(torch.arange(64)), train, test.subset(torch.arange(20)))


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("preprocessing", PREPROCESSING, ids=str)
def test_images_are_prepared_as_in_training(
    digits: Splits, preprocessing: Preprocessing, augmentation: tuple[Transform, ...]
) -> None:
    prepared = prepare(augmentation, preprocessing, digits.train, 8)
    described = json.loads(json.dumps(describe_prepared(prepared, preprocessing, digits.train)))
    images = digits.test.take(torch.arange(20))
    assert torch.equal(restore_prepared(described).center_crop(images), prepared.center_crop(images))


def test_random_sizes_become_one_for_test_images(digits: Splits) -> None:
    prepared = prepare((RandomResizedCrop(),), Normalize(), digits.train, 8)
    restored = restore_prepared(describe_prepared(prepared, Normalize(), digits.train))
    images = digits.test.take(torch.arange(4))
    assert torch.equal(restored.center_crop(images), prepared.center_crop(images))
    with pytest.raises(DataError, match="description of the preprocessing cannot be read"):
        restore_prepared({"side": 8})


def test_a_picture_of_another_size_is_resized_and_its_center_is_taken() -> None:
    """64x32, of which the middle half is white: a square of 32 is that half. 128x64 is the same at half its size."""
    tall = torch.zeros(1, 64, 32, dtype=torch.uint8)
    tall[:, 16:48] = 255
    larger = tall.repeat_interleave(2, 1).repeat_interleave(2, 2)
    fitted = fit_size([tall, larger, torch.full((1, 3, 5), 7, dtype=torch.uint8)], (32, 32))
    assert isinstance(fitted, Tensor)
    assert bool((fitted[0] == 255).all())
    assert bool((fitted[1, :, 1:-1] == 255).all())
    assert bool((fitted[2] == 7).all())
    same = [tall]
    assert fit_size(same, None) is same


def test_classes_correspond_by_name() -> None:
    images = ImageSet.from_tensor("animals", torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4), "bacd")
    matched = match_classes(images, ("a", "b", "c"))
    assert matched.labels.tolist() == [1, 0, 2]
    assert matched.classes == ("a", "b", "c")
    assert match_classes(images, ()) is images
    with pytest.raises(DataError, match="knows the classes x, and animals has none of them, but b, a, c, d"):
        match_classes(images, ("x",))


@pytest.fixture
def trained(tmp_path: Path, few: Splits, prepared: Prepared) -> Path:
    """A network that is not trained, in a file that says all that a trained one's does."""
    net = archzoo.build("lenet5_textbook")
    metadata = describe_training(prepared, find_recipe("lenet5_textbook", "digits"), few.train)
    save_with(net, tmp_path / "net.safetensors", "lenet5_textbook", {"in_channels": 1, "num_classes": 10}, metadata)
    return tmp_path / "net.safetensors"


def test_predict_prints_what_the_network_computes(shell: Shell, trained: Path, few: Splits, prepared: Prepared) -> None:
    folder = trained.parent / "pictures"
    (folder / "deeper").mkdir(parents=True)
    images = few.test.take(torch.arange(3))
    for number, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(folder / ("deeper" if number else "") / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    command = ("predict", str(trained), str(folder), str(trained.parent / "gone.jpg"), "--batch-size", "2")
    code, out, err = shell(*command, "--top", "10", "--format", "json")
    assert code == 1
    assert f"{folder / 'bad.png'} cannot be read: cannot identify image file" in err
    assert f"{trained.parent / 'gone.jpg'} cannot be read: No such file or directory" in err
    net = archzoo.load(trained).eval()
    with torch.no_grad():
        expected = net(prepared.center_crop(images)).softmax(1)
    predicted = {Path(picture["picture"]).name: picture["predictions"] for picture in json.loads(out)}
    for number, row in enumerate(expected):
        by_class = {entry["class"]: entry["probability"] for entry in predicted[f"{number}.png"]}
        assert [by_class[str(label)] for label in range(10)] == pytest.approx(row.tolist(), rel=1e-4)
        assert predicted[f"{number}.png"][0]["class"] == str(int(row.argmax()))
    rows = list(csv.DictReader(io.StringIO(shell(*command, "--top", "2", "--format", "csv")[1])))
    assert [row["rank"] for row in rows] == ["1", "2"] * 3
    assert all(0 < float(row["probability"]) < 1 for row in rows)
    code, out, _ = shell(*command, "--top", "1", "--output", str(trained.parent / "new" / "table.txt"))
    assert (code, out) == (1, "")
    assert "%" in (trained.parent / "new" / "table.txt").read_text()


def test_a_picture_whose_colors_are_dropped_is_named(shell: Shell, trained: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(trained.parent / "red.png")
    code, _, err = shell("predict", str(trained), str(trained.parent / "red.png"))
    assert code == 0
    assert "red.png is in color, and the network takes one channel" in err


@pytest.mark.slow
def test_evaluate_prints_the_score_of_the_test_images(shell: Shell, trained: Path) -> None:
    from archzoo.data import load
    from archzoo.training import evaluate

    splits = load("digits", side=32)
    file = load_trained(trained)
    assert file.prepared is not None
    expected = evaluate(file.net, splits.test, file.prepared)
    code, out, _ = shell("evaluate", str(trained), "--data", "digits", "--format", "json")
    score = json.loads(out)
    assert code == 0
    assert (score["images"], score["top1"]) == (359, expected.top1)
    assert score["confusion"] == expected.confusion.tolist()
    rows = list(csv.DictReader(io.StringIO(shell("evaluate", str(trained), "--data", "digits", "--format", "csv")[1])))
    assert sum(int(row["images"]) for row in rows) == 359
    assert sum(int(row["correct"]) for row in rows) == round(359 * expected.top1)
    out = shell("evaluate", str(trained), "--data", "digits", "--split", "all")[1]
    assert out.splitlines()[-1].startswith("digits, all: ")
    assert " on 1,797 images, " in out


def test_a_file_that_says_less_is_refused_or_prepared_by_the_recipe(shell: Shell, tmp_path: Path) -> None:
    net = archzoo.build("lenet5_textbook")
    save(net, tmp_path / "plain.safetensors", "lenet5_textbook")
    code, _, err = shell("evaluate", str(tmp_path / "plain.safetensors"), "--data", "digits")
    assert code == 0
    assert "the file does not say how images are prepared: as recipe digits does" in err
    code, _, err = shell("predict", str(tmp_path / "plain.safetensors"), "any.png")
    assert code == 2
    assert "does not say how its images are prepared" in err
    torch.save(net.state_dict(), tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match="does not say which network it is"):
        load_trained(tmp_path / "plain.pth")


def test_a_file_is_described_and_profiled(shell: Shell, trained: Path) -> None:
    code, out, _ = shell("info", str(trained))
    assert code == 0
    for text in ("lenet5_textbook in_channels=1 num_classes=10", "61,706 elements", "10: 0, 1, 2,", "Normalize()"):
        assert text in out
    code, out, _ = shell("profile", str(trained), "--depth", "0", "--format", "csv", "--columns", "params")
    assert (code, out.splitlines()[1]) == (0, f"{trained},61706")
