"""How much each layer of a trained DenseNet uses of every earlier one (DenseNet, Fig. 5)."""

import math
import re

import torch
from torch import Tensor, nn

from archzoo.errors import TransferError
from archzoo.layers import Net


def feature_reuse(net: Net) -> dict[str, Tensor]:
    """The average absolute weight from every layer to every later one, by dense block (DenseNet, Fig. 5).

    For each dense block of L layers a tensor (L + 1, L + 1): row 0 is the input of the block and row s its layer s,
    column l - 1 its layer l, and the last column what reads the whole block, a transition or the classifier; nan where
    a layer does not read another. Of a bottleneck it is the 1x1 convolution. Raises TransferError for other networks.
    """
    children = dict(net.features.named_children())
    blocks = [name for name in children if re.fullmatch(r"denseblock\d+", name)]
    if not blocks:
        raise TransferError("feature reuse is of DenseNets: this network has no dense blocks")
    tables = {}
    for name in blocks:
        layers = list(children[name].children())
        reader = children.get(name.replace("denseblock", "transition"), net.classifier)
        tables[name] = _table([_first_weight(layer) for layer in [*layers, reader]])
    return tables


def _table(weights: list[Tensor]) -> Tensor:
    """Average absolute weights, from the weights of all layers of a block and of what reads it."""
    first = weights[0].shape[1]
    k = weights[1].shape[1] - first
    table = torch.full((len(weights), len(weights)), math.nan)
    for column, weight in enumerate(weights):
        slices = torch.split(weight, [first, *[k] * column], dim=1)
        table[: column + 1, column] = torch.stack([part.abs().mean() for part in slices])
    return table


def _first_weight(part: nn.Module) -> Tensor:
    """The weights of the first layer that reads a part's input."""
    layer = next(module for module in part.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return layer.weight.detach()
