"""Whose files load into which of our networks, under which names, and whose compute another function.

A source is a library, or a repository that people have checkpoints of. Each row is one of our constructors, the names
that the source gives to its tensors, and the options that make our network theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archzoo.errors import BadOption, WeightsError
from archzoo.registry import Entry
from archzoo.weights import _names_of_inception_v3 as inception_v3
from archzoo.weights import _names_of_inceptions as inceptions
from archzoo.weights import _names_of_libraries as libraries
from archzoo.weights import _names_of_sources as sources
from archzoo.weights._tensor_names import TensorNames


@dataclass(frozen=True)
class Counterpart:
    """Networks of a source with the tensors of one of our constructors: ``theirs`` is what it calls them.

    With ``options``, and without the values of ``never``, our network has their tensors. It computes their function,
    unless ``differs`` says what theirs does that ours does not.
    """

    constructor: str
    names: TensorNames
    theirs: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    differs: str = ""
    never: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A library or repository, its page, and its networks that have the tensors of ours.

    ``others`` are those of its networks that people take for ones of ours, and what they are.
    """

    page: str
    networks: tuple[Counterpart, ...]
    others: Mapping[str, str] = field(default_factory=dict)

    def equal(self) -> dict[str, TensorNames]:
        """The names of the networks that compute what ours do, by our constructor."""
        return {network.constructor: network.names for network in self.networks if not network.differs}


B = {"option": "B"}
GITHUB = "https://github.com/"
RAW_SHORTCUT = "its projections read the maps before their batch normalization and ReLU"
STRIDE_IN_3X3 = "its bottlenecks stride in the 3x3"
# As released code converts CondenseNets: of the classifier, half of the features remain.
CONVERTED = {"form": "test", "classifier_share": 0.5}
CEIL, PADDED = {"pool": "ceil"}, {"pool": "padded"}
CAFFES_ALEXNET = (
    "its response normalization adds 1 and divides alpha by 5, and sizes are not rounded up: that is alexnet_caffe"
)
# What no library has: columns of VGG's table, bypasses, products of widths, the auxiliary classifiers of TF-slim, and
# the ablations of SENet.
WITH_AUXILIARY: dict[str, tuple[Any, ...]] = {"auxiliary": (True,)}
NEVER: dict[str, dict[str, tuple[Any, ...]]] = {
    "inception_v4": WITH_AUXILIARY,
    "inception_resnet_v2_released": WITH_AUXILIARY,
    "vgg": {"config": ("A-LRN", "C")},
    "squeezenet1_0": {"bypass": ("simple", "complex")},
    "squeezenet1_1": {"bypass": ("simple", "complex")},
    "pyramidnet": {"growth": ("multiplicative",)},
    "se_resnet": {
        "squeeze": ("max", "none"),
        "gate": ("tanh", "relu"),
        "bias": (False,),
        "place": ("pre", "post", "identity", "3x3"),
    },
}
# MobileNets of torch: padded by one on every side, with torch's default epsilon.
TORCH = {"padding": "symmetric", "bn_eps": 1e-5}
SCALED = {"bn_scale": True}  # Inceptions of torch: batch normalization with a scale
COUNTED = {"count_include_pad": True}  # Inception-v3 of torch: the mean of a pooling counts its padding
TORCHVISION_LIKE = {
    "inception_v3": inception_v3.INCEPTION_V3,
    "resnet": libraries.RESNET,
    "resnet_v1_5": libraries.RESNET,
    "wide_resnet50_2": libraries.RESNET,
    "resnext": libraries.RESNET,
    "densenet_imagenet": libraries.DENSENET,
}


# What these call theirs, where it is not what ours is called.
THEIRS = {
    "alexnet_one_tower": "alexnet",
    "googlenet_bn": "googlenet",
    "inception_resnet_v2_released": "inception_resnet_v2",
    "mobilenet_v1": "mobilenetv1_100, mobilenetv1_125",
    "mobilenet_v2": "mobilenet_v2; mobilenetv2_035 to mobilenetv2_140",
    "resnet": "resnet18, resnet34 (option B)",
    "resnet_v1_5": "resnet50, resnet101, resnet152",
    "densenet_imagenet": "densenet121 to densenet201",
    "shufflenet_v2": "shufflenet_v2_x0_5 to x2_0 (down='symmetric')",
    "vgg": "vgg11 to vgg19, with and without bn",
    "xception": "legacy_xception",
    "resnext": "resnext50_32x4d, resnext101_64x4d",
}


OPTIONS: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {"activation": "relu6", **TORCH},
    "mobilenet_v2": TORCH,
    "xception": TORCH,
    "inception_v4": SCALED,
    "inception_resnet_v2_released": SCALED,
    "inception_v3": COUNTED,
}


def counterparts(names: Mapping[str, TensorNames]) -> tuple[Counterpart, ...]:
    """Those of torchvision or timm, by our constructor."""
    return tuple(
        Counterpart(
            constructor,
            of_library,
            THEIRS.get(constructor, constructor),
            OPTIONS.get(constructor, {}),
            never=NEVER.get(constructor, {}),
        )
        for constructor, of_library in names.items()
    )


def senets(names: TensorNames, theirs: Mapping[str, str]) -> tuple[Counterpart, ...]:
    """Those with the release's pooling, by our constructor."""
    return tuple(
        Counterpart(constructor, names, networks, CEIL, never=NEVER.get(constructor, {}))
        for constructor, networks in theirs.items()
    )


SOURCES: dict[str, Source] = {
    "torchvision": Source(
        GITHUB + "pytorch/vision",
        counterparts(
            {
                "alexnet_one_tower": libraries.NUMBERED,
                "vgg": libraries.NUMBERED,
                "googlenet_bn": libraries.GOOGLENET,
                "mobilenet_v2": libraries.MOBILENET_V2,
                **TORCHVISION_LIKE,
                "squeezenet1_0": libraries.NUMBERED,
                "squeezenet1_1": libraries.NUMBERED,
                "shufflenet_v2": libraries.SHUFFLENET,
            }
        ),
    ),
    "timm": Source(
        GITHUB + "huggingface/pytorch-image-models",
        (
            *counterparts(
                {
                    "vgg": libraries.TIMM_VGG,
                    "mobilenet_v1": libraries.TIMM_MOBILENET_V1,
                    "mobilenet_v2": libraries.TIMM_MOBILENET_V2,
                    "xception": inceptions.TIMM_XCEPTION,
                    "inception_v4": inceptions.TIMM_INCEPTION_V4,
                    "inception_resnet_v2_released": inceptions.TIMM_INCEPTION_RESNET_V2,
                    **TORCHVISION_LIKE,
                }
            ),
            *senets(
                libraries.SENET,
                {
                    "se_resnet": "legacy_seresnet50, 101 and 152",
                    "se_resnext": "legacy_seresnext50_32x4d and 101_32x4d",
                    "senet154": "legacy_senet154",
                },
            ),
        ),
        {
            "mobilenetv1_100h": "a 1x1 convolution more before the pooling",
            "mobilenetv2_110d, mobilenetv2_120d": "deeper than the paper's networks",
            "xception41, xception65, ...": "aligned Xceptions: strides in the place of poolings, and another depth",
            "seresnet50, 101 and 152": "stride in the 3x3, and a padded first pooling",
            "seresnext50_32x4d and 101_32x4d": "legacy's with a padded first pooling, under names that are not read",
            "legacy_seresnet18 and 34": "basic blocks with SE, which the paper has not",
        },
    ),
    "transformers": Source(
        GITHUB + "huggingface/transformers",
        (
            Counterpart(
                "mobilenet_v1",
                sources.TRANSFORMERS_MOBILENET_V1,
                "MobileNetV1ForImageClassification, the authors' weights",
                {"activation": "relu6"},
            ),
            Counterpart(
                "mobilenet_v2",
                sources.TRANSFORMERS_MOBILENET_V2,
                "MobileNetV2ForImageClassification, the authors' weights",
            ),
        ),
    ),
    "megvii": Source(
        GITHUB + "megvii-model/ShuffleNet-Series",
        (
            Counterpart(
                "shufflenet_v1", sources.MEGVII_SHUFFLENET_V1, "ShuffleNetV1, the authors'", {"shuffle": "release"}
            ),
        ),
    ),
    "cadene": Source(
        GITHUB + "Cadene/pretrained-models.pytorch",
        (
            Counterpart("xception", inceptions.CADENE_XCEPTION, "xception", TORCH),
            Counterpart(*("inception_v4", inceptions.TIMM_INCEPTION_V4, "inceptionv4", SCALED), never=WITH_AUXILIARY),
            Counterpart(
                *("inception_resnet_v2_released", inceptions.CADENE_INCEPTION_RESNET_V2, "inceptionresnetv2", SCALED),
                never=WITH_AUXILIARY,
            ),
            Counterpart("bn_inception_caffe", inception_v3.CADENE_BN_INCEPTION, "bninception"),
            *senets(
                libraries.SENET,
                {
                    "se_resnet": "se_resnet50, 101 and 152",
                    "se_resnext": "se_resnext50_32x4d and 101_32x4d",
                    "senet154": "senet154",
                },
            ),
        ),
    ),
    "chenyaofo": Source(
        GITHUB + "chenyaofo/pytorch-cifar-models",
        (Counterpart("resnet_cifar", libraries.RESNET, "cifar10_resnet20, cifar100_resnet56, ...", B),),
        {"VGG, ShuffleNet V2": "made for 32x32 pixels, with other layers than the papers' networks"},
    ),
    "akamaster": Source(
        GITHUB + "akamaster/pytorch_resnet_cifar10",
        (Counterpart("resnet_cifar", sources.AKAMASTER, "resnet20 to resnet1202"),),
    ),
    "pytorchcv": Source(
        GITHUB + "osmr/imgclsmob",
        (
            Counterpart("bn_inception_caffe", inception_v3.PYTORCHCV_BN_INCEPTION, "bninception"),
            Counterpart(
                *("inception_v3", inception_v3.PYTORCHCV_INCEPTION_V3, "inceptionv3", COUNTED), never=WITH_AUXILIARY
            ),
            Counterpart("mobilenet_v1", sources.PYTORCHCV_MOBILENET_V1, "mobilenet_w1 to mobilenet_wd4", TORCH),
            Counterpart("resnet_cifar", sources.PYTORCHCV_RESNET_CIFAR, "resnet20_cifar10, ...", B),
            Counterpart(
                "resnet", sources.PYTORCHCV_RESNET, "resnet50, resnet101, resnet152; resnet18 and 34 have option B"
            ),
            Counterpart("resnet_v1_5", sources.PYTORCHCV_RESNET, "resnet50b, resnet101b, resnet152b"),
            Counterpart("resnext", sources.PYTORCHCV_RESNET, "resnext50_32x4d, ..."),
            Counterpart("resnext_cifar", sources.PYTORCHCV_RESNET_CIFAR, "resnext29_32x4d_cifar10, ..."),
            Counterpart(
                *("se_resnet", sources.PYTORCHCV_RESNET, "seresnet50, seresnet101, seresnet152", PADDED),
                never=NEVER["se_resnet"],
            ),
            Counterpart("se_resnext", sources.PYTORCHCV_RESNET, "seresnext50_32x4d, ...", PADDED),
            Counterpart("senet154", sources.PYTORCHCV_SENET154, "senet154", PADDED),
            Counterpart("xception", inceptions.PYTORCHCV_XCEPTION, "xception", TORCH),
            Counterpart(
                *("inception_v4", inceptions.PYTORCHCV_INCEPTION_V4, "inceptionv4", SCALED), never=WITH_AUXILIARY
            ),
            Counterpart(
                "inception_resnet_v2_released",
                inceptions.PYTORCHCV_INCEPTION_RESNET_V2,
                "inceptionresnetv2",
                SCALED,
                never=WITH_AUXILIARY,
            ),
            Counterpart("wide_resnet", sources.PYTORCHCV_WRN, "wrn28_10_cifar10, ..."),
            *(
                Counterpart(constructor, sources.PYTORCHCV_PYRAMID, theirs, never=NEVER["pyramidnet"])
                for constructor, theirs in (
                    ("pyramidnet_cifar", "pyramidnet110_a48_cifar10, ..."),
                    ("pyramidnet", "pyramidnet101_a360"),
                )
            ),
            Counterpart("densenet_bc", sources.PYTORCHCV_DENSENET_CIFAR, "densenet100_k12_bc_cifar10, ..."),
            Counterpart("densenet_imagenet", sources.PYTORCHCV_DENSENET, "densenet121 to densenet201"),
            Counterpart(
                "condensenet", sources.PYTORCHCV_CONDENSENET, "condensenet74_c4_g4, condensenet74_c8_g8", CONVERTED
            ),
            Counterpart("vgg", sources.PYTORCHCV_VGG, "vgg11 to vgg19, bn_vgg11b to bn_vgg19b", never=NEVER["vgg"]),
            Counterpart("squeezenet1_0", sources.PYTORCHCV_SQUEEZENET1_0, "squeezenet_v1_0, squeezeresnet_v1_0"),
            Counterpart("squeezenet1_1", sources.PYTORCHCV_SQUEEZENET1_1, "squeezenet_v1_1, squeezeresnet_v1_1"),
            Counterpart("shufflenet_v2", sources.PYTORCHCV_SHUFFLENET, "shufflenetv2b_wd2", {"down": "symmetric"}),
            Counterpart(
                "preact_resnet", sources.PYTORCHCV_PREACT, "preresnet164bn_cifar10, ...", differs=STRIDE_IN_3X3
            ),
        ),
        {
            "resnet164bn_cifar10": "bottlenecks for CIFAR, which the paper has not",
            "densenet40_k12_cifar10": "theta = 0.5 and a first convolution to 2k maps",
            "mobilenetb_w1": "neither batch normalization nor an activation after depthwise convolutions",
            "mobilenetv2_w1": "a 1x1 convolution more in the first block, and no bias in the last layer",
            "mobilenetv2b_w1": "no bias in the last layer",
            "shufflenet_g3_w1": "pooled maps behind those of the branch, and a bias in the last layer",
            "nin_cifar10": "an average pooling in the place of the second max pooling",
            "wrn50_2": "biases and no batch normalization",
            "inceptionresnetv1": "512 units before the last layer, and no ReLU after the last module",
            "seresnet50b, ...": "SE-ResNets with the stride in the 3x3",
            "senet16, ..., sepreresnet50, seresnet20_cifar10, ...": "networks with SE blocks that the paper has not",
        },
    ),
    "torchdistill": Source(
        GITHUB + "yoshitomo-matsubara/torchdistill",
        (
            Counterpart("resnet_cifar", libraries.RESNET, "resnet20 to resnet110", B),
            Counterpart("densenet_bc", libraries.DENSENET, "densenet_bc_k12_depth100, ..."),
            Counterpart("wide_resnet", sources.TORCHDISTILL_WRN, "wide_resnet28_10, ...", differs=RAW_SHORTCUT),
        ),
    ),
    "xternalz": Source(
        GITHUB + "xternalz/WideResNet-pytorch",
        (Counterpart("wide_resnet", sources.WIDE_RESNET, "WideResNet"),),
    ),
    "robustbench": Source(
        GITHUB + "RobustBench/robustbench",
        (Counterpart("wide_resnet", sources.WIDE_RESNET, "WideResNet, also with the unused sub_block1"),),
        {"DMWideResNet": "Swish, and a normalization inside", "RobustWideResNet": "other widths and depths by stage"},
    ),
    "repdistiller": Source(
        GITHUB + "HobbitLong/RepDistiller",
        (
            Counterpart("wide_resnet", sources.WIDE_RESNET, "wrn_40_2, ..."),
            Counterpart("resnet_cifar", libraries.RESNET, "resnet20 to resnet110", B),
        ),
        {"resnet8x4, resnet32x4": "wider stages than the paper's networks"},
    ),
    "bearpaw": Source(
        GITHUB + "bearpaw/pytorch-classification",
        (
            Counterpart("resnet_cifar", libraries.RESNET, "resnet with BasicBlock", B),
            Counterpart("densenet_bc", sources.BEARPAW_DENSENET, "densenet"),
            Counterpart("wide_resnet", sources.WIDE_RESNET, "wrn"),
            Counterpart(
                "preact_resnet",
                sources.BEARPAW_PREACT,
                "preresnet with Bottleneck",
                differs=f"{RAW_SHORTCUT}, and {STRIDE_IN_3X3}",
            ),
        ),
        {"resnet-110 of its results": "a ResNet-164 of bottlenecks, which the paper has not"},
    ),
    "hysts": Source(
        GITHUB + "hysts/pytorch_image_classification",
        (
            Counterpart("resnet_cifar", sources.HYSTS_RESNET, "resnet, basic", B),
            Counterpart("wide_resnet", sources.HYSTS_WRN, "wrn"),
            Counterpart("densenet_bc", sources.HYSTS_DENSENET, "densenet, bottleneck, compression 0.5"),
        ),
        {"resnet_preact-164": "the first stage has a quarter of the maps (1,619,290 parameters)"},
    ),
    "andreasveit": Source(
        GITHUB + "andreasveit/densenet-pytorch",
        (Counterpart("densenet_bc", sources.ANDREASVEIT_DENSENET, "DenseNet-BC"),),
        {"DenseNet without bottlenecks": "a first convolution to 2k maps (1,059,298 parameters for k = 12)"},
    ),
    "gpleiss": Source(
        GITHUB + "gpleiss/efficient_densenet_pytorch",
        (
            Counterpart("densenet_bc", sources.GPLEISS_DENSENET, "DenseNet with small_inputs"),
            Counterpart("densenet_imagenet", sources.GPLEISS_DENSENET, "DenseNet without small_inputs"),
        ),
    ),
    "shichenliu": Source(
        GITHUB + "ShichenLiu/CondenseNet",
        tuple(
            Counterpart(constructor, sources.SHICHENLIU_CONDENSENET, theirs, CONVERTED)
            for constructor, theirs in (
                ("condensenet", "converted_condensenet_4, converted_condensenet_8"),
                ("condensenet_cifar", "CondenseNet, converted"),
                ("condensenet_light", "DenseNet_LGC, converted"),
            )
        ),
        {"CondenseNet, DenseNet_LGC": "before their conversion: counters of stages beside the masks"},
    ),
    "dyhan0920": Source(
        GITHUB + "dyhan0920/PyramidNet-PyTorch",
        (Counterpart("pyramidnet", sources.DYHAN_PYRAMID, "PyramidNet-101-360, ...", never=NEVER["pyramidnet"]),),
    ),
    "openmmlab": Source(
        "https://download.openmmlab.com/pretrain/third_party/",
        (
            Counterpart("resnet", sources.OPENMMLAB_RESNET, "resnet50_msra, resnet101_msra"),
            Counterpart("vgg", sources.OPENMMLAB_VGG, "vgg16_caffe"),
        ),
        {"resnet50_caffe": "convolutions with biases, and batch normalization that is folded into scales"},
    ),
    "onnx": Source(
        GITHUB + "onnx/models",
        (
            Counterpart("googlenet", sources.ONNX_GOOGLENET, "googlenet-12"),
            Counterpart("alexnet_caffe", sources.ONNX_ALEXNET, "bvlcalexnet-12"),
            Counterpart("alexnet", sources.ONNX_ALEXNET, "bvlcalexnet-12", differs=CAFFES_ALEXNET),
        ),
        {
            "caffenet-12, rcnn-ilsvrc13-9": "the tensors of bvlcalexnet-12, with pooling before response normalization",
            "inception-v1-12": "the tensors of googlenet-12, with sizes rounded down: maps of 55, 27, 13 and 6",
            "zfnet512-12": "512 maps in conv3 to conv5, 1024 units in fc7, response normalization before pooling, no "
            "padding in conv1, a 2x2 window in pool5, and sizes rounded down",
        },
    ),
    "tutorial": Source(
        "https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html",
        (
            Counterpart(
                "lenet5_textbook",
                sources.TUTORIAL_LENET,
                "Net",
                differs="it has ReLU for tanh, and max pooling for average pooling",
            ),
        ),
    ),
    "kuangliu": Source(
        GITHUB + "kuangliu/pytorch-cifar",
        (),
        {
            "ResNet18": "a 3x3 first convolution and no pooling (11,173,962 parameters)",
            "GoogLeNet": "batch normalization, two 3x3 for 5x5 (6,166,250 parameters)",
            "DenseNet121, VGG, ShuffleNetV2, PreActResNet18": "made for 32x32 pixels",
        },
    ),
}

# By source and by our constructor, without those that compute another function.
LIBRARIES: dict[str, dict[str, TensorNames]] = {
    name: source.equal() for name, source in SOURCES.items() if source.equal()
}


def names_in(library: str, constructor: str) -> TensorNames:
    """A library's names for the networks of one of our constructors. Raises WeightsError if it has none."""
    if library not in LIBRARIES:
        raise WeightsError(f"{library!r} is no known library: {' or '.join(LIBRARIES)}")
    if constructor not in LIBRARIES[library]:
        raise WeightsError(f"{library} has no network like {constructor}; it has {', '.join(LIBRARIES[library])}")
    return LIBRARIES[library][constructor]


def refuse_other_options(library: str, entry: Entry, options: Mapping[str, Any]) -> None:
    """Raise BadOption if a library's network of this constructor has other options than these."""
    ours = {**entry.options, **options}
    for network in SOURCES[library].networks:
        if network.constructor == entry.family and not network.differs:
            for name, value in network.options.items():
                if ours[name] != value:
                    raise BadOption(
                        f"{entry.name}: the networks of {library} have {name}={value!r}, not {ours[name]!r}"
                    )
