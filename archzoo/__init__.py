"""Classic convolutional networks, each as its paper describes it: build, profile, audit and train them.

>>> import archzoo
>>> net = archzoo.build("densenet_bc", k=12)
>>> archzoo.profile(net, (3, 32, 32)).params
769162

Nothing here imports PyTorch before it is needed.
"""

from typing import TYPE_CHECKING, Any, Literal, cast

from archzoo.errors import ArchzooError, BadOption, UnknownName
from archzoo.registry import Entry, find, names

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from archzoo.auditor import AuditResult
    from archzoo.comparison import Equivalence
    from archzoo.layers import Net
    from archzoo.profiler import Profile

__version__ = "0.1.0"
__all__ = [
    "ArchzooError",
    "BadOption",
    "Entry",
    "UnknownName",
    "audit",
    "build",
    "find",
    "load",
    "names",
    "profile",
    "same",
]


def build(
    name: str,
    /,
    *,
    weights: "str | Path | None" = None,
    device: "torch.device | str | None" = None,
    adapt_input: Literal["sum", "mean"] | None = None,
    trained_as: str | None = None,
    **options: Any,
) -> "Net":
    """A new network by name, with its paper's options by default.

    Args:
        name: A registered name, in any spelling: ``densenet_bc``, ``VGG16``.
        weights: Pretrained weights: "torchvision", "timm", one of their sets such as "torchvision:IMAGENET1K_V2", or a
            file or folder: safetensors, what ``torch.save`` wrote, or the index of a checkpoint in several files. They
            set the options that they need. Another ``num_classes`` than theirs gives a new last layer, with a warning.
        device: Where the parameters are created. On "meta" they have shapes and no values, which takes milliseconds.
        adapt_input: How the first layer's weights are adapted to another ``in_channels`` than they were trained on: by
            their "sum" or "mean" over the channels.
        trained_as: The name of this network, for a file with the tensors of a published network that computes another
            function: torchvision's ResNet-50 has the tensors of the paper's, and strides elsewhere.
        **options: The options of the network's constructor: see ``archzoo.find(name).options``.

    Raises:
        UnknownName: If no network has this name.
        BadOption: If an option does not exist or its value does not fit, if the weights are those of another network,
            and for more than a billion parameters or 10,000 layers: the environment variables ARCHZOO_MAX_PARAMETERS
            and ARCHZOO_MAX_LAYERS set other bounds.
        DeviceError: If the machine does not have the device.
        WeightsError: If a weights file cannot be read or does not fit.
    """
    entry = find(name)
    if device is not None:
        from archzoo.layers import checked_device

        device = checked_device(device)
    if adapt_input is not None and weights is None:
        raise BadOption(f"adapt_input={adapt_input!r} adapts pretrained weights: give weights too, or leave it out")
    if weights is not None:
        from archzoo.weights import build_pretrained

        net = build_pretrained(entry, weights, options, adapt_input, trained_as=trained_as)
        return net if device is None else net.to(device)
    if device is None:
        return cast("Net", entry.build(**options))

    import torch

    with torch.device(device):
        return cast("Net", entry.build(**options))


def load(path: "str | Path") -> "Net":
    """The network in a safetensors file that ``archzoo.weights.save`` wrote, rebuilt from its metadata."""
    from archzoo.weights import load

    return load(path)


def profile(model: "torch.nn.Module", input_size: Any, *, batch: int | None = None) -> "Profile":
    """The costs of any model for one input of size (channels, height, width): see ``archzoo.profiler.profile``.

    A list of sizes or example tensors stands for several inputs, a dict for inputs by name. Raises ProfileError.
    """
    from archzoo.profiler import profile

    return profile(model, input_size, batch=batch)


def same(a: "torch.nn.Module | str | Path", b: "torch.nn.Module | str | Path", input_size: Any = None) -> "Equivalence":
    """Whether two networks are the same function for any weights: see ``archzoo.comparison.same``.

    Each is a module, a name, ``file.py:Net``, whose code runs, or a weights file that says what it is. Raises
    ComparisonError.
    """
    from archzoo.comparison import same

    return same(a, b, input_size)


def audit(pattern: str = "*") -> "list[AuditResult]":
    """One verdict for each number that the papers print about matching networks: see ``archzoo.auditor.audit``."""
    from archzoo.auditor import audit

    return audit(pattern)
