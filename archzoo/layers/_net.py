"""The class of every network, and the error that explains which images it takes."""

import copy
from bisect import bisect_left
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import InputError
from archzoo.layers._initializers import Initialize

LARGEST_SIDE = 256  # in pixels: up to here the smallest images that fit are searched for


class Net(nn.Module):
    """Features, then a classifier: images (N, C, H, W) to logits (N, num_classes).

    ``initialize`` is applied once to every module, unless the network is built on the meta device, where parameters
    have no values. Calling the network raises InputError for anything but a batch of images with the right number of
    channels and enough pixels.
    """

    def __init__(self, features: nn.Module, classifier: nn.Module, initialize: Initialize | None = None) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        if initialize is not None and not any(parameter.is_meta for parameter in self.parameters()):
            with torch.no_grad():
                for module in self.modules():
                    initialize(module)

    def forward(self, images: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self.logits(images)
        try:
            return self.logits(images)
        except (RuntimeError, ValueError) as error:
            raise_for_misfit(self, images, error)
            raise

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, C, H, W), with torch's own errors for images that do not fit."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def raise_for_misfit(net: nn.Module, images: Tensor, error: Exception) -> None:
    """Raise InputError, which says which images fit, if the shape of ``images`` is the cause of ``error``."""
    if images.dim() != 4:
        raise InputError(f"expected images (N, C, H, W), not a tensor of shape {tuple(images.shape)}") from error
    channels = next((module.in_channels for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if channels is None:
        return
    if images.shape[1] != channels:
        raise InputError(f"expected images of {channels} channels, not {images.shape[1]}") from error
    height, width = images.shape[2:]
    meta = _without_batch_norms(copy.deepcopy(net).to("meta").eval())
    if not _fits(meta, channels, height, width):
        smallest = _smallest_side(meta, channels)
        fitting = "" if smallest is None else f": the smallest are {smallest}x{smallest}"
        raise InputError(f"images of {height}x{width} do not fit{fitting}") from error


def _without_batch_norms(net: nn.Module) -> nn.Module:
    """The network without its batch norms, which change no shape and are slow on the meta device."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return net


def _smallest_side(net: nn.Module, channels: int) -> int | None:
    """Side of the smallest square images that fit, in pixels, or None if none up to LARGEST_SIDE do."""

    def fits(side: int) -> bool:
        return _fits(net, channels, side, side)

    powers_of_two = (2**exponent for exponent in range(LARGEST_SIDE.bit_length()))
    bound = next((side for side in powers_of_two if fits(side)), None)
    if bound is None:  # a network for images of one size
        return next((side for side in range(1, LARGEST_SIDE + 1) if fits(side)), None)
    sides = range(bound // 2 + 1, bound + 1)  # every side from the smallest on fits
    return sides[bisect_left(sides, True, key=fits)]


def _fits(net: Any, channels: int, height: int, width: int) -> bool:
    try:
        with torch.no_grad():
            net.classifier(net.features(torch.empty(1, channels, height, width, device="meta")))
    except (RuntimeError, ValueError):
        return False
    return True
