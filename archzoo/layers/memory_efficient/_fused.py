"""Batch normalization followed by ReLU in a single pass over the maps, and its gradients: by Triton, on CUDA.

PyTorch's kernels read and write fp32 copies of bf16 maps here, and take several passes. These take one each, and read
the first maps of a block where they are. Without triton, or on another device, ``supports`` is false.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

CHANNELS = 64  # of a tile: two cache lines of bfloat16 maps
ROWS = 32
PROGRAMS = (
    512  # that reduce: about four for each multiprocessor of the largest GPUs, which is all that its registers hold
)
FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


@lru_cache
def has_triton() -> bool:
    """Whether triton is installed, which comes with PyTorch for CUDA on Linux."""
    return find_spec("triton") is not None


def supports(maps: Tensor) -> bool:
    """Whether these kernels compute on maps (N, C, H, W): on CUDA, where triton is installed.

    Meta tensors that stand for CUDA's need no triton.
    """
    if maps.device.type != "cuda" or maps.dtype not in FLOATS or maps.dim() != 4:
        return False
    memory = maps.untyped_storage().device.type
    return memory == "meta" or (memory == "cuda" and has_triton())


def kernels() -> ModuleType:
    """The module of the kernels, which imports triton."""
    from archzoo.layers.memory_efficient import _kernels

    return _kernels


def pixel_stride(maps: Tensor) -> int | None:
    """The elements from one pixel to the next, or None where maps (N, C, H, W) are no rows of pixels."""
    batch, channels, *sides = maps.shape
    if channels > 1 and maps.stride(1) != 1:
        return None
    stride, expected = channels, None
    for side, step in zip((*reversed(sides), batch), (maps.stride(3), maps.stride(2), maps.stride(0)), strict=True):
        if side > 1:
            if expected is not None and step != expected:
                return None
            stride = step if expected is None else stride
            expected = step * side
    return stride if stride >= channels else None


def as_rows(maps: Tensor) -> tuple[Tensor, int]:
    """Maps as rows of pixels, copied only where they are not, and the stride of these."""
    stride = pixel_stride(maps)
    if stride is None:
        maps = maps.contiguous(memory_format=torch.channels_last)
        stride = maps.shape[1]
    return maps, stride


def dense_rows(maps: Tensor) -> Tensor:
    """Maps as contiguous rows of pixels, copied only where they are not."""
    if pixel_stride(maps) == maps.shape[1]:
        return maps
    return maps.contiguous(memory_format=torch.channels_last)


def empty_rows(maps: Tensor, dtype: torch.dtype) -> Tensor:
    """Room for maps of this size in contiguous rows of pixels."""
    return torch.empty(maps.shape, dtype=dtype, device=maps.device, memory_format=torch.channels_last)


def launch(name: str, grid: tuple[int, ...], maps: Tensor, *arguments: Any, **settings: Any) -> None:
    """Run a kernel over ``maps`` and other arguments, unless they are meta tensors, which have no values."""
    memory = maps.untyped_storage().device
    if memory.type == "meta":
        return
    kernel: Callable[..., Any] = getattr(kernels(), name)[grid]
    with torch.cuda.device(memory) if memory.type == "cuda" else nullcontext():  # Triton launches on the current one
        kernel(*arguments, **{"CHANNELS": CHANNELS, **settings})


def tiles(maps: Tensor) -> tuple[int, int]:
    """The grid that covers maps once."""
    pixels, channels = maps.numel() // maps.shape[1], maps.shape[1]
    return -(-pixels // ROWS), -(-channels // CHANNELS)


def batch_norm_relu(
    maps: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, inverse_std: Tensor, dtype: torch.dtype
) -> Tensor:
    """Batch normalization and ReLU of maps (N, C, H, W), rounded once, to ``dtype``."""
    maps, stride = as_rows(maps)
    out = empty_rows(maps, dtype)
    pixels, channels = maps.numel() // maps.shape[1], maps.shape[1]
    operands = (maps, stride, gamma, beta, mean, inverse_std, out, pixels, channels)
    launch("normalize", tiles(maps), maps, *operands, ROWS=ROWS)
    return out


def add_gradient(
    grad: Tensor,
    maps: Tensor,
    norm: tuple[Tensor, Tensor, Tensor, Tensor],
    before: Tensor | None,
    total: Tensor | None,
    sums: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    """The gradients of gamma and beta, in the dtype of the statistics, from ``grad``, that of the ReLU's output.

    Args:
        grad: In contiguous rows of pixels.
        maps: What the batch norm read.
        norm: Its gamma, beta, mean and inverse standard deviation.
        before: Gradient of the maps so far.
        total: Becomes ``before`` and the part of this reader without the gradients of its statistics; None if there is
            nothing to add to.
        sums: ``offset`` and ``slope`` of a GradientSum, to which those are added; None for frozen statistics.
    """
    gamma, _, mean, inverse_std = norm
    maps, stride = as_rows(maps)
    pixels, channels = maps.numel() // maps.shape[1], maps.shape[1]
    columns = -(-channels // CHANNELS)
    programs = max(min(PROGRAMS // columns, -(-pixels // ROWS)), 1)
    program_rows = -(-pixels // (programs * ROWS)) * ROWS
    programs = -(-pixels // program_rows)
    partial = mean.new_empty(programs, 2, channels)
    old, old_stride = as_rows(grad if before is None else before)
    new, new_stride = as_rows(grad if total is None else total)
    operands = (grad, maps, stride, *norm, old, old_stride, new, new_stride, partial, pixels, channels, program_rows)
    launch("reduce", (programs, columns), maps, *operands, ADDS=total is not None, ROWS=ROWS)
    gamma_grad, beta_grad = mean.new_empty(2, channels)
    offset, slope = sums or (gamma_grad, beta_grad)
    results = (partial, programs, gamma, inverse_std, gamma_grad, beta_grad, offset, slope, channels)
    few = (
        CHANNELS // 4
    )  # channels at a time: there is little to read, and the kernel waits for one read after the other
    launch("finish", (-(-channels // few),), maps, *results, ADDS=sums is not None, ROWS=4 * ROWS, CHANNELS=few)
    return gamma_grad, beta_grad


def corrected(total: Tensor, maps: Tensor, mean: Tensor, offset: Tensor, slope: Tensor, count: float) -> Tensor:
    """Total - (offset + slope * (maps - mean)) / count, in contiguous rows of pixels."""
    total, total_stride = as_rows(total)
    maps, stride = as_rows(maps)
    out = empty_rows(maps, total.dtype)
    pixels, channels = maps.numel() // maps.shape[1], maps.shape[1]
    operands = (total, total_stride, maps, stride, mean, offset, slope, out, pixels, channels, float(count))
    launch("correct", tiles(maps), maps, *operands, ROWS=ROWS)
    return out


def norm_relu_backward(
    grad: Tensor, maps: Tensor, norm: tuple[Tensor, Tensor, Tensor, Tensor], *, trains: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of the maps, gamma and beta, from ``grad``, that of the ReLU's output, which is overwritten."""
    grad = dense_rows(grad)
    gamma_grad, beta_grad = add_gradient(grad, maps, norm, None, None, None)
    maps, stride = as_rows(maps)
    out = grad if grad.dtype is maps.dtype else empty_rows(maps, maps.dtype)
    pixels, channels = maps.numel() // maps.shape[1], maps.shape[1]
    count = float(pixels) if trains else float("inf")
    operands = (grad, maps, stride, *norm, gamma_grad, beta_grad, out, pixels, channels, count)
    launch("differentiate", tiles(maps), maps, *operands, ROWS=ROWS)
    return out, gamma_grad, beta_grad
