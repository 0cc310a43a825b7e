"""ZFNet: AlexNet with smaller kernels and strides in the first layers, chosen by visualizing what they respond to.

M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv 2013).
"""

from torch import nn

from archzoo.errors import BadOption
from archzoo.layers import Conv2d, Linear, Net, ResponseNorm, at_least, gaussian, sequence

HIDDEN_UNITS = 4096  # of each hidden fully connected layer (Fig. 3)


def relu() -> nn.ReLU:
    """Follows every layer but the last (Fig. 3)."""
    return nn.ReLU(inplace=True)


def pool() -> nn.MaxPool2d:
    """3x3 max pooling with stride 2; sizes are rounded up, as in the authors' framework (Fig. 3)."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def zfnet(widths: tuple[int, ...] = (384, 384, 256), *, in_channels: int = 3, num_classes: int = 1000) -> Net:
    """The network of Fig. 3, with dense connections. Pooling precedes contrast normalization, unlike in AlexNet.

    ``widths`` are the maps of layers 3, 4 and 5: (512, 1024, 512) is variant (b) of Table 3. The paper prints neither
    the constants of the normalization, which are AlexNet's here, nor the padding of the first layer: 1 gives the 110
    of Fig. 3.
    """
    if len(widths) != 3:
        raise BadOption(f"widths must be three, the maps of layers 3, 4 and 5, not {widths}: (384, 384, 256)")
    at_least("widths", min(widths), 1)
    third, fourth, fifth = widths
    features = sequence(
        conv1=Conv2d(in_channels, 96, 7, stride=2, padding=1),
        relu1=relu(),
        pool1=pool(),
        norm1=ResponseNorm(),
        conv2=Conv2d(96, 256, 5, stride=2),
        relu2=relu(),
        pool2=pool(),
        norm2=ResponseNorm(),
        conv3=Conv2d(256, third, 3, padding=1),
        relu3=relu(),
        conv4=Conv2d(third, fourth, 3, padding=1),
        relu4=relu(),
        conv5=Conv2d(fourth, fifth, 3, padding=1),
        relu5=relu(),
        pool5=pool(),
    )
    classifier = sequence(
        flatten=nn.Flatten(),
        fc6=Linear(fifth * 6 * 6, HIDDEN_UNITS),
        relu6=relu(),
        drop6=nn.Dropout(0.5),
        fc7=Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        relu7=relu(),
        drop7=nn.Dropout(0.5),
        fc8=Linear(HIDDEN_UNITS, num_classes),
    )
    return Net(features, classifier, gaussian(0.01))
