"""What a run needs beside its recipe: its seed, precision, layout and how a batch is divided."""

from dataclasses import dataclass
from typing import Literal

from archzoo.errors import TrainingError
from archzoo.recipes import Recipe
from archzoo.training._averaging import snapshot_interval
from archzoo.training._distributed import Distributed

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class RunConfig:
    """What a run needs beside its recipe: settings of the machine rather than of the paper.

    Args:
        seed: The seed of the initialization, the order of images, augmentation and dropout.
        precision: The precision of products. The papers' float32 by default, as others change results; "auto" is
            bfloat16 where ``prefers_bfloat16`` says so, else float32.
        accumulate: The number of parts of each batch that are run one after the other.
        channels_last: The memory format. None takes channels last where ``prefers_channels_last`` says so.
        workers: Processes that prepare batches beside each process that trains.
        sharded: FSDP2, which shards the parameters over the processes.
        tensorboard: Whether events for TensorBoard are written.
    """

    seed: int = 0
    precision: Precision = "float32"
    accumulate: int = 1
    channels_last: bool | None = None
    workers: int = 0
    sharded: bool = False
    tensorboard: bool = False


def check_config(config: RunConfig, recipe: Recipe, distributed: Distributed) -> None:
    """Raise TrainingError for a config that does not fit the recipe or the processes."""
    if config.accumulate < 1 or config.workers < 0:
        raise TrainingError(
            f"accumulate must be at least 1 and workers at least 0, not {config.accumulate} and {config.workers}"
        )
    if config.sharded and distributed.world_size == 1:
        raise TrainingError("FSDP shards parameters over processes, and there is one: start several with --nproc 2")
    if config.sharded and (recipe.ema or snapshot_interval(recipe, 2)):
        raise TrainingError("FSDP cannot train with averaged weights or snapshots: set ema=0 and another schedule")
    if config.precision == "float16" and distributed.device.type == "cpu":
        raise TrainingError("float16 needs an accelerator: on the CPU, use bfloat16")
