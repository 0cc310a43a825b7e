"""From operator to receptive field: how the result of an ATen operator depends on the image.

An operator without a rule mixes all positions of all its operands: the field is never too small.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from archzoo.profiler._intervals import Field
from archzoo.profiler._receptive_fields.arithmetic import (
    Inputs,
    along,
    batch_norm,
    layer_norm,
    mixed,
    pointwise,
    product,
    reduction,
)
from archzoo.profiler._receptive_fields.layout import (
    concatenation,
    gathering,
    indexing,
    permutation,
    selecting,
    splitting,
    squeezing,
    stacking,
    transposition,
    turning,
    unsqueezing,
)
from archzoo.profiler._receptive_fields.resampling import (
    antialiased_cubic,
    antialiased_linear,
    cubic,
    flipping,
    linear,
    nearest,
    nearest_exact,
    pixel_shuffle,
    pixel_unshuffle,
    reflecting,
    replicating,
    rolling,
    unfolding,
)
from archzoo.profiler._receptive_fields.reshaping import reshaping
from archzoo.profiler._receptive_fields.windows import (
    adaptive_pooling,
    convolution,
    padding,
    pooling,
    slicing,
)

__all__ = ["FIELD_RULES", "Inputs", "Rule", "mixed", "rule_of"]

aten = torch.ops.aten

Rule: TypeAlias = Callable[..., Field]
_RULES: dict[Rule, str] = {
    convolution: "convolution _convolution",
    pooling: "max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d",
    adaptive_pooling: """_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_max_pool2d
        adaptive_max_pool3d""",
    nearest: "upsample_nearest1d upsample_nearest2d upsample_nearest3d",
    nearest_exact: "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d",
    linear: "upsample_linear1d upsample_bilinear2d upsample_trilinear3d",
    cubic: "upsample_bicubic2d",
    antialiased_linear: "_upsample_bilinear2d_aa",
    antialiased_cubic: "_upsample_bicubic2d_aa",
    pixel_shuffle: "pixel_shuffle",
    pixel_unshuffle: "pixel_unshuffle",
    unfolding: "unfold",
    rolling: "roll",
    flipping: "flip",
    reflecting: "reflection_pad1d reflection_pad2d reflection_pad3d",
    replicating: "replication_pad1d replication_pad2d replication_pad3d",
    reduction: "mean sum amax amin",
    along: "_softmax _log_softmax _safe_softmax cumsum cumprod",
    concatenation: "cat",
    stacking: "stack",
    reshaping: "view _unsafe_view _reshape_alias",
    transposition: "transpose",
    permutation: "permute",
    turning: "t",
    unsqueezing: "unsqueeze",
    squeezing: "squeeze",
    selecting: "select",
    slicing: "slice",
    splitting: "split split_with_sizes unsafe_split unsafe_split_with_sizes",
    indexing: "index",
    gathering: "index_select",
    layer_norm: "native_layer_norm",
    batch_norm: "native_batch_norm _native_batch_norm_legit cudnn_batch_norm",
    padding: "constant_pad_nd",
    product: "mm addmm bmm",
    pointwise: """clone alias detach _to_copy native_dropout expand lift_fresh copy_
        _native_batch_norm_legit_no_training _batch_norm_no_update _batch_norm_with_update hardswish hardswish_ mish_
        gelu_ prelu _prelu_kernel relu6_ log_sigmoid_forward rrelu_with_noise threshold_
        channel_shuffle native_channel_shuffle""",
}
FIELD_RULES: dict[Any, Rule] = {getattr(aten, name): rule for rule, names in _RULES.items() for name in names.split()}


def rule_of(operator: Any) -> Rule:
    """The rule of an operator; ``mixed`` for one without a rule of its own."""
    if operator.overloadpacket in FIELD_RULES:
        return FIELD_RULES[operator.overloadpacket]
    return pointwise if torch.Tag.pointwise in operator.tags else mixed
