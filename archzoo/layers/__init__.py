"""Layers that two or more papers share unchanged: the network, modules, residual blocks, initializers, option checks.

``archzoo.layers.memory_efficient`` has the dense block whose training memory is linear in its depth.
"""

from archzoo.layers._auxiliary import Classifiers, Tapped
from archzoo.layers._backbone import Backbone, Stage
from archzoo.layers._batch_norm import batch_norm
from archzoo.layers._bottlenecks import Aggregated, Bottleneck
from archzoo.layers._channel_shuffle import ChannelShuffle
from archzoo.layers._checks import at_least, doublings, probability, repeats
from archzoo.layers._copying import copy_layers
from archzoo.layers._devices import checked_device, device_of
from archzoo.layers._graphs import is_scripting, refuse_one_draw
from archzoo.layers._inception import Branches, Inception, InceptionLayers
from archzoo.layers._inception_auxiliary import InceptionAuxiliary, InceptionLogits
from archzoo.layers._initializers import (
    Initialize,
    gaussian,
    gaussian_by_inputs,
    glorot_uniform,
    he_normal_fan_in,
    he_normal_fan_out,
    truncated_gaussian,
    uniform_scale,
    variance_scaling,
    xavier_fan_in,
)
from archzoo.layers._learned_groups import LearnedGroupConv, PrunableLinear, Select
from archzoo.layers._modes import evaluation_mode
from archzoo.layers._modules import Conv2d, Linear, conv1x1, conv3x3, imagenet_stem, pooled_classifier, sequence
from archzoo.layers._net import Net
from archzoo.layers._residual import (
    Basic,
    Block,
    Padded,
    Residual,
    ResidualSum,
    Shortcut,
    padded,
    projected,
    projection,
    stages,
)
from archzoo.layers._response_norm import ResponseNorm
from archzoo.layers._same_padding import Padding, SamePadding, padded_conv3x3
from archzoo.layers._separable import SeparableLayers
from archzoo.layers._shuffle_units import (
    Shuffle,
    ShuffleBranch,
    ShuffleDownUnit,
    ShuffleUnit,
    shufflenet_classifier,
    shufflenet_stages,
    shufflenet_stem,
)
from archzoo.layers._squeeze_excitation import SqueezeExcitation
from archzoo.layers._without_auxiliary import without_auxiliary

__all__ = [
    "Aggregated",
    "Backbone",
    "Basic",
    "Block",
    "Bottleneck",
    "Branches",
    "ChannelShuffle",
    "Classifiers",
    "Conv2d",
    "Inception",
    "InceptionAuxiliary",
    "InceptionLayers",
    "InceptionLogits",
    "Initialize",
    "LearnedGroupConv",
    "Linear",
    "Net",
    "Padded",
    "Padding",
    "PrunableLinear",
    "Residual",
    "ResidualSum",
    "ResponseNorm",
    "SamePadding",
    "Select",
    "SeparableLayers",
    "Shortcut",
    "Shuffle",
    "ShuffleBranch",
    "ShuffleDownUnit",
    "ShuffleUnit",
    "SqueezeExcitation",
    "Stage",
    "Tapped",
    "at_least",
    "batch_norm",
    "checked_device",
    "conv1x1",
    "conv3x3",
    "copy_layers",
    "device_of",
    "doublings",
    "evaluation_mode",
    "gaussian",
    "gaussian_by_inputs",
    "glorot_uniform",
    "he_normal_fan_in",
    "he_normal_fan_out",
    "imagenet_stem",
    "is_scripting",
    "padded",
    "padded_conv3x3",
    "pooled_classifier",
    "probability",
    "projected",
    "projection",
    "refuse_one_draw",
    "repeats",
    "sequence",
    "shufflenet_classifier",
    "shufflenet_stages",
    "shufflenet_stem",
    "stages",
    "truncated_gaussian",
    "uniform_scale",
    "variance_scaling",
    "without_auxiliary",
    "xavier_fan_in",
]
