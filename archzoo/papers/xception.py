"""Xception: Fig. 5, Table 3, what the documentation of Keras prints, errors, and training on ImageNet."""

from typing import Any

from archzoo.claims import Claim, depth, kernels, megabytes, params, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import SLIM_AUGMENTATION, SLIM_UNSPECIFIED, Rescale, SingleCrop, StepDecay, sgd

PAPER = Paper(
    "Xception: Deep Learning with Depthwise Separable Convolutions",
    "F. Chollet",
    2016,
    "https://arxiv.org/abs/1610.02357",
    models="archzoo.models.xception",
)

KERAS = "documentation of Keras Applications"
STORED: dict[str, Any] = {"counting": "with running statistics"}
FROM_MEMORY: dict[str, Any] = {"confirmed": False}

# Fig. 5: maps of the separable convolutions of each module, by its number, and the maps of its shortcut.
MODULES: dict[int, tuple[tuple[int, ...], int]] = {
    2: ((128, 128), 128),
    3: ((256, 256), 256),
    4: ((728, 728), 728),
    **dict.fromkeys(range(5, 13), ((728, 728, 728), 0)),
    13: ((728, 1024), 1024),
}
FIRST = {"features.conv1.conv": 32, "features.conv2.conv": 64}
SEPARABLE = {
    **{
        f"features.block{block}.layers.sep{number}.pointwise": maps
        for block, (widths, _) in MODULES.items()
        for number, maps in enumerate(widths, 1)
    },
    "features.sep1.pointwise": 1536,
    "features.sep2.pointwise": 2048,
}
SHORTCUTS = {f"features.block{block}.shortcut.conv": maps for block, (_, maps) in MODULES.items() if maps}


def figure_5() -> list[Claim]:
    """The maps of each convolution, and what goes from one flow to the next."""
    layers = {**FIRST, **SEPARABLE, **SHORTCUTS}
    return [
        *(kernels(str(maps), "Fig. 5", at=at, **FROM_MEMORY) for at, maps in layers.items()),
        size("19x19x728", "Fig. 5, after the entry flow", at="features.block4", **FROM_MEMORY),
        size("19x19x728", "Fig. 5, after the middle flow", at="features.block12", **FROM_MEMORY),
        size("2048", "Fig. 5", at="classifier.flatten", **FROM_MEMORY),
    ]


PAPER.network(
    "xception",
    params("22,855,952", "Table 3"),
    depth("36", "Sec. 3", at=" + ".join((*FIRST, *SEPARABLE))),
    *figure_5(),
    params("22,910,480", KERAS, **STORED, **FROM_MEMORY),
    megabytes(
        "88MB",
        KERAS,
        counting="with running statistics, MB = 2^20",
        ours="87MB",
        why="87.4 MiB of numbers; the file has their names and shapes beside them",
        confirmed=False,
    ),
    input_size=(3, 299, 299),
)

NOTE = "on the validation images of ILSVRC 2012 that are not blacklisted"
CROP = "single crop"
PAPER.results("Table 1", TOP_1_AND_5, CROP, {"xception": (21.0, 5.5)}, note=NOTE)
PAPER.results(
    "Table 1 of Xception",
    TOP_1_AND_5,
    CROP,
    {"vgg_d": (28.5, 9.9), "resnet152": (23.0, 6.7), "inception_v3": (21.8, 5.9)},
    note=NOTE,
)
PAPER.prints(
    "inception_v3",
    params(
        "23,626,728",
        "Table 3",
        ours="23,834,568",
        why="no published Inception-v3: with scales of batch normalization it has 23,834,568, without 23,817,352",
    ),
)

PAPER.recipe(
    "xception_imagenet",
    networks=("xception",),
    data="imagenet",
    source="Sec. 4.2 to 4.4",
    lr=0.045,
    batch_size=1920,
    epochs=100,
    schedule=StepDecay(2, gamma=0.94),
    optimizer=sgd(),
    weight_decay=0.00001,
    decay_scope="weights",
    ema=0.9999,
    augmentation=SLIM_AUGMENTATION,
    preprocessing=Rescale(-1.0, 1.0),
    protocol=SingleCrop(299, resize=342),
    paper_result="21.0% top-1, 5.5% top-5, single crop",
    unspecified=(
        "batch: 32 images, as for Inception-v3, on each of the 60 GPUs, which wait for one another",
        "length: that of Inception-v3; the paper says about three days",
        "decay of the averaged weights: 0.9999",
        *SLIM_UNSPECIFIED,
    ),
)

PAPER.not_countable("within 3.5%", "Sec. 4.5.2", "of the same Inception-v3: 3.4% from the two printed numbers")
PAPER.not_countable("14 modules", "Sec. 3", "what a module is has no count; a test holds it, and which have shortcuts")
PAPER.not_countable("28, 31", "Table 3", "steps in a second, of Xception and Inception-v3")
PAPER.not_countable("over 350 million images, 17,000 classes", "Sec. 4.1", "JFT, a set of images that is not public")
PAPER.not_countable("6.36, 6.70, 6.50, 6.78", "Table 2", "mean average precisions after training on JFT")
PAPER.not_countable("4.3%", "Sec. 4.5.1", "a quotient of two of these: 6.78 / 6.50, with fully connected layers")
PAPER.not_countable("4096 units", "Sec. 4", "two layers in networks for JFT alone; nothing is said of what is between")
PAPER.not_countable("0.001, 0.9 every 3,000,000 samples", "Sec. 4.2", "rates of RMSProp for JFT, which is not public")
PAPER.not_countable("60 GPUs, 3 days, one month", "Sec. 4.4", "machines and times")
