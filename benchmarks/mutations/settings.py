"""Changes of settings: strides, paddings, poolings, constants of batch norms."""

from collections.abc import Callable
from itertools import takewhile
from typing import Any

from torch import nn

from mutations.kinds import CHAINS, Sites, kind, leaves, modules, replacing, setting
from mutations.networks import DIFFERENT


@kind(
    "stride", "subsample", "width", "wiring", "order", "kernel size", "layer", "kernel_size", "positions", "size", "of"
)
def stride_moved(net: nn.Module) -> Sites:
    """The stride of a convolution in another one of its block."""
    for name, module in modules(net, *CHAINS):
        convs = [(n, m) for n, m in leaves(name, module) if isinstance(m, nn.Conv2d)] if type(module) in CHAINS else []
        for a, first in convs:
            for b, second in convs:
                # Of the nearest sequence that has both.
                if first.stride == (2, 2) and second.stride == (1, 1) and nearest(a, b) == name:

                    def change(net: nn.Module, a: str = a, b: str = b) -> None:
                        x, y = net.get_submodule(a), net.get_submodule(b)
                        x.stride, y.stride = y.stride, x.stride

                    yield f"{a} -> {b}", change


def nearest(first: str, second: str) -> str:
    """The name of the innermost module that has both of these."""
    pairs = zip(first.split("."), second.split("."), strict=False)
    return ".".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@kind("stride")
def stride(net: nn.Module) -> Sites:
    """Another stride, where the maps after it still fit."""
    for name, module in modules(net, nn.Conv2d):
        yield setting(name, stride=(1, 1) if module.stride[0] > 1 else (2, 2))


@kind("padding", "kernel size", "width", "layer")
def padding(net: nn.Module) -> Sites:
    """A row of zeros more, or none."""
    for name, module in modules(net, nn.Conv2d):
        yield setting(name, padding=tuple(p + 1 for p in module.padding))
        if module.padding != (0, 0):
            yield setting(name, padding=(0, 0))


@kind("dilation", "padding")
def dilation(net: nn.Module) -> Sites:
    """Twice the dilation, with the padding that keeps the size."""
    for name, module in modules(net, nn.Conv2d):
        if module.kernel_size == (3, 3) and module.padding == (1, 1):

            def change(net: nn.Module, name: str = name) -> None:
                conv: Any = net.get_submodule(name)
                conv.dilation, conv.padding = (2, 2), (2, 2)

            yield f"{name} dilation 2", change


@kind("padding", "extra layer", "layer")
def padding_mode(net: nn.Module) -> Sites:
    """Another padding than by zeros."""
    for name, module in modules(net, nn.Conv2d):
        if module.padding != (0, 0):
            for mode in ("reflect", "replicate", "circular"):
                yield replacing(name, with_padding_mode(mode))


def with_padding_mode(mode: str) -> Callable[[nn.Module], nn.Module]:
    """Makes a convolution with the same weights and another padding."""

    def convolution(conv: Any) -> nn.Module:
        options: dict[str, Any] = {"stride": conv.stride, "groups": conv.groups, "bias": conv.bias is not None}
        options["padding"] = conv.padding
        options["padding_mode"] = mode
        other = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, **options)
        other.load_state_dict(conv.state_dict())
        return other

    return convolution


@kind("pooling", "width", "subsample", "layer")
def pooling_kind(net: nn.Module) -> Sites:
    """Maximum for average, and average for maximum."""
    for name, _ in modules(net, nn.MaxPool2d, nn.AvgPool2d):
        yield replacing(name, other_pooling)
    for name, _ in modules(net, nn.AdaptiveAvgPool2d):
        yield replacing(name, adaptive_max)


def other_pooling(pool: Any) -> nn.Module:
    """The other pooling over the same windows."""
    other = nn.AvgPool2d if isinstance(pool, nn.MaxPool2d) else nn.MaxPool2d
    return other(pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode)


def adaptive_max(pool: Any) -> nn.Module:
    """The maximum of what was averaged."""
    return nn.AdaptiveMaxPool2d(pool.output_size)


@kind("ceil mode", "kernel size", "width", "pooling")
def ceil_mode(net: nn.Module) -> Sites:
    """Incomplete windows kept, or left out."""
    for name, module in modules(net, nn.MaxPool2d, nn.AvgPool2d):
        yield setting(name, ceil_mode=not module.ceil_mode)


@kind("kernel size", "stride", "padding", "pooling")
def pooling_window(net: nn.Module) -> Sites:
    """Windows of another size."""
    for name, module in modules(net, nn.MaxPool2d):
        if module.kernel_size == 3:
            yield setting(name, kernel_size=2, padding=0)
        elif module.kernel_size == 2:
            yield setting(name, kernel_size=3, padding=1)


@kind("eps")
def eps(net: nn.Module) -> Sites:
    """Another constant in a batch norm, also by a thousandth of it."""
    for name, module in modules(net, nn.BatchNorm2d):
        yield setting(name, eps=1e-3 if module.eps == 1e-5 else 1e-5)
        yield setting(name, eps=module.eps * 1.001)


@kind("momentum", verdict=DIFFERENT)
def momentum(net: nn.Module) -> Sites:
    """Another momentum of a batch norm."""
    for name, _ in modules(net, nn.BatchNorm2d):
        yield setting(name, momentum=0.01)
        yield setting(name, momentum=0.1001)


@kind("dropout rate", verdict=DIFFERENT)
def dropout_rate(net: nn.Module) -> Sites:
    """Half the dropout."""
    for name, module in modules(net, nn.Dropout):
        yield setting(name, p=module.p / 2)


@kind("statistics", "weights", "eps")
def batch_statistics(net: nn.Module) -> Sites:
    """A batch norm that normalizes by the batch also in eval mode."""
    for name, _ in modules(net, nn.BatchNorm2d):
        yield setting(name, track_running_stats=False, running_mean=None, running_var=None)
