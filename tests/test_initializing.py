"""Networks that start from some layers of another one."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

import archzoo
from archzoo.errors import TransferError
from archzoo.layers import Net
from archzoo.models.vgg import FROM_A
from archzoo.weights import initialize_from, save


@pytest.fixture
def shallow(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    file = tmp_path / "shallow.safetensors"
    save(archzoo.build("resnet20"), file, "resnet20")
    return file


def build(name: str) -> Net:
    torch.manual_seed(2)
    net: Net = archzoo.build(name)
    return net


def test_the_named_layers_are_copied_and_no_other(shallow: Path) -> None:
    net, source = build("resnet32"), archzoo.load(shallow)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    source.get_buffer("features.bn1.running_mean").fill_(0.5)
    save(source, shallow, "resnet20")
    first = [layer for layer in layers_of("resnet20") if layer.endswith(("conv1", "bn1"))]
    copied = [*first, "classifier.fc"]
    assert len(first) == 2 * (1 + 9)
    assert initialize_from(net, shallow, ["features.?*1", "classifier.*"]) == copied
    after, theirs = net.state_dict(), source.state_dict()
    for name, tensor in after.items():
        taken = name.rpartition(".")[0] in copied
        assert torch.equal(tensor, theirs[name] if taken else before[name]), name
    assert net.get_buffer("features.bn1.running_mean")[0] == 0.5


def test_every_layer_that_fits_is_copied_where_none_is_named(shallow: Path) -> None:
    copied = initialize_from(archzoo.build("resnet_cifar", depth=32, num_classes=7), shallow)
    assert copied == [layer for layer in layers_of("resnet20") if layer != "classifier.fc"]


def layers_of(name: str) -> list[str]:
    return list(dict.fromkeys(key.rpartition(".")[0] for key in archzoo.build(name, device="meta").state_dict()))


def test_layers_that_do_not_fit_are_refused_and_nothing_is_copied(shallow: Path) -> None:
    net = archzoo.build("resnet_cifar", depth=32, num_classes=7)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for patterns, message in (
        (["classifier.fc"], r"classifier.fc.weight is \(10, 64\) in the other network and \(7, 64\) in this one"),
        (["features.conv1", "features.conv9"], "has no layer 'features.conv9'; it has features.conv"),
    ):
        with pytest.raises(TransferError, match=message):
            initialize_from(net, shallow, patterns)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with pytest.raises(TransferError, match="has no layer of the name and shape of one of this network"):
        initialize_from(archzoo.build("lenet5_textbook"), shallow)


def test_the_patterns_of_the_guide_are_vggs_first_four_and_last_three_layers() -> None:
    """VGG, Sec. 3.1."""
    patterns = vgg_patterns()
    for layer in layers_of("vgg_a"):
        assert any(fnmatchcase(layer, pattern) for pattern in patterns) == (layer in FROM_A)
    assert len(FROM_A) == 4 + 3


def vgg_patterns() -> list[str]:
    guide = (Path(__file__).parents[1] / "docs" / "guide" / "training.md").read_text(encoding="utf-8")
    return guide.partition("--init-layers '")[2].partition("'")[0].split(",")
