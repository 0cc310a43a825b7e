"""The names that other programs give to the tensors of our networks, a few rules for each."""

import re
from collections.abc import Sequence

from archzoo.weights._names_of_libraries import DENSENET, MOBILENET_V1_STAGES, NUMBERED, RESNET, TENSOR, place_of
from archzoo.weights._tensor_names import Rule, TensorNames

FC = r"classifier\.fc\.(weight|bias)"
# Parts of a residual network of ours: a block of a stage, and what is in it.
BLOCK = r"features\.conv(\d)(?:_x)?\.block(\d+)\."
DENSE = r"features\.denseblock(\d)\.denselayer(\d+)\."
CONV = r"(conv\d)\.weight"
BN = rf"(bn\d)\.{TENSOR}"


def numbered(pattern: str, theirs: str, *, stage: int = 0, block: int = 0) -> Rule:
    """A rule whose first two groups are a stage and a block of ours, to which they add these numbers."""

    def rename(match: re.Match[str]) -> str:
        numbers = f"{int(match[1]) + stage}", f"{int(match[2]) + block}"
        return theirs.format(*numbers, *match.groups()[2:])

    return pattern, rename


def stem(conv: str, bn: str = "") -> list[Rule]:
    """Rules for the first convolution, and the batch normalization after it."""
    return [(r"features\.conv1\.weight", f"{conv}.weight"), *([(rf"features\.bn1\.{TENSOR}", rf"{bn}.\1")] * bool(bn))]


def ends(bn: str, fc: str) -> list[Rule]:
    """Rules for the last batch normalization and the linear layer."""
    return [(rf"features\.bn\.{TENSOR}", rf"{bn}.\1"), (FC, rf"{fc}.\1")]


def centered(added: int, before: Sequence[int]) -> tuple[int, ...]:
    """Our order of the maps behind a shortcut with ``added`` zeros on each side of the maps ``before`` it.

    Ours has all zeros behind them.
    """
    last = added + len(before)
    return *(added + position for position in before), *range(added), *range(last, last + added)


ORDER_32 = centered(8, range(16))
ORDER_64 = centered(16, ORDER_32)

AKAMASTER = TensorNames(
    rules=[
        *stem("conv1", "bn1"),
        numbered(BLOCK + r"layers\.(.+)", "layer{}.{}.{}", stage=-1, block=-1),
        numbered(BLOCK + r"shortcut\.conv\.(.+)", "layer{}.{}.shortcut.0.{}", stage=-1, block=-1),
        numbered(BLOCK + r"shortcut\.bn\.(.+)", "layer{}.{}.shortcut.1.{}", stage=-1, block=-1),
        (FC, r"linear.\1"),
    ],
    # Shortcuts of option A add zeros on both sides; all that reads or writes the maps that they lead to has that order.
    permuted=[
        (BLOCK + r"layers\.conv1\.weight", 1),
        (BLOCK + r"layers\.conv2\.weight", 0),
        (BLOCK + r"layers\.bn2\.(weight|bias|running_mean|running_var)", 0),
        (r"classifier\.fc\.weight", 1),
    ],
    orders={32: ORDER_32, 64: ORDER_64},
    unpermuted=BLOCK + r"shortcut\..+",
)
HYSTS_RESNET = TensorNames(
    rules=[
        *stem("conv", "bn"),
        numbered(BLOCK + r"(?:layers\.)?(.+)", "stage{}.block{}.{}", stage=-1),
        (FC, r"fc.\1"),
    ]
)
HYSTS_WRN = TensorNames(
    rules=[
        *stem("conv"),
        numbered(BLOCK + r"projection\.weight", "stage{}.block{}.shortcut.conv.weight", stage=-1),
        numbered(BLOCK + r"(?:bn_relu|layers)\.(.+)", "stage{}.block{}.{}", stage=-1),
        *ends("bn", "fc"),
    ]
)
HYSTS_DENSENET = TensorNames(
    rules=[
        *stem("conv"),
        numbered(DENSE + "(.+)", "stage{}.block{}.{}"),
        (r"features\.transition(\d)\.(bn|conv)1\.(.+)", r"stage\1.transition.\2.\3"),
        *ends("bn", "fc"),
    ]
)
WIDE_RESNET = TensorNames(
    rules=[
        *stem("conv1"),
        numbered(BLOCK + r"projection\.weight", "block{}.layer.{}.convShortcut.weight", stage=-1, block=-1),
        numbered(BLOCK + r"(?:bn_relu|layers)\.(.+)", "block{}.layer.{}.{}", stage=-1, block=-1),
        *ends("bn1", "fc"),
    ],
    unused=("sub_block1.",),  # of TRADES and what follows it: a group that the network never calls
)
BEARPAW_DENSENET = TensorNames(
    rules=[
        *stem("conv1"),
        numbered(DENSE + "(.+)", "dense{}.{}.{}", block=-1),
        (r"features\.transition(\d)\.(.+)", r"trans\1.\2"),
        *ends("bn", "fc"),
    ]
)
ANDREASVEIT_DENSENET = TensorNames(
    rules=[
        *stem("conv1"),
        numbered(DENSE + "(.+)", "block{}.layer.{}.{}", block=-1),
        (r"features\.transition(\d)\.(.+)", r"trans\1.\2"),
        *ends("bn1", "fc"),
    ]
)
GPLEISS_DENSENET = TensorNames(rules=[(rf"features\.bn\.{TENSOR}", r"features.norm_final.\1"), *DENSENET.rules])


def pytorchcv_residual(conv: str, bn: str) -> TensorNames:
    """ResNets and ResNeXts, also with SE blocks, whose stems differ in depth."""
    return TensorNames(
        rules=[
            *stem(conv, bn),
            numbered(BLOCK + rf"layers\.{CONV}", "features.stage{}.unit{}.body.{}.conv.weight", stage=-1),
            numbered(BLOCK + rf"layers\.bn(\d)\.{TENSOR}", "features.stage{}.unit{}.body.conv{}.bn.{}", stage=-1),
            numbered(BLOCK + r"layers\.se\.fc(\d)\.(.+)", "features.stage{}.unit{}.se.conv{}.{}", stage=-1),
            numbered(BLOCK + r"shortcut\.(.+)", "features.stage{}.unit{}.identity_conv.{}", stage=-1),
            (FC, r"output.\1"),
        ]
    )


def pytorchcv_dense(conv: str, bn: str = "") -> TensorNames:
    """DenseNets, whose stems differ in depth."""
    return TensorNames(
        rules=[
            *stem(conv, bn),
            numbered(DENSE + CONV, "features.stage{}.unit{}.{}.conv.weight"),
            numbered(DENSE + rf"bn(\d)\.{TENSOR}", "features.stage{}.unit{}.conv{}.bn.{}"),
            numbered(
                r"features\.transition((\d))\.(bn|conv)1\.(.+)", "features.stage{0}.trans{0}.conv.{2}.{3}", stage=1
            ),
            *ends("features.post_activ.bn", "output"),
        ]
    )


PYTORCHCV_RESNET_CIFAR = pytorchcv_residual("features.init_block.conv", "features.init_block.bn")
PYTORCHCV_RESNET = pytorchcv_residual("features.init_block.conv.conv", "features.init_block.conv.bn")
PYTORCHCV_SENET154 = TensorNames(
    rules=[
        (r"features\.conv1_(\d)\.weight", r"features.init_block.conv\1.conv.weight"),
        (rf"features\.bn1_(\d)\.{TENSOR}", r"features.init_block.conv\1.bn.\2"),
        (FC, r"output.fc.\1"),
        *PYTORCHCV_RESNET.rules,
    ]
)
PYTORCHCV_DENSENET_CIFAR = pytorchcv_dense("features.init_block")
PYTORCHCV_DENSENET = pytorchcv_dense("features.init_block.conv", "features.init_block.bn")
PYTORCHCV_WRN = TensorNames(
    rules=[
        *stem("features.init_block"),
        numbered(BLOCK + r"projection\.weight", "features.stage{}.unit{}.identity_conv.weight", stage=-1),
        numbered(BLOCK + rf"layers\.{CONV}", "features.stage{}.unit{}.body.{}.conv.weight", stage=-1),
        numbered(
            BLOCK + rf"(?:bn_relu|layers)\.bn(\d)\.{TENSOR}", "features.stage{}.unit{}.body.conv{}.bn.{}", stage=-1
        ),
        *ends("features.post_activ.bn", "output"),
    ]
)
PYTORCHCV_PYRAMID = TensorNames(
    rules=[
        *stem("features.init_block.conv", "features.init_block.bn"),
        numbered(BLOCK + rf"layers\.{CONV}", "features.stage{}.unit{}.body.{}.conv.weight", stage=-1),
        numbered(BLOCK + rf"layers\.bn(\d)\.{TENSOR}", "features.stage{}.unit{}.body.conv{}.bn.{}", stage=-1),
        numbered(BLOCK + r"layers\.bn\.(.+)", "features.stage{}.unit{}.bn.{}", stage=-1),
        *ends("features.post_activ.bn", "output"),
    ]
)
DYHAN_PYRAMID = TensorNames(
    rules=[
        *stem("conv1", "bn1"),
        numbered(BLOCK + r"layers\.bn\.(.+)", "layer{}.{}.bn4.{}", stage=-1, block=-1),
        numbered(BLOCK + r"layers\.(.+)", "layer{}.{}.{}", stage=-1, block=-1),
        *ends("bn_final", "fc"),
    ]
)
PYTORCHCV_CONDENSENET = TensorNames(
    rules=[
        *stem("features.init_block.conv"),
        numbered(DENSE + r"select\.index", "features.stage{}.unit{}.conv1.index"),
        numbered(DENSE + CONV, "features.stage{}.unit{}.{}.conv.weight"),
        numbered(DENSE + rf"bn(\d)\.{TENSOR}", "features.stage{}.unit{}.conv{}.bn.{}"),
        (r"classifier\.select\.index", "output.index"),
        *ends("features.post_activ.bn", "output.linear"),
    ]
)
SHICHENLIU_CONDENSENET = TensorNames(
    rules=[
        *stem("features.init_conv"),
        numbered(DENSE + r"select\.index", "features.denseblock_{}.denselayer_{}.conv_1.index"),
        numbered(DENSE + r"conv(\d)\.weight", "features.denseblock_{}.denselayer_{}.conv_{}.conv.weight"),
        numbered(DENSE + rf"bn(\d)\.{TENSOR}", "features.denseblock_{}.denselayer_{}.conv_{}.norm.{}"),
        (r"features\.transition(\d)\.select\.index", r"features.transition_\1.conv.index"),
        (r"features\.transition(\d)\.conv1\.weight", r"features.transition_\1.conv.conv.weight"),
        (rf"features\.transition(\d)\.bn1\.{TENSOR}", r"features.transition_\1.conv.norm.\2"),
        (r"classifier\.select\.index", "classifier.index"),
        *ends("features.norm_last", "classifier.linear"),
    ]
)
PYTORCHCV_VGG = TensorNames(
    rules=[
        (r"features\.(conv|bn)(\d)_(\d)\.(.+)", r"features.stage\2.unit\3.\1.\4"),
        (r"classifier\.fc6\.(weight|bias)", r"output.fc1.fc.\1"),
        (r"classifier\.fc7\.(weight|bias)", r"output.fc2.fc.\1"),
        (r"classifier\.fc8\.(weight|bias)", r"output.fc3.\1"),
    ]
)


def pytorchcv_squeezenet(first_of_stage: Sequence[int]) -> TensorNames:
    """SqueezeNets, whose poolings come before these fire modules."""

    def rename(match: re.Match[str]) -> str:
        fire = int(match[1])
        stage = sum(fire >= first for first in first_of_stage)
        return f"features.stage{stage}.unit{fire - first_of_stage[stage - 1] + 1}.{match[2]}.conv.{match[3]}"

    return TensorNames(
        rules=[
            (r"features\.conv1\.(weight|bias)", r"features.init_block.conv.\1"),
            (r"features\.fire(\d)\.(?:fire\.)?(\w+)\.(weight|bias)", rename),
            (r"classifier\.conv10\.(weight|bias)", r"output.final_conv.\1"),
        ]
    )


PYTORCHCV_SQUEEZENET1_0 = pytorchcv_squeezenet((2, 5, 9))
PYTORCHCV_SQUEEZENET1_1 = pytorchcv_squeezenet((2, 4, 6))


def _pytorchcv_shuffle_unit(match: re.Match[str]) -> str:
    stage, unit, branch, layer, tensor = int(match[1]) - 1, int(match[2]) + 1, *match.group(3, 4, 5)
    right = {"reduce": "conv1", "depthwise": "dconv", "expand": "conv2"}
    left = {"depthwise": "shortcut_dconv", "expand": "shortcut_conv"}
    return f"features.stage{stage}.unit{unit}.{(left if branch == 'left' else right)[layer]}.{tensor}"


PYTORCHCV_SHUFFLENET = TensorNames(
    rules=[
        *stem("features.init_block.conv.conv", "features.init_block.conv.bn"),
        (r"features\.stage(\d)\.(\d+)\.(left|branch)\.(\w+)\.(.+)", _pytorchcv_shuffle_unit),
        (r"features\.conv5\.(.+)", r"features.final_block.\1"),
        (FC, r"output.\1"),
    ]
)


def _pytorchcv_separable(match: re.Match[str]) -> str:
    stage, unit = place_of(int(match[1]), MOBILENET_V1_STAGES)
    return f"features.stage{stage + 1}.unit{unit + 1}.{match[2][0]}w_conv.{match[3]}"


PYTORCHCV_MOBILENET_V1 = TensorNames(
    rules=[
        (r"features\.conv1\.(.+)", r"features.init_block.\1"),
        (r"features\.block(\d+)\.(depthwise|pointwise)\.(.+)", _pytorchcv_separable),
        (FC, r"output.\1"),
    ]
)


def _transformers(match: re.Match[str]) -> str:
    """What Hugging Face's transformers call a convolution and its batch normalization."""
    return {"conv": "convolution", "bn": "normalization"}[match[0]]


def _transformers_separable(match: re.Match[str]) -> str:
    number = 2 * (int(match[1]) - 1) + (match[2] == "pointwise")
    return f"mobilenet_v1.layer.{number}.{re.sub('^(conv|bn)', _transformers, match[3])}"


def _transformers_inverted(match: re.Match[str]) -> str:
    layer = {"expand": "expand_1x1", "depthwise": "conv_3x3", "project": "reduce_1x1"}[match[2]]
    block = "conv_stem" if match[1] == "1" else f"layer.{int(match[1]) - 2}"
    return f"mobilenet_v2.{block}.{layer}.{re.sub('^(conv|bn)', _transformers, match[3])}"


def _transformers_layer(theirs: str, ours: str) -> list[Rule]:
    """Rules for a layer outside the blocks."""
    return [
        (rf"features\.{ours}\.conv\.weight", f"{theirs}.convolution.weight"),
        (rf"features\.{ours}\.bn\.(.+)", rf"{theirs}.normalization.\1"),
    ]


TRANSFORMERS_MOBILENET_V1 = TensorNames(
    rules=[
        *_transformers_layer("mobilenet_v1.conv_stem", "conv1"),
        (r"features\.block(\d+)\.(depthwise|pointwise)\.(.+)", _transformers_separable),
        (FC, r"classifier.\1"),
    ]
)
TRANSFORMERS_MOBILENET_V2 = TensorNames(
    rules=[
        *_transformers_layer("mobilenet_v2.conv_stem.first_conv", "conv1"),
        (r"features\.block(\d+)\.layers\.(\w+)\.(.+)", _transformers_inverted),
        *_transformers_layer("mobilenet_v2.conv_1x1", "conv2"),
        (FC, r"classifier.\1"),
    ]
)


def _megvii_unit(match: re.Match[str]) -> str:
    """A unit of the authors' ShuffleNet v1, which are numbered through all stages of 4, 8 and 4."""
    number = {"2": 0, "3": 4, "4": 12}[match[1]] + int(match[2])
    part, place = {"reduce": (1, 0), "depthwise": (1, 3), "expand": (2, 0)}[match[3]]
    return f"features.{number}.branch_main_{part}.{place + (match[4] == 'bn')}.{match[5]}"


MEGVII_SHUFFLENET_V1 = TensorNames(
    rules=[
        *stem("first_conv.0", "first_conv.1"),
        (r"features\.stage(\d)\.(\d+)\.branch\.(\w+)\.(conv|bn)\.(.+)", _megvii_unit),
        (r"classifier\.fc\.weight", "classifier.0.weight"),
    ]
)
OPENMMLAB_RESNET = TensorNames(rules=RESNET.rules[:-1], unused=("conv1.bias",), classifier=False)
OPENMMLAB_VGG = TensorNames(
    numbered=("features",),
    unnumbered=NUMBERED.unnumbered,
    unused=("features.31.", "features.33."),  # two convolutions of SSD in the place of fc6 and fc7
    classifier=False,
)

# Networks with as many tensors of the same shapes as ours, which compute another function.
TORCHDISTILL_WRN = TensorNames(
    rules=[
        *stem("conv1"),
        numbered(BLOCK + r"projection\.weight", "layer{}.{}.shortcut.0.weight", stage=-1, block=-1),
        numbered(BLOCK + r"(?:bn_relu|layers)\.(.+)", "layer{}.{}.{}", stage=-1, block=-1),
        *ends("bn1", "fc"),
    ]
)
BEARPAW_PREACT = TensorNames(
    rules=[
        *stem("conv1", "layer1.0.bn1"),
        numbered(BLOCK + r"project\.weight", "layer{}.{}.downsample.0.weight", stage=-1, block=-1),
        numbered(BLOCK + rf"activation\.bn\.{TENSOR}", "layer{}.{}.bn1.{}", stage=-1, block=-1),
        numbered(BLOCK + r"layers\.(.+)", "layer{}.{}.{}", stage=-1, block=-1),
        *ends("bn", "fc"),
    ]
)
PYTORCHCV_PREACT = TensorNames(
    rules=[
        *stem("features.init_block", "features.stage1.unit1.body.conv1.bn"),
        numbered(BLOCK + r"project\.weight", "features.stage{}.unit{}.identity_conv.weight", stage=-1),
        numbered(BLOCK + rf"activation\.bn\.{TENSOR}", "features.stage{}.unit{}.body.conv1.bn.{}", stage=-1),
        numbered(BLOCK + rf"layers\.{CONV}", "features.stage{}.unit{}.body.{}.conv.weight", stage=-1),
        numbered(BLOCK + rf"layers\.bn(\d)\.{TENSOR}", "features.stage{}.unit{}.body.conv{}.bn.{}", stage=-1),
        *ends("features.post_activ.bn", "output"),
    ]
)
TUTORIAL_LENET = TensorNames(
    rules=[
        (r"features\.C1\.(.+)", r"conv1.\1"),
        (r"features\.C3\.(.+)", r"conv2.\1"),
        (r"classifier\.C5\.(.+)", r"fc1.\1"),
        (r"classifier\.F6\.(.+)", r"fc2.\1"),
        (r"classifier\.output\.(.+)", r"fc3.\1"),
    ]
)


def caffe(pattern: str, theirs: str) -> Rule:
    """A rule for a layer of Caffe's: the model zoo of ONNX calls its weight and its bias NAME_w_0 and NAME_b_0."""

    def rename(match: re.Match[str]) -> str:
        letter = "w" if match.groups()[-1] == "weight" else "b"
        return f"{theirs.format(*match.groups())}_{letter}_0"

    return rf"{pattern}\.(weight|bias)", rename


ONNX_ALEXNET = TensorNames(rules=[caffe(r"features\.(conv\d)", "{}"), caffe(r"classifier\.(fc\d)", "{}")])
ONNX_GOOGLENET = TensorNames(
    rules=[
        caffe(r"features\.conv1", "conv1/7x7_s2"),
        caffe(r"features\.conv2_reduce", "conv2/3x3_reduce"),
        caffe(r"features\.conv2", "conv2/3x3"),
        caffe(r"features\.(inception_\d\w)\.(\dx\d)\.conv", "{}/{}"),
        caffe(r"features\.(inception_\d\w)\.(\w+)\.(reduce|proj)", "{}/{}_{}"),
        caffe(r"classifier\.linear", "loss3/classifier"),
        *(
            caffe(rf"classifier\.aux_4{module}\.{ours}", f"loss{number}/{theirs}")
            for number, module in enumerate("ad", 1)
            for ours, theirs in (("conv", "conv"), ("fc", "fc"), ("linear", "classifier"))
        ),
    ]
)
