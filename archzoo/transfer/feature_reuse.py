"""How much each layer of a trained DenseNet uses of every earlier one (DenseNet, Fig. 5)."""

import math
import re

import torch
from torch import Tensor, nn

from archzoo.layers import Net


def feature_reuse(net: Net) -> dict[str, Tensor]:
    """The average absolute weight from every layer to every later one, block by block.

    For each dense block of L layers a tensor (L + 1, L + 1): row 0 is what the block was given and row s its layer s,
    column l - 1 its layer l, and the last column what reads the whole block, a transition or the classifier; nan where
    a layer does not read another. Of a bottleneck it is the 1x1 convolution. Raises ValueError for other networks.
    """
    names = dict(net.features.named_children())
    blocks = [name for name in names if re.fullmatch(r"denseblock\d+", name)]
    if not blocks:
        raise ValueError("feature reuse is of DenseNets: this network has no dense blocks")
    found = {}
    for name in blocks:
        layers = list(names[name].children())
        after = names.get(name.replace("denseblock", "transition"), net.classifier)
        readers = [_reader(layer) for layer in [*layers, after]]
        first = readers[0].shape[1]
        k = readers[1].shape[1] - first
        table = torch.full((len(layers) + 1, len(layers) + 1), math.nan)
        for column, weight in enumerate(readers):
            sizes = [first, *[k] * column]
            table[: column + 1, column] = torch.stack([part.abs().mean() for part in torch.split(weight, sizes, dim=1)])
        found[name] = table
    return found


def _reader(part: nn.Module) -> Tensor:
    """The weights of the first layer that reads a part's input."""
    layer = next(one for one in part.modules() if isinstance(one, nn.Conv2d | nn.Linear))
    return layer.weight.detach()
