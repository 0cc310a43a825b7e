"""A training run in one call: from names of a network, data and a recipe to a trained network in a directory.

What ``archzoo.transfer.run`` shares with it is here too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

import archzoo
from archzoo.data import NORMALIZATION, OnCorrupt, Prepared, Splits, describe, load, prepare, sample_per_class
from archzoo.errors import BadOption, OutputError, TrainingError, TransferError
from archzoo.files import check_folder
from archzoo.layers import Net
from archzoo.ranges import check_whole
from archzoo.recipes import Recipe
from archzoo.registry import Entry, find
from archzoo.training._choosing import choose_recipe
from archzoo.training._config import RunConfig, check_ranges
from archzoo.training._distributed import Distributed, join
from archzoo.training._exclusive import generators_kept, one_at_a_time
from archzoo.training._logs import Log, log_to_stderr, no_log
from archzoo.training._result import TrainResult
from archzoo.training._trained import describe_training
from archzoo.training._trainer import train
from archzoo.training._writing import writing
from archzoo.weights import described_options, digest, initialize_from, save_with

MOST_PER_CLASS = 10**9


def run(
    network: str,
    *,
    data: str | Path = "digits",
    recipe: Recipe | str | None = None,
    changes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    init_from: str | Path | None = None,
    init_layers: Sequence[str] | str = (),
    classes: Sequence[int] | None = None,
    on_corrupt: OnCorrupt = "error",
    run_dir: str | Path | None = None,
    config: RunConfig | None = None,
    device: str | None = None,
    log: Log = log_to_stderr,
    pack: bool = False,
    shorter_side: int | None = None,
    background: str = "white",
    value_range: tuple[float, float] | None = None,
    adapt_input: Literal["sum", "mean"] | None = None,
    trained_as: str | None = None,
    data_dir: str | Path | None = None,
    validation: float = 0.1,
    per_class: int | None = None,
) -> TrainResult:
    """Train a network by its paper's recipe, test it once, and write it to ``run_dir``.

    Rerun the same call to resume a run that was stopped or killed: the final weights are bit-identical. Under torchrun
    every process makes the same call.

    Args:
        network: The name of a network.
        data: ``digits``, a dataset such as ``cifar10``, ``hub:OWNER/NAME``, or a folder of images.
        recipe: A recipe or its name. By default the network's own for this data, else for its paper's data.
        changes: Values of the recipe to change, as in ``Recipe.with_changes``.
        options: Options of the network. ``in_channels`` and ``num_classes`` are those of the data by default.
        weights: Pretrained weights to start from: a published set or a file.
        init_from: The weights file of another network, from which some layers start.
        init_layers: Shell patterns over the names of these layers, or one of them; by default, all that fit.
        classes: Train on these classes only, by number.
        on_corrupt: Whether a corrupt image raises DataError or is skipped.
        run_dir: Where logs, checkpoints, result.json and net.safetensors are written; ``runs/NETWORK-DATA`` by default.
        config: Seed, precision and the like.
        device: ``cpu`` or ``cuda``; the GPU if there is one by default.
        log: Called with each line for people, in the main process.
        pack: As in ``archzoo.data.load``, as is ``shorter_side``: how a dataset of encoded images is kept.
        shorter_side: Larger images are encoded again with this shorter side.
        background: The color below transparent pixels.
        value_range: The values that become black and white in images of more than 8 bits, as in ``archzoo.data.load``.
        adapt_input: As in ``archzoo.build``: how the first layer of pretrained weights is adapted to other channels.
        trained_as: As in ``archzoo.build``: the network, for a file whose tensors do not show which one it is.
        data_dir: A folder with the files of named datasets, as in ``archzoo.data.load``.
        validation: The share of the training images that is set aside, where the data have no validation images.
        per_class: Train on so many images of each class, which the seed of ``config`` draws; on all by default.

    Raises:
        RecipeError: If no recipe is published for the network, or a value of the recipe does not fit.
        DataError: If the data cannot be read.
        TransferError: If the layers of ``init_from`` do not fit.
        OutputError: If ``run_dir`` cannot be written, before any data is read.
        TrainingError: As in ``archzoo.training._trainer.train``.
        Stopped: After SIGTERM, SIGINT or SIGHUP, with the state saved.
    """
    job = Job(
        find(network),
        choose_recipe(network, data, recipe).with_changes(**(changes or {})),
        data,
        dict(options or {}),
        weights,
        classes,
        on_corrupt,
        Path(run_dir) if run_dir is not None else default_run_dir(network, data),
        config or RunConfig(),
        device,
        log,
        init_from,
        (init_layers,) if isinstance(init_layers, str) else tuple(init_layers),
        pack=pack,
        shorter_side=shorter_side,
        background=background,
        value_range=value_range,
        adapt_input=adapt_input,
        trained_as=trained_as,
        data_dir=data_dir,
        validation=validation,
        per_class=per_class,
    )
    return job.run(job.build, train)


def default_run_dir(network: str, data: str | Path, suffix: str = "") -> Path:
    """The directory of a run that names none: ``runs/NETWORK-DATA``."""
    return Path("runs") / f"{find(network).name}-{Path(data).name}{suffix}"


@dataclass(frozen=True)
class Setup:
    """What a job has read before it trains."""

    splits: Splits
    prepared: Prepared
    options: dict[str, Any]
    distributed: Distributed
    log: Log = field(default=no_log)


@dataclass(frozen=True)
class Job:
    """A request to train: which network, by which recipe, on which data, where."""

    entry: Entry
    recipe: Recipe
    data: str | Path
    options: dict[str, Any]
    weights: str | Path | None
    classes: Sequence[int] | None
    on_corrupt: OnCorrupt
    run_dir: Path
    config: RunConfig
    device: str | None
    log: Log
    init_from: str | Path | None = None
    init_layers: tuple[str, ...] = ()
    pack: bool = False
    shorter_side: int | None = None
    background: str = "white"
    value_range: tuple[float, float] | None = None
    adapt_input: Literal["sum", "mean"] | None = None
    trained_as: str | None = None
    data_dir: str | Path | None = None
    validation: float = 0.1
    per_class: int | None = None

    def __post_init__(self) -> None:
        if self.init_layers and self.init_from is None:
            raise TransferError("init_layers names layers of another network: give its weights file as init_from")
        if self.weights is None and (self.adapt_input or self.trained_as):
            name = "adapt_input" if self.adapt_input else "trained_as"
            raise BadOption(f"{name} is for pretrained weights: give weights too, or leave it out")
        if self.per_class is not None:
            check_whole("per_class", self.per_class, 1, MOST_PER_CLASS, TrainingError)
        check_ranges(self.config, self.recipe)

    def run(
        self,
        build: Callable[[dict[str, Any]], Net],
        train: Callable[..., TrainResult],
        write: Callable[[Net, Setup], Sequence[str]] = lambda net, setup: (),
    ) -> TrainResult:
        """Read the data, ``build`` the network for these options, ``train`` it, and write it in the main process.

        ``write`` writes further files beside the network, and returns their names.
        """
        with one_at_a_time(), self._setup() as setup, generators_kept(setup.distributed.device):
            torch.manual_seed(self.config.seed)
            net = build(setup.options)
            self._check_description(net, setup.options)
            if self.init_from is not None:
                layers = initialize_from(net, self.init_from, self.init_layers)
                setup.log(f"{len(layers)} layers start from {self.init_from}: {', '.join(layers)}")
            result = train(
                net,
                setup.splits,
                setup.prepared,
                self.recipe,
                self.run_dir,
                self.config,
                distributed=setup.distributed,
                description=self._description(setup.options),
                log=setup.log,
            )
            if setup.distributed.is_main:
                with writing(self.run_dir / "net.safetensors"):
                    trained = self._write(result, setup)
                with writing(self.run_dir):
                    files = ["net.safetensors", *write(trained, setup), "result.json", "log.csv"]
                setup.log(f"wrote {', '.join(files[:-1])} and {files[-1]} to {self.run_dir}")
        return result

    @contextmanager
    def _setup(self) -> Iterator[Setup]:
        with torch.device("meta"):
            self.entry.build(**self.options)
        # Before what may fail in one process alone, for which the others would wait.
        with join(self.device) as distributed:
            self._check_folder(distributed)
            splits = self._load()
            options = {"in_channels": splits.train.channels, "num_classes": len(splits.train.classes)} | self.options
            prepared = prepare(
                self.recipe.augmentation,
                self.recipe.preprocessing,
                splits.train,
                self.side,
                NORMALIZATION.get(str(self.data)),
            )
            log = self.log if distributed.is_main else no_log
            for line in describe(splits):
                log(line)
            yield Setup(splits, prepared, options, distributed, log)

    def _check_folder(self, distributed: Distributed) -> None:
        """Raise OutputError in all processes where the main one cannot write its files."""
        refusal = ""
        if distributed.is_main:
            try:
                check_folder(self.run_dir)
            except OutputError as error:
                refusal = str(error)
        if refusal := distributed.gather(refusal)[0]:
            raise OutputError(refusal)

    @property
    def side(self) -> int:
        """The side of the images that the network reads: that of the recipe, or of its paper."""
        return self.recipe.input_side or self.entry.input_size[1]

    def build(self, options: dict[str, Any]) -> Net:
        """The network with these options, with pretrained weights where the job names some."""
        return archzoo.build(
            self.entry.name,
            weights=self.weights,
            adapt_input=self.adapt_input,
            trained_as=self.trained_as,
            **options,
        )

    def _load(self) -> Splits:
        channels = self.options.get("in_channels", self._pretrained_channels())
        splits = load(
            self.data,
            side=self.side,
            channels=channels,
            on_corrupt=self.on_corrupt,
            pack=self.pack,
            shorter_side=self.shorter_side,
            background=self.background,
            value_range=self.value_range,
            data_dir=self.data_dir,
            validation=self.validation,
        )
        if self.classes is not None:
            splits = Splits(**{name: images.select_classes(self.classes) for name, images in vars(splits).items()})
        if self.per_class is not None:
            splits = replace(splits, train=sample_per_class(splits.train, self.per_class, self.config.seed))
        return splits

    def _pretrained_channels(self) -> int | None:
        """The channels that the weights were trained on."""
        if self.weights is None:
            return None
        described = described_options(self.entry, self.weights, self.options)
        return int(described.get("in_channels", self.entry.options["in_channels"]))

    def _description(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "network": self.entry.name,
            "options": options,
            "weights": None if self.weights is None else str(self.weights),
            "classes": None if self.classes is None else list(self.classes),
            **({} if self.per_class is None else {"per_class": self.per_class}),
            **self._start_description(),
        }

    def _start_description(self) -> dict[str, Any]:
        """What the network starts from, with the content of files: another one may have the same name by now."""
        described: dict[str, Any] = {}
        if self.weights is not None:
            described |= {"weights_digest": digest(self.weights), "adapt_input": self.adapt_input}
        if self.init_from is not None:
            described |= {
                "init_from": str(self.init_from),
                "init_layers": list(self.init_layers),
                "init_digest": digest(Path(self.init_from)),
            }
        return {name: value for name, value in described.items() if value is not None}

    def _check_description(self, net: Net, options: dict[str, Any]) -> None:
        """Raise before any training where net.safetensors could not describe the network."""
        with torch.device("meta"):
            described = self.entry.build(**self._described(options))
        shapes, expected = ({name: x.shape for name, x in each.state_dict().items()} for each in (net, described))
        if shapes != expected:
            differing = sorted(
                name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name)
            )
            raise TransferError(f"{self.entry.name} with these options has another shape of {', '.join(differing[:3])}")

    def _described(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of the network, with those of its pretrained weights."""
        return options if self.weights is None else described_options(self.entry, self.weights, options)

    def _write(self, result: TrainResult, setup: Setup) -> Net:
        """Write net.safetensors, and return the network as it is read from there: without what its training added."""
        options = self._described(setup.options)
        trained = archzoo.build(self.entry.name, device="meta", **options)
        trained.load_state_dict(result.state, assign=True)
        metadata = describe_training(setup.prepared, self.recipe, setup.splits.train)
        save_with(trained, self.run_dir / "net.safetensors", self.entry.name, options, metadata)
        return trained
