"""ONNX models: their tensors by name and the nodes of their graph, read without running anything."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archzoo.errors import MissingDependency, WeightsError
from archzoo.weights._guarding import reading
from archzoo.weights._recognition import first_line

MOST_NODES = 20_000
FINAL = ("Softmax", "LogSoftmax")  # what turns logits into probabilities, and is no layer of a network here


@dataclass(frozen=True)
class Node:
    """One operator of a graph, the names of the values that it reads and writes, and its attributes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX model. ``final`` is the softmax that was left out at its end, or "".

    ``size`` is that of its input without the batch, (channels, height, width), or None where the file leaves it open.
    """

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    input: str
    outputs: tuple[str, ...]
    size: tuple[int, ...] | None = None
    final: str = ""

    @property
    def weights(self) -> dict[str, Tensor]:
        """The tensors of floating-point numbers: the others are shapes and axes, and scalars are settings."""
        return {name: tensor for name, tensor in self.tensors.items() if tensor.is_floating_point() and tensor.dim()}


def read_onnx(path: Path) -> OnnxModel:
    """The graph and the tensors of an ONNX model.

    Raises MissingDependency without the extra "onnx", and WeightsError for a file that is damaged, that keeps tensors
    in other files, or whose graph takes no image.
    """
    onnx = _onnx()
    with reading(path, "an ONNX model"):
        graph = onnx.load_model_from_string(path.read_bytes()).graph
        if not graph.node:
            raise WeightsError(f"{path} is an ONNX model without a graph")
        if len(graph.node) > MOST_NODES:
            raise WeightsError(f"{path} has a graph of {len(graph.node):,} nodes, more than any network here")
        tensors = dict(_tensors(onnx, graph, path))
        nodes = tuple(_node(onnx, node) for node in graph.node if node.op_type != "Constant")
        return _without_softmax(nodes, tensors, *_ends(graph, tensors, path))


def _onnx() -> Any:
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingDependency(
            "onnx is not installed, which reads ONNX models: pip install 'archzoo[onnx]'"
        ) from error
    return onnx


def _tensors(onnx: Any, graph: Any, path: Path) -> Iterator[tuple[str, Tensor]]:
    """The initializers, and the values of constant nodes."""
    if graph.sparse_initializer:
        raise WeightsError(f"{path} holds sparse tensors: they are not read from ONNX models")
    for tensor in graph.initializer:
        yield _text(tensor.name), _tensor(onnx, tensor, path)
    for node in graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.output:
            [value] = node.attribute
            if value.name == "value":
                yield _text(node.output[0]), _tensor(onnx, value.t, path)
            elif value.name in ("value_float", "value_int", "value_floats", "value_ints"):
                yield _text(node.output[0]), torch.tensor(_attribute(onnx.helper.get_attribute_value(value)))


def _tensor(onnx: Any, tensor: Any, path: Path) -> Tensor:
    name = first_line(_text(tensor.name), 60)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise WeightsError(
            f"{path} keeps {name} in another file: write one file, onnx.save(onnx.load(model), 'one.onnx')"
        )
    array = onnx.numpy_helper.to_array(tensor)
    if array.dtype.kind not in "fiub":
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        if kind != "BFLOAT16":
            raise WeightsError(f"{path}: {name} is a tensor of {kind}, which is not read")
        array = array.astype(np.float32)
    return torch.from_numpy(np.array(array))


def _node(onnx: Any, node: Any) -> Node:
    attributes = {_text(a.name): _attribute(onnx.helper.get_attribute_value(a)) for a in node.attribute}
    domain = "" if node.domain in ("", "ai.onnx") else f"{_text(node.domain)}."
    inputs, outputs = (tuple(map(_text, names)) for names in (node.input, node.output))
    return Node(f"{domain}{_text(node.op_type)}", inputs, outputs, attributes)


def _text(name: str | bytes) -> str:
    """A name, which is bytes where a damaged file has no UTF-8."""
    return name if isinstance(name, str) else name.decode("utf-8", "backslashreplace")


def shortest(value: float) -> float:
    """The number that was written as a float32: the shortest decimal that it is nearest to, such as 0.0001."""
    return float(str(np.float32(value)))


def _attribute(value: Any) -> Any:
    """An attribute as a value of Python."""
    if isinstance(value, float):
        return shortest(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, int | str) else list(value) if _is_list(value) else None


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and all(isinstance(item, int | float) for item in value)


def _ends(graph: Any, tensors: Mapping[str, Tensor], path: Path) -> tuple[str, tuple[str, ...], Any]:
    """The name of the image, those of the outputs, and the size of the image."""
    images = [value for value in graph.input if _text(value.name) not in tensors]
    if len(images) != 1 or not graph.output:
        raise WeightsError(f"{path} is an ONNX model of {len(images)} inputs and {len(graph.output)} outputs, not one")
    sides = [side.dim_value for side in images[0].type.tensor_type.shape.dim]
    size = tuple(sides[1:]) if len(sides) == 4 and all(side > 0 for side in sides[1:]) else None
    return _text(images[0].name), tuple(_text(value.name) for value in graph.output), size


def _without_softmax(
    nodes: tuple[Node, ...], tensors: Mapping[str, Tensor], image: str, outputs: tuple[str, ...], size: Any
) -> OnnxModel:
    """The model up to its logits."""
    last = [node for node in nodes if outputs[0] in node.outputs]
    if len(outputs) == 1 and last and last[0].kind in FINAL and last[0].inputs:
        kept = tuple(node for node in nodes if node is not last[0])
        return OnnxModel(kept, tensors, image, (last[0].inputs[0],), size, last[0].kind)
    return OnnxModel(nodes, tensors, image, outputs, size)
