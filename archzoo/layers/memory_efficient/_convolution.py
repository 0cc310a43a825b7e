"""The gradients of a convolution, by matrix products where these are faster than torch's kernels."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK_ELEMENTS = 2**20  # of the windows that are copied at a time: they fit into the cache and do not raise the peak
FEW_PIXELS = 2**12  # in the batch, up to which a product is faster than torch's gradient of a 1x1 convolution's input


def convolution_backward(
    conv: nn.Conv2d, grad_out: Tensor, inputs: Tensor, weight: Tensor, *, needs_weight_grad: bool
) -> tuple[Tensor, Tensor | None]:
    """The gradients of a convolution's input and, if it is needed, of its weight."""
    products = suits_products(conv, inputs)
    if products and conv.kernel_size == (1, 1) and inputs.numel() <= FEW_PIXELS * inputs.shape[1]:
        rows = pixel_rows(grad_out) @ weight[:, :, 0, 0]
        grad_in = rows.view(-1, *inputs.shape[2:], inputs.shape[1]).permute(0, 3, 1, 2)
        return grad_in, weight_gradient(conv, grad_out, inputs) if needs_weight_grad else None
    settings = (conv.stride, conv.padding, conv.dilation, False, [0, 0], conv.groups)
    mask = [True, needs_weight_grad and not products, False]
    grad_in, weight_grad, _ = torch.ops.aten.convolution_backward(grad_out, inputs, weight, None, *settings, mask)
    if needs_weight_grad and products:
        weight_grad = weight_gradient(conv, grad_out, inputs)
    return grad_in, weight_grad


def suits_products(conv: nn.Conv2d, inputs: Tensor) -> bool:
    """Whether ``weight_gradient`` is correct and faster than torch's: on a CPU, with one group and stride 1."""
    side, padding = conv.kernel_size[0], cast(tuple[int, ...], conv.padding)
    return (
        inputs.device.type == "cpu"
        and inputs.dtype in (torch.float32, torch.float64)
        and conv.kernel_size == (side, side)
        and padding == (padding[0], padding[0])
        and padding[0] < side
        and conv.stride == conv.dilation == (1, 1)
        and conv.groups == 1
    )


def weight_gradient(conv: nn.Conv2d, grad_out: Tensor, inputs: Tensor) -> Tensor:
    """The gradient of a convolution's weight (O, I, side, side), as products of its input with windows of grad_out.

    A dense layer has few output channels and many input channels, so that windows of ``grad_out`` are cheap to copy.
    The products are faster with more rows than columns.
    """
    side, (padding, _) = conv.kernel_size[0], cast(tuple[int, ...], conv.padding)
    if side == 1:
        return (pixel_rows(inputs).t() @ pixel_rows(grad_out)).t()[:, :, None, None]
    border = side - 1 - padding
    pixels = inputs.permute(0, 2, 3, 1)
    padded = F.pad(grad_out.permute(0, 2, 3, 1), (0, 0, border, border, border, border)).contiguous()
    batch, height, width, channels = *pixels.shape[:3], padded.shape[3]
    image_stride, row_stride, pixel_stride, _ = padded.stride()
    windows = padded.as_strided(
        (batch, height, width, side, side * channels), (image_stride, row_stride, pixel_stride, row_stride, 1)
    )
    chunk = max(CHUNK_ELEMENTS // (height * width * side * side * channels), 1)  # images at a time
    total = inputs.new_zeros(side * side * channels, inputs.shape[1])
    for some_windows, some_pixels in zip(torch.split(windows, chunk), torch.split(pixels, chunk), strict=True):
        total.addmm_(some_windows.reshape(-1, len(total)).t(), some_pixels.reshape(-1, inputs.shape[1]))
    return total.view(side, side, channels, -1).flip(0, 1).permute(2, 3, 0, 1)


def pixel_rows(maps: Tensor) -> Tensor:
    """Maps (N, C, H, W) as a matrix (N * H * W, C)."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
