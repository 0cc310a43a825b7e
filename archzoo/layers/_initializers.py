"""Initializers of one layer. ``Net`` applies its initializer once to every module; other modules are left alone."""

import math
from collections.abc import Callable
from functools import partial

from torch import nn

Initialize = Callable[[nn.Module], None]


def he_normal_fan_in(layer: nn.Module) -> None:
    """Normal distribution of variance 2 / fan-in, biases zero (He et al. 2015, Eq. 10)."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        _zero_bias(layer)


def he_normal_fan_out(layer: nn.Module) -> None:
    """Normal distribution of variance 2 / fan-out for convolutions (He et al. 2015, Eq. 14), biases zero.

    Linear layers have torch's uniform distribution, as in the released Torch code of ResNet, DenseNet and their
    followers.
    """
    if isinstance(layer, nn.Conv2d):
        fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
        _zero_bias(layer)
    elif isinstance(layer, nn.Linear):
        bound = 1 / math.sqrt(layer.in_features)
        nn.init.uniform_(layer.weight, -bound, bound)
        _zero_bias(layer)


def uniform_scale(layer: nn.Module) -> None:
    """Batch-norm scales from U(0, 1), shifts zero: what Torch7 starts them with (torch/nn, BatchNormalization.lua)."""
    if isinstance(layer, nn.BatchNorm2d):
        nn.init.uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def gaussian(std: float) -> Initialize:
    """Normal distribution of standard deviation ``std``, biases zero."""
    return partial(_gaussian, std=std)


def _gaussian(layer: nn.Module, std: float) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.normal_(layer.weight, std=std)
        _zero_bias(layer)


def truncated_gaussian(std: float) -> Initialize:
    """TensorFlow's truncated normal distribution: values beyond two deviations ``std`` are drawn anew; biases zero."""
    return partial(_truncated_gaussian, std=std)


def _truncated_gaussian(layer: nn.Module, std: float) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
        _zero_bias(layer)


def variance_scaling(layer: nn.Module) -> None:
    """TensorFlow's: a truncated normal distribution whose variance is about 2 / fan-in, biases zero.

    Its deviation is 1.14 times that of He et al., since values beyond two deviations are drawn anew.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        _truncated_gaussian(layer, math.sqrt(1.3 * 2 / layer.weight[0].numel()))


def gaussian_by_inputs(layer: nn.Module) -> None:
    """Gaussians of standard deviation 0.01 in the first and last layer, 1 / inputs of a group elsewhere.

    Batch-norm shifts start at 0.0001 (the authors' code of both ShuffleNets).
    """
    if isinstance(layer, nn.Conv2d):
        first = layer.kernel_size == (3, 3) and layer.groups == 1
        nn.init.normal_(layer.weight, std=0.01 if first else 1 / layer.weight.shape[1])
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.constant_(layer.bias, 0.0001)
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.01)
        _zero_bias(layer)


def glorot_uniform(layer: nn.Module) -> None:
    """Uniform distribution of variance 2 / (fan-in + fan-out), biases zero (Glorot and Bengio 2010, Eq. 16)."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        _zero_bias(layer)


def xavier_fan_in(layer: nn.Module) -> None:
    """Caffe's filler "xavier": uniform distribution of variance 1 / fan-in, biases zero."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        bound = math.sqrt(3 / layer.weight[0].numel())
        nn.init.uniform_(layer.weight, -bound, bound)
        _zero_bias(layer)


def _zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
