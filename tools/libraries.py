"""Which public library has which network as its paper describes it, and how to see that.

The table of docs/libraries.md is made from these rows, and tests/peers/test_libraries.py asks the libraries about each
of its cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VERSIONS = "torchvision 0.28, timm 1.0.31, pytorchcv 0.0.74"


@dataclass(frozen=True)
class Exact:
    """The networks of a row, under their names: as many parameters and multiply-adds, and the same logits.

    The logits are compared with equal weights. ``note`` is what the library leaves out or adds.
    """

    theirs: tuple[str, ...]
    note: str = ""

    @property
    def text(self) -> str:
        """The cell of the table."""
        return f"exact, {self.note}" if self.note else "exact"


@dataclass(frozen=True)
class Another:
    """Another network under the name, and ``difference``, which the other fields show.

    ``ours`` is what it is among our networks: names with options, which equal theirs as an exact network does.
    ``params`` are those that the library states itself, and ``macs`` follow from the difference. ``layers`` are parts
    of the first network, each with a pattern that its text matches.
    """

    theirs: tuple[str, ...]
    difference: str
    ours: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    params: tuple[int, ...] = ()
    macs: tuple[int, ...] = ()
    layers: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The cell of the table."""
        return self.difference


@dataclass(frozen=True)
class Layer:
    """No network, but a layer for it: a class of ``module:name``."""

    path: str
    text: str


Cell = Exact | Another | Layer | None


@dataclass(frozen=True)
class Elsewhere:
    """A network, or a family of them, in other libraries.

    ``ours`` are our names, to which those of a cell correspond in order. ``named`` is a pattern of the names that a
    library would give it: where a cell is None, the library has no such name.
    """

    network: str
    ours: tuple[str, ...]
    named: str
    torchvision: Cell = None
    timm: Cell = None
    pytorchcv: Cell = None

    def cell(self, library: str) -> Cell:
        """What a library has."""
        return {"torchvision": self.torchvision, "timm": self.timm, "pytorchcv": self.pytorchcv}[library]

    def text(self, library: str) -> str:
        """The cell of the table."""
        cell = self.cell(library)
        return "-" if cell is None else cell.text


def option_b(*names: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Our networks with projections where the number of maps changes."""
    return tuple((name, {"option": "B"}) for name in names)


def symmetric(*names: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Our networks with the unit of other libraries, and a bias in the last layer."""
    return tuple((name, {"down": "symmetric"}) for name in names)


VGG = Exact(("vgg11", "vgg13", "vgg16", "vgg19"))
RESNET_18_34 = Another(("resnet18", "resnet34"), "option B", ours=option_b("resnet18", "resnet34"))
RESNET_V1_5 = Another(
    ("resnet50", "resnet101", "resnet152"),
    "stride in the 3x3",
    ours=(("resnet50_v1_5", {}), ("resnet101_v1_5", {}), ("resnet152_v1_5", {})),
)
RESNEXT = Exact(("resnext50_32x4d", "resnext101_64x4d"))
DENSENET = Exact(("densenet121", "densenet201"))
TORCH: Mapping[str, Any] = {"padding": "symmetric", "bn_eps": 1e-5}
SCALED: Mapping[str, Any] = {"bn_scale": True}
RELEASED = (("inception_resnet_v2_released", SCALED),)
COUNTED: Mapping[str, Any] = {"count_include_pad": True}
RELU6: Mapping[str, Any] = {"activation": "relu6", **TORCH}
PADDED = r"padding=\(1, 1\)"
EPSILON = r"eps=1e-05"
PADDED_POOL = (("features.init_block.pool", r"MaxPool2d\(kernel_size=3, stride=2, padding=1"),)

ELSEWHERE = (
    Elsewhere("LeNet-5, 60,000 parameters", ("lenet5",), r"^lenet"),
    Elsewhere(
        "AlexNet 2012",
        ("alexnet",),
        r"alexnet",
        torchvision=Another(("alexnet",), "one tower", ours=(("alexnet_one_tower", {}),)),
        pytorchcv=Another(
            ("alexnet",),
            "no groups, weaker response norm",
            params=(62_378_344,),
            layers=(("features.stage2.unit1.conv", r"^Conv2d\(96, 256, (?!.*groups)"),),
        ),
    ),
    Elsewhere(
        "ZFNet",
        ("zfnet",),
        r"zfnet",
        pytorchcv=Another(
            ("zfnet",),
            "weaker response norm, before pooling",
            params=(62_357_608,),
            layers=(("features.stage1", r"(?s)unit1.*AlexConv.*pool1"),),
        ),
    ),
    Elsewhere(
        "Network in Network, CIFAR-10",
        ("nin",),
        r"^nin(_|$)",
        pytorchcv=Another(
            ("nin_cifar10",),
            "average for second max pooling, padded",
            params=(966_986,),
            layers=(
                ("features.stage2.pool2", r"MaxPool2d\(kernel_size=3, stride=2, padding=1"),
                ("features.stage3.pool3", r"AvgPool2d\(kernel_size=3, stride=2, padding=1"),
            ),
        ),
    ),
    Elsewhere(
        "VGG A, B, D, E",
        ("vgg_a", "vgg_b", "vgg_d", "vgg_e"),
        r"^vgg1[1369]$",
        torchvision=VGG,
        timm=VGG,
        pytorchcv=VGG,
    ),
    Elsewhere("VGG C, A-LRN", ("vgg_c", "vgg_a_lrn"), r"vgg.*(lrn|c$)"),
    Elsewhere(
        "GoogLeNet",
        ("googlenet",),
        r"googlenet|inception_?v1$",
        torchvision=Another(("googlenet",), "batch norm, 3x3 for 5x5", ours=(("googlenet_bn", {"auxiliary": True}),)),
    ),
    Elsewhere(
        "BN-Inception",
        ("bn_inception",),
        r"^bn_?inception$|^inception_?v2$",
        pytorchcv=Another(
            ("bninception",),
            "full first layer, biases, poolings of Caffe",
            ours=(("bn_inception_caffe", {}),),
            layers=(("features.init_block.conv1.conv", r"^Conv2d\(3, 64, kernel_size=\(7, 7\)"),),
        ),
    ),
    Elsewhere(
        "Inception-v3",
        ("inception_v3",),
        r"^inception_?v3$",
        torchvision=Another(
            ("inception_v3",), "mean of padded poolings", ours=(("inception_v3", {"auxiliary": True, **COUNTED}),)
        ),
        timm=Another(
            ("inception_v3",),
            "mean of padded poolings",
            ours=(("inception_v3", COUNTED),),
            layers=(("Mixed_5b", r"(?s)\A(?!.*Pool)"),),  # a function, whose default counts the padding
        ),
        pytorchcv=Another(
            ("inceptionv3",),
            "mean of padded poolings",
            ours=(("inception_v3", COUNTED),),
            layers=(("features.stage1.unit1.branches.branch4.pool", r"\AAvgPool2d(?!.*count_include_pad=False)"),),
        ),
    ),
    Elsewhere("DSN", ("dsn", "dsn_companions"), r"^dsn|deeply"),
    Elsewhere("All-CNN A, B, C", ("all_cnn_a", "all_cnn_b", "all_cnn_c"), r"all_?cnn"),
    Elsewhere("Highway, CIFAR and MNIST", ("highway_cifar", "highway_mnist_32"), r"highway"),
    Elsewhere(
        "ResNet-18/34 of Table 1",
        ("resnet18", "resnet34"),
        r"^resnet(18|34)$",
        torchvision=RESNET_18_34,
        timm=RESNET_18_34,
        pytorchcv=RESNET_18_34,
    ),
    Elsewhere(
        "ResNet-50/101/152",
        ("resnet50", "resnet101", "resnet152"),
        r"^resnet(50|101|152)$",
        torchvision=RESNET_V1_5,
        timm=RESNET_V1_5,
        pytorchcv=Exact(("resnet50", "resnet101", "resnet152")),
    ),
    Elsewhere(
        "ResNet for CIFAR",
        ("resnet20", "resnet110", "resnet1202"),
        r"^resnet_?(20|32|44|56|110|1202)(_cifar.*|$)",
        pytorchcv=Another(
            ("resnet20_cifar10", "resnet110_cifar10", "resnet1202_cifar10"),
            "option B",
            ours=option_b("resnet20", "resnet110", "resnet1202"),
        ),
    ),
    Elsewhere(
        "pre-activation ResNet-164/1001",
        ("preact_resnet164", "preact_resnet1001"),
        r"preact|preresnet|resnet.*(164|1001)",
        pytorchcv=Another(
            ("preresnet164bn_cifar10", "preresnet1001_cifar10"),
            "stride in the 3x3",
            # The first 1x1 convolutions of two stages run on four times as many positions: 3,145,728 more than ours.
            macs=(247_646_720, 1_490_995_712),
            layers=(("features.stage2.unit1.body.conv2.conv", r"kernel_size=\(3, 3\), stride=\(2, 2\)"),),
        ),
    ),
    Elsewhere(
        "stochastic depth",
        ("stochastic_depth_110",),
        r"stoch|resdrop",
        torchvision=Layer("torchvision.ops:StochasticDepth", "a layer"),
        timm=Layer("timm.layers:DropPath", "a layer"),
        pytorchcv=Another(("resdropresnet20_cifar10",), "depth 20, option B", params=(272_474,)),
    ),
    Elsewhere(
        "Wide ResNet for CIFAR",
        ("wide_resnet_28_10",),
        r"(wrn|wide_?resnet)_?(16|22|28|40)",
        pytorchcv=Exact(("wrn28_10_cifar10",), "without dropout"),
    ),
    Elsewhere(
        "WRN-50-2",
        ("wide_resnet50_2",),
        r"(wrn|wide_?resnet)_?50_2",
        torchvision=Exact(("wide_resnet50_2",)),
        timm=Exact(("wide_resnet50_2",)),
        pytorchcv=Another(
            ("wrn50_2",),
            "biases, no batch norm",
            params=(68_849_128,),
            layers=(("features", r"(?s)\A(?!.*BatchNorm)(?!.*bias=False)"),),
        ),
    ),
    Elsewhere(
        "ResNeXt-50, 101",
        ("resnext50_32x4d", "resnext101_64x4d"),
        r"^resnext(50|101)_(32x4d|64x4d)$",
        torchvision=RESNEXT,
        timm=RESNEXT,
        pytorchcv=RESNEXT,
    ),
    Elsewhere(
        "ResNeXt-29 for CIFAR",
        ("resnext29_16x64d",),
        r"^resnext29_16x64d(_cifar10)?$",
        pytorchcv=Exact(("resnext29_16x64d_cifar10",)),
    ),
    Elsewhere(
        "PyramidNet-110 (alpha = 48)",
        ("pyramidnet110_a48",),
        r"^pyramidnet110_a48(_cifar10)?$",
        pytorchcv=Exact(("pyramidnet110_a48_cifar10",)),
    ),
    Elsewhere(
        "DenseNet, plain",
        ("densenet", "densenet_100_24"),
        r"densenet_?(40|100)",
        pytorchcv=Another(
            ("densenet40_k12_cifar10", "densenet100_k24_cifar10"),
            "theta = 0.5, 2k stem",
            params=(599_050, 16_114_138),
            layers=(("features.init_block", r"Conv2d\(3, 24,"), ("features.stage2.trans2", r"Conv2d\(168, 84,")),
        ),
    ),
    Elsewhere("DenseNet-B, DenseNet-C", ("densenet_b", "densenet_c"), r"densenet\d+_k\d+_[bc]_|densenet_?[bc](_|$)"),
    Elsewhere(
        "DenseNet-BC for CIFAR",
        ("densenet_bc",),
        r"densenet_?(40|100|190|250).*bc",
        pytorchcv=Exact(("densenet100_k12_bc_cifar10",)),
    ),
    Elsewhere(
        "DenseNet-BC for ImageNet",
        ("densenet121", "densenet201"),
        r"^densenet(121|201)$",
        torchvision=DENSENET,
        timm=DENSENET,
        pytorchcv=DENSENET,
    ),
    Elsewhere(
        "CondenseNet-74 (C = G = 4, 8), test form",
        ("condensenet74_c4", "condensenet74_c8"),
        r"condensenet",
        pytorchcv=Exact(("condensenet74_c4_g4", "condensenet74_c8_g8")),
    ),
    Elsewhere(
        "SE-ResNet-50",
        ("se_resnet50",),
        r"^(legacy_)?se_?resnet50$",
        timm=Exact(("legacy_seresnet50",), "as legacy, with dropout"),
        pytorchcv=Another(("seresnet50",), "padded first pooling", layers=PADDED_POOL),
    ),
    Elsewhere(
        "SE-ResNeXt-50 (32x4d)",
        ("se_resnext50_32x4d",),
        r"^(legacy_)?se_?resnext50_32x4d$",
        timm=Exact(("legacy_seresnext50_32x4d",), "as legacy, with dropout"),
        pytorchcv=Another(("seresnext50_32x4d",), "padded first pooling", layers=PADDED_POOL),
    ),
    Elsewhere(
        "SE-BN-Inception, SE-MobileNet, SE-ShuffleNet",
        ("se_bn_inception", "se_mobilenet", "se_shufflenet"),
        r"^(legacy_)?se_?(bn_?inception|inception|mobilenet|shufflenet)",
    ),
    Elsewhere(
        "SENet-154",
        ("senet154",),
        r"^(legacy_)?senet154$",
        timm=Exact(("legacy_senet154",), "as legacy"),
        pytorchcv=Another(("senet154",), "padded first pooling", layers=PADDED_POOL),
    ),
    Elsewhere(
        "FractalNet",
        ("fractalnet20",),
        r"fractal",
        pytorchcv=Another(
            ("fractalnet_cifar10",),
            "batch norm with scale and shift, no biases",
            params=(33_724_618,),
            layers=(
                ("features.unit1.block.blocks.block1.subblock1.conv", r"bias=False"),
                ("features.unit1.block.blocks.block1.subblock1.bn", r"affine=True"),
            ),
        ),
    ),
    Elsewhere(
        "SqueezeNet 1.0",
        ("squeezenet1_0",),
        r"squeezenet",
        torchvision=Exact(("squeezenet1_0",)),
        pytorchcv=Exact(("squeezenet_v1_0",)),
    ),
    Elsewhere(
        "MobileNet",
        ("mobilenet_v1_x1_0",),
        r"^mobilenet(_w1|_?v1(_100)?)$",
        timm=Another(
            ("mobilenetv1_100",),
            "ReLU6, padding and epsilon of torch",
            ours=(("mobilenet_v1_x1_0", RELU6),),
            layers=(("conv_stem", PADDED), ("bn1", EPSILON), ("bn1", r"ReLU6")),
        ),
        pytorchcv=Another(
            ("mobilenet_w1",),
            "padding and epsilon of torch",
            ours=(("mobilenet_v1_x1_0", TORCH),),
            layers=(("features.init_block.conv", PADDED), ("features.init_block.bn", EPSILON)),
        ),
    ),
    Elsewhere(
        "Xception",
        ("xception",),
        r"^(legacy_)?xception$",
        timm=Another(
            ("legacy_xception",),
            "padding and epsilon of torch",
            ours=(("xception", TORCH),),
            layers=(("block2.rep.6", r"padding=1"), ("bn1", EPSILON)),
        ),
        pytorchcv=Another(
            ("xception",),
            "padding and epsilon of torch",
            ours=(("xception", TORCH),),
            layers=(("features.stage2.unit1.body.pool", r"padding=1"), ("features.init_block.conv1.bn", EPSILON)),
        ),
    ),
    Elsewhere(
        "Inception-v4",
        ("inception_v4",),
        r"^inception_?v4$",
        timm=Another(("inception_v4",), "batch norm with scale", ours=(("inception_v4", SCALED),)),
        pytorchcv=Another(("inceptionv4",), "batch norm with scale", ours=(("inception_v4", SCALED),)),
    ),
    Elsewhere(
        "Inception-ResNet-v1",
        ("inception_resnet_v1",),
        r"^inception_?resnet_?v1$",
        pytorchcv=Another(
            ("inceptionresnetv1",),
            "512 units before the last layer",
            params=(23_995_624,),
            layers=(("output.fc1", r"out_features=512"),),
        ),
    ),
    Elsewhere(
        "Inception-ResNet-v2 of the figures",
        ("inception_resnet_v2",),
        r"^inception_?resnet_?v2_(paper|5)",
    ),
    Elsewhere(
        "Inception-ResNet-v2, released",
        ("inception_resnet_v2_released",),
        r"^inception_?resnet_?v2$",
        timm=Another(("inception_resnet_v2",), "batch norm with scale", ours=RELEASED),
        pytorchcv=Another(("inceptionresnetv2",), "batch norm with scale", ours=RELEASED),
    ),
    Elsewhere("Conv MobileNet", ("conv_mobilenet",), r"conv_?mobile"),
    Elsewhere(
        "ShuffleNet 1x",
        tuple(f"shufflenet_v1_g{groups}_x1_0" for groups in (1, 2, 3, 4, 8)),
        r"shufflenet_?(v1|g\d_w1$)",
        pytorchcv=Another(
            tuple(f"shufflenet_g{groups}_w1" for groups in (1, 2, 3, 4, 8)),
            "pooled maps last, bias in the last layer",
            params=(1_531_936, 1_733_848, 1_865_728, 1_968_344, 2_434_768),
            layers=(("output", r"bias=True"),),
        ),
    ),
    Elsewhere(
        "MobileNetV2",
        ("mobilenet_v2_x1_0",),
        r"^mobilenet_?v2(_100|_w1)?$",
        torchvision=Another(
            ("mobilenet_v2",),
            "padding and epsilon of torch",
            ours=(("mobilenet_v2_x1_0", TORCH),),
            layers=(("features.0.0", PADDED), ("features.0.1", EPSILON)),
        ),
        timm=Another(
            ("mobilenetv2_100",),
            "padding and epsilon of torch",
            ours=(("mobilenet_v2_x1_0", TORCH),),
            layers=(("conv_stem", PADDED), ("bn1", EPSILON)),
        ),
        pytorchcv=Another(
            ("mobilenetv2_w1",),
            "1x1 more in the first block, no last bias",
            params=(3_504_960,),
            layers=(
                ("features.stage1.unit1.conv1.conv", r"^Conv2d\(32, 32, kernel_size=\(1, 1\)"),
                ("output", r"bias=False"),
            ),
        ),
    ),
    Elsewhere(
        "ShuffleNet V2 0.5x",
        ("shufflenet_v2_x0_5",),
        r"shufflenet_?v2",
        torchvision=Another(
            ("shufflenet_v2_x0_5",), "bias in the last layer", ours=symmetric("shufflenet_v2_x0_5"), params=(1_366_792,)
        ),
        pytorchcv=Another(
            ("shufflenetv2b_wd2",), "bias in the last layer", ours=symmetric("shufflenet_v2_x0_5"), params=(1_366_792,)
        ),
    ),
    Elsewhere(
        "ShuffleNet V2 1x",
        ("shufflenet_v2_x1_0",),
        r"shufflenet_?v2",
        torchvision=Another(("shufflenet_v2_x1_0",), "symmetric unit", ours=symmetric("shufflenet_v2_x1_0")),
        pytorchcv=Another(
            ("shufflenetv2b_w1",),
            "bias in the last layer",
            params=(2_279_760,),
            macs=(145_814_296,),
            layers=(("output", r"bias=True"),),
        ),
    ),
    Elsewhere(
        "ShuffleNet V2 1.5x, 2x",
        ("shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
        r"shufflenet_?v2",
        torchvision=Another(
            ("shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
            "symmetric unit",
            ours=symmetric("shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
        ),
        pytorchcv=Another(
            ("shufflenetv2b_w3d2", "shufflenetv2b_w2"),
            "wider last convolution",
            params=(4_410_194, 7_611_290),
            layers=(("features.final_block.conv", r"^Conv2d\(704, 1553,"),),
        ),
    ),
)
