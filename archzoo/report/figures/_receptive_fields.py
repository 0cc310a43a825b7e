"""How receptive fields grow with depth."""

from collections.abc import Sequence
from itertools import accumulate

from matplotlib.figure import Figure

import archzoo
from archzoo.auditor import profiled
from archzoo.report.figures._style import COLORS, INK, canvas, count_ticks

NETWORKS = ("alexnet", "vgg_d", "resnet50", "googlenet", "densenet121")


def receptive_field_growth(names: Sequence[str] = NETWORKS) -> Figure:
    """The largest receptive field, in pixels, after each convolution of all branches."""
    with canvas(8.5, 4.4) as (figure, axis):
        for color, name in zip(COLORS, names, strict=False):
            fields = list(accumulate(_convolution_fields(name), max))
            axis.plot(range(1, len(fields) + 1), fields, color=color, linewidth=1.4)
            end = (len(fields), fields[-1])
            axis.annotate(name, end, (5, 0), textcoords="offset points", va="center", color=color)
        side = archzoo.find(names[0]).input_size[-1]
        axis.axhline(side, color=INK, linewidth=0.8, linestyle=":")
        axis.annotate(f"the image, {side}", (1, side), (0, 4), textcoords="offset points")
        axis.set_xscale("log")
        axis.set_yscale("log")
        count_ticks(axis.xaxis)
        count_ticks(axis.yaxis)
        axis.margins(x=0.16)
        axis.set_xlabel("convolution")
        axis.set_ylabel("receptive field, pixels")
        axis.set_title("Receptive fields")
    return figure


def _convolution_fields(name: str) -> list[int]:
    convolutions = (stats for stats in profiled(name).modules if stats.kind.endswith("Conv2d"))
    return [max(stats.receptive_field.size) for stats in convolutions if stats.receptive_field is not None]
