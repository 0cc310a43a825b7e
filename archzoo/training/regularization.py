"""Regularizers that any network can train with, by the words of a recipe; state dicts keep their names."""

import re
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.errors import RecipeError
from archzoo.layers import Net


class DropConnectLinear(nn.Linear):
    """A linear layer whose weights are dropped one by one in training (Wan et al. 2013), once for a mini-batch.

    What stays is divided by its probability, so that the expectation is the layer itself, which evaluation uses.
    """

    probability: float = 0.5

    def forward(self, inputs: Tensor) -> Tensor:
        weight = F.dropout(self.weight, self.probability, self.training)
        return F.linear(inputs, weight, self.bias)


class DropPath(nn.Module):
    """Zeros for whole pictures with a probability, in training; the others divided by what is left of it.

    At the end of a residual branch, so that its block is the shortcut alone for these: stochastic depth by picture.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return maps
        kept = torch.rand(len(maps), 1, 1, 1, device=maps.device) >= self.probability
        return maps * kept.to(maps.dtype).div_(1 - self.probability)

    def extra_repr(self) -> str:
        return f"probability={self.probability:.4f}"


class FractionalMaxPool(nn.Module):
    """Max pooling over regions drawn anew in training (Graham 2014), to the size that another pooling gives.

    The regions are 2 wide, or 3 and overlapping where those of 2 would start at the same places in every draw, as on
    maps of an even side that are halved. In evaluation they are those of a draw of one half.
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        height, width = self.pool(maps.new_empty(1, 1, *maps.shape[2:], device="meta")).shape[2:]
        regions = _region(maps.shape[2], height), _region(maps.shape[3], width)
        samples = torch.full((len(maps), maps.shape[1], 2), 0.5, dtype=maps.dtype, device=maps.device)
        if self.training:
            samples.uniform_()
        return F.fractional_max_pool2d(maps, regions, output_size=(height, width), _random_samples=samples)


def _region(side: int, told: int) -> int:
    """The side of the regions by which ``told`` of them cover a map: 2 where their places can be drawn, 3 otherwise."""
    drawn = told > 1 and (side - 2) % (told - 1) > 0
    return min(2 if drawn else 3, side - told + 1)


def drop_connect(net: Net, probability: float) -> list[str]:
    """Make the linear layers in front of the last one drop their weights; the last, where there is no other."""
    layers = [(name, one) for name, one in net.named_modules() if isinstance(one, nn.Linear)]
    if not layers:
        raise RecipeError("DropConnect is for linear layers, and the network has none")
    chosen = layers[:-1] or layers
    for _, layer in chosen:
        layer.__class__ = DropConnectLinear
        layer.probability = probability  # type: ignore[assignment]
    return [name for name, _ in chosen]


def drop_path(net: Net, probability: float) -> list[str]:
    """End residual branches in DropPath, from none at the first block to ``probability`` at the last, linearly."""
    blocks = [
        (name, part)
        for name, part in net.named_modules()
        if isinstance(getattr(part, "layers", None), nn.Sequential) and getattr(part, "shortcut", part) is not None
    ]
    if not blocks or any(hasattr(part, "survival") for _, part in blocks):
        raise RecipeError("drop path is for residual networks that have no stochastic depth of their own")
    for number, (_, part) in enumerate(blocks, 1):
        part.layers.add_module("drop_path", DropPath(probability * number / len(blocks)))
    return [name for name, _ in blocks]


def dropout(net: Net, probability: float) -> list[str]:
    """Put dropout in front of the last linear layer."""
    name = next((name for name, one in reversed(list(net.named_modules())) if isinstance(one, nn.Linear)), None)
    if name is None:
        raise RecipeError("dropout stands before a linear layer, and the network has none")
    net.get_submodule(name).register_forward_pre_hook(_Dropped(probability))
    return [name]


class _Dropped:
    """A hook, and no module: the layers keep their names in the state dict."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return F.dropout(inputs[0], self.probability, layer.training)


def fractional_max_pooling(net: Net) -> list[str]:
    """Make every max pooling fractional, of the same output size."""
    pools = [(name, one) for name, one in net.named_modules() if isinstance(one, nn.MaxPool2d)]
    pools = [(name, one) for name, one in pools if one.stride != 1]
    if not pools:
        raise RecipeError("fractional max pooling is for networks with max pooling, and this has none")
    for name, pool in pools:
        holder, _, last = name.rpartition(".")
        setattr(net.get_submodule(holder), last, FractionalMaxPool(pool))
    return [name for name, _ in pools]


SHARE = r"(0?\.\d+)"
PHRASES: tuple[tuple[str, Callable[..., list[str]]], ...] = (
    (rf"dropout {SHARE}", dropout),
    (rf"drop connect {SHARE}", drop_connect),
    (rf"drop path {SHARE}", drop_path),
    (r"fractional max pooling", fractional_max_pooling),
)


def regularize(net: Net, phrases: Sequence[str]) -> list[str]:
    """Change a network in place as these words have it; the parts that changed. Raises RecipeError."""
    changed = []
    for phrase in phrases:
        for pattern, apply in PHRASES:
            if found := re.fullmatch(pattern, phrase):
                changed += apply(net, *map(float, found.groups()))
                break
        else:
            known = ", ".join(repr(pattern.replace(SHARE, "0.5")) for pattern, _ in PHRASES)
            raise RecipeError(f"no regularizer {phrase!r}; there are {known}")
    return changed


def decayed(net: nn.Module, scope: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that learn, those with weight decay and those without.

    ``scope`` is ``all``, as the papers have it, or ``weights``: neither biases nor what normalizations learn.
    """
    if scope not in ("all", "weights"):
        raise RecipeError(f"the scope of weight decay is all or weights, not {scope!r}")
    learning = [one for one in net.parameters() if one.requires_grad]
    if scope == "all":
        return learning, []
    return [one for one in learning if one.dim() > 1], [one for one in learning if one.dim() <= 1]


def limit_filters(net: nn.Module, limit: float) -> None:
    """Scale each filter of a convolution back whose root mean square is above the limit (ZFNet, Sec. 3.1)."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                sizes = layer.weight.square().mean((1, 2, 3), keepdim=True).sqrt()
                layer.weight.mul_((limit / sizes.clamp(min=1e-12)).clamp(max=1.0))
