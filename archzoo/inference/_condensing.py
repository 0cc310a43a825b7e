"""The conversion of learned group convolutions to standard ones, for evaluation (CondenseNet, Sec. 3.1)."""

import copy
from typing import cast

import torch
from torch import nn

from archzoo.errors import BadOption
from archzoo.inference._norms import norm_of_maps
from archzoo.layers import ChannelShuffle, Conv2d, LearnedGroupConv, Linear, Net, PrunableLinear, Select

# What may stand between a batch norm and the convolution: layers that keep the maps apart.
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Identity)
BETWEEN = (*ACTIVATIONS, nn.Dropout, nn.Dropout2d)


@torch.no_grad()
def condense(net: Net, *, prune: bool = False) -> Net:
    """A copy whose learned group convolutions are standard group convolutions behind an index layer (Fig. 1).

    The convolutions compute what they did, with a share 1 / C of the weights and of the multiply-adds. A classifier
    that is built to be pruned keeps a share of the features, those with the largest weights, so that logits differ
    unless this is all of them.

    A network of the registry becomes the one that ``archzoo.build(net.name, **net.options)`` builds with the new
    options, and has its names of tensors. The mode of each layer stays.

    Args:
        net: CondenseNet in its training form, or any network with every ``LearnedGroupConv`` in an ``nn.Sequential`` of
            its own, behind a batch norm with nothing but an activation and dropout between them.
        prune: Whether inputs that training has not masked yet are masked by the weights as they are.

    Raises BadOption for anything but a network with learned group convolutions and with values, for one that has them
    elsewhere or with masks that no training leaves, and for one whose groups still read more than their share of the
    inputs, unless ``prune`` is set.
    """
    if not isinstance(net, Net):
        raise BadOption(f"expected a network such as archzoo.build returns, not {type(net).__name__}")
    condensed = copy.deepcopy(net)
    if not _learned(condensed):
        raise BadOption("the network has no learned group convolutions: build it with form='training'")
    if any(tensor.is_meta for tensor in condensed.state_dict().values()):
        raise BadOption("the network has no values: it was built on the meta device")
    for parent in [part for part in condensed.modules() if isinstance(part, nn.Sequential) and _position(part) >= 0]:
        _replace(parent, _position(parent), prune=prune)
    if left := _learned(condensed):
        raise BadOption(f"{left[0]} must stand behind a batch norm in an nn.Sequential of its own, to be converted")
    options = {name: value for name, value in net.options.items() if name != "form"}
    if not _prune_classifier(condensed.classifier) and net.name:
        options["classifier_share"] = 1.0  # its last layer is another one, which reads all features
    return condensed.named(net.name, options, net.input_size) if net.name else condensed


def _learned(net: nn.Module) -> list[str]:
    """The names of the layers that learn groups."""
    return [name for name, layer in net.named_modules() if isinstance(layer, LearnedGroupConv)]


def _position(layers: nn.Sequential) -> int:
    """The place of a learned group convolution; -1 where there is none."""
    return next((place for place, layer in enumerate(layers) if isinstance(layer, LearnedGroupConv)), -1)


def _replace(layers: nn.Sequential, place: int, *, prune: bool) -> None:
    """Replace a learned group convolution and the batch norm before it, in place."""
    parts = list(layers.named_children())
    name, conv = parts[place][0], cast(LearnedGroupConv, parts[place][1])
    at = next((number for number in reversed(range(place)) if not isinstance(parts[number][1], BETWEEN)), 0)
    norm_name, norm = parts[at]
    if not isinstance(norm, nn.BatchNorm2d):
        return
    if not conv.is_masked_by_groups():
        raise BadOption(f"the mask of {name} is none that training leaves: as many inputs of each group have to be 0")
    if prune:
        conv.prune(conv.c - 1)
    if conv.stage() < conv.c - 1:
        raise BadOption(
            f"the groups of {name} read {conv.c - conv.stage()} of {conv.c} shares of its inputs, and 1 in the end: "
            f"training masks them in the first half of its run, and prune=True masks them here"
        )
    index = conv.inputs_of_groups().flatten()
    grouped = _grouped(conv)
    converted = [
        *parts[:at],
        ("select", Select(index, conv.in_channels).train(norm.training)),
        (norm_name, norm_of_maps(norm, index)),
        *parts[at + 1 : place],
        (name, grouped),
        ("shuffle", ChannelShuffle(conv.g).train(conv.training)),
        *parts[place + 1 :],
    ]
    layers._modules = dict(converted)


def _grouped(conv: LearnedGroupConv) -> nn.Module:
    """The group convolution: filter k of group i was filter i + k g, which the shuffle behind it brings back."""
    inputs = conv.inputs_of_groups()
    grouped = Conv2d(inputs.numel(), conv.out_channels, 1, groups=conv.g, bias=False)
    grouped.to(conv.weight.device, conv.weight.dtype)
    weight = conv.weight.view(-1, conv.g, conv.in_channels).transpose(0, 1)  # (g, filters, inputs)
    kept = weight.gather(2, inputs[:, None].expand(-1, weight.shape[1], -1))
    grouped.weight.copy_(kept.reshape(grouped.weight.shape))
    return grouped.train(conv.training).requires_grad_(conv.weight.requires_grad)


def _prune_classifier(classifier: nn.Module) -> bool:
    """Prune a linear layer that is built for it, in place; return whether there is one."""
    for parent in classifier.modules():
        for name, layer in list(parent.named_children()):
            if isinstance(layer, PrunableLinear) and isinstance(parent, nn.Sequential):
                before = list(parent.named_children())
                at = before.index((name, layer))
                parent._modules = dict([*before[:at], *_pruned(name, layer), *before[at + 1 :]])
                return True
    return False


def _pruned(name: str, layer: PrunableLinear) -> list[tuple[str, nn.Module]]:
    """A linear layer that reads all features, or an index layer and one that reads those that are kept."""
    kept = layer.features_kept()
    is_pruned = len(kept) < layer.in_features
    weight = layer.weight[:, kept] if is_pruned else layer.weight
    linear = Linear(weight.shape[1], layer.out_features, bias=layer.bias is not None).to(weight.device, weight.dtype)
    linear.load_state_dict({**layer.state_dict(), "weight": weight})
    linear.train(layer.training).requires_grad_(layer.weight.requires_grad)
    return [*([("select", Select(kept, layer.in_features).train(layer.training))] if is_pruned else []), (name, linear)]
