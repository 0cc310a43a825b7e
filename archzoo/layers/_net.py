"""The class of every network."""

import torch
from torch import Tensor, nn

from archzoo.errors import InputError
from archzoo.layers._initializers import Initialize
from archzoo.layers._misfits import explain_misfit


class Net(nn.Module):
    """Features, then a classifier: images (N, C, H, W) to logits (N, num_classes).

    ``initialize`` is applied once to every module, unless the network is built on the meta device, where parameters
    have no values. Calling the network raises InputError for anything but a batch of images with the right number of
    channels and enough pixels, with torch's error as its cause. Errors of hooks, of devices and for lack of memory
    come out as they are.
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
            reason = explain_misfit(self, images, error)
            if reason is None:
                raise
            raise InputError(reason) from error

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, C, H, W), with torch's own errors for images that do not fit."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
