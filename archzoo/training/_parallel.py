"""A network over several processes: wrapped by DDP or FSDP2, and its state dicts in full."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from archzoo.layers import Net
from archzoo.profiler import skips_modules
from archzoo.training._config import RunConfig
from archzoo.training._distributed import Distributed


def parallelize(net: Net, config: RunConfig, distributed: Distributed) -> nn.Module:
    """The network as training calls it: unchanged in one process, wrapped by DDP or FSDP2 in several."""
    if distributed.world_size == 1:
        return net
    if config.sharded:
        from torch.distributed.fsdp import fully_shard

        for part in net.features.children():
            if any(parameter.requires_grad for parameter in part.parameters()):
                fully_shard(part)
        fully_shard(net)
        return net
    devices = [distributed.device.index] if distributed.device.type == "cuda" else None
    return DistributedDataParallel(net, device_ids=devices, find_unused_parameters=skips_modules(net))


def unwrap(parallel: nn.Module) -> nn.Module:
    """The network inside its wrapper."""
    return parallel.module if isinstance(parallel, DistributedDataParallel) else parallel


def state_dicts(
    parallel: nn.Module, optimizer: torch.optim.Optimizer, config: RunConfig
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The full state dicts of a network and its optimizer, also where they are sharded. All processes take part."""
    if not config.sharded:
        return unwrap(parallel).state_dict(), optimizer.state_dict()
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    return get_state_dict(parallel, optimizer, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def load_state_dicts(
    parallel: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: RunConfig,
    net_state: dict[str, Any],
    optimizer_state: dict[str, Any],
) -> None:
    """Load what ``state_dicts`` returned. All processes take part."""
    if not config.sharded:
        unwrap(parallel).load_state_dict(net_state)
        optimizer.load_state_dict(optimizer_state)
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    set_state_dict(
        parallel,
        optimizer,
        model_state_dict=net_state,
        optim_state_dict=optimizer_state,
        options=StateDictOptions(full_state_dict=True, cpu_offload=True),
    )


def gradient_sync(parallel: nn.Module, config: RunConfig, *, enabled: bool) -> AbstractContextManager[Any]:
    """A context in which the backward pass averages gradients over the processes, or keeps those of each process."""
    if isinstance(parallel, DistributedDataParallel):
        return nullcontext() if enabled else parallel.no_sync()
    if config.sharded:
        parallel.set_requires_gradient_sync(enabled)  # type: ignore[operator]
    return nullcontext()
