"""Backbones and transforms beside those of timm and torchvision."""

from typing import Any

import pytest
import torch
from PIL import Image

import archzoo
from archzoo.errors import BadOption, DataError
from archzoo.weights import PUBLISHED, PublishedWeights, Transform, transform
from archzoo.weights._transforms import transform_of
from tests.networks import EVERY_NET
from tests.peers.witnesses import installed, theirs

SETS = {
    library: [published for published in PUBLISHED if published.library == library]
    for library in ("torchvision", "timm")
}


def torchvision_sets() -> dict[str, Any]:
    """Every set of torchvision by its URL."""
    models = installed("torchvision").models
    enums = [models.get_model_weights(name) for name in models.list_models(module=models)]
    return {weights.url: weights for enum in enums for weights in enum}


@pytest.mark.slow
def test_a_transform_is_torchvisions_for_every_set_of_it() -> None:
    sets = torchvision_sets()
    for published in SETS["torchvision"]:
        prepare, other = transform_of(published), sets[published.url].transforms()
        assert [prepare.shorter_side] == other.resize_size
        assert list(prepare.crop) == other.crop_size * 2
        assert prepare.interpolation == other.interpolation.value
        if published.network not in ("googlenet_bn", "inception_v3"):  # they convert images in their first layers
            assert (prepare.mean, prepare.std) == (tuple(other.mean), tuple(other.std))


@pytest.mark.slow
def test_a_transform_is_timms_for_every_set_of_it() -> None:
    timm = installed("timm")
    for published in SETS["timm"]:
        config = timm.get_pretrained_cfg(published.tag).to_dict()
        side = int(config["input_size"][1] / config["crop_pct"])
        expected = (side, config["input_size"][1:], config["interpolation"], config["mean"], config["std"])
        prepare = transform_of(published)
        ours = (prepare.shorter_side, prepare.crop, prepare.interpolation, prepare.mean, prepare.std)
        assert ours == expected, published.tag


@pytest.mark.slow
@pytest.mark.parametrize(("size", "mode"), [((300, 400), "RGB"), ((640, 233), "RGB"), ((500, 500), "L")])
def test_the_images_are_torchvisions(size: tuple[int, int], mode: str) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (12, 16, 3), generator=generator, dtype=torch.uint8).numpy()
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)
    published = next(candidate for candidate in SETS["torchvision"] if candidate.tag == "IMAGENET1K_V2")
    expected = torchvision_sets()[published.url].transforms()(image.convert("RGB"))
    ours = transform_of(published)(image)
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() < 1.01 / 255 / 0.224  # one step of a byte


def test_a_transform_takes_paths_images_and_tensors(tmp_path: Any) -> None:
    prepare = transform("resnet18", "torchvision")
    pixels = torch.randint(256, (3, 240, 260), dtype=torch.uint8)
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    image.save(tmp_path / "image.png")
    expected = prepare(pixels)
    for same in (image, tmp_path / "image.png", str(tmp_path / "image.png")):
        assert torch.equal(prepare(same), expected)
    assert torch.equal(prepare(torch.stack([pixels, pixels]))[1], expected)
    assert (prepare(pixels / 255) - expected).abs().max() < 0.05
    with pytest.raises(DataError, match=r"must be \(3, h, w\), or a batch .* not a tensor of shape \(1, 240, 260\)"):
        prepare(pixels[:1])
    with pytest.raises(DataError, match="of bytes, or of floats from 0 to 1, not of torch.int64"):
        prepare(pixels.long())
    with pytest.raises(BadOption, match="has no weights"):
        transform("resnet20", "torchvision")


def test_a_set_with_blue_first_gets_blue_first() -> None:
    """OpenMMLab's means are of bytes: blue 103.53, green 116.28, red 123.675, and the deviation is 1."""
    prepare = transform("resnet50", "openmmlab")
    assert prepare.channels == "BGR"
    image = torch.zeros(3, 224, 224, dtype=torch.uint8)
    image[0] = 200  # red
    prepared = prepare(image)[:, 0, 0]
    assert torch.allclose(prepared, torch.tensor([-103.53, -116.28, 200 - 123.675]), atol=1e-3)


def test_small_images_are_not_cropped() -> None:
    prepare = transform("resnet20", "chenyaofo")
    assert (prepare.shorter_side, prepare.crop) == (32, (32, 32))
    image = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    expected = (1 - torch.tensor(prepare.mean)) / torch.tensor(prepare.std)
    assert torch.allclose(prepare(image)[:, 5, 7], expected)


def test_every_set_has_a_transform_of_its_input_size() -> None:
    for published in PUBLISHED:
        prepare = transform_of(published)
        assert isinstance(prepare, Transform)
        assert isinstance(published, PublishedWeights)
        assert prepare.crop == published.input_size[1:]
        assert prepare.shorter_side >= prepare.crop[0]


QUICK: list[tuple[str, str, dict[str, Any]]] = [("resnet18", "resnet18", {"option": "B"}), ("vgg16", "vgg_d", {})]
LONG: list[tuple[str, str, dict[str, Any]]] = [
    ("resnet50", "resnet50_v1_5", {}),
    ("wide_resnet50_2", "wide_resnet50_2", {}),
    ("resnext50_32x4d", "resnext50_32x4d", {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ours", "options"), QUICK + (LONG if EVERY_NET else []))
def test_a_backbone_has_the_stages_of_timms(name: str, ours: str, options: dict[str, Any]) -> None:
    with torch.device("meta"):
        other = installed("timm").create_model(name, pretrained=False, features_only=True)
    backbone = archzoo.build(ours, device="meta", **options).eval().backbone()
    assert list(backbone.channels) == other.feature_info.channels()
    assert list(backbone.strides) == other.feature_info.reduction()
    assert [maps.shape[1] for maps in backbone(torch.empty(1, 3, 64, 64, device="meta"))] == list(backbone.channels)


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="networks of other libraries are slow on the meta device")
@pytest.mark.parametrize(("name", "ours"), [("resnet50", "resnet50_v1_5"), ("vgg16", "vgg_d"), ("densenet121",) * 2])
def test_without_classes_a_network_returns_as_many_features_as_timms(name: str, ours: str) -> None:
    with torch.device("meta"):
        other = installed("timm").create_model(name, pretrained=False, num_classes=0).eval()
    net = archzoo.build(ours, num_classes=0, device="meta").eval()
    images = torch.empty(1, 3, 224, 224, device="meta")
    assert net(images).shape == other(images).shape
    whole: Any = theirs("timm", name).eval()
    assert net.forward_features(images).shape[2:] == whole.forward_features(images).shape[2:]
