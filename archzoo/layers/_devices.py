"""Where a network is."""

from itertools import chain

import torch
from torch import nn


def device_of(net: nn.Module) -> torch.device:
    """The device of a network's first parameter or buffer; the CPU for a network that has neither."""
    tensor = next(chain(net.parameters(), net.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device
