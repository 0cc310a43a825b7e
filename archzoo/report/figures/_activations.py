"""Activation functions side by side."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from archzoo.report.figures._style import COLORS, LINE, canvas

Activation = Callable[[Tensor], Tensor]
SATURATED = 0.05  # the absolute derivative below which a unit is called saturated
# Slope and intercept of the pieces of one maxout unit: tangents of a parabola (Goodfellow et al. 2013).
MAXOUT_PIECES = ((-1.5, -1.125), (-0.5, -0.125), (0.5, -0.125), (1.5, -1.125))


def maxout(x: Tensor) -> Tensor:
    """The largest of the lines ``MAXOUT_PIECES``."""
    return torch.stack([slope * x + intercept for slope, intercept in MAXOUT_PIECES]).amax(0)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "ReLU": F.relu,
    "leaky ReLU": lambda x: F.leaky_relu(x, 0.1),
    "ELU": F.elu,
    "maxout": maxout,
}


def derivative(activation: Activation, x: Tensor) -> Tensor:
    """The derivative of an elementwise function at each value of a tensor, in its shape."""
    point = x.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(activation(point).sum(), point)
    return slopes


def activations() -> Figure:
    """Six activation functions and their derivatives, shaded where the absolute derivative is less than 0.05.

    Leaky ReLU has a slope of 0.1 below zero, ELU an alpha of 1. A maxout unit learns its pieces; this one has four.
    """
    x = torch.linspace(-6, 6, 2400)  # no point is at zero, where ReLU has no derivative
    with canvas(10, 5.6, columns=3, rows=2, sharex=True, sharey=True) as (figure, axes):
        for axis, (name, activation) in zip(axes.flat, ACTIVATIONS.items(), strict=True):
            _draw(axis, x, activation)
            axis.set_title(name)
        for slope, intercept in MAXOUT_PIECES:
            axes[1, 2].plot(x, slope * x + intercept, ":", color=COLORS[6], linewidth=1.2, label="pieces of the unit")
        axes[0, 0].set(xlim=(-6, 6), ylim=(-1.8, 3.2))
        for axis in axes[1]:
            axis.set_xlabel("input of the unit")
        lines, labels = axes[1, 2].get_legend_handles_labels()
        shade, saturated = axes[0, 0].collections[0], f"absolute derivative below {SATURATED:g}: saturated"
        entries = dict(zip(labels, lines, strict=True)) | {saturated: shade}
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=4)
    return figure


def _draw(axis: Any, x: Tensor, activation: Activation) -> None:
    slopes = derivative(activation, x)
    flat = slopes.abs() < SATURATED
    jumps = torch.cat([torch.zeros(1), slopes.diff()]).abs() > 0.3
    axis.fill_between(x, -2, 4, where=flat, color=LINE, alpha=0.6, linewidth=0)
    axis.plot(x, activation(x), color=COLORS[0], linewidth=1.8, label="function")
    axis.plot(x, slopes.masked_fill(jumps, torch.nan), "--", color=COLORS[1], linewidth=1.6, label="derivative")
