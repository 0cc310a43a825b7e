"""Costs of networks: against their published errors, over the years, and part by part."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

import archzoo
from archzoo.auditor import profiled
from archzoo.errors import ReportError
from archzoo.paper import DATA, Result
from archzoo.profiler import Profile
from archzoo.registry import results
from archzoo.report._papers import name_and_year
from archzoo.report.figures._labels import Label, label_points
from archzoo.report.figures._style import COLORS, INK, canvas, count_ticks, format_count, plot_text

# The largest or most cited network of each paper.
LANDMARKS = (
    *("lenet5", "alexnet", "zfnet", "nin_imagenet", "vgg_d", "googlenet", "resnet152", "squeezenet1_0"),
    *("preact_resnet1001", "stochastic_depth_1202", "wide_resnet_28_10", "fractalnet20", "densenet201"),
    *("mobilenet_v1_x1_0", "shufflenet_v1_g3_x1_0", "mobilenet_v2_x1_0", "shufflenet_v2_x1_0"),
)
MARKERS = "osD^vPXh<>*p"
Costs = tuple[str, Profile, float]  # a network, its costs and its error


def cost_against_error(data: str = "imagenet top-1", protocol: str = "single crop") -> Figure:
    """Parameters and multiply-adds against the published error (DenseNet, Figs. 3 and 4).

    Each paper has its marker, and a line through those of its networks that no other of them beats at the same cost
    or less; the others are small. Costs within five percent are the same. A network with several results is drawn
    with the lowest error. ``data`` is a key of archzoo.paper.DATA, ``protocol`` how the networks are evaluated.
    Raises ReportError if there are no such results.
    """
    papers = _points(data, protocol)
    if not papers:
        raise ReportError(f"nothing is published on {data!r} for {protocol!r}")
    with canvas(10, 11, rows=2) as (figure, axes):
        for axis, label in zip(axes, ("parameters", "multiply-adds of one image"), strict=True):
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)))
            count_ticks(axis.xaxis)
            count_ticks(axis.yaxis)
            axis.set_xlabel(label)
            axis.set_ylabel("error, %")
        axes[0].set_title(f"Published error against cost: {DATA[data]}, {protocol}")
        lines = [_plot_papers(axis, papers, quantity) for axis, quantity in zip(axes, ("params", "macs"), strict=True)]
        for axis in axes:
            axis.set_ylim(bottom=0.9 * axis.get_ylim()[0])  # room for labels below the best networks, which are many
        beaten = Line2D([], [], linestyle="", marker="o", color=INK, markersize=2.5, label=BEATEN)
        figure.legend(handles=[*lines[0], beaten], loc="outside lower center", ncols=4, fontsize=8)
        for axis, quantity in zip(axes, ("params", "macs"), strict=True):
            _label_papers(figure, axis, papers, quantity)
    return figure


BEATEN = "small: another is better at its cost"
SAME_COST = 1.05
Point = tuple[int, float, str]  # cost, error and name of a network


def _plot_papers(axis: Any, papers: Mapping[str, Sequence[Costs]], quantity: str) -> list[Any]:
    """Plot the networks of each paper, and return its line."""
    lines = []
    for number, (paper, networks) in enumerate(papers.items()):
        front, beaten = _front(networks, quantity)
        color, marker = _style(number)
        costs, errors = zip(*((cost, error) for cost, error, _ in front), strict=True)
        (line,) = axis.plot(costs, errors, color=color, marker=marker, markersize=5, linewidth=0.9, label=paper)
        lines.append(line)
        if beaten:
            costs, errors = zip(*((cost, error) for cost, error, _ in beaten), strict=True)
            axis.plot(costs, errors, color=color, marker=marker, markersize=2.5, linestyle="", alpha=0.7)
    return lines


def _style(number: int) -> tuple[str, str]:
    """The color and the marker of a paper."""
    return COLORS[number % len(COLORS)], MARKERS[(number + number // len(COLORS)) % len(MARKERS)]


def _front(networks: Sequence[Costs], quantity: str) -> tuple[list[Point], list[Point]]:
    """The networks that no other beats at the same cost or less, and the others, in order of cost."""
    points = sorted((getattr(cost, quantity), error, name) for name, cost, error in networks)
    front = [
        (cost, error, name)
        for cost, error, name in points
        if not any(other < error and price <= SAME_COST * cost for price, other, _ in points)
    ]
    return front, [point for point in points if point not in front]


def _label_papers(figure: Figure, axis: Any, papers: Mapping[str, Sequence[Costs]], quantity: str) -> None:
    labels: list[Label] = []
    curves, others = [], []
    for number, (paper, networks) in enumerate(papers.items()):
        front, beaten = _front(networks, quantity)
        texts = _labels(paper, [name for name, _, _ in networks])
        labels += [Label(cost, error, texts[name], _dark(_style(number)[0])) for cost, error, name in front]
        curves.append([(cost, error) for cost, error, _ in front])
        others += [(cost, error) for cost, error, _ in beaten]
    label_points(figure, axis, labels, others, curves)


def _dark(color: str) -> tuple[float, ...]:
    """A color in which text can be read on white."""
    return tuple(0.6 * part for part in to_rgb(color))


def _labels(paper: str, names: Sequence[str]) -> dict[str, str]:
    """What sets each network of a paper apart, such as 50 or x1.0. One alone has the paper's name."""
    if len(names) == 1:
        return {names[0]: paper.partition(" (")[0]}
    prefix = _prefix(names)
    short = {name: name.removeprefix(prefix).strip("_") or name for name in names}
    return {name: re.sub(r"([xv]\d)_(\d)", r"\1.\2", text).replace("_", "-") for name, text in short.items()}


def _prefix(names: Sequence[str]) -> str:
    """What most names begin with, up to an underscore or a number."""
    ((start, _),) = Counter(name[:3] for name in names).most_common(1)
    alike = [name for name in names if name.startswith(start)]
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*alike, strict=False))
    common = "".join(letters[0] for letters in same)
    if any(name[len(common) :][:1].isdigit() for name in alike):
        common = re.sub(r"\d+$|(?<=_)[a-z]$", "", common)
    ends = all(not name[len(common) :][:1].isalpha() for name in alike)
    return common if ends or common.endswith("_") else common[: common.rfind("_") + 1]


def _points(data: str, protocol: str) -> dict[str, list[Costs]]:
    """The networks of each paper, papers in order of their years."""
    best: dict[str, Result] = {}
    for result in results(data=data):
        if result.protocol == protocol and not result.options:
            best[result.name] = min(best.get(result.name, result), result, key=lambda result: result.error)
    papers: dict[str, list[Costs]] = {}
    for name in sorted(best, key=lambda name: archzoo.find(name).paper.year):
        paper = name_and_year(archzoo.find(name).paper)
        papers.setdefault(paper, []).append((name, profiled(name), best[name].error))
    return papers


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
    """The shares of a network's parts in its parameters and multiply-adds, in percent, darker from first to last."""
    with canvas(9.5, 1.2 + 0.75 * len(names), columns=2, sharey=True) as (figure, axes):
        for axis, quantity, title in zip(axes, ("params", "macs"), ("parameters", "multiply-adds"), strict=True):
            for bar, name in enumerate(names):
                left = 0.0
                parts = [stats for stats in profiled(name).modules if stats.level == 2 and stats.macs > 0]
                total = sum(getattr(stats, quantity) for stats in parts)
                for number, stats in enumerate(parts):
                    share = 100 * getattr(stats, quantity) / total
                    depth = (number + 1) / len(parts)
                    color = [1 - (1 - part) * (0.2 + 0.8 * depth) for part in to_rgb(COLORS[0])]
                    axis.barh(bar, share, left=left, color=color, edgecolor="white", height=0.62)
                    label = plot_text(stats.name.rpartition(".")[2])
                    if share > 1.7 * len(label):  # wide enough for its label
                        ink = "white" if depth > 0.55 else INK
                        axis.text(left + share / 2, bar, label, ha="center", va="center", fontsize=7, color=ink)
                    left += share
            axis.set_title(title)
            axis.set_xlim(0, 100)
            axis.set_xlabel("%, darker from the first part to the last")
            axis.grid(False, axis="y")
        axes[0].set_yticks(range(len(names)), names)
        axes[0].invert_yaxis()
    return figure
