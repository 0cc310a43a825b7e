"""The steps of a traced network, run one after another, and convolutions that do more in one step."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from archzoo.layers import Select

CHANNELS_LAST = torch.channels_last


@dataclass(eq=False)
class FusedConv:
    """A convolution, by default followed by nothing, in one call of oneDNN with weights that are packed.

    They are packed anew for maps of another size: oneDNN would reorder them at every call.

    ``relu`` is applied to the sum of the convolution and the second input, if there is one. Without a second input, it
    may have a ``ceiling``, as ReLU6 has. ``inplace`` writes the result over the second input. ``inputs`` are the input
    maps that are read, all of them or a part.
    """

    conv: nn.Conv2d
    relu: bool = False
    inplace: bool = False
    inputs: slice = field(default_factory=lambda: slice(None))
    bias: bool = True
    ceiling: float = math.inf
    packed: Tensor | None = None
    source: tuple[int, int, torch.dtype] | None = None
    size: torch.Size | None = None

    def is_current(self, dtype: torch.dtype) -> bool:
        """Whether the packed weights are those of the layer; True before they are packed. False for other types."""
        weight = self.conv.weight
        if weight.dtype != dtype or weight.device.type != "cpu":
            return False
        if self.source not in (None, source_of(weight)):
            self.packed = None
        return True

    def pack(self, maps: Tensor) -> Tensor:
        """The weights in the order that oneDNN wants for maps of this shape; it takes any other batch too."""
        conv = self.conv
        weight = conv.weight.detach()[:, self.inputs].contiguous(memory_format=CHANNELS_LAST)
        self.source, self.size = source_of(conv.weight), maps.shape[2:]
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            weight, conv.padding, conv.stride, conv.dilation, conv.groups, list(maps.shape)
        )
        return packed

    def __call__(self, maps: Tensor, summand: Tensor | None = None) -> Tensor:
        if self.packed is None or self.size != maps.shape[2:]:
            self.packed = self.pack(maps)
        conv, operators = self.conv, torch.ops.mkldnn
        bias = conv.bias if self.bias else None
        layer = self.packed, bias, conv.padding, conv.stride, conv.dilation, conv.groups
        relu = "relu" if self.relu else None
        out: Tensor
        if summand is None and self.relu and self.ceiling < math.inf:
            out = operators._convolution_pointwise(maps, *layer, "hardtanh", [0.0, self.ceiling], "")
        elif summand is None:
            out = operators._convolution_pointwise(maps, *layer, relu or "none", [], "")
        elif self.inplace:
            out = operators._convolution_pointwise_.binary(summand, maps, *layer, "add", None, relu, [], "")
        else:
            out = operators._convolution_pointwise.binary(maps, summand, *layer, "add", None, relu, [], "")
        return out


@dataclass(eq=False)
class CudnnConv(FusedConv):
    """The same by cuDNN, which has an operator for what ends with a ReLU."""

    def __call__(self, maps: Tensor, summand: Tensor | None = None) -> Tensor:
        conv = self.conv
        geometry: Any = conv.stride, conv.padding, conv.dilation, conv.groups
        if not self.relu:
            out: Tensor = conv(maps)
            return out if summand is None else out.add_(summand)
        if summand is None:
            out = torch.cudnn_convolution_relu(maps, conv.weight, conv.bias, *geometry)
            return out if self.ceiling == math.inf else out.clamp_max_(self.ceiling)
        return torch.cudnn_convolution_add_relu(maps, conv.weight, summand, 1, conv.bias, *geometry)


@dataclass(eq=False)
class StartBuffer:
    """Room for maps and ``more`` maps that follow them, with the maps copied to its start."""

    more: int

    def __call__(self, maps: Tensor) -> Tensor:
        batch, channels, *size = maps.shape
        buffer = maps.new_empty((batch, channels + self.more, *size)).contiguous(memory_format=CHANNELS_LAST)
        buffer[:, :channels] = maps
        return buffer


@dataclass(eq=False)
class Append:
    """Copies maps into a buffer, ``last`` maps before its end, and returns all maps up to there."""

    last: int

    def __call__(self, buffer: Tensor, maps: Tensor) -> Tensor:
        end = buffer.shape[1] - self.last
        buffer[:, end - maps.shape[1] : end] = maps
        return buffer[:, :end]


def select_maps(maps: Tensor, index: Tensor) -> Tensor:
    """``maps.index_select(1, index)`` in the order of channels_last, which index_select leaves and comes back to."""
    if maps.dim() != 4:
        return maps.index_select(1, index)
    positions = maps.permute(0, 2, 3, 1)
    rows = positions.flatten(0, 2)
    selected = rows.gather(1, index.expand(len(rows), -1))
    return selected.view(*positions.shape[:3], -1).permute(0, 3, 1, 2)


@dataclass(eq=False)
class SelectMaps:
    """An index layer, by ``select_maps``."""

    layer: Select

    def __call__(self, maps: Tensor) -> Tensor:
        return select_maps(maps, self.layer.index)


@dataclass
class Slot:
    """The place of a value, in the arguments of a step."""

    number: int


@dataclass
class Step:
    """A function, its arguments with slots in them, where its result goes, and the values that no later step reads."""

    run: Callable[..., Any]
    args: Any
    kwargs: Any
    result: int
    dead: Sequence[int]


class Program:
    """Steps in the order of a graph, from images to the value that the network returns."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.convs = [step.run for step in steps if isinstance(step.run, FusedConv)]
        self.size = 1 + max((step.result for step in steps), default=0)

    def is_current(self, dtype: torch.dtype) -> bool:
        """Whether every fused convolution computes in this type; weights that changed are packed again."""
        return all(conv.is_current(dtype) for conv in self.convs)

    def __call__(self, images: Tensor) -> Any:
        values: list[Any] = [None] * self.size
        values[0] = images.contiguous(memory_format=CHANNELS_LAST)
        for step in self.steps:
            values[step.result] = step.run(*fill(step.args, values), **fill(step.kwargs, values))
            for number in step.dead:
                values[number] = None
        return values[self.steps[-1].result]


def source_of(weight: Tensor) -> tuple[int, int, torch.dtype]:
    """What changes when a weight is moved, converted or written."""
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version, weight.dtype


def fill(arguments: Any, values: Sequence[Any]) -> Any:
    """Arguments with values in place of slots."""
    if isinstance(arguments, Slot):
        return values[arguments.number]
    if isinstance(arguments, dict):
        return {name: fill(argument, values) for name, argument in arguments.items()}
    if isinstance(arguments, list | tuple):
        filled = [fill(argument, values) for argument in arguments]
        return filled if isinstance(arguments, list) else tuple(filled)
    return arguments


def steps_of(graph: fx.Graph, root: nn.Module) -> list[Step]:
    """The steps of a graph of one input and one output."""
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    start, end = graph_ends(graph)
    numbers = {start: 0} | {node: number for number, node in enumerate(nodes, 1)}
    last_reader = {source: node for node in nodes for source in node.all_input_nodes if source not in end}
    steps = []
    for node in nodes:
        dead = [numbers[source] for source in node.all_input_nodes if last_reader.get(source) is node]
        slots: Any = {source: Slot(numbers[source]) for source in node.all_input_nodes}
        args, kwargs = cast(Any, fx.map_arg((node.args, node.kwargs), slots.__getitem__))
        steps.append(Step(callable_of(node, root), args, kwargs, numbers[node], dead))
    return steps


def graph_ends(graph: fx.Graph) -> tuple[fx.Node, tuple[fx.Node, ...]]:
    """The node of the images, and those that the output reads."""
    return next(iter(graph.nodes)), tuple(next(reversed(graph.nodes)).all_input_nodes)


def callable_of(node: fx.Node, root: nn.Module) -> Callable[..., Any]:
    """What a node calls."""
    target: Any = node.target
    if node.op == "call_module":
        return root.get_submodule(target)
    if node.op == "call_method":
        return lambda maps, *args, **kwargs: getattr(maps, target)(*args, **kwargs)
    if node.op == "get_attr":
        owner, _, name = target.rpartition(".")
        return lambda: getattr(root.get_submodule(owner), name)
    return cast(Callable[..., Any], target)
