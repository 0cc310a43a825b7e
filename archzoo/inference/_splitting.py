"""Batch norms that run other modules behind themselves, taken apart.

timm's ``BatchNormAct2d`` is one: a batch norm whose forward ends with its children, dropout and an activation. Which
class it is does not matter: its code is traced.
"""

import copy
import inspect
from collections.abc import Mapping
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, fx, nn

from archzoo.inference._structure import is_modified, replace_modules

NORM = "batch_norm"
HOLDERS = ("running_mean", "running_var", "weight", "bias")


class NormThen(nn.Module):
    """A batch norm, and the modules that follow it, under their own names."""

    def __init__(self, norm: nn.BatchNorm2d, children: Mapping[str, nn.Module | None], order: list[str]) -> None:
        super().__init__()
        self.order = order
        for name, child in {**children, NORM: norm}.items():
            self.add_module(name, child)

    def forward(self, maps: Tensor) -> Tensor:
        for name in (NORM, *self.order):
            maps = self.get_submodule(name)(maps)
        return maps

    @property
    def is_folded(self) -> bool:
        """Whether something else has taken the place of the batch norm."""
        return not isinstance(self.get_submodule(NORM), nn.BatchNorm2d)


def split_norms(net: nn.Module) -> dict[NormThen, nn.Module]:
    """Take the batch norms of a network in eval mode apart, in place: what is there in their places, and themselves."""
    splits = {module: split for module in net.modules() if (split := split_norm(module)) is not None}
    replace_modules(net, splits)
    return {split: module for module, split in splits.items()}


def join_norms(net: nn.Module, splits: Mapping[NormThen, nn.Module]) -> None:
    """Put those back that nothing was folded from, so that their parameters have the names that they had."""
    replace_modules(net, {split: module for split, module in splits.items() if not split.is_folded})


def split_norm(module: nn.Module) -> NormThen | None:
    """A batch norm and its children that compute what a subclass of BatchNorm2d computes in eval mode.

    None for any other module, and for one that computes something else, or that hooks or parametrizations change.
    """
    if not isinstance(module, nn.BatchNorm2d) or type(module).forward is nn.BatchNorm2d.forward:
        return None
    if is_modified(module) or NORM in module._modules or not module.track_running_stats:
        return None
    order = modules_behind(module)
    return None if order is None else NormThen(plain_norm(module), module._modules, order).eval()


def plain_norm(module: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """A BatchNorm2d with the tensors of a subclass."""
    norm = nn.BatchNorm2d(module.num_features, module.eps, module.momentum, module.affine, device="meta")
    norm._parameters, norm._buffers = dict(module._parameters), dict(module._buffers)
    return norm.eval()


def modules_behind(module: nn.BatchNorm2d) -> list[str] | None:
    """The children that run one after another behind the batch norm; None where that is not all that is computed."""
    try:
        graph = ChildTracer().trace(without_checks(module))
    except Exception:  # whatever the code of a module raises for values that are not there
        return None
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    node = next(reversed(graph.nodes)).args[0]
    order: list[str] = []
    while isinstance(node, fx.Node) and node.op == "call_module" and len(node.args) == 1 and not node.kwargs:
        order.insert(0, str(node.target))
        node = node.args[0]
    is_norm = len(inputs) == 1 and isinstance(node, fx.Node) and node.target is F.batch_norm
    return order if is_norm and computes_norm(module, cast(fx.Node, node), inputs[0]) else None


def computes_norm(module: nn.BatchNorm2d, node: fx.Node, maps: fx.Node) -> bool:
    """Whether a call of ``batch_norm`` reads the maps and the module's own tensors, in eval mode."""
    arguments: dict[str, Any] = inspect.signature(F.batch_norm).bind(*node.args, **node.kwargs).arguments
    names = [getattr(arguments.get(holder), "target", None) for holder in HOLDERS]
    expected = [holder if getattr(module, holder) is not None else None for holder in HOLDERS]
    is_plain = not arguments.get("training") and arguments.get("eps", 1e-5) == module.eps
    return arguments["input"] is maps and names == expected and is_plain


def without_checks(module: nn.BatchNorm2d) -> nn.Module:
    """The same module in eval mode without the check of its input, which no trace passes."""
    checked: Any = copy.copy(module)
    checked.__dict__["_check_input_dim"] = lambda maps: None
    checked.training = False
    return cast(nn.Module, checked)


class ChildTracer(fx.Tracer):
    """Records what a module calls, and nothing inside of its children."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True
