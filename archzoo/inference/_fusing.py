"""The graph of a network, rewritten for the CPU: what follows a convolution is computed by it, and copies are saved.

All rewrites are exact up to the order of sums:

- conv, then an addition, then a ReLU: one operator. So is a conv with a ReLU6.
- A ReLU of concatenated maps: of each, where all come from convolutions. Of shuffled maps: before the shuffle.
- Average pooling of a 1x1 convolution: the convolution of the pooled maps, which are fewer.
- A convolution of concatenated maps, where it returns fewer than it reads: the sum of convolutions of each.
- Concatenations that grow layer by layer: maps are appended to one buffer.
- Maps that are selected by their places: in the order of channels_last, in which ``index_select`` is slow.
"""

import operator
from collections.abc import Iterator
from itertools import accumulate, pairwise
from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from archzoo.inference._response_norm import BandedNorm
from archzoo.inference._steps import (
    Append,
    FusedConv,
    SelectMaps,
    StartBuffer,
    Step,
    graph_ends,
    select_maps,
    steps_of,
)
from archzoo.inference._structure import Structure, is_hooked, is_plain
from archzoo.layers import ChannelShuffle, Select

ADDITIONS = {operator.add, operator.iadd, torch.add, "add", "add_"}
SELECTIONS = {torch.index_select, "index_select"}
RELUS = {F.relu, torch.relu, torch.relu_, "relu", "relu_"}
SHUFFLES = (ChannelShuffle.forward, nn.ChannelShuffle.forward)
POOLS = (nn.MaxPool2d.forward, nn.AvgPool2d.forward)


def fused_steps(net: nn.Module, kind: type[FusedConv] = FusedConv) -> list[Step]:
    """The steps of a network whose batch norms are folded; none where no operator can be fused.

    Convolutions are split, and summands overwritten, only where ``kind`` is that of oneDNN.
    """
    structure = Structure(net, whole=(BandedNorm,), own_hooks=False)
    graph = FusedGraph(structure, kind)
    if not graph.is_whole or not graph.fuse():
        return []
    return steps_of(graph.graph, structure.root)


class FusedGraph:
    """The graph of a structure, which is rewritten in place."""

    def __init__(self, structure: Structure, kind: type[FusedConv]) -> None:
        self.root, self.graph, self.kind = structure.root, structure.graph, kind

    @property
    def is_whole(self) -> bool:
        """Whether the graph is that of the whole network: one input, and one value that is returned."""
        nodes = list(self.graph.nodes)
        placeholders = [node for node in nodes if node.op == "placeholder"]
        return len(placeholders) == 1 and isinstance(nodes[-1].args[0], fx.Node) and nodes[-1].args[0] in nodes[1:-1]

    def fuse(self) -> bool:
        """Rewrite the graph; whether a convolution is in it that oneDNN computes."""
        self.drop_identities()
        self.relus_before_shuffles()
        self.relus_before_concatenation()
        self.pool_before_1x1_convolutions()
        for node in list(self.graph.nodes):
            conv = self.module(node)
            if isinstance(conv, nn.Conv2d) and has_plain_padding(conv):
                self.fuse_convolution(node, conv)
        if self.kind is FusedConv:
            self.split_convolutions()
            self.reuse_summands()
            self.gather_selections()
        self.grow_concatenations()
        return any(isinstance(node.target, FusedConv) for node in self.graph.nodes)

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls, without hooks, or None."""
        module = self.root.get_submodule(str(node.target)) if node.op == "call_module" else None
        return None if module is None or is_hooked(module) else module

    def call(self, before: fx.Node, function: Any, *args: fx.Node | None) -> fx.Node:
        """A new node."""
        with self.graph.inserting_before(before):
            given = tuple(argument for argument in args if argument is not None)
            return self.graph.create_node("call_function", function, given, name="fused")

    def replace(self, node: fx.Node, other: fx.Node) -> None:
        """Let all readers of a node read another one."""
        node.replace_all_uses_with(other)
        self.graph.erase_node(node)

    def drop_identities(self) -> None:
        """Dropout is one too."""
        for node in list(self.graph.nodes):
            layer = self.module(node)
            if isinstance(layer, nn.Identity | nn.Dropout) and is_plain(layer):
                self.replace(node, node.all_input_nodes[0])

    def is_relu(self, node: fx.Node) -> bool:
        """Whether a node is a ReLU of one value."""
        layer = self.module(node)
        return (layer is not None and type(layer).forward is nn.ReLU.forward) or node.target in RELUS

    def ceiling(self, node: fx.Node) -> float | None:
        """The largest value of a ReLU6, infinity for a ReLU, and None for another node."""
        if self.is_relu(node):
            return inf
        layer = self.module(node)
        is_relu6 = isinstance(layer, nn.ReLU6) and type(layer).forward is nn.ReLU6.forward
        return 6.0 if is_relu6 or node.target is F.relu6 else None

    def is_convolution(self, node: Any) -> bool:
        """Whether a node is a plain convolution that one other node reads."""
        return isinstance(node, fx.Node) and isinstance(self.module(node), nn.Conv2d) and len(node.users) == 1

    def relus_before_shuffles(self) -> None:
        """relu(shuffle(conv)) is shuffle(relu(conv))."""
        for node in list(self.graph.nodes):
            if self.ceiling(node) is None or not self.is_shuffle(node.all_input_nodes[0]):
                continue
            shuffle = node.all_input_nodes[0]
            conv = shuffle.all_input_nodes[0]
            if len(shuffle.users) == 1 and self.is_convolution(conv):
                node.args = (conv, *node.args[1:])
                shuffle.args = (node,)
                node.replace_all_uses_with(shuffle, delete_user_cb=lambda user, shuffle=shuffle: user is not shuffle)
                shuffle.prepend(node)

    def is_shuffle(self, node: fx.Node) -> bool:
        """Whether a node is a channel shuffle."""
        layer = self.module(node)
        return layer is not None and type(layer).forward in SHUFFLES

    def relus_before_concatenation(self) -> None:
        """relu(cat(a, b)) is cat(relu(a), relu(b))."""
        for node in list(self.graph.nodes):
            if not self.is_relu(node) or len(node.all_input_nodes[0].users) > 1:
                continue
            cat = node.all_input_nodes[0]
            parts = concatenated(cat)
            if parts and all(map(self.is_convolution, parts)):
                cat.args, cat.kwargs = ([self.call(cat, torch.relu, part) for part in parts], 1), {}
                self.replace(node, cat)

    def pool_before_1x1_convolutions(self) -> None:
        """The average of what a 1x1 convolution returns is what it returns for the average."""
        for pool in list(self.graph.nodes):
            layer, conv = self.module(pool), next(iter(pool.all_input_nodes), pool)
            if not (isinstance(layer, nn.AvgPool2d) and averages(layer) and self.is_convolution(conv)):
                continue
            if is_pointwise(self.module(conv)):
                with self.graph.inserting_before(pool):
                    pooled = self.graph.call_module(str(pool.target), conv.args)
                    convolved = self.graph.call_module(str(conv.target), (pooled,))
                self.replace(pool, convolved)
                self.graph.erase_node(conv)

    def fuse_convolution(self, node: fx.Node, conv: nn.Conv2d) -> None:
        """Let a convolution compute the addition and the ReLU that alone read it."""
        last, summand = node, None
        if not any(self.writes(user) for user in node.all_input_nodes[0].users):
            addition = only_user(node)
            if addition is not None and (other := self.summand_of(addition, node)) is not None:
                last, summand = addition, other
        relu = only_user(last)
        ceiling = None if relu is None else self.ceiling(relu)
        if summand is not None and ceiling != inf:
            ceiling = None  # oneDNN has no bound of a sum
        chain = [relu] if relu is not None and ceiling is not None else []
        chain += [] if last is node else [last]
        final = chain[0] if chain else node
        step = self.kind(conv, relu=ceiling is not None, ceiling=ceiling or inf)
        fused = self.call(final, step, node.all_input_nodes[0], summand)
        final.replace_all_uses_with(fused)
        for replaced in [*chain, node]:
            self.graph.erase_node(replaced)

    def summand_of(self, addition: fx.Node, conv: fx.Node) -> fx.Node | None:
        """What is added to a convolution's maps: maps of the same shape, as two convolutions or a block return."""
        others = [value for value in addition.args if value is not conv]
        if addition.target not in ADDITIONS or addition.kwargs or len(addition.args) != 2 or len(others) != 1:
            return None
        other = others[0]
        return other if isinstance(other, fx.Node) else None

    def writes(self, node: fx.Node) -> bool:
        """Whether a node writes what it reads."""
        if isinstance(node.target, FusedConv):
            return node.target.inplace
        layer = self.module(node)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        named = node.op != "call_module" and name.endswith("_") and not name.endswith("__")
        in_place = getattr(layer, "inplace", False) or bool(node.kwargs.get("inplace"))
        return named or in_place or node.target is operator.iadd

    def split_convolutions(self) -> None:
        """conv(cat(a, b)) is conv_a(a) + conv_b(b), which saves copies where it returns fewer maps than it reads."""
        for node in list(self.graph.nodes):
            if not isinstance(node.target, FusedConv) or len(node.args) != 1 or node.target.conv.groups != 1:
                continue
            if node.target.ceiling < inf:  # a sum has none
                continue
            pool = node.all_input_nodes[0]
            pooled = only_user(pool) is node and self.is_max_pool(pool)
            cat = pool.all_input_nodes[0] if pooled else pool
            parts = concatenated(cat)
            widths = [part.target.conv.out_channels for part in parts if isinstance(part.target, FusedConv)]
            conv = node.target.conv
            if len(cat.users) > 1 or not parts or len(widths) < len(parts) or conv.out_channels >= sum(widths):
                continue
            out: fx.Node | None = None
            for part, (start, stop) in zip(parts, pairwise(accumulate(widths, initial=0)), strict=True):
                if pooled:
                    with self.graph.inserting_before(node):
                        part = self.graph.call_module(str(pool.target), (part,))
                last, inputs = stop == sum(widths), slice(start, stop)
                step = FusedConv(conv, node.target.relu and last, out is not None, inputs, bias=out is None)
                out = self.call(node, step, part, out)
            assert out is not None
            self.replace(node, out)
            for unused in dict.fromkeys((pool, cat)):
                self.graph.erase_node(unused)

    def is_max_pool(self, node: fx.Node) -> bool:
        """Whether a node is a plain max pooling."""
        return isinstance(self.module(node), nn.MaxPool2d) and not self.module(node).return_indices  # type: ignore[union-attr]

    def grow_concatenations(self) -> None:
        """cat(cat(maps, a), b) and so on, where a and b are maps of convolutions: one buffer, to which they append."""
        for chain in list(self.growing()):
            news = [concatenated(cat)[1] for cat in chain]
            widths = [new.target.conv.out_channels for new in news]  # type: ignore[union-attr]
            left = sum(widths)
            buffer = self.call(chain[0], StartBuffer(left), concatenated(chain[0])[0])
            for cat, new, width in zip(chain, news, widths, strict=True):
                left -= width
                cat.replace_all_uses_with(self.call(cat, Append(left), buffer, new))
            for cat in reversed(chain):
                self.graph.erase_node(cat)

    def growing(self) -> Iterator[list[fx.Node]]:
        """Chains of two concatenations and more, each of the one before and maps of a convolution."""
        chains: dict[fx.Node, list[fx.Node]] = {}
        for node in self.graph.nodes:
            parts = concatenated(node)
            if len(parts) == 2 and isinstance(parts[1].target, FusedConv) and not any(map(self.writes, node.users)):
                chain = chains.pop(parts[0], [])
                chains[node] = [*chain, node]
        yield from (chain for chain in chains.values() if len(chain) > 1)

    def reuse_summands(self) -> None:
        """A sum is written over its second summand, where that is a convolution's result that nobody reads later."""
        order = {node: number for number, node in enumerate(self.graph.nodes)}
        for node in self.graph.nodes:
            if not isinstance(node.target, FusedConv) or len(node.args) < 2:
                continue
            maps, summand = node.args
            readers = [user for user in summand.users if user is not node]
            fresh = isinstance(summand.target, FusedConv) and summand not in graph_ends(self.graph)[1]
            is_last = all(order[user] < order[node] and self.copies(user) for user in readers)
            node.target.inplace |= fresh and is_last and maps is not summand

    def gather_selections(self) -> None:
        """Select maps by their places within each position."""
        for node in list(self.graph.nodes):
            layer = self.module(node)
            if isinstance(layer, Select) and type(layer).forward is Select.forward:
                self.replace(node, self.call(node, SelectMaps(layer), node.all_input_nodes[0]))
            elif node.target in SELECTIONS:
                given = dict(zip(("input", "dim", "index"), node.args, strict=False)) | node.kwargs
                if given["dim"] == 1:
                    self.replace(node, self.call(node, select_maps, given["input"], given["index"]))

    def copies(self, node: fx.Node) -> bool:
        """Whether what a node returns shares no memory with what it reads."""
        layer = self.module(node)
        pools = layer is not None and type(layer).forward in POOLS
        return isinstance(node.target, FusedConv) or node.target is torch.cat or pools


def concatenated(node: fx.Node) -> list[fx.Node]:
    """The maps that a node concatenates along the channels, each of them once; none for other nodes."""
    if node.target is not torch.cat or not isinstance(node.args[0], list | tuple):
        return []
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    parts = [part for part in node.args[0] if isinstance(part, fx.Node)]
    return parts if dim == 1 and len(set(parts)) == len(node.args[0]) else []


def only_user(node: fx.Node) -> fx.Node | None:
    """The node that alone reads another one; None where there are several or it returns from the network."""
    user = next(iter(node.users), None)
    return user if len(node.users) == 1 and user is not None and user.op != "output" else None


def has_plain_padding(conv: nn.Conv2d) -> bool:
    """Whether a layer is a plain convolution that pads with numbers of zeros."""
    return is_plain(conv) and isinstance(conv.padding, tuple) and conv.padding_mode == "zeros"


def is_pointwise(layer: nn.Module | None) -> bool:
    """Whether a layer is a 1x1 convolution of every position."""
    return (
        isinstance(layer, nn.Conv2d)
        and is_plain(layer)
        and layer.kernel_size == layer.stride == (1, 1)
        and layer.padding in (0, (0, 0), "valid")
    )


def averages(pool: nn.AvgPool2d) -> bool:
    """Whether a pooling returns means of positions of the maps, and fewer than it reads."""
    whole = pool.padding in (0, (0, 0)) and pool.divisor_override is None
    return type(pool).forward is nn.AvgPool2d.forward and whole and pool.stride not in (1, (1, 1))
