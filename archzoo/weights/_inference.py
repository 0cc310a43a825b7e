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


def _resnet_cifar(shapes: Shapes) -> Iterable[Options]:
    """Every convolution counts but the projections: two for option B, one in each of the n blocks for C."""
    yield from ({"option": "A", **depth} for depth in _depths(shapes.convs + 1, 6, 2))
    yield from ({"option": "B", **depth} for depth in _depths(shapes.convs - 1, 6, 2))
    yield from ({"option": "C", **depth} for depth in _depths((shapes.convs - 1) * 2 // 3 + 2, 6, 2))


def _plain_cifar(shapes: Shapes) -> Iterable[Options]:
    return _depths(shapes.convs + 1, 6, 2)


def _wide_resnet(shapes: Shapes) -> Iterable[Options]:
    """Blocks of two convolutions; a projection in two or three groups, which is counted unless k is 1."""
    depth = 6 * ((shapes.convs - 1) // 6) + 4
    if shapes.features % 64 == 0 and shapes.features > 0 and (shapes.convs - 1) % 6 in (2, 3) and depth > 4:
        yield {"depth": depth, "k": shapes.features // 64, "block": "B(3,3)"}


def _dense(shapes: Shapes, per_block: int) -> Iterable[Options]:
    growth = min((kernel[0] for kernel in shapes.kernels if kernel[2] == 3), default=0)
    return [{**depth, "k": growth} for depth in _depths(shapes.convs + 1, per_block, 4) if growth]


def _preact_resnet(shapes: Shapes) -> Iterable[Options]:
    yield from ({"block": "bottleneck", **depth} for depth in _depths(shapes.convs - 2, 9, 2))
    yield from ({"block": "basic", **depth} for depth in _depths(shapes.convs + 1, 6, 2))


def _grouped(shapes: Shapes) -> Options | None:
    """The cardinality and the width of a group, of the narrowest grouped convolution.

    With one group, the network is ResNet with the stride in the 3x3.
    """
    grouped = [kernel for kernel in shapes.kernels if kernel[2] == 3 and kernel[0] > kernel[1] > 3]
    if not grouped:
        return None
    outputs, inputs = min(grouped)[:2]
    return {"cardinality": outputs // inputs, "base_width": inputs}


def _resnext_cifar(shapes: Shapes) -> Iterable[Options]:
    groups = _grouped(shapes)
    return [{**depth, **groups} for depth in _depths(shapes.convs - 2, 9, 2)] if groups else []


def _resnext(shapes: Shapes) -> Iterable[Options]:
    groups = _grouped(shapes)
    return [{"depth": shapes.convs - 3, **groups}] if groups and shapes.convs - 3 in (50, 101) else []


def _resnet(shapes: Shapes) -> Iterable[Options]:
    """18 and 34 layers have two convolutions in a block, the others three; projections are three or four, or in all."""
    for depth, blocks in ((18, 8), (34, 16), (50, 16), (101, 33), (152, 50)):
        changes = 3 if depth < 50 else 4
        for option, projections in (("A", 0), ("B", changes), ("C", blocks)):
            if shapes.convs == depth - 1 + projections:
                published = option == ("A" if depth < 50 else "B")
                yield {"depth": depth} if published else {"depth": depth, "option": option}


def _resnet_v1_5(shapes: Shapes) -> Iterable[Options]:
    return (options for options in _resnet(shapes) if options["depth"] >= 50)


def _reductions(shapes: Shapes, maps: int, others: int) -> list[int]:
    """The ratios of an SE block of so many maps that reduces them to the fewest of any layer.

    ``others`` are the fewest maps of all other layers: where it leaves no fewer than these, several are possible.
    """
    fewest = min((kernel[0] for kernel in shapes.kernels), default=0)
    if not 0 < fewest <= others:
        return []
    return [maps // fewest] if fewest < others else [*range(1, maps // others + 1)]


def _excited(shapes: Shapes, convs: int, depths: tuple[int, ...]) -> Iterable[Options]:
    """With SE blocks, each block has two convolutions more, and the first of each stage a projection.

    ``convs`` are the convolutions of a ResNet of this depth with projections and SE blocks. The blocks of the first
    stage reduce 256 maps to the fewest that any layer has. No tensor shows how the first pooling is padded.
    """
    blocks = {50: 16, 101: 33, 152: 50}
    for depth in depths:
        if convs == depth - 1 + 4 + 2 * blocks[depth]:
            for reduction in _reductions(shapes, 256, 64):
                yield from ({"depth": depth, "reduction": reduction, "pool": pool} for pool in ("ceil", "padded"))


def _se_of(convs: int, maps: int, others: int) -> Callable[[Shapes], list[Options]]:
    """A network of so many convolutions with SE blocks, the first of them of so many maps."""

    def infer(shapes: Shapes) -> list[Options]:
        ratios = _reductions(shapes, maps, others) if shapes.convs == convs else []
        return [{"reduction": ratio} for ratio in ratios]

    return infer


def _se_resnet(shapes: Shapes) -> Iterable[Options]:
    """Every batch norm has four vectors and the classifier one: there are more where SE blocks have biases."""
    vectors = sum(len(shape) == 1 for shape in shapes.shapes)
    for options in () if _grouped(shapes) else _excited(shapes, shapes.convs, (50, 101, 152)):
        yield {**options, "bias": vectors > 4 * (options["depth"] - 1 + 4) + 1}


def _se_resnext(shapes: Shapes) -> Iterable[Options]:
    groups = _grouped(shapes)
    return [{**options, **groups} for options in _excited(shapes, shapes.convs, (50, 101))] if groups else []


def _senet154(shapes: Shapes) -> Iterable[Options]:
    """Three convolutions in the place of the first of 152 layers."""
    for options in _excited(shapes, shapes.convs - 2, (152,)):
        yield {name: value for name, value in options.items() if name != "depth"}


def _pyramids(shapes: Shapes, start: int, units: Mapping[int, Options], expansion: int) -> Iterable[Options]:
    """Every unit has a batch norm more than convolutions, and the stem and the end one each, of four vectors.

    The last width is ``start`` + alpha, or ``start`` times alpha. ``units`` are the options by the number of units.
    """
    convs = {1: 2, 4: 3}[expansion]
    vectors = sum(len(shape) == 1 for shape in shapes.shapes)
    for count, options in units.items():
        if shapes.convs == 1 + convs * count and vectors == 4 * ((convs + 1) * count + 2) + 1:
            width = shapes.features / expansion
            yield {**options, "growth": "additive", "widening": width - start}
            yield {**options, "growth": "multiplicative", "widening": width / start}


def _pyramidnet_cifar(shapes: Shapes) -> Iterable[Options]:
    depth = shapes.convs + 1
    for block, expansion, layers in (("basic", 1, 2), ("bottleneck", 4, 3)):
        if (depth - 2) % (3 * layers) == 0:
            yield from _pyramids(shapes, 16, {(depth - 2) // layers: {"depth": depth, "block": block}}, expansion)


def _pyramidnet(shapes: Shapes) -> Iterable[Options]:
    return _pyramids(shapes, 64, {33: {"depth": 101}, 50: {"depth": 152}, 66: {"depth": 200}}, 4)


def _plain(shapes: Shapes) -> Iterable[Options]:
    return [{"depth": shapes.convs + 1}] if shapes.convs + 1 in (18, 34) else []


def _vgg(shapes: Shapes) -> Iterable[Options]:
    configs = {8: ("A", "A-LRN"), 10: ("B",), 13: ("C", "D"), 16: ("E",)}
    normalized = sum(len(shape) == 1 for shape in shapes.shapes) > shapes.convs + 3
    return [{"config": config, "batch_norm": normalized} for config in configs.get(shapes.convs, ())]


def _densenet_imagenet(shapes: Shapes) -> Iterable[Options]:
    for depth in (121, 161, 169, 201, 264):
        if shapes.convs == depth - 1:
            yield from ({"depth": depth, "k": options["k"]} for options in _growth(shapes))


def _growth(shapes: Shapes) -> list[Options]:
    smallest = min((kernel[0] for kernel in shapes.kernels if kernel[2] == 3), default=0)
    return [{"k": smallest}] if smallest else []


def _condensed(shapes: Shapes, layers: int, others: int, growth: str) -> Iterable[Options]:
    """With so many dense layers, and so many 1x1 convolutions elsewhere.

    The training form has a mask beside each 1x1 convolution. Of all 3x3 kernels, those of the first block are fewest,
    and read four times as many maps by group. Of the 1x1 kernels, the first one reads the fewest maps.
    """
    k = min((kernel[0] for kernel in shapes.kernels if kernel[2] == 3), default=0)
    grouped = [kernel[1] for kernel in shapes.kernels if kernel[2] == 3 and kernel[0] == k]
    read = min((kernel[1] for kernel in shapes.kernels if kernel[2] == 1), default=0)
    if not (grouped and read and layers > 0):
        return
    named: Options = {growth: k, "g": 4 * k // grouped[0]}
    if shapes.convs == 1 + 2 * layers + others:
        yield {"form": "test", "c": 2 * k // read, **named}
    elif shapes.convs == 1 + 3 * layers + 2 * others:
        yield {"form": "training", **named}


def _condensenet_cifar(shapes: Shapes) -> Iterable[Options]:
    """The last layer reads 2 k0 maps, and of n layers in each block 7 k0 more, or a share of these."""
    for per_layer in (2, 3):
        n = (shapes.convs - 1) // (3 * per_layer)
        for options in _condensed(shapes, 3 * n, 0, "k0"):
            share = shapes.features / (options["k0"] * (2 + 7 * n))
            reads_all = options["form"] == "training"
            yield {"depth": 6 * n + 2, **options, **({} if reads_all else {"classifier_share": share})}


def _condensenet_light(shapes: Shapes) -> Iterable[Options]:
    """The share of the features is named where transitions keep half of the maps, up to a multiple of g."""
    for per_layer, others in ((2, 2), (3, 4)):
        n = (shapes.convs - 1 - others) // (3 * per_layer)
        for options in _condensed(shapes, 3 * n, 2, "k"):
            k, g = options["k"], options["g"]
            width = (2 + n) * k
            for _ in range(2):
                width = -(-width // (2 * g)) * g + n * k
            yield {"depth": 6 * n + 4, **options}
            yield {"depth": 6 * n + 4, "classifier_share": shapes.features / width, **options}


def _condensenet(shapes: Shapes) -> Iterable[Options]:
    """36 layers, and 258 k0 features."""
    for options in _condensed(shapes, 36, 0, "k0"):
        share = shapes.features / (258 * options["k0"])
        yield options if options["form"] == "training" else {**options, "classifier_share": share}


def _bypass(_: Shapes) -> Iterable[Options]:
    return ({"bypass": bypass} for bypass in ("none", "simple", "complex"))


def _shufflenet(shapes: Shapes) -> Iterable[Options]:
    widths = {48: 0.5, 116: 1.0, 176: 1.5, 244: 2.0}
    narrowest = {kernel[0] * 2 for kernel in shapes.kernels}
    chosen = [width for maps, width in widths.items() if maps in narrowest]
    return ({"width": width, "down": down} for width in chosen for down in ("symmetric", "asymmetric"))


PADDINGS: tuple[Options, ...] = ({}, {"padding": "symmetric", "bn_eps": 1e-5})  # of TensorFlow, and of torch


def _stem_maps(shapes: Shapes) -> int:
    """Maps of a 3x3 convolution that is not depthwise; 0 where there is none."""
    return max((kernel[0] for kernel in shapes.kernels if kernel[2] == 3 and kernel[1] > 1), default=0)


def _mobilenet_v1(shapes: Shapes) -> Iterable[Options]:
    """27 convolutions, or 17 without the five blocks of Table 5: the last layer reads 1024 maps times the width."""
    if shapes.convs in (27, 17) and shapes.features:
        named: Options = {"width": shapes.features / 1024, "shallow": shapes.convs == 17}
        activations = [{"activation": activation} for activation in ("relu", "relu6")]
        yield from ({**named, **activation, **padding} for activation in activations for padding in PADDINGS)


def _conv_mobilenet(shapes: Shapes) -> Iterable[Options]:
    return [{"width": shapes.features / 1024}] if shapes.convs == 14 and shapes.features else []


def _mobilenet_v2(shapes: Shapes) -> Iterable[Options]:
    """52 convolutions, the first one of 32 maps times the width, up or down to a multiple of eight."""
    for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4) if shapes.convs == 52 else ():
        if abs(32 * width - _stem_maps(shapes)) < 8:
            yield from ({"width": width, **padding} for padding in PADDINGS)


def _shufflenet_v1(shapes: Shapes) -> Iterable[Options]:
    """Four times the maps of stage 2, which are the base of Table 1 times the width, reach the last layer."""
    for groups, maps in {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}.items():
        for width in (0.25, 0.5, 1.0, 1.5, 2.0):
            divisor = 4 * groups
            if shapes.convs == 49 and shapes.features == 4 * (-int(-width * maps // divisor) * divisor):
                yield from (
                    {"g": groups, "width": width, "shuffle": shuffle} for shuffle in ("paper", "release", "none")
                )


def _inception(shapes: Shapes) -> list[Options]:
    """A convolution has the four vectors of a batch norm, or three without a scale; a linear one has a bias alone."""
    vectors = sum(len(shape) == 1 for shape in shapes.shapes)
    return [{"bn_scale": vectors > 3 * shapes.convs + 2}] if shapes.convs else []


def _released_inception(shapes: Shapes) -> Iterable[Options]:
    """With an auxiliary classifier there are two linear layers."""
    linear = sum(len(shape) == 2 for shape in shapes.shapes)
    return [{**options, "auxiliary": linear > 1} for options in _inception(shapes)]


def _zfnet(shapes: Shapes) -> Iterable[Options]:
    """Each of the three 3x3 convolutions reads the maps of the one before it, and the first of them 256."""
    threes = [kernel for kernel in shapes.kernels if kernel[2] == 3]
    orders = permutations(threes) if len(threes) == 3 else ()
    chained = {(a[0], b[0], c[0]) for a, b, c in orders if (a[1], b[1], c[1]) == (256, a[0], b[0])}
    return ({"widths": widths} for widths in chained)


def _bn_inception(shapes: Shapes) -> Iterable[Options]:
    """69 convolutions, and one more where the first one is in two."""
    stem = {69: "full", 70: "separable"}.get(shapes.convs)
    return [{"stem": stem}] if stem else []


def _inception_v3(_: Shapes) -> Iterable[Options]:
    """Poolings are not among the tensors."""
    for auxiliary in (False, True):
        yield from ({"auxiliary": auxiliary, "count_include_pad": counted} for counted in (False, True))


def _auxiliary(_: Shapes) -> Iterable[Options]:
    return ({"auxiliary": auxiliary} for auxiliary in (False, True))


INFER: Mapping[str, Callable[[Shapes], Iterable[Options]]] = {
    "condensenet": _condensenet,
    "condensenet_cifar": _condensenet_cifar,
    "condensenet_light": _condensenet_light,
    "bn_inception": _bn_inception,
    "conv_mobilenet": _conv_mobilenet,
    "densenet": lambda shapes: _dense(shapes, 3),
    "densenet_b": lambda shapes: _dense(shapes, 6),
    "densenet_bc": lambda shapes: _dense(shapes, 6),
    "densenet_c": lambda shapes: _dense(shapes, 3),
    "densenet_imagenet": _densenet_imagenet,
    "googlenet": _auxiliary,
    "googlenet_bn": _auxiliary,
    "inception_resnet_v1": _inception,
    "inception_resnet_v2": _inception,
    "inception_resnet_v2_released": _released_inception,
    "inception_v4": _released_inception,
    "inception_v2": _auxiliary,
    "inception_v3": _inception_v3,
    "inception_v3_slim": _auxiliary,
    "mobilenet_v1": _mobilenet_v1,
    "mobilenet_v2": _mobilenet_v2,
    "plain": _plain,
    "plain_cifar": _plain_cifar,
    "preact_resnet": _preact_resnet,
    "pyramidnet": _pyramidnet,
    "pyramidnet_cifar": _pyramidnet_cifar,
    "resnet": _resnet,
    "resnet_cifar": _resnet_cifar,
    "resnet_v1_5": _resnet_v1_5,
    "resnext": _resnext,
    "resnext_cifar": _resnext_cifar,
    "shufflenet_v1": _shufflenet_v1,
    "se_bn_inception": _se_of(69 + 2 * 10, 256, 32),
    "se_mobilenet": _se_of(27 + 2 * 13, 64, 32),
    "se_resnet": _se_resnet,
    "se_resnext": _se_resnext,
    "se_shufflenet": _se_of(49 + 2 * 16, 216, 24),
    "senet154": _senet154,
    "shufflenet_v2": _shufflenet,
    "squeezenet1_0": _bypass,
    "squeezenet1_1": _bypass,
    "stochastic_depth": _plain_cifar,
    "vgg": _vgg,
    "wide_resnet": _wide_resnet,
    "xception": lambda _: PADDINGS,
    "zfnet": _zfnet,
}


def possible_options(constructor: str, shapes: Shapes) -> list[Options] | None:
    """Options that a network of this constructor may have, or None where its shapes are not looked at."""
    return None if constructor not in INFER else list(INFER[constructor](shapes))


def contradicts(constructor: str, options: Mapping[str, Any], shapes: Shapes) -> bool:
    """Whether these options are none of those that the shapes leave possible."""
    possible = possible_options(constructor, shapes)
    return possible is not None and not any(_agree(options, guess) for guess in possible)


def _agree(options: Mapping[str, Any], guess: Mapping[str, Any]) -> bool:
    named: Collection[str] = options.keys() & guess.keys()
    return all(options[name] == guess[name] for name in named)
