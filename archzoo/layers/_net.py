"""The class of every network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from archzoo.errors import InputError
from archzoo.layers._backbone import Backbone, backbone_of
from archzoo.layers._final_layers import final_layers, replace_final_layers
from archzoo.layers._graphs import is_scripting
from archzoo.layers._initializers import Initialize
from archzoo.layers._misfits import check_batch, explain_misfit
from archzoo.layers._summary import as_html, as_line


class Net(nn.Module):
    """Features, then a classifier: images (N, C, H, W) to logits (N, num_classes).

    ``initialize`` is applied once to every module, unless the network is built on the meta device, where parameters
    have no values. Calling the network raises InputError for anything but a batch of images with the right number of
    channels and enough pixels, and for images of another dtype or on another device where the network cannot compute
    with them, with torch's error as its cause. Other errors of devices, those of hooks and for lack of memory come out
    as they are.

    Attributes:
        name: The registered name that it was built by; "" for one that a constructor built.
        options: Its options that differ from the defaults of that name: ``archzoo.build(net.name, **net.options)``
            builds another one.
        input_size: The input size of its paper, (channels, height, width), with its own number of channels; None
            without a name.
    """

    __jit_ignored_attributes__: ClassVar = ["name", "options", "input_size"]
    name: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 (never changed: a network with a name has its own)
    input_size: tuple[int, ...] | None = None

    def __init__(self, features: nn.Module, classifier: nn.Module, initialize: Initialize | None = None) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier
        if initialize is not None and not any(parameter.is_meta for parameter in self.parameters()):
            with torch.no_grad():
                for module in self.modules():
                    initialize(module)

    def named(self, name: str, options: Mapping[str, Any], input_size: tuple[int, ...] | None) -> "Net":
        """This network, which says from here on that it is the one of this name, with options but the defaults."""
        self.name, self.options, self.input_size = name, dict(options), input_size
        return self

    def forward(self, images: Tensor) -> Tensor:
        if not is_scripting():
            check_batch(images)
        if is_scripting() or torch.compiler.is_compiling():
            return self.logits(images)
        logits: Tensor = self._explained(self.logits, images)
        return logits

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes) of images (N, C, H, W), with torch's own errors for images that do not fit."""
        logits: Tensor = self.classifier(self.features(images))
        return logits

    def forward_features(self, images: Tensor) -> Tensor:
        """Feature maps (N, channels, h, w) of images (N, C, H, W), which the classifier reads."""
        check_batch(images)
        maps: Tensor | tuple[Tensor, ...] = self._explained(self.features, images)
        return maps[0] if isinstance(maps, tuple) else maps

    @torch.jit.unused
    def _explained(self, run: Callable[[Tensor], Any], images: Tensor) -> Any:
        """What ``run`` returns. Raises InputError for images that do not fit."""
        try:
            return run(images)
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            reason = explain_misfit(self, images, error)
            if reason is None:
                raise
            raise InputError(reason) from error

    def backbone(self, out_indices: Sequence[int] | None = None) -> Backbone:
        """The network without its classifier, which returns the feature maps of several stages as a list.

        It shares all parameters with this network, and their names. A stage is the last part before a larger stride;
        ``Backbone.stages`` has the name, the channels and the stride of each.

        Args:
            out_indices: Which stages: indices from 0, or from -1 for the last. All by default. Raises BadOption if
                there is no such stage.
        """
        return backbone_of(self.features, self.input_size, out_indices)

    def get_classifier(self) -> nn.Module:
        """The final classification layer. An identity where there is none: ``num_classes=0``."""
        return final_layers(self.classifier)[0][1]

    def reset_classifier(self, num_classes: int, initialize: Callable[[nn.Module], object] | None = None) -> list[str]:
        """Replace the final classification layer by one for ``num_classes`` classes, in place.

        With 0 classes it is left out: the network returns what that layer reads. Auxiliary classifiers (GoogLeNet) are
        replaced too. The new layers have the device and dtype of the old ones and require gradients. ``initialize``
        sets their parameters; torch's own initialization is the default.

        Returns the names of the new layers. Raises TransferError for a negative number, and where the network does not
        end in a linear layer or convolution (LeNet-5), which can be left out alone.
        """
        replaced = replace_final_layers(self, self.classifier, num_classes, initialize)
        if self.name:
            self.options = {**self.options, "num_classes": num_classes}
        return [f"classifier.{name}" for name in replaced]

    def __repr__(self) -> str:
        parts, head = super().__repr__(), f"{type(self).__name__}("
        return parts.replace(head, f"{head}\n  {as_line(self)}", 1) if self.name else parts

    def _repr_html_(self) -> str:
        return as_html(self)
