"""Images that stay encoded: the bytes that decoding them in full gives, but less decoded, and nothing kept of it."""

import io
import os
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import archzoo
from archzoo.data import EpochBatches, ImageSet, Pipeline, Prepared, Splits, load, load_batches, prepare
from archzoo.data import _decoding as decoding
from archzoo.data import _fitting as fitting
from archzoo.data import _hub as hub
from archzoo.data import _scanning as scanning
from archzoo.data._conversion import Conversion
from archzoo.data._decoding import choose_scale, decode
from archzoo.data._encoded import EncodedImageSet
from archzoo.data._files import read
from archzoo.data._fitting import channel_statistics
from archzoo.data._packing import reduce_image
from archzoo.data._reading import read_pixels
from archzoo.data._small import SMALL_SIDE
from archzoo.data._views import View
from archzoo.errors import DataError
from archzoo.recipes import (
    CenterCrop,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    SingleCrop,
    TenCrop,
    Transform,
)
from archzoo.training import RunConfig, evaluate, run
from archzoo.transfer._predictions import draw_predictions
from archzoo.transfer._probing import compute_features

Image = pytest.importorskip("PIL.Image")
COLOR, GRAY = Conversion(3), Conversion(1)
CONSTANTS = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def photographs() -> list[Any]:
    return [Image.fromarray(pixels) for pixels in pytest.importorskip("sklearn.datasets").load_sample_images().images]


def jpeg(image: Any, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **settings)
    return file.getvalue()


def age(root: Path) -> None:
    """Let all folders look as if they were left alone for a minute, so that a scan of them is kept."""
    before = time.time() - 60
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        os.utime(folder, (before, before))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Parts of photographs in several sizes and formats: 24 of two classes."""
    root, sources = tmp_path / "photographs", photographs()
    for number in range(24):
        part = sources[number % 2].resize((90 + number, 80), box=(number, 2 * number, 500 + number, 300 + 2 * number))
        suffix = "png" if number % 7 == 3 else "jpg"
        file = root / "ab"[number % 2] / f"{number:02}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        (part.convert("L") if number == 5 else part).save(file, quality=85)
    age(root)
    return root


def decoded(images: ImageSet) -> ImageSet:
    """The same images, decoded in full by Pillow."""
    assert isinstance(images, EncodedImageSet)
    source = images.source
    pixels = [read_pixels(io.BytesIO(read(source, number)), COLOR) for number in images.offsets.tolist()]
    lengths = torch.tensor([image.numel() for image in pixels])
    sizes = torch.tensor([image.shape[:2] for image in pixels])
    flat = torch.cat([image.flatten() for image in pixels])
    return ImageSet(images.name, flat, lengths.cumsum(0) - lengths, sizes, images.labels, images.classes, 3)


@pytest.fixture(params=["simplejpeg", "Pillow"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either decoder of JPEGs."""
    if request.param == "Pillow":
        monkeypatch.setattr(decoding, "load_simplejpeg", lambda: None)
    else:
        pytest.importorskip("simplejpeg")
    return str(request.param)


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps",
    [
        (RandomResizedCrop(32), RandomHorizontalFlip()),
        (Resize(40, 60), RandomCrop(32), RandomHorizontalFlip()),
        (Resize(48), CenterCrop(32)),
        (RandomCrop(64), RandomHorizontalFlip()),
    ],
    ids=str,
)
def test_batches_are_those_of_the_decoded_images_to_the_bit(
    folder: Path, library: str, steps: tuple[Transform, ...]
) -> None:
    images = load(folder).train
    assert images.is_encoded
    ours, theirs = (EpochBatches(part, Pipeline(steps), 5, seed=1, epoch=2) for part in (images, decoded(images)))
    assert len(ours) == 3
    for step in range(3):
        assert torch.equal(ours[step].images, theirs[step].images)
        assert torch.equal(ours[step].labels, theirs[step].labels)


def same_view(view: View, height: int, width: int) -> View:
    return view


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [1, 3])
def test_both_decoders_give_the_same_bytes(mode: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("simplejpeg")
    settings = [{"quality": 60}, {"quality": 95, "subsampling": 0}, {"quality": 80, "progressive": True}]
    images = [photographs()[0].resize(size).convert(mode) for size in ((75, 51), (17, 64))]
    encoded = [jpeg(image, **setting) for setting in settings for image in images]
    views = [None, *(View((0, 0, 51, 17), (51 // scale, 17 // scale)) for scale in (2, 4, 8))]
    both = []
    for simplejpeg in (decoding.load_simplejpeg(), None):
        monkeypatch.setattr(decoding, "load_simplejpeg", lambda module=simplejpeg: module)
        both.append(
            [
                decode(data, Conversion(channels), None if view is None else partial(same_view, view))
                for data in encoded
                for view in views
            ]
        )
    assert all(torch.equal(first, second) for first, second in zip(*both, strict=True))


def test_a_reduced_jpeg_is_within_two_gray_levels_of_exact_resizing(library: str) -> None:
    """Of 255, on average over any view of a photograph; exact is full decoding and antialiased bilinear resizing."""
    draw, reduced = torch.Generator().manual_seed(0), 0
    for photograph in photographs():
        data = jpeg(photograph, quality=90)
        whole = read_pixels(io.BytesIO(data), COLOR).permute(2, 0, 1)
        for _ in range(20):
            height, width = (int(torch.randint(100, most, (), generator=draw)) for most in whole.shape[1:])
            top = int(torch.randint(0, whole.shape[1] - height, (), generator=draw))
            left = int(torch.randint(0, whole.shape[2] - width, (), generator=draw))
            view = View((top, left, height, width), (32, 40))
            reduced += choose_scale(view) > 1
            part = whole[:, top : top + height, left : left + width].unsqueeze(0)
            exact = F.interpolate(part, view.size, mode="bilinear", antialias=True)[0]
            error = (decode(data, COLOR, partial(same_view, view)).float() - exact.float()).abs()
            assert error.mean() < 2
    assert reduced > 10


@pytest.mark.parametrize("left", [0, 3, 61, 126])
def test_a_reduced_view_begins_where_it_was_drawn(left: int, library: str) -> None:
    """Of a ramp that has one gray level more in each column, position i of n shows its place in the box."""
    ramp = torch.arange(256, dtype=torch.uint8).repeat(256, 1)
    data = jpeg(Image.fromarray(ramp.numpy()), quality=100)
    view = View((left, left, 130, 130), (16, 16))
    assert choose_scale(view) == 4
    row = decode(data, GRAY, partial(same_view, view))[0, 8].float()
    expected = left - 0.5 + (torch.arange(16) + 0.5) * 130 / 16
    assert (row - expected)[1:-1].abs().max() < 1.01
    assert (row - expected).abs().max() < 2.5  # at an edge the filter is cut off


def test_what_a_jpeg_decoder_cannot_do_is_done_by_pillow(tmp_path: Path) -> None:
    photograph = photographs()[0].resize((60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right side
    turned = decode(jpeg(photograph, exif=exif, quality=100, subsampling=0), COLOR)
    upright = decode(jpeg(photograph, quality=100, subsampling=0), COLOR)
    assert torch.equal(turned, upright.rot90(-1, (1, 2)))
    exif[0x0112] = 1
    assert torch.equal(decode(jpeg(photograph, exif=exif, quality=100, subsampling=0), COLOR), upright)
    inks = photograph.convert("CMYK")
    assert (decode(jpeg(inks, quality=100), COLOR).float() - upright.float()).abs().mean() < 4
    assert decode(jpeg(photograph), GRAY).shape == (1, 40, 60)


def test_a_folder_takes_no_room_and_is_scanned_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(folder)
    cache = folder.parent / "cache"
    assert sum(file.stat().st_size for file in cache.rglob("*")) < 5000
    monkeypatch.setattr(scanning, "_scan", lambda *_: pytest.fail("scanned again"))
    assert load(folder).train.digest() == before.train.digest()


@pytest.mark.parametrize("change", ["add", "replace", "delete"])
def test_a_folder_that_changed_is_scanned_again(folder: Path, change: str) -> None:
    before = [part.digest() for part in vars(load(folder)).values()]
    file = folder / "a" / "00.jpg"
    if change == "add":
        shutil.copy(file, folder / "b" / "new.jpg")
    elif change == "replace":
        photographs()[0].resize((200, 200)).save(file)
    else:
        file.unlink()
    splits = load(folder)
    assert sum(map(len, vars(splits).values())) == 24 + {"add": 1, "replace": 0, "delete": -1}[change]
    assert [part.digest() for part in vars(splits).values()] != before


def test_a_file_that_changes_after_the_scan_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "CHECKED", 2)  # the files of a large folder are not all compared at the start
    load(folder)
    file = folder / "a" / "02.jpg"
    photographs()[0].resize((200, 200)).save(file)
    images = load(folder)
    with pytest.raises(DataError, match=r"02.jpg is corrupt .*changed after its folder was scanned: run again"):
        [part.take(torch.arange(len(part))) for part in vars(images).values()]
    sizes = [image.shape for part in vars(load(folder)).values() for image in part.take(torch.arange(len(part)))]
    assert (3, 200, 200) in sizes


def test_a_file_that_is_deleted_during_an_epoch_is_left_out_by_choice(folder: Path) -> None:
    images = load(folder, on_corrupt="skip").train
    epoch = EpochBatches(images, Pipeline((RandomResizedCrop(32),)), 5, seed=0, epoch=0)
    before = epoch[0]
    assert isinstance(images, EncodedImageSet)
    Path(images.source.name(int(images.offsets[epoch.indices(0)[0]]))).unlink()
    with pytest.warns(UserWarning, match="was deleted or changed after its folder was scanned"):
        assert torch.equal(epoch[0].images, before.images[1:])


def damage(folder: Path, images: ImageSet, index: int) -> str:
    """Cut off half of an image's file, and let the scan know; return its name."""
    assert isinstance(images, EncodedImageSet)
    name = images.source.name(int(images.offsets[index]))
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: len(content) // 2])
    return name


def test_a_corrupt_image_in_an_epoch_is_named_or_left_out_and_changes_no_other(folder: Path) -> None:
    images = load(folder).train
    pipeline = Pipeline((RandomResizedCrop(32), RandomHorizontalFlip()))
    before = EpochBatches(images, pipeline, 5, seed=0, epoch=0)
    batches = [before[step] for step in range(len(before))]
    bad = int(before.indices(1)[2])
    name = damage(folder, images, bad)
    with pytest.raises(DataError, match=rf"{Path(name).name} is corrupt or not an image .*on_corrupt='skip'"):
        EpochBatches(load(folder).train, pipeline, 5, seed=0, epoch=0)[1]
    after = EpochBatches(load(folder, on_corrupt="skip").train, pipeline, 5, seed=0, epoch=0)
    with pytest.warns(UserWarning, match=rf"skipped .*{Path(name).name}, which is corrupt"):
        short = after[1]
    kept = [0, 1, 3, 4]
    assert torch.equal(short.images, batches[1].images[kept])
    assert torch.equal(short.labels, batches[1].labels[kept])
    assert short.global_size == 5
    for step in (0, 2):
        assert torch.equal(after[step].images, batches[step].images)


def test_a_batch_of_corrupt_images_alone_raises_an_error(folder: Path) -> None:
    images = load(folder, on_corrupt="skip").train
    for index in range(len(images)):
        damage(folder, images, index)
    images = load(folder, on_corrupt="skip").train
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(DataError, match="every image of a batch of photographs"),
    ):
        EpochBatches(images, Pipeline((RandomResizedCrop(32),)), 2, 0, 0)[0]


def test_worker_processes_and_a_later_start_change_nothing(folder: Path) -> None:
    epoch = EpochBatches(load(folder).train, Pipeline((RandomResizedCrop(32),)), 5, 0, 0)
    single, parallel = list(load_batches(epoch)), list(load_batches(epoch, 1, workers=2))
    assert [len(single), len(parallel)] == [3, 2]
    assert all(torch.equal(batch.images, other.images) for batch, other in zip(single[1:], parallel, strict=True))


@pytest.fixture
def one_corrupt(folder: Path) -> Splits:
    """The splits of a folder of which one test image is corrupt and left out."""
    damage(folder, load(folder).test, 1)
    return load(folder, on_corrupt="skip")


def prepared_for(images: ImageSet) -> Prepared:
    return prepare((RandomResizedCrop(),), Normalize(), images, 32, CONSTANTS)


@pytest.mark.filterwarnings("ignore:archzoo. skipped")
def test_a_corrupt_image_is_left_out_of_evaluation_features_and_drawings(one_corrupt: Splits, tmp_path: Path) -> None:
    net = archzoo.build("resnet20", num_classes=2).eval()
    images, prepared = one_corrupt.test, prepared_for(one_corrupt.train)
    for protocol in (SingleCrop(), TenCrop()):
        assert evaluate(net, images, prepared, protocol=protocol, batch_size=2).images == len(images) - 1
    assert len(compute_features(net.features, images, prepared, "cpu", 2)) == len(images) - 1
    draw_predictions(net, images, prepared, tmp_path / "grid.png", columns=4, rows=2)
    assert (tmp_path / "grid.png").is_file()


def test_worker_processes_evaluate_the_same(folder: Path) -> None:
    splits = load(folder)
    net, prepared = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), prepared_for(splits.train)
    single, parallel = (evaluate(net, splits.train, prepared, batch_size=4, workers=count) for count in (0, 2))
    assert torch.equal(single.confusion, parallel.confusion)
    assert single.loss == parallel.loss


def test_statistics_of_many_encoded_images_are_those_of_a_sample(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load(folder).train
    reference = decoded(images)
    assert channel_statistics(images) == channel_statistics(reference)
    monkeypatch.setattr(fitting, "SAMPLED", 3)
    first, middle, last = 0, (len(images) - 1) // 2, len(images) - 1
    assert channel_statistics(images) == channel_statistics(reference.subset(torch.tensor([first, middle, last])))


def test_a_packed_folder_has_the_original_bytes_and_no_more(folder: Path) -> None:
    files, packed = load(folder), load(folder, pack=True)
    for original, copy in zip(vars(files).values(), vars(packed).values(), strict=True):
        assert isinstance(original, EncodedImageSet)
        assert isinstance(copy, EncodedImageSet)
        for number in original.offsets.tolist():
            assert original.source.find(number) == copy.source.find(number)
            assert original.source.name(number) == copy.source.name(number)
        assert torch.equal(original.labels, copy.labels)
    size = sum(path.stat().st_size for path in folder.rglob("*.*"))
    kept = next((folder.parent / "cache").glob("*/images.bin"))
    assert kept.stat().st_size == size
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(DataError, match="images.bin was deleted or truncated"):
        packed.train.check_file()
    with pytest.raises(DataError, match="is corrupt .*: delete it to pack the dataset again"):
        load(folder, pack=True)


def test_larger_images_are_encoded_again_on_request(folder: Path) -> None:
    file = folder / "a" / "00.jpg"
    photographs()[0].save(file)
    splits = load(folder, shorter_side=80)
    sizes = [min(image.shape[1:]) for part in vars(splits).values() for image in part.take(torch.arange(len(part)))]
    assert set(sizes) == {80}
    data = (folder / "a" / "02.jpg").read_bytes()
    assert reduce_image(data, COLOR, 80) is data
    reduced = decode(reduce_image(jpeg(photographs()[0], quality=95), COLOR, 100), COLOR)
    exact = photographs()[0].resize(tuple(reduced.shape[:0:-1]), Image.Resampling.BICUBIC)
    expected = torch.frombuffer(bytearray(exact.tobytes()), dtype=torch.uint8).view(*reduced.shape[1:], 3)
    assert (reduced.permute(1, 2, 0).float() - expected.float()).abs().mean() < 4
    with pytest.raises(DataError, match="shorter_side must be at least 1 pixel, and whole, not 0"):
        load(folder, shorter_side=0)


def test_small_images_of_several_sizes_stay_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "stamps"
    for number in range(20):
        side = 8 if number != 13 else 9
        file = root / "ab"[number % 2] / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side)).save(file)
    monkeypatch.setattr("archzoo.data._small.SAMPLED", 4)  # of which the odd one is not
    assert load(root).train.is_encoded
    Image.new("RGB", (8, 8)).save(root / "b" / "13.png")
    assert load(root).train.size == (8, 8)
    for file in root.rglob("*.png"):
        Image.new("RGB", (SMALL_SIDE + 1, 8)).save(file)
    assert load(root).train.is_encoded


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_large_images_of_the_hub_are_packed_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    encoded = [jpeg(photographs()[0].resize((80 + number, 70))) for number in range(20)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    columns = {"image": [{"bytes": data, "path": None} for data in encoded], "label": [n % 2 for n in range(20)]}
    (tmp_path / "pets").mkdir()
    for split in ("train", "test"):
        datasets.Dataset.from_dict(columns, features).to_parquet(str(tmp_path / "pets" / f"{split}.parquet"))
    test = load(f"hub:{tmp_path / 'pets'}").test
    assert isinstance(test, EncodedImageSet)
    assert [test.source.find(number) for number in range(20)] == encoded
    assert test.source.name(3) == "image 3 of pets's test"
    monkeypatch.setattr(hub, "_load_rows", lambda *_: pytest.fail("loaded again"))
    assert load(f"hub:{tmp_path / 'pets'}", on_corrupt="skip").test.digest() == test.digest()


def test_channels_are_those_that_the_network_takes(folder: Path) -> None:
    grays = load(folder, channels=1)
    assert {image.shape[0] for image in grays.test.take(torch.arange(len(grays.test)))} == {1}
    with pytest.raises(DataError, match="images are read with 1 or 3 channels, not 4"):
        load(folder, channels=4)


def test_classes_are_selected_and_the_digest_does_not_depend_on_the_place(folder: Path, tmp_path: Path) -> None:
    images = load(folder).train
    selected = images.select_classes([1])
    assert selected.classes == ("b",)
    assert len(selected) == int((images.labels == 1).sum())
    copy = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, copy)
    assert load(copy).train.digest() == images.digest()
    assert replace(images, classes=("a", "c")).digest() != images.digest()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:archzoo. skipped")
def test_a_run_that_met_a_corrupt_image_goes_on_without_it(folder: Path, tmp_path: Path) -> None:
    changes = {"epochs": 2, "batch_size": 4, "augmentation": (RandomResizedCrop(),)}
    arguments: dict[str, Any] = {"data": folder, "changes": changes, "config": RunConfig(seed=3), "log": print}
    arguments |= {"run_dir": tmp_path / "run", "device": "cpu"}
    damage(folder, load(folder).train, 3)
    with pytest.raises(DataError, match="is corrupt or not an image"):
        run("resnet20", **arguments)
    result = run("resnet20", **arguments, on_corrupt="skip")
    assert len(result.history) == 2


def test_take_of_encoded_images_says_how_many_are_corrupt(folder: Path) -> None:
    damage(folder, load(folder).test, 0)
    test = load(folder, on_corrupt="skip").test
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(DataError, match="1 of these images .* corrupt"):
        test.take(torch.arange(2))
    with pytest.warns(UserWarning, match="skipped"):
        assert len(test.readable()) == len(test) - 1
