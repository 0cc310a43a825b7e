"""Operators that read values, on tensors without values: what they return where nothing is padded, masked or invalid.

Those that make nested tensors are refused: a nested tensor has no stand-in without values.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily

from archzoo.errors import ProfileError

aten = torch.ops.aten
NESTED_ADVICE = (
    "whose lengths are values that shapes do not tell: pad instead, which counts all positions, or give a sequence of "
    "each length by itself and add up"
)


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


def least_squares(
    a: Tensor, b: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``linalg.lstsq``: solution, residuals, ranks and singular values, as by the CPU's drivers for a full rank."""
    if _have_values(a, b):
        values: tuple[Tensor, Tensor, Tensor, Tensor] = aten.linalg_lstsq(a, b, rcond, driver=driver)
        return values
    make = (b if b.is_meta else a).new_empty
    rows, columns = a.shape[-2:]
    driver = driver or "gelsy"
    is_vector = b.dim() == 1 or b.shape == a.shape[:-1]
    batch = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
        a.shape[:-2], b.shape[:-1] if is_vector else b.shape[:-2]
    )
    right = () if is_vector else b.shape[-1:]
    has_residuals = rows > columns and driver != "gelsy"
    singular = (*batch, min(rows, columns)) if driver in ("gelsd", "gelss") else (0,)
    return (
        make((*batch, columns, *right)),
        make((*batch, *(right or (1,))) if has_residuals else (0,), dtype=a.abs().dtype),
        make(batch if driver != "gels" else (0,), dtype=torch.int64),
        make(singular, dtype=a.abs().dtype),
    )


def grouped_product(
    a: Tensor, b: Tensor, offs: Tensor | None = None, bias: Any = None, out_dtype: torch.dtype | None = None
) -> Tensor:
    """``grouped_mm``: matrix products of groups that end at ``offs``. PyTorch's own rule knows bfloat16 alone."""
    if _have_values(a, b):
        return aten._grouped_mm(a, b, offs, bias, out_dtype)  # type: ignore[no-any-return]
    shape: tuple[int, ...] = (a.shape[-2], b.shape[-1])
    if a.dim() == b.dim():
        shape = (a.shape[0] if a.dim() == 3 else offs.numel() if offs is not None else 1, *shape)
    return (b if b.is_meta else a).new_empty(shape, dtype=out_dtype or a.dtype)


def all_true(condition: Tensor) -> Tensor:
    """What ``torch.distributions`` asks of its arguments: that they are valid, where they have no values."""
    if _have_values(condition):
        return aten._is_all_true(condition)  # type: ignore[no-any-return]
    with unset_fake_temporarily():
        return torch.tensor(True)


def refuse_nested(*_: Any, **__: Any) -> NoReturn:
    """What makes a nested tensor. Raises ProfileError."""
    raise ProfileError(f"forward makes or uses a nested tensor, {NESTED_ADVICE}")


def is_nested(types: Any) -> bool:
    """Whether nested tensors of the jagged layout are among the operands of a call, by the types of those."""
    return any(kind.__name__ == "NestedTensor" for kind in types)


def _have_values(*tensors: Tensor) -> bool:
    """Whether all of these are constants of the model, which are no meta or fake tensors."""
    return all(type(tensor) is Tensor and not tensor.is_meta for tensor in tensors)


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
    aten.linalg_lstsq: least_squares,
    aten._is_all_true: all_true,
    aten._grouped_mm: grouped_product,
}
NESTED = (
    "_nested_tensor_from_tensor_list _nested_tensor_from_mask _nested_from_padded _nested_from_padded_tensor "
    "_nested_from_padded_and_nested_example _nested_view_from_buffer _nested_view_from_buffer_copy "
    "_nested_view_from_jagged _nested_view_from_jagged_copy"
)
VALUE_READERS |= {getattr(aten, name): refuse_nested for name in NESTED.split() if hasattr(aten, name)}
