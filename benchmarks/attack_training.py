"""Attacks on training: every kind of network and every optimizer over two processes, folders and kills.

``python benchmarks/attack_training.py`` makes all of them and prints a table: attack, tries, failures. Names of attacks
as arguments make those alone; ``--networks all`` asks every network rather than one of each kind.

Networks have few and narrow layers, and are in the form that is trained: with auxiliary classifiers, groups that are
learned, dropout. A run in float32 is stopped and resumed, to the same bits. In float64, where rounding cannot be taken
for an error, DDP, FSDP and one process that runs the shares of both end with the same weights.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor, nn

import archzoo
from archzoo.data import Batch, ImageSet, Prepared, Splits, derive_seed, prepare
from archzoo.errors import ArchzooError, Stopped
from archzoo.layers import LearnedGroupConv, Net
from archzoo.models import googlenet, vgg
from archzoo.profiler import skips_modules
from archzoo.recipes import Constant, GroupLasso, Normalize, Recipe
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, TrainResult
from archzoo.training._shared_paths import shared_paths
from archzoo.training._trainer import Trainer
from archzoo.weights import load, save

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.networks import COVER, NETS, SHALLOWER, fewer_units, image_size, thin

KINDS = [*COVER, "pyramidnet101_a250"]  # the last has dropout, too
# Options of the form that is trained, where a network has them.
TRAINED: dict[str, Any] = {"auxiliary": True, "form": "training"}
LAST_MODULE = {"b": googlenet.TABLE_1[5]["b"]}  # before a linear layer that has its number of maps
NARROW: list[tuple[Any, str, Any]] = [
    (googlenet, "TABLE_1", {**thin(googlenet.TABLE_1), 5: {**thin(googlenet.TABLE_1[5]), **LAST_MODULE}}),
    (vgg, "WIDTHS", thin(vgg.WIDTHS)),
]
OPTIMIZERS = (
    "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam", "radam", "adamax", "asgd", "rprop", "adafactor",
    "almost_adam", "caffe_sgd",
)  # fmt: skip
UNSHARDED = ("adafactor", "rprop")  # which a sharded run refuses before its first step
CLASSES, BATCH, ITERATIONS = 3, 8, 4
TOLERANCE = 1e-6  # of the norm of all weights, in float64


@dataclass
class Attack:
    """What was tried, and what failed, in words."""

    name: str
    tries: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, what: str, holds: bool) -> None:
        """Count one try, and what failed in it."""
        self.tries += 1
        if not holds:
            self.failures.append(what)


class Interrupted(Trainer):
    """A run that is asked to stop after some iterations."""

    stop_after = 0

    def step(self, batch: Batch) -> None:
        super().step(batch)
        if self.progress.iteration == self.stop_after:
            self._request_stop(signal.SIGTERM)


class SharesInTurn(Trainer):
    """A run in one process of which each batch is the share of a first process, then that of a second one.

    Batch norms see what they see in two processes, and paths are those of a sharded run. It needs ``accumulate=2``.
    """

    def step(self, batch: Batch) -> None:
        order = torch.arange(len(batch.labels))
        order = torch.cat([order[::2], order[1::2]])
        with shared_paths(self.state.net, lambda: derive_seed("paths", self.config.seed, self.progress.iteration, 1)):
            super().step(replace(batch, images=batch.images[order], labels=batch.labels[order]))


def random_images(size: tuple[int, ...]) -> Splits:
    """Noise: two batches to train, 4 images to validate, 4 to test."""
    generator = torch.Generator().manual_seed(7)

    def images(count: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, *size), dtype=torch.uint8, generator=generator)
        return ImageSet.from_tensor("noise", pixels, torch.arange(count) % CLASSES, [*"abc"])

    return Splits(images(2 * BATCH), images(4), images(4))


def trained_options(name: str) -> dict[str, Any]:
    """The options of a network's trained form, with dropout where there may be some."""
    entry = archzoo.find(name)
    free = {option: value for option, value in entry.options.items() if option not in entry.fixed}
    dropout = {"drop": 0.2} if free.get("drop") == 0.0 else {}
    return {option: value for option, value in TRAINED.items() if option in free} | dropout


def size_for(name: str) -> tuple[int, ...]:
    """A small size that the network takes; with auxiliary classifiers, that of the paper."""
    return archzoo.find(name).input_size if "auxiliary" in trained_options(name) else image_size(name)


def network(name: str) -> Net:
    """The network with few and narrow layers, as it is trained."""
    family, shallower = SHALLOWER.get(name, (name, {}))
    options = {**trained_options(family), **shallower, "in_channels": size_for(name)[0], "num_classes": CLASSES}
    torch.manual_seed(0)
    with fewer_units(), contextlib.ExitStack() as patches:
        for module, table, rows in NARROW:
            patches.enter_context(patch.object(module, table, rows))
        net: Net = archzoo.build(family, **options)
    return net


def in_float64(net: Net) -> Net:
    """The network in float64, also where it is given images in float32; without dropout, which each process draws."""
    for module in net.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    net.register_forward_pre_hook(lambda _, images: (images[0].double(),))
    return net.double()


def run_of(
    kind: type[Trainer], net: Net, folder: Path, size: tuple[int, ...], recipe: Recipe, here: Distributed, **config: Any
) -> Any:
    """A short run of a network on noise, before its first step."""
    splits = random_images(size)
    prepared: Prepared = prepare((), Normalize(), splits.train, size[1])
    options: dict[str, Any] = {"description": {}, "parameter_groups": None, "log": lambda line: None}
    return kind(net, splits, prepared, recipe, folder, RunConfig(**config), distributed=here, **options)


def interrupted(folder: Path, name: str, recipe: Recipe, here: Distributed, **config: Any) -> TrainResult:
    """A run that is stopped in the middle of an epoch and resumed."""
    stopped = run_of(Interrupted, network(name), folder, size_for(name), recipe, here, **config)
    stopped.stop_after = 3
    try:
        stopped.run()
    except Stopped:
        result: TrainResult = run_of(Trainer, network(name), folder, size_for(name), recipe, here, **config).run()
        return result
    raise AssertionError("the run did not stop")


def weights(result: TrainResult) -> dict[str, Tensor]:
    """The parameters at the end of a run. Batch statistics of two processes are those of the first."""
    return {name: result.state[name] for name, _ in result.net.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two states have the same bits."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def difference(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The norm of the difference of two states, as a share of that of the first."""
    own, other = (torch.cat([value.double().flatten() for value in state.values()]) for state in (first, second))
    return float((own - other).norm() / own.norm())


def short_recipe(**changes: Any) -> Recipe:
    """A recipe of a few iterations."""
    values = {"schedule": Constant(), "lr": 0.01, "batch_size": BATCH, "iterations": ITERATIONS, "augmentation": ()}
    return find_recipe("digits").with_changes(**values | changes)


def recipe_for(name: str) -> Recipe:
    """A recipe of a few iterations, with the lasso of learned groups where there are some."""
    learns = any(isinstance(module, LearnedGroupConv) for module in network(name).modules())
    return short_recipe(momentum=0.9, select="best", regularizers=(GroupLasso(0.001),) if learns else ())


def refuses(recipe: Recipe, config: dict[str, Any]) -> bool:
    """Whether a run is to be refused before its first step."""
    return bool(config.get("sharded")) and recipe.optimizer.name in UNSHARDED


def resumed(folder: Path, name: str, recipe: Recipe, here: Distributed, attack: Attack, **config: Any) -> None:
    """A run in two processes, whole and interrupted, in float32: both end with the same bits."""
    label = f"{name} {recipe.optimizer.name} {config}"
    try:
        whole = run_of(Trainer, network(name), folder / "whole", size_for(name), recipe, here, **config).run().state
        again = interrupted(folder / "again", name, recipe, here, **config).state
    except ArchzooError as error:
        attack.check(f"{label}: {error}", "FSDP cannot train" in str(error) and refuses(recipe, config))
    except Exception:
        attack.check(f"{label}: {traceback.format_exc()}", holds=False)
    else:
        attack.check(f"{label}: resumed to other bits", same(whole, again))
        attack.check(f"{label}: not finite", all(bool(value.isfinite().all()) for value in whole.values()))


def ends_in_float64(folder: Path, name: str, recipe: Recipe, here: Distributed) -> dict[str, dict[str, Tensor]]:
    """The weights at the end of runs with DDP, with FSDP and, in the main process, without other processes."""
    runs: list[tuple[str, type[Trainer], Distributed, dict[str, Any]]] = [
        ("DDP", Trainer, here, {}),
        ("FSDP", Trainer, here, {"sharded": True}),
        ("one process", SharesInTurn, Distributed(), {"accumulate": 2}),
    ]
    ends = {}
    for mode, kind, processes, config in runs:
        if here.rank < processes.world_size and not refuses(recipe, config):
            net = in_float64(network(name))
            ends[mode] = weights(run_of(kind, net, folder / mode, size_for(name), recipe, processes, **config).run())
    return ends


def computes_alike(folder: Path, name: str, recipe: Recipe, here: Distributed, attack: Attack) -> None:
    """Compare runs with DDP and with FSDP with those of one process."""
    ends = ends_in_float64(folder, name, recipe.with_changes(select="last"), here)
    if skips_modules(network(name)):
        del ends["DDP"]  # each process draws its own paths
    for mode in sorted(ends.keys() - {"one process"}) if here.is_main else ():
        apart = difference(ends["one process"], ends[mode])
        attack.check(f"{name} {recipe.optimizer.name}: {mode} ends {apart:.1e} from one process", apart < TOLERANCE)


def over_processes(folder: Path, name: str, recipe: Recipe, here: Distributed, attack: Attack, **config: Any) -> None:
    """One network in two processes: whole and interrupted, with DDP and with FSDP, and against one process."""
    for sharded in (False, True):
        resumed(folder / str(sharded), name, recipe, here, attack, sharded=sharded, **config)
    if config:
        return
    try:
        computes_alike(folder, name, recipe, here, attack)
    except Exception:
        attack.check(f"{name} {recipe.optimizer.name} in float64: {traceback.format_exc()}", holds=False)


def all_networks(folder: Path, here: Distributed, names: list[str]) -> Attack:
    """Every network of a list."""
    attack = Attack("networks")
    for name in names:
        began, failed = time.monotonic(), len(attack.failures)
        over_processes(folder / name, name, recipe_for(name), here, attack)
        if here.is_main:
            print(f"{name}: {time.monotonic() - began:.0f} s", *attack.failures[failed:], file=sys.stderr)
    return attack


def all_optimizers(folder: Path, here: Distributed, names: list[str]) -> Attack:
    """Every optimizer, one without state, and batches that do not divide."""
    attack = Attack("optimizers")
    for name in OPTIMIZERS:
        decay = {} if name != "rprop" else {"weight_decay": 0.0}
        recipe = short_recipe(optimizer=name, lr=0.001, **decay)
        over_processes(folder / name, "lenet5_textbook", recipe, here, attack)
    over_processes(folder / "stateless", "lenet5", short_recipe(momentum=0.0, nesterov=False), here, attack)
    for number, config in enumerate(({"accumulate": 2}, {"accumulate": 3}, {"accumulate": 4})):
        recipe = short_recipe(batch_size=7, grad_clip_norm=1.0, filter_limit=0.5)
        over_processes(folder / f"parts{number}", "fractalnet_5_16", recipe, here, attack, **config)
    return attack


# The command, killed and raced


def command(folder: Path, *more: str) -> subprocess.Popen[str]:
    """``archzoo train`` of LeNet-5 in a process of its own."""
    arguments = ["train", "lenet5_textbook", "--data", "digits", "batch_size=64", "--device", "cpu", "--output"]
    return subprocess.Popen(
        [sys.executable, "-m", "archzoo", *arguments, str(folder), *more], stderr=subprocess.PIPE, text=True
    )


def run_to_end(folder: Path, *more: str) -> str:
    """Run the command to its end; return what went wrong."""
    with command(folder, *more) as process:
        _, errors = process.communicate()
    return "" if process.returncode == 0 else f"exit code {process.returncode}: {errors}"


def kills(folder: Path, tries: int) -> Attack:
    """Runs of one and of two processes, killed by kill -9 at random times until one of them ends."""
    attack = Attack("kill -9 at a random time x one, two processes")
    for processes in ("1", "2"):
        options = ("epochs=3", "--nproc", processes)
        run_to_end(folder / processes / "whole", *options)
        for number in range(tries):
            killed = folder / processes / str(number)
            with command(killed, *options) as process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=random.Random(number).uniform(3, 25))
                process.kill()
            attack.check(f"{killed.name}: {(error := run_to_end(killed, *options))}", not error)
            states = [load(path / "net.safetensors").state_dict() for path in (folder / processes / "whole", killed)]
            attack.check(f"{killed.name}: other bits", same(*states))
    return attack


def races(folder: Path, tries: int) -> Attack:
    """Two runs of other seeds in one folder at once: one ends well, the other names its process."""
    attack = Attack("two runs of other seeds started together in one folder")
    for number in range(tries):
        both = [command(folder / str(number), "epochs=30", "--seed", seed) for seed in "01"]
        errors = [process.communicate()[1] for process in both]
        codes = sorted(process.returncode for process in both)
        attack.check(f"exit codes {codes}: {errors}", codes == [0, 2])
        refused = next((error for process, error in zip(both, errors, strict=True) if process.returncode), "")
        winner = next((process.pid for process in both if process.returncode == 0), 0)
        last = (refused.splitlines() or [""])[-1]  # after what it says of its data
        attack.check(f"refused by {refused}", f"in use by process {winner}" in last and "Traceback" not in refused)
    return attack


# Which process of a command gets which signals, and the exit code of the command that does not end before.
SIGNALED: dict[str, tuple[int | None, tuple[signal.Signals, ...], int]] = {
    "SIGTERM": (None, (signal.SIGTERM,), 143),
    "Ctrl-C": (None, (signal.SIGINT,), 130),
    "a closed terminal": (None, (signal.SIGHUP,), 129),
    "kill -9": (None, (signal.SIGKILL,), -9),
    "SIGTERM of the first process": (0, (signal.SIGTERM,), 143),
    "SIGTERM of the second process": (1, (signal.SIGTERM,), 143),
    "kill -9 of the first process": (0, (signal.SIGKILL,), 137),
    "a pause of the second process": (1, (signal.SIGSTOP, signal.SIGCONT), 0),
}
COMMANDS: dict[str, list[str]] = {
    "train": ["train", "lenet5_textbook", "--data", "digits"],
    "finetune": ["finetune", "lenet5_textbook", "--data", "digits", "--head-epochs", "1"],
    "probe": ["finetune", "lenet5_textbook", "--data", "digits", "--freeze"],
    "sharded": ["train", "lenet5_textbook", "--data", "digits", "--fsdp"],
}


def two_seeds(kind: str, folder: Path, weights: Path) -> subprocess.Popen[str]:
    """A command of two processes and two seeds, in a process of its own."""
    more = ["--weights", str(weights)] if COMMANDS[kind][0] == "finetune" else []
    shared = ["epochs=2", "batch_size=64", "--device", "cpu", "--nproc", "2", "--seed", "0,1", "--output", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-m", "archzoo", *COMMANDS[kind], *more, *shared], stderr=subprocess.PIPE, text=True
    )


def send(process: subprocess.Popen[str], rank: int | None, numbers: tuple[signal.Signals, ...]) -> None:
    """Send signals to a launcher, or to one of its processes if it is still there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError, IndexError):
        pid = process.pid if rank is None else int(children.read_text().split()[rank])
        for number in numbers:
            os.kill(pid, number)
            time.sleep(2 * (number == signal.SIGSTOP))


def seeds(folder: Path, tries: int) -> Attack:
    """Commands of two processes and two seeds, signaled at a random time and rerun: exit code, and the same bits."""
    attack = Attack("two processes, two seeds: signals at a random time x train, finetune, linear probe, FSDP")
    weights = folder / "weights.safetensors"
    save(archzoo.build("lenet5_textbook"), weights, "lenet5_textbook")
    for kind in COMMANDS:
        errors = two_seeds(kind, folder / kind, weights).communicate()[1]
        for number in range(tries):
            way, (rank, numbers, expected) = list(SIGNALED.items())[number % len(SIGNALED)]
            with two_seeds(kind, folder / f"{kind}{number}", weights) as process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=random.Random(f"{kind} {number}").uniform(3, 25))
                send(process, rank, numbers)
                errors = process.communicate()[1]
            attack.check(f"{kind}, {way}: {process.returncode} {errors}", process.returncode in (0, expected))
            attack.check(f"{kind}, {way}: {errors}", "Traceback" not in errors)
            with two_seeds(kind, folder / f"{kind}{number}", weights) as process:
                errors = process.communicate()[1]
            attack.check(f"{kind}, {way}, rerun: {errors}", process.returncode == 0)
            for seed in ("seed-0", "seed-1"):
                files = [folder / name / seed / "net.safetensors" for name in (kind, f"{kind}{number}")]
                states = [load(file).state_dict() if file.exists() else {} for file in files]
                attack.check(f"{kind}, {way}, {seed}: other bits", bool(states[0]) and same(*states))
    return attack


ALONE: dict[str, Callable[[Path, int], Attack]] = {"kills": kills, "races": races, "seeds": seeds}
PARALLEL: dict[str, Callable[[Path, Distributed, list[str]], Attack]] = {
    "networks": all_networks,
    "optimizers": all_optimizers,
}


# Two processes of this script


def as_rank(attack: str, folder: Path, names: list[str]) -> None:
    """One of two processes, which meet over a file."""
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    result = PARALLEL[attack](folder, Distributed(rank, 2), names)
    if rank == 0:
        torch.save([result.tries, result.failures], folder / "result.pt")
    dist.destroy_process_group()


def in_two_processes(attack: str, names: list[str]) -> Attack:
    """An attack in two processes of this script."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, attack, "--rank", folder, "--networks", *names]
        ranks = [subprocess.Popen(command, env={**os.environ, "RANK": str(rank)}) for rank in range(2)]
        codes = [process.wait() for process in ranks]
        if any(codes):
            return Attack(attack, 1, [f"exit codes {codes}"])
        tries, failures = torch.load(Path(folder) / "result.pt")
    return Attack(attack, tries, failures)


def main() -> None:
    """Make the attacks, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attacks", nargs="*")
    parser.add_argument("--networks", nargs="*", default=KINDS)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--rank")
    options = parser.parse_args()
    names = NETS if options.networks == ["all"] else options.networks
    if options.rank:
        as_rank(options.attacks[0], Path(options.rank), names)
        return
    for name in options.attacks or [*PARALLEL, *ALONE]:
        if name in PARALLEL:
            attack = in_two_processes(name, names)
        else:
            with tempfile.TemporaryDirectory() as folder:
                attack = ALONE[name](Path(folder), options.tries)
        print(f"| {attack.name} | {attack.tries} | {len(attack.failures)} |")
        for failure in attack.failures:
            print(f"  {failure}", file=sys.stderr)


if __name__ == "__main__":
    main()
