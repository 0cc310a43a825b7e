"""What networks cost, need and see, from the papers' errors and the profiler's counts."""

import re
from collections.abc import Sequence
from itertools import accumulate, cycle
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

import archzoo
from archzoo.auditor import profiled
from archzoo.errors import ArchzooError
from archzoo.profiler import MemoryProfile, Profile
from archzoo.report.figures.style import COLORS, INK, canvas, count_ticks, spelled
from archzoo.report.results import DATA, Result, results

# One network of each paper, as the paper's largest or most cited.
LANDMARKS: tuple[str, ...] = ("lenet5", "alexnet", "zfnet", "nin_imagenet", "vgg_d", "googlenet", "resnet152")
LANDMARKS += ("squeezenet1_0",)
LANDMARKS += ("preact_resnet1001", "stochastic_depth_1202", "wide_resnet_28_10", "fractalnet20", "densenet201")
LANDMARKS += ("shufflenet_v2_x1_0",)
FAMILIES = {
    "VGG": "vgg_*",
    "ResNet": "resnet*",
    "pre-activation": "preact_*",
    "stochastic depth": "stochastic_*",
    "Wide ResNet": "wide_*",
    "DenseNet": "densenet*",
    "SqueezeNet": "squeezenet*",
    "ShuffleNet V2": "shufflenet*",
    "FractalNet": "fractalnet*",
}
MARKERS = "osD^vPXh<>"
NAMED = 30


def cost_against_error(data: str = "imagenet top-1", protocol: str = "single crop") -> Figure:
    """Parameters and multiply-adds against the published error (DenseNet, Figs. 3 and 4).

    Each family has its marks, and a line through those that no cheaper one of the family beats.
    ``data`` is one of archzoo.report.results.DATA, ``protocol`` the beginning of a protocol's name. Of a network with
    several such results the lowest counts. Raises ArchzooError where there are none.
    """
    families = {name: _points(pattern, data, protocol) for name, pattern in FAMILIES.items()}
    if not any(families.values()):
        raise ArchzooError(f"nothing is published on {data!r} for {protocol!r}")
    # With few points the sizes of a family's networks stand beside them, above and below in turn.
    several = [family for family, points in families.items() if len(points) > 1]
    named = dict(zip(several, cycle((4, -9)), strict=False)) if sum(map(len, families.values())) <= NAMED else {}
    with canvas(10, 4.6, columns=2, sharey=True) as (figure, axes):
        for place, (family, points) in enumerate(families.items()):
            for axis, cost in zip(axes, ("params", "macs"), strict=True):
                ordered = sorted((getattr(told, cost), error, name) for name, told, error in points)
                if not ordered:
                    continue
                style: Any = {"color": COLORS[place % len(COLORS)], "marker": MARKERS[place], "markersize": 5}
                pairs = [(value, error) for value, error, _ in ordered]
                best = [pair for at, pair in enumerate(pairs) if all(pair[1] < other for _, other in pairs[:at])]
                axis.plot(*zip(*pairs, strict=True), linestyle="", label=family, **style)
                axis.plot(*zip(*best, strict=True), linewidth=1.1, color=style["color"], alpha=0.7)
                for value, error, name in ordered if family in named else ():
                    size = re.search(r"x?\d+(_\d+)*$", name)
                    text = size[0].replace("_", ".") if size else ""
                    axis.annotate(text, (value, error), (4, named[family]), textcoords="offset points", fontsize=7.5)
        for axis, words in zip(axes, ("parameters", "multiply-adds of one image"), strict=True):
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            count_ticks(axis.xaxis)
            axis.set_xlabel(words)
        axes[0].set_ylabel("error, %")
        axes[0].set_title(f"Published error against cost: {DATA[data]}, {protocol}")
        axes[1].legend()
    return figure


def _points(pattern: str, data: str, protocol: str) -> list[tuple[str, Profile, float]]:
    best: dict[str, Result] = {}
    for one in results(pattern, data):
        if one.protocol.startswith(protocol) and not one.options:
            best[one.name] = min(best.get(one.name, one), one, key=lambda result: result.error)
    return [(name, profiled(name), one.error) for name, one in best.items()]


def timeline(names: Sequence[str] = LANDMARKS) -> Figure:
    """Twenty years of networks in the order of their papers: depth, parameters, multiply-adds, each on a log scale."""
    quantities = (("depth", "layers with weights"), ("params", "parameters"), ("macs", "multiply-adds"))
    costs = [profiled(name) for name in names]
    with canvas(9.5, 7, rows=3, sharex=True) as (figure, axes):
        for place, (axis, (quantity, words)) in enumerate(zip(axes, quantities, strict=True)):
            values = [getattr(cost, quantity) for cost in costs]
            axis.set_yscale("log")
            count_ticks(axis.yaxis)
            axis.set_ylim(min(values) / 3, max(values) * 3)
            axis.vlines(range(len(names)), min(values) / 3, values, color=COLORS[place], linewidth=2, alpha=0.35)
            axis.plot(range(len(names)), values, "o", color=COLORS[place])
            for at, value in enumerate(values):
                text = f"{value:,}" if value < 10_000 else spelled(float(f"{value:.3g}"))
                axis.annotate(text, (at, value), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
            axis.set_ylabel(words)
            axis.grid(False, axis="x")
        axes[0].set_title("From LeNet-5 to ShuffleNet V2")
        labels = [f"{name}, {archzoo.find(name).paper.year}" for name in names]
        axes[-1].set_xticks(range(len(names)), labels, rotation=38, ha="right", rotation_mode="anchor")
    return figure


def stage_shares(names: Sequence[str] = ("alexnet", "vgg_d", "googlenet", "resnet50", "densenet121")) -> Figure:
    """Where the parameters and the multiply-adds of networks are, part by part, in percent."""
    with canvas(9.5, 1.2 + 0.75 * len(names), columns=2, sharey=True) as (figure, axes):
        for axis, cost, words in zip(axes, ("params", "macs"), ("parameters", "multiply-adds"), strict=True):
            for place, name in enumerate(names):
                counted = profiled(name)
                left = 0.0
                parts = [row for row in counted.modules if row.level == 2 and row.macs > 0]
                whole = sum(getattr(row, cost) for row in parts)
                for number, row in enumerate(parts):
                    share = 100 * getattr(row, cost) / whole
                    axis.barh(place, share, left=left, color=COLORS[number % 6], edgecolor="white", height=0.62)
                    label = row.name.rpartition(".")[2]
                    if share > 1.7 * len(label):  # as wide as its letters
                        ink = "white" if number % 6 < 3 else INK
                        axis.text(left + share / 2, place, label, ha="center", va="center", fontsize=7, color=ink)
                    left += share
            axis.set_title(words)
            axis.set_xlim(0, 100)
            axis.set_xlabel("%")
            axis.grid(False, axis="y")
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
    return figure


def memory_over_time(memory: MemoryProfile, phase: str = "inference", name: str = "") -> Figure:
    """Bytes alive after each operator of a pass: "inference", or "training" for forward, backward and step.

    ``told`` is what archzoo.profiler.memory gave. Raises ArchzooError for another phase.
    """
    if phase not in ("inference", "training"):
        raise ArchzooError(f"phase must be 'inference' or 'training', not {phase!r}")
    moments = [one for one in told.timeline if (one.phase == "inference") == (phase == "inference")]
    with canvas(9, 3.6) as (figure, axis):
        start = 0
        for number, part in enumerate(dict.fromkeys(one.phase for one in moments)):
            live = [one.live / 2**20 for one in moments if one.phase == part]
            places = range(start, start + len(live))
            axis.fill_between(places, live, step="mid", alpha=0.25, color=COLORS[number])
            axis.plot(places, live, drawstyle="steps-mid", linewidth=1.1, color=COLORS[number], label=part)
            start += len(live)
        held = (told.parameters + told.buffers) / 2**20
        axis.axhline(held, color=INK, linewidth=0.8, linestyle=":")
        axis.annotate(
            "parameters and buffers", (start, held), (-4, 4), textcoords="offset points", ha="right", fontsize=8
        )
        axis.set_ylim(0)
        axis.set_xlabel("operator")
        axis.set_ylabel("MiB alive")
        axis.set_title(f"{name or told.model}, batch {told.batch}: memory of {phase}")
        if phase == "training":
            axis.legend()
    return figure


def field_growth(names: Sequence[str] = ("alexnet", "vgg_d", "resnet50", "googlenet", "densenet121")) -> Figure:
    """How much of the image one number sees, in pixels, at most, behind so many convolutions of all branches."""
    with canvas(8.5, 4.4) as (figure, axis):
        for place, name in enumerate(names):
            counted = profiled(name)
            fields = [
                max(row.receptive_field.size) for row in counted.modules if row.kind.endswith("Conv2d") and row.receptive_field is not None
            ]
            fields = list(accumulate(fields, max))
            axis.plot(range(1, len(fields) + 1), fields, color=COLORS[place], linewidth=1.4)
            axis.annotate(
                name, (len(fields), fields[-1]), (5, 0), textcoords="offset points", va="center", color=COLORS[place]
            )
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
        axis.set_title("What one number sees")
    return figure
