"""Precision and memory format of a run: what was asked for, or what is faster on the device."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from archzoo.training._config import Precision, RunConfig


def prefers_bfloat16(device: torch.device) -> bool:
    """Whether training with bfloat16 products is faster: where the device multiplies it natively.

    On a CPU with such instructions steps took 0.3 to 0.9 of the time, except for ShuffleNet
    (``benchmarks/layout.py``); without them the conversion costs more than is gained.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older releases
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def prefers_channels_last(device: torch.device, precision: Precision) -> bool:
    """Whether training in channels last is faster: on a CPU, and on a GPU where products are in half precision.

    On the CPU steps took 0.5 to 1.0 of the time, up to 1.1 for a few networks (``benchmarks/layout.py``).
    NVIDIA's tensor cores read half precision in that order; other layouts are transposed for them.
    """
    return device.type == "cpu" or precision != "float32"


def resolve(config: RunConfig, device: torch.device) -> RunConfig:
    """The config with a precision in place of "auto" and a memory format in place of None."""
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if prefers_bfloat16(device) else "float32"
    channels_last = config.channels_last
    if channels_last is None:
        channels_last = prefers_channels_last(device, precision)
    return replace(config, precision=precision, channels_last=channels_last)


def autocast(config: RunConfig, device: torch.device, *, cache: bool = True) -> AbstractContextManager[Any]:
    """A context in which products have the precision of a resolved config.

    ``cache`` keeps the casts of weights from one use to the next.
    """
    if config.precision in ("float32", "tf32"):
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, config.precision), cache_enabled=cache)


@contextmanager
def gpu_kernels(config: RunConfig, device: torch.device) -> Iterator[None]:
    """A context with the GPU kernels of a config: its precision of float32, the fastest ones or deterministic ones."""
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    float32 = "tf32" if config.precision == "tf32" else "ieee"
    holders: list[tuple[Any, str, Any]] = [
        (cudnn, "benchmark", not config.deterministic),
        (cudnn, "deterministic", config.deterministic),
        (cudnn.conv, "fp32_precision", float32),
        (torch.backends.cuda.matmul, "fp32_precision", float32),
    ]
    before = [getattr(holder, name) for holder, name, _ in holders]
    for holder, name, value in holders:
        setattr(holder, name, value)
    try:
        yield
    finally:
        for (holder, name, _), value in zip(holders, before, strict=True):
            setattr(holder, name, value)
