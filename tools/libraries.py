"""Which public library has which network as its paper describes it, read from their code at the versions named.

``exact`` is the paper's network; any other text says what stands under the name instead; empty where there is none.
"""

from dataclasses import dataclass

VERSIONS = "torchvision 0.28, timm 1.0.31, pytorchcv 0.0.74"
EXACT = "exact"


@dataclass(frozen=True)
class Elsewhere:
    """One network, or a family of them, in other libraries; ``ours`` are our names for it."""

    network: str
    ours: tuple[str, ...]
    torchvision: str = ""
    timm: str = ""
    pytorchcv: str = ""


ELSEWHERE = (
    Elsewhere("LeNet-5, 60,000 parameters", ("lenet5",)),
    Elsewhere("AlexNet 2012", ("alexnet",), "one tower", "", "no groups, other LRN"),
    Elsewhere("ZFNet", ("zfnet",), "", "", "nearly"),
    Elsewhere("Network in Network, CIFAR-10", ("nin",), "", "", EXACT),
    Elsewhere("VGG A, B, D, E", ("vgg_a", "vgg_b", "vgg_d", "vgg_e"), EXACT, EXACT, EXACT),
    Elsewhere("VGG C, A-LRN", ("vgg_c", "vgg_a_lrn")),
    Elsewhere("GoogLeNet", ("googlenet",), "batch norm, 3x3 for 5x5"),
    Elsewhere("ResNet-18/34 of Table 1", ("resnet18", "resnet34"), "option B", "option B", "option B"),
    Elsewhere(
        "ResNet-50/101/152", ("resnet50", "resnet101", "resnet152"), "stride in the 3x3", "stride in the 3x3", EXACT
    ),
    Elsewhere("ResNet for CIFAR", ("resnet20", "resnet110", "resnet1202"), "", "", "option B"),
    Elsewhere("pre-activation ResNet-164/1001", ("preact_resnet164", "preact_resnet1001"), "", "", EXACT),
    Elsewhere("stochastic depth", ("stochastic_depth_110",), "an operator", "an operator", "depth 20"),
    Elsewhere("Wide ResNet for CIFAR", ("wide_resnet_28_10",), "", "", "no dropout"),
    Elsewhere("WRN-50-2", ("wide_resnet50_2",), EXACT, EXACT, "another net"),
    Elsewhere("DenseNet, plain", ("densenet", "densenet_100_24"), "", "", "theta = 0.5, 2k stem"),
    Elsewhere("DenseNet-B, DenseNet-C", ("densenet_b", "densenet_c")),
    Elsewhere("DenseNet-BC for CIFAR", ("densenet_bc",), "", "", EXACT),
    Elsewhere("DenseNet-BC for ImageNet", ("densenet121", "densenet201"), EXACT, EXACT, EXACT),
    Elsewhere("FractalNet", ("fractalnet20",), "", "", "another net"),
    Elsewhere("SqueezeNet 1.0", ("squeezenet1_0",), EXACT, "", EXACT),
    Elsewhere("ShuffleNet V2 0.5x", ("shufflenet_v2_x0_5",), EXACT, "", EXACT),
    Elsewhere("ShuffleNet V2 1x", ("shufflenet_v2_x1_0",), "symmetric unit", "", EXACT),
    Elsewhere(
        "ShuffleNet V2 1.5x, 2x", ("shufflenet_v2_x1_5", "shufflenet_v2_x2_0"), "symmetric unit", "", "another net"
    ),
)
