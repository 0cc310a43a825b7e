"""Layers of one network that start from those of another."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from archzoo.errors import TransferError


def copy_layers(net: nn.Module, state: Mapping[str, Tensor], layers: Sequence[str]) -> None:
    """Copy all tensors of these layers from another network's state dict into ``net``.

    Raises TransferError, and copies nothing, if a tensor is in one of the two networks alone or the shapes differ.
    """
    own = net.state_dict()
    copied = [name for name in own | dict(state) if name.rpartition(".")[0] in layers]
    for layer in layers:
        if not any(name.rpartition(".")[0] == layer for name in copied):
            raise TransferError(f"neither network has a layer {layer!r} with parameters")
    for name in copied:
        ours, theirs = (tuple(side[name].shape) if name in side else None for side in (own, state))
        if ours is None or ours != theirs:
            raise TransferError(f"{name} is {_spell(theirs)} in the other network and {_spell(ours)} in this one")
    with torch.no_grad():
        for name in copied:
            own[name].copy_(state[name])


def _spell(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(shape)
