"""Verbs about training: by a paper's recipe or from trained weights."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archzoo import Entry, find
from archzoo.cli.arguments import Name, Options, log, read_options, split_option
from archzoo.errors import ArchzooError

if TYPE_CHECKING:
    from archzoo.data.splits import Splits
    from archzoo.layers import Net
    from archzoo.training.engine import RunConfig
    from archzoo.training.recipes import Recipe
    from archzoo.training.trainer import TrainResult


class Precision(str, Enum):
    """What numbers are multiplied in; auto is bfloat16 where that is faster."""

    auto = "auto"
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


Seed = Annotated[str, typer.Option(help="A seed, or several with commas between: a run each.")]
Nproc = Annotated[int, typer.Option(help="Processes on this machine; on several machines, start it under torchrun.")]
Precise = Annotated[Precision, typer.Option(help="The precision of multiplications.")]
Parts = Annotated[int, typer.Option(help="Parts of a batch that run one after the other.")]
ChannelsLast = Annotated[
    bool | None,
    typer.Option("--channels-last/--channels-first", help="The layout of maps; the faster one by default."),
]
Skip = Annotated[Damaged, typer.Option(help="What to do with damaged pictures.")]
Device = Annotated[str, typer.Option(help="cpu or cuda; what there is by default.")]
Classes = Annotated[str, typer.Option(help="Only pictures of some classes, by number: 0-4, or 1,3,5.")]


def train(
    name: Name,
    changes: Options = None,
    *,
    data: Data = "digits",
    recipe: Annotated[str, typer.Option(help="A recipe by name; the network's own for this data by default.")] = "",
    weights: Annotated[str, typer.Option(help="torchvision, timm, one of their sets, or a file to begin from.")] = "",
    output: Output = None,
    seed: Seed = "0",
    nproc: Nproc = 1,
    precision: Precise = Precision.float32,
    accumulate: Parts = 1,
    channels_last: ChannelsLast = None,
    workers: Workers = 0,
    fsdp: Annotated[bool, typer.Option("--fsdp", help="Share the parameters out among the processes.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    damaged: Skip = Damaged.refuse,
    classes: Classes = "",
    device: Device = "",
) -> None:
    """Train a network by its paper's recipe; key=value changes an option of it or a value of the recipe.

    Stopped or killed, the same command goes on. The test pictures are judged once, at the end.
    """
    from archzoo.training.engine import RunConfig
    from archzoo.training.evaluation import spread

    entry = find(name)
    request = Request(entry, changes or [], recipe, data, weights, damaged.value, classes, device)
    seeds = read_seeds(seed)
    start_processes(nproc)
    tests = []
    for one in seeds:
        settings = RunConfig(one, precision.value, accumulate, channels_last, workers, fsdp, tensorboard)
        folder = output or Path("runs") / f"{entry.name}-{Path(data).name}"
        outcome = request.run(folder / f"seed-{one}" if len(seeds) > 1 else folder, settings)
        tests.append(outcome.test.top1)
    if len(tests) > 1 and os.environ.get("RANK", "0") == "0":
        print(f"{entry.name}\ttop-1\t{spread(tests)}")


def finetune(
    name: Name,
    changes: Options = None,
    *,
    weights: Annotated[str, typer.Option(help="torchvision, timm, one of their sets, or a file.")],
    data: Data,
    freeze: Annotated[bool, typer.Option("--freeze", help="Train a new classifier on features that stay.")] = False,
    head_epochs: Annotated[int, typer.Option(help="Epochs for the classifier alone, before all learns.")] = 0,
    decay: Annotated[float, typer.Option(help="The rate of a stage, as a share of that of the one behind it.")] = 1.0,
    recipe: Annotated[str, typer.Option(help="A recipe by name.")] = "fine_tuning",
    output: Output = None,
    seed: Annotated[int, typer.Option(help="The seed of the run.")] = 0,
    nproc: Nproc = 1,
    precision: Precise = Precision.float32,
    accumulate: Parts = 1,
    channels_last: ChannelsLast = None,
    workers: Workers = 0,
    damaged: Skip = Damaged.refuse,
    classes: Classes = "",
    device: Device = "",
) -> None:
    """Teach a trained network other pictures: all of it, or a classifier on its features; and draw what it says.

    Stopped or killed, the same command goes on. predictions.png in the run's folder shows test pictures.
    """
    from functools import partial

    from archzoo.training.engine import RunConfig
    from archzoo.transfer.fine_tuning import extract, fine_tune

    entry = find(name)
    if freeze and (head_epochs or decay != 1):
        raise ArchzooError("--freeze trains the classifier alone: --head-epochs and --decay are for tuning all")
    request = Request(entry, changes or [], recipe, data, weights, damaged.value, classes, device)
    start_processes(nproc)
    settings = RunConfig(seed, precision.value, accumulate, channels_last, workers)
    folder = output or Path("runs") / f"{entry.name}-{Path(data).name}-{'frozen' if freeze else 'tuned'}"
    tune = extract if freeze else partial(fine_tune, head_epochs=head_epochs, decay=decay)
    request.run(folder, settings, tune, draw=True)


def start_processes(nproc: int) -> None:
    """Become torchrun, where several processes are wanted and none of them is this one."""
    if nproc < 1:
        raise ArchzooError(f"--nproc must be at least 1, not {nproc}")
    if nproc > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        from archzoo.training.distributed import launch

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


def read_seeds(text: str) -> list[int]:
    """Numbers with commas between. Raises ArchzooError for anything else."""
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise ArchzooError(f"--seed must be a number, or several with commas between, not {text!r}") from error


def read_classes(text: str) -> list[int]:
    """Classes by number: 0-4, or 1,3,5. Raises ArchzooError for anything else."""
    try:
        parts = [[int(one) for one in part.split("-")] for part in text.split(",")]
    except ValueError as error:
        raise ArchzooError(f"--classes are numbers such as 0-4 or 1,3,5, not {text!r}") from error
    return [one for part in parts for one in range(part[0], part[-1] + 1)]


@dataclass
class Request:
    """What is to be trained, by what recipe, on what, from where: as the command line has it."""

    entry: Entry
    changes: list[str]
    recipe: str
    data: str
    weights: str
    damaged: str
    classes: str
    device: str

    def __post_init__(self) -> None:
        from archzoo.training.recipes import read_changes

        options, values = sort_changes(self.entry, self.changes)
        found = self._recipe()
        self.resolved = found.with_(**read_changes(found, values))
        self.options = read_options(self.entry, options)

    def _recipe(self) -> "Recipe":
        from archzoo.errors import RecipeError
        from archzoo.training.recipes import find_recipe

        if self.recipe:
            return find_recipe(self.recipe)
        try:
            return find_recipe(self.entry.name, self.data)
        except RecipeError:
            return find_recipe(self.entry.name)

    def splits(self) -> "Splits":
        """The pictures, those of the wanted classes alone."""
        from archzoo.data.reading import OnCorrupt
        from archzoo.data.sources import load
        from archzoo.data.splits import Splits

        channels = self.options.get("in_channels", self._trained_channels())
        side = self.entry.input_size[1]
        on_corrupt: OnCorrupt = "error" if self.damaged == "refuse" else "skip"
        found = load(self.data, side=side, channels=channels, on_corrupt=on_corrupt)
        if not self.classes:
            return found
        wanted = read_classes(self.classes)
        return Splits(**{name: part.select_classes(wanted) for name, part in vars(found).items()})

    def _trained_channels(self) -> int | None:
        """The channels that the weights were trained on."""
        if not self.weights:
            return None
        from archzoo.weights import described_options

        described = described_options(self.entry, self.weights, self.options)
        return int(described.get("in_channels", self.entry.options["in_channels"]))

    def run(
        self,
        folder: Path,
        settings: "RunConfig",
        train: "Callable[..., TrainResult] | None" = None,
        *,
        draw: bool = False,
    ) -> "TrainResult":
        """Train in this process, one of several or alone, and write the network beside its logs."""
        import torch

        import archzoo
        from archzoo.data.preprocessing import prepare
        from archzoo.data.sources import NORMALIZATION
        from archzoo.errors import Stopped
        from archzoo.training.distributed import joined
        from archzoo.training.trainer import train as usual
        from archzoo.transfer.fine_tuning import draw_predictions
        from archzoo.weights import described_options, save

        splits = self.splits()
        options = {"in_channels": splits.train.channels, "num_classes": len(splits.train.classes)} | self.options
        name, recipe, side = self.entry.name, self.resolved, self.entry.input_size[1]
        with joined(self.device or None) as processes:
            torch.manual_seed(settings.seed)
            net = self._net(options, fresh_head=train is not None)
            constants = NORMALIZATION.get(self.data)
            prepared = prepare(recipe.augmentation, recipe.preprocessing, splits.train, side, constants)
            about = {"network": name, "options": options, "weights": self.weights, "classes": self.classes}
            tell = log if processes.first else _silent
            try:
                outcome = (train or usual)(
                    net, splits, prepared, recipe, folder, settings, processes=processes, about=about, say=tell
                )
            except Stopped as stop:
                tell(str(stop))
                raise typer.Exit(143) from stop  # as a process that SIGTERM ended
            if processes.first:
                described = described_options(self.entry, self.weights, options) if self.weights else options
                whole = archzoo.build(name, device="meta", **described)
                whole.load_state_dict(outcome.state, assign=True)
                save(whole, folder / "net.safetensors", name, **described)
                if draw:
                    draw_predictions(whole, splits.test, prepared, folder / "predictions.png")
                drawn = "predictions.png, " if draw else ""
                log(f"wrote {folder / 'net.safetensors'}, {drawn}result.json and log.csv")
        return outcome

    def _net(self, options: dict[str, Any], *, fresh_head: bool) -> "Net":
        """The network to be trained. A fresh head is new also where the trained one told as many classes."""
        import archzoo
        from archzoo.transfer.reuse import new_head

        if not fresh_head:
            return archzoo.build(self.entry.name, weights=self.weights or None, **options)
        trained = {name: value for name, value in options.items() if name != "num_classes"}
        net = archzoo.build(self.entry.name, weights=self.weights, **trained)
        new_head(net, options["num_classes"])
        return net


def _silent(message: str) -> None:
    pass
