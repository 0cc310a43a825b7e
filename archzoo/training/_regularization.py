"""Regularizers applied to any network. State dicts keep their names."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import RecipeError
from archzoo.layers import LearnedGroupConv, Net
from archzoo.recipes import DropConnect, Dropout, DropPath, FractionalMaxPooling, GroupLasso, Regularizer
from archzoo.training._stochastic_layers import DropConnectLinear, FractionalMaxPool2d, PathDropout


def regularize(net: Net, regularizers: Sequence[Regularizer]) -> list[str]:
    """Apply regularizers to a network in place, and return the names of the changed modules.

    Where a training before this one has applied them, they are not applied twice.

    Raises RecipeError for one that does not fit the network.
    """
    changed: list[str] = []
    for regularizer in regularizers:
        if type(regularizer) not in APPLY:
            known = ", ".join(kind.__name__ for kind in APPLY)
            raise RecipeError(f"a regularizer must be one of {known}, not {regularizer!r}")
        changed += APPLY[type(regularizer)](net, regularizer)
    return changed


def drop_connect(net: Net, regularizer: DropConnect) -> list[str]:
    """Drop single weights of all linear layers before the last, or of the last where it is the only one."""
    layers = [(name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise RecipeError("DropConnect is for linear layers, and the network has none")
    chosen = layers[:-1] or layers
    for _, layer in chosen:
        layer.__class__ = DropConnectLinear
        layer.p = regularizer.p  # type: ignore[assignment]
    return [name for name, _ in chosen]


def drop_path(net: Net, regularizer: DropPath) -> list[str]:
    """Drop residual branches, with a probability that grows linearly from the first block to ``p`` at the last."""
    blocks = [(name, module) for name, module in net.named_modules() if _is_residual(module)]
    if not blocks or any(hasattr(block, "survival") for _, block in blocks):
        raise RecipeError("DropPath is for residual networks that have no stochastic depth of their own")
    for number, (_, block) in enumerate(blocks, 1):
        block.layers.add_module("drop_path", PathDropout(regularizer.p * number / len(blocks)))
    return [name for name, _ in blocks]


def _is_residual(module: nn.Module) -> Any:
    has_branch = isinstance(getattr(module, "layers", None), nn.Sequential)
    return has_branch and getattr(module, "shortcut", module) is not None


def dropout(net: Net, regularizer: Dropout) -> list[str]:
    """Apply dropout to the input of the last linear layer."""
    names = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    if not names:
        raise RecipeError("Dropout stands before a linear layer, and the network has none")
    layer = net.get_submodule(names[-1])
    earlier = [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, _InputDropout)]
    for hook in earlier:  # of a training before this one
        hook.p = regularizer.p
    if not earlier:
        layer.register_forward_pre_hook(_InputDropout(regularizer.p))
    return names[-1:]


class _InputDropout:
    """A hook rather than a module: the layers keep their names in the state dict."""

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return F.dropout(inputs[0], self.p, layer.training)


def fractional_max_pooling(net: Net, regularizer: FractionalMaxPooling) -> list[str]:
    """Replace every max pooling with a stride by a fractional one of the same output size."""
    modules = dict(net.named_modules())
    changed = [name for name, module in modules.items() if isinstance(module, FractionalMaxPool2d)]
    within = {f"{name}.pool" for name in changed}
    pools = {
        name: module
        for name, module in modules.items()
        if isinstance(module, nn.MaxPool2d) and module.stride != 1 and name not in within
    }
    if not pools and not changed:
        raise RecipeError("FractionalMaxPooling is for networks with max pooling, and this one has none")
    for name, pool in pools.items():
        parent, _, child = name.rpartition(".")
        setattr(net.get_submodule(parent), child, FractionalMaxPool2d(pool))
    return [*changed, *pools]


def group_lasso(net: Net, regularizer: GroupLasso) -> list[str]:
    """Have each learned group convolution add the gradient of a group lasso to that of its weights."""
    layers = [(name, layer) for name, layer in net.named_modules() if isinstance(layer, LearnedGroupConv)]
    if not layers:
        raise RecipeError(
            "GroupLasso is for networks that learn groups, and this one does not: build it with form='training'"
        )
    for _, layer in layers:
        layer.lasso = regularizer.factor
    return [name for name, _ in layers]


APPLY: dict[type[Regularizer], Callable[[Net, Any], list[str]]] = {
    DropConnect: drop_connect,
    DropPath: drop_path,
    Dropout: dropout,
    FractionalMaxPooling: fractional_max_pooling,
    GroupLasso: group_lasso,
}


def limit_filters(net: nn.Module, limit: float) -> None:
    """Scale each filter of a convolution whose root mean square exceeds ``limit`` back to it (ZFNet, Sec. 3)."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                rms = layer.weight.square().mean((1, 2, 3), keepdim=True).sqrt()
                layer.weight.mul_((limit / rms.clamp(min=1e-12)).clamp(max=1.0))
