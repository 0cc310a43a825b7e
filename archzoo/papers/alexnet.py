"""AlexNet: kernels and neurons layer by layer, totals, errors, and training; and the same of the one-tower variant."""

from archzoo.claims import depth, kernel, kernels, neurons, params, ratio, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    ALEXNET_AUGMENTATION,
    MultiStep,
    MultiStepFraction,
    ParameterGroup,
    PCALighting,
    SubtractMean,
    TenCrop,
)

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
    "features.conv1": ("96", "11x11x3"),
    "features.conv2": ("256", "5x5x48"),
    "features.conv3": ("384", "3x3x256"),
    "features.conv4": ("384", "3x3x192"),
    "features.conv5": ("256", "3x3x192"),
}

# Fig. 2: the sides of the maps of each convolution, and how many maps each of the two GPUs has.
FIGURE_2 = {
    "features.conv1": ("55x55", "48"),
    "features.conv2": ("27x27", "128"),
    "features.conv3": ("13x13", "192"),
    "features.conv4": ("13x13", "192"),
    "features.conv5": ("13x13", "128"),
}

# Caption of Fig. 2: neurons of each layer but the first, whose number is a slip.
NEURONS = {
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
        "Fig. 2, caption",
        at="features.conv1",
        ours="290,400",
        why="a slip: 253,440 is 55 x 48 x 96, with the 48 kernels of one GPU in the place of a side; the total of "
        "650,000 has 55 x 55 x 96",
    ),
    *(neurons(printed, "Fig. 2, caption", at=layer) for layer, printed in NEURONS.items()),
    *(kernels(printed, "Sec. 3.5", at=layer) for layer, (printed, _) in SECTION_3_5.items()),
    *(kernel(printed, "Sec. 3.5", at=layer) for layer, (_, printed) in SECTION_3_5.items()),
    *(size(printed, "Fig. 2", at=layer) for layer, (printed, _) in FIGURE_2.items()),
    *(kernels(printed, "Fig. 2, on each of two GPUs", at=layer, unit=2) for layer, (_, printed) in FIGURE_2.items()),
    *(
        neurons("2048", "Fig. 2, on each of two GPUs", at=layer, unit=2)
        for layer in ("classifier.fc6", "classifier.fc7")
    ),
    depth("8", "Sec. 3"),
    input_size=(3, 224, 224),
)

PAPER.network("alexnet_caffe", input_size=(3, 227, 227))
PAPER.no_recipe("alexnet_caffe", why="not in the paper; Caffe publishes its weights, and the solver that trained them")

# Footnote 1: filters of each convolution.
FOOTNOTE_1 = {
    "features.conv1": "64",
    "features.conv2": "192",
    "features.conv3": "384",
    "features.conv5": "256",
}

# What the paper prints about its one tower: true of the released configuration and of torchvision's network alike.
ONE_TOWER = (
    ratio("0.2% more", "Sec. 5", of="params", to="alexnet"),
    ratio(
        "2.4% fewer",
        "Sec. 5",
        of="macs",
        to="alexnet",
        ours="1.4% fewer",
        why="1.41% fewer with 256 maps in conv4, as released; with the 384 of footnote 1 it would be 15.8% more",
    ),
    *(kernels(printed, "footnote 1", at=layer) for layer, printed in FOOTNOTE_1.items()),
    kernels(
        "384",
        "footnote 1",
        at="features.conv4",
        ours="256",
        why="the released configuration has 256; with 384 the parameters of Sec. 5 would be 1.4% more, not 0.2%",
    ),
)

ONE_WEIRD_TRICK.network("alexnet_cuda_convnet2", *ONE_TOWER, input_size=(3, 224, 224))
ONE_WEIRD_TRICK.network("alexnet_one_tower", *ONE_TOWER, input_size=(3, 224, 224))

PAPER.results("Table 2", TOP_1_AND_5, "ten crops", {"alexnet": (40.7, 18.2)})

ONE_WEIRD_TRICK.results(
    "Table 1", ("imagenet top-1",), "single crop", {"alexnet_cuda_convnet2": (42.33,)}, confirmed=False
)

# The released code never decays biases.
PAPER.recipe(
    "alexnet_imagenet",
    networks=("alexnet",),
    data="imagenet",
    source="Sec. 4 and 5, and the released log",
    lr=0.01,
    batch_size=128,
    epochs=90,
    schedule=MultiStep((25, 51, 79)),
    weight_decay=0.0005,
    groups=(ParameterGroup("*.bias", decay_mult=0.0),),
    augmentation=(*ALEXNET_AUGMENTATION, PCALighting()),
    preprocessing=SubtractMean("pixel"),
    protocol=TenCrop(),
    paper_result="40.7% top-1, 18.2% top-5 on the validation set (5 networks: 38.1%, 16.4%)",
    unspecified=(
        "schedule: the paper divides the rate by 10 when the validation error stalls; these are the epochs of the log "
        "at the end of this network's released parameters, where conv1 slows down from epoch 67 on",
        "lr: the same for all parameters, as printed; in the release that of the biases is 0.02 throughout",
        "augmentation: in the release images are also divided by 1.1 where colors are added, which ends at epoch 67",
    ),
)
ONE_WEIRD_TRICK.recipe(
    "one_tower_imagenet",
    networks=("alexnet_cuda_convnet2", "alexnet_one_tower"),
    data="imagenet",
    source="One weird trick, Sec. 5, and the released parameters",
    lr=0.01,
    batch_size=128,
    epochs=90,
    schedule=MultiStepFraction((0.25, 0.5, 0.75), gamma=250 ** (-1 / 3)),
    weight_decay=0.0005,
    groups=(ParameterGroup("*.bias", lr_mult=2.0, decay_mult=0.0),),
    augmentation=ALEXNET_AUGMENTATION,
    preprocessing=SubtractMean("pixel"),
    paper_result="42.33% top-1",
    unspecified=(
        "loss: 1000 logistic units in the paper, a softmax in the release and here",
        "lr: in the release that of the biases falls once, to a tenth after half of the run; here with that of the "
        "weights",
    ),
    unconfirmed=("paper_result",),
)

PAPER.not_countable("150,528-dimensional input", "Fig. 2", "the size of an image: 224 x 224 x 3")
PAPER.not_countable("a factor of 2048", "Sec. 4.1", "crops and mirrorings in training")
PAPER.not_countable("37.5% top-1 and 17.0% top-5 error", "results on ILSVRC-2010", "results of training")
PAPER.not_countable("40.7% top-1 and 18.2% top-5 error", "results on ILSVRC-2012", "results of training, of one net")
PAPER.not_countable("5 to 6 days on two GTX 580", "training", "a clock time")
