"""Sparse tensors on the meta device: the gradient of an embedding with ``sparse=True``, and what optimizers do with it.

A row for each index that was looked up, and the index. PyTorch has few operators of sparse tensors on meta, so that
these rules compute their results, and the bytes that the CPU's operators take besides. That two indices may be equal,
or that of ``padding_idx``, no shape tells: all count as different, and none as padding.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from archzoo.errors import ProfileError
from archzoo.profiler._meta import modules_of

aten = torch.ops.aten
Rule = Callable[..., tuple[Tensor, int]]  # from an operator's operands to its result, and bytes besides


def parts_of(tensor: Tensor) -> tuple[Tensor, ...]:
    """The tensors that a tensor's memory is in: indices and values of a sparse one, else itself."""
    return (tensor._indices(), tensor._values()) if is_sparse(tensor) else (tensor,)


def is_sparse(value: object) -> bool:
    """Whether a value is a tensor of indices and values."""
    return isinstance(value, Tensor) and value.layout is torch.sparse_coo


def sparse_call(operator: Any, args: Any) -> tuple[Tensor, int] | None:
    """The result of an operator of sparse tensors, and the bytes that it takes besides; None for any other call."""
    rule = RULES.get(operator)
    return None if rule is None or not any(map(is_sparse, args)) else rule(*args)


def accumulate(tensor: Tensor, *_: Any) -> tuple[Tensor, int]:
    """A gradient that is accumulated keeps its tensors, unless these are views that need a copy."""
    parts = [part if part.is_contiguous() else part.clone() for part in parts_of(tensor)]
    return _like(tensor, *parts), 0


def add(tensor: Tensor, other: Tensor, *_: Any) -> tuple[Tensor, int]:
    """Rows are added to a dense tensor in place."""
    return (tensor, 0) if not is_sparse(tensor) else grow(tensor)


def coalesce(tensor: Tensor) -> tuple[Tensor, int]:
    """Sorted indices, their rows summed up: the CPU sorts into two more tensors, with one for the order."""
    indices, values = parts_of(tensor)
    return _like(tensor, indices.clone(), values.clone())._coalesced_(True), 3 * indices.numel() * indices.itemsize


def mask(dense: Tensor, sparse: Tensor, *_: Any) -> tuple[Tensor, int]:
    """The rows of a dense tensor that a sparse one has."""
    indices, values = parts_of(sparse)
    rows = torch.empty(values.shape, dtype=dense.dtype, device=dense.device)
    return _like(sparse, indices.clone(), rows)._coalesced_(True), rows.numel() * rows.itemsize


def grow(*_: Any) -> tuple[Tensor, int]:
    """Momentum of sparse gradients."""
    raise ProfileError(
        "the momentum of sparse gradients grows with every step, by the rows that are new: shapes do not tell its "
        "size. Give an optimizer without momentum, such as optimizer=lambda parameters: torch.optim.SGD(parameters, "
        "lr=0.1), or embeddings with sparse=False"
    )


class Unpadded:
    """The rows of a gradient and the indices that are not ``padding_idx``, which a mask selects: all of them."""

    def __init__(self) -> None:
        self.masks = WeakIdKeyDictionary()

    def record(self, operator: Any, args: Any, out: Any) -> None:
        """Record a mask of indices that differ from a number."""
        if operator is aten.ne.Scalar and out.is_meta and args[0].dtype in (torch.int64, torch.int32):
            self.masks[out] = True

    def call(self, operator: Any, args: Any) -> tuple[Tensor, int] | None:
        """What such a mask selects, and the bytes of the positions that it becomes; None for any other call."""
        if operator is not aten.index.Tensor or len(args[1]) != 1 or args[1][0] not in self.masks:
            return None
        tensor, (mask,) = args
        positions = mask.numel() * mask.dim() * torch.int64.itemsize
        return tensor.new_empty((mask.numel(), *tensor.shape[mask.dim() :])), positions


def is_sparse_bag_backward(operator: Any, args: Any) -> bool:
    """Whether a call is that of the backward pass of a sparse ``EmbeddingBag``."""
    return operator is aten._embedding_bag_backward.default and bool(args[9])


def sparse_bag_backward(*args: Any) -> Tensor:
    """The gradient of a sparse ``EmbeddingBag``, by operators that a mode sees. PyTorch's own rule hides them."""
    grad, indices, offsets, bags, bag_sizes, _, num_weights, by_frequency, mode, _, *others = args
    gradient: Tensor = aten._embedding_bag_sparse_backward.default(
        grad, indices, offsets, bags, bag_sizes, num_weights, by_frequency, mode, *others
    )
    return gradient


class SparseConstructors(TorchFunctionMode):
    """``Tensor.new`` of sparse tensors on meta, which SparseAdam calls and PyTorch does not have."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.new and len(args) == 4 and is_sparse(args[0]):
            return torch.sparse_coo_tensor(*args[1:], check_invariants=False)
        return function(*args, **(kwargs or {}))


def sparse_constructors(net: nn.Module) -> AbstractContextManager[Any]:
    """The mode for networks that may have sparse gradients."""
    has_any = any(getattr(module, "sparse", False) is True for module in modules_of(net))
    return SparseConstructors() if has_any else nullcontext()


def _like(tensor: Tensor, indices: Tensor, values: Tensor) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, tensor.shape, check_invariants=False)


RULES: dict[Any, Rule] = {
    aten.clone.default: accumulate,
    aten.add_.Tensor: add,
    aten._coalesce.default: coalesce,
    aten.sparse_mask.default: mask,
    aten.mul_.Tensor: grow,
}
