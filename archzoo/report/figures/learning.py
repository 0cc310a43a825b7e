"""What networks learn: filters, answers, feature reuse, and how runs went."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor, nn

from archzoo.errors import ArchzooError
from archzoo.report.figures.style import COLORS, INK, canvas


def first_filters(net: nn.Module) -> Figure:
    """The filters of a network's first convolution as a grid, each in its own range; those of three channels in color.

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
    with canvas(0.86 * columns, high * rows + 0.4, columns, rows, squeeze=False) as (figure, axes):
        for axis in axes.flat:
            axis.axis("off")
        for number, (tile, axis) in enumerate(zip(tiles, axes.flat, strict=False)):
            picture = tile.permute(1, 2, 0).squeeze(-1)
            axis.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            color = COLORS[1] if number < len(marked) and marked[number] else INK
            axis.set_title(words[number], fontsize=7, color=color, loc="center", fontweight="normal", pad=2)
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def feature_reuse_map(tables: Mapping[str, Tensor]) -> Figure:
    """DenseNet's Fig. 5: how much each layer (across) reads of each earlier one (down), block by block.

    ``tables`` are those of archzoo.transfer.feature_reuse, each scaled to its largest value.
    """
    with canvas(3.4 * len(tables) + 0.6, 3.6, columns=len(tables), squeeze=False) as (figure, axes):
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
    with canvas(10, 4, columns=2) as (figure, axes):
        for axis, quantity, scale in zip(axes, ("loss", "error"), (1.0, 100.0), strict=True):
            for place, (name, rows) in enumerate(runs.items()):
                epochs = [float(row["epoch"]) for row in rows]
                for part, style in (("train", "--"), ("validation", "-")):
                    values = [scale * float(row[f"{part}_{quantity}"]) for row in rows]
                    label = name if part == "validation" else None
                    axis.plot(epochs, values, style, color=COLORS[place % 8], linewidth=1.2, label=label)
            axis.set_xlabel("epoch")
            axis.set_ylabel(quantity if scale == 1 else f"{quantity}, %")
        axes[0].set_yscale("log")
        axes[1].set_ylim(0)
        axes[0].set_title("training dashed, validation solid")
        axes[1].legend()
    return figure


def schedules(rates: Mapping[str, Sequence[float]]) -> Figure:
    """Learning rates over the share of a run that is done, on a log scale, a line for each recipe."""
    with canvas(8.5, 4.2) as (figure, axis):
        for place, (name, values) in enumerate(rates.items()):
            shares = [100 * number / max(len(values) - 1, 1) for number in range(len(values))]
            style = ("-", "--", "-.", ":")[place % 4]  # schedules that agree for a while stay visible
            axis.plot(shares, values, style, color=COLORS[place % 8], label=name, linewidth=1.6)
        axis.set_yscale("log")
        axis.set_xlabel("% of the run")
        axis.set_ylabel("learning rate")
        axis.set_title("Schedules")
        axis.legend()
    return figure
