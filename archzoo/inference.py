"""The same function, faster: for evaluation only. Knows no model, only PyTorch and the layers that papers share.

Batch norms are folded by structure, as a symbolic trace shows it: who reads whose maps. What happens to run after what
plays no part. Two folds are exact: conv-BN, and, for nets that activate first, BN-ReLU-conv without padding.
"""

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from archzoo.errors import ArchzooError
from archzoo.layers import ResponseNorm

Compile = Literal["freeze", "inductor"]


def optimize(
    model: nn.Module,
    *,
    memory_format: torch.memory_format = torch.channels_last,
    dtype: torch.dtype | None = None,
    compile: Compile | None = None,  # noqa: A002
) -> nn.Module:
    """A new module that computes what this one computes in evaluation mode, faster. The original stays as it is.

    Parts keep their names; batch norms that were folded are identities, and no parameter wants a gradient.
    ``memory_format`` is that of the convolutions: channels_last wins on every network here, once response norms are
    convolutions too, or makes no difference. ``dtype`` is what all is computed in, whatever the images come in:
    torch.bfloat16 halves the time again where the processor has it, and keeps two or three digits of the logits.

    ``compile="freeze"`` traces and freezes a graph for each new shape of images, "inductor" is torch.compile, which
    wants a C++ compiler: both take their time at the first call. Raises ArchzooError for anything else.
    """
    if compile not in (None, *get_args(Compile)):
        raise ArchzooError(f"compile must be 'freeze', 'inductor' or None, not {compile!r}")
    if dtype is not None and not dtype.is_floating_point:
        raise ArchzooError(f"dtype must be a floating type, such as torch.bfloat16, not {dtype}")
    faster = fold_batch_norms(model).requires_grad_(False)
    norms = [module for module in faster.modules() if isinstance(module, ResponseNorm)]
    replace(faster, {norm: BandedNorm(norm).eval() for norm in norms})
    faster.to(memory_format=memory_format)  # type: ignore[call-overload]
    if dtype is not None:
        # A hook, and not a module around the network, whose parts would change their names.
        faster.to(dtype).register_forward_pre_hook(Cast(dtype))
    if compile == "inductor":
        return cast(nn.Module, torch.compile(faster))
    return Frozen(faster) if compile == "freeze" else faster


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode without the batch norms that a convolution before or after them can do the work of."""
    folded = copy.deepcopy(model).eval()
    with torch.no_grad():
        for fold in (fold_into_conv_before, fold_into_conv_after):
            replace(folded, dict(fold(Structure(folded))))
    return folded


Replacement = tuple[nn.Module, nn.Module]


def fold_into_conv_before(net: "Structure") -> Iterator[Replacement]:
    """Conv-BN becomes a convolution, where nothing but the batch norm reads the convolution's maps.

    Dropout between the two does nothing in evaluation mode.
    """
    for node in net.nodes:
        norm = net.layer(node)
        if isinstance(norm, nn.BatchNorm2d):
            source = node.all_input_nodes[0]
            while isinstance(net.layer(source), nn.Dropout | nn.Identity) and len(source.users) == 1:
                source = source.all_input_nodes[0]
            conv = net.layer(source)
            if isinstance(conv, nn.Conv2d) and len(source.users) == 1:
                yield conv, fuse_conv_bn_eval(conv, norm)
                yield norm, nn.Identity().eval()


def fold_into_conv_after(net: "Structure") -> Iterator[Replacement]:
    """BN-ReLU-conv becomes clamp-conv, where nothing but convolutions without padding read what the ReLU returns.

    relu(s x + b) is s max(x, -b/s) + b for s > 0, and s min(x, -b/s) + b for s < 0: the convolution takes s and b.
    """
    for node in net.nodes:
        norm, relu = net.layer(node), next(iter(node.users), node)
        if not isinstance(norm, nn.BatchNorm2d) or len(node.users) > 1 or not isinstance(net.layer(relu), nn.ReLU):
            continue
        convs = [net.layer(user) for user in relu.users]
        scale, shift = affine(norm)
        if all(map(takes_affine, convs)) and (shift / scale).isfinite().all():
            yield norm, Clamp(scale, shift).eval()
            yield cast(nn.ReLU, net.layer(relu)), nn.Identity().eval()
            for conv in convs:
                yield cast(nn.Conv2d, conv), after_affine(cast(nn.Conv2d, conv), scale, shift)


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The scale and the shift of each map in evaluation mode."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = torch.rsqrt(variance + norm.eps)
    if norm.affine:
        return scale * norm.weight, norm.bias - scale * norm.weight * mean
    return scale, -scale * mean


def takes_affine(layer: nn.Module | None) -> bool:
    """Whether a convolution can take over a scale and a shift of its inputs: zeros at the edge would get no shift."""
    return isinstance(layer, nn.Conv2d) and layer.padding in (0, (0, 0), "valid") and layer.groups == 1


def after_affine(conv: nn.Conv2d, scale: Tensor, shift: Tensor) -> nn.Conv2d:
    """The convolution that gives for x what this one gives for scale x + shift."""
    after = copy.deepcopy(conv)
    bias = torch.einsum("oihw,i->o", conv.weight, shift)
    after.weight = nn.Parameter(conv.weight * scale[:, None, None])
    after.bias = nn.Parameter(bias if conv.bias is None else conv.bias + bias)
    return after


class Structure(fx.Tracer):
    """Which layers read whose maps. What tracing cannot follow counts as a layer, and is left alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.nodes = list(self.trace(nn.Sequential(net)).nodes)
        self.uses = Counter(map(owner, self.nodes))

    def layer(self, node: fx.Node) -> nn.Module | None:
        """The layer that is called here and nowhere else, if it is a plain one."""
        if node.op != "call_module" or self.uses[owner(node)] > 1:
            return None
        module = self.root.get_submodule(owner(node))
        return module if is_plain(module) else None

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if next(m.children(), None) is not None and not is_hooked(m):
            before = len(self.graph.nodes)
            try:
                return forward(*args, **kwargs)
            except (AttributeError, RuntimeError, TypeError, ValueError):  # it asked for a value where there is none
                for node in reversed(list(self.graph.nodes)[before:]):
                    self.graph.erase_node(node)
        return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


def owner(node: fx.Node) -> str:
    """The path of the module that a node calls, or whose parameter it reads."""
    return str(node.target).rpartition(".")[0] if node.op == "get_attr" else str(node.target)


PLAIN = (nn.Conv2d.forward, nn.BatchNorm2d.forward, nn.ReLU.forward, nn.Dropout.forward, nn.Identity.forward)


def is_plain(module: nn.Module) -> bool:
    """Whether it computes what torch says of its class: without hooks, and with the statistics of training."""
    own = is_hooked(module) or is_parametrized(module)
    return type(module).forward in PLAIN and not own and getattr(module, "track_running_stats", True)


def is_hooked(module: nn.Module) -> bool:
    """Whether somebody reads or changes what goes in or out."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def replace(model: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> None:
    """Put other modules in the place of these, under all their names."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in replacements:
                setattr(parent, name, replacements[child])


class Clamp(nn.Module):
    """Inputs no further than where a ReLU after the affine map would cut them off: above for a positive scale."""

    low: Tensor
    high: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        bound = (-shift / scale)[:, None, None]
        rises = (scale > 0)[:, None, None]
        self.register_buffer("low", torch.where(rises, bound, -torch.inf))
        self.register_buffer("high", torch.where(rises, torch.inf, bound))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.clamp(maps, self.low, self.high)


class BandedNorm(nn.Module):
    """ResponseNorm in fewer passes over the maps: its sum over near maps as a 1x1 convolution with a banded kernel."""

    def __init__(self, norm: ResponseNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, maps: Tensor) -> Tensor:
        norm, channels = self.norm, torch.arange(maps.shape[1], device=maps.device)
        # Map i reads n maps from i - n // 2 on: for an even n the band is lopsided, as ResponseNorm is.
        offset = channels - channels[:, None] + norm.n // 2
        band = norm.alpha * ((offset >= 0) & (offset < norm.n)).to(maps.dtype)
        scale = F.conv2d(maps.square(), band[:, :, None, None], maps.new_full((maps.shape[1],), norm.k))
        return scale.pow_(-norm.beta).mul_(maps)


class Cast:
    """A hook that converts the images to the type that the network computes in."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, net: nn.Module, images: tuple[Tensor]) -> Tensor:
        return images[0].to(self.dtype)


class Frozen(nn.Module):
    """Runs a frozen graph, made anew at the first images of each shape and type."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.graphs: dict[tuple[torch.Size, torch.dtype], torch.jit.ScriptModule] = {}

    def forward(self, images: Tensor) -> Tensor:
        key = images.shape, images.dtype
        if key not in self.graphs:
            self.net(images)  # images that do not fit are refused as ever, in words
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated, and the one way to freeze without a C++ compiler
                traced = torch.jit.trace(self.net, images, check_trace=False)  # type: ignore[no-untyped-call]
                self.graphs[key] = torch.jit.freeze(traced)
        logits: Tensor = self.graphs[key](images)
        return logits
