"""Tensors of other kinds than a network has: converted where nothing is lost, and refused where something would be."""

from collections.abc import Mapping

import torch
from torch import Tensor

from archzoo.errors import WeightsError

EXACT = 1 << 53  # integers up to here are exact in float64, in which values are compared


def dense(state: Mapping[str, Tensor], source: str, allowed: int | None = None) -> dict[str, Tensor]:
    """A state dict of plain tensors in memory: sparse ones are filled with zeros, quantized ones become floats.

    Raises WeightsError for a tensor without values, for one that cannot be converted, and where all of them together
    would have more than ``allowed`` bytes.
    """
    claimed = sum(_bytes(tensor) for tensor in state.values() if not tensor.is_nested)
    if allowed is not None and claimed > allowed:
        raise WeightsError(f"{source} has tensors of {claimed:,} bytes, far more than the file itself")
    return {name: _plain(name, tensor, source) for name, tensor in state.items()}


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * max(tensor.element_size(), 1)


def _plain(name: str, tensor: Tensor, source: str) -> Tensor:
    if tensor.is_meta:
        raise WeightsError(f"{source}: {name} has no values: it was on the meta device")
    tensor = tensor.detach()
    try:
        if tensor.is_nested:
            raise NotImplementedError
        if tensor.is_quantized:
            return tensor.dequantize()
        if tensor.layout != torch.strided:
            return tensor.to_dense()
        return tensor.resolve_conj().resolve_neg()
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        kind = "nested" if tensor.is_nested else f"{tensor.layout} {tensor.dtype}".removeprefix("torch.strided ")
        raise WeightsError(f"{source}: {name} is a {kind} tensor, which cannot be converted") from error


def exactly(tensor: Tensor, dtype: torch.dtype) -> Tensor | None:
    """The same values as another dtype, or None where that changes one of them."""
    if tensor.dtype == dtype:
        return tensor
    try:
        if tensor.is_complex() and not dtype.is_complex:
            return exactly(tensor.real, dtype) if not tensor.imag.any() else None
        if tensor.is_floating_point() and _is_wider(dtype, tensor.dtype):
            return tensor.to(dtype)
        values = tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
        integers = not (tensor.is_floating_point() and dtype.is_floating_point) and not tensor.is_complex()
        if integers and not (values.abs() <= EXACT).all():
            return None
        converted = tensor.to(dtype)
        back = converted.to(values.dtype)
        same = (back == values) | (back.isnan() & values.isnan())
    except (RuntimeError, NotImplementedError, TypeError):  # a dtype without arithmetic, such as of four bits
        return None
    return converted if bool(same.all()) else None


def _is_wider(dtype: torch.dtype, than: torch.dtype) -> bool:
    """Whether every number of a floating dtype of 8 or 16 bits, or of float32, is one of a wider dtype."""
    return dtype in (torch.float32, torch.float64) and dtype.itemsize > than.itemsize


def inexact(name: str, tensor: Tensor, dtype: torch.dtype) -> str:
    """Why a tensor is refused."""
    return f"{name} {_short(tensor.dtype)}, with values that {_short(dtype)} does not have"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
