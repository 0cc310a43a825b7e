"""ZFNet: the sizes of its maps in Fig. 3, its error, and how it was trained."""

from archzoo.claims import kernels, neurons, size, sizes
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import CenterCrop, RandomTenCrop, ReduceOnPlateau, Resize, SubtractMean, TenCrop

PAPER = Paper(
    "Visualizing and Understanding Convolutional Networks",
    "M. Zeiler, R. Fergus",
    2013,
    "https://arxiv.org/abs/1311.2901",
    models="archzoo.models.zfnet",
)

# Tables 2 and 3, variant (b): the maps of layers 3, 4 and 5.
WIDER = {"features.conv3": "512", "features.conv4": "1024", "features.conv5": "512"}
WIDTHS = (512, 1024, 512)

PAPER.network(
    "zfnet",
    kernels("96", "Fig. 3", at="features.conv1"),
    size("55x55x96", "Fig. 3", at="features.pool1"),
    size("6x6x256", "Fig. 3", at="features.pool5"),
    size("9216", "Fig. 3", at="classifier.flatten"),
    sizes("110-55-26-13-6", "Fig. 3", confirmed=False),
    *(neurons("4096", "Fig. 3", at=layer) for layer in ("classifier.fc6", "classifier.fc7")),
    *(kernels(printed, "Table 2 (b)", at=layer, options={"widths": WIDTHS}) for layer, printed in WIDER.items()),
    input_size=(3, 224, 224),
)

PAPER.results("Table 2", TOP_1_AND_5, "ten crops", {"zfnet": (38.4, 16.5)})
PAPER.results("Table 2 (b)", TOP_1_AND_5, "ten crops", {"zfnet": (37.5, 16.0)}, widths=WIDTHS)

PAPER.recipe(
    "zfnet_imagenet",
    networks=("zfnet",),
    data="imagenet",
    source="Sec. 3",
    lr=0.01,
    batch_size=128,
    epochs=70,
    schedule=ReduceOnPlateau(drops=3),
    filter_limit=0.1,
    augmentation=(Resize(256), CenterCrop(256), RandomTenCrop()),
    preprocessing=SubtractMean("pixel"),
    protocol=TenCrop(),
    paper_result="38.4% top-1, 16.5% top-5",
    unspecified=(
        "weight_decay: not printed; none here",
        "schedule: annealed by hand when the validation error stalls",
        "protocol: not printed; that of AlexNet, with whose errors it is compared",
    ),
)

PAPER.not_countable("38.4% top-1 and 16.5% top-5 error, variant (b) 37.5% and 16.0%", "Table 3", "results of training")
PAPER.not_countable("1.7% better than Krizhevsky et al.", "Sec. 5.1", "a difference of errors")
PAPER.not_countable("1.8% better", "arXiv v1, Sec. 3", "a difference of errors, of v1: another net, with 11x11 by 4")
