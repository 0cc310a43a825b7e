"""An ONNX graph as a module of PyTorch, so that what a file computes can be compared with a network."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import WeightsError
from archzoo.layers import evaluation_mode
from archzoo.weights._onnx_files import Node, OnnxModel, read_onnx, shortest
from archzoo.weights._onnx_operators import OPERATORS, NotFollowed, check_elements, products
from archzoo.weights._recognition import first_line

# Of one image, as a graph of a hostile file may ask for any amount.
MOST_PRODUCTS = 1 << 36
MOST_SETTINGS = 1000  # integers of one tensor: a shape, or axes
# Operands that are one number are settings of these, not weights.
ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Clip", "Pad")
STATISTICS = (3, 4)  # the operands of a batch normalization that are no parameters


class Operation(nn.Module):
    """One node. Its floating-point tensors are parameters, or buffers where they are statistics of batches."""

    def __init__(self, node: Node, tensors: Mapping[str, Tensor], shared: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.node = node
        self.settings: dict[int, Any] = {}
        for place, name in enumerate(node.inputs):
            if name not in tensors:
                continue
            tensor = tensors[name]
            if not tensor.is_floating_point() or (tensor.numel() == 1 and node.kind in ELEMENTWISE):
                self.settings[place] = _setting(tensor)
            elif node.kind == "BatchNormalization" and place in STATISTICS:
                self.register_buffer(f"operand{place}", tensor)
            else:
                parameter = shared.setdefault(name, nn.Parameter(tensor, requires_grad=False))
                self.register_parameter(f"operand{place}", parameter)

    def forward(self, *maps: Tensor | None) -> Any:
        operands: list[Any] = list(maps)
        for place in range(len(operands)):
            if place in self.settings:
                operands[place] = self.settings[place]
            elif hasattr(self, f"operand{place}"):
                operands[place] = getattr(self, f"operand{place}")
        while operands and operands[-1] is None:
            operands.pop()
        return OPERATORS[self.node.kind](self.node.attributes, *operands)

    def extra_repr(self) -> str:
        return self.node.kind


def _setting(tensor: Tensor) -> Any:
    """A tensor that is no weight, as a number or a list of integers."""
    if tensor.is_floating_point():
        return shortest(tensor.item()) if tensor.dtype == torch.float32 else float(tensor.item())
    if tensor.numel() > MOST_SETTINGS:
        raise NotFollowed(f"{tensor.numel():,} integers for a shape")
    return tensor.tolist()


class OnnxNetwork(nn.Module):
    """A graph whose operators are all known. Its modules are called after what they write.

    Raises NotFollowed for other operators, and from ``forward`` for settings of them that are not known.
    """

    def __init__(self, model: OnnxModel) -> None:
        super().__init__()
        unknown = sorted({node.kind for node in model.nodes if node.kind not in OPERATORS})
        if unknown:
            raise NotFollowed(first_line(", ".join(unknown), 100))
        self.model = model
        self.operations: list[str] = []
        self.last_use = {name: place for place, node in enumerate(model.nodes) for name in node.inputs}
        self.last_use |= dict.fromkeys(model.outputs, len(model.nodes))
        shared: dict[str, nn.Parameter] = {}
        for place, node in enumerate(model.nodes):
            name = (node.outputs[0] if node.outputs else "").replace(".", "_") or "node"
            while hasattr(self, name):
                name = f"{name}_{place}"
            self.add_module(name, Operation(node, model.tensors, shared))
            self.operations.append(name)

    def forward(self, images: Tensor) -> Any:
        """What the graph returns for a batch of images (N, C, H, W). Raises NotFollowed."""
        values: dict[str, Tensor] = {self.model.input: images}
        done = 0
        for place, name in enumerate(self.operations):
            operation = self.get_submodule(name)
            assert isinstance(operation, Operation)
            node = operation.node
            missing = [i for i in node.inputs if i and i not in values and i not in self.model.tensors]
            if missing:
                raise NotFollowed(f"a {node.kind} of {first_line(missing[0], 60)}, which nothing before it writes")
            out = operation(*(values.get(i) for i in node.inputs))
            results = out if isinstance(out, tuple) else (out,)
            values |= zip(node.outputs, results, strict=False)
            done += _cost(operation, results, len(images))
            _check_size(values.values(), done, len(images))
            values = {name: value for name, value in values.items() if self.last_use.get(name, -1) > place}
        outputs = tuple(values[name] for name in self.model.outputs if name in values)
        if len(outputs) != len(self.model.outputs):
            raise NotFollowed("an output that no node writes")
        return outputs[0] if len(outputs) == 1 else outputs


def _cost(operation: Operation, results: Sequence[Tensor], batch: int) -> int:
    """The multiplications for one image."""
    weight = next(iter(operation.parameters()), None)
    first = results[0]
    return (first.numel() if weight is None else products(operation.node.kind, weight, first)) // max(batch, 1)


def _check_size(values: Iterable[Tensor], done: int, batch: int) -> None:
    """Raise NotFollowed for maps that need far more memory, or time, than those of any network here."""
    check_elements(sum(value.numel() for value in values) // max(batch, 1))
    if done > MOST_PRODUCTS:
        raise NotFollowed(f"more than {MOST_PRODUCTS:,} multiplications for an image")


def network_of(model: OnnxModel, size: Sequence[int]) -> OnnxNetwork:
    """The graph as a module that runs on images of this size (channels, height, width), tried without values.

    Raises NotFollowed for operators or settings that are not known, and for graphs that need far more memory or time
    than any network here.
    """
    network = OnnxNetwork(model).eval()
    try:
        with torch.no_grad(), evaluation_mode(network):
            own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
            on_meta = {name: torch.empty(tensor.shape, device="meta") for name, tensor in own.items()}
            torch.func.functional_call(network, on_meta, (torch.empty(2, *size, device="meta"),))
    except NotFollowed:
        raise
    except Exception as error:  # a damaged graph makes operators raise anything
        raise NotFollowed(first_line(str(error) or type(error).__name__, 200)) from error
    return network


def read_network(path: str | Path) -> OnnxNetwork:
    """The graph of an ONNX model as a module, without a softmax at its end.

    Raises WeightsError for a file that cannot be read, and for a graph with operators that are not known.
    """
    model = read_onnx(Path(path))
    try:
        return network_of(model, model.size or (3, 224, 224))
    except NotFollowed as error:
        raise WeightsError(f"{path}: its graph cannot be followed: it has {error}") from error
