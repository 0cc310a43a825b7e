"""Which images a network takes, where those given are the cause of an error: their shape, dtype or device.

Which shapes fit is told from a copy without values and hooks: no memory is taken, and nothing of the user's runs a
second time.
"""

import re
from bisect import bisect_left
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from archzoo.errors import InputError
from archzoo.layers._graphs import is_proxy

LARGEST_SIDE = 256  # in pixels: up to here the smallest images that fit are searched for
ABOUT_SHAPES = re.compile(r"\b(sizes?|shapes?|channels?|dims?|dimensions?|elements|[2-5]D)\b")
ABOUT_KINDS = re.compile(r"\b(types?|dtypes?|devices?|not implemented for)\b")


def check_batch(images: Any) -> None:
    """Raise InputError for a tensor that is no batch: some networks return wrong numbers for a single image."""
    if isinstance(images, Tensor) and images.dim() != 4:
        hint = ": for a single image, pass images[None]" if images.dim() == 3 else ""
        raise InputError(f"expected images (N, C, H, W), not a tensor of shape {tuple(images.shape)}{hint}")


def explain_misfit(net: nn.Module, images: Any, error: Exception) -> str | None:
    """Why a network does not take these images, or None unless they are the cause of ``error``."""
    if isinstance(error, torch.OutOfMemoryError) or is_proxy(images) or _is_of_hook(net, error):
        return None
    if not isinstance(images, Tensor):
        return f"expected a tensor of images (N, C, H, W), not {type(images).__name__}"
    if isinstance(error, TypeError | AttributeError):
        return None
    kind = _other_kind(net, images) if ABOUT_KINDS.search(str(error)) else None
    if kind is not None or not ABOUT_SHAPES.search(str(error)):
        return kind
    try:
        return _misfit(net, *images.shape[1:])
    except Exception:  # a part that cannot be copied must not hide the error
        return None


def _other_kind(net: nn.Module, images: Tensor) -> str | None:
    """What is wrong with the device or the dtype of images, for a network of one device and one dtype."""
    devices, dtypes = ({getattr(tensor, what) for tensor in net.parameters()} for what in ("device", "dtype"))
    if len(devices) == 1 and images.device not in devices:
        (device,) = devices
        moved = f"images.to({str(device)!r})"
        return f"expected images on {device}, where the network is, not on {images.device}: pass {moved}"
    if len(dtypes) != 1 or images.dtype in dtypes:
        return None
    (dtype,) = dtypes
    values = "" if images.is_floating_point() else ", with the values that the network was trained on"
    return f"expected images of {dtype}, the network's dtype, not {images.dtype}: pass images.to({dtype}){values}"


def _misfit(net: nn.Module, given: int, height: int, width: int) -> str | None:
    """What does not fit, if it is certain: these images do not, and others do."""
    channels = next((module.in_channels for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if channels is None:
        return None
    meta = _without_batch_norms(meta_copy(net))
    if _fits(meta, given, height, width):
        return None
    smallest = _smallest_side(meta, channels)
    if smallest is None:
        return None
    if given != channels:
        order = ": for images (N, H, W, C), pass images.permute(0, 3, 1, 2)" if width == channels else ""
        return f"expected images of {channels} channel{'s' * (channels != 1)}, not {given}{order}"
    return f"images of {height}x{width} do not fit: the smallest are {smallest}x{smallest}"


def meta_copy(net: nn.Module) -> nn.Module:
    """A copy on the meta device in float32, in eval mode and without hooks. The network stays as it is."""
    return _without_values(net, {}).float()


def _is_of_hook(net: nn.Module, error: Exception) -> bool:
    """Whether an error comes from a function of the user's that a module calls, and that is no ``forward``."""
    forwards = {getattr(type(module).forward, "__code__", None) for module in net.modules()}
    traceback, caller = error.__traceback__, ""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        known = code.co_filename == caller or code in forwards
        if caller == torch_module.__file__ and not known and not _is_of_torch_or_ours(traceback.tb_frame):
            return True
        traceback, caller = traceback.tb_next, code.co_filename
    return False


def _is_of_torch_or_ours(frame: Any) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in ("torch", "archzoo")


def _without_values(module: nn.Module, copies: dict[int, nn.Module]) -> nn.Module:
    """A copy on the meta device, in eval mode and without hooks, that shares all else with the module."""
    if id(module) in copies:
        return copies[id(module)]
    copy = copies[id(module)] = type(module).__new__(type(module))
    attributes = {name: _without_value(value) for name, value in vars(module).items()}
    hooks = {name: OrderedDict[int, Any]() for name in attributes if name.endswith("hooks")}
    vars(copy).update(attributes, training=False, _compiled_call_impl=None, **hooks)
    for group in ("_parameters", "_buffers"):
        vars(copy)[group] = {name: _without_value(tensor) for name, tensor in vars(module)[group].items()}
    vars(copy)["_modules"] = {
        name: None if child is None else _without_values(child, copies) for name, child in module._modules.items()
    }
    return copy


def _without_value(value: Any) -> Any:
    if isinstance(value, nn.Parameter):
        return nn.Parameter(torch.empty_like(value, device="meta"), requires_grad=False)
    return torch.empty_like(value, device="meta", requires_grad=False) if isinstance(value, Tensor) else value


def _without_batch_norms(net: nn.Module) -> nn.Module:
    """The network without its batch norms, which change no shape and are slow on the meta device."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return net


def _smallest_side(net: Any, channels: int) -> int | None:
    """Side of the smallest square images that fit, in pixels, or None if none up to LARGEST_SIDE do."""

    def fits(side: int) -> bool:
        return _fits(net, channels, side, side)

    powers_of_two = (2**exponent for exponent in range(LARGEST_SIDE.bit_length()))
    bound = next((side for side in powers_of_two if fits(side)), None)
    if bound is not None:
        sides = range(bound // 2 + 1, bound + 1)  # every side from the smallest on fits
        return sides[bisect_left(sides, True, key=fits)]
    one_size = _side_of_classifier(net, channels)
    if one_size is None:  # layers for one size are among the features, as in a network of linear layers alone
        one_size = next(filter(fits, range(1, LARGEST_SIDE + 1)), None)
    return one_size


def _side_of_classifier(net: Any, channels: int) -> int | None:
    """Side of the smallest square images whose features the classifier takes.

    Sides for which the features have one shape follow each other, so that one of each shape is tried.
    """
    sides = range(1, LARGEST_SIDE + 1)
    index = 0
    while index < len(sides):
        maps = _features(net, channels, sides[index], sides[index])
        if maps is not None and _takes(net.classifier, maps):
            return sides[index]
        shape = None if maps is None else maps.shape
        index = bisect_left(sides, True, index, key=lambda side: _shape_of_features(net, channels, side) != shape)
    return None


def _shape_of_features(net: Any, channels: int, side: int) -> torch.Size | None:
    maps = _features(net, channels, side, side)
    return None if maps is None else maps.shape


def _fits(net: Any, channels: int, height: int, width: int) -> bool:
    maps = _features(net, channels, height, width)
    return maps is not None and _takes(net.classifier, maps)


def _features(net: Any, channels: int, height: int, width: int) -> Tensor | None:
    """The features of images of this size, or None if they do not fit."""
    try:
        with torch.no_grad():
            maps: Tensor = net.features(torch.empty(1, channels, height, width, device="meta"))
    except (RuntimeError, ValueError):
        return None
    return maps


def _takes(classifier: nn.Module, maps: Tensor) -> bool:
    try:
        with torch.no_grad():
            classifier(maps)
    except (RuntimeError, ValueError):
        return False
    return True
