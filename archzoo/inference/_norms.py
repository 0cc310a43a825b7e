"""Batch norms of other maps, or of the same in another order."""

import copy

from torch import Tensor, nn


def norm_of_maps(norm: nn.BatchNorm2d, index: Tensor) -> nn.BatchNorm2d:
    """A batch norm of the maps at ``index``, each with the values that it had."""
    selected = copy.deepcopy(norm)
    selected.num_features = len(index)
    for name, values in norm.state_dict().items():
        if values.dim():
            getattr(selected, name).data = values[index]
    return selected
