"""AlexNet: a large convolutional network with ReLUs, response normalization, overlapping pooling and dropout.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.
The one-tower variant: A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 2014.
"""

from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.claims import Paper, depth, neurons, params, ratio, weights
from archzoo.layers import Conv2d, Initialize, Linear, Net, ResponseNorm, gaussian, sequence
from archzoo.registry import register, unaudited

PAPER = Paper(
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "A. Krizhevsky, I. Sutskever, G. Hinton",
    2012,
    "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
)
ONE_WEIRD_TRICK = Paper(
    "One weird trick for parallelizing convolutional neural networks",
    "A. Krizhevsky",
    2014,
    "https://arxiv.org/abs/1404.5997",
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


class RoundUp(nn.Module):
    """Zeros to the right and below, until a kernel at this stride ends exactly at the edge.

    The authors' framework rounds the size of an output up: 55 for images of 224 and of 227 pixels alike.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        below, right = ((self.kernel - side) % self.stride for side in maps.shape[-2:])
        return F.pad(maps, (0, right, 0, below))

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"


def relu() -> nn.ReLU:
    """Rectified linear units follow every layer but the last (Sec. 3.1)."""
    return nn.ReLU(inplace=True)


def overlapping_pool() -> nn.MaxPool2d:
    """3x3 windows, 2 apart (Sec. 3.4)."""
    return nn.MaxPool2d(3, stride=2)


def published_initialization(features: nn.Module, classifier: nn.Module, *, wide: tuple[str, ...] = ()) -> Initialize:
    """Weights of deviation 0.01; biases of 1 in conv2, 4, 5 and the hidden linear layers, 0 elsewhere (Sec. 5).

    The layers called ``wide`` have a deviation of 0.03.
    """
    names = {layer: name for part in (features, classifier) for name, layer in part.named_children()}

    def initialize(layer: nn.Module) -> None:
        name = names.get(layer, "")
        gaussian(0.03 if name in wide else 0.01)(layer)
        if name in ("conv2", "conv4", "conv5", "fc6", "fc7") and isinstance(layer.bias, Tensor):
            nn.init.ones_(layer.bias)

    return initialize


@register(
    PAPER,
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
    *(neurons(printed, "Fig. 2", at=at) for at, printed in FIGURE_2.items()),
    *(
        weights(kernels, f"Sec. 3.5, kernels of {'x'.join(map(str, kernel))}", at=at, unit=prod(kernel))
        for at, (kernels, kernel) in SECTION_3_5.items()
    ),
    depth("8", "Sec. 3"),
    input_size=(3, 224, 224),
)
def alexnet(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """AlexNet of 2012: conv2, conv4 and conv5 read only the maps on their own GPU, two towers as groups (Sec. 3.5)."""
    features = sequence(
        pad1=RoundUp(11, stride=4),
        conv1=Conv2d(in_channels, 96, 11, stride=4),
        relu1=relu(),
        lrn1=ResponseNorm(),
        pool1=overlapping_pool(),
        conv2=Conv2d(96, 256, 5, padding=2, groups=2),
        relu2=relu(),
        lrn2=ResponseNorm(),
        pool2=overlapping_pool(),
        conv3=Conv2d(256, 384, 3, padding=1),
        relu3=relu(),
        conv4=Conv2d(384, 384, 3, padding=1, groups=2),
        relu4=relu(),
        conv5=Conv2d(384, 256, 3, padding=1, groups=2),
        relu5=relu(),
        pool5=overlapping_pool(),
    )
    classifier = sequence(
        flatten=nn.Flatten(),
        fc6=Linear(256 * 6 * 6, 4096),
        relu6=relu(),
        drop6=nn.Dropout(0.5),
        fc7=Linear(4096, 4096),
        relu7=relu(),
        drop7=nn.Dropout(0.5),
        fc8=Linear(4096, num_classes),
    )
    return Net(features, classifier, published_initialization(features, classifier))


@register(
    ONE_WEIRD_TRICK,
    ratio("0.2% more", "Sec. 5", of="params", to="alexnet"),
    ratio(
        "2.4% fewer",
        "Sec. 5",
        of="macs",
        to="alexnet",
        ours="1.4% fewer",
        why="1.41% fewer with 256 maps in conv4, as released; with the 384 of footnote 1 it would be 15.8% more",
    ),
    # One filter of each layer is as large as the layer before it makes it.
    weights("64", "footnote 1, filters", at="features.conv1", unit=11 * 11 * 3),
    weights("192", "footnote 1, filters", at="features.conv2", unit=5 * 5 * 64),
    weights("384", "footnote 1, filters", at="features.conv3", unit=3 * 3 * 192),
    weights(
        "384",
        "footnote 1, filters",
        at="features.conv4",
        unit=3 * 3 * 384,
        ours="256",
        why="the released configuration has 256; with 384 the parameters of Sec. 5 would be 1.4% more, not 0.2%",
    ),
    weights("256", "footnote 1, filters", at="features.conv5", unit=3 * 3 * 256),
    input_size=(3, 224, 224),
)
def alexnet_one_tower(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """The single tower of 2014 in the form whose weights are public: no normalization, dropout before fc6 and fc7.

    It starts from the deviations of the author's released configuration, which has 0.03 in conv3 to conv5. The bias of
    -7 in its last layer is for 1000 logistic units: with a softmax it would change nothing, and is left out.
    """
    features = sequence(
        conv1=Conv2d(in_channels, 64, 11, stride=4, padding=2),
        relu1=relu(),
        pool1=overlapping_pool(),
        conv2=Conv2d(64, 192, 5, padding=2),
        relu2=relu(),
        pool2=overlapping_pool(),
        conv3=Conv2d(192, 384, 3, padding=1),
        relu3=relu(),
        conv4=Conv2d(384, 256, 3, padding=1),
        relu4=relu(),
        conv5=Conv2d(256, 256, 3, padding=1),
        relu5=relu(),
        pool5=overlapping_pool(),
    )
    classifier = sequence(
        pool=nn.AdaptiveAvgPool2d(6),
        flatten=nn.Flatten(),
        drop6=nn.Dropout(0.5),
        fc6=Linear(256 * 6 * 6, 4096),
        relu6=relu(),
        drop7=nn.Dropout(0.5),
        fc7=Linear(4096, 4096),
        relu7=relu(),
        fc8=Linear(4096, num_classes),
    )
    initialize = published_initialization(features, classifier, wide=("conv3", "conv4", "conv5"))
    return Net(features, classifier, initialize)


unaudited(PAPER, "150,528-dimensional input", "Fig. 2", "the size of an image: 224 x 224 x 3")
unaudited(PAPER, "a factor of 2048", "Sec. 4.1", "crops and mirrorings in training")
unaudited(PAPER, "37.5% top-1 and 17.0% top-5 error", "results on ILSVRC-2010", "results of training")
unaudited(PAPER, "40.7% top-1 and 18.2% top-5 error", "results on ILSVRC-2012", "results of training, of one net")
unaudited(PAPER, "5 to 6 days on two GTX 580", "training", "a clock time")
