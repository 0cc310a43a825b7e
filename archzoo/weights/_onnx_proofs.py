"""Whether the graph of an ONNX model computes what a network of ours does with the same tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from archzoo.layers import evaluation_mode
from archzoo.registry import Entry
from archzoo.weights._fitting import build_on_meta
from archzoo.weights._onnx_files import OnnxModel
from archzoo.weights._onnx_network import network_of
from archzoo.weights._onnx_operators import NotFollowed
from archzoo.weights._recognition import first_line

TOLERANCE = 1e-9  # of logits in float64, as a share of their norm
SCALES = (1.0, 100.0)  # of random images: a response normalization does little to small maps


def agrees(model: OnnxModel, entry: Entry, options: Mapping[str, Any], state: Mapping[str, Tensor]) -> bool:
    """Whether the logits of a graph and of our network are the same, to rounding, on random images in float64.

    ``state`` has the tensors of the file under our names. Raises NotFollowed for a graph that cannot be run.
    """
    size = model.size or (options.get("in_channels", entry.input_size[0]), *entry.input_size[1:])
    generator = torch.Generator().manual_seed(0)
    images = torch.stack([scale * torch.randn(*size, generator=generator, dtype=torch.float64) for scale in SCALES])
    try:
        theirs = _logits(network_of(model, size), {}, images)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        raise NotFollowed(first_line(str(error), 200)) from error
    net = build_on_meta(entry, options)
    try:
        ours = _logits(net, {**_counters(net), **state}, images).flatten(1)
    except (RuntimeError, ValueError):  # images of a size that our network does not take
        return False
    if not isinstance(theirs, Tensor) or theirs.flatten(1).shape != ours.shape:
        return False
    # Infinite logits, and those that are no numbers, compare as unequal.
    return bool(((theirs.flatten(1) - ours).norm(dim=1) <= TOLERANCE * ours.norm(dim=1)).all())


def _counters(net: nn.Module) -> dict[str, Tensor]:
    """What no file of ONNX has: how many batches were counted, which eval mode does not use."""
    return {name: torch.zeros(()) for name in net.state_dict() if name.endswith("num_batches_tracked")}


def _logits(net: nn.Module, state: Mapping[str, Tensor], images: Tensor) -> Any:
    own = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    values = {name: _double(state.get(name, tensor)) for name, tensor in own.items()}
    with torch.no_grad(), evaluation_mode(net):
        return functional_call(net, values, (images,))


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
