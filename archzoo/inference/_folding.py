"""Folding batch norms into convolutions, by the structure of a symbolic trace.

Which layer reads whose output decides; the order of execution does not. Three folds are exact: conv-BN, and BN-conv and
BN-ReLU-conv without padding, for networks that normalize before they convolve. A batch norm that runs an activation
itself is taken apart first.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from archzoo.errors import BadOption
from archzoo.inference._norms import norm_of_maps
from archzoo.inference._splitting import join_norms, split_norms
from archzoo.inference._structure import Structure, replace_modules
from archzoo.layers import ChannelShuffle, device_of
from archzoo.restoring import process_restored

Replacement = tuple[nn.Module, nn.Module]  # (module of the network, its replacement)


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy in eval mode, with every batch norm folded that a convolution before or after it can absorb.

    Raises BadOption for what is no module.
    """
    if not isinstance(model, nn.Module):
        raise BadOption(f"expected a torch.nn.Module, not {type(model).__name__}")
    folded = copy.deepcopy(model).eval()
    splits = split_norms(folded)
    with process_restored(), torch.no_grad():
        for fold in (fold_into_conv_before, fold_into_conv_after, fold_beyond_relu):
            structure = Structure(folded)
            folded.eval()  # forward, which a trace runs, may have changed the mode
            replace_modules(folded, dict(fold(structure)))
    join_norms(folded, splits)
    return folded.eval()


def fold_into_conv_before(net: Structure) -> Iterator[Replacement]:
    """Conv-BN becomes a convolution, where the batch norm alone reads the convolution's output.

    Dropout between the two is the identity in eval mode, and a shuffle changes the order of the maps alone.
    """
    for node in net.nodes:
        norm = net.layer(node)
        if isinstance(norm, nn.BatchNorm2d):
            source = node.all_input_nodes[0]
            shuffles: list[ChannelShuffle] = []
            while len(source.users) == 1:
                between = net.own_layer(source, ChannelShuffle) or net.layer(source)
                if isinstance(between, ChannelShuffle):
                    shuffles.append(between)
                elif not isinstance(between, nn.Dropout | nn.Identity):
                    break
                source = source.all_input_nodes[0]
            conv = net.layer(source)
            if isinstance(conv, nn.Conv2d) and len(source.users) == 1:
                yield conv, fuse_conv_bn_eval(conv, before_shuffles(norm, shuffles))
                yield norm, nn.Identity().eval()


def before_shuffles(norm: nn.BatchNorm2d, shuffles: Sequence[ChannelShuffle]) -> nn.BatchNorm2d:
    """A batch norm with its values in the order that maps have before these shuffles, the last of which comes first."""
    if not shuffles:
        return norm
    order = torch.arange(norm.num_features, dtype=torch.float, device=device_of(norm)).view(1, -1, 1, 1)
    for shuffle in reversed(shuffles):
        order = shuffle(order)
    return norm_of_maps(norm, order.flatten().argsort())


def fold_into_conv_after(net: Structure) -> Iterator[Replacement]:
    """BN-conv becomes a convolution, where only convolutions without padding read the batch norm's output."""
    for node in net.nodes:
        norm, convs = net.layer(node), [net.layer(user) for user in behind_identities(net, node).users]
        if isinstance(norm, nn.BatchNorm2d) and convs and all(map(absorbs_affine, convs)):
            yield norm, nn.Identity().eval()
            for conv in convs:
                yield cast(nn.Conv2d, conv), absorb_affine(cast(nn.Conv2d, conv), *scale_and_shift(norm))


def fold_beyond_relu(net: Structure) -> Iterator[Replacement]:
    """BN-ReLU-conv becomes clamp-conv, where only convolutions without padding read the ReLU's output.

    relu(s x + b) is s max(x, -b/s) + b for s > 0, and s min(x, -b/s) + b for s < 0. The clamp computes the maximum or
    minimum, and the convolution absorbs s and b.
    """
    for node in net.nodes:
        norm, readers = net.layer(node), list(behind_identities(net, node).users)
        if not isinstance(norm, nn.BatchNorm2d) or len(readers) != 1 or not isinstance(net.layer(readers[0]), nn.ReLU):
            continue
        relu = readers[0]
        convs = [net.layer(user) for user in behind_identities(net, relu).users]
        scale, shift = scale_and_shift(norm)
        if all(map(absorbs_affine, convs)) and (shift / scale).isfinite().all():
            yield norm, Clamp(scale, shift).eval()
            yield cast(nn.ReLU, net.layer(relu)), nn.Identity().eval()
            for conv in convs:
                yield cast(nn.Conv2d, conv), absorb_affine(cast(nn.Conv2d, conv), scale, shift)


def behind_identities(net: Structure, node: fx.Node) -> fx.Node:
    """The last of the layers that return what they read in eval mode, where each alone reads the one before."""
    while len(node.users) == 1 and isinstance(net.layer(next(iter(node.users))), nn.Dropout | nn.Identity):
        node = next(iter(node.users))
    return node


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift of each channel in eval mode, both (C,)."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = torch.rsqrt(variance + norm.eps)
    if isinstance(norm.weight, Tensor):  # of a batch norm with a shift alone, it is None
        scale = scale * norm.weight
    shift = -scale * mean
    return scale, shift + norm.bias if isinstance(norm.bias, Tensor) else shift


def absorbs_affine(layer: nn.Module | None) -> bool:
    """Whether the layer is a convolution that can absorb a scale and shift of its input: padding would get no shift."""
    return isinstance(layer, nn.Conv2d) and layer.padding in (0, (0, 0), "valid")


def absorb_affine(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    """The convolution that computes from x what ``conv`` computes from scale * x + shift."""
    absorbed = copy.deepcopy(conv)
    inputs = (conv.groups, 1, -1, 1, 1)
    weight = conv.weight.view(conv.groups, -1, *conv.weight.shape[1:])  # (groups, outputs, inputs, height, width)
    bias = (weight * shift.view(inputs)).sum((2, 3, 4)).flatten()
    absorbed.weight = nn.Parameter((weight * scale.view(inputs)).reshape(conv.weight.shape))
    absorbed.bias = nn.Parameter(bias if conv.bias is None else conv.bias + bias)
    return absorbed


class Clamp(nn.Module):
    """Bounds its input where a ReLU after scale and shift would cut it off: below for a positive scale, else above."""

    low: Tensor
    high: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        bound = (-shift / scale)[:, None, None]
        positive = (scale > 0)[:, None, None]
        self.register_buffer("low", torch.where(positive, bound, -torch.inf))
        self.register_buffer("high", torch.where(positive, torch.inf, bound))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.clamp(maps, self.low, self.high)
