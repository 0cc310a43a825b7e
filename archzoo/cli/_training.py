"""The commands ``train`` and ``finetune``."""

import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archzoo import Entry, find
from archzoo.cli._arguments import Changes, Name, log, read_options, split_option
from archzoo.errors import ArchzooError, BadOption, Stopped
from archzoo.processes import end_with_parent
from archzoo.ranges import check_whole
from archzoo.recipes import TRAINING_IMAGES, Recipe, defaults_of, read_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from archzoo.training import TrainResult

STOPPED = 143  # the exit code of a process that SIGTERM ended


class Precision(str, Enum):
    """The precision of products; auto is bfloat16 where that is faster."""

    auto = "auto"
    float32 = "float32"
    tf32 = "tf32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class OnCorrupt(str, Enum):
    """What happens to a corrupt image."""

    error = "error"
    skip = "skip"


Data = Annotated[
    str,
    typer.Option("--data", help=f"{', '.join(TRAINING_IMAGES)}, hub:OWNER/NAME, or a folder."),
]
Output = Annotated[Path | None, typer.Option(help="The run directory; runs/NAME-DATA by default.")]
Workers = Annotated[int, typer.Option(help="Processes that prepare batches, beside each process that trains.")]
Seed = Annotated[str, typer.Option(help="A seed, or several with commas between: one run for each.")]
Nproc = Annotated[int, typer.Option(help="Processes on this machine. For several machines, start under torchrun.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="The precision of products.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the network by torch.compile.")]
Resident = Annotated[
    bool | None,
    typer.Option(
        "--resident/--no-resident",
        help="Whether images live on the device, to be augmented there; small ones by default.",
    ),
]
CudaGraph = Annotated[
    bool | None,
    typer.Option("--cuda-graph/--no-cuda-graph", help="Replay each step from a CUDA graph; where possible by default."),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Compute the same bits in every run on a GPU, at a cost in speed.")
]
Accumulate = Annotated[int, typer.Option(help="Parts of each batch that run one after the other.")]
ChannelsLast = Annotated[
    bool | None,
    typer.Option("--channels-last/--channels-first", help="The memory format; the faster one by default."),
]
OnCorruptOption = Annotated[OnCorrupt, typer.Option("--on-corrupt", help="Stop at a corrupt image, or skip it.")]
Pack = Annotated[
    bool, typer.Option("--pack", help="Copy a folder's images, as they are, into one file in the cache first.")
]
ShorterSide = Annotated[
    int, typer.Option(help="Encode larger images again with this shorter side, in the cache; 0 keeps them as they are.")
]
Device = Annotated[str, typer.Option(help="cpu or cuda; the GPU if there is one by default.")]
Classes = Annotated[str, typer.Option(help="Use these classes only, by number: 0-4, or 1,3,5.")]


def train(
    name: Name,
    changes: Changes = None,
    *,
    data: Data = "digits",
    recipe: Annotated[str, typer.Option(help="A recipe by name; the network's own for this data by default.")] = "",
    weights: Annotated[
        str, typer.Option(help="Pretrained weights: torchvision, timm, one of their sets, or a file.")
    ] = "",
    init_from: Annotated[
        Path | None, typer.Option(help="A weights file of another network, from which some layers start.")
    ] = None,
    init_layers: Annotated[
        str, typer.Option(help="These layers: names or patterns with commas between; all that fit by default.")
    ] = "",
    output: Output = None,
    seed: Seed = "0",
    nproc: Nproc = 1,
    precision: PrecisionOption = Precision.float32,
    accumulate: Accumulate = 1,
    channels_last: ChannelsLast = None,
    resident: Resident = None,
    cuda_graph: CudaGraph = None,
    compiled: Compile = False,
    deterministic: Deterministic = False,
    workers: Workers = 0,
    fsdp: Annotated[bool, typer.Option("--fsdp", help="Shard the parameters over the processes.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    on_corrupt: OnCorruptOption = OnCorrupt.error,
    pack: Pack = False,
    shorter_side: ShorterSide = 0,
    classes: Classes = "",
    device: Device = "",
) -> None:
    """Train a network by its paper's recipe.

    Rerun the command to resume a run that was stopped or killed. The test set is evaluated once, at the end.
    """
    from archzoo import training
    from archzoo.training import default_run_dir, mean_and_deviation

    entry = find(name)
    request = read_request(entry, changes or [], recipe, data, classes)
    seeds = read_seeds(seed)
    start_processes(nproc)
    directory = output or default_run_dir(name, data)
    accuracies = []
    for number in seeds:
        config = training.RunConfig(
            seed=number,
            precision=precision.value,
            accumulate=accumulate,
            channels_last=channels_last,
            workers=workers,
            sharded=fsdp,
            tensorboard=tensorboard,
            resident=resident,
            cuda_graph=cuda_graph,
            compile=compiled,
            deterministic=deterministic,
        )
        result = run_or_exit(
            training.run,
            entry.name,
            data=data,
            weights=weights or None,
            init_from=init_from,
            init_layers=[pattern.strip() for pattern in init_layers.split(",") if pattern.strip()],
            run_dir=directory / f"seed-{number}" if len(seeds) > 1 else directory,
            config=config,
            on_corrupt=on_corrupt.value,
            pack=pack,
            shorter_side=shorter_side or None,
            device=device or None,
            **request,
        )
        accuracies.append(result.test.top1)
    if len(accuracies) > 1 and is_main_process():
        print(f"{entry.name}\ttop-1\t{mean_and_deviation(accuracies)}")


def finetune(
    name: Name,
    changes: Changes = None,
    *,
    weights: Annotated[str, typer.Option(help="Pretrained weights: torchvision, timm, one of their sets, or a file.")],
    data: Data,
    freeze: Annotated[bool, typer.Option("--freeze", help="Train a new classifier on frozen features.")] = False,
    head_epochs: Annotated[int, typer.Option(help="Epochs of the classifier alone, before all is trained.")] = 0,
    decay: Annotated[float, typer.Option(help="The learning rate of a stage, as a share of the next one's.")] = 1.0,
    recipe: Annotated[str, typer.Option(help="A recipe by name.")] = "fine_tuning",
    output: Output = None,
    seed: Annotated[int, typer.Option(help="The seed of the run.")] = 0,
    nproc: Nproc = 1,
    precision: PrecisionOption = Precision.float32,
    accumulate: Accumulate = 1,
    channels_last: ChannelsLast = None,
    workers: Workers = 0,
    on_corrupt: OnCorruptOption = OnCorrupt.error,
    pack: Pack = False,
    shorter_side: ShorterSide = 0,
    classes: Classes = "",
    device: Device = "",
) -> None:
    """Fine-tune a pretrained network, or train a classifier on frozen features.

    Rerun the command to resume a run that was stopped or killed. predictions.png in the run directory shows test
    images.
    """
    from archzoo import training, transfer
    from archzoo.transfer import check_method

    entry = find(name)
    check_method(freeze=freeze, head_epochs=head_epochs, decay=decay)
    request = read_request(entry, changes or [], recipe, data, classes)
    start_processes(nproc)
    run_or_exit(
        transfer.run,
        entry.name,
        weights=weights,
        data=data,
        freeze=freeze,
        head_epochs=head_epochs,
        decay=decay,
        run_dir=output,
        config=training.RunConfig(seed, precision.value, accumulate, channels_last, workers),
        on_corrupt=on_corrupt.value,
        pack=pack,
        shorter_side=shorter_side or None,
        device=device or None,
        **request,
    )


def read_request(entry: Entry, changes: list[str], recipe: str, data: str, classes: str) -> dict[str, Any]:
    """The changed recipe, the network's options, and the classes. Raises before any process is started."""
    from archzoo.training import choose_recipe

    chosen = choose_recipe(entry.name, data, recipe)
    options, texts = sort_changes(entry, chosen, changes)
    return {
        "recipe": chosen.with_changes(**read_changes(chosen, texts)),
        "options": read_options(entry, options),
        "classes": read_classes(classes) if classes else None,
    }


def run_or_exit(run: "Callable[..., TrainResult]", *args: Any, **kwargs: Any) -> "TrainResult":
    """Run, or exit as a stopped process where SIGTERM stopped the run."""
    try:
        return run(*args, **kwargs, log=log)
    except Stopped as stop:
        if is_main_process():
            log(str(stop))
        raise typer.Exit(STOPPED) from stop


def is_main_process() -> bool:
    """Whether this is the process that prints, among those of torchrun."""
    return os.environ.get("RANK", "0") == "0"


def start_processes(nproc: int) -> None:
    """Run the command in several processes if that is asked for, and this is not one of them."""
    from archzoo.training import is_launched, launch

    if is_launched():
        end_with_parent()
        return
    check_whole("--nproc", nproc, 1, max(64, os.cpu_count() or 1))
    if nproc > 1:
        launch(nproc, sys.argv[1:])


def sort_changes(entry: Entry, recipe: Recipe, changes: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Which key=value are options of the network, and which are values of the recipe and its optimizer.

    Raises BadOption for a key of neither, with the nearest one.
    """
    pairs = dict(split_option(change) for change in changes)
    optimizer = pairs.get("optimizer", recipe.optimizer.name).partition("(")[0].lower()
    values = [field.name for field in fields(Recipe)] + list(defaults_of(optimizer))
    for key in pairs:
        if key not in entry.options and key not in values:
            near = difflib.get_close_matches(key, [*entry.options, *values], n=1)
            hint = f": did you mean {near[0]!r}?" if near else f"; the network's options are {', '.join(entry.options)}"
            raise BadOption(f"neither {entry.name} nor recipe {recipe.name} has {key!r}{hint}")
    options = [f"{key}={text}" for key, text in pairs.items() if key in entry.options]
    return options, {key: text for key, text in pairs.items() if key not in entry.options}


def read_seeds(text: str) -> list[int]:
    """Numbers with commas between. Raises ArchzooError for anything else."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError as error:
        raise ArchzooError(f"--seed must be a number, or several with commas between, not {text!r}") from error


def read_classes(text: str) -> list[int]:
    """Classes by number: 0-4, or 1,3,5. Raises ArchzooError for anything else."""
    try:
        ranges = [[int(number) for number in part.split("-")] for part in text.split(",")]
    except ValueError as error:
        raise ArchzooError(f"--classes must be numbers such as 0-4 or 1,3,5, not {text!r}") from error
    return [number for ends in ranges for number in range(ends[0], ends[-1] + 1)]
