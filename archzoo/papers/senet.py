"""SENet: Tables 1 to 16, the sizes of the released files, what is quoted of ResNet, ResNeXt and VGG, and training.

Sections and tables are those of the extended paper. "GFLOPs" are multiply-adds, and more: see ``MORE``. The ablations
have no biases in their SE blocks, and their parameters include the statistics of batch norms.
"""

from typing import Any

from archzoo.claims import Claim, difference, kernels, macs, megabytes, params, ratio, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    Optimizer,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ReduceOnPlateau,
    SingleCrop,
    StepDecay,
    SubtractMean,
    sgd,
)

PAPER = Paper(
    "Squeeze-and-Excitation Networks",
    "J. Hu, L. Shen, S. Albanie, G. Sun, E. Wu",
    2017,
    "https://arxiv.org/abs/1709.01507",
    models="archzoo.models.senet",
)

README = "README of the authors' code"
STORED: dict[str, Any] = {"counting": "with running statistics"}
# The files are of Caffe: every stored number, in "M" of 2^20 bytes.
FILE: dict[str, Any] = {"counting": "with running statistics, MB = 2^20"}

# Table 2, GFLOPs: what is printed, and the multiply-adds of convolutions and FC layers where they round to less.
MORE = (
    "multiply-adds alone; no count meets the whole paper. One more operation for each sum of a shortcut and each "
    "scaled element gives six of the ten rows of ResNets and ResNeXts, and the others 0.01 short. One for each ReLU, "
    "bias and element that a pooling reads, cut off, gives all ten, but not Tables 13 and 15 nor VGG-16"
)
TABLE_2 = {
    "resnet50": ("3.86G", ""),
    "resnet101": ("7.58G", "7.57G"),
    "resnet152": ("11.30G", "11.28G"),
    "resnext50_32x4d": ("4.24G", "4.23G"),
    "resnext101_32x4d": ("7.99G", "7.97G"),
    "se_resnet50": ("3.87G", "3.86G"),
    "se_resnet101": ("7.60G", "7.57G"),
    "se_resnet152": ("11.32G", "11.29G"),
    "se_resnext50_32x4d": ("4.25G", "4.23G"),
    "se_resnext101_32x4d": ("8.00G", "7.97G"),
}


def gflops(name: str, where: str = "Table 2", *, about: str = "") -> Claim:
    """What Table 2 prints of a network."""
    printed, ours = TABLE_2[name]
    return macs(about + printed, where, ours=ours, why=MORE if ours else "")


# Table 1: outputs of the two FC layers of an SE block, and the side of the maps, by stage.
TABLE_1 = {2: (16, 256, 56), 3: (32, 512, 28), 4: (64, 1024, 14), 5: (128, 2048, 7)}


def table_1() -> list[Claim]:
    """What Table 1 prints of SE-ResNet-50 and SE-ResNeXt-50."""
    claims: list[Claim] = [size("112x112", "Table 1", at="features.conv1", confirmed=False)]
    for stage, (hidden, outputs, side) in TABLE_1.items():
        at = f"features.conv{stage}_x"
        claims += [
            kernels(str(hidden), "Table 1", at=f"{at}.block1.layers.se.fc1"),
            kernels(str(outputs), "Table 1", at=f"{at}.block1.layers.se.fc2"),
            size(f"{side}x{side}", "Table 1", at=at, confirmed=False),
        ]
    return claims


# Table 10: parameters by reduction ratio.
TABLE_10 = {2: "45.7M", 4: "35.7M", 8: "30.7M", 16: "28.1M", 32: "26.9M"}
R_8: dict[str, Any] = {
    "ours": "30.6M",
    "why": "30.64M as the other rows count; with biases it is 30.66M, but then r = 2, printed as 45.7M, is 45.75M",
}
TABLE_13 = {2: "25.6M", 3: "25.7M", 4: "26.4M"}  # SE blocks in one stage
ABLATION: dict[str, Any] = {"bias": False}


def ablations() -> list[Claim]:
    """What Tables 10 to 16 print of the variants of SE-ResNet-50."""
    claims = [
        params(
            printed,
            "Table 10",
            options={**ABLATION, "reduction": reduction},
            **STORED,
            **(R_8 if reduction == 8 else {}),
        )
        for reduction, printed in TABLE_10.items()
    ]
    for stage, printed in TABLE_13.items():
        options = {**ABLATION, "se_stages": (stage,)}
        claims += [
            params(printed, "Table 13", options=options, **STORED),
            macs("3.86G", "Table 13", options=options),
        ]
    inside, unpooled = {**ABLATION, "place": "3x3"}, {**ABLATION, "squeeze": "none"}
    return [
        *claims,
        params("28.1M", "Tables 13, 15 and 16", options=ABLATION, **STORED),
        params("25.8M", "Table 15", options=inside, **STORED),
        macs("3.86G", "Table 15", options=inside),
        params("28.1M", "Table 16", options=unpooled, **STORED),
        macs("4.27G", "Table 16", options=unpooled),
    ]


QUOTIENT = "the quotient of the rounded 3.87 and 3.86; that of the multiply-adds is 1.00065"
SE_RESNET_50 = (
    gflops("se_resnet50"),
    gflops("se_resnet50", "Sec. 4", about="~"),
    ratio("0.26% more", "Sec. 4", of="macs", to="resnet50", ours="0.07% more", why=QUOTIENT),
    difference("~2.5 million", "Sec. 4", of="params", to="resnet50"),
    ratio("~10% more", "Sec. 4", of="params", to="resnet50"),
    ratio("~4% more", "Sec. 4", of="params", to="resnet50", options={"se_stages": (2, 3, 4)}),
    megabytes("107MB", README, **FILE),
    *table_1(),
    *ablations(),
)
HEADERS = "255.5 MiB of numbers, to which the file adds a header for each of its 921 layers"

PAPER.network("se_resnet", input_size=(3, 224, 224))
PAPER.setting("se_resnet50", *SE_RESNET_50, of="se_resnet", depth=50)
PAPER.setting("se_resnet101", gflops("se_resnet101"), megabytes("189MB", README, **FILE), of="se_resnet", depth=101)
PAPER.setting(
    "se_resnet152",
    gflops("se_resnet152"),
    megabytes("256MB", README, ours="255MB", why=HEADERS, **FILE),
    of="se_resnet",
    depth=152,
)
PAPER.network("se_resnext", input_size=(3, 224, 224))
for layers, printed, others in ((50, "105MB", table_1()), (101, "187MB", [])):
    name = f"se_resnext{layers}_32x4d"
    PAPER.setting(
        name,
        gflops(name),
        megabytes(printed, README, **FILE),
        *others,
        of="se_resnext",
        depth=layers,
        cardinality=32,
        base_width=4,
    )
PAPER.network("senet154", megabytes("440MB", README, **FILE), input_size=(3, 224, 224))

# SE-BN-Inception.prototxt of the release: outputs of the two layers of each SE block, by module.
PROTOTXT = "SE-BN-Inception.prototxt of the authors' code"
SE_BLOCKS = {
    "3a": (16, 256),
    "3b": (20, 320),
    "3c": (36, 576),
    "4a": (36, 576),
    "4b": (36, 576),
    "4c": (38, 608),
    "4d": (38, 608),
    "4e": (66, 1056),
    "5a": (64, 1024),
    "5b": (64, 1024),
}
PAPER.network(
    "se_bn_inception",
    macs(
        "2.04G",
        "Table 2",
        ours="2.03G",
        why="2.033 multiply-adds alone; 2.036 with one more operation for each element that is pooled by an SE block "
        "and for each that it scales",
    ),
    megabytes("46MB", README, **FILE),
    *(
        kernels(str(maps), PROTOTXT, at=f"features.inception_{module}.se.{layer}")
        for module, widths in SE_BLOCKS.items()
        for layer, maps in zip(("fc1", "fc2"), widths, strict=True)
    ),
    input_size=(3, 224, 224),
)
PAPER.network(
    "se_mobilenet",
    macs(
        "572M",
        "Table 3",
        ours="569M",
        why="569.2 multiply-adds alone; 571.9 with one more operation for each element that an SE block scales",
    ),
    params("4.7M", "Table 3"),
    input_size=(3, 224, 224),
)
PAPER.network(
    "se_shufflenet",
    macs(
        "142M",
        "Table 3",
        ours="138M",
        why="138.1 multiply-adds alone. 140 is printed for 137.5 without SE blocks, which add 0.6 and scale 1.6 "
        "million elements: together 142",
    ),
    params(
        "2.4M",
        "Table 3",
        ours="2.5M",
        why="2,483,533: cut off, not rounded, as the 1.8M of 1,864,728 are. With SE blocks in units of stride 1 alone "
        "it is 2.44M, and with blocks behind the sum or concatenation of every unit 2.59M",
    ),
    input_size=(3, 224, 224),
)

PAPER.prints(
    "resnet50",
    gflops("resnet50"),
    gflops("resnet50", "Sec. 4", about="~"),
    params("~25 million", "Sec. 4", ours="26 million", why="cut off, not rounded: 25.56 million"),
    params("25.6M", "Tables 10, 13 and 16", **STORED),
)
for name in ("resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x4d"):
    PAPER.prints(name, gflops(name))
PAPER.prints(
    "inception_resnet_v2_released",
    macs(
        "11.75G",
        "Table 2",
        ours="13.16G",
        why="at 299x299; the network of its paper's figures has 9.26G, and no side gives 11.75G to either. With 5, 20 "
        "and 5 modules the released one has 11.756G, but no such network is published",
    ),
)
PAPER.prints("bn_inception_caffe", macs("2.03G", "Table 2"))
PAPER.prints("mobilenet_v1_x1_0", macs("569M", "Table 3"), params("4.2M", "Table 3"))
PAPER.prints(
    "shufflenet_v1_g3_x1_0",
    macs("140M", "Table 3", ours="137M", why="the budget that ShuffleNet's tables print, not a count"),
    params("1.8M", "Table 3", ours="1.9M", why="1,864,728: cut off, not rounded"),
)
PAPER.prints("vgg_d", macs("15.47G", "Table 2", options={"batch_norm": True}))

CROP = "single crop"
PAPER.results(
    "Table 2",
    TOP_1_AND_5,
    CROP,
    {
        "se_resnet50": (23.29, 6.62),
        "se_resnet101": (22.38, 6.07),
        "se_resnet152": (21.57, 5.73),
        "se_resnext50_32x4d": (21.10, 5.49),
        "se_resnext101_32x4d": (20.70, 5.01),
        "se_bn_inception": (24.23, 7.14),
    },
)
PAPER.results(
    "Table 2 of SENet, re-implementation",
    TOP_1_AND_5,
    CROP,
    {
        "resnet50": (24.80, 7.48),
        "resnet101": (23.17, 6.52),
        "resnet152": (22.42, 6.34),
        "resnext50_32x4d": (22.11, 5.90),
        "resnext101_32x4d": (21.18, 5.57),
        "bn_inception_caffe": (25.38, 7.89),
    },
)
PAPER.results("Table 2 of SENet, re-implementation", TOP_1_AND_5, CROP, {"vgg_d": (27.02, 8.81)}, batch_norm=True)
PAPER.results(
    "Table 3",
    TOP_1_AND_5,
    CROP,
    {"se_mobilenet": (25.3, 7.7), "se_shufflenet": (31.0, 11.1)},
    digits=1,
)
PAPER.results(
    "Table 3 of SENet, re-implementation",
    TOP_1_AND_5,
    CROP,
    {"mobilenet_v1_x1_0": (28.4, 9.4), "shufflenet_v1_g3_x1_0": (32.6, 12.5)},
)
PAPER.results("Table 8", TOP_1_AND_5, CROP, {"senet154": (18.68, 4.47)})
PAPER.results("Table 8", TOP_1_AND_5, "single crop, 320x320", {"senet154": (17.28, 3.79)})
PAPER.results("Table 8, trained at 320x320", TOP_1_AND_5, "single crop, 320x320", {"senet154": (16.88, 3.58)})
PAPER.results(
    "the authors' release",
    TOP_1_AND_5,
    CROP,
    {
        "se_resnet50": (22.37, 6.36),
        "se_resnet101": (21.75, 5.72),
        "se_resnet152": (21.34, 5.54),
        "se_resnext50_32x4d": (20.97, 5.54),
        "se_resnext101_32x4d": (19.81, 4.96),
        "se_bn_inception": (23.62, 7.04),
        "senet154": (18.68, 4.47),
    },
)
# Sec. 6 and 7: errors of the variants of SE-ResNet-50, by the option that differs.
VARIANTS: tuple[tuple[str, dict[str, Any], tuple[float, float]], ...] = (
    ("Table 10", {"reduction": 2}, (22.29, 6.00)),
    ("Table 10", {"reduction": 4}, (22.25, 6.09)),
    ("Table 10", {"reduction": 8}, (22.26, 5.99)),
    ("Tables 10 to 16", {}, (22.28, 6.03)),
    ("Table 10", {"reduction": 32}, (22.72, 6.20)),
    ("Table 11", {"squeeze": "max"}, (22.57, 6.09)),
    ("Table 12", {"gate": "relu"}, (23.47, 6.98)),
    ("Table 12", {"gate": "tanh"}, (23.00, 6.38)),
    ("Table 13", {"se_stages": (2,)}, (23.03, 6.48)),
    ("Table 13", {"se_stages": (3,)}, (23.04, 6.32)),
    ("Table 13", {"se_stages": (4,)}, (22.68, 6.22)),
    ("Table 14", {"place": "pre"}, (22.23, 6.00)),
    ("Table 14", {"place": "post"}, (22.78, 6.35)),
    ("Table 14", {"place": "identity"}, (22.20, 6.15)),
    ("Table 15", {"place": "3x3"}, (22.48, 6.02)),
    ("Table 16", {"squeeze": "none"}, (22.93, 6.39)),
)
for where, options, errors in VARIANTS:
    PAPER.results(where, TOP_1_AND_5, CROP, {"se_resnet50": errors}, **ABLATION, **options)
PAPER.results("Tables 10 to 16 of SENet", TOP_1_AND_5, CROP, {"resnet50": (23.30, 6.55)})

RESNETS = ("se_resnet", "se_resnet50", "se_resnet101", "se_resnet152", "se_resnext", "se_resnext*_32x4d")
TRAINED = (*RESNETS, "se_bn_inception")
DECAY = "weight decay: 0.0001, that of ResNet"
COMMON: dict[str, Any] = {
    "data": "imagenet",
    "weight_decay": 0.0001,
    "augmentation": (RandomResizedCrop(), RandomHorizontalFlip()),
    "protocol": SingleCrop(224, resize=256),
}
OF_THE_PAPER: dict[str, Any] = {**COMMON, "optimizer": sgd(), "preprocessing": SubtractMean("channel")}
STEPS = StepDecay(30, gamma=0.1)
PAPER.recipe(
    "senet_imagenet",
    networks=TRAINED,
    source="Sec. 5.1",
    lr=0.6,
    batch_size=1024,
    epochs=100,
    schedule=STEPS,
    paper_result="23.29% top-1 (se_resnet50), 21.10% (se_resnext50_32x4d), single crop",
    unspecified=(DECAY,),
    **OF_THE_PAPER,
)
PAPER.recipe(
    "senet_imagenet_release",
    networks=TRAINED,
    source="README of the authors' code, and the mean of the image in its networks",
    lr=0.1,
    batch_size=256,
    epochs=100,
    schedule=STEPS,
    optimizer=Optimizer("caffe_sgd", {"momentum": 0.9}),
    preprocessing=SubtractMean(values=(123.0, 117.0, 104.0)),
    paper_result="22.37% top-1 (se_resnet50), 20.97% (se_resnext50_32x4d), single crop",
    unspecified=(
        DECAY,
        "length and schedule: the paper's; the release says more epochs, and not how many",
        "rotation by -10 to 10 degrees and pixel jitter of -20 to 20: left out, without a word on their distribution",
    ),
    **COMMON,
)
PAPER.recipe(
    "senet_ablation",
    networks=("se_resnet", "se_resnet50"),
    source="Sec. 6",
    lr=0.1,
    batch_size=1024,
    epochs=300,
    schedule=ReduceOnPlateau(drops=3),
    label_smoothing=0.1,
    paper_result="22.28% top-1 (se_resnet50 with bias=False), single crop",
    unspecified=(
        DECAY,
        "batch: that of Sec. 5.1",
        "label smoothing: 0.1, that of Inception-v3",
        "patience of the plateau: 5 epochs",
    ),
    **OF_THE_PAPER,
)
PAPER.recipe(
    "senet_mobile",
    networks=("se_mobilenet", "se_shufflenet"),
    source="Sec. 5.1, mobile setting",
    lr=0.1,
    batch_size=256,
    epochs=400,
    schedule=ReduceOnPlateau(drops=3),
    paper_result="25.3% top-1 (se_mobilenet), 31.0% (se_shufflenet), single crop",
    unspecified=(
        "weight decay: 0.00004, ShuffleNet's, whose regularization the paper takes over",
        "size of crops: from a quarter of the image, as in ShuffleNet's recipe here; they are slightly less aggressive",
        "plateaus: three of them, with a patience of 5 epochs",
    ),
    **{
        **OF_THE_PAPER,
        "weight_decay": 0.00004,
        "augmentation": (RandomResizedCrop(scale=(0.25, 1.0)), RandomHorizontalFlip()),
    },
)
PAPER.recipe(
    "senet154_imagenet",
    networks=("senet154",),
    source="Appendix; all else as in Sec. 5.1",
    lr=1.0,
    batch_size=2048,
    epochs=100,
    schedule=STEPS,
    label_smoothing=0.1,
    paper_result="18.68% top-1, 4.47% top-5, single crop",
    unspecified=(
        DECAY,
        "label smoothing: 0.1, that of Inception-v3",
        "batch norms frozen in the last epochs: left out; how many is not printed",
    ),
    **OF_THE_PAPER,
)

PAPER.not_countable("11.76 GFLOPs", "Table 2", "of the network of 11.75 with SE blocks; which that is, is not known")
PAPER.not_countable(
    "15.48 GFLOPs",
    "Table 2",
    "SE-VGG-16 is not among the networks here. With an SE block behind each ReLU of VGG-16 (Sec. 3.3) it has 15.470 "
    "multiply-adds, and 15.484 with one more for each element that these scale",
)
PAPER.not_countable(
    "errors on CIFAR",
    "Tables 4 and 5",
    "where SE is in pre-activated and shake-shake blocks, and how it reduces 16 maps, is not printed",
)
PAPER.not_countable("2.251% error", "Abstract", "a result of several networks on the test set of ILSVRC 2017")
