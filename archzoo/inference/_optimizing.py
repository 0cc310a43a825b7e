"""``optimize``, and the modules that it puts in place of slower ones."""

import warnings
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import BadOption
from archzoo.inference._folding import fold_batch_norms
from archzoo.inference._structure import replace_modules
from archzoo.layers import ResponseNorm

Compile = Literal["freeze", "inductor"]


def optimize(
    model: nn.Module,
    *,
    memory_format: torch.memory_format = torch.channels_last,
    dtype: torch.dtype | None = None,
    compile: Compile | None = None,  # noqa: A002
) -> nn.Module:
    """A new module that computes what ``model`` computes in eval mode, faster. The model is unchanged.

    Modules keep their names. Folded batch norms are identities, and no parameter requires a gradient.

    ``memory_format`` is that of the convolution weights: channels_last is as fast or faster for every network of
    archzoo. ``dtype`` is what the network computes in; images of any dtype are converted. torch.bfloat16 takes about
    half the time on processors with bfloat16 instructions, and gives logits of two or three digits.

    ``compile="freeze"`` traces and freezes a graph for each new shape of images; "inductor" is torch.compile, which
    needs a C++ compiler. Both make the first call slow.

    Raises BadOption for another ``compile`` or a ``dtype`` that is not a floating-point type.
    """
    if compile not in (None, *get_args(Compile)):
        raise BadOption(f"compile must be 'freeze', 'inductor' or None, not {compile!r}")
    if dtype is not None and not dtype.is_floating_point:
        raise BadOption(f"dtype must be a floating type, such as torch.bfloat16, not {dtype}")
    optimized = fold_batch_norms(model).requires_grad_(False)
    norms = [module for module in optimized.modules() if isinstance(module, ResponseNorm)]
    replace_modules(optimized, {norm: BandedNorm(norm).eval() for norm in norms})
    optimized.to(memory_format=memory_format)  # type: ignore[call-overload]
    if dtype is not None:
        # A hook, because a wrapping module would change the names of the parts.
        optimized.to(dtype).register_forward_pre_hook(Cast(dtype))
    if compile == "inductor":
        return cast(nn.Module, torch.compile(optimized))
    return Frozen(optimized) if compile == "freeze" else optimized


class BandedNorm(nn.Module):
    """ResponseNorm in fewer passes over the maps: its sum over channels is a 1x1 convolution with a banded kernel."""

    def __init__(self, norm: ResponseNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, maps: Tensor) -> Tensor:
        norm, channels = self.norm, torch.arange(maps.shape[1], device=maps.device)
        # Map i reads n maps from i - n // 2 on: the band is not symmetric for an even n, as in ResponseNorm.
        offset = channels - channels[:, None] + norm.n // 2
        band = norm.alpha * ((offset >= 0) & (offset < norm.n)).to(maps.dtype)
        scale = F.conv2d(maps.square(), band[:, :, None, None], maps.new_full((maps.shape[1],), norm.k))
        return scale.pow_(-norm.beta).mul_(maps)


class Cast:
    """A forward pre-hook that converts images to the dtype of the network."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, net: nn.Module, images: tuple[Tensor]) -> Tensor:
        return images[0].to(self.dtype)


class Frozen(nn.Module):
    """A network that runs frozen graphs, traced at the first images of each shape, dtype and device."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.graphs: dict[tuple[torch.Size, torch.dtype, torch.device], torch.jit.ScriptModule] = {}

    def forward(self, images: Tensor) -> Tensor:
        key = images.shape, images.dtype, images.device
        if key not in self.graphs:
            self.net(images)  # raises InputError for images that do not fit, which tracing would not
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated, but the only way to freeze without a C++ compiler
                traced = torch.jit.trace(self.net, images, check_trace=False)  # type: ignore[no-untyped-call]
                self.graphs[key] = torch.jit.freeze(traced)
        logits: Tensor = self.graphs[key](images)
        return logits
