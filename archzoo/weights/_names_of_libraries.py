"""The names that torchvision and timm give to the tensors of our networks, which we name after the paper."""

import re
from collections.abc import Sequence
from itertools import accumulate

from archzoo.weights._tensor_names import TensorNames

TENSOR = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
WEIGHT = r"(weight|bias)"
CONV_OR_NORM = rf"((?:conv|bn)\.{TENSOR.replace('(', '(?:')})"  # a tensor of a convolution or of its batch norm
# Blocks in each stage of those who divide the networks into stages.
MOBILENET_V1_STAGES = (1, 2, 2, 6, 2)
MOBILENET_V2_STAGES = (1, 2, 3, 4, 3, 3, 1)


def _stage(match: re.Match[str]) -> str:
    stage, block, rest = int(match[1]) - 1, int(match[2]) - 1, match[3]
    rest = re.sub(r"^shortcut\.conv", "downsample.0", re.sub(r"^shortcut\.bn", "downsample.1", rest))
    return f"layer{stage}.{block}.{rest.removeprefix('layers.')}"


def _excitation(match: re.Match[str]) -> str:
    return f"layer{int(match[1]) - 1}.{int(match[2]) - 1}.se_module.{match[3]}"


def _inception(match: re.Match[str]) -> str:
    branch, layer, norm, tensor = match.group(2, 3, 4, 5)
    number = {"1x1": "branch1", "3x3": "branch2", "5x5": "branch3", "pool": "branch4"}[branch]
    place = "" if branch == "1x1" else ".0" if layer == "reduce" else ".1"
    return f"inception{match[1]}.{number}{place}.{'bn' if norm else 'conv'}.{tensor}"


def _unit(match: re.Match[str]) -> str:
    stage, unit, branch, layer, kind, tensor = match.groups()
    if branch == "left":
        number = {"depthwise": 0, "expand": 2}[layer] + (kind == "bn")
    else:
        number = {"reduce": 0, "depthwise": 3, "expand": 5}[layer] + (kind == "bn")
    return f"stage{stage}.{unit}.branch{1 if branch == 'left' else 2}.{number}.{tensor}"


def _inverted(match: re.Match[str]) -> str:
    """A block of torchvision's MobileNetV2, of which the first has no expansion."""
    number, layer, kind, tensor = int(match[1]), *match.group(2, 3, 4)
    if layer == "project":
        return f"features.{number}.conv.{(number > 1) + 1 + (kind == 'bn')}.{tensor}"
    place = int(layer == "depthwise" and number > 1)
    return f"features.{number}.conv.{place}.{int(kind == 'bn')}.{tensor}"


def place_of(number: int, stages: Sequence[int]) -> tuple[int, int]:
    """The stage of a block and its place there, both from 0, where the stages have so many blocks."""
    ends = list(accumulate(stages))
    stage = sum(number > end for end in ends)
    return stage, number - 1 - (ends[stage] - stages[stage])


def _timm_separable(match: re.Match[str]) -> str:
    stage, unit = place_of(int(match[1]), MOBILENET_V1_STAGES)
    bn, conv = ("bn1", "conv_dw") if match[2] == "depthwise" else ("bn2", "conv_pw")
    return f"blocks.{stage}.{unit}.{bn if match[3] == 'bn' else conv}.{match[4]}"


def _timm_inverted(match: re.Match[str]) -> str:
    number, layer, kind, tensor = int(match[1]), *match.group(2, 3, 4)
    stage, unit = place_of(number, MOBILENET_V2_STAGES)
    layers = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
    if number == 1:
        layers = {"depthwise": "conv_dw", "project": "conv_pw"}
    name = f"bn{list(layers).index(layer) + 1}" if kind == "bn" else layers[layer]
    return f"blocks.{stage}.{unit}.{name}.{tensor}"


def _stem(match: re.Match[str]) -> str:
    number = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}[match[1]]
    return f"{number}.{'bn' if match[2] else 'conv'}.{match[3]}"


RESNET = TensorNames(
    rules=[
        (rf"features\.(conv1|bn1)\.{TENSOR}", r"\1.\2"),
        (r"features\.conv(\d)_x\.block(\d+)\.(.+)", _stage),
        (r"classifier\.fc\.(weight|bias)", r"fc.\1"),
    ]
)
# Of pretrained-models.pytorch, and of timm's networks that begin with "legacy".
SENET = TensorNames(
    rules=[
        (rf"features\.(conv1|bn1)\.{TENSOR}", r"layer0.\1.\2"),
        (rf"features\.(conv|bn)1_(\d)\.{TENSOR}", r"layer0.\1\2.\3"),
        (r"features\.conv(\d)_x\.block(\d+)\.layers\.se\.(.+)", _excitation),
        (r"features\.conv(\d)_x\.block(\d+)\.(.+)", _stage),
        (r"classifier\.fc\.(weight|bias)", r"last_linear.\1"),
    ]
)
DENSENET = TensorNames(
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
    # The files of 2017 have names with dots in them, as torch allowed at the time.
    older=[(rf"(.+denselayer\d+)\.(norm|conv)\.(\d)\.{TENSOR}", r"\1.\2\3.\4")],
)
GOOGLENET = TensorNames(
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
SHUFFLENET = TensorNames(
    rules=[
        (r"features\.conv1\.weight", "conv1.0.weight"),
        (rf"features\.bn1\.{TENSOR}", r"conv1.1.\1"),
        (rf"features\.stage(\d)\.(\d+)\.(left|branch)\.(\w+)\.(conv|bn)\.{TENSOR}", _unit),
        (r"features\.conv5\.conv\.weight", "conv5.0.weight"),
        (rf"features\.conv5\.bn\.{TENSOR}", r"conv5.1.\1"),
        (r"classifier\.fc\.(weight|bias)", r"fc.\1"),
    ]
)
MOBILENET_V2 = TensorNames(
    rules=[
        (r"features\.conv1\.conv\.weight", "features.0.0.weight"),
        (rf"features\.conv1\.bn\.{TENSOR}", r"features.0.1.\1"),
        (rf"features\.block(\d+)\.layers\.(\w+)\.(conv|bn)\.{TENSOR}", _inverted),
        (r"features\.conv2\.conv\.weight", "features.18.0.weight"),
        (rf"features\.conv2\.bn\.{TENSOR}", r"features.18.1.\1"),
        (r"classifier\.fc\.(weight|bias)", r"classifier.1.\1"),
    ]
)
TIMM_MOBILENET_V1 = TensorNames(
    rules=[
        (r"features\.conv1\.conv\.weight", "conv_stem.weight"),
        (rf"features\.conv1\.bn\.{TENSOR}", r"bn1.\1"),
        (rf"features\.block(\d+)\.(\w+)\.(conv|bn)\.{TENSOR}", _timm_separable),
        (r"classifier\.fc\.(weight|bias)", r"classifier.\1"),
    ]
)
TIMM_MOBILENET_V2 = TensorNames(
    rules=[
        *TIMM_MOBILENET_V1.rules[:2],
        (rf"features\.block(\d+)\.layers\.(\w+)\.(conv|bn)\.{TENSOR}", _timm_inverted),
        (r"features\.conv2\.conv\.weight", "conv_head.weight"),
        (rf"features\.conv2\.bn\.{TENSOR}", r"bn2.\1"),
        TIMM_MOBILENET_V1.rules[-1],
    ]
)
NUMBERED = TensorNames(numbered=("features", "classifier"), unnumbered=frozenset({"pool", "flatten"}))
TIMM_VGG = TensorNames(
    rules=[
        (r"classifier\.fc6\.(weight|bias)", r"pre_logits.fc1.\1"),
        (r"classifier\.fc7\.(weight|bias)", r"pre_logits.fc2.\1"),
        (r"classifier\.fc8\.(weight|bias)", r"head.fc.\1"),
    ],
    numbered=("features",),
    shapes={"classifier.fc6.weight": (4096, 512, 7, 7), "classifier.fc7.weight": (4096, 4096, 1, 1)},
)
