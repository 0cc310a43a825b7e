"""What the last bits of a run depend on beside its description: processes, threads, device, versions."""

from typing import Any

import torch

from archzoo.training._distributed import Distributed


def describe_machine(distributed: Distributed) -> dict[str, Any]:
    """What may change the order in which numbers are added up, in plain types."""
    device = distributed.device
    on_cpu = device.type == "cpu"
    return {
        "processes": distributed.world_size,
        "threads": torch.get_num_threads() if on_cpu else None,
        "device": device.type if on_cpu else _name(device),
        "instructions": torch.backends.cpu.get_cpu_capability() if on_cpu else None,
        "torch": str(torch.__version__),
    }


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def describe_differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two machines, in words; nothing where they give the same bits."""
    different = [f"{name} {before.get(name)}, here {value}" for name, value in now.items() if before.get(name) != value]
    return ", ".join(different)
