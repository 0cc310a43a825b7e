"""Verbs whose output is for looking at, or for pasting into a page."""

import csv
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archzoo.cli.arguments import Options, Pattern, build_target, log, read_sizes
from archzoo.cli.costs import Size, Target
from archzoo.errors import ArchzooError
from archzoo.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEDULES = ("resnet110_cifar10", "densenet_cifar", "wide_resnet_cifar", "googlenet_imagenet", "shufflenet_v2_imagenet")


def diagram(
    target: Target,
    options: Options = None,
    *,
    size: Size = "",
    depth: Annotated[int, typer.Option(min=0, help="Levels of nested parts to open; 0 opens all.")] = 2,
    unfolded: Annotated[bool, typer.Option("--unfolded", help="Draw equal parts one by one.")] = False,
    output: Annotated[Path | None, typer.Option(help="A file; stdout by default.")] = None,
) -> None:
    """Draw a network as its paper would, as SVG: parts by their names, branches and joins, map sizes."""
    net, usual = build_target(target, options or [])
    given = read_sizes(size, usual)
    if not isinstance(given, tuple):
        raise ArchzooError(f"a diagram is of a network with one input, not {size!r}")
    from archzoo.report.diagram import diagram as draw

    write(draw(net, given, depth=depth or None, title=target, fold=not unfolded), output)


class Printed(str, Enum):
    """What the audit is written in."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


def report(
    pattern: Pattern = "*",
    *,
    form: Annotated[Printed, typer.Option("--format", help="How to write the verdicts.")] = Printed.markdown,
    html: Annotated[Path | None, typer.Option("--html", help="A page with everything about the networks.")] = None,
    output: Annotated[Path | None, typer.Option(help="A file for the verdicts; stdout by default.")] = None,
) -> None:
    """Write the audit as a table to paste, or all networks as one page of HTML that needs no network."""
    if html is not None:
        from archzoo.report.page import page

        write(page(pattern), html)
        return
    from archzoo.auditor import audit
    from archzoo.report import tables

    write(tables.write(audit(pattern), form.value), output)


class Kind(str, Enum):
    """Figures that need no run."""

    cost = "cost"
    timeline = "timeline"
    stages = "stages"
    memory = "memory"
    fields = "fields"
    schedules = "schedules"
    optimizers = "optimizers"


class Suffix(str, Enum):
    """What a figure is written as."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


def figures(
    kinds: Annotated[list[Kind] | None, typer.Argument(help="Which figures; all by default.")] = None,
    *,
    output: Annotated[Path, typer.Option(help="The folder for the figures.")] = Path("figures"),
    form: Annotated[Suffix, typer.Option("--format", help="How to write them.")] = Suffix.svg,
    run: Annotated[list[Path] | None, typer.Option(help="A run's folder, for training curves; several times.")] = None,
) -> None:
    """Draw what networks cost, how they grew, what they see, and how runs went."""
    from archzoo.report.figures import save, training_curves

    drawn = _drawings()
    wanted = [one.value for one in kinds or ()] or ([] if run else list(drawn))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchzooError(f"{output} cannot be a folder for figures: {error.strerror}") from error
    for kind in wanted:
        for name, make in drawn[kind].items():
            save(make(), output / f"{name}.{form.value}")
            log(f"wrote {output / f'{name}.{form.value}'}")
    if run:
        save(training_curves({folder.name: _history(folder) for folder in run}), output / f"curves.{form.value}")
        log(f"wrote {output / f'curves.{form.value}'}")


def _drawings() -> "dict[str, dict[str, Callable[[], Figure]]]":
    """For each kind the figures that it is written as."""
    import archzoo
    from archzoo.profiler import memory
    from archzoo.recipes import TRAINING_IMAGES
    from archzoo.registry import find_recipe
    from archzoo.report import figures as draw

    def over_time(phase: str) -> "Figure":
        told = memory(archzoo.build("densenet121", device="meta"), (3, 224, 224), batch=8)
        return draw.memory_over_time(told, phase, "densenet121")

    def rates() -> "dict[str, list[float]]":
        recipes = [find_recipe(name) for name in SCHEDULES]
        return {recipe.name: recipe.rates(TRAINING_IMAGES[recipe.data], 400) for recipe in recipes}

    return {
        "cost": {
            "cost-imagenet": draw.cost_against_error,
            "cost-cifar10": lambda: draw.cost_against_error("cifar10+", "single view"),
        },
        "timeline": {"timeline": draw.timeline},
        "stages": {"stages": draw.stage_shares},
        "memory": {
            "memory-inference": lambda: over_time("inference"),
            "memory-training": lambda: over_time("training"),
        },
        "fields": {"fields": draw.field_growth},
        "schedules": {"schedules": lambda: draw.schedules(rates())},
        "optimizers": {"optimizers": draw.optimizer_paths},
    }


def _history(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's log. Raises ArchzooError where it has none."""
    try:
        with (folder / "log.csv").open(newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError) as error:
        raise ArchzooError(f"{folder} has no log.csv of a run: {error}") from error


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file, whole or not at all. Raises ArchzooError where that cannot be."""
    if output is None:
        print(text, end="")
        return
    try:
        with atomic_write(output) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArchzooError(f"{output} cannot be written: {error.strerror}") from error
    log(f"wrote {output}")
