"""Pre-activation ResNet: depths, parameters and map sizes, what it quotes of ResNet, errors, and training."""

from archzoo.claims import depth, params, sizes
from archzoo.paper import CIFAR_AUGMENTED, TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    NESTEROV_SGD,
    MultiStep,
    Optimizer,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    SingleCrop,
    SubtractMean,
    Warmup,
)

PAPER = Paper(
    "Identity Mappings in Deep Residual Networks",
    "K. He, X. Zhang, S. Ren, J. Sun",
    2016,
    "https://arxiv.org/abs/1603.05027",
    models="archzoo.models.preact_resnet",
)

# Table 4: parameters on CIFAR-10 and CIFAR-100 alike, by depth.
TABLE_4 = {164: "1.7M", 1001: "10.2M"}
MAPS = sizes("32-16-8", "resnet-1k-layers, resnet-pre-act.lua")

PAPER.network("preact_resnet", input_size=(3, 32, 32))
PAPER.network("preact_resnet200", depth("200", "Table 5"), input_size=(3, 224, 224))
PAPER.setting("preact_resnet110", depth("110", "Table 3"), of="preact_resnet", depth=110, block="basic")
for layers, printed in TABLE_4.items():
    PAPER.setting(
        f"preact_resnet{layers}",
        params(printed, "Table 4", counting="without batch norm"),
        params(printed, "Table 4", counting="without batch norm", options={"num_classes": 100}),
        depth(str(layers), "Table 4"),
        MAPS,
        of="preact_resnet",
        depth=layers,
    )

for name, printed in {"resnet110": "1.7M", "resnet1202": "19.4M"}.items():
    PAPER.prints(name, params(printed, "Table 4"))

PAPER.results(
    "Table 3",
    CIFAR_AUGMENTED,
    "single crop",
    {"preact_resnet110": (6.37, None), "preact_resnet164": (5.46, 24.33), "preact_resnet1001": (4.92, 22.71)},
)
PAPER.results("Table 4, batches of 64", ("cifar10+",), "single crop", {"preact_resnet1001": (4.62,)})
PAPER.results("Table 5", TOP_1_AND_5, "320x320 crop", {"preact_resnet200": (20.7, 5.3)})
PAPER.results("Table 5 of pre-activation ResNet", TOP_1_AND_5, "320x320 crop", {"resnet152": (21.3, 5.5)})
PAPER.results(
    "Table 5, scale and aspect ratio augmentation", TOP_1_AND_5, "320x320 crop", {"preact_resnet200": (20.1, 4.8)}
)

# The paper's experiments ran in Caffe (README of resnet-1k-layers).
CAFFE_SGD = Optimizer("caffe_sgd", {"momentum": 0.9})
DECAYED = "what decays: weights alone, which fb.resnet.torch says of ResNet's training"

PAPER.recipe(
    "preact_resnet_cifar",
    networks=("preact_resnet", "preact_resnet110", "preact_resnet164", "preact_resnet1001"),
    data="cifar10",
    source="Appendix; all else as in ResNet, Sec. 4.2",
    lr=0.1,
    batch_size=128,
    iterations=64_000,
    schedule=Warmup(0.1, 400, MultiStep((32_000, 48_000), unit="iterations")),
    optimizer=CAFFE_SGD,
    weight_decay=0.0001,
    decay_scope="weights",
    augmentation=CIFAR_AUGMENTATION,
    preprocessing=SubtractMean("pixel"),
    paper_result="5.46% (164), 4.92% (1001, batch 128) on CIFAR-10, the median of 5 runs",
    unspecified=(DECAYED,),
)
PAPER.recipe(
    "preact_resnet_cifar_release",
    networks=("preact_resnet1001",),
    data="cifar10",
    source="resnet-1k-layers, README; and fb.resnet.torch, train.lua and datasets/cifar10.lua, which it runs in",
    lr=0.1,
    batch_size=64,
    epochs=200,
    schedule=MultiStep((80, 121)),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=CIFAR_AUGMENTATION,
    paper_result="4.62% (4.69 +- 0.20%) on CIFAR-10, the median of 5 runs",
)
PAPER.recipe(
    "preact_resnet200_imagenet",
    networks=("preact_resnet200",),
    data="imagenet",
    source="Sec. 5 and Appendix; all else as in ResNet, Sec. 3.4",
    lr=0.1,
    batch_size=256,
    epochs=90,
    schedule=MultiStep((30, 60)),
    optimizer=CAFFE_SGD,
    weight_decay=0.0001,
    decay_scope="weights",
    augmentation=(Resize(256, 480), RandomCrop(), RandomHorizontalFlip(), PCALighting()),
    preprocessing=SubtractMean("channel"),
    protocol=SingleCrop(320, resize=320),
    paper_result="20.7% top-1, 5.3% top-5 on ImageNet",
    unspecified=(
        "length: the paper divides the rate after epochs 30 and 60, and fb.resnet.torch stops at 90",
        "mean by channel: ResNet's is by pixel of a crop of 224x224, and the test has 320x320",
        DECAYED,
    ),
)

PAPER.not_countable(
    "333 and 54 residual units", "Sec. 3.1 and 4.1", "a number of blocks; a test of this paper holds it"
)
PAPER.not_countable("about 10x", "Sec. 5", "says that cost is linear in depth, and names no two networks")
PAPER.not_countable("4.62% error on CIFAR-10", "Table 4", "a result of training")
