"""The dense tensors that a sparse one is made of, in every layout."""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from archzoo.errors import ProfileError

ROWS, COLUMNS = ("crow_indices", "col_indices"), ("ccol_indices", "row_indices")
INDICES = {
    torch.sparse_coo: ("_indices",),
    torch.sparse_csr: ROWS,
    torch.sparse_bsr: ROWS,
    torch.sparse_csc: COLUMNS,
    torch.sparse_bsc: COLUMNS,
}


def stored_tensors(tensor: Tensor) -> list[Tensor]:
    """The values of a sparse tensor, and then its indices; of any other tensor, itself."""
    names = INDICES.get(tensor.layout)
    if names is None:
        return [tensor]
    values = "_values" if tensor.layout is torch.sparse_coo else "values"
    return [getattr(tensor, name)() for name in (values, *names)]


def stored_elements(tensor: Tensor) -> int:
    """How many elements a tensor has values for. Raises ProfileError for a sparse one without values."""
    count = stored_tensors(tensor)[0].numel()
    if count == 0 < tensor.numel() and (tensor.is_meta or isinstance(tensor, FakeTensor)):
        raise ProfileError(
            "how many elements a sparse tensor has is not known where values are not: make it outside of forward, and "
            "leave it on the CPU"
        )
    return count
