"""Memory that CUDA's libraries take besides the operands of an operator."""

import os
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MIB = 2**20
FEW_CHANNELS = 4  # up to which cuDNN has kernels that read images as they are


def cudnn_workspace(x: Tensor, weight: Tensor, groups: int, *results: Sequence[Tensor]) -> int:
    """Peak bytes that a convolution of cuDNN on tensor cores takes besides its operands: copies in channels_last.

    Tensor cores read channels_last. In any other layout a kernel with a window copies what it reads, and copies back
    what it writes. ``results`` are the operands of each pass: input, weight and output of the forward pass, those of
    the gradient of the input, of the weight. A 1x1 convolution is a matrix product in either layout. Few channels,
    groups, and float32 without TF32, have kernels of their own, which take little. In channels_last nothing is copied.
    """
    cudnn: Any = torch.backends.cudnn
    tensor_cores = x.dtype in (torch.float16, torch.bfloat16) or (
        x.dtype is torch.float32 and cudnn.conv.fp32_precision == "tf32"
    )
    if not tensor_cores or x.dim() != 4 or groups > 1 or x.shape[1] <= FEW_CHANNELS or weight.shape[2:].numel() == 1:
        return 0
    if any(not tensor.is_contiguous() for tensor in (x, weight)):
        return 0
    return max(sum(operand.nbytes for operand in operands) for operands in results)


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
