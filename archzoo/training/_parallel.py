"""A network over several processes: wrapped by DDP or FSDP2, and its state dicts in full."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
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
        _shard(net, distributed)
        return net
    devices = [distributed.device.index] if distributed.device.type == "cuda" else None
    return DistributedDataParallel(net, device_ids=devices, find_unused_parameters=skips_modules(net))


def _shard(net: Net, distributed: Distributed) -> None:
    """Shard the parameters: those of each part of the features by themselves, where all are called one by one.

    FSDP gathers the parameters of a module when it is called. Modules of which only the insides are called, such as the
    blocks of a FractalNet, would never be gathered: their parameters are gathered with the whole network.
    """
    from torch.distributed.fsdp import fully_shard

    # Nothing here changes logits in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = distributed.mesh()
    for part in net.features.children() if type(net.features).forward is nn.Sequential.forward else ():
        if any(parameter.requires_grad for parameter in part.parameters()):
            fully_shard(part, mesh=mesh)
    fully_shard(net, mesh=mesh)


def unwrap(parallel: nn.Module) -> nn.Module:
    """The network inside its wrapper."""
    return parallel.module if isinstance(parallel, DistributedDataParallel) else parallel


def state_dicts(parallel: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """The full state dicts of a network and its optimizer, also where they are sharded. All processes take part."""
    return full_state(unwrap(parallel)), _full(optimizer.state_dict())


def full_state(net: nn.Module) -> dict[str, Any]:
    """The full state dict of a network, also where it is sharded. All processes take part."""
    state: dict[str, Any] = _full(net.state_dict())
    return state


def _full(value: Any) -> Any:
    """A state dict with every sharded tensor in full, on the CPU; other tensors as they are."""
    if isinstance(value, dict):
        return {name: _full(item) for name, item in value.items()}
    return value.full_tensor().cpu() if hasattr(value, "full_tensor") else value


def local_part(tensor: Tensor) -> Tensor:
    """What this process has of a tensor that may be sharded."""
    part: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def load_state_dicts(
    parallel: nn.Module, optimizer: torch.optim.Optimizer, net_state: dict[str, Any], optimizer_state: dict[str, Any]
) -> None:
    """Load what ``state_dicts`` returned, in any number of processes: each takes its shards, and none waits."""
    load_net(unwrap(parallel), net_state)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    sharded = {
        number: {name: _like(value, parameters[number]) for name, value in values.items()}
        for number, values in optimizer_state["state"].items()
    }
    optimizer.load_state_dict({**optimizer_state, "state": sharded})


def load_net(net: nn.Module, state: dict[str, Any]) -> None:
    """Load a full state dict, also into a network that is sharded."""
    own = net.state_dict()
    net.load_state_dict({name: _like(value, own.get(name)) for name, value in state.items()})


def _like(value: Any, tensor: Any) -> Any:
    """A full tensor, sharded as another one of its shape is; anything else as it is."""
    if not hasattr(tensor, "full_tensor") or not isinstance(value, Tensor) or value.shape != tensor.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = tensor.device_mesh, tensor.placements
    return distribute_tensor(value.to(tensor.device), mesh, placements, src_data_rank=None)


def gradient_sync(parallel: nn.Module, config: RunConfig, *, enabled: bool) -> AbstractContextManager[Any]:
    """A context in which the backward pass averages gradients over the processes, or keeps those of each process."""
    if isinstance(parallel, DistributedDataParallel):
        return nullcontext() if enabled else parallel.no_sync()
    if config.sharded:
        parallel.set_requires_gradient_sync(enabled)  # type: ignore[operator]
    return nullcontext()
