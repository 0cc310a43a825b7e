"""Files that fit two networks of different functions: whose they are is asked, not guessed."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import archzoo
from archzoo.cli import app
from archzoo.errors import ArchzooError, BadOption, WeightsError
from archzoo.registry import find_recipe
from archzoo.training import RunConfig
from archzoo.training._logs import no_log
from archzoo.training._runs import Job
from archzoo.weights import build_pretrained, convert
from archzoo.weights._libraries import names_in
from archzoo.weights._origins import read_for


@pytest.fixture(autouse=True)
def _small_files_may_hold_large_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that ``write`` makes are refused otherwise."""
    monkeypatch.setattr("archzoo.weights._reading.allowance", lambda path: 1 << 40)


def write(path: Path, network: str, library: str = "", **options: Any) -> Path:
    """A file of a network with a library's names, whose tensors all point at one number: it has a few kilobytes."""
    entry = archzoo.find(network)
    net = archzoo.build(network, device="meta", **options)
    state: dict[str, Tensor] = dict(net.state_dict())
    if library:
        state = names_in(library, entry.family).to_theirs(net, state)
    torch.save({name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}, path)
    return path


def read(name: str, path: Path, trained_as: str | None = None, **options: Any) -> dict[str, Tensor]:
    return read_for(archzoo.find(name), path, options, trained_as)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("theirs", "library", "ours", "options"),
    [
        ("resnet50_v1_5", "torchvision", "ResNet-50", {"num_classes": 7}),
        ("resnet50_v1_5", "timm", "resnet", {"depth": 50}),
    ],
)
def test_a_file_of_the_libraries_resnet_is_refused_for_the_papers(
    theirs: str, library: str, ours: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "file.pth", theirs, library)
    name = archzoo.find(ours).name
    with pytest.raises(BadOption, match=f"strides in the 3x3: that is {theirs}.*trained_as='{name}'"):
        read(ours, path, **options)
    # The caller's word is taken, and for the network that it is, none is asked for.
    assert read(ours, path, trained_as=ours, **options).keys() == archzoo.build(ours, device="meta").state_dict().keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(theirs, path)


def test_the_word_of_the_caller_is_the_name_of_the_network(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pth", "resnet50_v1_5", "torchvision")
    with pytest.raises(BadOption, match="was trained as resnet18: build that network, not resnet50"):
        read("resnet50", path, trained_as="resnet18")
    with pytest.raises(BadOption, match="trained_as is for files: torchvision says what it needs"):
        archzoo.build("resnet50_v1_5", weights="torchvision", trained_as="resnet50_v1_5")


@pytest.mark.slow
def test_our_own_names_that_two_networks_share_are_read_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pth", "resnet50_v1_5")
    with pytest.warns(UserWarning, match="is read as resnet50; resnet50_v1_5 has the same tensors"):
        read("resnet50", path)
    lrn = write(tmp_path / "vgg.pth", "vgg_a")
    with pytest.warns(UserWarning, match="is read as vgg_a_lrn; vgg_a has the same tensors"):
        read("vgg_a_lrn", lrn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read("resnet50_v1_5", path)
        read("vgg_a", lrn)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "needed", "given"),
    [("resnet18", {"option": "B"}, {}), ("shufflenet_v2_x1_0", {"down": "symmetric"}, {})],
)
def test_the_options_that_a_librarys_file_needs_are_said(
    network: str, needed: dict[str, Any], given: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "file.pth", network, "torchvision", **needed)
    option, value = next(iter(needed.items()))
    with pytest.raises(BadOption, match=f"torchvision's {network}: that is {network} with {option}='{value}'"):
        read(network, path, **given)
    assert read(network, path, **needed)


def test_the_auxiliary_classifiers_in_torchvisions_file_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "googlenet.pth", "googlenet_bn", "torchvision", auxiliary=True)
    with pytest.warns(UserWarning, match="tensors are left out, which googlenet_bn does not have .aux1.conv.bn.bias"):
        assert read("googlenet_bn", path).keys() == archzoo.build("googlenet_bn", device="meta").state_dict().keys()
    assert any("aux" in name for name in read("googlenet_bn", path, auxiliary=True))


def test_a_network_of_no_library_takes_a_file_with_the_names_of_one(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pth", "resnet", "torchvision", depth=34, option="C")
    assert read("resnet", path, depth=34, option="C")


@pytest.mark.slow
def test_weights_are_not_written_with_a_last_layer_of_random_numbers(tmp_path: Path) -> None:
    source, target = tmp_path / "five.pth", tmp_path / "out.safetensors"
    torch.save(archzoo.build("resnet20", num_classes=5).state_dict(), source)
    message = "has 5 classes, not 10, and a last layer of random weights is not written: give num_classes=5"
    with pytest.raises(BadOption, match=message):
        convert(source, target, "resnet20", "archzoo")
    with pytest.raises(BadOption, match=message):
        build_pretrained(archzoo.find("resnet20"), source, {}, new_head=False)
    for command in (
        ["weights", "save", "resnet20", str(target), "--weights", str(source)],
        ["weights", "convert", "resnet20", str(source), str(target), "--to", "archzoo"],
        ["export", "resnet20", "--to", "pt2", "--weights", str(source), "--output", str(target)],
    ):
        result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, ArchzooError)
        assert "give num_classes=5" in str(result.exception)
    assert not target.exists()
    convert(source, target, "resnet20", "archzoo", num_classes=5)
    assert archzoo.load(target).get_parameter("classifier.fc.weight").shape == (5, 64)


def test_a_converted_file_says_what_it_was_trained_as(tmp_path: Path) -> None:
    source, target = tmp_path / "vgg11.pth", tmp_path / "out.safetensors"
    net = archzoo.build("squeezenet1_1", num_classes=3)
    torch.save(names_in("torchvision", "squeezenet1_1").to_theirs(net, net.state_dict()), source)
    convert(source, target, "squeezenet1_1", "archzoo", trained_as="squeezenet1_1", num_classes=3)
    assert archzoo.load(target).state_dict().keys() == net.state_dict().keys()


@pytest.mark.parametrize("weights", ["no_such_file.ckpt", "folder/none", "./torchvision"])
def test_a_path_is_told_from_the_name_of_a_set(weights: str) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        archzoo.build("lenet5_textbook", weights=weights)


def test_the_tag_of_a_set_without_its_library_is_answered_with_the_sets() -> None:
    with pytest.raises(BadOption, match="has no weights 'resnet18.a1_in1k'; there are torchvision:IMAGENET1K_V1"):
        archzoo.build("resnet18", weights="resnet18.a1_in1k")


def test_a_folder_of_the_name_of_a_library_hides_no_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torchvision").mkdir()
    with pytest.raises(BadOption, match="strides in the 3x3: that is resnet50_v1_5"):
        archzoo.build("resnet50", weights="torchvision")


@pytest.mark.slow
def test_a_run_takes_the_word_for_its_weights(tmp_path: Path) -> None:
    path = write(tmp_path / "file.pth", "resnet50_v1_5", "torchvision")

    def job(trained_as: str | None) -> Job:
        entry, recipe = archzoo.find("resnet50"), find_recipe("resnet50")
        return Job(
            *(entry, recipe, "digits", {}, path, None, "error", tmp_path, RunConfig(), None, no_log),
            trained_as=trained_as,
        )

    with pytest.raises(BadOption, match="Tensors do not show the difference"):
        job(None).build({})
    assert not any(parameter.any() for parameter in job("resnet50").build({}).parameters())
