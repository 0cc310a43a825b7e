"""Costs of networks: against their published errors, over the years, and part by part."""

import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

import archzoo
from archzoo.auditor import profiled
from archzoo.errors import ReportError
from archzoo.paper import DATA, Result
from archzoo.profiler import Profile
from archzoo.registry import results
from archzoo.report.figures._style import COLORS, INK, canvas, count_ticks, format_count, plot_text

# The largest or most cited network of each paper.
LANDMARKS = (
    *("lenet5", "alexnet", "zfnet", "nin_imagenet", "vgg_d", "googlenet", "resnet152", "squeezenet1_0"),
    *("preact_resnet1001", "stochastic_depth_1202", "wide_resnet_28_10", "fractalnet20", "densenet201"),
    *("mobilenet_v1_x1_0", "shufflenet_v1_g3_x1_0", "mobilenet_v2_x1_0", "shufflenet_v2_x1_0"),
)
FAMILIES = {
    "VGG": "vgg_*",
    "ResNet": "resnet*",
    "pre-activation": "preact_*",
    "stochastic depth": "stochastic_*",
    "Wide ResNet": "wide_*",
    "DenseNet": "densenet*",
    "SqueezeNet": "squeezenet*",
    "MobileNet": "mobilenet*",
    "ShuffleNet": "shufflenet*",
    "FractalNet": "fractalnet*",
}
MARKERS = "osD^vPXh<>*p"
MOST_LABELED = 30  # a figure with more points has no labels


def cost_against_error(data: str = "imagenet top-1", protocol: str = "single crop") -> Figure:
    """Parameters and multiply-adds against the published error (DenseNet, Figs. 3 and 4).

    Each family has its marker, and a line along its Pareto front. ``data`` is a key of archzoo.paper.DATA,
    ``protocol`` the beginning of a protocol's name. A network with several such results is drawn with the lowest error.
    Raises ReportError if there are none.
    """
    families = {name: _points(pattern, data, protocol) for name, pattern in FAMILIES.items()}
    if not any(families.values()):
        raise ReportError(f"nothing is published on {data!r} for {protocol!r}")
    # A family's labels are the sizes of its networks; they alternate between above and below the points.
    several = [family for family, points in families.items() if len(points) > 1]
    label_offsets = (
        dict(zip(several, cycle((4, -9)), strict=False)) if sum(map(len, families.values())) <= MOST_LABELED else {}
    )
    with canvas(10, 4.6, columns=2, sharey=True) as (figure, axes):
        for number, (family, points) in enumerate(families.items()):
            style: Any = {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number], "label": family}
            for axis, quantity in zip(axes, ("params", "macs"), strict=True):
                costs = sorted((getattr(cost, quantity), error, name) for name, cost, error in points)
                if costs:
                    _plot_family(axis, costs, style, label_offset=label_offsets.get(family))
        for axis, label in zip(axes, ("parameters", "multiply-adds of one image"), strict=True):
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            count_ticks(axis.xaxis)
            axis.set_xlabel(label)
        axes[0].set_ylabel("error, %")
        axes[0].set_title(f"Published error against cost: {DATA[data]}, {protocol}")
        axes[1].legend()
    return figure


def _plot_family(axis: Any, costs: Sequence[tuple[int, float, str]], style: Any, label_offset: int | None) -> None:
    """Plot the (cost, error, name) of a family's networks, in order of cost."""
    pairs = [(cost, error) for cost, error, _ in costs]
    front = [pair for i, pair in enumerate(pairs) if all(pair[1] < error for _, error in pairs[:i])]
    axis.plot(*zip(*pairs, strict=True), linestyle="", markersize=5, **style)
    axis.plot(*zip(*front, strict=True), linewidth=1.1, color=style["color"], alpha=0.7)
    if label_offset is None:
        return
    for cost, error, name in costs:
        size = re.search(r"x?\d+(_\d+)*$", name)
        text = size[0].replace("_", ".") if size else ""
        axis.annotate(text, (cost, error), (4, label_offset), textcoords="offset points", fontsize=7.5)


def _points(pattern: str, data: str, protocol: str) -> list[tuple[str, Profile, float]]:
    best: dict[str, Result] = {}
    for result in results(pattern, data):
        if result.protocol.startswith(protocol) and not result.options:
            best[result.name] = min(best.get(result.name, result), result, key=lambda result: result.error)
    return [(name, profiled(name), result.error) for name, result in best.items()]


def timeline(names: Sequence[str] = LANDMARKS) -> Figure:
    """Depth, parameters and multiply-adds of networks in the order of their papers, each on a log scale."""
    quantities = (("depth", "layers with weights"), ("params", "parameters"), ("macs", "multiply-adds"))
    costs = [profiled(name) for name in names]
    with canvas(9.5, 7, rows=3, sharex=True) as (figure, axes):
        for color, axis, (quantity, label) in zip(COLORS, axes, quantities, strict=False):
            values = [getattr(cost, quantity) for cost in costs]
            axis.set_yscale("log")
            count_ticks(axis.yaxis)
            axis.set_ylim(min(values) / 3, max(values) * 3)
            axis.vlines(range(len(names)), min(values) / 3, values, color=color, linewidth=2, alpha=0.35)
            axis.plot(range(len(names)), values, "o", color=color)
            for position, value in enumerate(values):
                text = f"{value:,}" if value < 10_000 else format_count(float(f"{value:.3g}"))
                axis.annotate(text, (position, value), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
            axis.set_ylabel(label)
            axis.grid(False, axis="x")
        axes[0].set_title("From LeNet-5 to ShuffleNet V2")
        labels = [f"{name}, {archzoo.find(name).paper.year}" for name in names]
        axes[-1].set_xticks(range(len(names)), labels, rotation=38, ha="right", rotation_mode="anchor")
    return figure


def stage_shares(names: Sequence[str] = ("alexnet", "vgg_d", "googlenet", "resnet50", "densenet121")) -> Figure:
    """The shares of a network's parts in its parameters and multiply-adds, in percent."""
    with canvas(9.5, 1.2 + 0.75 * len(names), columns=2, sharey=True) as (figure, axes):
        for axis, quantity, title in zip(axes, ("params", "macs"), ("parameters", "multiply-adds"), strict=True):
            for bar, name in enumerate(names):
                left = 0.0
                parts = [stats for stats in profiled(name).modules if stats.level == 2 and stats.macs > 0]
                total = sum(getattr(stats, quantity) for stats in parts)
                for number, stats in enumerate(parts):
                    share = 100 * getattr(stats, quantity) / total
                    axis.barh(bar, share, left=left, color=COLORS[number % 6], edgecolor="white", height=0.62)
                    label = plot_text(stats.name.rpartition(".")[2])
                    if share > 1.7 * len(label):  # wide enough for its label
                        ink = "white" if number % 6 < 3 else INK
                        axis.text(left + share / 2, bar, label, ha="center", va="center", fontsize=7, color=ink)
                    left += share
            axis.set_title(title)
            axis.set_xlim(0, 100)
            axis.set_xlabel("%")
            axis.grid(False, axis="y")
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
    return figure
