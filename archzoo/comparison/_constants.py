"""Integers that a network holds, such as the index of a layer that selects channels: their values are known."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only


def integers_of(model: nn.Module) -> dict[str, Tensor]:
    """The buffers of integers or truth values, by name: they are part of the function."""
    buffers = dict(model.named_buffers())
    return {name: tensor for name, tensor in buffers.items() if not (tensor.is_floating_point() or tensor.is_complex())}


class Constants:
    """The values of tensors, by identity, where they are known. They stand for tensors of the meta device."""

    def __init__(self) -> None:
        self._values: dict[int, Tensor] = {}

    def hold(self, tensor: Tensor, values: Tensor) -> None:
        """Remember the values of a tensor, which the caller keeps alive."""
        self._values[id(tensor)] = values

    def of(self, tensor: Tensor) -> Tensor | None:
        """The values of a tensor, or None where they are not known."""
        return self._values.get(id(tensor))

    def derive(self, call: Callable[[dict[str, Any]], Any], arguments: dict[str, Any], out: Any) -> None:
        """Compute what a call makes of known values alone, such as a part of an index."""
        tensors = [leaf for leaf in tree_flatten(arguments)[0] if isinstance(leaf, Tensor)]
        known = [self.of(tensor) is not None for tensor in tensors]
        if not any(known) or any(tensor.is_meta and not value for tensor, value in zip(tensors, known, strict=True)):
            return
        where = {"device": torch.device("cpu")} if arguments.get("device") is not None else {}
        values = call(tree_map_only(Tensor, self._known, arguments) | where)
        for tensor, value in zip(tree_flatten(out)[0], tree_flatten(values)[0], strict=True):
            if isinstance(tensor, Tensor):
                self.hold(tensor, value)

    def _known(self, tensor: Tensor) -> Tensor:
        values = self.of(tensor)
        return tensor if values is None else values
