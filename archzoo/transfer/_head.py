"""Replacing the final classification layer."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from archzoo.errors import TransferError
from archzoo.layers import Net
from archzoo.transfer._freezing import BATCH_NORMS


def replace_classifier(
    net: Net, num_classes: int, initialize: Callable[[nn.Module], object] | None = None
) -> list[str]:
    """Replace the final classification layer by one for ``num_classes`` classes, in place.

    Auxiliary classifiers (GoogLeNet) are replaced too. The new layers have the device and dtype of the old ones and
    require gradients. ``initialize`` sets their parameters; torch's own initialization is the default.

    Returns the names of the new layers. Raises TransferError where the network does not end in a linear layer or
    convolution (LeNet-5).
    """
    if num_classes < 1:
        raise TransferError(f"num_classes must be at least 1, not {num_classes}")
    leaves = [(name, module) for name, module in net.classifier.named_modules() if not module._modules]
    learned = [(name, module) for name, module in leaves if any(True for _ in module.parameters())]
    if not learned or not isinstance(learned[-1][1], nn.Linear | nn.Conv2d) or _has_codes(leaves):
        kind = type(leaves[-1][1]).__name__
        raise TransferError(f"the network ends in {kind}, not in a linear layer or convolution that can be replaced")
    old_classes = _outputs(learned[-1][1])
    replaced = []
    last_of_each = {name.rpartition(".")[0]: (name, module) for name, module in learned}
    for name, module in last_of_each.values():
        if isinstance(module, nn.Linear | nn.Conv2d) and _outputs(module) == old_classes:
            parent, _, child = name.rpartition(".")
            setattr(net.classifier.get_submodule(parent), child, _new_layer(module, num_classes, initialize))
            replaced.append(f"classifier.{name}")
    return replaced


def _has_codes(leaves: Sequence[tuple[str, nn.Module]]) -> bool:
    """Whether the outputs are distances to fixed codes (LeNet-5), which no other layer can replace."""
    return any(not module._modules and module._buffers and not isinstance(module, BATCH_NORMS) for _, module in leaves)


def _outputs(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _new_layer(
    layer: nn.Linear | nn.Conv2d, outputs: int, initialize: Callable[[nn.Module], object] | None
) -> nn.Module:
    new = _like(layer, outputs)
    if initialize is not None:
        with torch.no_grad():
            initialize(new)
    return new


def _like(layer: nn.Linear | nn.Conv2d, outputs: int) -> nn.Module:
    factory: dict[str, Any] = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, outputs, bias, **factory)
    kernel, stride, padding, dilation = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    return nn.Conv2d(layer.in_channels, outputs, kernel, stride, padding, dilation, layer.groups, bias, **factory)  # type: ignore[arg-type]
