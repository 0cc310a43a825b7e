"""Attacks on training: every kind of network and every optimizer over two processes, folders, disks and kills.

``python benchmarks/attack_training.py`` makes all of them and prints a table: attack, tries, failures. Names of attacks
as arguments make those alone; ``--networks all`` asks every network rather than one of each kind.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

import archzoo
from archzoo.data import ImageSet, Prepared, Splits, prepare
from archzoo.errors import ArchzooError, Stopped
from archzoo.recipes import Constant, Normalize, Recipe
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, TrainResult
from archzoo.training._trainer import Trainer
from archzoo.weights import load

KINDS = (
    "lenet5", "lenet5_textbook", "alexnet_one_tower", "zfnet", "nin", "nin_imagenet", "vgg_a", "googlenet",
    "googlenet_bn", "resnet20", "plain20", "resnet18", "resnet50_v1_5", "preact_resnet", "stochastic_depth",
    "wide_resnet", "wide_resnet50_2", "densenet", "densenet_b", "densenet_bc", "densenet121", "fractalnet_5_16",
    "fractalnet", "squeezenet1_0", "squeezenet1_1", "shufflenet_v2_x0_5", "alexnet",
)  # fmt: skip
SHALLOWER: dict[str, dict[str, Any]] = {
    "preact_resnet": {"depth": 20},
    "stochastic_depth": {"depth": 14},
    "wide_resnet": {"depth": 16, "k": 1},
    "densenet": {"depth": 10},
    "densenet_b": {"depth": 10},
    "densenet_bc": {"depth": 10},
    "fractalnet": {"widths": (8, 8, 8, 8, 8)},
}
OPTIMIZERS = (
    "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam", "radam", "adamax", "asgd", "rprop", "adafactor",
    "almost_adam", "caffe_sgd",
)  # fmt: skip
CLASSES, BATCH, ITERATIONS = 3, 8, 6


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

    def step(self, batch: Any) -> None:
        super().step(batch)
        if self.progress.iteration == self.stop_after:
            self._request_stop(signal.SIGTERM)


def random_images(size: tuple[int, int, int]) -> Splits:
    """Noise: 16 images to train, 4 to validate, 4 to test."""
    generator = torch.Generator().manual_seed(7)

    def images(count: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, *size), dtype=torch.uint8, generator=generator)
        return ImageSet.from_tensor("noise", pixels, torch.arange(count) % CLASSES, [*"abc"])

    return Splits(images(16), images(4), images(4))


def size_for(name: str) -> tuple[int, int, int]:
    """A small size that the network takes."""
    channels, height, _ = archzoo.find(name).input_size
    fixed = name.startswith(("lenet", "vgg", "alexnet", "zfnet", "fractalnet"))
    side = height if fixed else 64 if height > 64 else 16
    return channels, side, side


def trained(
    folder: Path, name: str, recipe: Recipe, distributed: Distributed, stop_after: int = 0, **config: Any
) -> TrainResult:
    """A short run of a network on noise; raises Stopped where it is asked to stop."""
    size = size_for(name)
    splits = random_images(size)
    prepared: Prepared = prepare((), Normalize(), splits.train, size[1])
    torch.manual_seed(0)
    options = {"in_channels": size[0], "num_classes": CLASSES} | SHALLOWER.get(name, {})
    trainer = Interrupted(
        archzoo.build(name, **options),
        splits,
        prepared,
        recipe,
        folder,
        RunConfig(**config),
        distributed=distributed,
        description={},
        parameter_groups=None,
        log=lambda line: None,
    )
    trainer.stop_after = stop_after
    return trainer.run()


def interrupted(folder: Path, name: str, recipe: Recipe, distributed: Distributed, **config: Any) -> TrainResult:
    """The same run, stopped in the middle of an epoch and resumed."""
    try:
        trained(folder, name, recipe, distributed, 3, **config)
    except Stopped:
        return trained(folder, name, recipe, distributed, **config)
    raise AssertionError("the run did not stop")


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two states have the same bits."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def close(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether two states differ by less than a hundredth of their norm: DDP's own memory formats differ, too.

    A sum in another order turns a ReLU on or off where its input is nearly zero.
    """
    own, other = (torch.cat([value.double().flatten() for value in state.values()]) for state in (first, second))
    return bool((own - other).norm() < 0.01 * own.norm())


def short_recipe(**changes: Any) -> Recipe:
    """A recipe of a few iterations."""
    values = {"schedule": Constant(), "lr": 0.01, "batch_size": BATCH, "iterations": ITERATIONS, "augmentation": ()}
    return find_recipe("digits").with_changes(**values | changes)


def over_processes(folder: Path, name: str, recipe: Recipe, here: Distributed, attack: Attack, **config: Any) -> None:
    """One run of a network in two processes, whole and interrupted, with DDP and with FSDP."""
    states = {}
    for mode, sharded in (("ddp", False), ("fsdp", True)):
        label = f"{name} {recipe.optimizer.name} {mode} {config or ''}".strip()
        try:
            whole = trained(folder / mode / "whole", name, recipe, here, sharded=sharded, **config).state
            again = interrupted(folder / mode / "again", name, recipe, here, sharded=sharded, **config).state
        except ArchzooError as error:
            attack.check(f"{label}: {error}", holds=False)
            continue
        except Exception:
            attack.check(f"{label}: {traceback.format_exc()}", holds=False)
            continue
        attack.check(f"{label}: resumed to other bits", same(whole, again))
        attack.check(f"{label}: not finite", all(bool(value.isfinite().all()) for value in whole.values()))
        states[mode] = whole
    draws = name.startswith(("stochastic_depth", "fractalnet"))
    if len(states) == 2 and not draws:  # the paths of FSDP are those of all processes
        attack.check(f"{name} {recipe.optimizer.name}: FSDP computes other weights than DDP", close(*states.values()))


def all_networks(folder: Path, here: Distributed, names: list[str]) -> Attack:
    """Every network of a list."""
    attack = Attack("networks x DDP, FSDP x whole, interrupted")
    for name in names:
        began = time.monotonic()
        over_processes(folder / name, name, short_recipe(momentum=0.9, select="best"), here, attack)
        if here.is_main:
            print(f"{name}: {time.monotonic() - began:.0f} s", *attack.failures[-3:], file=sys.stderr)
    return attack


def all_optimizers(folder: Path, here: Distributed, names: list[str]) -> Attack:
    """Every optimizer, one without state, and batches that do not divide."""
    attack = Attack("optimizers x DDP, FSDP x whole, interrupted")
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
        attack.check(f"refused by {refused}", f"in use by process {winner}" in refused and refused.count("\n") == 1)
    return attack


ALONE: dict[str, Callable[[Path, int], Attack]] = {"kills": kills, "races": races}
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
    parser.add_argument("--networks", nargs="*", default=list(KINDS))
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--rank")
    options = parser.parse_args()
    names = archzoo.names() if options.networks == ["all"] else options.networks
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
