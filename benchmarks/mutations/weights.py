"""Changes of weights: biases, groups, widths, kernels, scales of batch norms."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from mutations.kinds import BETWEEN, CHAINS, Sites, kind, leaves, modules, replacing, setting
from mutations.networks import DIFFERENT


@kind("bias")
def bias(net: nn.Module) -> Sites:
    """A bias where there is none, and none where there is one."""
    for name, module in modules(net, nn.Conv2d, nn.Linear):
        yield replacing(name, with_bias if module.bias is None else without_bias)


def with_bias(layer: Any) -> Any:
    """The layer with a bias."""
    layer = copy.deepcopy(layer)
    layer.bias = nn.Parameter(torch.randn(len(layer.weight)))
    return layer


def without_bias(layer: Any) -> Any:
    """The layer without its bias."""
    layer = copy.deepcopy(layer)
    layer.bias = None
    return layer


@kind("groups", "width", "wiring")
def groups(net: nn.Module) -> Sites:
    """Two groups for one, and one for several."""
    for name, module in modules(net, nn.Conv2d):
        if module.groups == 1 and not module.in_channels % 2 and not module.out_channels % 2:
            yield replacing(name, in_two_groups)
        elif module.groups > 1 and module.groups != module.in_channels:
            yield replacing(name, in_one_group)


def regrouped(conv: Any, number: int) -> nn.Module:
    """A convolution in groups."""
    options: dict[str, Any] = {"stride": conv.stride, "padding": conv.padding, "bias": conv.bias is not None}
    return nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, groups=number, **options)


def in_two_groups(conv: Any) -> nn.Module:
    """A convolution in two groups."""
    return regrouped(conv, 2)


def in_one_group(conv: Any) -> nn.Module:
    """A convolution in one group."""
    return regrouped(conv, 1)


def joined(net: nn.Module) -> Iterator[tuple[str, list[str], str]]:
    """Two convolutions without groups, and the layers between them that have as many channels."""
    seen = set()
    for name, module in modules(net, *CHAINS):
        if type(module) not in CHAINS:
            continue
        layers = list(leaves(name, module))
        for place, (first, conv) in enumerate(layers):
            between: list[str] = []
            for last, layer in layers[place + 1 :] if isinstance(conv, nn.Conv2d) and conv.groups == 1 else ():
                if isinstance(layer, nn.Conv2d) and layer.groups == 1:
                    if (first, last) not in seen:
                        yield first, between, last
                    seen.add((first, last))
                    break
                depthwise = isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels
                if depthwise or isinstance(layer, nn.BatchNorm2d):
                    between.append(last)
                elif not isinstance(layer, BETWEEN):
                    break


@kind("width")
def width(net: nn.Module) -> Sites:
    """One map more between two convolutions."""
    for first, between, last in joined(net):

        def change(net: nn.Module, first: str = first, between: list[str] = between, last: str = last) -> None:
            for name in (first, *between, last):
                parent, _, own = name.rpartition(".")
                widened = wider(net.get_submodule(name), name != first, name != last)
                setattr(net.get_submodule(parent), own, widened.eval())

        yield f"{first} -> {last}", change


def wider(layer: Any, reads: bool, writes: bool) -> nn.Module:
    """The layer with one channel more that it reads, or that it writes."""
    if isinstance(layer, nn.BatchNorm2d):
        norm = nn.BatchNorm2d(layer.num_features + 1, eps=layer.eps)
        if "weight" not in dict(layer.named_parameters()):
            norm.register_parameter("weight", None)
        return norm
    options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "bias": layer.bias is not None}
    sizes = layer.in_channels + reads, layer.out_channels + writes
    return nn.Conv2d(*sizes, layer.kernel_size, groups=layer.groups + 1 if layer.groups > 1 else 1, **options)


@kind("kernel size", "padding", "width")
def kernel_size(net: nn.Module) -> Sites:
    """5x5 for 3x3."""
    for name, module in modules(net, nn.Conv2d):
        if module.kernel_size == (3, 3):
            yield replacing(name, larger)


def larger(conv: Any) -> nn.Module:
    """A 5x5 convolution that returns maps of the same size."""
    padding = tuple(p + 1 for p in conv.padding)
    options: dict[str, Any] = {"stride": conv.stride, "groups": conv.groups, "bias": conv.bias is not None}
    options["padding"] = padding
    return nn.Conv2d(conv.in_channels, conv.out_channels, 5, **options)


@kind("weights")
def affine(net: nn.Module) -> Sites:
    """A batch norm without scale and shift."""
    for name, module in modules(net, nn.BatchNorm2d):
        if module.affine:
            yield setting(name, weight=None, bias=None)


@kind("weights")
def norm_scale(net: nn.Module) -> Sites:
    """A batch norm that shifts and does not scale, or scales where it did not."""
    for name, module in modules(net, nn.BatchNorm2d):
        yield setting(name, weight=nn.Parameter(torch.ones(module.num_features)) if module.weight is None else None)


@kind("count include pad")
def count_include_pad(net: nn.Module) -> Sites:
    """Zeros of the padding counted in averages, or not."""
    for name, module in modules(net, nn.AvgPool2d):
        yield setting(name, count_include_pad=not module.count_include_pad)


@kind("sharing", verdict=DIFFERENT)
def shared(net: nn.Module) -> Sites:
    """One convolution in the place of two of the same shape."""
    for name, module in modules(net, nn.Sequential):
        seen: dict[str, str] = {}
        for child, layer in module.named_children():
            if isinstance(layer, nn.Conv2d):
                first = seen.setdefault(repr(layer), child)
                if first != child:

                    def change(net: nn.Module, name: str = name, a: str = first, b: str = child) -> None:
                        parts = net.get_submodule(name)
                        setattr(parts, b, getattr(parts, a))

                    yield f"{name} {child} is {first}", change
