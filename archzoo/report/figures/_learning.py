"""Trained networks and their training: filters, predictions, feature reuse, learning curves, schedules."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor, nn

from archzoo.errors import ReportError
from archzoo.report.figures._style import COLORS, INK, canvas, plot_text


def first_filters(net: nn.Module) -> Figure:
    """The filters of a network's first convolution, each scaled to its own range; in color for three channels.

    Raises ReportError for a network without convolutions.
    """
    layer = next((layer for layer in net.modules() if isinstance(layer, nn.Conv2d)), None)
    if layer is None:
        raise ReportError("the network has no convolution whose filters could be drawn")
    weight = layer.weight.detach().float().cpu()
    low, high = weight.amin((1, 2, 3), keepdim=True), weight.amax((1, 2, 3), keepdim=True)
    scaled = (weight - low) / (high - low).clamp(min=1e-12)
    tiles = scaled if weight.shape[1] == 3 else scaled.mean(1, keepdim=True)
    return _grid(list(tiles), [""] * len(tiles), f"{len(tiles)} filters of {weight.shape[2]}x{weight.shape[3]}")


def predictions(images: Tensor, labels: Sequence[int], predicted: Sequence[int], classes: Sequence[str]) -> Figure:
    """Images (N, C, H, W) in [0, 1] with the predicted class; wrong predictions in red, with the true class."""
    titles = [
        classes[guess] if guess == true else f"{classes[guess]}, not {classes[true]}"
        for true, guess in zip(labels, predicted, strict=True)
    ]
    wrong = [guess != true for true, guess in zip(labels, predicted, strict=True)]
    right = len(wrong) - sum(wrong)
    return _grid(list(images.detach().float().cpu()), titles, f"{right} of {len(wrong)} right", wrong)


def _grid(tiles: Sequence[Tensor], titles: Sequence[str], title: str, marked: Sequence[bool] = ()) -> Figure:
    columns = min(len(tiles), 12)
    rows = -(-len(tiles) // columns)
    row_height = 1.12 if any(titles) else 0.86
    with canvas(0.86 * columns, row_height * rows + 0.4, columns, rows, squeeze=False) as (figure, axes):
        for axis in axes.flat:
            axis.axis("off")
        for number, (tile, axis) in enumerate(zip(tiles, axes.flat, strict=False)):
            picture = tile.permute(1, 2, 0).squeeze(-1)
            axis.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            color = COLORS[1] if number < len(marked) and marked[number] else INK
            axis.set_title(plot_text(titles[number]), fontsize=7, color=color, loc="center", fontweight="normal", pad=2)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def feature_reuse_map(tables: Mapping[str, Tensor]) -> Figure:
    """The weight that each layer (across) gives to each earlier layer (down), block by block (DenseNet, Fig. 5).

    ``tables`` come from archzoo.transfer.feature_reuse; each is scaled to its largest value.
    """
    with canvas(3.4 * len(tables) + 0.6, 3.6, columns=len(tables), squeeze=False) as (figure, axes):
        for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
            shares = table / table[~table.isnan()].max()
            drawn = axis.imshow(shares.cpu().numpy(), cmap="viridis", vmin=0, vmax=1)
            axis.grid(False)
            axis.set_title(plot_text(name))
            axis.set_xlabel("target layer (the last: what follows)")
        axes.flat[0].set_ylabel("source layer (0: the block's input)")
        figure.colorbar(drawn, ax=axes.ravel().tolist(), label="mean absolute weight, relative", shrink=0.8)
    return figure


def training_curves(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Loss and error by epoch, training dashed and validation solid. ``runs`` has the rows of each run's log.csv."""
    with canvas(10, 4, columns=2) as (figure, axes):
        for axis, quantity, scale in zip(axes, ("loss", "error"), (1.0, 100.0), strict=True):
            for number, (name, rows) in enumerate(runs.items()):
                epochs = [float(row["epoch"]) for row in rows]
                for part, style in (("train", "--"), ("validation", "-")):
                    values = [scale * float(row[f"{part}_{quantity}"]) for row in rows]
                    label = plot_text(name) if part == "validation" else None
                    axis.plot(epochs, values, style, color=COLORS[number % 8], linewidth=1.2, label=label)
            axis.set_xlabel("epoch")
            axis.set_ylabel(quantity if scale == 1 else f"{quantity}, %")
        axes[0].set_yscale("log")
        axes[1].set_ylim(0)
        axes[0].set_title("training dashed, validation solid")
        axes[1].legend()
    return figure


def schedules(rates: Mapping[str, Sequence[float]]) -> Figure:
    """Learning rate over the progress of a run, on a log scale, one line per recipe."""
    with canvas(8.5, 4.2) as (figure, axis):
        for number, (name, values) in enumerate(rates.items()):
            progress = [100 * step / max(len(values) - 1, 1) for step in range(len(values))]
            style = ("-", "--", "-.", ":")[number % 4]  # keeps overlapping schedules visible
            axis.plot(progress, values, style, color=COLORS[number % 8], label=plot_text(name), linewidth=1.6)
        axis.set_yscale("log")
        axis.set_xlabel("% of the run")
        axis.set_ylabel("learning rate")
        axis.set_title("Schedules")
        axis.legend()
    return figure
