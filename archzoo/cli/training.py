"""Verbs about training: by a paper's recipe or from trained weights."""

import os
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archzoo import ArchzooError, Entry, find
from archzoo.cli.arguments import Name, Options, log, read_options, split_option

if TYPE_CHECKING:
    from archzoo.training.data import Splits
    from archzoo.training.loop import Outcome, Settings
    from archzoo.training.recipes import Recipe


class Precision(str, Enum):
    """What numbers are multiplied in."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Damaged(str, Enum):
    """What is done with a damaged picture."""

    refuse = "refuse"
    skip = "skip"


Data = Annotated[
    str,
    typer.Option("--data", help="digits, cifar10, cifar100, svhn, mnist, imagenet, hub:OWNER/NAME, or a folder."),
]
Output = Annotated[Path | None, typer.Option(help="The run's folder; runs/NAME-DATA by default.")]
Workers = Annotated[int, typer.Option(help="Processes that prepare batches, beside each that trains.")]


def train(
    name: Name,
    changes: Options = None,
    *,
    data: Data = "digits",
    recipe: Annotated[str, typer.Option(help="A recipe by name; the network's own for this data by default.")] = "",
    weights: Annotated[str, typer.Option(help="torchvision, timm, one of their sets, or a file to begin from.")] = "",
    output: Output = None,
    seed: Annotated[str, typer.Option(help="A seed, or several with commas between: a run each.")] = "0",
    nproc: Annotated[int, typer.Option(help="Processes on this machine; on several, start it under torchrun.")] = 1,
    precision: Annotated[Precision, typer.Option(help="The precision of multiplications.")] = Precision.float32,
    accumulate: Annotated[int, typer.Option(help="Parts of a batch that run one after the other.")] = 1,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Maps with their channels last.")] = False,
    workers: Workers = 0,
    fsdp: Annotated[bool, typer.Option("--fsdp", help="Share the parameters out among the processes.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    damaged: Annotated[Damaged, typer.Option(help="What to do with damaged pictures.")] = Damaged.refuse,
    device: Annotated[str, typer.Option(help="cpu or cuda; what there is by default.")] = "",
) -> None:
    """Train a network by its paper's recipe; key=value changes an option of it or a value of the recipe.

    Stopped or killed, the same command goes on. The test pictures are judged once, at the end.
    """
    from archzoo.training.evaluation import spread
    from archzoo.training.loop import Settings

    entry = find(name)
    options, values = sort_changes(entry, changes or [])
    chosen = _recipe(entry.name, recipe, data).with_(**_read(_recipe(entry.name, recipe, data), values))
    seeds = _seeds(seed)
    start_processes(nproc)
    results = []
    for one in seeds:
        settings = Settings(one, precision.value, accumulate, channels_last, workers, fsdp, tensorboard)
        folder = output or Path("runs") / f"{entry.name}-{Path(data).name}"
        where = folder / f"seed-{one}" if len(seeds) > 1 else folder
        given = read_options(entry, options)
        results.append(_train(entry, given, chosen, data, weights, where, settings, damaged.value, device))
    if len(results) > 1 and os.environ.get("RANK", "0") == "0":
        print(f"{entry.name}\ttop-1\t{spread([one.test.top1 for one in results])}")


def start_processes(nproc: int) -> None:
    """Become torchrun, where several processes are wanted and none of them is this one."""
    if nproc < 1:
        raise ArchzooError(f"--nproc must be at least 1, not {nproc}")
    if nproc > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        from archzoo.training.processes import launch

        launch(nproc, list(_without_nproc(sys.argv[1:])))


def _without_nproc(arguments: list[str]) -> Iterator[str]:
    """The arguments for each process: torchrun would take --nproc for an abbreviation of its own."""
    rest = iter(arguments)
    for one in rest:
        if one == "--nproc":
            next(rest)
        elif not one.startswith("--nproc="):
            yield one


def sort_changes(entry: Entry, changes: list[str]) -> tuple[list[str], dict[str, str]]:
    """Which key=value are options of the network, and which are values of a recipe."""
    from dataclasses import fields

    from archzoo.training.recipes import Recipe

    known = {one.name for one in fields(Recipe)}
    pairs = [split_option(change) for change in changes]
    options = [f"{key}={text}" for key, text in pairs if key not in known or key in entry.options]
    return options, {key: text for key, text in pairs if key in known and key not in entry.options}


def _recipe(network: str, wanted: str, data: str) -> "Recipe":
    from archzoo.training.recipes import BadRecipe, find_recipe

    if wanted:
        return find_recipe(wanted)
    try:
        return find_recipe(network, data)
    except BadRecipe:
        return find_recipe(network)


def _read(recipe: "Recipe", values: dict[str, str]) -> dict[str, Any]:
    from archzoo.training.recipes import read_changes

    return read_changes(recipe, values)


def _seeds(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise ArchzooError(f"--seed must be a number, or several with commas between, not {text!r}") from error


def _train(
    entry: Entry,
    options: dict[str, Any],
    recipe: "Recipe",
    data: str,
    weights: str,
    folder: Path,
    settings: "Settings",
    damaged: str,
    device: str,
) -> "Outcome":
    import torch

    import archzoo
    from archzoo.training.data import NORMALISATION, load
    from archzoo.training.loop import train as run
    from archzoo.training.preprocessing import prepare
    from archzoo.training.processes import joined
    from archzoo.weights import described_options, save

    side = entry.input_size[1]
    splits: Splits = load(data, side=side, channels=options.get("in_channels"), damaged=damaged)  # type: ignore[arg-type]
    options = {"in_channels": splits.train.channels, "num_classes": len(splits.train.classes)} | options
    with joined(device or None) as processes:
        torch.manual_seed(settings.seed)
        net = archzoo.build(entry.name, weights=weights or None, **options)
        constants = NORMALISATION.get(data)
        prepared = prepare(recipe.augmentation, recipe.preprocessing, splits.train, side, constants)
        about = {"network": entry.name, "options": options, "weights": weights}
        tell = log if processes.first else _silent
        outcome = run(net, splits, prepared, recipe, folder, settings, processes=processes, about=about, say=tell)
        if processes.first:
            described = described_options(entry, weights, options) if weights else options
            whole = archzoo.build(entry.name, device="meta", **described)
            whole.load_state_dict(outcome.state, assign=True)
            save(whole, folder / "net.safetensors", entry.name, **described)
            log(f"wrote {folder / 'net.safetensors'}, result.json and log.csv")
    return outcome


def _silent(message: str) -> None:
    pass
