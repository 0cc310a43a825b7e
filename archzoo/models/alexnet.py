"""AlexNet: a large convolutional network with ReLU, local response normalization, overlapping pooling and dropout.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.
The single tower: A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 2014.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.layers import Conv2d, Initialize, Linear, Net, ResponseNorm, gaussian, sequence

HIDDEN_UNITS = 4096  # of each hidden fully connected layer (Sec. 3.5)
RELEASED_DEVIATIONS = {"conv3": 0.03, "conv4": 0.03, "conv5": 0.03}  # of weights, in the configuration of 2014


class RoundUp(nn.Module):
    """Zero padding on the right and at the bottom, so that the last window of a convolution ends at the edge.

    The authors' framework rounds output sizes up: conv1 returns 55x55 maps for images of 224 or 227 pixels (Fig. 2).
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        return F.pad(maps, (0, (self.kernel - width) % self.stride, 0, (self.kernel - height) % self.stride))

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"


def relu() -> nn.ReLU:
    """Follows every layer but the last (Sec. 3.1)."""
    return nn.ReLU(inplace=True)


def overlapping_pool() -> nn.MaxPool2d:
    """3x3 max pooling with stride 2 (Sec. 3.4)."""
    return nn.MaxPool2d(3, stride=2)


def released_response_norm() -> ResponseNorm:
    """Response normalization as cuda-convnet2 computes it: its alpha is divided by the five maps of the window."""
    return ResponseNorm(alpha=1e-4 / 5)


def caffe_response_norm() -> ResponseNorm:
    """Response normalization as Caffe computes it: alpha is divided by the window, and one is added."""
    return ResponseNorm(alpha=1e-4 / 5, k=1.0)


def last_convolutions() -> dict[str, nn.Module]:
    """conv3 to conv5 and the last pooling of a single tower (2014, footnote 1)."""
    return {
        "conv3": Conv2d(192, 384, 3, padding=1),
        "relu3": relu(),
        "conv4": Conv2d(384, 256, 3, padding=1),
        "relu4": relu(),
        "conv5": Conv2d(256, 256, 3, padding=1),
        "relu5": relu(),
        "pool5": overlapping_pool(),
    }


def fully_connected(num_classes: int) -> nn.Sequential:
    """Two hidden layers with dropout, and one unit for each class (Sec. 3.5, Sec. 4.2)."""
    return sequence(
        flatten=nn.Flatten(),
        fc6=Linear(256 * 6 * 6, HIDDEN_UNITS),
        relu6=relu(),
        drop6=nn.Dropout(0.5),
        fc7=Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        relu7=relu(),
        drop7=nn.Dropout(0.5),
        fc8=Linear(HIDDEN_UNITS, num_classes),
    )


def initialization(
    features: nn.Module, classifier: nn.Module, *, bias: float = 1.0, deviations: Mapping[str, float] | None = None
) -> Initialize:
    """Gaussian weights of standard deviation 0.01; biases of 1 in conv2, 4, 5, fc6 and fc7, 0 elsewhere (Sec. 5).

    ``bias`` is in the place of 1, and ``deviations`` are those of the layers that have others, by name.
    """
    names = {layer: name for part in (features, classifier) for name, layer in part.named_children()}

    def initialize(layer: nn.Module) -> None:
        name = names.get(layer, "")
        gaussian((deviations or {}).get(name, 0.01))(layer)
        if name in ("conv2", "conv4", "conv5", "fc6", "fc7") and isinstance(layer.bias, Tensor):
            nn.init.constant_(layer.bias, bias)

    return initialize


def alexnet(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """AlexNet of 2012. In conv2, conv4 and conv5, two groups stand for the two GPUs (Fig. 2).

    Differs from the release:
        - Response normalization is Eq. 1: it adds alpha times the squares of all adjacent maps. The released code
          divides alpha by the five maps of the window, and maps on different GPUs are not adjacent there.
        - The order is convolution, ReLU, normalization, pooling (Sec. 3.5). In the released configuration conv1 is
          normalized before its ReLU, which follows the pooling.
        - One normalization follows conv2 (Sec. 3.5). The released configuration has another after it, over the 5x5
          neighbors of a value in its own map.
        - Weights start at a standard deviation of 0.01 in every layer (Sec. 5). The released configuration has 0.03 in
          conv3, conv4 and conv5.
    """
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
    classifier = fully_connected(num_classes)
    return Net(features, classifier, initialization(features, classifier))


def alexnet_caffe(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """Not in the paper: Caffe's replication of AlexNet, bvlc_alexnet, whose weights are public.

    Response normalization adds 1, not 2, and divides alpha by its window. Sizes are not rounded up before conv1 and
    after it, but at the last pooling: images of 227 pixels have the maps of Fig. 2, and the ONNX model's of 224 pixels
    have maps of 54, 26 and 12. Both give 6x6 to the linear layers.
    """
    features = sequence(
        conv1=Conv2d(in_channels, 96, 11, stride=4),
        relu1=relu(),
        lrn1=caffe_response_norm(),
        pool1=overlapping_pool(),
        conv2=Conv2d(96, 256, 5, padding=2, groups=2),
        relu2=relu(),
        lrn2=caffe_response_norm(),
        pool2=overlapping_pool(),
        conv3=Conv2d(256, 384, 3, padding=1),
        relu3=relu(),
        conv4=Conv2d(384, 384, 3, padding=1, groups=2),
        relu4=relu(),
        conv5=Conv2d(384, 256, 3, padding=1, groups=2),
        relu5=relu(),
        pool5=nn.MaxPool2d(3, stride=2, ceil_mode=True),
    )
    classifier = fully_connected(num_classes)
    initialize = initialization(features, classifier, bias=0.1, deviations={"fc6": 0.005, "fc7": 0.005})
    return Net(features, classifier, initialize)


def alexnet_cuda_convnet2(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """The single tower of 2014 as its author released it for cuda-convnet2 (Sec. 5 and footnote 1).

    Differs from the release:
        - Biases of the last layer start at 0. In the release they start at -7, which is made for 1000 logistic units
          and does not change a softmax.
    """
    features = sequence(
        pad1=RoundUp(11, stride=4),
        conv1=Conv2d(in_channels, 64, 11, stride=4),
        lrn1=released_response_norm(),
        pool1=overlapping_pool(),
        relu1=relu(),
        conv2=Conv2d(64, 192, 5, padding=2),
        relu2=relu(),
        lrn2=released_response_norm(),
        pool2=overlapping_pool(),
        **last_convolutions(),
    )
    classifier = fully_connected(num_classes)
    initialize = initialization(features, classifier, deviations=RELEASED_DEVIATIONS)
    return Net(features, classifier, initialize)


def alexnet_one_tower(*, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """The single tower of 2014 as torchvision has it, with the weights of the author's configuration (footnote 1).

    Weights are initialized as in that configuration, with a standard deviation of 0.03 in conv3 to conv5.

    Differs from the release:
        - No response normalization. The release has one after conv1 and one after conv2.
        - Images are padded by 2 zeros on each side. The release pads none and rounds sizes up instead.
        - Dropout comes before fc6 and fc7. In the release it comes after them.
        - Biases of the last layer start at 0. In the release they start at -7, which is made for 1000 logistic units
          and does not change a softmax.
    """
    features = sequence(
        conv1=Conv2d(in_channels, 64, 11, stride=4, padding=2),
        relu1=relu(),
        pool1=overlapping_pool(),
        conv2=Conv2d(64, 192, 5, padding=2),
        relu2=relu(),
        pool2=overlapping_pool(),
        **last_convolutions(),
    )
    classifier = sequence(
        pool=nn.AdaptiveAvgPool2d(6),
        flatten=nn.Flatten(),
        drop6=nn.Dropout(0.5),
        fc6=Linear(256 * 6 * 6, HIDDEN_UNITS),
        relu6=relu(),
        drop7=nn.Dropout(0.5),
        fc7=Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        relu7=relu(),
        fc8=Linear(HIDDEN_UNITS, num_classes),
    )
    initialize = initialization(features, classifier, deviations=RELEASED_DEVIATIONS)
    return Net(features, classifier, initialize)
