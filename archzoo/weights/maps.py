"""What other libraries call the tensors that we name after the paper.

A map is a list of rules, tried in order on each of our own names; the first that fits all of it gives their name. It
has to give every name once, so that it can be read in both directions.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from archzoo.errors import ArchzooError

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
TENSOR = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


@dataclass(frozen=True)
class Map:
    """How a library names a family of networks.

    ``rules`` lead from our names to theirs. ``positions`` are our parts whose children they number in order, without
    those of ``unnumbered`` (they flatten and pool elsewhere). ``views`` are tensors, by our name, that they keep in
    another shape, ``older`` rules from names that they used once to those of today.
    """

    rules: Sequence[Rule] = ()
    positions: tuple[str, ...] = ()
    unnumbered: frozenset[str] = frozenset()
    views: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    older: Sequence[Rule] = ()

    def names(self, net: nn.Module) -> dict[str, str]:
        """Their name for each of a network's tensors. Raises ArchzooError where two share one, or one has none."""
        numbers = {part: self._numbers(net.get_submodule(part)) for part in self.positions}
        found = {name: self._name(name, numbers) for name in net.state_dict()}
        if len(set(found.values())) < len(found):
            twice = sorted({theirs for theirs in found.values() if list(found.values()).count(theirs) > 1})
            raise ArchzooError(f"the map is wrong: several tensors would be called {', '.join(twice[:3])}")
        return found

    def today(self, name: str) -> str:
        """What they call today what an older file of theirs calls ``name``."""
        return _apply(self.older, name) or name

    def _numbers(self, part: nn.Module) -> dict[str, int]:
        children = [name for name, _ in part.named_children() if name not in self.unnumbered]
        return {name: number for number, name in enumerate(children)}

    def _name(self, name: str, numbers: Mapping[str, Mapping[str, int]]) -> str:
        part, _, rest = name.partition(".")
        child, _, inner = rest.partition(".")
        if child in numbers.get(part, {}):
            return f"{part}.{numbers[part][child]}.{inner}"
        theirs = _apply(self.rules, name)
        if theirs is None:
            raise ArchzooError(f"the map is wrong: it has no name for {name}")
        return theirs


def _apply(rules: Sequence[Rule], name: str) -> str | None:
    for pattern, replacement in rules:
        found = re.fullmatch(pattern, name)
        if found is not None:
            return found.expand(replacement) if isinstance(replacement, str) else replacement(found)
    return None


def _stage(found: re.Match[str]) -> str:
    stage, block, rest = int(found[1]) - 1, int(found[2]) - 1, found[3]
    rest = re.sub(r"^shortcut\.conv", "downsample.0", re.sub(r"^shortcut\.bn", "downsample.1", rest))
    return f"layer{stage}.{block}.{rest.removeprefix('layers.')}"


def _inception(found: re.Match[str]) -> str:
    branch, layer, norm, tensor = found.group(2, 3, 4, 5)
    number = {"1x1": "branch1", "3x3": "branch2", "5x5": "branch3", "pool": "branch4"}[branch]
    place = "" if branch == "1x1" else ".0" if layer == "reduce" else ".1"
    return f"inception{found[1]}.{number}{place}.{'bn' if norm else 'conv'}.{tensor}"


def _unit(found: re.Match[str]) -> str:
    stage, unit, branch, layer, kind, tensor = found.groups()
    if branch == "left":
        number = {"depthwise": 0, "expand": 2}[layer] + (kind == "bn")
    else:
        number = {"reduce": 0, "depthwise": 3, "expand": 5}[layer] + (kind == "bn")
    return f"stage{stage}.{unit}.branch{1 if branch == 'left' else 2}.{number}.{tensor}"


def _stem(found: re.Match[str]) -> str:
    number = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}[found[1]]
    return f"{number}.{'bn' if found[2] else 'conv'}.{found[3]}"


RESNET = Map(
    rules=[
        (rf"features\.(conv1|bn1)\.{TENSOR}", r"\1.\2"),
        (r"features\.conv(\d)_x\.block(\d+)\.(.+)", _stage),
        (r"classifier\.fc\.(weight|bias)", r"fc.\1"),
    ]
)
DENSENET = Map(
    rules=[
        (r"features\.conv1\.weight", "features.conv0.weight"),
        (rf"features\.bn1\.{TENSOR}", r"features.norm0.\1"),
        (rf"features\.(denseblock\d)\.(denselayer\d+)\.bn(\d)\.{TENSOR}", r"features.\1.\2.norm\3.\4"),
        (r"features\.(denseblock\d)\.(denselayer\d+)\.conv(\d)\.weight", r"features.\1.\2.conv\3.weight"),
        (rf"features\.(transition\d)\.bn1\.{TENSOR}", r"features.\1.norm.\2"),
        (r"features\.(transition\d)\.conv1\.weight", r"features.\1.conv.weight"),
        (rf"features\.bn\.{TENSOR}", r"features.norm5.\1"),
        (r"classifier\.fc\.(weight|bias)", r"classifier.\1"),
    ],
    # The files of 2017 are named after a time when names could have full stops.
    older=[(rf"(.+denselayer\d+)\.(norm|conv)\.(\d)\.{TENSOR}", r"\1.\2\3.\4")],
)
GOOGLENET = Map(
    rules=[
        (rf"features\.(conv1|conv2_reduce|conv2)(_bn)?\.{TENSOR}", _stem),
        (rf"features\.inception_(\d\w)\.(\w+)\.(conv|reduce|proj)(_bn)?\.{TENSOR}", _inception),
        (rf"classifier\.aux_4a\.conv\.{TENSOR}", r"aux1.conv.conv.\1"),
        (rf"classifier\.aux_4a\.conv_bn\.{TENSOR}", r"aux1.conv.bn.\1"),
        (rf"classifier\.aux_4d\.conv\.{TENSOR}", r"aux2.conv.conv.\1"),
        (rf"classifier\.aux_4d\.conv_bn\.{TENSOR}", r"aux2.conv.bn.\1"),
        (r"classifier\.aux_4a\.fc\.(weight|bias)", r"aux1.fc1.\1"),
        (r"classifier\.aux_4d\.fc\.(weight|bias)", r"aux2.fc1.\1"),
        (r"classifier\.aux_4a\.linear\.(weight|bias)", r"aux1.fc2.\1"),
        (r"classifier\.aux_4d\.linear\.(weight|bias)", r"aux2.fc2.\1"),
        (r"classifier\.linear\.(weight|bias)", r"fc.\1"),
    ]
)
SHUFFLENET = Map(
    rules=[
        (r"features\.conv1\.weight", "conv1.0.weight"),
        (rf"features\.bn1\.{TENSOR}", r"conv1.1.\1"),
        (rf"features\.stage(\d)\.(\d+)\.(left|branch)\.(\w+)\.(conv|bn)\.{TENSOR}", _unit),
        (r"features\.conv5\.conv\.weight", "conv5.0.weight"),
        (rf"features\.conv5\.bn\.{TENSOR}", r"conv5.1.\1"),
        (r"classifier\.fc\.(weight|bias)", r"fc.\1"),
    ]
)
NUMBERED = Map(positions=("features", "classifier"), unnumbered=frozenset({"pool", "flatten"}))
TIMM_VGG = Map(
    rules=[
        (r"classifier\.fc6\.(weight|bias)", r"pre_logits.fc1.\1"),
        (r"classifier\.fc7\.(weight|bias)", r"pre_logits.fc2.\1"),
        (r"classifier\.fc8\.(weight|bias)", r"head.fc.\1"),
    ],
    positions=("features",),
    views={"classifier.fc6.weight": (4096, 512, 7, 7), "classifier.fc7.weight": (4096, 4096, 1, 1)},
)

# By library and constructor: what our networks of that constructor are called there.
MAPS: dict[str, dict[str, Map]] = {
    "torchvision": {
        "alexnet_one_tower": NUMBERED,
        "vgg": NUMBERED,
        "googlenet_bn": GOOGLENET,
        "resnet": RESNET,
        "resnet_v1_5": RESNET,
        "wide_resnet50_2": RESNET,
        "densenet_imagenet": DENSENET,
        "squeezenet1_0": NUMBERED,
        "squeezenet1_1": NUMBERED,
        "shufflenet_v2": SHUFFLENET,
    },
    "timm": {
        "vgg": TIMM_VGG,
        "resnet": RESNET,
        "resnet_v1_5": RESNET,
        "wide_resnet50_2": RESNET,
        "densenet_imagenet": DENSENET,
    },
}


def map_of(library: str, constructor: str) -> Map:
    """How a library names the networks of one of our constructors. Raises ArchzooError where it has none."""
    if library not in MAPS:
        raise ArchzooError(f"no map for {library!r}; there are {', '.join(MAPS)}")
    if constructor not in MAPS[library]:
        raise ArchzooError(f"{library} has no network like {constructor}; it has {', '.join(MAPS[library])}")
    return MAPS[library][constructor]


def to_theirs(net: nn.Module, state: Mapping[str, Tensor], names: Map) -> dict[str, Tensor]:
    """A state of ours under their names and in their shapes."""
    theirs = names.names(net)
    return {
        theirs[name]: tensor.reshape(names.views[name]) if name in names.views else tensor
        for name, tensor in state.items()
    }


def to_ours(net: nn.Module, state: Mapping[str, Tensor], names: Map) -> dict[str, Tensor]:
    """A state of theirs under our names and in our shapes; what has no name of ours keeps theirs."""
    ours = {theirs: name for name, theirs in names.names(net).items()}
    own = net.state_dict()
    found: dict[str, Tensor] = {}
    for theirs, tensor in state.items():
        name = ours.get(names.today(theirs), theirs)
        same = name in names.views and tuple(tensor.shape) == names.views[name]
        found[name] = tensor.reshape(own[name].shape) if same else tensor
    return found
