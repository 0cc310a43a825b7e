"""Graphs of the ONNX model zoo, written anew node by node as Caffe2 exported them, with random weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Arrays = Mapping[str, Any]


class Graph:
    """Nodes and weights. ``weights`` are given by name; a name that is not among them gets random ones.

    They are numbers of float32, kept as float64 so that an evaluator computes in double precision.
    """

    def __init__(self, weights: Arrays | None = None, *, dtype: Any = np.float64, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.given = dict(weights or {})
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}

    def tensor(self, name: str, shape: tuple[int, ...], std: float) -> str:
        value = self.given[name] if name in self.given else self.random.normal(0, std, shape)
        assert value.shape == shape, name
        self.initializers[name] = np.asarray(value, np.float32).astype(self.dtype)
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def conv(
        self, x: str, name: str, ins: int, outs: int, kernel: int, stride: int = 1, pad: int = 0, group: int = 1
    ) -> str:
        """A convolution with a bias, and its ReLU."""
        fan_in = ins // group * kernel**2
        weight = self.tensor(f"{name}_w_0", (outs, ins // group, kernel, kernel), (2 / fan_in) ** 0.5)
        bias = self.tensor(f"{name}_b_0", (outs,), 0.2)
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": group}
        out = self.add("Conv", [x, weight, bias], f"{name}_1", **attributes)
        return self.add("Relu", [out], f"{name}_2")

    def lrn(self, x: str, name: str, *, alpha: float = 1e-4, bias: float = 1.0) -> str:
        return self.add("LRN", [x], f"{name}_1", size=5, alpha=alpha, beta=0.75, bias=bias)

    def pool(self, x: str, name: str, kernel: int = 3, stride: int = 2, pads: tuple[int, ...] = (0, 0, 0, 0)) -> str:
        windows = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": list(pads)}
        return self.add("MaxPool", [x], f"{name}_1", **windows)

    def fc(self, x: str, name: str, ins: int, outs: int) -> str:
        weight = self.tensor(f"{name}_w_0", (outs, ins), (2 / ins) ** 0.5)
        return self.add("Gemm", [x, weight, self.tensor(f"{name}_b_0", (outs,), 0.2)], f"{name}_1", transB=1)

    def reshaped(self, x: str, features: int) -> str:
        """Rows of one image: the batch is written as 1."""
        self.initializers["OC2_DUMMY_1"] = np.array([1, features], np.int64)
        return self.add("Reshape", [x, "OC2_DUMMY_1"], "OC2_DUMMY_0")

    def model(self, output: str, side: int, shape: tuple[int, ...], image: str = "data_0") -> Any:
        kind = TensorProto.DOUBLE if self.dtype == np.float64 else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "zoo",
            [helper.make_tensor_value_info(image, kind, [1, 3, side, side])],
            [helper.make_tensor_value_info(output, kind, list(shape))],
            [numpy_helper.from_array(array, name) for name, array in self.initializers.items()],
        )
        opset = [helper.make_opsetid("", 12)]
        return helper.make_model(graph, opset_imports=opset, ir_version=3, producer_name="onnx-caffe2")


# Caffe pads a pooling at its end so far that a last window, which is not complete, begins within the maps.
LEGACY = (0, 0, 2, 2)
# bvlc_googlenet, deploy.prototxt: maps of 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, and of the projected pooling.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(
    side: int = 64,
    *,
    weights: Arrays | None = None,
    dtype: Any = np.float64,
    pads: tuple[int, ...] = LEGACY,
    alpha: float = 1e-4,
    bias: float = 1.0,
    classes: int = 1000,
    final: str = "Softmax",
) -> onnx.ModelProto:
    """googlenet-12 for images of another side. With ``pads`` of 0, sizes are rounded down, as in inception-v1-12."""
    g = Graph(weights, dtype=dtype)
    x = g.conv("data_0", "conv1/7x7_s2", 3, 64, 7, stride=2, pad=3)
    x = g.lrn(g.pool(x, "pool1/3x3_s2", pads=pads), "pool1/norm1", alpha=alpha, bias=bias)
    x = g.conv(g.conv(x, "conv2/3x3_reduce", 64, 64, 1), "conv2/3x3", 64, 192, 3, pad=1)
    x = g.pool(g.lrn(x, "conv2/norm2", alpha=alpha, bias=bias), "pool2/3x3_s2", pads=pads)
    ins = 192
    for name, (one, reduce3, three, reduce5, five, project) in INCEPTIONS.items():
        if name in ("4a", "5a"):
            x = g.pool(x, f"pool{int(name[0]) - 1}/3x3_s2", pads=pads)
        module = f"inception_{name}"
        pooled = g.pool(x, f"{module}/pool", stride=1, pads=(1, 1, 1, 1))
        parts = [
            g.conv(x, f"{module}/1x1", ins, one, 1),
            g.conv(g.conv(x, f"{module}/3x3_reduce", ins, reduce3, 1), f"{module}/3x3", reduce3, three, 3, pad=1),
            g.conv(g.conv(x, f"{module}/5x5_reduce", ins, reduce5, 1), f"{module}/5x5", reduce5, five, 5, pad=2),
            g.conv(pooled, f"{module}/pool_proj", ins, project, 1),
        ]
        x = g.add("Concat", parts, f"{module}/output_1", axis=1)
        ins = one + three + five + project
    last = _side(side, pads)
    x = g.add("AveragePool", [x], "pool5/7x7_s1_1", kernel_shape=[last] * 2, strides=[1, 1], pads=[0] * 4)
    x = g.reshaped(g.add("Dropout", [x], "pool5/7x7_s1_2"), 1024)
    x = g.fc(x, "loss3/classifier", 1024, classes)
    x = g.add(final, [x], "prob_1", axis=1) if final else x
    return g.model(x, side, (1, classes))


def _side(side: int, pads: tuple[int, ...]) -> int:
    """That of the last maps: conv1 halves, and so do four poolings, rounding up or down."""
    side = (side + 2 * 3 - 7) // 2 + 1
    for _ in range(4):
        side = (side + pads[2] - 3) // 2 + 1
    return side


def alexnet_features(side: int = 224, *, pooled_first: bool = False, alpha: float = 1e-4, bias: float = 1.0) -> Any:
    """bvlcalexnet-12 up to its last pooling. In caffenet-12 pooling comes first, and sizes are rounded up."""
    g = Graph()

    def normalized(x: str, number: int) -> str:
        name, pads = f"norm{number}", LEGACY if pooled_first else (0, 0, 0, 0)
        if pooled_first:
            return g.lrn(g.pool(x, f"pool{number}", pads=pads), name, alpha=alpha, bias=bias)
        return g.pool(g.lrn(x, name, alpha=alpha, bias=bias), f"pool{number}", pads=pads)

    x = normalized(g.conv("data_0", "conv1", 3, 96, 11, stride=4), 1)
    x = normalized(g.conv(x, "conv2", 96, 256, 5, pad=2, group=2), 2)
    x = g.conv(x, "conv3", 256, 384, 3, pad=1)
    x = g.conv(x, "conv4", 384, 384, 3, pad=1, group=2)
    x = g.conv(x, "conv5", 384, 256, 3, pad=1, group=2)
    return g.model(g.pool(x, "pool5", pads=(0,) * 4 if pooled_first else (0, 0, 1, 1)), side, (1, 256, 6, 6))


def alexnet(*, pooled_first: bool = False) -> onnx.ModelProto:
    """bvlcalexnet-12 or caffenet-12, whole, in float32."""
    model = alexnet_features(pooled_first=pooled_first)
    g = Graph(dtype=np.float32, seed=1)
    g.nodes = list(model.graph.node)
    g.initializers = {t.name: numpy_helper.to_array(t).astype(np.float32) for t in model.graph.initializer}
    x = g.reshaped(model.graph.output[0].name, 9216)
    for name, ins, outs in (("fc6", 9216, 4096), ("fc7", 4096, 4096)):
        x = g.add("Dropout", [g.add("Relu", [g.fc(x, name, ins, outs)], f"{name}_2")], f"{name}_3")
    return g.model(g.add("Softmax", [g.fc(x, "fc8", 4096, 1000)], "prob_1", axis=1), 224, (1, 1000))


# zfnet512-12: its tensors, and their shapes.
ZFNET512 = {
    **{
        f"gpu_0/conv{i}_w_0": shape
        for i, shape in enumerate(
            ((96, 3, 7, 7), (256, 96, 5, 5), (512, 256, 3, 3), (512, 512, 3, 3), (512, 512, 3, 3)), 1
        )
    },
    **{f"gpu_0/conv{i}_b_0": (maps,) for i, maps in enumerate((96, 256, 512, 512, 512), 1)},
    "gpu_0/fc6_w_0": (4096, 18432),
    "gpu_0/fc7_w_0": (1024, 4096),
    "gpu_0/fc8_w_0": (1000, 1024),
    "gpu_0/fc6_b_0": (4096,),
    "gpu_0/fc7_b_0": (1024,),
    "gpu_0/fc8_b_0": (1000,),
}
