"""The first place where two networks differ, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archzoo.comparison import _operators as operators
from archzoo.comparison._colors import COMMUTATIVE, is_sum
from archzoo.comparison._graph import PRODUCTS, Graph, Slots, Step

AHEAD = 12  # steps that are looked at to tell a missing layer from one of another kind
NEAR = 8  # steps in which a stride may be that is missing, and that may be missing together
SURE = 4  # steps that are alike after a difference of several steps
FEW = 16  # steps that may change places: a response normalization is ten
KINDS_OF_PRODUCT = {*PRODUCTS, "depthwise convolution"}
DROPOUT = "dropout"
WORDS = {
    "batch_norm": "batch normalization",
    "relu": "ReLU",
    "max_pool": "max pooling",
    "avg_pool": "average pooling",
    "global_average": "global average pooling",
    "global_max": "global max pooling",
    "linear": "a linear layer",
    "convolution": "a convolution",
    "depthwise convolution": "a depthwise convolution",
    "add": "an addition",
    "mul": "a multiplication",
    "pad": "padding",
    "subsample": "subsampling",
}


@dataclass(frozen=True)
class Difference:
    """Where two networks differ first.

    Attributes:
        reason: One of "activation", "bias", "ceil mode", "channel order", "constant", "dilation", "dropout",
            "dropout rate", "eps", "extra layer", "groups", "input", "kernel size", "missing layer", "momentum",
            "order", "output", "padding", "pooling", "sharing", "stride", "width", "wiring", or the name of a setting.
        first: The module of the first network; "" where it has none, or outside of any module.
        second: That of the second network.
        text: What is there in each network, in one sentence.
        moved: Where the second network has a stride that it lacks here, if that is one of the next layers.
    """

    reason: str
    first: str
    second: str
    text: str
    moved: str = ""

    def __str__(self) -> str:
        places = self.first if self.first == self.second else f"{self.first or '(top)'} / {self.second or '(top)'}"
        return f"{self.reason} at {places or '(top)'}: {self.text}{f'; {self.moved}' if self.moved else ''}"


class Ordered:
    """The steps of a graph from inputs to outputs, in an order that does not depend on which branch runs first."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.owner = graph.owners()
        self.depth = self._depths()
        self.steps = self._visit()
        self.place = {step: place for place, step in enumerate(self.steps)}

    def _depths(self) -> list[int]:
        depths: list[int] = []
        for step in self.graph.steps:
            reads = np.unique(self.owner[np.concatenate([np.asarray(s) for s in step.reads])])
            depths.append(1 + max((depths[owner] for owner in reads if owner >= 0), default=0))
        return depths

    def _sources(self, index: int) -> list[int]:
        step = self.graph.steps[index]
        operands = [[int(o) for o in np.unique(self.owner[slots]) if o >= 0] for slots in step.reads]
        if is_sum(step) or step.kind in COMMUTATIVE:
            operands.sort(key=lambda owners: -max((self.depth[owner] for owner in owners), default=0))
        return [owner for owners in operands for owner in owners]

    def _visit(self) -> list[int]:
        done: dict[int, None] = {}
        for _, slots, _ in self.graph.outputs:
            stack = [(int(owner), False) for owner in np.unique(self.owner[slots])[::-1] if owner >= 0]
            while stack:
                index, ready = stack.pop()
                if ready:
                    done.setdefault(index)
                elif index not in done:
                    stack.append((index, True))
                    stack += [(source, False) for source in reversed(self._sources(index)) if source not in done]
        return list(done)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, place: int) -> Step:
        return self.graph.steps[self.steps[place]]

    def origins(self, slots: Slots) -> Slots:
        """For each slot the place of its step and its channel, comparable between two networks."""
        owner = self.owner[slots]
        places = np.array([self.place.get(int(o), -1) for o in owner], dtype=np.int64)
        first = np.array([self.graph.steps[o].first if o >= 0 else 0 for o in owner], dtype=np.int64)
        return places * (1 << 32) + (slots - first)

    def reads(self, place: int) -> list[Slots]:
        """What a step reads, as origins; of a commutative one in a fixed order."""
        step = self[place]
        origins = [self.origins(slots) for slots in step.reads]
        if is_sum(step) or step.kind in COMMUTATIVE:
            origins.sort(key=lambda slots: tuple(slots.tolist()))
        return origins


def first_difference(first: Graph, second: Graph) -> Difference | None:
    """The first step from the input on that is not the same in both networks, or None."""
    a, b = Ordered(first), Ordered(second)
    for place in range(min(len(a), len(b))):
        if not _same(a, b, place):
            return _explain(a, b, place)
    if len(a) != len(b):
        return _explain(a, b, min(len(a), len(b)))
    return _outputs(a, b)


def _outputs(a: Ordered, b: Ordered) -> Difference | None:
    shapes = [[shape for shape, *_ in ordered.graph.outputs] for ordered in (a, b)]
    if shapes[0] != shapes[1]:
        return Difference("output", "", "", f"the outputs have shapes {_shapes(shapes[0])}, and {_shapes(shapes[1])}")
    for (_, x, p), (_, y, q) in zip(a.graph.outputs, b.graph.outputs, strict=True):
        if not np.array_equal(a.origins(x), b.origins(y)) or not np.array_equal(p, q):
            return Difference("channel order", "", "", "the outputs are in another order")
    return None


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("x".join(("N", *map(str, shape[1:]))) for shape in shapes)


def _same(a: Ordered, b: Ordered, place: int) -> bool:
    x, y = a[place], b[place]
    if not _alike(x, y) or x.training != y.training or x.settings != y.settings or x.count != y.count:
        return False
    if x.positions is not None and y.positions is not None and not np.array_equal(x.positions, y.positions):
        return False
    pairs = zip(a.reads(place), b.reads(place), strict=False)
    return len(x.reads) == len(y.reads) and all(np.array_equal(p, q) for p, q in pairs)


def _alike(x: Step, y: Step) -> bool:
    """Whether two steps are of one kind, with weights of the same shapes."""
    return x.kind == y.kind and x.form == y.form and [len(s) for s in x.reads] == [len(s) for s in y.reads]


def _explain(a: Ordered, b: Ordered, place: int) -> Difference:
    x = a[place] if place < len(a) else None
    y = b[place] if place < len(b) else None
    if x is None or y is None:
        only = x or y
        assert only is not None
        return _unpaired(x, y, only=only)
    if x.kind in KINDS_OF_PRODUCT and y.kind in KINDS_OF_PRODUCT and _groups(x) != _groups(y):
        return _told("groups", x, y, f"{_groups(x)} groups against {_groups(y)}")
    if x.kind == y.kind:
        return _inserted(a, b, place) or _moved(a, b, place, _settings(x, y)) or _inputs(a, b, place)
    return _kinds(a, b, place)


def _moved(a: Ordered, b: Ordered, place: int, difference: Difference | None) -> Difference | None:
    """The same difference, and of a stride where the second network has it instead."""
    if difference is None or difference.reason != "stride":
        return difference
    strides = [side[place].settings.get("stride") for side in (a, b)]
    for near in range(place + 1, min(place + NEAR, len(a), len(b))):
        x, y = a[near], b[near]
        if [step.settings.get("stride") for step in (x, y)] == strides[::-1] and x.kind == y.kind:
            kernel = "x".join(map(str, y.settings.get("kernel_size", ())))
            layer = f"{y.module or '(top)'}, {_describe(y)} of {kernel}"
            return replace(difference, moved=f"the second network has stride {_value(y, 'stride')} in {layer}")
    return difference


def _inserted(a: Ordered, b: Ordered, place: int) -> Difference | None:
    """One more layer in front of another one of its kind: then all the rest is alike."""
    missing, extra, other = (_agreement(a, b, place, *after) for after in ((1, 0), (0, 1), (1, 1)))
    if other == 1 or max(missing, extra) < 1:
        return None
    x, y = a[place], b[place]
    return _unpaired(x, y, only=x if missing == 1 else y)


def _agreement(a: Ordered, b: Ordered, place: int, after_a: int, after_b: int, ahead: int = AHEAD) -> float:
    """The share of the next steps that are alike, after some steps of each."""
    count = min(ahead, len(a) - place - after_a, len(b) - place - after_b)
    pairs = [_alike(a[place + after_a + k], b[place + after_b + k]) for k in range(count)]
    return sum(pairs) / len(pairs) if pairs else float(len(a) - after_a == len(b) - after_b)


def _groups(step: Step) -> int:
    return step.count if step.kind == "depthwise convolution" else int(step.written.get("groups", 1))


def _told(reason: str, x: Step, y: Step, text: str) -> Difference:
    return Difference(reason, x.module, y.module, text)


def _settings(x: Step, y: Step) -> Difference | None:
    """A difference between two steps of one kind, in themselves."""
    for name in ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "eps", *sorted(x.settings | y.settings)):
        if x.settings.get(name) != y.settings.get(name):
            return _told(_word(name), x, y, f"{_describe(x)} has {name} {_value(x, name)} against {_value(y, name)}")
    if x.form != y.form:
        return _weights(x, y)
    if x.count != y.count:
        return _told("width", x, y, f"{_describe(x)} has {x.count} channels against {y.count}")
    return training_difference(x, y)


def training_difference(x: Step, y: Step) -> Difference | None:
    """A difference that only training shows, or None."""
    for name in sorted(x.training | y.training):
        if x.training.get(name) != y.training.get(name):
            reason = "dropout rate" if name == "p" else name
            against = f"{x.training.get(name)} against {y.training.get(name)}"
            return _told(reason, x, y, f"{_describe(x)} has {_word(name) if name != 'p' else 'rate'} {against}")
    return None


def _weights(x: Step, y: Step) -> Difference:
    missing = [role for role in x.weights if role not in y.weights]
    extra = [role for role in y.weights if role not in x.weights]
    if "bias" in missing + extra and x.is_product:
        has = "has a bias against none" if missing else "has no bias against one"
        return _told("bias", x, y, f"{_describe(x)} {has}")
    if missing or extra:
        roles = [", ".join(sorted(step.weights)) or "none" for step in (x, y)]
        return _told("weights", x, y, f"{_describe(x)} has the weights {roles[0]} against {roles[1]}")
    return _told("weights", x, y, f"{_describe(x)} uses its weights in another form")


def _word(name: str) -> str:
    return name.replace("_", " ")


def _value(step: Step, name: str) -> Any:
    value = step.settings.get(name, step.written.get(name, "none"))
    if isinstance(value, tuple) and value and all(item == value[0] for item in value):
        return value[0]
    return value


def _describe(step: Step) -> str:
    if step.kind == "hardtanh" and step.settings == {"min_val": 0, "max_val": 6}:
        return "ReLU6"
    return WORDS.get(step.kind, step.kind.replace("_", " "))


def _inputs(a: Ordered, b: Ordered, place: int) -> Difference:
    """A difference in what two equal steps read."""
    x, y = a[place], b[place]
    if [len(slots) for slots in x.reads] != [len(slots) for slots in y.reads]:
        sizes = [" and ".join(str(len(slots)) for slots in step.reads) for step in (x, y)]
        return _told("width", x, y, f"{_describe(x)} reads {sizes[0]} channels against {sizes[1]}")
    pairs = list(zip(a.reads(place), b.reads(place), strict=True))
    if all(np.array_equal(np.sort(p), np.sort(q)) for p, q in pairs):
        return _told("channel order", x, y, f"{_describe(x)} reads the same channels in another order")
    sources = [[_sources(ordered, slots) for slots in ordered[place].reads] for ordered in (a, b)]
    if sources[0] == sources[1]:
        return _told("channel order", x, y, f"{_describe(x)} reads other channels of the same layers")
    texts = [" and ".join(", ".join(names) for names in side) for side in sources]
    return _told("wiring", x, y, f"{_describe(x)} reads {texts[0]} against {texts[1]}")


def _sources(ordered: Ordered, slots: Slots) -> list[str]:
    names = []
    for owner in dict.fromkeys(int(o) for o in ordered.owner[slots]):
        step = ordered.graph.steps[owner] if owner >= 0 else None
        names.append("the input" if step is None else f"{step.module or '(top)'} ({_describe(step)})")
    return names


def _unpaired(x: Step | None, y: Step | None, *, only: Step) -> Difference:
    """A step that one network has and the other does not; ``x`` and ``y`` are what they have in its place."""
    first = only is x
    text = f"only the {'first' if first else 'second'} network has {_describe(only)} here"
    reason = "dropout" if DROPOUT in only.kind else "missing layer" if first else "extra layer"
    return Difference(reason, x.module if x else "", y.module if y else "", text)


def _kinds(a: Ordered, b: Ordered, place: int) -> Difference:
    """Steps of two kinds: two in another order, one that is missing, one too many, or one for another."""
    x, y = a[place], b[place]
    for kinds, reason in ((operators.POOLINGS, "pooling"), (operators.ACTIVATIONS, "activation")):
        if {x.kind, y.kind} <= kinds:
            return _told(reason, x, y, f"{_describe(x)} against {_describe(y)}")
    if padded := _padded(a, b, place):
        return padded
    missing, extra, other = (_agreement(a, b, place, *after) for after in ((1, 0), (0, 1), (1, 1)))
    width = _reordered(a, b, place)
    if width and _agreement(a, b, place, width, width) >= max(missing, extra):
        orders = [", ".join(_describe(side[place + k]) for k in range(width)) for side in (a, b)]
        return _told("order", x, y, f"{orders[0]} against {orders[1]}")
    if several := _several(a, b, place):
        return several
    if missing > other and missing >= extra:
        return _unpaired(x, y, only=x)
    if extra > other:
        return _unpaired(x, y, only=y)
    return _told("layer", x, y, f"{_describe(x)} against {_describe(y)}")


def _padded(a: Ordered, b: Ordered, place: int) -> Difference | None:
    """Maps that are padded before a layer in one network, where the same layer of the other pads them itself."""
    for first, second in ((a, b), (b, a)):
        if place + 1 == len(first) or first[place].kind != "pad" or first[place + 1].kind != second[place].kind:
            continue
        layer, own = first[place + 1], [_value(step, "padding") for step in (first[place + 1], second[place])]
        if own[0] != own[1]:
            before = f"maps that are padded by {first[place].settings['pad']} (left, right, top, bottom) before it"
            texts = [before, f"a padding of {own[1]} of its own"][:: 1 if first is a else -1]
            return _told("padding", a[place], b[place], f"{_describe(layer)} has {' against '.join(texts)}")
    return None


def _several(a: Ordered, b: Ordered, place: int) -> Difference | None:
    """Steps that one network has and the other does not, or has others for, where what follows is alike; or None."""
    for total in range(1, NEAR):
        for count in range(total, -1, -1):
            counts = count, total - count
            if max(counts) == 1 and _agreement(a, b, place, *counts, ahead=SURE) == 1:
                return None  # one step: what it is about is told from more of what follows
            if _fits(a, b, place, counts) and _agreement(a, b, place, *counts, ahead=SURE) == 1:
                return _told_several(a, b, place, counts)
    return None


def _fits(a: Ordered, b: Ordered, place: int, counts: tuple[int, int]) -> bool:
    return place + counts[0] <= len(a) and place + counts[1] <= len(b) and max(counts) > 1


def _told_several(a: Ordered, b: Ordered, place: int, counts: tuple[int, int]) -> Difference:
    first, second = (
        ", ".join(dict.fromkeys(_describe(side[place + k]) for k in range(count)))
        for side, count in zip((a, b), counts, strict=True)
    )
    x, y = a[min(place, len(a) - 1)], b[min(place, len(b) - 1)]
    if first and second:
        return _told("layer", x, y, f"{first} against {second}")
    which = "first" if first else "second"
    return _told(
        f"{'missing' if first else 'extra'} layer", x, y, f"only the {which} network has {first or second} here"
    )


def _reordered(a: Ordered, b: Ordered, place: int) -> int:
    """The number of steps after which both networks have had the same, in another order; 0 where there is none."""
    kinds: Counter[str] = Counter()
    for width in range(min(FEW, len(a) - place, len(b) - place)):
        kinds[a[place + width].kind] += 1
        kinds[b[place + width].kind] -= 1
        if not any(kinds.values()):
            return width + 1
    return 0
