"""What torch wraps around a network."""

from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside of ``torch.compile``, ``DataParallel``, ``DistributedDataParallel`` or ``AveragedModel``."""
    inner = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
    inner |= {"AveragedModel": "module"}
    while type(model).__name__ in inner and type(model).__module__.startswith("torch."):
        model = model.get_submodule(inner[type(model).__name__])
    return model
