"""Meta tensors that stand for tensors of CUDA: with its dropout, and under autocast.

A meta tensor has shapes alone, and PyTorch treats it as one of the CPU where devices differ. Inside this mode it says
that it is on CUDA, so that a module which asks runs the same code as there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from archzoo.profiler._shapes import META

CUDA = torch.device("cuda", 0)
NAMESPACES = (torch, torch.Tensor, F, torch._C._nn)
# Functions by what autocast does with them on CUDA (aten/src/ATen/autocast_mode.h).
LOWER = (
    "__matmul__ __rmatmul__ addbmm addmm addmv addr baddbmm bmm chain_matmul conv1d conv2d conv3d conv_transpose1d "
    "conv_transpose2d conv_transpose3d conv_tbc einsum linear matmul mm mv prelu scaled_dot_product_attention"
)
FLOAT32 = (
    "__pow__ __rdiv__ __rpow__ __rtruediv__ acos asin binary_cross_entropy_with_logits cdist cosh "
    "cosine_embedding_loss cosine_similarity cross_entropy cross_entropy_loss cumprod cumsum dist erfinv exp expm1 "
    "group_norm hinge_embedding_loss huber_loss kl_div l1_loss layer_norm log log10 log1p log2 log_softmax logsumexp "
    "margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss norm normalize pdist "
    "poisson_nll_loss pow prod reciprocal renorm rsqrt sinh smooth_l1_loss soft_margin_loss softmax softmin softplus "
    "square sum tan triplet_margin_loss"
)
PROMOTE = "addcdiv addcmul atan2 bilinear cat cross dot grid_sample index_put scatter_add stack tensordot"


def functions(names: str) -> set[Any]:
    """The functions and methods of torch with these names."""
    return {getattr(namespace, name) for namespace in NAMESPACES for name in names.split() if hasattr(namespace, name)}


IN_LOWER, IN_FLOAT32, IN_WIDEST = functions(LOWER), functions(FLOAT32), functions(PROMOTE)
DROPOUT = {torch.dropout, F.dropout}
GET_DEVICE, GET_IS_CUDA, GET_IS_META = (
    vars(torch._C.TensorBase)[name].__get__ for name in ("device", "is_cuda", "is_meta")
)


class CudaTensors(TorchFunctionMode):
    """Meta tensors in this mode are on CUDA. ``autocast`` is autocast's dtype, or None where it is off.

    What this mode does not see is what a composite function of torch's Python code calls inside.
    """

    def __init__(self, autocast: torch.dtype | None = None, *, cache: bool = True) -> None:
        super().__init__()
        self.autocast = autocast
        self.cache = cache
        self.enabled = False
        self._casts: dict[int, tuple[Tensor, Tensor]] = {}  # a parameter, and its copy in autocast's dtype

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (GET_DEVICE, GET_IS_CUDA, GET_IS_META) and args[0].untyped_storage().device.type == "meta":
            return CUDA if func == GET_DEVICE else func == GET_IS_CUDA
        if kwargs.get("device") is not None or func is Tensor.to:
            args, kwargs = tuple(map(on_meta, args)), {name: on_meta(value) for name, value in kwargs.items()}
        if func is Tensor.cuda:
            return args[0].to(META)
        if func in DROPOUT:
            return dropout(func, *args, **kwargs)
        if self.enabled:
            args, kwargs = self._cast(func, args, kwargs)
        return func(*args, **kwargs)

    @contextmanager
    def autocasting(self) -> Iterator[None]:
        """Autocast in this context, if it has a dtype. Copies of parameters live until the end of it."""
        if self.autocast is None:
            yield
            return
        before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        torch.set_autocast_enabled("cuda", True)  # for those who ask
        torch.set_autocast_dtype("cuda", self.autocast)
        self.enabled = True
        try:
            yield
        finally:
            self.enabled = False
            torch.set_autocast_enabled("cuda", before[0])
            torch.set_autocast_dtype("cuda", before[1])
            self._casts.clear()

    def _cast(self, func: Any, args: Any, kwargs: Any) -> Any:
        """The operands of a function in the dtype that autocast gives them."""
        dtype = self.autocast
        if func in IN_FLOAT32:
            dtype = torch.float32
        elif func in IN_WIDEST:
            dtypes = {leaf.dtype for leaf in tree_leaves((args, kwargs)) if is_eligible(leaf)}
            dtype = torch.float32 if torch.float32 in dtypes and len(dtypes) > 1 else None
        elif func not in IN_LOWER:
            dtype = None
        if dtype is None:
            return args, kwargs
        return tree_map(lambda leaf: self._cast_tensor(leaf, dtype), (args, kwargs))

    def _cast_tensor(self, leaf: Any, dtype: torch.dtype) -> Any:
        if not is_eligible(leaf) or leaf.dtype is dtype:
            return leaf
        if not (self.cache and dtype is self.autocast and leaf.is_leaf and leaf.requires_grad):
            return leaf.to(dtype)
        if id(leaf) not in self._casts:
            with torch.enable_grad():
                self._casts[id(leaf)] = leaf, leaf.to(dtype)
        return self._casts[id(leaf)][1]


def is_eligible(leaf: Any) -> bool:
    """Whether autocast casts this operand: a floating-point tensor of CUDA that is no double."""
    if not isinstance(leaf, Tensor) or leaf.untyped_storage().device.type != "meta":
        return False
    return leaf.is_floating_point() and leaf.dtype is not torch.double


def on_meta(value: Any) -> Any:
    """The meta device in place of CUDA; anything else as it is."""
    named = isinstance(value, str) and value.split(":")[0] == "cuda"
    return META if named or (isinstance(value, torch.device) and value.type == "cuda") else value


def dropout(func: Any, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: A002 # torch's name
    """Dropout with CUDA's kernel, which saves a mask of bytes. On the CPU it saves floats."""
    if not training or not 0 < p < 1 or inplace or input.untyped_storage().device.type != "meta":
        options = (inplace,) if func is F.dropout else ()
        out: Tensor = func(input, p, training, *options)
        return out
    return torch.native_dropout(input, p, True)[0]
