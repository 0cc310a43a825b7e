"""Parameters per module, by kind; a parameter counts once in every module that holds it."""

from functools import lru_cache
from typing import Any

from torch import nn

from archzoo.profiler._module_stats import ModuleStats

NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
Parameters = dict[int, tuple[str, int, bool]]  # by id: its kind, its number of elements, whether it is trainable


def count_parameters(stats: dict[nn.Module, ModuleStats]) -> None:
    """Add the parameters of each module, submodules included, to its statistics."""
    cache: dict[nn.Module, Parameters] = {}
    for module, module_stats in stats.items():
        for kind, count, trainable in _parameters(module, cache).values():
            module_stats.params += count
            module_stats.frozen += 0 if trainable else count
            if kind:
                setattr(module_stats, kind, getattr(module_stats, kind) + count)


def _parameters(module: nn.Module, cache: dict[nn.Module, Parameters]) -> Parameters:
    if module not in cache:
        parameters = cache[module] = {
            id(parameter): (kind_of(module, name), parameter.numel(), parameter.requires_grad)
            for name, parameter in module._parameters.items()
            if parameter is not None
        }
        for name, part in module._modules.items():
            if part is not None:
                parameters.update(_parameters(part, cache))
            if name == "parametrizations" and isinstance(part, nn.ModuleDict):
                for tensor, originals in part.items():  # the originals of a parametrized weight count as that weight
                    for key, (_, count, trainable) in _parameters(originals, cache).items():
                        parameters[key] = kind_of(module, tensor), count, trainable
    return cache[module]


def kind_of(module: nn.Module, name: str) -> str:
    """The attribute of ModuleStats that a module's own parameter counts in, or "" for none."""
    # A part of a graph from a file is none of torch's classes.
    kind: Any = type(module)
    return _kind(getattr(kind, "counts_as", kind), name)


@lru_cache(1024)
def _kind(layer: Any, name: str) -> str:
    if issubclass(layer, NORMALIZATIONS):
        return "norm_params"
    if name.endswith("bias"):
        return "biases"
    if issubclass(layer, nn.modules.conv._ConvNd):
        return "conv_params"
    return "linear_params" if issubclass(layer, nn.Linear | nn.Bilinear) else ""
