"""Batch normalization with and without a scale."""

from torch import nn


def batch_norm(maps: int, eps: float = 1e-5, *, scale: bool = True) -> nn.BatchNorm2d:
    """Batch normalization of so many maps, which start with a scale of 1 and a shift of 0.

    Without ``scale`` it has a shift alone, as TensorFlow's slim has where nothing else is asked for: a ReLU and a
    convolution follow, whose weights can scale.
    """
    norm = nn.BatchNorm2d(maps, eps=eps)
    if not scale:
        norm.register_parameter("weight", None)
    return norm
