"""Triton kernels of batch normalization followed by ReLU, over maps as rows of pixels.

A row holds the maps of one pixel, one after the other; the next row begins ``stride`` elements later. So the first maps
of a block are read where they are, without a copy. Each kernel reads and writes every element once. Sums over pixels
are added up in a fixed order, so that a rerun computes the same bits. All arithmetic is in the dtype of ``mean``.

Imports triton, which comes with PyTorch for CUDA on Linux. ``_fused.py`` calls these kernels.
"""

# Triton reads annotations as its own, and names of constants are capitals.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def normalize(
    maps, map_stride, gamma, beta, mean, inverse_std, out, rows, channels, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):
    """Write ReLU(gamma * (maps - mean) * inverse_std + beta) to ``out``, whose rows are contiguous."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (row < rows)[:, None] & (channel < channels)[None, :]
    center = tl.load(mean + channel, mask=channel < channels, other=0.0)
    scale = tl.load(gamma + channel, mask=channel < channels, other=0.0).to(center.dtype)
    scale *= tl.load(inverse_std + channel, mask=channel < channels, other=0.0)
    shift = tl.load(beta + channel, mask=channel < channels, other=0.0).to(center.dtype) - center * scale
    value = tl.load(maps + row[:, None] * map_stride + channel[None, :], mask=inside, other=0.0).to(center.dtype)
    value = value * scale[None, :] + shift[None, :]
    value = tl.where(value <= 0, 0.0, value)  # NaN stays NaN
    tl.store(out + row[:, None] * channels + channel[None, :], value.to(out.dtype.element_ty), mask=inside)


@triton.jit
def reduce(
    grad,
    maps,
    map_stride,
    gamma,
    beta,
    mean,
    inverse_std,
    before,
    before_stride,
    total,
    total_stride,
    partial,
    rows,
    channels,
    program_rows,
    ADDS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Sums for the gradients of beta and gamma over ``program_rows`` rows, into partial[program, 0 or 1].

    ``grad`` is the gradient of the ReLU's output, and its rows are contiguous. With ADDS, total = before + the gradient
    of ``maps`` while mean and variance are constants; ``total`` may be ``before``.
    """
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    center = tl.load(mean + channel, mask=channel < channels, other=0.0)
    inverse = tl.load(inverse_std + channel, mask=channel < channels, other=0.0)
    scale = tl.load(gamma + channel, mask=channel < channels, other=0.0).to(center.dtype) * inverse
    shift = tl.load(beta + channel, mask=channel < channels, other=0.0).to(center.dtype) - center * scale
    sums = tl.zeros((ROWS, CHANNELS), dtype=center.dtype)
    products = tl.zeros((ROWS, CHANNELS), dtype=center.dtype)
    for start in range(0, program_rows, ROWS):
        row = tl.program_id(0).to(tl.int64) * program_rows + start + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (channel < channels)[None, :]
        value = tl.load(maps + row[:, None] * map_stride + channel[None, :], mask=inside, other=0.0).to(center.dtype)
        passed = tl.load(grad + row[:, None] * channels + channel[None, :], mask=inside, other=0.0).to(center.dtype)
        passed = tl.where(value * scale[None, :] + shift[None, :] <= 0, 0.0, passed)
        sums += passed
        products += passed * ((value - center[None, :]) * inverse[None, :])
        if ADDS:
            old = tl.load(before + row[:, None] * before_stride + channel[None, :], mask=inside, other=0.0)
            new = old.to(center.dtype) + passed * scale[None, :]
            place = total + row[:, None] * total_stride + channel[None, :]
            tl.store(place, new.to(total.dtype.element_ty), mask=inside)
    place = partial + tl.program_id(0) * 2 * channels + channel
    tl.store(place, tl.sum(sums, 0), mask=channel < channels)
    tl.store(place + channels, tl.sum(products, 0), mask=channel < channels)


@triton.jit
def finish(
    partial,
    programs,
    gamma,
    inverse_std,
    gamma_grad,
    beta_grad,
    offset,
    slope,
    channels,
    ADDS: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Adds up what the programs of ``reduce`` wrote. With ADDS, adds to ``offset`` and ``slope`` of a GradientSum."""
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    inverse = tl.load(inverse_std + channel, mask=channel < channels, other=0.0)
    sums = tl.zeros((ROWS, CHANNELS), dtype=inverse.dtype)
    products = tl.zeros((ROWS, CHANNELS), dtype=inverse.dtype)
    for start in range(0, programs, ROWS):
        program = start + tl.arange(0, ROWS)
        inside = (program < programs)[:, None] & (channel < channels)[None, :]
        place = partial + program[:, None] * 2 * channels + channel[None, :]
        sums += tl.load(place, mask=inside, other=0.0)
        products += tl.load(place + channels, mask=inside, other=0.0)
    beta_total, gamma_total = tl.sum(sums, 0), tl.sum(products, 0)
    tl.store(beta_grad + channel, beta_total.to(beta_grad.dtype.element_ty), mask=channel < channels)
    tl.store(gamma_grad + channel, gamma_total.to(gamma_grad.dtype.element_ty), mask=channel < channels)
    if ADDS:
        scale = tl.load(gamma + channel, mask=channel < channels, other=0.0).to(inverse.dtype) * inverse
        old_offset = tl.load(offset + channel, mask=channel < channels, other=0.0)
        old_slope = tl.load(slope + channel, mask=channel < channels, other=0.0)
        tl.store(offset + channel, old_offset + scale * beta_total, mask=channel < channels)
        tl.store(slope + channel, old_slope + scale * inverse * gamma_total, mask=channel < channels)


@triton.jit
def correct(
    total,
    total_stride,
    maps,
    map_stride,
    mean,
    offset,
    slope,
    out,
    rows,
    channels,
    count,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Write total - (offset + slope * (maps - mean)) / count to ``out``, whose rows are contiguous."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (row < rows)[:, None] & (channel < channels)[None, :]
    center = tl.load(mean + channel, mask=channel < channels, other=0.0)
    constant = tl.load(offset + channel, mask=channel < channels, other=0.0) / count
    factor = tl.load(slope + channel, mask=channel < channels, other=0.0) / count
    value = tl.load(maps + row[:, None] * map_stride + channel[None, :], mask=inside, other=0.0).to(center.dtype)
    old = tl.load(total + row[:, None] * total_stride + channel[None, :], mask=inside, other=0.0).to(center.dtype)
    new = old - (constant[None, :] + factor[None, :] * (value - center[None, :]))
    tl.store(out + row[:, None] * channels + channel[None, :], new.to(out.dtype.element_ty), mask=inside)


@triton.jit
def differentiate(
    grad,
    maps,
    map_stride,
    gamma,
    beta,
    mean,
    inverse_std,
    gamma_grad,
    beta_grad,
    out,
    rows,
    channels,
    count,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The gradient of the maps that batch normalization reads, from that of the ReLU's output, row by row.

    ``gamma_grad`` and ``beta_grad`` are in the dtype of ``mean``. ``count`` is the number of pixels, or infinity for
    frozen statistics, which do not depend on the maps. ``out`` may be ``grad``.
    """
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (row < rows)[:, None] & (channel < channels)[None, :]
    center = tl.load(mean + channel, mask=channel < channels, other=0.0)
    inverse = tl.load(inverse_std + channel, mask=channel < channels, other=0.0)
    scale = tl.load(gamma + channel, mask=channel < channels, other=0.0).to(center.dtype) * inverse
    shift = tl.load(beta + channel, mask=channel < channels, other=0.0).to(center.dtype) - center * scale
    constant = tl.load(beta_grad + channel, mask=channel < channels, other=0.0) / count
    factor = tl.load(gamma_grad + channel, mask=channel < channels, other=0.0) / count * inverse
    value = tl.load(maps + row[:, None] * map_stride + channel[None, :], mask=inside, other=0.0).to(center.dtype)
    passed = tl.load(grad + row[:, None] * channels + channel[None, :], mask=inside, other=0.0).to(center.dtype)
    passed = tl.where(value * scale[None, :] + shift[None, :] <= 0, 0.0, passed)
    passed = (passed - constant[None, :] - factor[None, :] * (value - center[None, :])) * scale[None, :]
    tl.store(out + row[:, None] * channels + channel[None, :], passed.to(out.dtype.element_ty), mask=inside)
