"""Parts of a network by name."""

import difflib

from torch import nn

from archzoo.errors import UnknownPart


def find_part(net: nn.Module, name: str) -> nn.Module:
    """The part of a network with this name, as in its state dict. Raises UnknownPart with the nearest names."""
    parts: dict[str, nn.Module] = dict(net.named_modules())
    if name not in parts:
        near = difflib.get_close_matches(name, parts, n=3, cutoff=0.5) or [part for part in parts if part][:3]
        raise UnknownPart(f"the network has no part {name!r}: did you mean {' or '.join(map(repr, near))}?")
    return parts[name]
