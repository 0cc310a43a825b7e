"""Curves of several runs: error while plain and residual networks are trained, and error by the number of images."""

from collections.abc import Mapping, Sequence
from statistics import mean

from matplotlib.figure import Figure

from archzoo.errors import ReportError
from archzoo.report.figures._style import COLORS, canvas, plot_text

History = Sequence[Mapping[str, float]]  # the rows of a run's log.csv


def error_curves(panels: Mapping[str, Mapping[str, Sequence[History]]], title: str = "") -> Figure:
    """Error over iterations, training dashed and validation solid, a panel beside another (ResNet, Fig. 6).

    ``panels`` has, by title, the runs of each network: for each run the rows of its log.csv. Each run is a line, and
    those of one network have one color. Raises ReportError where there is none.
    """
    if not panels:
        raise ReportError("curves of at least one network are drawn, and none are given")
    with canvas(4.6 * len(panels), 4, columns=len(panels), squeeze=False, sharey=True) as (figure, axes):
        for axis, (name, networks) in zip(axes.flat, panels.items(), strict=True):
            for color, (network, runs) in zip(COLORS, networks.items(), strict=False):
                for number, rows in enumerate(runs):
                    iterations = [row["iteration"] for row in rows]
                    for part, style in (("train", "--"), ("validation", "-")):
                        errors = [100 * row[f"{part}_error"] for row in rows]
                        label = plot_text(network) if part == "validation" and not number else None
                        axis.plot(iterations, errors, style, color=color, linewidth=1.2, label=label)
            axis.set_title(plot_text(name))
            axis.set_xlabel("iteration")
            axis.set_ylim(0)
            axis.legend()
        axes.flat[0].set_ylabel("error, %: training dashed, validation solid")
        if title:
            figure.suptitle(plot_text(title), x=0.01, ha="left", fontsize=9)
    return figure


def learning_curves(methods: Mapping[str, Mapping[int, Sequence[float]]], title: str = "") -> Figure:
    """The mean error, in percent, over the number of training images per class, on a log scale: a line a method.

    ``methods`` has, by name, the errors of the runs for each number of images. A bar reaches from the smallest to the
    largest. Raises ReportError where there is none.
    """
    if not methods or not all(methods.values()):
        raise ReportError("errors for at least one number of images are drawn, and none are given")
    counts = sorted({count for errors in methods.values() for count in errors})
    with canvas(6.4, 4.2) as (figure, axis):
        for color, (name, errors) in zip(COLORS, methods.items(), strict=False):
            known = [count for count in counts if count in errors]
            means = [mean(errors[count]) for count in known]
            reach = [[m - min(errors[n]) for m, n in zip(means, known, strict=True)]]
            reach.append([max(errors[n]) - m for m, n in zip(means, known, strict=True)])
            axis.errorbar(known, means, reach, color=color, marker="o", markersize=4, capsize=2, label=plot_text(name))
        axis.set_xscale("log")
        axis.set_xticks(counts, [f"{count}" for count in counts])
        axis.minorticks_off()
        axis.set_ylim(0)
        axis.set_xlabel("training images per class")
        axis.set_ylabel("test error, %")
        axis.set_title(plot_text(title))
        axis.legend()
    return figure
