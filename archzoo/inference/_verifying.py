"""Whether an optimized network computes what the original does, on random images of a size that it takes."""

import copy
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from archzoo.layers import device_of, evaluation_mode

SIDES = (32, 28, 64, 96, 224, 227)  # in pixels: of small images first, then of networks for images of one size
TOLERANCE = 1e-2  # deep networks without trained statistics amplify rounding; another function differs by more
Rewrite = Callable[[nn.Module], nn.Module]  # a network to another one that is to compute the same


class Sample(NamedTuple):
    """An image (1, C, H, W) and what the original network returns for it in eval mode."""

    images: Tensor
    expected: Tensor


def sample_of(net: nn.Module) -> Sample | None:
    """A random image of the first size that a network takes.

    None where it has no convolution, takes no single image, returns no tensor or has no values.
    """
    for images in candidates(net):
        expected = output_of(getattr(net, "logits", net), net, images)
        if isinstance(expected, Tensor):
            return Sample(images, expected)
    return None


def candidates(net: nn.Module) -> Iterator[Tensor]:
    """Images of several sizes, in the type and on the device of a network."""
    conv = next((module for module in net.modules() if isinstance(module, nn.Conv2d)), None)
    if conv is None or conv.weight.is_meta:
        return
    for side in SIDES:
        generator = torch.Generator().manual_seed(0)
        image = torch.randn(1, conv.in_channels, side, side, generator=generator, device="cpu")
        yield image.to(device_of(net), conv.weight.dtype)


def output_of(run: Callable[..., Any], net: nn.Module, images: Tensor) -> Any:
    """What a function of a network's modules returns in eval mode; None for images that it does not take."""
    try:
        with torch.no_grad(), evaluation_mode(net):
            out = run(images)
        return out.detach() if isinstance(out, Tensor) else out  # forward may have switched gradients on
    except (RuntimeError, ValueError, TypeError, IndexError):
        return None


def error_of(optimized: nn.Module, sample: Sample | None) -> float:
    """The norm of the difference on a sample, as a share of the norm of what is expected.

    0 without a sample, or where what is expected is not finite.
    """
    if sample is None or not bool(sample.expected.isfinite().all()):
        return 0.0
    actual = output_of(optimized, optimized, sample.images)
    if not isinstance(actual, Tensor) or actual.shape != sample.expected.shape:
        return float("inf")
    norm = float(sample.expected.double().norm())
    difference = float((actual.double() - sample.expected.double()).norm())
    return difference / norm if norm else difference


def error_of_rewrite(rewrite: Rewrite, net: nn.Module, rewritten: nn.Module, sample: Sample | None) -> float:
    """The error of ``rewritten``, which ``rewrite`` has made of a network.

    Where it is large, that may be rounding: in deep networks whose statistics do not fit their weights, rounding grows
    to the size of the logits. Then it is the error for a copy whose statistics fit.
    """
    error = error_of(rewritten, sample)
    if sample is None or not TOLERANCE < error < inf:
        return error
    fitting = with_fitting_statistics(net, sample.images)
    expected = output_of(getattr(fitting, "logits", fitting), fitting, sample.images)
    return error_of(rewrite(fitting), Sample(sample.images, expected)) if isinstance(expected, Tensor) else error


def with_fitting_statistics(net: nn.Module, images: Tensor) -> nn.Module:
    """A copy in eval mode whose batch norms, one after the other, divide by the root mean square of their maps."""
    fitting = copy.deepcopy(net).eval()

    def fit(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        centered = inputs[0] - norm.running_mean.view(-1, *[1] * (inputs[0].dim() - 2))
        size = centered.square().mean()
        if size.isfinite() and size > 0:
            norm.running_var.fill_(size)

    norms = [
        module for module in fitting.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]
    hooks = [norm.register_forward_pre_hook(fit) for norm in norms]
    output_of(fitting, fitting, images)
    for hook in hooks:
        hook.remove()
    return fitting
