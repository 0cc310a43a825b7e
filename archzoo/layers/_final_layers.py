"""The final classification layer of a network: which it is, another one in its place, and none."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from archzoo.errors import TransferError


@dataclass(frozen=True)
class Form:
    """What a linear layer or convolution is, but for the number of its outputs."""

    kind: type[nn.Module]
    settings: dict[str, Any]

    @classmethod
    def of(cls, layer: nn.Module) -> "Form | None":
        """The form of a layer; None for one of another kind."""
        if isinstance(layer, nn.Linear):
            return cls(nn.Linear, {"in_features": layer.in_features, "bias": layer.bias is not None})
        if not isinstance(layer, nn.Conv2d):
            return None
        names = ("in_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        return cls(nn.Conv2d, {**{name: getattr(layer, name) for name in names}, "bias": layer.bias is not None})

    def layer(self, outputs: int, **where: Any) -> nn.Module:
        """A layer of this form, with weights of torch's own initialization."""
        name = "out_features" if self.kind is nn.Linear else "out_channels"
        return self.kind(**{name: outputs}, **self.settings, **where)


class NoClasses(nn.Identity):
    """An identity in the place of a final classification layer, of which it keeps the form."""

    def __init__(self, form: Form | None) -> None:
        super().__init__()
        self.form = form


def final_layers(classifier: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and modules of the layers that return logits: the main one, then those of auxiliary classifiers.

    Raises TransferError for a classifier without weights.
    """
    leaves = [(name, module) for name, module in classifier.named_modules() if not module._modules]
    left_out: list[tuple[str, nn.Module]] = [(name, module) for name, module in leaves if isinstance(module, NoClasses)]
    if left_out:
        return left_out
    learned = [(name, module) for name, module in leaves if module._parameters or _has_codes(module)]
    if not learned:
        raise TransferError("the classifier has no layer with weights, and so no final classification layer")
    last_of_each = {name.rpartition(".")[0]: (name, module) for name, module in learned}
    classes = _outputs(learned[-1][1])
    return [(name, module) for name, module in last_of_each.values() if _outputs(module) == classes]


def replace_final_layers(
    net: nn.Module, classifier: nn.Module, num_classes: int, initialize: Callable[[nn.Module], object] | None
) -> list[str]:
    """As ``Net.reset_classifier``; returns names within the classifier."""
    if num_classes < 0:
        raise TransferError(f"num_classes must be at least 1, or 0 for no final layer, not {num_classes}")
    finals = final_layers(classifier)
    for _, module in finals:
        _check_replaceable(module, num_classes)
    for name, module in finals:
        parent, _, child = name.rpartition(".")
        new = _new_layer(module, num_classes, net, initialize) if num_classes else NoClasses(_form_of(module))
        setattr(classifier.get_submodule(parent), child, new.train(module.training))
    return [name for name, _ in finals]


def _check_replaceable(module: nn.Module, num_classes: int) -> None:
    if _form_of(module) is not None or (not num_classes and (_has_codes(module) or isinstance(module, NoClasses))):
        return
    if isinstance(module, NoClasses):
        raise TransferError(
            "the final layer was no linear layer or convolution, and is left out: build the network anew"
        )
    raise TransferError(
        f"the network ends in {type(module).__name__}, not in a linear layer or convolution that can be replaced"
    )


def _new_layer(
    old: nn.Module, outputs: int, net: nn.Module, initialize: Callable[[nn.Module], object] | None
) -> nn.Module:
    form, like = _form_of(old), next(chain(old.parameters(), net.parameters()), torch.empty(0))
    assert form is not None
    new = form.layer(outputs, device=like.device, dtype=like.dtype)
    if initialize is not None:
        with torch.no_grad():
            initialize(new)
    return new


def _form_of(module: nn.Module) -> Form | None:
    return module.form if isinstance(module, NoClasses) else Form.of(module)


def _has_codes(module: nn.Module) -> bool:
    """Whether the outputs are distances to fixed codes (LeNet-5), which no other layer can replace."""
    return bool(module._buffers) and not module._parameters and not isinstance(module, _BatchNorm)


def _outputs(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return layer.out_channels if isinstance(layer, nn.Conv2d) else None
