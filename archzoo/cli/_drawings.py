"""Commands that draw: diagrams, figures, and the page of all networks."""

import csv
from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archzoo.cli._arguments import Options, Pattern, build_target, log, read_sizes
from archzoo.cli._costs import Size, Target
from archzoo.cli._output import check_output, write, write_binary
from archzoo.errors import MissingDependency, ReportError
from archzoo.files import check_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEDULES = ("resnet110_cifar10", "densenet_cifar", "wide_resnet_cifar", "googlenet_imagenet", "shufflenet_v2_imagenet")
AUGMENTATIONS = ("alexnet_imagenet", "densenet_imagenet", "wide_resnet_cifar")


class Layout(str, Enum):
    """Directions of diagrams."""

    vertical = "vertical"
    horizontal = "horizontal"


def diagram(
    target: Target,
    options: Options = None,
    *,
    size: Size = "",
    depth: Annotated[
        int | None,
        typer.Option(min=0, help="Levels of nested modules to open, 0 for all; by default down to the first branches."),
    ] = None,
    fold: Annotated[bool, typer.Option("--fold/--no-fold", help="Draw equal parts in a row once.")] = True,
    layout: Annotated[Layout, typer.Option(help="From the image downwards, or to the right.")] = Layout.vertical,
    output: Annotated[
        Path | None,
        typer.Option(help="A file: .svg, or .png and .pdf with the extra diagrams; stdout by default."),
    ] = None,
) -> None:
    """Draw a network as its paper would: parts by their names, branches and joins, map sizes."""
    check_output(output)
    net, default_size = build_target(target, options or [])
    input_size = read_sizes(size, default_size)
    if not isinstance(input_size, tuple):
        raise ReportError(f"a diagram takes a network with one input, not {size!r}")
    from archzoo.report.diagram import architecture, check_format, draw, render

    suffix = output.suffix.lower() if output else ""
    check_format(suffix)
    levels: int | Literal["auto"] | None = "auto" if depth is None else depth or None
    drawing = draw(architecture(net, input_size, levels, fold=fold), target, layout=layout.value)
    if output is None or suffix in ("", ".svg"):
        write(drawing, output)
    else:
        write_binary(render(drawing, suffix), output)


def report(
    pattern: Pattern = "*",
    *,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("archzoo-report.html"),
) -> None:
    """Write an HTML page of all networks, a single file that works offline."""
    check_output(output)
    from archzoo.report.page import page

    write(page(pattern), output)


class Kind(str, Enum):
    """Figures that need no training run."""

    cost = "cost"
    timeline = "timeline"
    stages = "stages"
    memory = "memory"
    receptive_fields = "receptive-fields"
    schedules = "schedules"
    optimizers = "optimizers"
    activations = "activations"
    augmentation = "augmentation"


class Suffix(str, Enum):
    """File formats of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def figures(
    kinds: Annotated[list[Kind] | None, typer.Argument(help="The figures to draw; all by default.")] = None,
    *,
    output: Annotated[Path, typer.Option(help="The folder for the figures.")] = Path("figures"),
    form: Annotated[Suffix, typer.Option("--format", help="File format.")] = Suffix.svg,
    run: Annotated[list[Path] | None, typer.Option(help="A run directory, for training curves; repeatable.")] = None,
    recipe: Annotated[
        list[str] | None, typer.Option(help="A recipe or a network, for augmentation; repeatable.")
    ] = None,
    data: Annotated[
        str, typer.Option(help="Pictures for augmentation: a dataset, a folder, digits or photographs.")
    ] = "",
    pictures: Annotated[int, typer.Option(min=1, help="Rows of the figure of augmentation.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Columns of the figure of augmentation.")] = 6,
    seed: Annotated[int, typer.Option(help="The seed of augmentation.")] = 0,
) -> None:
    """Draw figures of costs, receptive fields, memory, schedules, optimizers, activations, augmentation and runs."""
    from archzoo.report.figures import training_curves

    drawings = _drawings() | {
        "augmentation": {
            f"augmentation-{name}": partial(_augmentation, name, data, pictures, epochs, seed)
            for name in recipe or AUGMENTATIONS
        }
    }
    selected = [kind.value for kind in kinds or ()] or ([] if run else list(drawings))
    if (recipe or data) and "augmentation" not in selected:
        raise ReportError("--recipe and --data are for the figure augmentation: name it too, or leave them out")
    check_folder(output)
    for kind in selected:
        for name, draw in drawings[kind].items():
            _save(draw, output / f"{name}.{form.value}", required=bool(kinds))
    if run:
        histories = {folder.name: _history(folder) for folder in run}
        _save(lambda: training_curves(histories), output / f"curves.{form.value}")


def _save(draw: "Callable[[], Figure]", path: Path, *, required: bool = True) -> None:
    """Draw a figure and write it. One that is not required is left out where a package is not installed."""
    from archzoo.report.figures import save

    try:
        figure = draw()
    except MissingDependency as error:
        if required:
            raise
        log(f"left out {path.name}: {error}")
        return
    save(figure, path)
    log(f"wrote {path}")


def _augmentation(name: str, data: str, pictures: int, epochs: int, seed: int) -> "Figure":
    """What a recipe makes of pictures, by default of digits or photographs, whichever is nearer to its own data."""
    from archzoo.data import NORMALIZATION, load_pictures
    from archzoo.registry import find_recipe
    from archzoo.report import figures

    recipe = find_recipe(name)
    side = figures.input_side(recipe)
    source = data or ("digits" if recipe.data in ("digits", "mnist", "fashion_mnist") else "photographs")
    images = load_pictures(source, side=side)
    for note in images.notes:
        log(f"data: {note}")
    constants = NORMALIZATION.get(source)
    return figures.augmentation(
        recipe, images, side=side, pictures=pictures, epochs=epochs, seed=seed, constants=constants
    )


def _drawings() -> "dict[str, dict[str, Callable[[], Figure]]]":
    """The functions that draw the figures of each kind, by file name."""
    import archzoo
    from archzoo import profiler
    from archzoo.recipes import TRAINING_IMAGES
    from archzoo.registry import find_recipe
    from archzoo.report import figures

    def memory_over_time(phase: str) -> "Figure":
        memory = profiler.memory(archzoo.build("densenet121", device="meta"), (3, 224, 224), batch=8)
        return figures.memory_over_time(memory, phase, "densenet121")

    def rates() -> "dict[str, list[float]]":
        recipes = [find_recipe(name) for name in SCHEDULES]
        return {recipe.name: recipe.rates(TRAINING_IMAGES[recipe.data], 400) for recipe in recipes}

    return {
        "cost": {
            "cost-imagenet": figures.cost_against_error,
            "cost-cifar10": lambda: figures.cost_against_error("cifar10+", "single crop"),
        },
        "timeline": {"timeline": figures.timeline},
        "stages": {"stages": figures.stage_shares},
        "memory": {
            "memory-inference": lambda: memory_over_time("inference"),
            "memory-training": lambda: memory_over_time("training"),
        },
        "receptive-fields": {"receptive-fields": figures.receptive_field_growth},
        "schedules": {"schedules": lambda: figures.schedules(rates())},
        "optimizers": {"optimizers": figures.optimizer_paths},
        "activations": {"activations": figures.activations},
    }


def _history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's log. Raises ReportError if it has none."""
    try:
        with (folder / "log.csv").open(newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError) as error:
        raise ReportError(f"{folder} has no log.csv of a run: {error}") from error
