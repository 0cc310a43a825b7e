"""The classic convolutional networks, each as its paper describes it, counted and audited.

>>> import archzoo
>>> net = archzoo.build("densenet_bc", k=12)
>>> archzoo.profile(net, (3, 32, 32)).params
769162

Nothing here imports PyTorch before it is needed.
"""

from typing import TYPE_CHECKING, Any, cast

from archzoo.registry import ArchzooError, BadOption, Entry, UnknownName, find, names

if TYPE_CHECKING:
    import torch

    from archzoo.auditor import Finding
    from archzoo.layers import Net
    from archzoo.profiler import Profile

__version__ = "0.1.0"
__all__ = ["ArchzooError", "BadOption", "Entry", "UnknownName", "audit", "build", "find", "names", "profile"]


def build(
    name: str, /, *, weights: str | None = None, device: "torch.device | str | None" = None, **options: Any
) -> "Net":
    """A new network by name, with its paper's options unless others are given.

    ``device`` is where its parameters are made; on "meta" they have shapes and no values, which takes milliseconds.
    Raises UnknownName or BadOption, each with what would be right. Pretrained ``weights`` are not available yet:
    anything but None raises BadOption.
    """
    entry = find(name)
    if weights is not None:
        raise BadOption(f"{entry.name}: weights={weights!r}: pretrained weights are not available yet")
    if device is None:
        return cast("Net", entry.build(**options))

    import torch

    with torch.device(device):
        return cast("Net", entry.build(**options))


def profile(model: "torch.nn.Module", input_size: Any, *, batch: int | None = None) -> "Profile":
    """What any model costs for one input, (channels, height, width), part by part: see ``archzoo.profiler.profile``.

    Lists of sizes or example tensors are several inputs, dicts are inputs by name. Raises ProfileError, a ValueError.
    """
    from archzoo.profiler import profile

    return profile(model, input_size, batch=batch)


def audit(pattern: str = "*") -> "list[Finding]":
    """One verdict for each number that the papers print about the networks of these names: see ``archzoo.auditor``."""
    from archzoo.auditor import audit

    return audit(pattern)
