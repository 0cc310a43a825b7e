"""The classic convolutional networks, each as its paper describes it, counted and audited.

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
    from archzoo.layers import Net
    from archzoo.profiler import Profile

__version__ = "0.1.0"
__all__ = ["ArchzooError", "BadOption", "Entry", "UnknownName", "audit", "build", "find", "load", "names", "profile"]


def build(
    name: str,
    /,
    *,
    weights: "str | Path | None" = None,
    device: "torch.device | str | None" = None,
    adapt_input: Literal["sum", "mean"] | None = None,
    **options: Any,
) -> "Net":
    """A new network by name, with its paper's options unless others are given.

    ``weights`` are trained ones: a library's ("torchvision", "timm", or one of their sets, such as
    "torchvision:IMAGENET1K_V2"), which set the options that they need, or a file (.safetensors, .pth). For another
    number of ``in_channels`` than they were trained on, ``adapt_input`` says how the first layer's filters are adapted:
    by their "sum" or "mean" over channels. For another ``num_classes`` the last layer is new, with a warning.

    ``device`` is where its parameters are made; on "meta" they have shapes and no values, which takes milliseconds.
    Raises UnknownName or BadOption, each with what would be right, and WeightsError for files that do not fit.
    """
    entry = find(name)
    if weights is not None:
        from archzoo.weights import build_pretrained

        net = build_pretrained(entry, weights, options, adapt_input)
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
    """What any model costs for one input, (channels, height, width), part by part: see ``archzoo.profiler.profile``.

    Lists of sizes or example tensors are several inputs, dicts are inputs by name. Raises ProfileError, a ValueError.
    """
    from archzoo.profiler import profile

    return profile(model, input_size, batch=batch)


def audit(pattern: str = "*") -> "list[AuditResult]":
    """One verdict for each number that the papers print about the networks of these names: see ``archzoo.auditor``."""
    from archzoo.auditor import audit

    return audit(pattern)
