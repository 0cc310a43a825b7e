"""Operators that read values, on tensors without values: what they return where nothing is padded or masked."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily

aten = torch.ops.aten


def unaligned(*_: Any) -> bool:
    """``TransformerEncoder`` leaves padding out if all of it is on the right, which no shape tells."""
    return False


def pack(x: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
    """``pack_padded_sequence``: the elements of all sequences, and how many sequences have each step."""
    batch, steps = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
    known = _values(lengths) or [steps] * batch
    sizes = [sum(length > step for length in known) for step in range(max(known))]
    return x.new_empty((sum(sizes), *x.shape[2:])), _real(sizes)


def unpack(data: Tensor, batch_sizes: Tensor, batch_first: bool, value: Any, total: int = -1) -> tuple[Tensor, Tensor]:
    """``pad_packed_sequence``: the padded sequences and their lengths."""
    sizes = _values(batch_sizes) or [len(data) // len(batch_sizes)] * len(batch_sizes)
    batch, steps = sizes[0], max(total, len(sizes))
    lengths = [sum(size > index for size in sizes) for index in range(batch)]
    first = (batch, steps) if batch_first else (steps, batch)
    return data.new_empty((*first, *data.shape[1:])), _real(lengths)


def _values(tensor: Tensor) -> list[int]:
    """The values of a tensor, or an empty list if it has none."""
    try:
        return [int(value) for value in tensor.tolist()]
    except (RuntimeError, NotImplementedError):
        return []


def _real(values: list[int]) -> Tensor:
    """A tensor that has values, also among fake ones: recurrent layers read them."""
    with unset_fake_temporarily():
        return torch.tensor(values, dtype=torch.int64)


VALUE_READERS: dict[Any, Callable[..., Any]] = {
    aten._nested_tensor_from_mask_left_aligned: unaligned,
    aten._pack_padded_sequence: pack,
    aten._pad_packed_sequence: unpack,
}
