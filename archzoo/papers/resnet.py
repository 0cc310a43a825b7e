"""ResNet: the columns of Tables 1 and 6, what is quoted of VGG, the errors, and how the networks were trained.

The release of fb.resnet.torch stands here too: errors and training of ResNet v1.5.
"""

from archzoo.claims import Claim, depth, difference, macs, params, ratio, sizes
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    CIFAR_AUGMENTATION,
    FB_RESNET_TORCH_AUGMENTATION,
    IMAGENET_NORMALIZATION,
    NESTEROV_SGD,
    MultiStep,
    Optimizer,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    ReduceOnPlateau,
    Resize,
    StepDecay,
    SubtractMean,
    TenCrop,
    Warmup,
)

PAPER = Paper(
    "Deep Residual Learning for Image Recognition",
    "K. He, X. Zhang, S. Ren, J. Sun",
    2015,
    "https://arxiv.org/abs/1512.03385",
    models="archzoo.models.resnet",
)

FB_RESNET_TORCH = Paper(
    "ResNet training in Torch",
    "S. Gross, M. Wilber",
    2016,
    "https://github.com/facebookarchive/fb.resnet.torch",
    models="archzoo.models.resnet",
)

for name in ("resnet", "resnet_v1_5", "plain"):
    PAPER.network(name, input_size=(3, 224, 224))
for name in ("resnet_cifar", "plain_cifar"):
    PAPER.network(name, input_size=(3, 32, 32))

# Table 1: the last row, whose "FLOPs" are multiply-adds.
TABLE_1 = {18: "1.8x10^9", 34: "3.6x10^9", 50: "3.8x10^9", 101: "7.6x10^9", 152: "11.3x10^9"}
CUT_OFF = (
    "cut off, not rounded: 3.858 billion with the projections of option B, which the same row's 7.6 and 11.3 count too"
)
OURS = {50: ("3.86x10^9", CUT_OFF)}

FIG_5_RIGHT = "features.conv2_x.block2"  # a bottleneck between 256 maps, with an identity or a projection beside it

# What the text says, by network.
TEXT: dict[str, tuple[Claim, ...]] = {
    "plain34": (
        macs("3.6 billion", "Fig. 3 and Sec. 3.3"),
        ratio(
            "18%",
            "Sec. 3.3",
            of="macs",
            to="vgg_e",
            ours="18.6%",
            why="a quotient of the rounded 3.6 and 19.6 billion; the exact counts give 18.56%",
        ),
    ),
    "resnet18": (difference("no extra", "Table 2", of="params", to="plain18"),),
    "resnet34": (
        macs("3.6 billion", "Fig. 3"),
        difference("no extra", "Table 2", of="params", to="plain34"),
        difference(
            "thirteen", "Sec. 4.1", of="layers", to="resnet34", options={"option": "C"}, to_options={"option": "B"}
        ),
    ),
    "resnet50": (
        macs("3.8 billion", "Sec. 4.1", ours="3.86 billion", why=CUT_OFF),
        *(
            ratio(
                "doubled",
                "Sec. 4.1",
                of=quantity,
                at=FIG_5_RIGHT,
                to="resnet50",
                to_at=FIG_5_RIGHT,
                options={"option": "C"},
            )
            for quantity in ("macs", "params")
        ),
    ),
    "resnet152": (macs("11.3 billion", "Sec. 4.1"), ratio("8x", "Abstract", of="depth", to="vgg_e")),
}

for family, columns in (("plain", (18, 34)), ("resnet", (18, 34, 50, 101, 152))):
    for n in columns:
        ours, why = OURS.get(n, ("", ""))
        claims: tuple[Claim, ...] = (
            macs(TABLE_1[n], "Table 1", ours=ours, why=why),
            depth(str(n), "Table 1"),
            sizes("112-56-28-14-7", "Table 1"),
            *TEXT.get(f"{family}{n}", ()),
        )
        PAPER.setting(f"{family}{n}", *claims, of=family, depth=n)
for n in (50, 101, 152):
    PAPER.setting(f"resnet{n}_v1_5", of="resnet_v1_5", depth=n)

# Table 6: parameters by depth.
TABLE_6 = {20: "0.27M", 32: "0.46M", 44: "0.66M", 56: "0.85M", 110: "1.7M", 1202: "19.4M"}
CIFAR_MAPS = sizes("32-16-8", "Sec. 4.2")

for n, printed in TABLE_6.items():
    again = [params(printed, "Sec. 4.2")] if n == 1202 else []
    claims = (params(printed, "Table 6"), *again, depth(str(n), "Table 6"), CIFAR_MAPS)
    PAPER.setting(f"resnet{n}", *claims, of="resnet_cifar", depth=n)
for n in (20, 32, 44, 56, 110):
    claims = (
        difference("exactly the same", "Sec. 4.2", of="params", to=f"resnet{n}"),
        depth(str(n), "Fig. 6" if n == 110 else "Sec. 4.2"),
        CIFAR_MAPS,
    )
    PAPER.setting(f"plain{n}", *claims, of="plain_cifar", depth=n)

PAPER.prints("vgg_d", macs("15.3 billion", "Sec. 4.1", at="features"))
PAPER.prints("vgg_e", macs("19.6 billion", "Fig. 3, Sec. 3.3 and 4.1"))

PAPER.results(
    "Tables 2 and 3",
    TOP_1_AND_5,
    "ten crops",
    {
        "plain18": (27.94, None),
        "plain34": (28.54, 10.02),
        "resnet18": (27.88, None),
        "resnet34": (25.03, 7.76),
        "resnet50": (22.85, 6.71),
        "resnet101": (21.75, 6.05),
        "resnet152": (21.43, 5.71),
    },
)
PAPER.results("Table 3 of ResNet", TOP_1_AND_5, "ten crops", {"vgg_d": (28.07, 9.33)})
for option, errors in {"B": (24.52, 7.46), "C": (24.19, 7.40)}.items():
    PAPER.results("Table 3", TOP_1_AND_5, "ten crops", {"resnet34": errors}, option=option)
for option, errors in {"B": (21.84, 5.71), "C": (21.53, 5.60)}.items():
    PAPER.results("Table 4", TOP_1_AND_5, "dense, several scales", {"resnet34": errors}, option=option)
PAPER.results(
    "Table 4",
    TOP_1_AND_5,
    "dense, several scales",
    {"resnet50": (20.74, 5.25), "resnet101": (19.87, 4.60), "resnet152": (19.38, 4.49)},
)
PAPER.results(
    "the authors' release",
    TOP_1_AND_5,
    "single crop",
    {"resnet50": (24.7, 7.8), "resnet101": (23.6, 7.1), "resnet152": (23.0, 6.7)},
)
# Its ResNet-50 is another network, with a batch normalization after the addition.
FB_RESNET_TORCH.results(
    "fb.resnet.torch, pretrained",
    TOP_1_AND_5,
    "single crop",
    {"resnet101_v1_5": (22.44, 6.21), "resnet152_v1_5": (22.16, 6.16), "preact_resnet200": (21.66, 5.79)},
)
FB_RESNET_TORCH.results(
    "fb.resnet.torch, pretrained",
    TOP_1_AND_5,
    "ten crops",
    {"resnet101_v1_5": (21.08, 5.35), "resnet152_v1_5": (20.69, 5.21), "preact_resnet200": (20.15, 4.93)},
)
for name, one_crop, ten_crops in (
    ("resnet18", (30.43, 10.76), (28.22, 9.42)),
    ("resnet34", (26.73, 8.74), (24.76, 7.35)),
):
    FB_RESNET_TORCH.results("fb.resnet.torch, pretrained", TOP_1_AND_5, "single crop", {name: one_crop}, option="B")
    FB_RESNET_TORCH.results("fb.resnet.torch, pretrained", TOP_1_AND_5, "ten crops", {name: ten_crops}, option="B")
PAPER.results(
    "Table 6",
    ("cifar10+",),
    "single crop",
    {
        "resnet20": (8.75,),
        "resnet32": (7.51,),
        "resnet44": (7.17,),
        "resnet56": (6.97,),
        "resnet110": (6.43,),
        "resnet1202": (7.93,),
    },
)

# "v := momentum*v + lr*g", says the release, with a warning to whoever ports it.
CAFFE_SGD = Optimizer("caffe_sgd", {"momentum": 0.9})
# README of fb.resnet.torch: "all weights and biases instead of just the weights of the convolution layers".
DECAYED = "what decays: weights alone, of which fb.resnet.torch says that the paper means those of convolutions"

CIFAR = {
    "data": "cifar10",
    "source": "Sec. 4.2",
    "lr": 0.1,
    "batch_size": 128,
    "iterations": 64_000,
    "optimizer": CAFFE_SGD,
    "weight_decay": 0.0001,
    "decay_scope": "weights",
    "augmentation": CIFAR_AUGMENTATION,
    "preprocessing": SubtractMean("pixel"),
}
CIFAR_STEPS = MultiStep((32_000, 48_000), unit="iterations")
PAPER.recipe(
    "resnet_cifar10",
    networks=(
        *("resnet_cifar", "resnet20", "resnet32", "resnet44", "resnet56", "resnet1202"),
        *("plain_cifar", "plain20", "plain32", "plain44", "plain56", "plain110"),
    ),
    schedule=CIFAR_STEPS,
    validation="5,000 of the 50,000, to choose the schedule",
    paper_result="8.75% (resnet20), 6.97% (resnet56) on CIFAR-10",
    unspecified=(DECAYED, "warm-up of resnet1202 and plain110: none, as for 20 to 56 layers"),
    **CIFAR,
)
PAPER.recipe(
    "resnet110_cifar10",
    networks=("resnet110",),
    schedule=Warmup(0.1, 400, CIFAR_STEPS),
    paper_result="6.43% (6.61 +- 0.16%) on CIFAR-10",
    unspecified=("warm-up of 400 iterations: printed as until the training error is below 80%, about 400", DECAYED),
    **CIFAR,
)
PAPER.recipe(
    "resnet_imagenet",
    networks=(
        *("resnet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        *("plain", "plain18", "plain34"),
    ),
    data="imagenet",
    source="Sec. 3.4",
    lr=0.1,
    batch_size=256,
    iterations=600_000,
    schedule=ReduceOnPlateau(drops=2),
    optimizer=CAFFE_SGD,
    weight_decay=0.0001,
    decay_scope="weights",
    batch_norm_images=50_000,
    augmentation=(Resize(256, 480), RandomCrop(), RandomHorizontalFlip(), PCALighting()),
    preprocessing=SubtractMean("pixel"),
    protocol=TenCrop(),
    paper_result="22.85% top-1, 6.71% top-5 (resnet50, ten crops)",
    unspecified=(
        "patience of the plateau: 5 epochs",
        "which error's plateau: that of validation",
        "number of drops",
        DECAYED,
        "images for the batch-norm statistics: the release says a sufficiently large training batch",
    ),
)
FB_RESNET_TORCH.recipe(
    "fb_resnet_torch_imagenet",
    networks=("resnet_v1_5", "resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5", "preact_resnet200"),
    data="imagenet",
    source="opts.lua, train.lua, datasets/imagenet.lua; the batch is TRAINING.md's, where opts.lua has 32",
    lr=0.1,
    batch_size=256,
    epochs=90,
    schedule=StepDecay(30, gamma=0.1),
    optimizer=NESTEROV_SGD,
    weight_decay=0.0001,
    augmentation=FB_RESNET_TORCH_AUGMENTATION,
    preprocessing=IMAGENET_NORMALIZATION,
    paper_result="22.44% top-1, 6.21% top-5 (resnet101_v1_5, single crop)",
)

PAPER.not_countable(
    "similar time complexity of the 64-d basic block and the 256-d bottleneck",
    "Fig. 5",
    "not a number; a test of ResNet holds the two within a tenth",
)
