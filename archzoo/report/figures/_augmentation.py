"""What the augmentation of a recipe makes of pictures."""

import textwrap
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from archzoo.data import ImageSet, augmented_views
from archzoo.errors import ReportError
from archzoo.recipes import Recipe, describe
from archzoo.registry import find, find_recipe, names
from archzoo.report.figures._style import canvas, plot_text

TILE = 1.3  # the side of a picture, in inches
ANY_NETWORK_SIDES = {"digits": 32}  # of recipes for any network; 224 for other data


def augmentation(
    recipe: Recipe | str,
    images: ImageSet,
    *,
    side: int | None = None,
    pictures: int = 3,
    epochs: int = 6,
    seed: int = 0,
    constants: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Figure:
    """Pictures as they are, and as the augmentation of a recipe feeds them to a network in each epoch.

    The crops, flips and colors are those that training draws for these images, this seed and these epochs.

    Args:
        recipe: A recipe, or the name of one or of a network.
        images: The training images.
        side: The input side of the network, in pixels; that of the recipe's first network by default.
        pictures: The number of pictures, one row each, evenly spaced among the images.
        epochs: The number of epochs, one column each.
        seed: The seed of the run.
        constants: Known means and standard deviations by channel, such as those of ``archzoo.data.NORMALIZATION``.

    Raises:
        RecipeError: For a recipe that does not exist.
        ReportError: If there are no pictures or no epochs to draw.
        DataError: Where the images do not fit the recipe.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    if pictures < 1 or epochs < 1:
        raise ReportError(f"at least one picture and one epoch are drawn, not {pictures} and {epochs}")
    indices = torch.linspace(0, len(images) - 1, min(pictures, len(images))).round().long()
    views = augmented_views(
        chosen.augmentation,
        chosen.preprocessing,
        images,
        side or input_side(chosen),
        indices.tolist(),
        epochs=epochs,
        seed=seed,
        constants=constants,
    )
    labels = [images.classes[label] if len(images.classes) > 1 else "" for label in images.labels[indices].tolist()]
    return _grid(list(images.take(indices)), views, labels, f"{chosen.name}: {_steps(chosen)}")


def input_side(recipe: Recipe) -> int:
    """The input side of a recipe, or of the first network that it names, in pixels."""
    if recipe.input_side is not None:
        return recipe.input_side
    if recipe.networks == ("*",):
        return ANY_NETWORK_SIDES.get(recipe.data, 224)
    return find(names(recipe.networks[0])[0]).input_size[1]


def _steps(recipe: Recipe) -> str:
    steps = describe(recipe)["augmentation"]
    return "no augmentation" if steps == "-" else steps


def _grid(originals: list[Tensor], views: Tensor, labels: list[str], title: str) -> Figure:
    """One row for each original (C, h, w), with its views (epochs, N, C, side, side) beside it."""
    columns = len(views) + 1
    lines = textwrap.wrap(title, max(int(11 * TILE * columns), 24))
    height = TILE * len(originals) + 0.25 + 0.19 * len(lines)
    with canvas(TILE * columns, height, columns, len(originals), squeeze=False) as (figure, axes):
        for row, original in enumerate(originals):
            for axis, picture in zip(axes[row], (original, *views[:, row]), strict=True):
                _show(axis, picture)
            axes[row, 0].set_ylabel(plot_text(labels[row]), fontsize=8)
        for axis, text in zip(axes[0], ("original", *(f"epoch {n}" for n in range(1, columns))), strict=True):
            axis.set_title(text, fontsize=8, loc="center", fontweight="normal", pad=3)
        figure.suptitle("\n".join(map(plot_text, lines)), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    return figure


def _show(axis: Any, picture: Tensor) -> None:
    """A picture (C, h, w) in gray or in color, bytes or values from 0 to 1."""
    values = picture.permute(1, 2, 0).squeeze(-1).cpu().numpy()
    largest = 255 if picture.dtype == torch.uint8 else 1
    axis.imshow(values, cmap="gray", vmin=0, vmax=largest, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
