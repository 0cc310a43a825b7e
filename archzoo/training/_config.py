"""What a run needs beside its recipe: its seed, precision, layout and how a batch is divided."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from archzoo.errors import TrainingError
from archzoo.ranges import check_whole, shown
from archzoo.recipes import Recipe
from archzoo.training._averaging import snapshot_interval
from archzoo.training._distributed import Distributed

Precision = Literal["auto", "float32", "tf32", "bfloat16", "float16"]
SWITCHES: Mapping[str, tuple[bool | None, ...]] = {
    **dict.fromkeys(("sharded", "tensorboard", "compile", "deterministic"), (True, False)),
    **dict.fromkeys(("channels_last", "resident", "cuda_graph"), (True, False, None)),
}
LARGEST_SEED = 2**63 - 1  # that torch.manual_seed takes, without those that it counts from the end


@dataclass(frozen=True)
class RunConfig:
    """What a run needs beside its recipe: settings of the machine rather than of the paper.

    Args:
        seed: The seed of the initialization, the order of images, augmentation and dropout, from 0 to 2**63 - 1.
        precision: The precision of products. The papers' float32 by default, as others change results; "tf32" is
            float32 with products of 10 bits on GPUs that have them; "auto" is bfloat16 where ``prefers_bfloat16`` says
            so, else float32.
        accumulate: The number of parts of each batch that are run one after the other, at most one for each image.
        channels_last: The memory format. None takes channels last where ``prefers_channels_last`` says so.
        workers: Processes that prepare batches beside each process that trains: at most 16 for each core, or 32.
        sharded: FSDP2, which shards the parameters over the processes.
        tensorboard: Whether events for TensorBoard are written.
        resident: Whether the training images live on the device and are augmented there. None where they are small,
            of one size, and the device is an accelerator.
        cuda_graph: Whether forward and backward are replayed from a CUDA graph. None where that is possible: on one
            GPU, for a network that draws no random numbers.
        compile: Whether the network is compiled by torch.compile.
        deterministic: Whether a GPU computes the same bits in every run, at a cost in speed.
    """

    seed: int = 0
    precision: Precision = "float32"
    accumulate: int = 1
    channels_last: bool | None = None
    workers: int = 0
    sharded: bool = False
    tensorboard: bool = False
    resident: bool | None = None
    cuda_graph: bool | None = None
    compile: bool = False
    deterministic: bool = False


def check_config(config: RunConfig, recipe: Recipe, distributed: Distributed) -> None:
    """Raise TrainingError for a config that does not fit the recipe or the processes."""
    check_ranges(config, recipe)
    if config.sharded:
        _check_sharded(recipe, distributed)
    if config.cuda_graph and (reason := why_no_graph(config, distributed)):
        raise TrainingError(f"steps cannot be captured in a CUDA graph: {reason}")
    if config.precision == "tf32" and distributed.device.type != "cuda":
        raise TrainingError(f"tf32 is a precision of NVIDIA's GPUs: on {distributed.device.type}, use float32")
    if config.precision == "float16" and distributed.device.type == "cpu":
        raise TrainingError("float16 needs an accelerator: on the CPU, use bfloat16")


def check_ranges(config: RunConfig, recipe: Recipe) -> None:
    """Raise TrainingError for a number of a config that is out of its range."""
    check_whole("seed", config.seed, 0, LARGEST_SEED, TrainingError)
    check_workers(config.workers)
    check_whole("accumulate", config.accumulate, 1, recipe.batch_size, TrainingError)
    if config.precision not in get_args(Precision):
        precisions = ", ".join(get_args(Precision))
        raise TrainingError(f"precision must be one of {precisions}, not {shown(config.precision)}")
    for name, choices in SWITCHES.items():
        if getattr(config, name) not in choices:
            words = " or ".join(map(str, choices))
            raise TrainingError(f"{name} must be {words}, not {shown(getattr(config, name))}")


def check_workers(workers: int) -> None:
    """Raise TrainingError for more processes than a machine has use for: a mistyped number would fill its memory."""
    check_whole("workers", workers, 0, max(32, 16 * (os.cpu_count() or 1)), TrainingError)


def _check_sharded(recipe: Recipe, distributed: Distributed) -> None:
    if distributed.world_size == 1:
        raise TrainingError("FSDP shards parameters over processes, and there is one: start several with --nproc 2")
    if recipe.ema or snapshot_interval(recipe, 2):
        raise TrainingError("FSDP cannot train with averaged weights or snapshots: set ema=0 and another schedule")


def why_no_graph(config: RunConfig, distributed: Distributed) -> str | None:
    """Why a run's steps cannot be captured in a CUDA graph, as far as is known before the first; None where they may.

    A network that draws random numbers is found out by its first step.
    """
    if distributed.device.type != "cuda":
        return f"the device is {distributed.device.type}"
    if distributed.world_size > 1:
        return "gradients are exchanged between processes"
    if config.accumulate > 1:
        return "a batch runs in parts"
    if config.precision == "float16":
        return "float16 scales the loss by what the steps before gave"
    if config.compile:
        return "torch.compile captures its own"
    return None
