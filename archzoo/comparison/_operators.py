"""What the operators of torch do to channels: which move them, which act on each of them alone."""

from typing import Any

from torch import Tensor

# Rearrange elements and compute nothing.
MOVEMENTS = {
    *("view", "_unsafe_view", "_reshape_alias", "reshape", "permute", "transpose", "t", "slice", "select", "split"),
    *("split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "cat", "concat", "stack", "expand", "squeeze"),
    *("unsqueeze", "clone", "alias", "detach", "contiguous", "index_select", "index", "flip", "roll", "unbind"),
    *("narrow", "lift_fresh", "lift_fresh_copy", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    *("native_channel_shuffle", "repeat", "as_strided", "gather", "take", "index_put", "index_copy", "scatter"),
}
RESHAPES = {"view", "_unsafe_view", "_reshape_alias", "reshape", "squeeze", "unsqueeze"}
# The movements among them that stay within channels, by the argument that says along which axis they go.
ALONG_AN_AXIS = {"slice", "split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "cat", "index_select"}
# The indices are values of another tensor.
BY_INDEX = {"index", "index_select", "gather", "take", "index_put", "index_copy", "scatter"}
NO_LABELS = {"as_strided"}  # what it returns depends on the layout in memory
FILLED = {"fill", "full", "full_like", "new_full"}
# What has no values yet counts as zeros: a network that reads it before it is written has no verdict.
ZEROS = {"zeros", "new_zeros", "zeros_like", "zero", "empty", "new_empty", "empty_like"}

COMMUTATIVE = {"add", "mul", "maximum", "minimum"}
BINARY = {*COMMUTATIVE, "sub", "rsub", "div", "pow", "where", "lerp", "addcmul", "atan2", "fmod", "remainder"}
OPERANDS = {"mul": "factor", "div": "divisor", "add": "addend", "sub": "subtrahend", "rsub": "minuend"}  # numbers
ACTIVATIONS = {
    *("relu", "sigmoid", "tanh", "hardtanh", "elu", "leaky_relu", "gelu", "silu", "mish", "softplus", "hardswish"),
    *("hardsigmoid", "log_sigmoid_forward", "_prelu_kernel", "celu", "selu", "clamp", "clamp_min", "clamp_max"),
    *("threshold", "rrelu_with_noise", "hardshrink", "softshrink", "erf"),
}
ARITHMETIC = {"neg", "abs", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "reciprocal", "sign", "sin", "cos"}
POINTWISE = ACTIVATIONS | ARITHMETIC | BINARY | {"_to_copy"}
# Windows over the positions of one channel.
SPATIAL = {
    *("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "constant_pad_nd"),
    *("reflection_pad2d", "replication_pad2d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"),
    *("mean", "sum", "amax"),
}
NORMS = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"}
NAMES = {
    "max_pool2d_with_indices": "max_pool",
    "avg_pool2d": "avg_pool",
    "adaptive_max_pool2d": "adaptive_max_pool",
    "_adaptive_avg_pool2d": "adaptive_avg_pool",
    "constant_pad_nd": "pad",
    "_to_copy": "cast",
}
POOLINGS = {
    "subsample",
    "max_pool",
    "avg_pool",
    "adaptive_max_pool",
    "adaptive_avg_pool",
    "global_average",
    "global_max",
}


def pair(value: Any) -> tuple[int, int]:
    """Two sides, of one or two given ones."""
    sides = (value,) if isinstance(value, int) else tuple(value)
    return (sides[0], sides[0]) if len(sides) == 1 else (sides[0], sides[1])


def makes_zeros(name: str, call: dict[str, Any]) -> bool:
    """Whether a call returns zeros, or what has no values yet."""
    filled = "fill_value" if "full" in name else "value"
    return name in ZEROS or (name in FILLED and call.get(filled) == 0)


def is_movement(name: str, call: dict[str, Any]) -> bool:
    """Whether a call rearranges elements and computes nothing."""
    if name == "index_put":
        return not call["accumulate"]
    return name in MOVEMENTS - NO_LABELS and (name != "scatter" or isinstance(call.get("src"), Tensor))


def selects_channels(name: str, call: dict[str, Any]) -> bool:
    """Whether each channel of the result is one of those that a movement reads."""
    if name == "index":
        batch, *others = call["indices"]
        return batch is None and len(others) == 1 and others[0].dim() == 1
    return name in ALONG_AN_AXIS and call.get("dim") == 1


def is_relu(name: str, call: dict[str, Any]) -> bool:
    """Whether a call computes max(x, 0)."""
    if name == "clamp_min":
        return bool(call["min"] == 0)
    if name == "clamp":
        return call["min"] == 0 and call["max"] is None
    return name == "relu" or (name == "threshold" and call["threshold"] == 0 and call["value"] == 0)


def changes_nothing(name: str, call: dict[str, Any]) -> bool:
    """Whether a call with one tensor returns what it is given: a multiplication by 1, an addition of 0."""
    other, rounding = call.get("other"), call.get("rounding_mode")
    if name in ("mul", "div"):
        return other in (1, 1.0) and not isinstance(other, bool) and rounding is None
    return name in ("add", "sub") and other in (0, 0.0) and not isinstance(other, bool)


Windows = tuple[str, dict[str, Any], dict[str, Any]]


def pooling(name: str, call: dict[str, Any], before: tuple[int, ...], after: tuple[int, ...]) -> Windows:
    """A pooling as its kind, the settings that have an effect on maps of this size, and those that have none."""
    largest = "max" in name
    if "adaptive" in name:
        kernel = tuple(b // a for b, a in zip(before, after, strict=True))
        if any(b % a for b, a in zip(before, after, strict=True)):
            return NAMES[name], {"output_size": after}, {}
        if after == (1, 1):
            return ("global_max" if largest else "global_average"), {}, {}
        written = {"output_size": after}
        return (
            ("max_pool" if largest else "avg_pool"),
            {"kernel_size": kernel, "stride": kernel, "padding": (0, 0)} | ({"dilation": (1, 1)} if largest else {}),
            written,
        )
    kernel, padding = pair(call["kernel_size"]), pair(call["padding"])
    stride = pair(call["stride"]) if call["stride"] else kernel
    dilation = pair(call["dilation"]) if largest else (1, 1)
    written = {"kernel_size": kernel, "ceil_mode": call["ceil_mode"]}
    covers = kernel == tuple(before) and padding == (0, 0) and tuple(after) == (1, 1) and dilation == (1, 1)
    if covers and not call.get("divisor_override"):
        return ("global_max" if largest else "global_average"), {}, written
    settings: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "padding": padding}
    reaches = [
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, k, s, p, d in zip(before, kernel, stride, padding, dilation, strict=True)
    ]
    if tuple(reaches) != tuple(after):
        settings["ceil_mode"] = call["ceil_mode"]
    if largest:
        return "max_pool", settings | {"dilation": dilation}, {"ceil_mode": call["ceil_mode"]}
    written = {"ceil_mode": call["ceil_mode"], "count_include_pad": call["count_include_pad"]}
    if padding != (0, 0):
        settings["count_include_pad"] = call["count_include_pad"]
    if call["divisor_override"]:
        settings["divisor_override"] = call["divisor_override"]
    return "avg_pool", settings, written
