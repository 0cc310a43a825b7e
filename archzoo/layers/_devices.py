"""Where a network is."""

from itertools import chain

import torch
from torch import nn

from archzoo.errors import DeviceError
from archzoo.options import shown


def device_of(net: nn.Module) -> torch.device:
    """The device of a network's first parameter or buffer; the CPU for a network that has neither."""
    tensor = next(chain(net.parameters(), net.buffers()), None)
    return torch.device("cpu") if tensor is None else tensor.device


def checked_device(device: torch.device | str) -> torch.device:
    """A device as torch has it. Raises DeviceError for one that there is not on this machine."""
    try:
        checked = torch.device(device)
        torch.empty(0, device=checked)
    except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or ["unknown"])[0]
        raise DeviceError(f"there is no device {shown(device)} on this machine: {reason[:200]}") from error
    return checked
