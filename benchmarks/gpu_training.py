"""Rows of benchmarks/gpu.py about training: images per second of the loop, and whether it computes the same bits."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_bench import BareStep, Bench, Measured, Measurements, captured, cudnn_benchmark, guarded, note, synthetic
from torch import Tensor

import archzoo
from archzoo.data import NORMALIZATION, Batch, EpochBatches, ImageSet, Splits, load, prepare
from archzoo.errors import MissingDependency, Stopped
from archzoo.recipes import Normalize, RandomCrop, RandomErasing, RandomHorizontalFlip, RandomResizedCrop, Recipe
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, TrainResult
from archzoo.training._trainer import CHECK_INTERVAL, Trainer
from archzoo.weights import save

Log = Callable[[str], None]
PHOTOGRAPHS = (RandomResizedCrop(), RandomHorizontalFlip())


class TimedTrainer(Trainer):
    """A trainer that remembers when each of its steps began."""

    def step(self, batch: Batch) -> None:
        """One iteration."""
        if not hasattr(self, "began"):
            self.began: list[float] = []
        self.began.append(time.perf_counter())
        super().step(batch)

    def rate(self) -> float:
        """Images per second between steps that follow a look at the device, without those that start workers."""
        marks = self.began[CHECK_INTERVAL + 1 :: CHECK_INTERVAL] if len(self.began) > 3 * CHECK_INTERVAL else []
        if len(marks) < 2:
            return self.recipe.batch_size / (self.began[-1] - self.began[-2])
        return self.recipe.batch_size * CHECK_INTERVAL * (len(marks) - 1) / (marks[-1] - marks[0])


def recipe_of(name: str, batch: int, epochs: int, **changes: Any) -> Recipe:
    """The network's recipe with a batch and a length."""
    return find_recipe(name).with_changes(epochs=epochs, batch_size=batch, lr=1e-3, **changes)


def trainer(
    bench: Bench, name: str, splits: Splits, recipe: Recipe, run_dir: str, log: Log, **config: Any
) -> TimedTrainer:
    """A run of a network, which begins with the same weights each time."""
    torch.manual_seed(0)
    few = splits.train.subset(torch.arange(min(len(splits.train), 256)))
    photographs = recipe.augmentation == PHOTOGRAPHS
    known = NORMALIZATION["imagenet"] if photographs else None
    fitted_to = few if photographs else splits.train
    prepared = prepare(recipe.augmentation, recipe.preprocessing, fitted_to, bench.size(name)[1], known)
    return TimedTrainer(
        bench.build(name, num_classes=len(splits.train.classes)),
        splits,
        prepared,
        recipe,
        Path(run_dir),
        RunConfig(**{"precision": bench.precision, **config}),
        distributed=Distributed(device=bench.device),
        description={},
        parameter_groups=None,
        log=log,
    )


def splits_of(images: ImageSet, batch: int) -> Splits:
    """Images to train, of which a few whole batches validate and test."""
    few = images.subset(torch.arange(min(4 * batch, len(images))))
    return Splits(train=images, validation=few, test=few)


def trained(bench: Bench, name: str, images: ImageSet, batch: int, epochs: int, **config: Any) -> TrainResult:
    """A whole run. Says why steps are or are not replayed from a graph."""

    def log(line: str) -> None:
        if "graph" in line:
            note(f"{name}: {line}")

    with tempfile.TemporaryDirectory() as directory:
        recipe = recipe_of(name, batch, epochs)
        return trainer(bench, name, splits_of(images, batch), recipe, directory, log, **config).run()


def loop(
    bench: Bench, name: str, batch: int, bar: float | None = None, share: float = 1.0, **config: Any
) -> Measurements:
    """Images a second of ``archzoo.training.train`` on 45,000 images of 32x32: the best epoch after the first."""
    batch = 8 if bench.small else batch
    images = synthetic(2 * batch if bench.small else int(45_000 * share), 32)
    if config.get("compile") and not bench.small:  # what is compiled is kept on disk
        trained(bench, name, images.subset(torch.arange(4 * batch)), batch, 1, **config)
    yield None
    history = trained(bench, name, images, batch, 2 if bench.small else 3, **config).history
    forms = "".join(f", {key}={value}" for key, value in config.items())
    best = max(history[1:], key=lambda row: row["images_per_second"])
    what = f"train {name}, batch {batch}{forms}"
    yield Measured(what, best["images_per_second"], at_least=bar)
    if "mfu" in best:
        yield Measured(f"{what}: model FLOPs utilization", best["mfu"], "of the peak")
    if not config:
        yield from guarded(what, beside_graph(bench, name, batch, what, best["images_per_second"]))


def beside_graph(bench: Bench, name: str, batch: int, what: str, rate: float) -> Iterator[Measured]:
    """The loop as a share of the same step alone, all of it in one CUDA graph, over one batch."""
    step = BareStep(bench, name, batch, fused=None if bench.small else True)
    with cudnn_benchmark():
        alone = batch / bench.seconds(step if bench.small else captured(step)[0], 20)
    yield Measured(f"step of {name} alone, in one CUDA graph, batch {batch}", alone)
    yield Measured(f"{what}: share of the step alone", rate / alone, "of it")


def large_images(bench: Bench) -> Measurements:
    """ResNet-50 at batch 256 from memory, as a share of the bare step."""
    name, batch = "resnet50_v1_5", 2 if bench.small else 256
    base = synthetic(8 if bench.small else 2048, bench.size(name)[1], 1000)
    count = 3 * batch if bench.small else 121 * batch
    images = base.subset(torch.arange(count) % len(base))  # the same pixels many times
    yield None
    with cudnn_benchmark():
        bare = batch / bench.seconds(BareStep(bench, name, batch, fused=None if bench.small else True))
    bench.free()
    yield Measured(f"bare step of {name}, batch {batch}", bare)
    rate = rate_of(bench, name, images, images.subset(torch.arange(4)), batch)
    yield Measured(f"train {name} from memory, share of the bare step", rate / bare, "of it", 0.95)


def rate_of(bench: Bench, name: str, images: ImageSet, few: ImageSet, batch: int) -> float:
    """Images a second of an epoch with random crops and mirror images, behind its first steps."""
    recipe = recipe_of(name, batch, 1, augmentation=PHOTOGRAPHS)
    workers = 0 if bench.small else max((os.cpu_count() or 2) - 2, 1)
    with tempfile.TemporaryDirectory() as directory:
        run = trainer(bench, name, Splits(images, few, few), recipe, directory, note, workers=workers)
        run.run()
    return run.rate()


def folder(bench: Bench) -> Measurements:
    """A folder of JPEGs of 500x400 that stay encoded, end to end."""
    name, batch = "resnet50_v1_5", 2 if bench.small else 256
    with tempfile.TemporaryDirectory() as directory:
        os.environ["ARCHZOO_CACHE"] = str(Path(directory, "cache"))
        root = Path(directory, "images")
        count = 6 * batch if bench.small else 101 * batch
        write_jpegs(root / "train", 4 if bench.small else 256, count)
        write_jpegs(root / "val", 4, 4)
        splits = load(root)
        few = splits.validation.subset(torch.arange(min(4, len(splits.validation))))
        yield None
        rate = rate_of(bench, name, splits.train, few, batch)
        yield Measured(f"train {name} from {count:,} JPEGs", rate)


def write_jpegs(root: Path, different: int, count: int) -> None:
    """JPEGs of 500x400 in two classes; the first ones under many names."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for number in range(count):
        path = root / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number < different:
            image = Image.fromarray(np.roll(pixels, number, 0)).resize((500, 400), Image.Resampling.BICUBIC)
            image.save(path, quality=85)
        else:
            os.link(root / "ab"[number % different % 2] / f"{number % different}.jpg", path)


def pictures(bench: Bench) -> Measurements:
    """JPEGs decoded, cropped, flipped and normalized on one core, beside torchvision's ImageFolder."""
    from pictures import age, compare_rates, write_photographs

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["ARCHZOO_CACHE"] = str(Path(directory, "cache"))
        root = Path(directory, "photographs")
        write_photographs(root, 64 if bench.small else 256)
        age(root)
        yield None
        medians, ratio = compare_rates(root, 1 if bench.small else 5)
        yield Measured("JPEGs on one core", medians["archzoo"])
        yield Measured("JPEGs on one core, share of torchvision's rate", ratio, "of it", 1.5)


def device_bits(bench: Bench) -> Measurements:
    """Augmentation on the device gives the bits of the CPU: the share of equal images."""
    yield None
    images = synthetic(400 if bench.small else 2_000, 32)
    steps = (RandomCrop(padding=4), RandomHorizontalFlip(), RandomErasing())
    prepared = prepare(steps, Normalize(), images, 32)
    on_cpu = EpochBatches(images, prepared.train, len(images) // 4, 0, 0)
    on_device = EpochBatches(images.to(bench.device), prepared.to(bench.device).train, len(images) // 4, 0, 0)
    equal: list[Tensor] = []
    for step in range(4):
        theirs = on_device[step].images.cpu()
        equal.append((theirs == on_cpu[step].images).flatten(1).all(1))
    yield Measured("images augmented to the same bits", float(torch.cat(equal).float().mean()), "of all", 1.0)


def same_bits(first: TrainResult, second: TrainResult) -> float:
    """1 where all tensors of two runs are equal in every bit, else 0."""
    return float(all(torch.equal(tensor, second.state[name]) for name, tensor in first.state.items()))


def graph_bits(bench: Bench) -> Measurements:
    """Steps that are replayed end where the same steps as they are end, and a rerun ends in the same bits."""
    yield None
    batch = 8 if bench.small else 64
    images = synthetic((3 if bench.small else 8) * batch, 32)
    replayed, plain, again = (
        trained(bench, "resnet20", images, batch, 2, cuda_graph=None if graph else False, deterministic=True)
        for graph in (True, False, True)
    )
    losses = [run.history[-1]["train_loss"] for run in (replayed, plain)]
    yield Measured("replayed steps end as plain ones", float(math.isclose(*losses, rel_tol=1e-6)), "is true", 1.0)
    yield Measured("replayed steps end in the bits of plain ones", same_bits(replayed, plain), "is true")
    yield Measured("a rerun ends in the same bits", same_bits(replayed, again), "is true", 1.0)


class Interrupting:
    """A log that sends SIGTERM to this process at the first line with some words."""

    def __init__(self, words: str | None) -> None:
        self.words = words

    def __call__(self, line: str) -> None:
        if self.words is not None and self.words in line:
            self.words = None
            os.kill(os.getpid(), signal.SIGTERM)


def resumed(bench: Bench) -> Measurements:
    """A run that is stopped within epochs and between them ends in the same bits: with a CUDA graph, with dropout."""
    yield None
    batch = 4 if bench.small else 32
    images = synthetic(batch * (3 if bench.small else 50), 32)
    for name in ("resnet20", "nin"):
        yield from guarded(f"{name}, stopped and resumed", stopped_often(bench, name, images, batch))


def stopped_often(bench: Bench, name: str, images: ImageSet, batch: int) -> Iterator[Measured]:
    """Stopped at the first look, at the one after the capture of a graph, and at the end of the first epoch."""
    stops, recipe = 0, recipe_of(name, batch, 2, preprocessing=Normalize())  # whitening takes seconds
    splits = splits_of(images, batch)
    with tempfile.TemporaryDirectory() as directory:
        whole = trainer(bench, name, splits, recipe, directory, Interrupting(None), deterministic=True).run()
    with tempfile.TemporaryDirectory() as directory:
        for words in ("", *([] if bench.small else ["steps are"]), "epoch 1 of", None):
            log = Interrupting(words)
            run = trainer(bench, name, splits, recipe, directory, log, deterministic=True)
            try:
                result = run.run()
            except Stopped:
                stops += 1
    what = f"{name}, stopped {stops} times and resumed, ends in the same bits"
    yield Measured(what, same_bits(whole, result), "is true", 1.0)


def stochastic(bench: Bench) -> Measurements:
    """What a dropped block or path saves."""
    yield None
    everything: dict[str, dict[str, Any]] = {
        "stochastic_depth_110": {"survival": 1.0},
        "fractalnet20": {"drop_path": 0.0},
    }
    batch = 2 if bench.small else 128
    for name, options in everything.items():
        drawn, whole = (
            bench.seconds(BareStep(bench, name, batch, half=False, fused=None, **chosen), 20)
            for chosen in ({}, options)
        )
        yield Measured(f"{name}, time of a drawn step", drawn / whole, "of all parts")


def transferred(bench: Bench) -> Measurements:
    """``finetune --freeze`` and ``finetune`` of the command run to their end."""
    yield None
    with tempfile.TemporaryDirectory() as directory:
        name, weights = "lenet5_textbook" if bench.small else "resnet20", Path(directory, "net.safetensors")
        save(archzoo.build(name, in_channels=1), weights, name, in_channels=1)
        for more in (["--freeze"], []):
            command = [sys.executable, "-m", "archzoo", "finetune", name, "--weights", str(weights), "epochs=1"]
            command += ["--data", "digits", "--device", bench.device.type, *more]
            command += ["--output", str(Path(directory, *more, "run"))]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                note(done.stderr[-2000:])
            yield Measured(f"finetune {' '.join(more)}".strip(), float(not done.returncode), "ends well", 1.0)


def paths(bench: Bench) -> Measurements:
    """Every path of tests/test_devices.py, with all that it takes on the device: how many fail."""
    yield None
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.machines import Machine
    from tests.test_devices import PATHS

    chosen = list(PATHS)[:: 20 if bench.small else 1]
    device = torch.empty(0, device=bench.device).device  # with its number, as tensors have it
    failed = 0
    for name in chosen:
        with tempfile.TemporaryDirectory() as directory:
            try:
                PATHS[name](Machine(device, Path(directory)))
            except MissingDependency as error:
                note(f"{name} is left out: {error}")
            except Exception as error:
                failed += 1
                note(f"{name} fails on {device}: {type(error).__name__}: {error}")
    yield Measured(f"of {len(chosen)} public functions on the device, those that fail", failed, "", at_most=0)
