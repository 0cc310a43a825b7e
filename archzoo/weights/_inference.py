"""The options that the shapes of a state dict leave possible, constructor by constructor.

Depths follow from the number of convolutions, widths from the last layer, growth rates from the smallest convolution.
What is returned is a guess to try: whether a network has these tensors is seen when they are compared.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

Options = dict[str, Any]


@dataclass(frozen=True)
class Shapes:
    """The shapes of a state dict, in any order."""

    shapes: tuple[tuple[int, ...], ...]

    @property
    def kernels(self) -> list[tuple[int, ...]]:
        """Those of convolutions: (maps out, maps in by group, height, width)."""
        return [shape for shape in self.shapes if len(shape) == 4]

    @property
    def convs(self) -> int:
        """The number of convolutions."""
        return len(self.kernels)

    @property
    def features(self) -> int:
        """The largest number of inputs of a linear layer."""
        return max((shape[1] for shape in self.shapes if len(shape) == 2), default=0)


def of_state(tensors: Iterable[Any]) -> Shapes:
    """The shapes of tensors."""
    return Shapes(tuple(tuple(tensor.shape) for tensor in tensors))


def _depths(count: int, per_block: int, others: int) -> list[Options]:
    """The depth of so many layers, if it is a whole number of blocks beside ``others``."""
    return [{"depth": count}] if count > others and (count - others) % per_block == 0 else []


def _resnet_cifar(found: Shapes) -> Iterable[Options]:
    """Every convolution counts but the projections: two for option B, one in each of the n blocks for C."""
    yield from ({"option": "A", **depth} for depth in _depths(found.convs + 1, 6, 2))
    yield from ({"option": "B", **depth} for depth in _depths(found.convs - 1, 6, 2))
    yield from ({"option": "C", **depth} for depth in _depths((found.convs - 1) * 2 // 3 + 2, 6, 2))


def _plain_cifar(found: Shapes) -> Iterable[Options]:
    return _depths(found.convs + 1, 6, 2)


def _wide_resnet(found: Shapes) -> Iterable[Options]:
    """Blocks of two convolutions; a projection in two or three groups, which is counted unless k is 1."""
    depth = 6 * ((found.convs - 1) // 6) + 4
    if found.features % 64 == 0 and found.features > 0 and (found.convs - 1) % 6 in (2, 3) and depth > 4:
        yield {"depth": depth, "k": found.features // 64, "block": "B(3,3)"}


def _dense(found: Shapes, per_block: int) -> Iterable[Options]:
    growth = min((kernel[0] for kernel in found.kernels if kernel[2] == 3), default=0)
    return [{**depth, "k": growth} for depth in _depths(found.convs + 1, per_block, 4) if growth]


def _preact_resnet(found: Shapes) -> Iterable[Options]:
    yield from ({"block": "bottleneck", **depth} for depth in _depths(found.convs - 2, 9, 2))
    yield from ({"block": "basic", **depth} for depth in _depths(found.convs + 1, 6, 2))


def _grouped(found: Shapes) -> Options | None:
    """The cardinality and the width of a group, of the narrowest grouped convolution.

    With one group, the network is ResNet with the stride in the 3x3.
    """
    grouped = [kernel for kernel in found.kernels if kernel[2] == 3 and kernel[0] > kernel[1] > 3]
    if not grouped:
        return None
    outputs, inputs = min(grouped)[:2]
    return {"cardinality": outputs // inputs, "base_width": inputs}


def _resnext_cifar(found: Shapes) -> Iterable[Options]:
    groups = _grouped(found)
    return [{**depth, **groups} for depth in _depths(found.convs - 2, 9, 2)] if groups else []


def _resnext(found: Shapes) -> Iterable[Options]:
    groups = _grouped(found)
    return [{"depth": found.convs - 3, **groups}] if groups and found.convs - 3 in (50, 101) else []


def _resnet(found: Shapes) -> Iterable[Options]:
    """18 and 34 layers have two convolutions in a block, the others three; projections are three or four, or in all."""
    for depth, blocks in ((18, 8), (34, 16), (50, 16), (101, 33), (152, 50)):
        changes = 3 if depth < 50 else 4
        for option, projections in (("A", 0), ("B", changes), ("C", blocks)):
            if found.convs == depth - 1 + projections:
                published = option == ("A" if depth < 50 else "B")
                yield {"depth": depth} if published else {"depth": depth, "option": option}


def _resnet_v1_5(found: Shapes) -> Iterable[Options]:
    return (options for options in _resnet(found) if options["depth"] >= 50)


def _plain(found: Shapes) -> Iterable[Options]:
    return [{"depth": found.convs + 1}] if found.convs + 1 in (18, 34) else []


def _vgg(found: Shapes) -> Iterable[Options]:
    configs = {8: ("A", "A-LRN"), 10: ("B",), 13: ("C", "D"), 16: ("E",)}
    normalized = sum(len(shape) == 1 for shape in found.shapes) > found.convs + 3
    return [{"config": config, "batch_norm": normalized} for config in configs.get(found.convs, ())]


def _densenet_imagenet(found: Shapes) -> Iterable[Options]:
    for depth in (121, 161, 169, 201, 264):
        if found.convs == depth - 1:
            yield from ({"depth": depth, "k": options["k"]} for options in _growth(found))


def _growth(found: Shapes) -> list[Options]:
    smallest = min((kernel[0] for kernel in found.kernels if kernel[2] == 3), default=0)
    return [{"k": smallest}] if smallest else []


def _bypass(_: Shapes) -> Iterable[Options]:
    return ({"bypass": bypass} for bypass in ("none", "simple", "complex"))


def _shufflenet(found: Shapes) -> Iterable[Options]:
    widths = {48: 0.5, 116: 1.0, 176: 1.5, 244: 2.0}
    narrowest = {kernel[0] * 2 for kernel in found.kernels}
    chosen = [width for maps, width in widths.items() if maps in narrowest]
    return ({"width": width, "down": down} for width in chosen for down in ("symmetric", "asymmetric"))


def _zfnet(found: Shapes) -> Iterable[Options]:
    """Each of the three 3x3 convolutions reads the maps of the one before it, and the first of them 256."""
    threes = [kernel for kernel in found.kernels if kernel[2] == 3]
    orders = permutations(threes) if len(threes) == 3 else ()
    chained = {(a[0], b[0], c[0]) for a, b, c in orders if (a[1], b[1], c[1]) == (256, a[0], b[0])}
    return ({"widths": widths} for widths in chained)


def _auxiliary(_: Shapes) -> Iterable[Options]:
    return ({"auxiliary": auxiliary} for auxiliary in (False, True))


INFER: Mapping[str, Callable[[Shapes], Iterable[Options]]] = {
    "densenet": lambda found: _dense(found, 3),
    "densenet_b": lambda found: _dense(found, 6),
    "densenet_bc": lambda found: _dense(found, 6),
    "densenet_c": lambda found: _dense(found, 3),
    "densenet_imagenet": _densenet_imagenet,
    "googlenet": _auxiliary,
    "googlenet_bn": _auxiliary,
    "plain": _plain,
    "plain_cifar": _plain_cifar,
    "preact_resnet": _preact_resnet,
    "resnet": _resnet,
    "resnet_cifar": _resnet_cifar,
    "resnet_v1_5": _resnet_v1_5,
    "resnext": _resnext,
    "resnext_cifar": _resnext_cifar,
    "shufflenet_v2": _shufflenet,
    "squeezenet1_0": _bypass,
    "squeezenet1_1": _bypass,
    "stochastic_depth": _plain_cifar,
    "vgg": _vgg,
    "wide_resnet": _wide_resnet,
    "zfnet": _zfnet,
}


def possible_options(constructor: str, found: Shapes) -> list[Options] | None:
    """Options that a network of this constructor may have, or None where its shapes are not looked at."""
    return None if constructor not in INFER else list(INFER[constructor](found))


def contradicts(constructor: str, options: Mapping[str, Any], found: Shapes) -> bool:
    """Whether these options are none of those that the shapes leave possible."""
    possible = possible_options(constructor, found)
    return possible is not None and not any(_agree(options, guess) for guess in possible)


def _agree(options: Mapping[str, Any], guess: Mapping[str, Any]) -> bool:
    named: Collection[str] = options.keys() & guess.keys()
    return all(options[name] == guess[name] for name in named)
