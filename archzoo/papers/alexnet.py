"""AlexNet: kernels and neurons layer by layer, totals, errors, and training; and the same of the one-tower variant."""

from math import prod

from archzoo.claims import depth, neurons, params, ratio, weights
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import ALEXNET_AUGMENTATION, MultiStepFraction, PCALighting, ReduceOnPlateau, SubtractMean, TenCrop

PAPER = Paper(
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "A. Krizhevsky, I. Sutskever, G. Hinton",
    2012,
    "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
    models="archzoo.models.alexnet",
)

ONE_WEIRD_TRICK = Paper(
    "One weird trick for parallelizing convolutional neural networks",
    "A. Krizhevsky",
    2014,
    "https://arxiv.org/abs/1404.5997",
    models="archzoo.models.alexnet",
)

# Sec. 3.5: how many kernels each convolution has, and the size of one.
SECTION_3_5 = {
    "features.conv1": ("96", (11, 11, 3)),
    "features.conv2": ("256", (5, 5, 48)),
    "features.conv3": ("384", (3, 3, 256)),
    "features.conv4": ("384", (3, 3, 192)),
    "features.conv5": ("256", (3, 3, 192)),
}

# Fig. 2: neurons of each layer but the first, whose number is a slip.
FIGURE_2 = {
    "features.conv2": "186,624",
    "features.conv3": "64,896",
    "features.conv4": "64,896",
    "features.conv5": "43,264",
    "classifier.fc6": "4096",
    "classifier.fc7": "4096",
    "classifier.fc8": "1000",
}

PAPER.network(
    "alexnet",
    params(
        "60 million",
        "Abstract and Sec. 4",
        ours="61 million",
        why="cut off, not rounded: 60,965,224 with biases, 60,954,656 without",
    ),
    neurons(
        "650,000",
        "Abstract",
        ours="659,272",
        why="cut off, not rounded: the layers of Fig. 2, with 290,400 neurons in the first, are 659,272",
    ),
    neurons(
        "253,440",
        "Fig. 2",
        at="features.conv1",
        ours="290,400",
        why="a slip: 253,440 is 55 x 48 x 96, with the 48 kernels of one GPU in the place of a side; the total of "
        "650,000 has 55 x 55 x 96",
    ),
    *(neurons(printed, "Fig. 2", at=layer) for layer, printed in FIGURE_2.items()),
    *(
        weights(kernels, f"Sec. 3.5, kernels of {'x'.join(map(str, kernel))}", at=layer, unit=prod(kernel))
        for layer, (kernels, kernel) in SECTION_3_5.items()
    ),
    depth("8", "Sec. 3"),
    input_size=(3, 224, 224),
)

# Footnote 1: filters of each convolution. The size of one follows from the layer before it.
RELEASED = "the released configuration has 256; with 384 the parameters of Sec. 5 would be 1.4% more, not 0.2%"
FOOTNOTE_1 = {
    "features.conv1": ("64", (11, 11, 3), "", ""),
    "features.conv2": ("192", (5, 5, 64), "", ""),
    "features.conv3": ("384", (3, 3, 192), "", ""),
    "features.conv4": ("384", (3, 3, 384), "256", RELEASED),
    "features.conv5": ("256", (3, 3, 256), "", ""),
}

ONE_WEIRD_TRICK.network(
    "alexnet_one_tower",
    ratio("0.2% more", "Sec. 5", of="params", to="alexnet"),
    ratio(
        "2.4% fewer",
        "Sec. 5",
        of="macs",
        to="alexnet",
        ours="1.4% fewer",
        why="1.41% fewer with 256 maps in conv4, as released; with the 384 of footnote 1 it would be 15.8% more",
    ),
    *(
        weights(filters, "footnote 1, filters", at=layer, unit=prod(size), ours=ours, why=why)
        for layer, (filters, size, ours, why) in FOOTNOTE_1.items()
    ),
    input_size=(3, 224, 224),
)

PAPER.results("Table 2", TOP_1_AND_5, "ten crops", {"alexnet": (40.7, 18.2)})

PAPER.recipe(
    "alexnet_imagenet",
    networks=("alexnet",),
    data="imagenet",
    source="Sec. 4 and 5",
    lr=0.01,
    batch_size=128,
    epochs=90,
    schedule=ReduceOnPlateau(drops=3),
    weight_decay=0.0005,
    augmentation=(*ALEXNET_AUGMENTATION, PCALighting()),
    preprocessing=SubtractMean("pixel"),
    protocol=TenCrop(),
    paper_result="40.7% top-1, 18.2% top-5 on the validation set (5 networks: 38.1%, 16.4%)",
    unspecified=("patience of the plateau: 5 epochs",),
)
ONE_WEIRD_TRICK.recipe(
    "one_tower_imagenet",
    networks=("alexnet_one_tower",),
    data="imagenet",
    source="One weird trick, Sec. 5",
    lr=0.01,
    batch_size=128,
    epochs=90,
    schedule=MultiStepFraction((0.25, 0.5, 0.75), gamma=250 ** (-1 / 3)),
    weight_decay=0.0005,
    augmentation=ALEXNET_AUGMENTATION,
    preprocessing=SubtractMean("pixel"),
)

PAPER.not_countable("150,528-dimensional input", "Fig. 2", "the size of an image: 224 x 224 x 3")
PAPER.not_countable("a factor of 2048", "Sec. 4.1", "crops and mirrorings in training")
PAPER.not_countable("37.5% top-1 and 17.0% top-5 error", "results on ILSVRC-2010", "results of training")
PAPER.not_countable("40.7% top-1 and 18.2% top-5 error", "results on ILSVRC-2012", "results of training, of one net")
PAPER.not_countable("5 to 6 days on two GTX 580", "training", "a clock time")
