"""Which layer of one network is which of the other, and which channel which: an isomorphism of their graphs.

All channels that a sum joins (the stream of a residual network) are one wire: they change places together.
"""

from dataclasses import dataclass, field

import numpy as np

from archzoo.comparison._colors import Colors, Painter, is_transparent, mix, output_colors, total
from archzoo.comparison._graph import ZERO, Graph, Slots, Step

ROUNDS = 3  # of colors forward and backward: each tells apart what the one before could not


@dataclass(frozen=True)
class LayerMatch:
    """A step of each network: channel ``outputs[1][i]`` of the second is channel ``outputs[0][i]`` of the first."""

    steps: tuple[Step, Step]
    outputs: tuple[Slots, Slots]
    inputs: tuple[Slots, Slots] | None

    @property
    def moves(self) -> bool:
        """Whether any channel is in another place."""
        pairs = (self.outputs, *([self.inputs] if self.inputs is not None else []))
        return any(not np.array_equal(a, b) for a, b in pairs)


@dataclass(frozen=True)
class Match:
    """An isomorphism: the layers with weights, and all steps that correspond one to one."""

    layers: list[LayerMatch] = field(default_factory=list)
    steps: list[tuple[Step, Step]] = field(default_factory=list)

    @property
    def permuted(self) -> bool:
        """Whether channels of a layer are in other places."""
        return any(layer.moves for layer in self.layers)


def match(first: Graph, second: Graph, *, training: bool = True) -> Match | None:
    """The isomorphism of two graphs, in the order of their channels where that is one, or None."""
    painters = Painter(first, training=training), Painter(second, training=training)
    if [shape for shape, *_ in first.outputs] != [shape for shape, *_ in second.outputs]:
        return None
    if not _name_layers(painters):
        return None
    found = _match_by(painters)
    if found is None:
        _name_channels(painters)
        found = _match_by(painters)
    return found


def _match_by(painters: tuple[Painter, Painter]) -> Match | None:
    """The isomorphism that the present colors show, if the outputs have the same."""
    colors = [painter.forward() for painter in painters]
    outputs = [output_colors(painter.graph, color) for painter, (color, _) in zip(painters, colors, strict=True)]
    if any(not np.array_equal(a, b) for (_, a), (_, b) in zip(*outputs, strict=True)):
        return None
    (first, _), (second, _) = colors
    live = [_live(painter) for painter in painters]
    steps = [
        {int(mix(color[step.writes]).sum(dtype=np.uint64)): step for step in steps}
        for steps, color in zip(live, (first, second), strict=True)
    ]
    weighted = [{color for color, step in side.items() if step.weights} for side in steps]
    if weighted[0] != weighted[1]:
        return None
    # One ReLU of two concatenated maps has no counterpart where each of them has its own.
    pairs = [(step, steps[1][color]) for color, step in steps[0].items() if color in steps[1]]
    layers = [_layer_match(a, b, first, second) for a, b in pairs if a.weights]
    return Match(layers, pairs)


def _live(painter: Painter) -> list[Step]:
    """The steps that the outputs depend on, without those that only return their input."""
    graph = painter.graph
    needed = np.zeros(graph.slots, dtype=bool)
    for _, slots, _ in graph.outputs:
        needed[slots] = True
    live = []
    for step in reversed(graph.steps):
        if needed[step.writes].any():
            live.append(step)
            for slots in step.reads:
                needed[slots] = True
    return [step for step in live[::-1] if not is_transparent(step, training=painter.training)]


def _layer_match(a: Step, b: Step, first: Colors, second: Colors) -> LayerMatch:
    outputs = _aligned(first[a.writes], second[b.writes])
    inputs = _aligned(first[a.reads[0]], second[b.reads[0]]) if a.is_product else None
    return LayerMatch((a, b), outputs, inputs)


def _aligned(first: Colors, second: Colors) -> tuple[Slots, Slots]:
    """The positions of equal colors; in order of the first."""
    a, b = np.argsort(first, kind="stable"), np.argsort(second, kind="stable")
    back = np.argsort(a, kind="stable")
    return a[back], b[back]


def _name_layers(painters: tuple[Painter, Painter]) -> bool:
    """Give each layer with weights of the first network and its counterpart a color that no other layer has.

    Of layers that read the same and are used in the same way, those are counterparts that read the same channels, and
    else those that run in the same order.
    """
    for painter in painters:
        painter.order = False
    for _ in range(ROUNDS):
        signatures = [_signatures(painter) for painter in painters]
        if sorted(signatures[0].values()) != sorted(signatures[1].values()):
            return False
        for painter, signature in zip(painters, signatures, strict=True):
            painter.ids = [np.array([signature.get(i, 0)], dtype=np.uint64) for i in range(len(painter.graph.steps))]
    for painter, signature in zip(painters, signatures, strict=True):
        painter.order = True
        _, reads = painter.forward()
        order = sorted(signature, key=lambda index: (signature[index], int(reads[index][0]), index))
        ranks = {index: rank for rank, index in enumerate(order)}
        painter.ids = [mix(np.array([ranks.get(i, 0)], dtype=np.uint64)) for i in range(len(painter.graph.steps))]
    return True


def _signatures(painter: Painter) -> dict[int, int]:
    """For each layer with weights, what it reads and how its outputs are used, in any order of channels."""
    colors, reads = painter.forward()
    _, used = painter.backward(colors, reads)
    return {
        index: int(mix(mix(reads[index] + total(colors[step.writes], order=False)) + used[index])[0])
        for index, step in enumerate(painter.graph.steps)
        if step.weights
    }


def _name_channels(painters: tuple[Painter, Painter]) -> None:
    """Give the wires of both networks that can be counterparts the same colors, in order of their channels."""
    for painter in painters:
        painter.order = False
        colors, reads = painter.forward()
        up, _ = painter.backward(colors, reads)
        wires = _wires(painter.graph)
        signature = np.zeros(painter.graph.slots, dtype=np.uint64)
        np.add.at(signature, wires, mix(mix(colors) + up))
        painter.channels = _numbered(painter, wires, signature)


def _wires(graph: Graph) -> Slots:
    """For each slot, the smallest slot that it is joined with."""
    wires = np.arange(graph.slots)
    joining = [step for step in graph.steps if step.mixing in ("channelwise", "position")]
    while True:
        before = wires.copy()
        for step in [*joining, *reversed(joining)]:
            smallest = wires[step.writes].copy()
            for slots in step.reads:
                smallest = np.minimum(smallest, np.where(slots == ZERO, smallest, wires[slots]))
            wires[step.writes] = smallest
            for slots in step.reads:
                real = slots != ZERO
                np.minimum.at(wires, slots[real], smallest[real])
        if np.array_equal(before, wires):
            return wires


def _numbered(painter: Painter, wires: Slots, signature: Colors) -> Colors:
    """A color for each slot that a product writes: of its wire, and of its place in the wire among that product's."""
    ids = painter.ids or []
    members: list[tuple[int, int, int]] = []  # the product's color, the channel, the slot
    for index, step in enumerate(painter.graph.steps):
        if step.is_product:
            members += [(int(ids[index][0]), channel, int(slot)) for channel, slot in enumerate(step.writes)]
    members.sort()
    numbers: dict[int, int] = {}
    counted: dict[int, int] = {}
    again: dict[tuple[int, int], int] = {}
    channels = np.zeros(painter.graph.slots, dtype=np.uint64)
    places = np.zeros(painter.graph.slots, dtype=np.uint64)
    for product, _, slot in members:
        wire = int(wires[slot])
        kind = int(signature[wire])
        if wire not in numbers:
            numbers[wire] = counted[kind] = counted.get(kind, -1) + 1
        place = again[product, wire] = again.get((product, wire), -1) + 1
        channels[slot], places[slot] = numbers[wire], place
    return mix(mix(channels + signature[wires]) + places)
