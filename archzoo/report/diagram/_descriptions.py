"""What a part of a network computes, as a paper's figure writes it."""

import re
from typing import Any

from torch import nn

from archzoo.report.diagram._boxes import Kind


def describe(module: nn.Module) -> tuple[Kind, tuple[str, ...]]:
    """The kind of a part and its description, empty for a part that passes its input on."""
    match module:
        case nn.Identity() | nn.Flatten() | nn.Unflatten():
            return "step", ()
        case nn.Sequential() if not len(module):
            return "step", ()
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return "conv", (_convolution(module, "conv"),)
        case nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d():
            return "conv", (_convolution(module, "transposed conv"),)
        case nn.Linear():
            return "linear", (f"linear, {module.out_features:,}",)
        case nn.MaxPool2d() | nn.AvgPool2d():
            kind = "max" if isinstance(module, nn.MaxPool2d) else "average"
            return "pool", (f"{_sides(module.kernel_size)} {kind} pool{_stride(module.stride)}",)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            kind = "average" if isinstance(module, nn.AdaptiveAvgPool2d) else "max"
            whole = module.output_size in (1, (1, 1))
            return "pool", (f"global {kind} pool" if whole else f"{kind} pool to {_sides(module.output_size)}",)
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d():
            return "step", ("BN",)
        case nn.Dropout() | nn.Dropout2d():
            return "step", (f"dropout {module.p:g}",)
        case nn.ReLU() | nn.ReLU6():
            return "step", (type(module).__name__,)
        case nn.Tanh() | nn.Sigmoid() | nn.Softmax():
            return "step", (type(module).__name__.lower(),)
    if next(module.children(), None) is None:
        return "layer" if module.state_dict() else "step", (_class_name(module),)
    count = sum(isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) for layer in module.modules())
    return "part", (f"{count} convolution{'s' if count != 1 else ''}" if count else _parts(module),)


def _parts(module: nn.Module) -> str:
    """The description of a part without convolutions: its class, or the length of a sequence."""
    count = len(list(module.children()))
    return f"{count} part{'s' if count != 1 else ''}" if type(module) is nn.Sequential else _class_name(module)


def _class_name(module: nn.Module) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(module).__name__).lower()


def _convolution(module: Any, name: str) -> str:
    depthwise = module.groups == module.in_channels and module.groups > 1
    groups = f", {module.groups} groups" if module.groups > 1 and not depthwise else ""
    dilation = f", dilated {module.dilation[0]}" if max(module.dilation) > 1 else ""
    kind = f"depthwise {name}" if depthwise else name
    return f"{_sides(module.kernel_size)} {kind}, {module.out_channels}{_stride(module.stride)}{groups}{dilation}"


def _sides(size: Any) -> str:
    sides = size if isinstance(size, tuple) else (size, size)
    return "x".join(str(side) for side in sides)


def _stride(stride: Any) -> str:
    strides = stride if isinstance(stride, tuple) else (stride,)
    return f", /{'x'.join(map(str, dict.fromkeys(strides)))}" if max(strides) > 1 else ""
