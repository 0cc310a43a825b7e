"""Feature maps by name, and features of a folder of images."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

import archzoo
from archzoo.data import read_image
from archzoo.errors import DataError, TransferError, UnknownPart
from archzoo.transfer import extract_features, feature_maps

HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


def test_maps_come_by_name_as_the_parts_returned_them() -> None:
    net = archzoo.build("resnet20").eval()
    images = torch.randn(2, 3, 32, 32)
    maps = feature_maps(net, images, ["features.bn1", "features.conv3_x", "classifier.pool"])
    expected = net.features[1](net.features[0](images))  # type: ignore[index]
    assert torch.equal(maps["features.bn1"], expected)  # although the ReLU behind it writes in place
    assert maps["features.conv3_x"].shape == (2, 32, 16, 16)
    assert torch.equal(maps["classifier.pool"].flatten(1), net.features(images).mean((2, 3)))
    assert not any(module._forward_hooks for module in net.modules())
    with pytest.raises(UnknownPart):
        feature_maps(net, images, ["nothing"])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "inner").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "inner/c.png")):
        Image.new("RGB", (40 + number, 50), (60 * number, 100, 200)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def test_features_of_a_folder_are_those_of_its_images(images: Path, tmp_path: Path) -> None:
    net = archzoo.build("resnet20").train()
    target = tmp_path / "features.safetensors"
    kept = extract_features(net, images, target, size=(3, 32, 32), batch_size=2, **HALF)  # type: ignore[arg-type]
    assert [path.name for path in kept] == ["a.png", "b.jpg", "c.png"]
    assert net.training
    with safe_open(target, "pt") as file:
        rows = file.get_tensor("features")
        assert json.loads(file.metadata()["files"]) == ["a.png", "b.jpg", "inner/c.png"]
    batch = torch.stack([(read_image(path, (3, 32, 32)) - 0.5) / 0.5 for path in kept])
    with torch.no_grad():
        assert torch.allclose(rows, net.eval().features(batch).mean((2, 3)), atol=1e-6)


def test_a_corrupt_image_is_named_or_skipped(images: Path, tmp_path: Path) -> None:
    (images / "b.jpg").write_bytes((images / "b.jpg").read_bytes()[:30])
    net, target = archzoo.build("resnet20"), tmp_path / "features.safetensors"
    with pytest.raises(DataError, match=r"b\.jpg is corrupt or not an image .*on_corrupt='skip' leaves it out"):
        extract_features(net, images, target, size=(3, 32, 32), **HALF)  # type: ignore[arg-type]
    assert not target.exists()
    with pytest.warns(UserWarning, match=r"skipped .*b\.jpg"):
        kept = extract_features(net, images, target, size=(3, 32, 32), on_corrupt="skip", **HALF)  # type: ignore[arg-type]
    assert [path.name for path in kept] == ["a.png", "c.png"]
    with pytest.raises(DataError, match="has no images"):
        extract_features(net, tmp_path / "empty", target, size=(3, 32, 32), **HALF)  # type: ignore[arg-type]


def test_an_image_is_read_in_gray_or_color_from_0_to_1(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 5), (255, 0, 255, 255)).save(tmp_path / "p.png")
    color, gray = (read_image(tmp_path / "p.png", (channels, 4, 4)) for channels in (3, 1))
    assert torch.equal(color, torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1).expand(3, 4, 4))
    assert gray.shape == (1, 4, 4)
    assert 0 < gray[0, 0, 0] < 1


def test_a_part_without_maps_is_refused() -> None:
    net = archzoo.build("fractalnet", columns=2).eval()
    with pytest.raises(TransferError, match="features.blocks.block1.fractal returned no feature maps"):
        feature_maps(net, torch.randn(1, 3, 32, 32), ["features.blocks.block1.fractal"])


def test_features_are_refused_before_any_work_where_they_could_not_be_written(images: Path, tmp_path: Path) -> None:
    net, size = archzoo.build("resnet20"), (3, 32, 32)
    with pytest.raises(TransferError, match="none is not a directory"):
        extract_features(net, images, tmp_path / "none" / "f", size=size, **HALF)  # type: ignore[arg-type]
    with pytest.raises(TransferError, match="batch_size must be at least 1, not 0"):
        extract_features(net, images, tmp_path / "f", size=size, batch_size=0, **HALF)  # type: ignore[arg-type]
    with pytest.raises(TransferError, match="mean and std must have 1 values, one a channel, not 3 and 3"):
        extract_features(net, images, tmp_path / "f", size=(1, 32, 32), **HALF)  # type: ignore[arg-type]


def test_every_part_is_left_in_its_own_mode(images: Path, tmp_path: Path) -> None:
    net = archzoo.build("resnet20").train()
    net.classifier.eval()
    extract_features(net, images, tmp_path / "f", size=(3, 32, 32), **HALF)  # type: ignore[arg-type]
    assert net.features.training
    assert not net.classifier.training


def test_a_header_that_breaks_off_is_named_too(images: Path, tmp_path: Path) -> None:
    content = (images / "a.png").read_bytes()
    (images / "a.png").write_bytes(content[:8] + (5).to_bytes(4, "big") + content[12:])  # a header of 5 bytes
    with pytest.raises(DataError, match=r"a\.png is corrupt or not an image"):
        extract_features(
            archzoo.build("resnet20"),
            images,
            tmp_path / "f",
            size=(3, 32, 32),
            **HALF,  # type: ignore[arg-type]
        )
