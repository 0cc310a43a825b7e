"""What thop counts for a call of a module: it goes by class, so that functions and subclasses count nothing."""

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor, nn

from archzoo.profiler._work import Counts

# Operations for one output of ``Upsample``; modes that thop does not know count nothing.
UPSAMPLING = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 259}


def _average(module: Any, x: Tensor, out: Tensor) -> Counts:
    return {"pooling_modules": out.numel()}


def _adaptive(module: Any, x: Tensor, out: Tensor) -> Counts:
    """The average window and one division, for each output, cut off to an integer."""
    window = prod(side / pooled for side, pooled in zip(x.shape[2:], out.shape[2:], strict=True))
    return {"pooling_modules": int((window + 1) * out.numel())}


def _upsample(module: Any, x: Tensor, out: Tensor) -> Counts:
    return {"upsampling_modules": UPSAMPLING.get(module.mode, 0) * out.numel()}


def _softmax(module: Any, x: Tensor, out: Tensor) -> Counts:
    """For each row of n: n exponentials, n - 1 additions, n divisions."""
    return {"activation_modules": 3 * x.numel() - x.numel() // x.shape[module.dim]}


def _prelu(module: Any, x: Tensor, out: Tensor) -> Counts:
    return {"activation_modules": x.numel()}


def _recurrent(gates: int, more: int) -> Callable[[Any, Tensor, Tensor], Counts]:
    """For each unit, step and layer: an activation and two biases for each gate, and ``more`` operations.

    Layers of one network have as many units, in each direction.
    """

    def count(module: Any, x: Tensor, out: Tensor) -> Counts:
        units = out.numel() * getattr(module, "num_layers", 1)
        return {"activation_modules": units * (gates * (3 if module.bias else 1) + more)}

    return count


MODULE_WORK: dict[type[nn.Module], Callable[[Any, Tensor, Tensor], Counts]] = {
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive),
    **dict.fromkeys((nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d), _upsample),
    nn.Softmax: _softmax,
    nn.PReLU: _prelu,
    **dict.fromkeys((nn.RNN, nn.RNNCell), _recurrent(1, 0)),
    **dict.fromkeys((nn.GRU, nn.GRUCell), _recurrent(3, 4)),
    **dict.fromkeys((nn.LSTM, nn.LSTMCell), _recurrent(4, 4)),
}
