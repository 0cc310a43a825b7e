"""Attacks on training: every kind of network and every optimizer over two processes, folders, disks and kills.

``python benchmarks/attack_training.py`` makes all of them and prints a table: attack, tries, failures. Names of attacks
as arguments make those alone; ``--networks all`` asks every network rather than one of each kind.
"""

import argparse
import os
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
        self.tries += 1
        if not holds:
            self.failures.append(what)


class Interrupted(Trainer):
    """A run that is asked to stop after some iterations."""

    stop_after = 0

    def step(self, batch: Any) -> None:
        super().step(batch)
        self.stop_requested = self.stop_requested or self.progress.iteration == self.stop_after


def random_images(size: tuple[int, int, int]) -> Splits:
    """Noise: 16 images to train, 4 to validate, 4 to test."""
    generator = torch.Generator().manual_seed(7)

    def images(count: int) -> ImageSet:
        pixels = torch.randint(0, 256, (count, *size), dtype=torch.uint8, generator=generator)
        return ImageSet.from_tensor("noise", pixels, torch.arange(count) % CLASSES, [*"abc"])

    return Splits(images(16), images(4), images(4))


def size_for(name: str) -> tuple[int, int, int]:
    channels, height, width = archzoo.find(name).input_size
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
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def close(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.allclose(first[name].float(), second[name].float(), atol=1e-3, rtol=1e-2) for name in first)


def short_recipe(**changes: Any) -> Recipe:
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
    attack = Attack("networks x DDP, FSDP x whole, interrupted")
    for name in names:
        began = time.monotonic()
        over_processes(folder / name, name, short_recipe(momentum=0.9, select="best"), here, attack)
        if here.is_main:
            print(f"{name}: {time.monotonic() - began:.0f} s", *attack.failures[-3:], file=sys.stderr)
    return attack


def all_optimizers(folder: Path, here: Distributed, names: list[str]) -> Attack:
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
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, attack, "--rank", folder, "--networks", *names]
        ranks = [subprocess.Popen(command, env={**os.environ, "RANK": str(rank)}) for rank in range(2)]
        codes = [process.wait() for process in ranks]
        if any(codes):
            return Attack(attack, 1, [f"exit codes {codes}"])
        tries, failures = torch.load(Path(folder) / "result.pt")
    return Attack(attack, tries, failures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attacks", nargs="*")
    parser.add_argument("--networks", nargs="*", default=list(KINDS))
    parser.add_argument("--rank")
    options = parser.parse_args()
    names = archzoo.names() if options.networks == ["all"] else options.networks
    if options.rank:
        as_rank(options.attacks[0], Path(options.rank), names)
        return
    attacks = [in_two_processes(name, names) for name in options.attacks or PARALLEL]
    for attack in attacks:
        print(f"| {attack.name} | {attack.tries} | {len(attack.failures)} |")
        for failure in attack.failures:
            print(f"  {failure}", file=sys.stderr)


if __name__ == "__main__":
    main()
