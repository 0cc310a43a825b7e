"""The sets that sources publish: what they need, how they are fetched, and the real files where they are at hand."""

import csv
import hashlib
import os
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import BadOption, WeightsError
from archzoo.weights import PUBLISHED, PublishedWeights, _guarding, convert, identify, normalization
from archzoo.weights import _published as published
from archzoo.weights._archives import cached_member
from archzoo.weights._libraries import names_in
from archzoo.weights._published import choose
from archzoo.weights._reading import read_state
from tests.networks import EVERY_NET
from tests.peers.witnesses import theirs
from tests.shell import Shell
from tests.sources import residual
from tests.sources.test_sources import empty, randomized, row_of

SETS = [weights for weights in PUBLISHED if weights.library not in ("torchvision", "timm")]
DEEP = (
    *("110", "1202", "101", "152", "164", "154", "vgg"),
    *("densenet1", "densenet2", "depth100", "pyramidnet2", "ception"),
)
# Of those for one network with the same options and classes the first, and no deep ones: all with EVERY_NET=1.
FIRST = {(w.library, w.network, str(w.options)): w for w in reversed(SETS) if not any(deep in w.tag for deep in DEEP)}
DIFFERENT = SETS if EVERY_NET else list(FIRST.values())
CHECKPOINTS = Path(os.environ.get("CHECKPOINTS", Path(__file__).parents[3] / "shared" / "checkpoints"))


def find_set(name: str) -> PublishedWeights:
    [weights] = [weights for weights in SETS if weights.name == name]
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("weights", DIFFERENT, ids=lambda weights: weights.name)
def test_a_set_fits_the_network_that_it_is_for(weights: PublishedWeights) -> None:
    """The network has tensors that the source names, and as many classes as the data."""
    entry = archzoo.find(weights.network)
    net = archzoo.build(entry.name, device="meta", **weights.options)
    assert len(set(names_in(weights.library, entry.family).of(net).values())) >= 16  # AlexNet's
    assert net(torch.empty(1, *weights.input_size, device="meta")).shape == (1, weights.num_classes)
    assert choose(entry, weights.name, {}) == weights


def test_names_of_sets_are_unique_and_their_files_too() -> None:
    assert len({weights.name for weights in SETS}) == len(SETS)
    assert len({weights.file_name for weights in SETS}) == len(SETS)
    assert all(weights.url.startswith("https://") for weights in SETS)
    assert all(weights.printed for weights in SETS if weights.library != "openmmlab")


def test_what_is_said_of_pytorchcvs_sets_is_in_its_table() -> None:
    spec = find_spec("pytorchcv")
    if spec is None or spec.origin is None:
        pytest.skip("pytorchcv is not installed")
    table = Path(spec.origin).parent / "models" / "common" / "model_metainfos.csv"
    rows = {row["model_name"]: row for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())}
    of_pytorchcv = [weights for weights in SETS if weights.library == "pytorchcv"]
    assert len(of_pytorchcv) > 60
    for weights in of_pytorchcv:
        row = rows[weights.tag]
        file = f"{weights.tag}-{row['error_value']}-{row['checksum'][:8]}.pth"
        assert weights.url.endswith(f"/{row['repo_release_tag']}/{file}.zip")
        assert weights.sha1 == row["checksum"]
        assert weights.printed.endswith(f"error {int(row['error_value']) / 100:.2f} %")
        assert row["repo_release_tag"].startswith("v0.0.")
        net = archzoo.build(weights.network, device="meta", **weights.options) if EVERY_NET else None
        assert net is None or sum(p.numel() for p in net.parameters()) == int(row["net_weights"])


@pytest.mark.parametrize("tag", ["xception", "inceptionv3", "inceptionv4", "inceptionresnetv2", "bninception"])
def test_inceptions_of_pytorchcv_take_images_of_299_pixels_but_for_the_first(tag: str) -> None:
    """As their ``in_size`` says."""
    side = 224 if tag == "bninception" else 299
    assert find_set(f"pytorchcv:{tag}").input_size == (3, side, side)


OF_PYTORCHCV = [weights for weights in SETS if weights.library == "pytorchcv"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "weights",
    [weights for weights in OF_PYTORCHCV if EVERY_NET or weights.tag in ("resnet20_svhn", "wrn16_10_cifar100")],
    ids=lambda weights: weights.tag,
)
def test_pytorchcv_itself_has_the_tensors_that_are_named(weights: PublishedWeights) -> None:
    entry = archzoo.find(weights.network)
    net = archzoo.build(entry.name, device="meta", **weights.options)
    renamed = names_in("pytorchcv", entry.family).to_theirs(net, net.state_dict())
    other = theirs("pytorchcv", weights.tag)
    assert weights.input_size[1:] == other.in_size
    expected = other.state_dict()
    assert {name: t.shape for name, t in renamed.items()} == {name: t.shape for name, t in expected.items()}


@pytest.mark.parametrize(
    ("network", "asked", "given", "expected"),
    [
        ("resnet20", "chenyaofo", {}, "chenyaofo:cifar10_resnet20"),
        ("resnet20", "chenyaofo", {"num_classes": 100}, "chenyaofo:cifar100_resnet20"),
        ("resnet20", "chenyaofo", {"num_classes": 7}, "chenyaofo:cifar10_resnet20"),
        ("resnet56", "akamaster:resnet56", {}, "akamaster:resnet56"),
        ("resnet50", "pytorchcv", {}, "pytorchcv:resnet50"),
        ("ResNet-50 v1.5", "pytorchcv", {}, "pytorchcv:resnet50b"),
        ("vgg_d", "pytorchcv", {"batch_norm": True}, "pytorchcv:bn_vgg16b"),
        ("densenet_bc", "pytorchcv", {}, "pytorchcv:densenet100_k12_bc_cifar10"),
        (
            "densenet_bc",
            "pytorchcv",
            {"depth": 40, "k": 36, "num_classes": 100},
            "pytorchcv:densenet40_k36_bc_cifar100",
        ),
        ("densenet_bc_190_40", "pytorchcv", {}, "pytorchcv:densenet190_k40_bc_cifar10"),
        ("densenet_bc", "torchdistill", {"num_classes": 100}, "torchdistill:cifar100-densenet_bc_k12_depth100"),
        ("WRN-28-10", "pytorchcv:wrn28_10_svhn", {}, "pytorchcv:wrn28_10_svhn"),
    ],
)
def test_the_set_that_is_meant_is_chosen(network: str, asked: str, given: dict[str, Any], expected: str) -> None:
    assert choose(archzoo.find(network), asked, given).name == expected


def test_a_set_of_another_network_is_refused_with_the_reason() -> None:
    with pytest.raises(BadOption, match="the weights of chenyaofo need option='B', not option='A'"):
        choose(archzoo.find("resnet20"), "chenyaofo", {"option": "A"})
    with pytest.raises(BadOption, match="densenet_bc_40_48 has no weights 'pytorchcv'"):
        choose(archzoo.find("densenet_bc_40_48"), "pytorchcv", {})
    with pytest.raises(BadOption, match="resnet20 has no weights 'xternalz'"):
        choose(archzoo.find("resnet20"), "xternalz", {})


# Git LFS pointers of github.com/onnx/models at b1eeaa1, below validated/vision/classification: SHA-256.
POINTERS = {
    "googlenet-12": "c99c507058eaf41de8723408fdda7db8325cb57f0a89f2ee07a716d6e963e14e",
    "bvlcalexnet-12": "6b0da9510f27f234ee96a85dc3809dd210150fdefad87f6850f9788513216945",
}


@pytest.mark.parametrize("name", POINTERS)
def test_hashes_of_onnx_models_are_those_of_the_zoos_pointers(name: str) -> None:
    assert find_set(f"onnx:{name}").sha256 == POINTERS[name]


def test_images_are_normalized_as_the_source_does() -> None:
    assert normalization("resnet20", "akamaster") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean, std = normalization("resnet50", "openmmlab")
    # (255 x - mean of 255) / 1, for x from 0 to 1, blue first.
    assert [round(255 * value, 3) for value in mean] == [103.53, 116.28, 123.675]
    assert [round(255 * value, 3) for value in std] == [1, 1, 1]
    assert find_set("openmmlab:resnet50_msra").channels == "BGR"


def test_the_command_lists_all_that_is_known_of_a_set(shell: Shell) -> None:
    rows = [line.split("\t") for line in shell("weights", "list")[1].splitlines()]
    assert len(rows) == len(PUBLISHED)
    assert {len(row) for row in rows} == {8}
    assert [row for row in rows if row[1] == "onnx:googlenet-12"] == [
        [
            *("googlenet", "onnx:googlenet-12", "-"),
            "https://huggingface.co/onnxmodelzoo/googlenet-12/resolve/main/googlenet-12.onnx",
            *("imagenet-1k", "top-1 accuracy 67.78 %, top-5 88.34 %"),
            # 103.939, 116.779, 123.68 and 1, of 255.
            "BGR, mean 0.4076 0.458 0.485, deviation 0.003922 0.003922 0.003922",
            "sha256:c99c507058eaf41de8723408fdda7db8325cb57f0a89f2ee07a716d6e963e14e",
        ]
    ]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub" / "checkpoints"


def publish(monkeypatch: pytest.MonkeyPatch, name: str, url: str, **known: str) -> None:
    """The set of this name comes from ``url`` and has these hashes."""
    weights = find_set(name)
    kept = {field: getattr(weights, field) for field in weights.__dataclass_fields__}
    kept |= {"url": url, "sha256": "", "sha1": "", **known}
    monkeypatch.setattr(published, "PUBLISHED", (PublishedWeights(**kept),))


def files_of(path: Path) -> list[str]:
    return sorted(os.listdir(path)) if path.exists() else []


@torch.no_grad()
def test_akamasters_set_computes_what_akamasters_network_does(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = randomized(empty(lambda: residual.Akamaster(3)))
    state = {f"module.{name}": tensor.float() for name, tensor in other.state_dict().items()}
    torch.save({"state_dict": state, "best_prec1": 91.7}, tmp_path / "resnet20.th")
    digest = hashlib.sha256((tmp_path / "resnet20.th").read_bytes()).hexdigest()
    publish(monkeypatch, "akamaster:resnet20", (tmp_path / "resnet20.th").as_uri(), sha256=digest[:8])
    net = archzoo.build("resnet20", weights="akamaster").double().eval()
    other.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    assert (net(images) - other(images)).abs().max() <= 1e-9
    assert "resnet20.th" in files_of(cache)
    with pytest.raises(BadOption, match="option='A', not 'B'|need .*not option='B'"):
        archzoo.build("resnet20", weights="akamaster", option="B")


@pytest.fixture
def zipped(tmp_path: Path) -> tuple[str, str, bytes]:
    """The URL of a zip archive with a file of pytorchcv's resnet20, the SHA-1 of the file, and the file."""
    file = tmp_path / "resnet20_cifar10-0597-9b0024ac.pth"
    torch.save(randomized(residual.PytorchcvResNet((3, 3, 3))).state_dict(), file)
    with zipfile.ZipFile(tmp_path / f"{file.name}.zip", "w") as archive:
        archive.write(file, file.name)
    content = file.read_bytes()
    return (tmp_path / f"{file.name}.zip").as_uri(), hashlib.sha1(content).hexdigest(), content


def test_a_file_in_a_zip_archive_is_unpacked_once_and_checked(
    cache: Path, monkeypatch: pytest.MonkeyPatch, zipped: tuple[str, str, bytes]
) -> None:
    url, sha1, content = zipped
    publish(monkeypatch, "pytorchcv:resnet20_cifar10", url, sha1=sha1)
    net = archzoo.build("resnet20", weights="pytorchcv")
    assert files_of(cache) == ["resnet20_cifar10-0597-9b0024ac.pth"]
    assert (cache / "resnet20_cifar10-0597-9b0024ac.pth").read_bytes() == content
    Path(url.removeprefix("file://")).unlink()  # no second download
    again = archzoo.build("resnet20", weights="pytorchcv").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in net.state_dict().items())
    (cache / "resnet20_cifar10-0597-9b0024ac.pth").write_bytes(content[:-1])
    with pytest.raises(WeightsError, match="is not the published file: its SHA-1 is not.*delete it"):
        archzoo.build("resnet20", weights="pytorchcv")


def test_an_archive_of_something_else_leaves_nothing(zipped: tuple[str, str, bytes], tmp_path: Path) -> None:
    url, sha1, _ = zipped
    name = "resnet20_cifar10-0597-9b0024ac.pth"
    with pytest.raises(WeightsError, match="is not the published file: its SHA-1 is not 000"):
        cached_member(url, name, "0" * 40, tmp_path / "a")
    with pytest.raises(WeightsError, match=r"it is no zip archive of other\.pth"):
        cached_member(url, "other.pth", sha1, tmp_path / "b")
    (tmp_path / "text.zip").write_text("not found")
    with pytest.raises(WeightsError, match="it is no zip archive of x"):
        cached_member((tmp_path / "text.zip").as_uri(), "x", sha1, tmp_path / "c")
    assert [files_of(tmp_path / folder) for folder in "abc"] == [[], [], []]


@pytest.mark.slow
def test_a_set_without_a_classifier_says_so_and_is_not_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_guarding, "FREE", 1 << 30)  # a file of a few kilobytes stands for theirs
    with torch.device("meta"):
        meta = residual.OpenMMLabResNet50().state_dict()
    state = {name: torch.full((), 0.5).expand(tensor.shape) for name, tensor in meta.items() if tensor.dim()}
    torch.save({**state, "conv1.bias": torch.zeros(64)}, tmp_path / "resnet50_msra.pth")
    publish(monkeypatch, "openmmlab:resnet50_msra", (tmp_path / "resnet50_msra.pth").as_uri())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = archzoo.build("resnet50", weights="openmmlab", num_classes=3)
    said = [str(warning.message) for warning in caught]
    assert any("reads the channels of an image in the order BGR" in message for message in said)
    assert any("openmmlab:resnet50_msra has no classifier: it is newly initialized" in message for message in said)
    assert net.state_dict()["features.conv1.weight"].unique().tolist() == [0.5]
    assert net.state_dict()["classifier.fc.weight"].shape == (3, 2048)
    assert len(net.state_dict()["classifier.fc.weight"].unique()) > 1000


@pytest.mark.slow
def test_names_are_converted_to_those_of_a_source_that_has_the_network(tmp_path: Path) -> None:
    other = randomized(residual.Akamaster(3))
    theirs, ours, back = (tmp_path / name for name in ("theirs.pth", "ours.safetensors", "back.pth"))
    torch.save(other.state_dict(), theirs)
    convert(theirs, ours, "resnet20", "archzoo")
    convert(ours, back, "resnet20", "akamaster")
    again = torch.load(back, weights_only=True)
    assert again.keys() == other.state_dict().keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in other.state_dict().items())
    target = tmp_path / "none.pth"
    with pytest.raises(BadOption, match="resnet20: the networks of chenyaofo have option='B', not 'A'"):
        convert(ours, target, "resnet20", "chenyaofo")
    with pytest.raises(WeightsError, match="files of openmmlab have no classifier"):
        convert(ours, target, "resnet50", "openmmlab")
    with pytest.raises(WeightsError, match="'nobody' is no known library"):
        convert(ours, target, "resnet20", "nobody")
    assert not target.exists()


REAL = [(depth, error) for depth, error in ((20, 8.27), (32, 7.37), (44, 6.90), (56, 6.61))]


@pytest.mark.parametrize(("depth", "error"), REAL)
@torch.no_grad()
def test_the_files_of_akamaster_are_known_and_equal(depth: int, error: float) -> None:
    """The best accuracy that a file stores is up to a quarter of a percent above the one of the readme."""
    files = sorted(CHECKPOINTS.glob(f"resnet{depth}-*.th"))
    if not files:
        pytest.skip("the files of akamaster are not here")
    identification = identify(files[0])
    assert identification.published is find_set(f"akamaster:resnet{depth}")
    assert identification.published.printed == f"error {error:.2f} %"
    assert [candidate.network for candidate in identification.candidates] == [f"resnet{depth}"]
    assert 0 <= identification.checkpoint.values["best_prec1"] - (100 - error) < 0.25
    state: dict[str, Tensor] = {name: t.double() for name, t in read_state(files[0])[0].items()}
    other = residual.Akamaster((depth - 2) // 6).double().eval()
    misfits = other.load_state_dict(state, strict=False)  # it is of torch before batches were counted
    assert not misfits.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in misfits.missing_keys)
    net: nn.Module = archzoo.build(f"resnet{depth}", weights=files[0]).double().eval()
    images = torch.randn(4, 3, 32, 32, dtype=torch.double)
    assert (net(images) - other(images)).abs().max() <= 1e-9
    names = row_of("akamaster", "resnet_cifar").names
    back = names.to_theirs(net, net.state_dict())
    assert all(torch.equal(tensor, back[name]) for name, tensor in state.items())
