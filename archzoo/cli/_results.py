"""The commands ``results`` and ``reproduce``: printed errors, and what training here reaches."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archzoo import Entry, find
from archzoo.cli._arguments import Changes, Format, Name, Pattern, read_options, show
from archzoo.cli._output import check_output, check_regular, write
from archzoo.cli._rows import write_rows
from archzoo.cli._training import (
    Settings,
    each_seed,
    is_main_process,
    run_or_exit,
    sort_changes,
    start_processes,
    with_settings,
)
from archzoo.errors import BadOption
from archzoo.escaping import printable
from archzoo.recipes import read_changes
from archzoo.results import Measured, Row, describe_run, find_row, model_index, rows, text_of

if TYPE_CHECKING:
    from archzoo.training import TrainResult

SHORT = ("network", "options", "recipe", "error", "deviation", "runs", "printed", "spread", "verdict")
LONG = (*SHORT, "where", "data", "command", "commit", "machine", "seconds")


def results(
    pattern: Pattern = "*",
    *,
    recipe: Annotated[str, typer.Option(help="A shell pattern over the names of recipes.")] = "*",
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
    card: Annotated[
        bool, typer.Option("--model-index", help="Print the measured ones as the YAML block of a model card.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="A file; standard output by default.")] = None,
) -> None:
    """List published errors, what was measured here, and whether they were met."""
    check_output(output)
    listed = rows(pattern, recipe)
    if card:
        write(model_index(listed), output)
        return
    head = SHORT if form is Format.table else LONG
    write(write_rows(head, [_cells(row)[: len(head)] for row in listed], form), output)


def _cells(row: Row) -> list[Any]:
    """One row; errors are shares, as in all tables of the commands."""
    run, printed = row.measured, row.printed
    return [
        row.network,
        [f"{name}={value}" for name, value in row.options.items()],
        row.recipe.name,
        None if run is None else run.error / 100,
        None if run is None or run.deviation is None else run.deviation / 100,
        None if run is None else len(run.seeds),
        None if printed is None else printed.error / 100,
        None if printed is None or printed.spread is None else printed.spread / 100,
        row.verdict,
        None if printed is None else printable(printed.where),
        None if run is None else run.data,
        row.command,
        None if run is None else run.commit,
        None if run is None else run.machine,
        None if run is None else " ".join(map(str, run.seconds)),
    ]


@with_settings
def reproduce(
    recipe: Annotated[str, typer.Argument(help="The name of a recipe, such as random_erasing_fashion_mnist.")],
    name: Name,
    changes: Changes = None,
    *,
    settings: Settings,
) -> None:
    """Train a network by a published recipe, once for each seed, and compare the mean error with the printed one.

    Rerun the command to resume. A changed recipe is run and reported, and not compared.
    """
    from archzoo import training

    entry, row = find(name), find_row(recipe, name)
    if settings.classes:
        raise BadOption("--classes is for train: a printed error is that of all classes")
    if settings.images["per_class"]:
        raise BadOption("--per-class is for train and finetune: a printed error is that of all training images")
    given, texts = sort_changes(entry, row.recipe, changes or [])
    options = {**row.options, **read_options(entry, given)}
    chosen = row.recipe.with_changes(**read_changes(row.recipe, texts))
    row = find_row(recipe, name, options)
    base = settings.output or Path("runs") / f"{row.recipe.name}-{entry.name}"
    file = base / "reproduction.json"
    check_regular(file)
    start_processes(settings.nproc)
    finished = [
        run_or_exit(
            training.run,
            entry.name,
            data=chosen.data,
            recipe=chosen,
            options=options,
            run_dir=base / f"seed-{seed}",
            config=training.RunConfig(seed=seed, **settings.config),
            **settings.images,
        )
        for seed in each_seed(settings.seeds)
    ]
    if is_main_process():
        run = _measured(row, entry, texts, given, settings, finished)
        write(text_of([run]), file)
        _report(Row(row.network, row.recipe, row.options, row.printed, row.paper, run))


def _measured(
    row: Row,
    entry: Entry,
    texts: dict[str, str],
    given: Sequence[str],
    settings: Settings,
    runs: "Sequence[TrainResult]",
) -> Measured:
    changes = [*given, *(f"{name}={text}" for name, text in texts.items())]
    words = [
        *map(quote, changes),
        f"--seed {','.join(map(str, settings.seeds))}",
        *_extra(settings, runs[0].result["processes"]),
    ]
    return describe_run(
        [run.result for run in runs],
        [sum(epoch["seconds"] for epoch in run.history) for run in runs],
        recipe=row.recipe.name,
        network=entry.name,
        options=row.options,
        changes=texts,
        command=" ".join(["archzoo reproduce", row.recipe.name, entry.name, *words]),
        commit=_commit(),
        machine=_machine(settings),
    )


def _extra(settings: Settings, processes: int) -> list[str]:
    """Options of the command that change what is computed: batch norms see a part, or a process's share of a batch."""
    validation, precision = settings.images.get("validation", 0.1), settings.config["precision"]
    accumulate = settings.config["accumulate"]
    return [
        *([f"--validation {validation:g}"] if validation != 0.1 else []),
        *([f"--precision {precision}"] if precision != "float32" else []),
        *([f"--accumulate {accumulate}"] if accumulate != 1 else []),
        *([f"--nproc {processes}"] if processes != 1 else []),
    ]


def _commit() -> str:
    """The commit of the working copy that runs, "+changes" behind it where some are not committed; else the version."""
    import archzoo

    root = Path(archzoo.__file__).parents[1]
    git = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=True) if (root / ".git").exists() else None
    except (OSError, subprocess.CalledProcessError):
        done = None
    return done.stdout.strip() if done is not None else archzoo.__version__


def _machine(settings: Settings) -> str:
    """The GPU, or the number of cores and the kind of processor."""
    import torch

    if torch.cuda.is_available() and settings.images["device"] != "cpu":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()}-core {platform.machine()}, CPU"


def _report(row: Row) -> None:
    """Print the verdict, and what is known about the printed error."""
    run, printed = row.measured, row.printed
    assert run is not None
    deviation = "" if run.deviation is None else f" +- {run.deviation:.2f}%"
    measured = f"{run.error:.2f}%{deviation} of {len(run.seeds)} run{'s' if len(run.seeds) > 1 else ''}"
    title = f"{row.network} by {row.recipe.name}"
    if printed is None:
        show(f"{title}: {measured}, {row.verdict}, as no error is printed for it")
        return
    changes = f", as it had {', '.join(f'{name}={text}' for name, text in run.changes.items())}" if run.changes else ""
    show(f"{title}: {measured}, printed {printed.text}: {row.verdict}{changes}")
    if printed.note:
        show(f"{printed.where}: {printed.note}")
