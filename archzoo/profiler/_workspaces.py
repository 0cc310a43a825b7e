"""Memory that libraries take besides the operands of an operator."""

import os
import re
from collections.abc import Sequence

import torch
from torch import Tensor

MIB = 2**20
FEW_CHANNELS = 4  # up to which cuDNN has kernels that read images as they are


def onednn_workspace(out: Tensor, x: Tensor, weight: Tensor, *rest: object) -> int:
    """Peak bytes that a convolution of oneDNN allocates besides its operands: copies in blocks of 16 channels.

    It reads copies of maps and weights and writes a blocked result, which it copies back once the first two are freed.
    Maps in channels_last need no copy, nor do fewer than 16 maps under windows larger than 1x1.
    """
    groups = rest[-1]
    if x.dim() != 4 or not x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return 0
    plain = x.shape[1] < 16 and groups == 1 and weight.shape[2:].numel() > 1
    result = _blocked(out, 1)
    read = (0 if plain else _blocked(x, 1)) + (_blocked(weight, 0) if groups == 1 else _bytes(weight))
    return result + max(read, _bytes(out))


def _blocked(tensor: Tensor, dim: int) -> int:
    """Bytes of a copy whose channels are rounded up to a multiple of 16."""
    channels = tensor.shape[dim]
    return tensor.numel() // channels * (-(-channels // 16) * 16) * tensor.itemsize


def cudnn_workspace(x: Tensor, weight: Tensor, groups: int, *results: Sequence[Tensor]) -> int:
    """Peak bytes that a convolution of cuDNN on tensor cores takes besides its operands: copies in channels_last.

    Tensor cores read channels_last. In any other layout a kernel with a window copies what it reads, and copies back
    what it writes. ``results`` are the operands of each pass: input, weight and output of the forward pass, those of
    the gradient of the input, of the weight. A 1x1 convolution is a matrix product in either layout. Few channels,
    groups, and float32 without TF32, have kernels of their own, which take little. In channels_last nothing is copied.
    """
    tensor_cores = x.dtype in (torch.float16, torch.bfloat16) or (
        x.dtype is torch.float32 and torch.backends.cudnn.allow_tf32
    )
    if not tensor_cores or x.dim() != 4 or groups > 1 or x.shape[1] <= FEW_CHANNELS or weight.shape[2:].numel() == 1:
        return 0
    if any(not tensor.is_contiguous() for tensor in (x, weight)):
        return 0
    return max(sum(map(_bytes, operands)) for operands in results)


def cublas_workspace() -> int:
    """Bytes that PyTorch hands to cuBLAS at the first matrix product, and never takes back.

    From the variable CUBLAS_WORKSPACE_CONFIG, or PyTorch's default: 32 MiB on a GPU of compute capability 9 or more,
    8.125 MiB on others (aten/src/ATen/cuda/CublasHandlePool.cpp). Where there is no GPU, 32 MiB.
    """
    buffers = re.findall(r":(\d+):(\d+)", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""))
    if buffers:
        return 1024 * sum(int(kib) * int(count) for kib, count in buffers)
    has_gpu = hasattr(torch._C, "_cuda_getDeviceCount") and torch.cuda.is_available()
    old = has_gpu and torch.cuda.get_device_capability()[0] < 9
    return 1024 * (2 * 4096 + 8 * 16) if old else 32 * MIB


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize
