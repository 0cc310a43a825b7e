"""Graphs in files: their counts are those of the module that they came from."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import Profile, read_program
from tests.shell import Shell


class Residual(nn.Module):
    """A block whose ReLU is called twice, and a branch of another stride."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.bn, self.relu, self.short = nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2(self.relu(self.bn(self.conv1(x)))) + self.short(x))


def net() -> nn.Module:
    stages = nn.Sequential(Residual(), Residual())
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 5))
    return nn.Sequential(stem, stages, nn.ConvTranspose2d(8, 8, 2, 2), head).eval()


SIZE = (3, 32, 32)


def export(model: nn.Module, path: Path, *images: Tensor) -> Path:
    """Write a .pt2 file for any batch."""
    batch = torch.export.Dim("batch", min=1, max=64)
    dynamic = tuple({0: batch} for _ in images)
    torch.export.save(torch.export.export(model, images, dynamic_shapes=dynamic), path)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(net(), tmp_path_factory.mktemp("programs") / "net.pt2", torch.randn(2, *SIZE))


# What thop counts by classes of modules.
OF_MODULES = {"pooling_modules": 0, "upsampling_modules": 0, "activation_modules": 0}


def facts(counted: Profile) -> dict[str, Any]:
    """What is counted, by part, for parts that compute something."""
    return {
        part.name: (
            *(part.kind, part.params, part.trainable, part.conv_params, part.linear_params, part.norm_params),
            *(part.biases, replace(part.work, **OF_MODULES), part.depth, part.output, part.receptive_field),
        )
        for part in counted.modules
        if part.work.macs or part.params or part.work.other_ops
    }


@pytest.mark.slow
def test_a_pt2_file_counts_as_its_module_part_by_part(exported: Path) -> None:
    program = read_program(exported)
    assert program.input_size == SIZE
    counted, expected = archzoo.profile(program.model, SIZE), archzoo.profile(net(), SIZE)
    assert facts(counted) == facts(expected)
    assert counted.depth == expected.depth
    assert counted.coverage.uncounted == {}
    assert archzoo.profile(program.model, SIZE, batch=7).macs == expected.macs


def test_no_pickle_of_a_pt2_file_is_opened(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was opened")

    for module, name in ((torch, "load"), (torch.export, "load")):
        monkeypatch.setattr(module, name, refuse)
    assert read_program(exported).model


def changed(source: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """A .pt2 file with another graph."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith(".json") and "/models/" in entry.filename:
                program = json.loads(data)
                change(program)
                data = json.dumps(program).encode()
            new.writestr(entry.filename, data)
    return target


def test_a_graph_calls_operators_and_nothing_else(exported: Path, tmp_path: Path) -> None:
    for target in ("os.system", "torch.ops.higher_order.cond", "_operator.nothing", "torch.ops.aten.no_such.default"):

        def change(program: Any, target: str = target) -> None:
            program["graph_module"]["graph"]["nodes"][3]["target"] = target

        with pytest.raises(ProfileError, match="cannot be profiled: profile the module itself"):
            read_program(changed(exported, tmp_path / "changed.pt2", change))


@pytest.mark.slow
def test_files_that_are_no_graphs_are_refused(tmp_path: Path, exported: Path) -> None:
    text = tmp_path / "text.pt2"
    text.write_text("no archive")
    with pytest.raises(ProfileError, match="is not a program of torch.export: BadZipFile"):
        read_program(text)
    empty = changed(exported, tmp_path / "empty.pt2", lambda program: program.clear())
    with pytest.raises(ProfileError, match="is not a program of torch.export: KeyError"):
        read_program(empty)
    with zipfile.ZipFile(text, "w") as archive:
        archive.writestr("other/data.pkl", b"")
    with pytest.raises(ProfileError, match="has 0 graphs of torch.export, not 1"):
        read_program(text)
    with pytest.raises(ProfileError, match="there is no file"):
        read_program(tmp_path / "none.pt2")
    with pytest.raises(ProfileError, match="its name must end in .onnx or .pt2"):
        read_program(tmp_path / "net.pth")


class Words(nn.Module):
    """Words and a mask, with attention, and a shape that depends on the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.attend = nn.Embedding(11, 16), nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, words: Tensor, scale: Tensor) -> Tensor:
        x = self.words(words) * scale[:, None, None]
        x = self.attend(x, x, x, need_weights=False)[0]
        return x.reshape(x.shape[0], -1)


@pytest.mark.slow
def test_several_inputs_and_shapes_that_are_computed(tmp_path: Path) -> None:
    inputs = (torch.zeros(3, 6, dtype=torch.int64), torch.ones(3))
    program = read_program(export(Words().eval(), tmp_path / "words.pt2", *inputs))
    counted, expected = (archzoo.profile(model, list(inputs)) for model in (program.model, Words()))
    assert (counted.params, counted.macs) == (expected.params, expected.macs)
    words, scale = program.input_size
    assert (words.dtype, tuple(words.shape), tuple(scale.shape)) == (torch.int64, (3, 6), (3,))


@pytest.mark.slow
def test_the_command_profiles_a_graph(shell: Shell, exported: Path) -> None:
    arguments = ("--format", "json")
    code, out, _ = shell("profile", str(exported), *arguments)
    assert code == 0
    assert Profile.from_json(out).macs == archzoo.profile(net(), SIZE).macs
    larger = Profile.from_json(shell("profile", str(exported), "--input", "3x64x64", *arguments)[1])
    assert larger.macs > 3 * Profile.from_json(out).macs
    code, _, err = shell("profile", str(exported), "n=1")
    assert code == 2
    assert "is a network as it was exported: leave out n=1" in err
    assert shell("fits", str(exported), "--memory", "1GiB", "--device", "cpu", "--no-savings")[0] == 0


def test_the_command_profiles_our_weights(shell: Shell, tmp_path: Path) -> None:
    from archzoo.weights import save

    path = tmp_path / "net.safetensors"
    save(archzoo.build("lenet5_textbook", num_classes=7), path, "lenet5_textbook", num_classes=7)
    counted = Profile.from_json(shell("profile", str(path), "--format", "json")[1])
    expected = archzoo.profile(archzoo.build("lenet5_textbook", num_classes=7, device="meta"), (1, 32, 32))
    assert facts(counted) == facts(expected)


# ONNX: written by hand, so that no exporter has to run.


@pytest.fixture
def onnx() -> Any:
    return pytest.importorskip("onnx")


def model_of(onnx: Any, nodes: list[Any], initializers: dict[str, Any], size: list[Any], outputs: str = "y") -> Any:
    """A graph from x to y."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    tensors = [numpy_helper.from_array(value.numpy(), name) for name, value in initializers.items()]
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, size)]
    ends = [helper.make_tensor_value_info(outputs, onnx.TensorProto.FLOAT, None)]
    return helper.make_model(helper.make_graph(nodes, "net", inputs, ends, tensors))


def test_an_onnx_file_is_counted_by_hand(onnx: Any, tmp_path: Path) -> None:
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", ["1", "scale", "shift", "mean", "var"], ["2"]),
        node("Relu", ["2"], ["3"]),
        node("Conv", ["3", "w2"], ["4"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("GlobalAveragePool", ["4"], ["5"]),
        node("Shape", ["5"], ["6"], start=0, end=1),
        node("Concat", ["6", "rest"], ["7"], axis=0),
        node("Reshape", ["5", "7"], ["8"]),
        node("Gemm", ["8", "w3", "b3"], ["y"], transB=1),
    ]
    initializers = {
        "w1": torch.ones(4, 3, 3, 3),
        "b1": torch.ones(4),
        "w2": torch.ones(6, 4, 3, 3),
        "rest": torch.tensor([-1]),
        **{name: torch.ones(4) for name in ("scale", "shift", "mean", "var")},
        "w3": torch.ones(5, 6),
        "b3": torch.ones(5),
    }
    path = tmp_path / "net.onnx"
    onnx.save(model_of(onnx, nodes, initializers, ["batch", 3, 16, 16]), path)
    program = read_program(path)
    assert program.input_size == (3, 16, 16)
    counted = archzoo.profile(program.model, program.input_size, batch=2)
    # 16 -> 8 with padding 1: one position of 24 is outside; 8 -> 4 with one zero behind: one of 12.
    first, second, last = 64 * 4 * 27, 16 * 6 * 36, 30
    assert counted.macs == first + second + last
    assert counted.padding_macs == 4 * 3 * (24**2 - 23**2) + 6 * 4 * (12**2 - 11**2)
    assert counted.params == 4 * 27 + 4 + 2 * 4 + 6 * 36 + 5 * 6 + 5
    assert counted.modules[0].output == (5,)


def test_operators_of_onnx_compute_what_torch_computes(onnx: Any) -> None:
    """The rules on real tensors, against numbers by hand."""
    from archzoo.profiler._programs._onnx_operators import RULES

    x = torch.arange(24.0).reshape(1, 2, 3, 4)
    two = torch.tensor([2])
    assert RULES["Flatten"]({"axis": 2}, x).shape == (2, 12)
    assert RULES["Unsqueeze"]({}, x, torch.tensor([0, -1])).shape == (1, 1, 2, 3, 4, 1)
    assert RULES["Squeeze"]({}, x, torch.tensor([0])).shape == (2, 3, 4)
    assert RULES["Slice"]({}, x, torch.tensor([1]), torch.tensor([3]), two).tolist() == x[:, :, 1:3].tolist()
    assert RULES["Gather"]({"axis": 3}, x, torch.tensor(2)).tolist() == x[..., 2].tolist()
    assert RULES["Split"]({"axis": 1, "num_outputs": 2}, x)[1].tolist() == x[:, 1:].tolist()
    assert RULES["Reshape"]({}, x, torch.tensor([0, -1, 4])).shape == (1, 6, 4)
    assert RULES["Pad"]({}, x, torch.tensor([0, 0, 1, 0, 0, 0, 0, 2])).shape == (1, 2, 4, 6)
    assert RULES["ReduceMean"]({"axes": [2, 3], "keepdims": 0}, x).tolist() == [[5.5, 17.5]]
    assert RULES["Resize"]({}, x, None, torch.tensor([1.0, 1.0, 2.0, 2.0])).shape == (1, 2, 6, 8)
    assert RULES["Transpose"]({}, x).shape == (4, 3, 2, 1)
    assert RULES["ConstantOfShape"]({"value": torch.tensor([3])}, torch.tensor([2, 1])).tolist() == [[3], [3]]
    assert RULES["AveragePool"]({"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER"}, x).shape == x.shape
    assert RULES["MaxPool"]({"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, x)[0, 0, 2, 3] == 11


def test_what_onnx_files_cannot_tell_is_said(onnx: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    node = onnx.helper.make_node
    for nodes, size, message in (
        ([node("Custom", ["x"], ["y"], domain="mine")], [1, 3], "the operator mine.Custom of ONNX has no rule"),
        ([node("NonMaxSuppression", ["x"], ["y"])], [1, 3], "the operator NonMaxSuppression of ONNX has no rule"),
        ([node("Relu", ["x"], ["y"])], ["n", "c"], "the input x has the shape ?x?: export with sides that are known"),
        ([], [1, 3], "has no graph of ONNX"),
    ):
        onnx.save(model_of(onnx, nodes, {}, size), path)
        with pytest.raises(ProfileError) as refused:
            read_program(path)
        assert message in str(refused.value)
    path.write_bytes(b"\x08no protobuf")
    with pytest.raises(ProfileError, match="cannot be read as ONNX"):
        read_program(path)


@pytest.mark.skipif(not os.environ.get("EVERY_NET"), reason="PyTorch's exporter takes ten seconds")
@pytest.mark.filterwarnings("ignore")
def test_an_exported_onnx_file_has_the_multiply_adds_of_its_module(onnx: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from archzoo.exporting import export as write

    model = archzoo.build("lenet5_textbook")
    write(model, tmp_path / "net.onnx", "onnx", (1, 32, 32))
    program = read_program(tmp_path / "net.onnx")
    counted, expected = archzoo.profile(program.model, program.input_size), archzoo.profile(model, (1, 32, 32))
    assert (counted.macs, counted.params, counted.padding_macs) == (expected.macs, expected.params, 0)
    assert counted.at("features.C1").macs == expected.at("features.C1").macs
