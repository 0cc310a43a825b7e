"""The commands ``train`` and ``finetune``."""

import difflib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archzoo import Entry, find
from archzoo.cli._arguments import Changes, Name, TrainedAs, log, read_options, split_option
from archzoo.errors import ArchzooError, BadOption, Stopped
from archzoo.ranges import check_whole
from archzoo.recipes import TRAINING_IMAGES, Recipe, defaults_of, read_changes, value_hint
from archzoo.registry import option_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archzoo.training import TrainResult

# Options of the commands that people write as key=value.
OF_THE_COMMAND = {
    "adapt_input",
    "data",
    "data_dir",
    "device",
    "output",
    "per_class",
    "precision",
    "seed",
    "weights",
    "workers",
    "classes",
}


CLASSES = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)  # a number, or the ends of a range; no list fills a memory


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


class AdaptInput(str, Enum):
    """How filters of the first layer become filters of another number of channels."""

    sum = "sum"
    mean = "mean"


Data = Annotated[
    str,
    typer.Option("--data", help=f"{', '.join(TRAINING_IMAGES)}, hub:OWNER/NAME, or a folder."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(help="A folder with the files of such datasets, looked in before Debian's folder and the hub."),
]
Validation = Annotated[
    float, typer.Option(help="The share of the training images that is set aside, where no images are for validation.")
]
PerClass = Annotated[
    int | None, typer.Option(min=1, help="Train on so many images of each class, drawn by the seed; on all by default.")
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
Background = Annotated[str, typer.Option(help="The color below transparent pixels: white, black, #808080.")]
ValueRange = Annotated[
    str,
    typer.Option(help="The values of black and white in images of more than 8 bits: 0,4095. Their type's by default."),
]
Tensorboard = Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")]
AdaptInputOption = Annotated[
    AdaptInput | None,
    typer.Option("--adapt-input", help="Adapt the first layer of pretrained weights to other channels, by this."),
]
Device = Annotated[str, typer.Option(help="cpu or cuda; the GPU if there is one by default.")]
Classes = Annotated[str, typer.Option(help="Use these classes only, by number: 0-4, or 1,3,5.")]


@dataclass(frozen=True)
class Settings:
    """What ``train`` and ``finetune`` both take: where a run is written, and on which machine and images it runs."""

    output: Path | None
    seeds: list[int]
    nproc: int
    config: dict[str, Any]
    images: dict[str, Any]
    classes: str

    def run_dir(self, default: Path, seed: int) -> Path:
        """The directory of the run with this seed: one of its own, where there are several."""
        directory = self.output or default
        return directory / f"seed-{seed}" if len(self.seeds) > 1 else directory


def read_settings(
    *,
    data_dir: DataDir = None,
    validation: Validation = 0.1,
    per_class: PerClass = None,
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
    tensorboard: Tensorboard = False,
    on_corrupt: OnCorruptOption = OnCorrupt.error,
    pack: Pack = False,
    shorter_side: ShorterSide = 0,
    background: Background = "white",
    value_range: ValueRange = "",
    classes: Classes = "",
    device: Device = "",
    adapt_input: AdaptInputOption = None,
    trained_as: TrainedAs = "",
) -> Settings:
    """The options that ``train`` and ``finetune`` share."""
    config = {
        "precision": precision.value,
        "accumulate": accumulate,
        "channels_last": channels_last,
        "workers": workers,
        "tensorboard": tensorboard,
        "resident": resident,
        "cuda_graph": cuda_graph,
        "compile": compiled,
        "deterministic": deterministic,
    }
    images = {
        "on_corrupt": on_corrupt.value,
        "pack": pack,
        "shorter_side": shorter_side or None,
        "background": background,
        "value_range": read_value_range(value_range),
        "device": device or None,
        "adapt_input": None if adapt_input is None else adapt_input.value,
        "trained_as": trained_as or None,
        "data_dir": data_dir,
        "validation": validation,
        "per_class": per_class,
    }
    return Settings(output, read_seeds(seed), nproc, config, images, classes)


def with_settings(command: "Callable[..., None]") -> "Callable[..., None]":
    """A command with the options of ``read_settings`` in place of its argument ``settings``."""
    own, shared = inspect.signature(command).parameters, inspect.signature(read_settings).parameters

    @wraps(command)
    def run(**given: Any) -> None:
        settings = read_settings(**{name: given.pop(name) for name in shared})
        command(**given, settings=settings)

    kept = {name: parameter for name, parameter in own.items() if name != "settings"} | dict(shared)
    run.__signature__ = inspect.Signature(list(kept.values()))  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {name: parameter.annotation for name, parameter in kept.items()}
    return run


@with_settings
def train(
    name: Name,
    changes: Changes = None,
    *,
    settings: Settings,
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
    fsdp: Annotated[bool, typer.Option("--fsdp", help="Shard the parameters over the processes.")] = False,
) -> None:
    """Train a network by its paper's recipe.

    Rerun the command to resume a run that was stopped or killed. The test set is evaluated once, at the end.
    """
    from archzoo import training
    from archzoo.training import default_run_dir, mean_and_deviation

    entry = find(name)
    request = read_request(entry, changes or [], recipe, data, settings.classes)
    start_processes(settings.nproc)
    accuracies = []
    for seed in each_seed(settings.seeds):
        result = run_or_exit(
            training.run,
            entry.name,
            data=data,
            weights=weights or None,
            init_from=init_from,
            init_layers=[pattern.strip() for pattern in init_layers.split(",") if pattern.strip()],
            run_dir=settings.run_dir(default_run_dir(name, data), seed),
            config=training.RunConfig(seed=seed, sharded=fsdp, **settings.config),
            **settings.images,
            **request,
        )
        accuracies.append(result.test.top1)
    if len(accuracies) > 1 and is_main_process():
        print(f"{entry.name}\ttop-1\t{mean_and_deviation(accuracies)}")


@with_settings
def finetune(
    name: Name,
    changes: Changes = None,
    *,
    settings: Settings,
    weights: Annotated[str, typer.Option(help="Pretrained weights: torchvision, timm, one of their sets, or a file.")],
    data: Data,
    freeze: Annotated[bool, typer.Option("--freeze", help="Train a new classifier on frozen features.")] = False,
    head_epochs: Annotated[int, typer.Option(help="Epochs of the classifier alone, before all is trained.")] = 0,
    decay: Annotated[float, typer.Option(help="The learning rate of a stage, as a share of the next one's.")] = 1.0,
    recipe: Annotated[str, typer.Option(help="A recipe by name.")] = "fine_tuning",
) -> None:
    """Fine-tune a pretrained network, or train a classifier on frozen features.

    Rerun the command to resume a run that was stopped or killed. predictions.png in the run directory shows test
    images.
    """
    from archzoo import training, transfer
    from archzoo.training import default_run_dir, mean_and_deviation
    from archzoo.transfer import check_method

    entry = find(name)
    check_method(freeze=freeze, head_epochs=head_epochs, decay=decay)
    request = read_request(entry, changes or [], recipe, data, settings.classes)
    start_processes(settings.nproc)
    accuracies = []
    for seed in each_seed(settings.seeds):
        result = run_or_exit(
            transfer.run,
            entry.name,
            weights=weights,
            data=data,
            freeze=freeze,
            head_epochs=head_epochs,
            decay=decay,
            run_dir=settings.run_dir(default_run_dir(name, data, "-frozen" if freeze else "-tuned"), seed),
            config=training.RunConfig(seed=seed, **settings.config),
            **settings.images,
            **request,
        )
        accuracies.append(result.test.top1)
    if len(accuracies) > 1 and is_main_process():
        print(f"{entry.name}\ttop-1\t{mean_and_deviation(accuracies)}")


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


def read_value_range(text: str) -> tuple[float, float] | None:
    """Two numbers with a comma between; None of an empty text. Raises ArchzooError for anything else."""
    try:
        low, high = (float(part) for part in text.split(",")) if text else (0.0, 0.0)
    except ValueError:
        raise ArchzooError(
            f"--value-range must be two numbers with a comma between, such as 0,4095, not {text}"
        ) from None
    return (low, high) if text else None


def run_or_exit(run: "Callable[..., TrainResult]", *args: Any, **kwargs: Any) -> "TrainResult":
    """Run, or exit as a process that the signal has ended, where one stopped the run."""
    try:
        return run(*args, **kwargs, log=log)
    except Stopped as stop:
        if is_main_process():
            log(str(stop))
        raise typer.Exit(128 + stop.signal) from stop


def each_seed(seeds: Sequence[int]) -> "Iterator[int]":
    """The seeds of some runs, one after the other; exit before the next where a signal came too late to stop a run."""
    from archzoo.training import last_signal

    for number, seed in enumerate(seeds):
        signal = last_signal() if number else None
        if signal is not None:
            if is_main_process():
                log("stopped after a run; rerun the command for the others")
            raise typer.Exit(128 + signal)
        yield seed


def is_main_process() -> bool:
    """Whether this is the process that prints, among those of torchrun."""
    from archzoo.training import read_environment

    return read_environment().rank == 0


def start_processes(nproc: int) -> None:
    """Run the command in several processes if that is asked for, and this is not one of them."""
    from archzoo.training import is_launched, launch, read_environment

    check_whole("--nproc", nproc, 1, max(64, os.cpu_count() or 1))
    if is_launched():
        started = os.environ.get("LOCAL_WORLD_SIZE", "1")
        if nproc > 1 and str(nproc) != started:
            raise BadOption(f"--nproc is without torchrun, which has started {started} processes here: leave it out")
    elif nproc > 1:
        launch(nproc, sys.argv[1:])
    read_environment()


def sort_changes(entry: Entry, recipe: Recipe, changes: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Which key=value are options of the network, and which are values of the recipe and its optimizer.

    Raises BadOption for a key of neither, with the nearest one.
    """
    pairs = dict(split_option(change) for change in changes)
    optimizer = pairs.get("optimizer", recipe.optimizer.name).partition("(")[0].lower()
    values = [field.name for field in fields(Recipe)] + list(defaults_of(optimizer))
    if "validation" in pairs:  # of a recipe, it is what the paper says
        raise BadOption(f"validation is an option of the command: write --validation {pairs['validation']}")
    for key in pairs:
        if key not in entry.options and key not in values:
            hint = _hint(key, entry, values) or f"; the network's options are {', '.join(entry.options)}"
            raise BadOption(f"neither {entry.name} nor recipe {recipe.name} has {key!r}{hint}")
    options = [f"{key}={text}" for key, text in pairs.items() if key in entry.options]
    return options, {key: text for key, text in pairs.items() if key not in entry.options}


def _hint(key: str, entry: Entry, values: Sequence[str]) -> str:
    """What is meant by a key that neither the network nor the recipe has: what others call so comes first."""
    if value := value_hint(key, values, cutoff=1):
        return f": did you mean {value!r}?"
    if key.replace("-", "_") in OF_THE_COMMAND:
        return f": write --{key.replace('_', '-')}"
    if option := option_hint(key, entry.options, cutoff=1):
        return option
    near = difflib.get_close_matches(key, [*entry.options, *values], n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def read_seeds(text: str) -> list[int]:
    """Numbers with commas between. Raises ArchzooError for anything else."""
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError as error:
        raise ArchzooError(f"--seed must be a number, or several with commas between, not {text!r}") from error
    if len(set(seeds)) < len(seeds):
        raise ArchzooError(f"--seed must be different numbers, not {text!r}: two runs of one seed are one run")
    return seeds


def read_classes(text: str) -> list[int]:
    """Classes by number: 0-4, or 1,3,5. Raises ArchzooError for anything else."""
    ends = [CLASSES.fullmatch(part.strip()) for part in text.split(",")]
    ranges = [range(int(part[1]), int(part[2] or part[1]) + 1) for part in ends if part is not None]
    numbers = [number for part in ranges for number in part]
    if None in ends or not all(ranges) or len(set(numbers)) < len(numbers):
        raise ArchzooError(f"--classes must be different numbers such as 0-4 or 1,3,5, not {text!r}")
    return numbers
