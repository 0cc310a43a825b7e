"""Whose parameters are whose, and of which kind: each once, in every module that holds it."""

from torch import nn

from archzoo.profiler.rows import Row

NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
Parameters = dict[int, tuple[str, int, bool]]  # by identity: the column it counts in, how many, whether it learns


def count_parameters(rows: dict[nn.Module, Row]) -> None:
    """Add to each module's row its parameters and those inside it."""
    inside: dict[nn.Module, Parameters] = {}
    for module, row in rows.items():
        for column, count, learns in _parameters(module, inside).values():
            row.params += count
            row.frozen += 0 if learns else count
            if column:
                setattr(row, column, getattr(row, column) + count)


def _parameters(module: nn.Module, inside: dict[nn.Module, Parameters]) -> Parameters:
    if module not in inside:
        found = inside[module] = {
            id(each): (kind_of(module, name), each.numel(), each.requires_grad)
            for name, each in module._parameters.items()
            if each is not None
        }
        for name, part in module._modules.items():
            if part is not None:
                found.update(_parameters(part, inside))
            if name == "parametrizations" and isinstance(part, nn.ModuleDict):
                for tensor, originals in part.items():  # what a weight is made of counts as that weight
                    for key, (_, count, learns) in _parameters(originals, inside).items():
                        found[key] = kind_of(module, tensor), count, learns
    return inside[module]


def kind_of(module: nn.Module, name: str) -> str:
    """The column of a row in which a module's parameter counts; empty where it has none of its own."""
    if isinstance(module, NORMALIZATIONS):
        return "norm_params"
    if name.endswith("bias"):
        return "biases"
    if isinstance(module, nn.modules.conv._ConvNd):
        return "conv_params"
    return "linear_params" if isinstance(module, nn.Linear | nn.Bilinear) else ""
