"""Memory that a convolution on the CPU takes besides its operands.

oneDNN computes on copies of maps and weights in blocks of channels. Its result is in blocks, too: PyTorch copies it
once the first copies are freed (aten/src/ATen/native/mkldnn/Conv.cpp). What has no kernel for blocks is a matrix
product of columns. So it is in PyTorch's own kernels, which run for few small images and in float64.

The rules are those of oneDNN's kernels for AVX2, as PyTorch's allocator records them, and of AVX-512, where blocks are
twice as large. Left out are buffers of a few KiB a thread.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._prims_common import suggest_memory_format

from archzoo.profiler._slow_kernels import OF_ONE_IMAGE, slow_kernel
from archzoo.profiler._thread_sums import pointwise_sums, window_sums

aten = torch.ops.aten
CHANNELS_LAST = (torch.channels_last, torch.channels_last_3d)
BUFFER = 4096  # bytes, of kernels that multiply blocks of matrices: one, and one more for each thread


class CpuConvolution:
    """The peaks of one convolution on the CPU, in bytes.

    All are seen from a plain convolution: ``maps`` are what it reads, ``out`` what it returns. A transposed one has
    these two swapped.
    """

    def __init__(
        self,
        x: Tensor,
        weight: Tensor,
        out: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        transposed: bool,
        output_padding: Sequence[int],
        groups: int,
    ) -> None:
        self.maps, self.out = (out, x) if transposed else (x, out)
        self.weight, self.groups = weight, groups
        self.is_strided, self.is_dilated, self.is_transposed = max(stride) > 1, max(dilation) > 1, transposed
        self.is_pointwise = prod(weight.shape[2:]) == 1
        self.slow = slow_kernel(x, weight, stride, padding, dilation, transposed, output_padding, groups)
        self.avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
        self.block = 16 if self.avx512 else 8
        self.threads = torch.get_num_threads()
        reads_last = bool({suggest_memory_format(x), suggest_memory_format(weight)} & {*CHANNELS_LAST})
        self.last = reads_last and not self.slow
        last = CHANNELS_LAST[x.dim() == 5]
        self.orders = {last if reads_last else torch.contiguous_format}
        if self.slow not in (None, "Slow2d"):  # the other kernels of PyTorch take both
            self.orders = {torch.contiguous_format, last} if x.dim() > 3 else {torch.contiguous_format}
        unfolds = not self.is_pointwise or (self.is_strided and self.slow is not None)
        depth = self.out.shape[2] if self.out.dim() == 5 and not self.slow else 1  # which oneDNN unfolds one by one
        channel = prod(self.out.shape[2:]) // depth * x.itemsize  # of one image
        self.columns = self.maps.shape[1] // groups * prod(weight.shape[2:]) * channel * unfolds
        self.gathered = 0  # positions of an image, where a window of 1x1 skips others
        if self.is_pointwise and self.is_strided:
            self.gathered = self.threads * self.maps.shape[1] * channel

    @property
    def buffers(self) -> int:
        """What kernels that multiply blocks of matrices take."""
        return 0 if self.is_depthwise else BUFFER * (1 + self.threads)

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel has a window of its own."""
        return self.groups == self.maps.shape[1] == self.out.shape[1] > 1

    @property
    def is_blocked(self) -> bool:
        """Whether oneDNN has a kernel for blocks: without groups, channels are padded."""
        channels = self.maps.shape[1] // self.groups, self.out.shape[1] // self.groups
        lanes = 4 if self.avx512 else self.block
        return self.groups == 1 or self.is_depthwise or not any(count % lanes for count in channels)

    def copies(self, *operands: Tensor) -> int:
        """Copies of operands that are in no order, or in another one than the convolution computes in."""
        ordered = [any(tensor.is_contiguous(memory_format=order) for order in self.orders) for tensor in operands]
        return sum(tensor.nbytes for tensor, is_ordered in zip(operands, ordered, strict=True) if not is_ordered)

    def of_maps(self, maps: Tensor) -> int:
        """Maps in blocks."""
        return _rounded(maps, self.block, 1)

    def of_weight(self, *dims: int) -> int:
        """The weight in blocks along these dimensions: of the output's channels, of the input's."""
        return _rounded(self.weight, self.block, *(dims if self.groups == 1 else (0,) * self.is_depthwise))

    def forward(self) -> int:
        """The peak of computing ``out``, which is part of it."""
        out, read = self.out.nbytes, self.maps.nbytes
        if self.slow:
            images = 1 if self.slow in OF_ONE_IMAGE else self.maps.shape[0]
            parts = read // self.groups if self.groups > 1 else 0
            return max(out + parts + images * self.columns, out * (1 + (self.groups > 1)))
        if self.last:
            return out + self.of_weight(0) + self.buffers
        if not self.is_blocked:
            return out + max(self.threads * self.columns, out)
        is_plain = self.groups == 1 and not self.is_pointwise and self.maps.shape[1] < self.block
        copied = self.of_weight(0) if is_plain else self.of_maps(self.maps) + self.of_weight(0, 1)
        return self.of_maps(self.out) + max(copied + self.gathered, out)

    def gradient(self) -> int:
        """The peak of computing the gradient of ``maps``, which is part of it."""
        maps, grad = self.maps.nbytes, self.out.nbytes
        if self.slow:
            images = self.maps.shape[0] if self.slow == "Slow3d" else self.slow in OF_ONE_IMAGE
            columns = images * self.columns
            parts = (maps + grad) // self.groups if self.groups > 1 else 0
            return max(maps + parts + columns, maps * (1 + (self.groups > 1)))
        strided = 3 * BUFFER + self.threads * (grad // self.out.shape[0]) * self.is_strided  # an image for each thread
        if self.last:
            return maps + self.of_weight(1) + (strided if self.is_strided else self.buffers)
        if not self.is_blocked:
            return maps + max(self.threads * self.columns, maps)
        if (self.is_strided or self.is_transposed) and not self.is_depthwise and not self.avx512:
            # In channels_last: what PyTorch copies is not in its order yet, and is copied once more.
            return maps + max(grad + self.of_weight(1) + strided, 2 * maps)
        return self.of_maps(self.maps) + max(self.of_maps(self.out) + self.of_weight(0, 1), maps)

    def weight_gradient(self) -> int:
        """The peak of computing the gradient of the weight, which is part of it."""
        weight = self.weight.nbytes
        if self.slow:
            images = 1 if self.slow in OF_ONE_IMAGE else self.maps.shape[0]
            parts = (self.maps.nbytes + self.out.nbytes) // self.groups if self.groups > 1 else 0
            return weight + max(parts + images * self.columns, weight * (self.groups > 1))
        sums = self.sums()
        if self.last:  # a copy in order, and another one in channels_last
            return self.of_weight(0, 1) + max(self.gathered + sums, 2 * weight)
        unblocked = (self.is_dilated or self.maps.dim() == 5) and not self.avx512
        if not self.is_blocked or unblocked:
            return weight + max(self.threads * (self.columns + 4 * weight), weight)
        is_plain = self.groups == 1 and not self.is_pointwise
        is_plain &= self.maps.shape[1] < self.block if self.avx512 else self.maps.shape[1] == 3
        result = self.of_weight(0) if is_plain else self.of_weight(0, 1)
        read = self.of_maps(self.out) + (0 if is_plain else self.of_maps(self.maps))
        return result + max(read + self.gathered + sums, weight)

    def sums(self) -> int:
        """Partial sums of the gradient of the weight, where threads share the batch."""
        if self.groups > 1 or self.threads == 1 or self.avx512 or (self.last and not self.is_pointwise):
            return 0
        out, maps = (-(-tensor.shape[1] // self.block) for tensor in (self.out, self.maps))
        block = self.of_weight(0) // out if self.maps.shape[1] == 3 else self.of_weight(0, 1) // (out * maps)
        images = self.out.shape[0]
        if self.is_pointwise:
            return pointwise_sums((out, maps), block, images * prod(self.out.shape[2:]), self.threads, BUFFER)
        return window_sums((out, maps), block, images, self.threads, BUFFER)


def convolution_peaks(operator: Any, args: Any, out: Any) -> Iterator[tuple[int, Tensor]]:
    """What a convolution, or its backward pass, allocates on the CPU, step by step: the peak, and what stays of it.

    ``out`` is what the operator returns. Nothing for other operators.
    """
    if operator is aten.convolution.default:
        x, weight, _, *geometry = args
        if out.numel():
            conv = CpuConvolution(x, weight, out, *geometry)
            transposed = geometry[3]
            yield conv.copies(x, weight) + (conv.gradient() if transposed else conv.forward()), out
    elif operator is aten.convolution_backward.default:
        grad, x, weight, _, *geometry, _ = args
        if grad.numel():
            conv = CpuConvolution(x, weight, grad, *geometry)
            transposed, copies = geometry[3], conv.copies(grad, x, weight)
            if out[0] is not None:
                yield copies + (conv.forward() if transposed else conv.gradient()), out[0]
            if out[1] is not None:
                yield copies + conv.weight_gradient(), out[1]


def _rounded(tensor: Tensor, block: int, *dims: int) -> int:
    """Bytes of a copy whose dimensions are rounded up to a multiple of ``block``."""
    shape = list(tensor.shape)
    for dim in dims:
        shape[dim] = -(-shape[dim] // block) * block
    return prod(shape) * tensor.itemsize
