"""Exported networks compute what the original computes, for any batch, or are not kept."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo import exporting
from archzoo.errors import ExportError, InputError, MissingDependency, OutputError
from archzoo.exporting import export
from archzoo.inference import optimize
from archzoo.layers import Net
from tests.networks import EVERY_NET, build, image_size, ready

# The deep constructors shallow, the wide ones thin.
SMALL: dict[str, dict[str, Any]] = {
    "resnet": {"depth": 18},
    "resnet_v1_5": {"depth": 50},
    "plain": {"depth": 18},
    "resnet_cifar": {"depth": 8},
    "plain_cifar": {"depth": 8},
    "preact_resnet": {"depth": 11},
    "preact_resnet200": {},
    "stochastic_depth": {"depth": 8},
    "wide_resnet": {"depth": 10, "k": 1},
    "pyramidnet_cifar": {"depth": 8, "widening": 4},
    "condensenet_cifar": {"depth": 8},
    "condensenet_light": {"depth": 10, "k": 4},
    "densenet": {"depth": 10, "k": 4},
    "densenet_b": {"depth": 10, "k": 4},
    "densenet_c": {"depth": 10, "k": 4},
    "densenet_bc": {"depth": 10, "k": 4},
    "fractalnet": {"columns": 2, "widths": (4, 4, 8, 8, 8)},
    "conv_mobilenet": {"width": 0.25},
    "mobilenet_v1": {"width": 0.25},
    "mobilenet_v2": {"width": 0.35},
    "shufflenet_v1": {"width": 0.25},
    "shufflenet_v2": {"width": 0.5},
    "vgg": {"config": "A"},
    "highway_mnist": {"width": 4},
}
# A hundred layers at a fixed depth. Without training, the gates of the last two amplify rounding beyond what is kept.
SLOW = {"preact_resnet200", "stochastic_depth_152", "densenet_imagenet", "fractalnet34", "senet154", "se_shufflenet"}
CONSTRUCTORS = sorted({archzoo.find(name).family for name in archzoo.names()} - SLOW)
# Hand-written layers, and grouped convolutions with index layers; the others with EVERY_NET=1.
CONVERTED = ["lenet5", "condensenet_cifar"]


def small(name: str, **options: Any) -> Net:
    return build(name, **SMALL.get(name, {}), **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTRUCTORS if EVERY_NET else CONVERTED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_networks_of_every_kind_become_onnx_for_any_batch(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    net = small(name)
    assert export(net, tmp_path / "net.onnx", "onnx", image_size(name)) <= 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "lenet5"])
def test_a_pt2_file_is_the_same_function(name: str, tmp_path: Path) -> None:
    net = ready(name).train()
    path = tmp_path / "net.pt2"
    export(net, path, "pt2", image_size(name))
    assert net.training
    images = torch.randn(5, *image_size(name))
    with torch.no_grad():
        assert torch.allclose(torch.export.load(path).module()(images), net.eval()(images), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_file_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = exporting.READERS["pt2"]
    monkeypatch.setitem(exporting.READERS, "pt2", lambda path: lambda images: 1.1 * read(path)(images))
    with pytest.raises(ExportError, match="is 1.0e-01 from the original, more than 1e-04: not kept"):
        export(archzoo.build("lenet5_textbook"), tmp_path / "net.pt2", "pt2", (1, 32, 32))
    assert not list(tmp_path.iterdir())


class Decides(nn.Module):
    """A forward that cannot be traced."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) if images.sum() > 0 else -images.flatten(1)


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="the network cannot be traced: "):
        export(Decides(), tmp_path / "net.pt2", "pt2", (1, 4, 4))
    with pytest.raises(ExportError, match="the example batch must be at least 2, not 1"):
        export(nn.Flatten(), tmp_path / "net.pt2", "pt2", (1, 4, 4), batch=1)
    unknown: Any = "tflite"
    with pytest.raises(ExportError, match="to must be 'onnx' or 'pt2', not 'tflite'"):
        export(nn.Flatten(), tmp_path / "net", unknown, (1, 4, 4))
    with pytest.raises(OutputError, match="cannot be written"):
        export(nn.Sequential(nn.Flatten()), "/proc/none/net.pt2", "pt2", (1, 4, 4))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r"onnxruntime is not installed: pip install 'archzoo\[onnx\]'"):
        export(nn.Flatten(), tmp_path / "net.onnx", "onnx", (1, 4, 4))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_optimized_network_is_exported_too(tmp_path: Path) -> None:
    assert export(optimize(ready("densenet_bc")), tmp_path / "net.pt2", "pt2", (3, 16, 16)) <= 1e-4


@pytest.mark.slow
def test_a_network_is_exported_in_its_own_type_and_left_in_its_own_modes(tmp_path: Path) -> None:
    net = archzoo.build("resnet20").double().train()
    net.classifier.eval()
    export(net, tmp_path / "net.pt2", "pt2", (3, 16, 16))
    assert net.features.training
    assert not net.classifier.training


def test_images_that_do_not_fit_are_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images of 3 channels, not 1"):
        export(archzoo.build("resnet20"), tmp_path / "net.pt2", "pt2", (1, 16, 16))
