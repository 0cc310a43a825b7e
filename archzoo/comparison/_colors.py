"""Colors of channels: numbers that are equal where two channels compute the same of the same.

A color is a hash of 64 bits. Colors of one step are one array, so that a network takes milliseconds.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archzoo.comparison._graph import ZERO, Graph, Step

Colors = npt.NDArray[np.uint64]
PRIMES = [np.uint64(prime) for prime in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)]
COMMUTATIVE = {"mul", "maximum", "minimum"}


def mix(values: Colors) -> Colors:
    """Scatter the bits of 64-bit numbers (the finalizer of splitmix64, S. Vigna)."""
    values = values + PRIMES[0]
    values = (values ^ (values >> np.uint64(30))) * PRIMES[1]
    values = (values ^ (values >> np.uint64(27))) * PRIMES[2]
    return values ^ (values >> np.uint64(31))


def color_of(value: Any) -> Colors:
    """The color of anything that has a repr, as an array of one."""
    digest = hashlib.blake2b(repr(value).encode(), digest_size=8).digest()
    return np.frombuffer(digest, dtype=np.uint64).copy()


def key_of(step: Step, *, training: bool) -> Colors:
    """The color of what a step does, wherever its inputs are from."""
    settings = sorted(step.settings.items())
    return color_of((step.kind, settings, sorted(step.training.items()) if training else (), step.form))


def is_sum(step: Step) -> bool:
    """Whether a step adds channels, so that neither order nor brackets matter."""
    return step.kind == "add" and step.mixing == "channelwise" and not step.settings and not step.weights


def is_transparent(step: Step, *, training: bool) -> bool:
    """Whether a step returns its input: dropout in eval mode."""
    return not training and bool(step.training) and not step.settings and not step.weights


class Painter:
    """Colors of every slot of a graph.

    ``ids`` are colors of the layers with weights, beyond what they read, and ``channels`` of the slots that products
    write: with the index of a channel, two networks have the same colors only in the same order of channels.
    """

    def __init__(self, graph: Graph, *, training: bool = True) -> None:
        self.graph = graph
        self.training = training
        self.keys = [key_of(step, training=training) for step in graph.steps]
        self.ids: list[Colors] | None = None
        self.channels: Colors | None = None
        self.order = True  # whether the order of what a product reads matters

    def forward(self) -> tuple[Colors, list[Colors]]:
        """The color of each slot, from what it depends on; and of what each step reads."""
        colors = np.zeros(self.graph.slots, dtype=np.uint64)
        first, last = 1, 1 + self.graph.inputs
        colors[first:last] = mix(np.arange(first, last, dtype=np.uint64))
        reads = []
        for index, step in enumerate(self.graph.steps):
            colors[step.first : step.first + step.count], read = self._written(index, step, colors)
            colors[ZERO] = 0
            reads.append(read)
        return colors, reads

    def _written(self, index: int, step: Step, colors: Colors) -> tuple[Colors, Colors]:
        key, ins = self.keys[index], [colors[slots] for slots in step.reads]
        if step.mixing == "product":
            read = mix(key + total(ins[0], order=self.order))
            if self.ids is not None:
                read = mix(read + self.ids[index])
            return self._of_product(step, read), read
        if step.mixing == "opaque":
            read = key
            for part in ins:
                read = mix(read * PRIMES[2] + total(part, order=True))
            return mix(read + _numbers(step.count)), read
        if step.mixing == "position":
            assert step.positions is not None
            return mix(mix(ins[0] + key) + step.positions.astype(np.uint64)), key
        if is_sum(step):
            return np.sum(ins, axis=0, dtype=np.uint64), key
        if is_transparent(step, training=self.training):
            return ins[0], key
        if step.kind in COMMUTATIVE and not step.weights:
            scattered: Colors = np.sum([mix(part) for part in ins], axis=0, dtype=np.uint64)
            return mix(scattered + key), key
        own = key if self.ids is None or not step.weights else mix(key + self.ids[index])
        out = np.repeat(own, step.count)
        for part in ins:
            out = mix(out * PRIMES[2] + part)
        return out, key

    def _of_product(self, step: Step, read: Colors) -> Colors:
        if self.channels is not None:
            return mix(read + mix(self.channels[step.first : step.first + step.count]))
        if self.order:
            return mix(read + _numbers(step.count))
        return np.repeat(mix(read), step.count)

    def backward(self, colors: Colors, reads: Sequence[Colors]) -> tuple[Colors, list[Colors]]:
        """The color of each slot from how it is used, and of how the outputs of each step are used."""
        up = np.zeros(self.graph.slots, dtype=np.uint64)
        for number, (_, slots, places) in enumerate(self.graph.outputs):
            place = _digest(places)
            np.add.at(up, slots, mix(np.arange(len(slots), dtype=np.uint64) + color_of(number) + place))
        used: list[Colors] = [np.zeros(1, dtype=np.uint64)] * len(self.graph.steps)
        for index in range(len(self.graph.steps) - 1, -1, -1):
            step = self.graph.steps[index]
            use = up[step.first : step.first + step.count]
            used[index] = total(use, order=step.mixing == "opaque")
            self._use(index, step, use, colors, reads[index], up)
        return up, used

    def _use(self, index: int, step: Step, use: Colors, colors: Colors, read: Colors, up: Colors) -> None:
        key = self.keys[index]
        if step.is_product:
            color = mix(read + total(use, order=False))
            np.add.at(up, step.reads[0], mix(np.repeat(color, len(step.reads[0]))))
            return
        if step.mixing == "opaque":
            color = mix(read + total(use, order=True))
            for number, slots in enumerate(step.reads):
                where = np.arange(len(slots), dtype=np.uint64) + np.uint64(number << 32)
                np.add.at(up, slots, mix(where + color))
            return
        if step.mixing == "position":
            assert step.positions is not None
            np.add.at(up, step.reads[0], mix(mix(use + key) + step.positions.astype(np.uint64)))
            return
        if is_transparent(step, training=self.training):
            np.add.at(up, step.reads[0], use)
            return
        own = colors[step.first : step.first + step.count]
        ordered = bool(step.weights) or (not is_sum(step) and step.kind not in COMMUTATIVE)
        for number, slots in enumerate(step.reads):
            place = np.uint64(number if ordered else 0)
            np.add.at(up, slots, mix(use + mix(own + key) + place))


def total(colors: Colors, *, order: bool) -> Colors:
    """One color of many: of their list, or of their multiset."""
    places = mix(np.arange(len(colors), dtype=np.uint64)) if order else np.zeros(1, dtype=np.uint64)
    return np.array([mix(mix(colors) ^ places).sum(dtype=np.uint64)], dtype=np.uint64)


def _numbers(count: int) -> Colors:
    return np.arange(count, dtype=np.uint64)


def _digest(numbers: npt.NDArray[np.int64]) -> Colors:
    return color_of(numbers.tobytes()) if numbers.any() else np.zeros(1, dtype=np.uint64)


def output_colors(graph: Graph, colors: Colors) -> list[tuple[tuple[int, ...], Colors]]:
    """The shape and the colors of each output, in order."""
    return [(shape, mix(colors[slots] + _digest(places))) for shape, slots, places in graph.outputs]
