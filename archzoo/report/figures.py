"""Figures, drawn by matplotlib: what networks cost, how they grew, how they learn. Each function gives a Figure."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import archzoo
from archzoo.profiler import Memory, Profile, profile
from archzoo.registry import ArchzooError
from archzoo.report.results import DATA, Result, results

try:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter
except ImportError as error:
    raise ArchzooError(
        "figures are drawn by matplotlib, which is not installed: pip install 'archzoo[figures]'"
    ) from error

# Okabe and Ito's colours, which all eyes tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
INK, LINE = "#1d2733", "#d9dfe7"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "archzoo",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "figure.facecolor": "white",
}
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


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as .png, .svg or .pdf: the same figure in the same bytes, whole or not at all.

    Raises ArchzooError for any other suffix.
    """
    where = Path(path)
    kind = where.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ArchzooError(f"a figure is written as .png, .svg or .pdf, not {where.name!r}")
    dateless: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format=kind, dpi=150, metadata=dateless[kind])
    partial = where.with_name(f"{where.name}.part")
    partial.write_bytes(out.getvalue())
    os.replace(partial, where)


@contextmanager
def _drawn(
    width: float, height: float, columns: int = 1, rows: int = 1, **options: Any
) -> Iterator[tuple[Figure, Any]]:
    """A figure in our style, and its axes: one, or an array of them."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(rows, columns, **options)


def _counts(value: float, _: Any = None) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _counted(axis: Any) -> None:
    """Ticks as 10M in the place of powers of ten."""
    axis.set_major_formatter(FuncFormatter(_counts))
    axis.set_minor_formatter(NullFormatter())


def _cost(name: str, **options: Any) -> Profile:
    return profile(archzoo.build(name, device="meta", **options), archzoo.find(name).input_size)


# What networks cost


def cost_against_error(data: str = "imagenet top-1", protocol: str = "single crop") -> Figure:
    """Parameters and multiply-adds against the published error (DenseNet, Figs. 3 and 4).

    Each family has its marks, and a line through those that no cheaper one of the family beats.
    ``data`` is one of archzoo.report.results.DATA, ``protocol`` the beginning of a protocol's name. Of a network with
    several such results the lowest counts. Raises ArchzooError where there are none.
    """
    families = {name: _points(pattern, data, protocol) for name, pattern in FAMILIES.items()}
    if not any(families.values()):
        raise ArchzooError(f"nothing is published on {data!r} for {protocol!r}")
    with _drawn(10, 4.6, columns=2, sharey=True) as (figure, axes):
        for place, (name, points) in enumerate(families.items()):
            for axis, cost in zip(axes, ("params", "macs"), strict=True):
                ordered = sorted((getattr(one, cost), error) for one, error in points)
                if not ordered:
                    continue
                style: Any = {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place], "markersize": 5}
                best = [pair for at, pair in enumerate(ordered) if all(pair[1] < other for _, other in ordered[:at])]
                axis.plot(*zip(*ordered, strict=True), linestyle="", label=name, **style)
                axis.plot(*zip(*best, strict=True), linewidth=1.1, color=style["color"], alpha=0.7)
        for axis, words in zip(axes, ("parameters", "multiply-adds of one image"), strict=True):
            axis.set_xscale("log")
            _counted(axis.xaxis)
            axis.set_xlabel(words)
        axes[0].set_ylabel("error, %")
        axes[0].set_title(f"{DATA[data]}: what {protocol} reached for how much")
        axes[1].legend()
    return figure


def _points(pattern: str, data: str, protocol: str) -> list[tuple[Profile, float]]:
    best: dict[str, Result] = {}
    for one in results(pattern, data):
        if one.protocol.startswith(protocol) and not one.options:
            best[one.name] = min(best.get(one.name, one), one, key=lambda result: result.error)
    return [(_cost(name), one.error) for name, one in best.items()]


def timeline(names: Sequence[str] = LANDMARKS) -> Figure:
    """Twenty years of networks in the order of their papers: depth, parameters, multiply-adds, each on a log scale."""
    quantities = (("depth", "layers with weights"), ("params", "parameters"), ("macs", "multiply-adds"))
    costs = [_cost(name) for name in names]
    with _drawn(9.5, 7, rows=3, sharex=True) as (figure, axes):
        for place, (axis, (quantity, words)) in enumerate(zip(axes, quantities, strict=True)):
            values = [getattr(cost, quantity) for cost in costs]
            axis.set_yscale("log")
            _counted(axis.yaxis)
            axis.set_ylim(min(values) / 3, max(values) * 3)
            axis.vlines(range(len(names)), min(values) / 3, values, color=COLOURS[place], linewidth=2, alpha=0.35)
            axis.plot(range(len(names)), values, "o", color=COLOURS[place])
            for at, value in enumerate(values):
                text = _counts(float(f"{value:.3g}"))
                axis.annotate(text, (at, value), (0, 6), textcoords="offset points", ha="center", fontsize=7.5)
            axis.set_ylabel(words)
            axis.grid(False, axis="x")
        axes[0].set_title("From LeNet-5 to ShuffleNet V2")
        labels = [f"{name}, {archzoo.find(name).paper.year}" for name in names]
        axes[-1].set_xticks(range(len(names)), labels, rotation=38, ha="right", rotation_mode="anchor")
    return figure


def stage_shares(names: Sequence[str] = ("alexnet", "vgg_d", "googlenet", "resnet50", "densenet121")) -> Figure:
    """Where the parameters and the multiply-adds of networks are, part by part, in percent."""
    with _drawn(9.5, 1.2 + 0.75 * len(names), columns=2, sharey=True) as (figure, axes):
        for axis, cost, words in zip(axes, ("params", "macs"), ("parameters", "multiply-adds"), strict=True):
            for place, name in enumerate(names):
                counted = _cost(name)
                left = 0.0
                parts = [row for row in counted.rows if row.level == 2 and row.macs > 0]
                whole = sum(getattr(row, cost) for row in parts)
                for number, row in enumerate(parts):
                    share = 100 * getattr(row, cost) / whole
                    axis.barh(place, share, left=left, color=COLOURS[number % 6], edgecolor="white", height=0.62)
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


def memory_over_time(told: Memory, phase: str = "inference", name: str = "") -> Figure:
    """Bytes alive after each operator of a pass: "inference", or "training" for forward, backward and step.

    ``told`` is what archzoo.profiler.memory gave. Raises ArchzooError for another phase.
    """
    if phase not in ("inference", "training"):
        raise ArchzooError(f"phase must be 'inference' or 'training', not {phase!r}")
    moments = [one for one in told.timeline if (one.phase == "inference") == (phase == "inference")]
    with _drawn(9, 3.6) as (figure, axis):
        start = 0
        for number, part in enumerate(dict.fromkeys(one.phase for one in moments)):
            live = [one.live / 2**20 for one in moments if one.phase == part]
            places = range(start, start + len(live))
            axis.fill_between(places, live, step="mid", alpha=0.25, color=COLOURS[number])
            axis.plot(places, live, drawstyle="steps-mid", linewidth=1.1, color=COLOURS[number], label=part)
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
    with _drawn(8.5, 4.4) as (figure, axis):
        for place, name in enumerate(names):
            counted = _cost(name)
            fields = [
                max(row.field.size) for row in counted.rows if row.kind.endswith("Conv2d") and row.field is not None
            ]
            fields = list(accumulate(fields, max))
            axis.plot(range(1, len(fields) + 1), fields, color=COLOURS[place], linewidth=1.4)
            axis.annotate(
                name, (len(fields), fields[-1]), (5, 0), textcoords="offset points", va="center", color=COLOURS[place]
            )
        side = archzoo.find(names[0]).input_size[-1]
        axis.axhline(side, color=INK, linewidth=0.8, linestyle=":")
        axis.annotate(f"the image, {side}", (1, side), (0, 4), textcoords="offset points")
        axis.set_xscale("log")
        axis.set_yscale("log")
        _counted(axis.xaxis)
        _counted(axis.yaxis)
        axis.margins(x=0.16)
        axis.set_xlabel("convolution")
        axis.set_ylabel("receptive field, pixels")
        axis.set_title("What one number sees")
    return figure


# What networks learn


def first_filters(net: nn.Module) -> Figure:
    """The filters of a network's first convolution as a grid, each in its own range; those of three channels in colour.

    Raises ArchzooError for a network without convolutions.
    """
    layer = next((one for one in net.modules() if isinstance(one, nn.Conv2d)), None)
    if layer is None:
        raise ArchzooError("the network has no convolution whose filters could be drawn")
    weight = layer.weight.detach().float().cpu()
    low, high = weight.amin((1, 2, 3), keepdim=True), weight.amax((1, 2, 3), keepdim=True)
    scaled = (weight - low) / (high - low).clamp(min=1e-12)
    tiles = scaled if weight.shape[1] == 3 else scaled.mean(1, keepdim=True)
    return _grid(list(tiles), [""] * len(tiles), f"{len(tiles)} filters of {weight.shape[2]}x{weight.shape[3]}")


def predictions(images: Tensor, labels: Sequence[int], answers: Sequence[int], classes: Sequence[str]) -> Figure:
    """Pictures (N, C, H, W) from 0 to 1 with what a network says; where it is wrong, in red, with what is right."""
    words = [
        classes[said] if said == true else f"{classes[said]}, not {classes[true]}"
        for true, said in zip(labels, answers, strict=True)
    ]
    wrong = [said != true for true, said in zip(labels, answers, strict=True)]
    right = len(wrong) - sum(wrong)
    return _grid(list(images.detach().float().cpu()), words, f"{right} of {len(wrong)} right", wrong)


def _grid(tiles: Sequence[Tensor], words: Sequence[str], title: str, marked: Sequence[bool] = ()) -> Figure:
    columns = min(len(tiles), 12)
    rows = -(-len(tiles) // columns)
    high = 1.12 if any(words) else 0.86
    with _drawn(0.86 * columns, high * rows + 0.4, columns, rows, squeeze=False) as (figure, axes):
        for axis in axes.flat:
            axis.axis("off")
        for number, (tile, axis) in enumerate(zip(tiles, axes.flat, strict=False)):
            picture = tile.permute(1, 2, 0).squeeze(-1)
            axis.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            colour = COLOURS[1] if number < len(marked) and marked[number] else INK
            axis.set_title(words[number], fontsize=7, color=colour, loc="center", fontweight="normal", pad=2)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def feature_reuse_map(tables: Mapping[str, Tensor]) -> Figure:
    """DenseNet's Fig. 5: how much each layer (across) reads of each earlier one (down), block by block.

    ``tables`` are those of archzoo.training.feature_reuse, each scaled to its largest value.
    """
    with _drawn(3.4 * len(tables) + 0.6, 3.6, columns=len(tables), squeeze=False) as (figure, axes):
        for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
            shares = table / table[~table.isnan()].max()
            drawn = axis.imshow(shares.numpy(), cmap="viridis", vmin=0, vmax=1)
            axis.grid(False)
            axis.set_title(name)
            axis.set_xlabel("read by layer (the last: what follows)")
        axes.flat[0].set_ylabel("of layer (0: what the block is given)")
        figure.colorbar(drawn, ax=axes.ravel().tolist(), label="mean absolute weight, of the largest", shrink=0.8)
    return figure


def training_curves(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Loss and error of runs by epoch, dashed in training and solid in validation; each is the rows of a log.csv."""
    with _drawn(10, 4, columns=2) as (figure, axes):
        for axis, quantity, scale in zip(axes, ("loss", "error"), (1.0, 100.0), strict=True):
            for place, (name, rows) in enumerate(runs.items()):
                epochs = [float(row["epoch"]) for row in rows]
                for part, style in (("train", "--"), ("validation", "-")):
                    values = [scale * float(row[f"{part}_{quantity}"]) for row in rows]
                    label = name if part == "validation" else None
                    axis.plot(epochs, values, style, color=COLOURS[place % 8], linewidth=1.2, label=label)
            axis.set_xlabel("epoch")
            axis.set_ylabel(quantity if scale == 1 else f"{quantity}, %")
        axes[0].set_yscale("log")
        axes[1].set_ylim(0)
        axes[0].set_title("training dashed, validation solid")
        axes[1].legend()
    return figure


def schedules(rates: Mapping[str, Sequence[float]]) -> Figure:
    """Learning rates over the share of a run that is done, on a log scale, a line for each recipe."""
    with _drawn(8.5, 4.2) as (figure, axis):
        for place, (name, values) in enumerate(rates.items()):
            shares = [100 * number / max(len(values) - 1, 1) for number in range(len(values))]
            axis.plot(shares, values, color=COLOURS[place % 8], label=name, linewidth=1.4)
        axis.set_yscale("log")
        axis.set_xlabel("% of the run")
        axis.set_ylabel("learning rate")
        axis.set_title("Schedules")
        axis.legend()
    return figure


Surface = Callable[[Tensor], Tensor]
SURFACES: dict[str, tuple[Surface, tuple[float, float]]] = {
    "ravine": (lambda at: 0.05 * at[..., 0] ** 2 + at[..., 1] ** 2, (-9.0, 2.5)),
    "saddle": (lambda at: 0.5 * at[..., 0] ** 2 - 0.5 * at[..., 1] ** 2 + 0.02 * at[..., 1] ** 4, (-3.0, 0.001)),
}
OPTIMIZERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "SGD": lambda at: torch.optim.SGD(at, lr=0.1),
    "momentum": lambda at: torch.optim.SGD(at, lr=0.1, momentum=0.9),
    "Nesterov": lambda at: torch.optim.SGD(at, lr=0.1, momentum=0.9, nesterov=True),
    "AdaGrad": lambda at: torch.optim.Adagrad(at, lr=1.0),
    "RMSProp": lambda at: torch.optim.RMSprop(at, lr=0.1),
    "Adam": lambda at: torch.optim.Adam(at, lr=0.3),
}


def optimizer_paths(steps: int = 60) -> Figure:
    """Where six optimizers go in so many steps, on a ravine and on a saddle; each is torch.optim's own."""
    with _drawn(11, 4.6, columns=2) as (figure, axes):
        for axis, (title, (surface, start)) in zip(axes, SURFACES.items(), strict=True):
            paths = {name: path(make, surface, start, steps) for name, make in OPTIMIZERS.items()}
            wide, high = (-10.5, 3.5) if title == "ravine" else (-4.0, 4.0), (-4.5, 4.5)
            x, y = torch.linspace(*wide, 120), torch.linspace(*high, 120)
            heights = surface(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))
            axis.contour(x.numpy(), y.numpy(), heights.numpy(), levels=24, colors=LINE, linewidths=0.8)
            for place, (name, points) in enumerate(paths.items()):
                axis.plot(*points.T.numpy(), color=COLOURS[place], linewidth=1.3, marker=".", markersize=3, label=name)
            axis.plot(*start, "o", color=INK)
            axis.set_xlim(*wide)
            axis.set_ylim(*high)
            axis.grid(False)
            axis.set_title(f"a {title}, {steps} steps")
        axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def path(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], surface: Surface, start: tuple[float, float], steps: int
) -> Tensor:
    """The points (steps + 1, 2) that an optimizer visits from a start."""
    at = torch.tensor(start, requires_grad=True)
    optimizer = make([at])
    visited = [at.detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad()
        surface(at).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        visited.append(at.detach().clone())
    return torch.stack(visited)
