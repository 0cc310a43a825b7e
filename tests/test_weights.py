"""Pretrained weights: names in both directions, safe files, atomic downloads."""

import http.server
import os
import pickle
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import archzoo
from archzoo.errors import BadOption, WeightsError
from archzoo.weights import PUBLISHED, PublishedWeights, convert, normalization, save
from archzoo.weights import _published as published
from archzoo.weights._download import cached_file, sha256
from archzoo.weights._files import load_into
from archzoo.weights._libraries import LIBRARIES, names_in
from archzoo.weights._reading import read_state
from tests.networks import EVERY_NET

# Those of the sources of small networks are compared in tests/sources.
FAMILIES = [
    (library, name)
    for library in ("torchvision", "timm")
    for name in archzoo.names()
    if archzoo.find(name).family in LIBRARIES[library]
]
if not EVERY_NET:  # one of each constructor: the last, whose numbers are no shorter than those of the others
    FAMILIES = list({(library, archzoo.find(name).target): (library, name) for library, name in FAMILIES}.values())


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name"), FAMILIES)
def test_a_library_names_every_tensor_once_and_renaming_can_be_undone(library: str, name: str) -> None:
    entry = archzoo.find(name)
    net = archzoo.build(name, device="meta")
    names = names_in(library, entry.family)
    state = net.state_dict()
    theirs = names.to_theirs(net, state)
    assert len(theirs) == len(state)
    back = names.to_ours(net, theirs)
    assert {part: tensor.shape for part, tensor in back.items()} == {part: t.shape for part, t in state.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [weights for weights in PUBLISHED if weights.library in ("torchvision", "timm")],
    ids=lambda weights: f"{weights.network} {weights.name}",
)
def test_every_published_set_fits_a_network_and_has_its_names(chosen: PublishedWeights) -> None:
    entry = archzoo.find(chosen.network)
    net = archzoo.build(entry.name, device="meta", **chosen.options)
    names = names_in(chosen.library, entry.family).of(net)
    assert len(names) == len(net.state_dict())
    assert chosen.url.startswith("https://")
    assert chosen.library != "torchvision" or re.fullmatch("[0-9a-f]{8,64}", chosen.sha256)


def test_the_old_names_of_densenet_are_known() -> None:
    net = archzoo.build("densenet121", device="meta")
    names = names_in("torchvision", "densenet_imagenet")
    theirs = names.to_theirs(net, net.state_dict())
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): tensor for name, tensor in theirs.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert names.to_ours(net, old).keys() == net.state_dict().keys()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A published set of resnet18 in a file, with weights drawn here."""
    torch.manual_seed(1)
    net = archzoo.build("resnet18", option="B")
    names = names_in("torchvision", "resnet")
    path = tmp_path / "published.pth"
    torch.save(names.to_theirs(net, net.state_dict()), path)
    chosen = PublishedWeights("torchvision", "resnet18", "TEST", path.as_uri(), sha256(path)[:8], {"option": "B"})
    monkeypatch.setattr(published, "PUBLISHED", (chosen,))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return path


def original(path: Path) -> dict[str, Tensor]:
    net = archzoo.build("resnet18", option="B", device="meta")
    return names_in("torchvision", "resnet").to_ours(net, torch.load(path, weights_only=True))


@pytest.mark.slow
def test_asking_for_a_librarys_weights_sets_what_they_need(small: Path) -> None:
    net = archzoo.build("ResNet-18", weights="torchvision")
    expected = original(small)
    assert net.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in net.state_dict().items())
    assert archzoo.build("resnet18", weights="torchvision:TEST").state_dict().keys() == expected.keys()


def test_options_that_contradict_the_weights_are_refused_with_the_reason(small: Path) -> None:
    with pytest.raises(BadOption, match=r"the weights of torchvision need option='B', not option='A'"):
        archzoo.build("resnet18", weights="torchvision", option="A")
    with pytest.raises(BadOption, match="resnet18 has no weights 'torchvision:BEST'; there are torchvision:TEST"):
        archzoo.build("resnet18", weights="torchvision:BEST")
    with pytest.raises(BadOption, match="torchvision's resnet50 strides in the 3x3: that is resnet50_v1_5"):
        archzoo.build("resnet50", weights="torchvision")
    with pytest.raises(BadOption, match="torchvision's alexnet has one tower .*: that is alexnet_one_tower"):
        archzoo.build("alexnet", weights="torchvision")
    with pytest.raises(BadOption, match="lenet5 has no weights 'timm'; there are none"):
        archzoo.build("lenet5", weights="timm")


@pytest.mark.slow
def test_another_number_of_classes_keeps_all_but_the_last_layer_and_says_so(small: Path) -> None:
    with pytest.warns(UserWarning, match="has 1000 classes: the last layer is newly initialized"):
        net = archzoo.build("resnet18", weights="torchvision", num_classes=7)
    expected = original(small)
    assert net.get_parameter("classifier.fc.weight").shape == (7, 512)
    different = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, expected[name])}
    assert different == {"classifier.fc.weight", "classifier.fc.bias"}


@pytest.mark.slow
def test_another_number_of_channels_needs_adapt_input(small: Path) -> None:
    with pytest.raises(BadOption, match="has 3 input channels, not 1: give adapt_input='sum'"):
        archzoo.build("resnet18", weights="torchvision", in_channels=1)
    filters = original(small)["features.conv1.weight"]
    summed = archzoo.build("resnet18", weights="torchvision", in_channels=1, adapt_input="sum")
    mean = archzoo.build("resnet18", weights="torchvision", in_channels=1, adapt_input="mean")
    four = archzoo.build("resnet18", weights="torchvision", in_channels=4, adapt_input="sum")
    first = "features.conv1.weight"
    assert torch.allclose(summed.state_dict()[first], filters.sum(1, keepdim=True))
    assert torch.allclose(mean.state_dict()[first], filters.mean(1, keepdim=True))
    # A gray image in any number of channels gives the same output as in three.
    assert torch.allclose(four.state_dict()[first].sum(1), filters.sum(1), atol=1e-6)


@pytest.mark.slow
def test_a_file_rebuilds_its_network(tmp_path: Path) -> None:
    net = archzoo.build("densenet_bc", depth=22, k=8, num_classes=5).eval()
    path = tmp_path / "net.safetensors"
    save(net, path, "densenet_bc", depth=22, k=8, num_classes=5)
    images = torch.randn(2, 3, 32, 32)
    again = archzoo.load(path).eval()
    assert torch.equal(again(images), net(images))
    named = archzoo.build("densenet_bc", weights=path).eval()
    assert torch.equal(named(images), net(images))
    with pytest.raises(BadOption, match="holds densenet_bc with depth=22, not 40"):
        archzoo.build("densenet_bc", weights=path, depth=40)
    with pytest.raises(BadOption, match="holds densenet_bc, not resnet20"):
        archzoo.build("resnet20", weights=path)
    with pytest.raises(WeightsError, match="this is no densenet_bc with these options"):
        save(net, tmp_path / "wrong.safetensors", "densenet_bc", depth=28, k=8)
    assert os.listdir(tmp_path) == ["net.safetensors"]


@pytest.mark.slow
def test_weights_convert_to_any_librarys_names_and_back(tmp_path: Path) -> None:
    net = archzoo.build("squeezenet1_1", num_classes=3)
    first, second, third = (tmp_path / f"{name}.safetensors" for name in ("ours", "theirs", "again"))
    save(net, first, "squeezenet1_1", num_classes=3)
    convert(first, second, "squeezenet1_1", "torchvision")
    convert(second, third, "squeezenet1_1", "archzoo", num_classes=3)
    state = archzoo.load(third).state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    direct = archzoo.build("squeezenet1_1", weights=second, num_classes=3).state_dict()
    assert all(torch.equal(tensor, direct[name]) for name, tensor in net.state_dict().items())


class RunsCode:
    """An object whose pickle runs code."""

    def __reduce__(self) -> Any:
        return os.system, ("true",)


def broken(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Files with one defect each, and the error that it raises."""
    state = archzoo.build("resnet20").state_dict()
    first, last = "features.conv1.weight", "classifier.fc.bias"
    files: dict[str, tuple[Path, str]] = {}

    def add(name: str, suffix: str, message: str) -> Path:
        path = tmp_path / f"{name}{suffix}"
        files[name] = path, message
        return path

    save_file(state, add("short", ".safetensors", "is a safetensors file that is cut off after"))
    raw = files["short"][0].read_bytes()
    files["short"][0].write_bytes(raw[: len(raw) // 2])
    torch.save(state, add("cut", ".pth", "is cut off or damaged"))
    raw = files["cut"][0].read_bytes()
    files["cut"][0].write_bytes(raw[: len(raw) // 2])
    add("empty", ".pth", "is empty").write_bytes(b"")
    add("text", ".safetensors", "is text .*: download the file itself").write_text("these are no weights")
    save_file({k: v for k, v in state.items() if k != first}, add("missing", ".safetensors", f"1 missing: {first}"))
    save_file({**state, "extra": torch.zeros(2)}, add("extra", ".safetensors", "1 unexpected: extra"))
    wrong = {**state, first: torch.zeros(16, 3, 5, 5)}
    save_file(wrong, add("shape", ".safetensors", f"1 of another shape: {first} 16x3x5x5 instead of 16x3x3x3"))
    nan = {**state, last: torch.full((10,), float("nan"))}
    save_file(nan, add("nan", ".safetensors", f"1 not finite: {last}"))
    torch.save({"net": RunsCode()}, add("code", ".pth", "would run (posix|nt).system, but weights need no code"))
    torch.save([1, 2], add("list", ".pth", "holds no state dict .tensors by name., but a list"))
    add("raw", ".pth", "would run (posix|nt).system").write_bytes(pickle.dumps(RunsCode()))
    head = {"archzoo": "resnet20", "options": "{not json"}
    save_file(state, add("head", ".safetensors", "the options in its metadata cannot be read"), head)
    return files


KINDS = ("short", "cut", "empty", "text", "missing", "extra", "shape", "nan", "code", "list", "raw", "head")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_wrong_is_reported_and_nothing_is_loaded(kind: str, tmp_path: Path) -> None:
    path, message = broken(tmp_path)[kind]
    with pytest.raises(WeightsError, match=message):
        archzoo.build("resnet20", weights=path)


def test_nothing_is_half_loaded(tmp_path: Path) -> None:
    net = archzoo.build("resnet20")
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for kind in ("missing", "extra", "shape", "nan"):
        path, message = broken(tmp_path)[kind]
        with pytest.raises(WeightsError, match=message):
            load_into(net, read_state(path)[0], str(path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_a_training_scripts_checkpoint_is_read(tmp_path: Path) -> None:
    net = archzoo.build("resnet20")
    state = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "checkpoint.pth")
    again = archzoo.build("resnet20", weights=tmp_path / "checkpoint.pth").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in net.state_dict().items())


def test_a_missing_file_and_another_kind_of_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        archzoo.build("resnet20", weights=tmp_path / "none.pth")
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(WeightsError, match="is an HDF5 file, as Keras writes it"):
        archzoo.build("resnet20", weights=tmp_path / "weights.h5")


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``body``. Each of ``truncations`` is the number of bytes that one of the first responses is cut to."""

    body = b""
    truncations: ClassVar[list[int]] = []
    ranges: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        requested = self.headers.get("Range")
        type(self).ranges.append(requested)
        start = int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0
        self.send_response(206 if requested else 200)
        rest = self.body[start:]
        self.send_header("ETag", '"1"')
        if requested:
            self.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.truncations.pop(0)] if self.truncations else rest)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.body, Server.truncations, Server.ranges = os.urandom(100_000), [], []
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/weights.pth"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.slow
def test_an_interrupted_download_is_resumed(server: str, tmp_path: Path) -> None:
    Server.truncations = [30_000, 30_000]
    path = cached_file(server, "weights.pth", directory=tmp_path)
    assert path.read_bytes() == Server.body
    assert Server.ranges == [None, "bytes=30000-", "bytes=60000-"]
    assert sorted(os.listdir(tmp_path)) == ["weights.pth", "weights.pth.sha256"]
    assert cached_file(server, "weights.pth", directory=tmp_path) == path
    assert len(Server.ranges) == 3


@pytest.mark.slow
def test_another_file_than_the_published_one_is_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is not the expected file: its SHA-256 begins with"):
        cached_file(server, "weights.pth", "0" * 64, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_file_that_changed_in_the_cache_is_refused(server: str, tmp_path: Path) -> None:
    path = cached_file(server, "weights.pth", directory=tmp_path)
    path.write_bytes(Server.body[:-1] + bytes([Server.body[-1] ^ 1]))
    with pytest.raises(WeightsError, match="is not the published file.*delete it"):
        cached_file(server, "weights.pth", directory=tmp_path)


@pytest.mark.slow
def test_without_a_network_one_line_says_what_to_get_and_where_to_put_it(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/weights.pth"
    with pytest.raises(WeightsError) as error:
        cached_file(url, "weights.pth", directory=tmp_path)
    assert re.fullmatch(
        rf"could not download weights\.pth \(.+\): get {re.escape(url)} and put it at "
        rf"{re.escape(str(tmp_path))}/weights\.pth",
        str(error.value),
    )


def test_normalization_is_that_of_the_set() -> None:
    assert normalization("resnet18", "torchvision") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normalization("googlenet_bn", "torchvision") == ((0.5,) * 3, (0.5,) * 3)


def test_a_described_file_keeps_options_that_are_no_numbers(tmp_path: Path) -> None:
    net: nn.Module = archzoo.build("fractalnet", columns=2, widths=(4, 8, 8, 8, 8), num_classes=3)
    save(net, tmp_path / "f.safetensors", "fractalnet", columns=2, widths=(4, 8, 8, 8, 8), num_classes=3)
    state = archzoo.load(tmp_path / "f.safetensors").state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
