"""Replacing the final classification layer."""

from collections.abc import Callable

from torch import nn

from archzoo.errors import TransferError
from archzoo.layers import Net


def replace_classifier(
    net: Net, num_classes: int, initialize: Callable[[nn.Module], object] | None = None
) -> list[str]:
    """Replace the final classification layer by one for ``num_classes`` classes, in place.

    Auxiliary classifiers (GoogLeNet) are replaced too. The new layers have the device and dtype of the old ones and
    require gradients. ``initialize`` sets their parameters; torch's own initialization is the default.

    Returns the names of the new layers. Raises TransferError where the network does not end in a linear layer or
    convolution (LeNet-5). ``Net.reset_classifier`` is the same, and takes 0 classes too.
    """
    if num_classes < 1:
        raise TransferError(f"num_classes must be at least 1, not {num_classes}")
    return net.reset_classifier(num_classes, initialize)
