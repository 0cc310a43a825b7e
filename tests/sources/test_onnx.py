"""ONNX models: what they hold, whether their graph computes what our network does, and files that are none.

The evaluator of ONNX itself, in double precision, and onnxruntime are the witnesses.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import BadOption, MissingDependency, WeightsError
from archzoo.weights import _onnx_files as onnx_files
from archzoo.weights import convert, describe, identify, rebuild
from archzoo.weights._libraries import names_in
from archzoo.weights._onnx_files import Node, OnnxModel, read_onnx
from archzoo.weights._onnx_network import OnnxNetwork, network_of
from archzoo.weights._onnx_operators import OPERATORS
from tests.networks import EVERY_NET

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx.reference.op_run import OpRun  # noqa: E402

from tests.sources import onnx_models as zoo  # noqa: E402


def write(path: Path, model: Any) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


class LRN(OpRun):
    """Response normalization by the formula of ONNX: its evaluator normalizes as many maps as there are images."""

    def _run(self, x: Any, alpha: float, beta: float, bias: float, size: int) -> Any:
        squares = np.pad(x**2, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
        windows = np.stack([squares[:, c : c + size].sum(1) for c in range(x.shape[1])], axis=1)
        return (x / (bias + decimal(alpha) / size * windows) ** beta,)


def decimal(value: float) -> float:
    """The number that was written into a file as a float32."""
    return float(str(np.float32(value)))


def evaluated(model: Any, images: Tensor) -> Tensor:
    """What ONNX's own evaluator returns for images, one at a time."""
    session = ReferenceEvaluator(model, new_ops=[LRN])
    [image] = model.graph.input
    rows: list[Any] = [session.run(None, {image.name: images[i : i + 1].numpy()}) for i in range(len(images))]
    return torch.cat([torch.from_numpy(row) for [row] in rows])


def same_up_to_softmax(logits: Tensor, probabilities: Tensor) -> bool:
    expected = probabilities.log()
    error = (logits.log_softmax(1) - expected).norm() / expected.norm()
    return bool(error <= 1e-9)


@pytest.fixture(scope="module")
def googlenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    model = zoo.googlenet(32)
    return write(tmp_path_factory.mktemp("onnx") / "googlenet-12.onnx", model), model


@pytest.mark.slow
@torch.no_grad()
def test_caffes_googlenet_is_ours_both_ways(googlenet: tuple[Path, Any], tmp_path: Path) -> None:
    """Its poolings are padded at their end, its response normalizations divide alpha, and a softmax ends it."""
    path, model = googlenet
    images = 50 * torch.randn(1, 3, 32, 32, dtype=torch.double)
    net = archzoo.build("googlenet", weights=path).double().eval()
    assert same_up_to_softmax(net(images), evaluated(model, images))
    # Other weights of ours under their names.
    other = archzoo.build("googlenet")
    names = names_in("onnx", "googlenet")
    weights = {name: tensor.numpy() for name, tensor in names.to_theirs(other, other.state_dict()).items()}
    assert len(weights) == len(model.graph.initializer) - 1  # and the shape of a reshape
    again = other.double().eval()(images)
    assert same_up_to_softmax(again, evaluated(zoo.googlenet(32, weights=weights), images))
    assert (again - net(images)).norm() > 1e-2 * again.norm()


@pytest.mark.slow
def test_names_are_converted_from_an_onnx_model_and_not_to_one(googlenet: tuple[Path, Any], tmp_path: Path) -> None:
    convert(googlenet[0], tmp_path / "ours.safetensors", "googlenet", "archzoo")
    net = archzoo.load(tmp_path / "ours.safetensors")
    [first] = [t for t in googlenet[1].graph.initializer if t.name == "conv1/7x7_s2_w_0"]
    assert torch.equal(net.state_dict()["features.conv1.weight"].double(), torch.tensor(numpy_helper.to_array(first)))
    with pytest.raises(WeightsError, match="archzoo export NAME --to onnx writes ONNX models"):
        convert(googlenet[0], tmp_path / "theirs.onnx", "googlenet", "onnx")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* has 1000 classes")
def test_another_number_of_classes_is_a_new_last_layer(googlenet: tuple[Path, Any]) -> None:
    net = archzoo.build("googlenet", weights=googlenet[0], num_classes=3)
    assert net.classifier.get_submodule("linear").out_features == 3


@pytest.mark.slow
def test_identify_runs_the_graph(googlenet: tuple[Path, Any]) -> None:
    identification = identify(googlenet[0])
    [candidate] = identification.candidates
    assert (candidate.network, candidate.sources, candidate.proven) == ("googlenet", ("onnx",), True)
    assert identification.parameters == 6_998_552  # of GoogLeNet without auxiliary classifiers
    lines = describe(identification)
    assert any("an ONNX model, 116 tensors" in line for line in lines)
    assert lines[-1] == "    its graph computes what this network does, on random images"


# One change of the graph, which no tensor shows.
TRAPS: dict[str, dict[str, Any]] = {
    "inception-v1-12 rounds down": {"pads": (0, 0, 0, 0)},
    "alpha is not divided": {"side": 32, "alpha": 5e-4},
    "the paper of AlexNet adds 2": {"side": 32, "bias": 2.0},
    "a ReLU at the end": {"side": 32, "final": "Relu"},
}


@pytest.mark.slow
@pytest.mark.parametrize("trap", TRAPS)
def test_a_graph_that_computes_something_else_is_refused(trap: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model.onnx", zoo.googlenet(dtype=np.float32, **TRAPS[trap]))
    with pytest.raises(BadOption, match="has the tensors of googlenet, but its graph computes something else: archzoo"):
        archzoo.build("googlenet", weights=path)
    if trap == "alpha is not divided":
        identification = identify(path)
        [candidate] = identification.candidates
        assert candidate.differs == "its graph computes something else, on random images"
        assert (candidate.proven, identification.unseen) == (False, "")
        with pytest.raises(BadOption, match="its graph computes something else"):
            archzoo.build("googlenet", weights=path, trained_as="googlenet")


@pytest.mark.slow
def test_same_says_where_a_graph_differs(googlenet: tuple[Path, Any], tmp_path: Path) -> None:
    equal = archzoo.same("googlenet", str(googlenet[0]))
    assert equal.verdict == "equal"
    assert any("Softmax at its end is left out" in note for note in equal.notes)
    down = write(tmp_path / "down.onnx", zoo.googlenet(**TRAPS["inception-v1-12 rounds down"]))
    difference = archzoo.same("googlenet", down, (3, 64, 64)).difference
    assert difference is not None
    assert (difference.reason, difference.first, difference.second) == ("ceil mode", "features.pool1", "pool1/3x3_s2_1")


# ---- AlexNet's convolutions, of which only the whole file is large


def features(model: Any) -> OnnxNetwork:
    tensors = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
    nodes = tuple(onnx_files._node(onnx, node) for node in model.graph.node)
    [output] = model.graph.output
    return network_of(OnnxModel(nodes, tensors, "data_0", (output.name,)), (3, 224, 224))


@torch.no_grad()
def maps_of(name: str, theirs: OnnxNetwork, images: Tensor) -> Tensor:
    """The last maps of our network with their weights."""
    net = archzoo.build(name, device="meta").features
    state = {
        f"{layer}.{kind}": p
        for layer in ("conv1", "conv2", "conv3", "conv4", "conv5")
        for kind, p in zip(("weight", "bias"), theirs.get_submodule(f"{layer}_1").parameters(), strict=True)
    }
    net.load_state_dict(state, assign=True)
    return net.eval()(images)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("side", [224, 227])
def test_caffes_alexnet_has_the_maps_of_alexnet_caffe_and_not_those_of_the_papers(side: int) -> None:
    """For 227 pixels, as Caffe takes them, both round to 55, 27, 13 and 6; for 224 the ONNX model has 54, 26, 12, 6."""
    model = zoo.alexnet_features(side)
    theirs = features(model)
    images = 50 * torch.randn(1, 3, side, side, dtype=torch.double)
    expected = evaluated(model, images)
    assert expected.shape == (1, 256, 6, 6)
    for maps in (theirs(images), maps_of("alexnet_caffe", theirs, images)):
        assert (maps - expected).norm() <= 1e-9 * expected.norm()
    papers = maps_of("alexnet", theirs, images)
    assert (papers - expected).norm() > 1e-2 * expected.norm()


@torch.no_grad()
def test_caffenet_pools_before_it_normalizes() -> None:
    """The same tensors: its maps are neither those of alexnet_caffe nor those of alexnet."""
    theirs = features(zoo.alexnet_features(pooled_first=True))
    images = 50 * torch.randn(1, 3, 224, 224, dtype=torch.double)
    expected = theirs(images)
    for name in ("alexnet", "alexnet_caffe"):
        assert (maps_of(name, theirs, images) - expected).norm() > 1e-2 * expected.norm()


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="two files of a quarter of a gigabyte")
@torch.no_grad()
def test_the_whole_alexnet_of_caffe_loads_and_caffenet_does_not(tmp_path: Path) -> None:
    import onnxruntime

    path = write(tmp_path / "bvlcalexnet-12.onnx", zoo.alexnet())
    images = 50 * torch.randn(1, 3, 224, 224)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [expected] = session.run(None, {"data_0": images.numpy()})
    net = archzoo.build("alexnet_caffe", weights=path).eval()
    torch.testing.assert_close(net(images).softmax(1), torch.from_numpy(expected), rtol=1e-3, atol=1e-6)
    with pytest.raises(BadOption, match="computes something else .*that is alexnet_caffe.*archzoo same alexnet"):
        archzoo.build("alexnet", weights=path)
    first, second = identify(path).candidates
    assert (first.network, first.proven, second.network) == ("alexnet_caffe", True, "alexnet")
    caffenet = write(tmp_path / "caffenet-12.onnx", zoo.alexnet(pooled_first=True))
    with pytest.raises(BadOption, match="its graph computes something else"):
        archzoo.build("alexnet_caffe", weights=caffenet)
    assert all(candidate.differs for candidate in identify(caffenet).candidates)


def test_a_graph_without_batch_normalization_may_have_it_in_its_convolutions(tmp_path: Path) -> None:
    """As torch's exporter writes eval mode: the batch norms of ResNet-20 are biases of its convolutions."""
    net = archzoo.build("resnet20", device="meta").state_dict()
    shapes = {name.removesuffix(".weight"): tuple(t.shape) for name, t in net.items() if t.dim() == 4}
    tensors = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    tensors |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    tensors |= {"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)}
    lines = describe(identify(write(tmp_path / "folded.onnx", tiny(relu(), tensors=tensors))))
    assert "  none of our networks; the nearest is resnet20, which differs in shapes:" in lines
    assert lines[-1] == "    its graph has no batch normalization: exporters fold it into convolutions"


def test_zfnet512_is_none_of_ours_and_is_named(tmp_path: Path) -> None:
    # Sizes of the model zoo: 349,005,501 bytes, of which 4 are for each of these parameters and the rest is the graph.
    state = {name: torch.zeros(()).expand(shape) for name, shape in zoo.ZFNET512.items()}
    torch.save(state, tmp_path / "file.pth")
    from archzoo.weights import _guarding

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_guarding, "FREE", 1 << 30)
        identification = identify(tmp_path / "file.pth")
    assert 0 < 349_005_501 - 4 * identification.parameters < 4096
    assert identification.other.startswith("zfnet512 of the ONNX model zoo")
    assert identification.nearest is not None
    assert identification.nearest.network == "zfnet"
    assert identification.nearest.options["widths"] == (512, 512, 512)


# ---- Operators, with ONNX's evaluator as the witness


def one_node(kind: str, shape: tuple[int, ...], operands: dict[str, Any], **attributes: Any) -> Any:
    """A model of one node, the tensors that it reads after the image, and its attributes."""
    tensors = [numpy_helper.from_array(torch.as_tensor(value).numpy(), name) for name, value in operands.items()]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", *operands], ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [1, *shape])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, generator=torch.Generator().manual_seed(len(shape)))


MAPS = (4, 9, 8)
ONE_NODE: dict[str, Any] = {
    "convolution": one_node("Conv", MAPS, {"w": numbers(6, 2, 3, 3), "b": numbers(6)}, group=2, strides=[2, 1]),
    "padded on one side": one_node("Conv", MAPS, {"w": numbers(6, 4, 3, 3)}, pads=[0, 1, 2, 1]),
    "dilated": one_node("Conv", MAPS, {"w": numbers(6, 4, 2, 2)}, dilations=[2, 2], pads=[1, 1, 1, 1]),
    "same upper": one_node("Conv", MAPS, {"w": numbers(6, 4, 3, 3)}, auto_pad="SAME_UPPER", strides=[2, 2]),
    "max": one_node("MaxPool", MAPS, {}, kernel_shape=[3, 3], strides=[2, 2]),
    "max, ended": one_node("MaxPool", MAPS, {}, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    "max, ceil": one_node("MaxPool", MAPS, {}, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max, begun": one_node("MaxPool", MAPS, {}, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0]),
    "max, both": one_node("MaxPool", MAPS, {}, kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1]),
    "average": one_node("AveragePool", MAPS, {}, kernel_shape=[3, 3], strides=[2, 2]),
    "average, padded": one_node("AveragePool", MAPS, {}, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "average, counted": one_node("AveragePool", MAPS, {}, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "average of all, ended": one_node("AveragePool", (4, 6, 6), {}, kernel_shape=[7, 7], pads=[0, 0, 1, 1]),
    "global average": one_node("GlobalAveragePool", MAPS, {}),
    "response": one_node("LRN", MAPS, {}, size=5, alpha=0.3, beta=0.625, bias=1.5),
    "response of three": one_node("LRN", MAPS, {}, size=3, alpha=0.5),
    "batch norm": one_node(
        "BatchNormalization",
        MAPS,
        {"scale": numbers(4), "bias": numbers(4), "mean": numbers(4), "var": numbers(4).square()},
        epsilon=0.0078125,
    ),
    "linear": one_node("Gemm", (8,), {"w": numbers(5, 8), "b": numbers(5)}, transB=1),
    "linear, the other way": one_node("Gemm", (8,), {"w": numbers(8, 5), "b": numbers(1, 5)}),
    "product": one_node("MatMul", (8,), {"w": numbers(8, 5)}),
    "reshape": one_node("Reshape", MAPS, {"shape": [1, 2, 2, 9, 8]}),
    "reshape by zero and minus one": one_node("Reshape", MAPS, {"shape": [0, -1]}),
    "pad": one_node("Pad", MAPS, {"pads": [0, 1, 0, 0, 0, 2, 3, 0]}),
    "slice": one_node("Slice", MAPS, {"starts": [1, 0], "ends": [3, 100], "axes": [1, 2], "steps": [1, 2]}),
    "transpose": one_node("Transpose", MAPS, {}, perm=[0, 2, 1, 3]),
    "mean": one_node("ReduceMean", MAPS, {}, axes=[2, 3], keepdims=0),
    "scaled": one_node("Mul", MAPS, {"scale": numbers(4, 1, 1)}),
    "power": one_node("Pow", MAPS, {"exponent": torch.tensor(2.0, dtype=torch.double)}),
    "clip": one_node("Clip", MAPS, {"low": torch.tensor(0.0).double(), "high": torch.tensor(0.5).double()}),
    "unsqueeze": one_node("Unsqueeze", MAPS, {"axes": [2]}),
}


@torch.no_grad()
@pytest.mark.parametrize("name", ONE_NODE)
def test_an_operator_computes_what_onnx_says(name: str, tmp_path: Path) -> None:
    model = ONE_NODE[name]
    read = read_onnx(write(tmp_path / "one.onnx", model))
    images = numbers(2, *(side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim[1:]))
    theirs = network_of(read, images.shape[1:])(images)
    torch.testing.assert_close(theirs, evaluated(model, images), rtol=1e-9, atol=1e-9)


def test_every_operator_is_in_a_table_of_those_that_onnx_has() -> None:
    assert all(onnx.defs.has(kind) for kind in OPERATORS)


# ---- Files that are not read, and graphs that cannot be followed


def tiny(*nodes: Any, tensors: dict[str, Any] | None = None, output: str = "y") -> Any:
    """A model of these nodes for an image x of 3x8x8."""
    initializers = [numpy_helper.from_array(torch.as_tensor(v).numpy(), name) for name, v in (tensors or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )
    return helper.make_model(graph, ir_version=8)


def external() -> Any:
    model = tiny(helper.make_node("Conv", ["x", "w"], ["y"]), tensors={"w": torch.zeros(4, 3, 3, 3)})
    [tensor] = model.graph.initializer
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model


def sparse() -> Any:
    model = tiny(helper.make_node("Relu", ["x"], ["y"]))
    model.graph.sparse_initializer.add()
    return model


def claiming() -> Any:
    """A tensor whose dimensions claim more than it holds."""
    model = external()
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.DEFAULT
    del tensor.dims[:]
    tensor.dims.extend([1 << 40, 1 << 20])
    return model


def text() -> Any:
    words: Any = [b"words"]
    tensor = helper.make_tensor("w", TensorProto.STRING, [1], words)
    model = tiny(helper.make_node("Relu", ["x"], ["y"]))
    model.graph.initializer.append(tensor)
    return model


def relu(**given: Any) -> Any:
    return helper.make_node("Relu", given.get("inputs", ["x"]), given.get("outputs", ["y"]))


UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut off": (lambda: zoo.googlenet().SerializeToString()[:-1000], "is corrupt or not an ONNX model"),
    "other files": (lambda: external().SerializeToString(), "keeps w in another file: write one file"),
    "sparse": (lambda: sparse().SerializeToString(), "holds sparse tensors"),
    "claims": (lambda: claiming().SerializeToString(), "is corrupt or not an ONNX model"),
    "text": (lambda: text().SerializeToString(), "w is a tensor of STRING, which is not read"),
    "no graph": (lambda: b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "is an ONNX model without a graph"),
    "no weights": (lambda: tiny(relu()).SerializeToString(), "holds no state dict"),
    "no image": (
        lambda: tiny(relu(inputs=["w"]), tensors={"w": torch.zeros(2), "x": torch.zeros(2)}).SerializeToString(),
        "is an ONNX model of 0 inputs and 1 outputs, not one",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_is_not_read_says_why(kind: str, tmp_path: Path) -> None:
    content, message = UNREADABLE[kind]
    (tmp_path / "model.onnx").write_bytes(content())
    for read in (identify, lambda path: archzoo.build("googlenet", weights=path), rebuild):
        with pytest.raises(WeightsError, match=message):
            read(tmp_path / "model.onnx")


WEIGHT = {"w": torch.zeros(4, 3, 3, 3)}
DROPPING = {**WEIGHT, "rate": torch.tensor(0.5), "on": torch.tensor(True)}
NOT_FOLLOWED: dict[str, tuple[Any, str]] = {
    "quantized": (tiny(helper.make_node("QLinearConv", ["x"] * 8, ["y"]), tensors=WEIGHT), "it has QLinearConv"),
    "another domain": (
        tiny(helper.make_node("Relu", ["x"], ["y"], domain="com.example"), tensors=WEIGHT),
        r"it has com\.example\.Relu",
    ),
    "a loop": (
        tiny(relu(inputs=["z"]), relu(outputs=["z"], inputs=["y"]), tensors=WEIGHT),
        "a Relu of z, which nothing before it writes",
    ),
    "no output": (tiny(relu(outputs=["z"]), tensors=WEIGHT), "an output that no node writes"),
    "huge maps": (
        tiny(helper.make_node("Conv", ["x", "w"], ["y"], pads=[1 << 20] * 4), tensors=WEIGHT),
        "it has maps of",
    ),
    "endless work": (
        tiny(
            helper.make_node("Relu", ["x"], ["x0"]),
            *(helper.make_node("Conv", [f"x{i}", "w"], [f"x{i + 1}"], pads=[100] * 4) for i in range(3000)),
            tensors={"w": torch.zeros(3, 3, 201, 201)},
            output="x3000",
        ),
        "multiplications for an image",
    ),
    "a dropout that drops": (
        tiny(helper.make_node("Dropout", ["x", "rate", "on"], ["y"]), tensors=DROPPING),
        "it has a dropout in training mode",
    ),
    "an even window": (tiny(helper.make_node("LRN", ["x"], ["y"], size=4), tensors=WEIGHT), "over 4 maps"),
    "shapes that do not fit": (
        tiny(helper.make_node("Conv", ["x", "w"], ["y"]), tensors={"w": torch.zeros(4, 5, 3, 3)}),
        "it has (Given groups=1|Invalid channel)",
    ),
    "an attribute that is missing": (tiny(helper.make_node("MaxPool", ["x"], ["y"]), tensors=WEIGHT), "kernel_shape"),
    "an operand that is missing": (tiny(helper.make_node("Conv", ["x"], ["y"]), tensors=WEIGHT), "it has conv"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOT_FOLLOWED)
def test_a_graph_that_cannot_be_followed_says_why(kind: str, tmp_path: Path) -> None:
    model, message = NOT_FOLLOWED[kind]
    path = write(tmp_path / "model.onnx", model)
    with pytest.raises(WeightsError, match=message):
        rebuild(path)
    assert identify(path).candidates == ()


@torch.no_grad()
def test_constants_are_operands_in_every_spelling(tmp_path: Path) -> None:
    constants: dict[str, dict[str, Any]] = {
        "a": {"value": numpy_helper.from_array(torch.tensor(2.0).numpy())},
        "b": {"value_float": 0.1},
        "shape": {"value_ints": [1, -1]},
    }
    nodes = [helper.make_node("Constant", [], [name], **attributes) for name, attributes in constants.items()]
    nodes += [
        helper.make_node("Mul", ["x", "a"], ["scaled"]),
        helper.make_node("Add", ["scaled", "b"], ["moved"]),
        helper.make_node("Reshape", ["moved", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    path = write(tmp_path / "model.onnx", tiny(*nodes, tensors={"w": numbers(192, 2).float()}))
    images = numbers(1, 3, 8, 8)
    expected = (2 * images + 0.1).flatten(1) @ numbers(192, 2).float().double()
    torch.testing.assert_close(rebuild(path).net.double()(images), expected, rtol=1e-12, atol=1e-12)


def test_names_that_are_no_text_are_read_all_the_same(tmp_path: Path) -> None:
    content = tiny(relu(outputs=["mmmm"]), relu(inputs=["mmmm"]), tensors=WEIGHT).SerializeToString()
    (tmp_path / "model.onnx").write_bytes(content.replace(b"mmmm", b"m\xff.\xfe"))
    net = rebuild(tmp_path / "model.onnx").net
    assert torch.equal(net(-torch.ones(1, 3, 8, 8)), torch.zeros(1, 3, 8, 8))
    (tmp_path / "model.onnx").write_bytes(content.replace(b"Relu", b"R\xffl\xfe"))
    with pytest.raises(WeightsError, match="its graph cannot be followed"):
        rebuild(tmp_path / "model.onnx")


def test_names_of_nodes_are_no_names_of_modules() -> None:
    """What a node writes may be called as an attribute of a module is, have a dot, or have no name."""
    names = ("forward", "training", "a.b", "a_b", "model", "operations", "")
    nodes = tuple(Node("Relu", ("x",), (name,)) for name in names)
    network = OnnxNetwork(OnnxModel((*nodes, Node("Relu", ("x",), ("y",))), {}, "x", ("y",)))
    assert len(network.operations) == len(set(network.operations)) == 8
    assert torch.equal(network(torch.tensor([[-1.0, 2.0]])), torch.tensor([[0.0, 2.0]]))


@pytest.mark.slow
def test_what_cannot_be_followed_is_taken_on_the_callers_word(
    googlenet: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(OPERATORS, "LRN")
    with pytest.raises(
        BadOption, match=r"what its graph computes is not known: it has LRN\. Give trained_as='googlenet'"
    ):
        archzoo.build("googlenet", weights=googlenet[0])
    net = archzoo.build("googlenet", weights=googlenet[0], trained_as="googlenet")
    assert isinstance(net, nn.Module)
    [candidate] = identify(googlenet[0]).candidates
    assert "what its graph computes is not known: it has LRN" in candidate.notes
    assert not candidate.proven


def test_without_the_extra_the_error_names_it(googlenet: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependency, match=r"onnx is not installed.*pip install 'archzoo\[onnx\]'"):
        archzoo.build("googlenet", weights=googlenet[0])


def test_a_missing_file_is_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file none.onnx"):
        archzoo.build("googlenet", weights="none.onnx")
