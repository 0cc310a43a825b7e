"""What a run needs beside its recipe: its seed, precision, layout and how a batch is divided."""

from dataclasses import dataclass
from typing import Literal

from archzoo.errors import TrainingError
from archzoo.recipes import Recipe
from archzoo.training._averaging import snapshot_interval
from archzoo.training._distributed import Distributed

Precision = Literal["auto", "float32", "tf32", "bfloat16", "float16"]


@dataclass(frozen=True)
class RunConfig:
    """What a run needs beside its recipe: settings of the machine rather than of the paper.

    Args:
        seed: The seed of the initialization, the order of images, augmentation and dropout.
        precision: The precision of products. The papers' float32 by default, as others change results; "tf32" is
            float32 with products of 10 bits on GPUs that have them; "auto" is bfloat16 where ``prefers_bfloat16`` says
            so, else float32.
        accumulate: The number of parts of each batch that are run one after the other.
        channels_last: The memory format. None takes channels last where ``prefers_channels_last`` says so.
        workers: Processes that prepare batches beside each process that trains.
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
    if config.accumulate < 1 or config.workers < 0:
        raise TrainingError(
            f"accumulate must be at least 1 and workers at least 0, not {config.accumulate} and {config.workers}"
        )
    if config.sharded and distributed.world_size == 1:
        raise TrainingError("FSDP shards parameters over processes, and there is one: start several with --nproc 2")
    if config.sharded and (recipe.ema or snapshot_interval(recipe, 2)):
        raise TrainingError("FSDP cannot train with averaged weights or snapshots: set ema=0 and another schedule")
    if config.cuda_graph and (reason := why_no_graph(config, distributed)):
        raise TrainingError(f"steps cannot be captured in a CUDA graph: {reason}")
    if config.precision == "tf32" and distributed.device.type != "cuda":
        raise TrainingError(f"tf32 is a precision of NVIDIA's GPUs: on {distributed.device.type}, use float32")
    if config.precision == "float16" and distributed.device.type == "cpu":
        raise TrainingError("float16 needs an accelerator: on the CPU, use bfloat16")


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
