"""What a machine makes of a recipe: a network wrapped for its processes, its optimizer, its precision."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archzoo.errors import TrainingError
from archzoo.layers import Net
from archzoo.training.distributed import Distributed
from archzoo.training.evaluation import protocol_of
from archzoo.training.recipes import Recipe, options_of
from archzoo.training.regularization import decayed
from archzoo.training.schedules import Cosine

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class RunConfig:
    """What a run needs beside its recipe, of the machine more than of the paper.

    ``accumulate`` splits each batch into so many parts that are run one after the other. ``workers`` prepare batches
    beside the training. ``sharded`` is FSDP2, which shares the parameters out among the processes. ``channels_last`` is
    the layout of maps; None takes it where ``channels_last_wins``. ``precision`` is the papers' float32 unless another
    is asked for, as it changes results; "auto" is bfloat16 where ``bfloat16_wins``, else float32.
    """

    seed: int = 0
    precision: Precision = "float32"
    accumulate: int = 1
    channels_last: bool | None = None
    workers: int = 0
    sharded: bool = False
    tensorboard: bool = False


def bfloat16_wins(device: torch.device) -> bool:
    """Whether training with bfloat16 products is faster: where the machine multiplies it by itself.

    On a CPU with such instructions steps took 0.3 to 0.9 of the time, ShuffleNet's apart (``benchmarks/layout.py``);
    without them conversion costs more than is gained.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases cannot tell
    return bool(told.get("avx512_bf16") or told.get("amx_bf16"))


def channels_last_wins(device: torch.device, precision: Precision) -> bool:
    """Whether training with channels last is faster: on a CPU, and on a GPU where products are in half precision.

    On the CPU steps took 0.5 to 1.0 of the time, up to 1.1 for a few (``benchmarks/layout.py``).
    NVIDIA's tensor cores read half precision in that order, and other layouts are turned around for them.
    """
    return device.type == "cpu" or precision != "float32"


def resolved(settings: RunConfig, device: torch.device) -> RunConfig:
    """The settings with a precision and a layout in the place of "auto" and None."""
    precision = settings.precision
    if precision == "auto":
        precision = "bfloat16" if bfloat16_wins(device) else "float32"
    last = settings.channels_last
    return replace(
        settings, precision=precision, channels_last=channels_last_wins(device, precision) if last is None else last
    )


def check(recipe: Recipe, settings: RunConfig, processes: Distributed) -> None:
    """Raise TrainingError for what does not go together, DataError for an unknown protocol."""
    protocol_of(recipe.protocol)
    if settings.accumulate < 1 or settings.workers < 0:
        raise TrainingError(
            f"accumulate must be at least 1 and workers 0, not {settings.accumulate}, {settings.workers}"
        )
    if settings.sharded and processes.world == 1:
        raise TrainingError("FSDP shares parameters out among processes, and there is one: start several, --nproc 2")
    if settings.sharded and (recipe.ema or cycle_of(recipe, 2)):
        raise TrainingError("averaged weights and snapshots are of whole networks, which FSDP does not have: ema=0")
    if settings.precision == "float16" and processes.device.type == "cpu":
        raise TrainingError("float16 needs an accelerator: on the CPU, bfloat16 is the half precision that trains")


def wrapped(net: Net, settings: RunConfig, processes: Distributed) -> nn.Module:
    """The network as it is called in training: itself, or shared with the other processes by DDP or FSDP2."""
    if processes.world == 1:
        return net
    if settings.sharded:
        from torch.distributed.fsdp import fully_shard

        for part in net.features.children():
            if any(parameter.requires_grad for parameter in part.parameters()):
                fully_shard(part)
        fully_shard(net)
        return net
    devices = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(net, device_ids=devices, find_unused_parameters=leaves_out_parts(net))


def leaves_out_parts(net: nn.Module) -> bool:
    """Whether a network may not run all of its parts in a step: stochastic depth, drop-path."""
    return any(hasattr(module, "survival") or hasattr(module, "drop_path") for module in net.modules())


def optimizer_of(net: Net, recipe: Recipe, groups: Sequence[dict[str, Any]] | None) -> torch.optim.Optimizer:
    """torch.optim's optimizer of the recipe's name. Every group keeps its first rate, which the schedule scales."""
    kinds = {name.lower(): kind for name, kind in vars(torch.optim).items() if isinstance(kind, type)}
    if recipe.optimizer not in kinds:
        known = sorted(name for name in kinds if name != "optimizer")
        raise TrainingError(f"torch.optim has no {recipe.optimizer!r}; it has {', '.join(known)}")
    options = options_of(recipe)
    if groups is None:
        with_decay, without = decayed(net, recipe.decay_scope)
        groups = [{"params": with_decay}, *([{"params": without, "weight_decay": 0.0}] if without else [])]
    if not any(group["params"] for group in groups):
        raise TrainingError("nothing learns: every parameter of the network is frozen")
    whole = [{**group, "first_lr": group.get("lr", recipe.lr)} for group in groups]
    optimizer: torch.optim.Optimizer = kinds[recipe.optimizer](whole, **options)
    return optimizer


def averaged_over(net: Net, decay: float) -> AveragedModel:
    """A copy whose parameters are an exponential moving average of the network's; its buffers are the network's."""
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def cycle_of(recipe: Recipe, iterations: int) -> int:
    """How many iterations a snapshot ensemble takes for each of its members; 0 where there is none."""
    restarts = recipe.schedule.restarts if isinstance(recipe.schedule, Cosine) else 1
    return math.ceil(iterations / restarts) if restarts > 1 else 0


def states(wrapped: nn.Module, optimizer: torch.optim.Optimizer, settings: RunConfig) -> tuple[dict[str, Any], Any]:
    """State dicts of the network and its optimizer, whole also where they are shared out. All processes take part."""
    if not settings.sharded:
        return itself(wrapped).state_dict(), optimizer.state_dict()
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_state_dict(wrapped, optimizer, options=whole)


def load_states(
    wrapped: nn.Module, optimizer: torch.optim.Optimizer, settings: RunConfig, net: dict[str, Any], told: dict[str, Any]
) -> None:
    """Load what ``states`` gave, of the network and of the optimizer."""
    if not settings.sharded:
        itself(wrapped).load_state_dict(net)
        optimizer.load_state_dict(told)
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    set_state_dict(wrapped, optimizer, model_state_dict=net, optim_state_dict=told, options=whole)


def itself(wrapped: nn.Module) -> nn.Module:
    """The network within its wrapping."""
    return wrapped.module if isinstance(wrapped, DistributedDataParallel) else wrapped


def precise(settings: RunConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Where multiplications have the precision of the settings."""
    if settings.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, settings.precision))


def unsynced(wrapped: nn.Module, settings: RunConfig, wanted: bool) -> AbstractContextManager[Any]:
    """Where gradients are not exchanged, if wanted: that is done once a batch, with its last part."""
    if isinstance(wrapped, DistributedDataParallel):
        return wrapped.no_sync() if wanted else nullcontext()
    if settings.sharded:
        wrapped.set_requires_gradient_sync(not wanted)  # type: ignore[operator]
    return nullcontext()
