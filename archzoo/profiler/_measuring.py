"""The time of a forward pass, measured on this machine."""

import copy
import time
from math import prod, sqrt
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._inputs import meta_inputs
from archzoo.profiler._meta import modules_of, tensors_of
from archzoo.restoring import process_restored

WARM_UP = 3  # passes that are not measured: libraries choose their kernels, memory is allocated
ENOUGH = 1.0  # seconds


@torch.inference_mode(False)
def measure(
    model: nn.Module,
    input_size: Any,
    *,
    batch: int | None = None,
    device: str | torch.device = "cpu",
    passes: int = 20,
) -> float:
    """Seconds of one forward pass of ``batch`` inputs in eval mode: the median of up to ``passes``, or of one second.

    A copy of the model runs, with random weights if the model is on the meta device. ``input_size`` is that of
    ``archzoo.profile``; inputs are random, and those of integers are zeros. Raises ProfileError where a pass fails.
    """
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
        raise ProfileError(f"passes must be a positive integer, not {shown(passes)}")
    inputs = meta_inputs(model, input_size, batch)[:2]
    try:
        with process_restored(), torch.no_grad():
            net = _on_device(model, torch.device(device)).eval()
            args, kwargs = tree_map_only(Tensor, lambda leaf: _random(leaf, torch.device(device)), inputs)
            for _ in range(WARM_UP):
                net(*args, **kwargs)
            return _time(lambda: net(*args, **kwargs), torch.device(device), passes)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:  # torch asserts that it has CUDA
        raise ProfileError(f"a pass on {device} fails: {type(error).__name__}: {error}") from error


def _time(run: Any, device: torch.device, passes: int) -> float:
    times: list[float] = []
    while len(times) < passes and sum(times) < ENOUGH:
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        times.append(time.perf_counter() - start)
    return median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """A copy of the model on a device. Tensors of the meta device get random values that keep the scale of maps."""
    net = copy.deepcopy(model)
    on_meta = [tensor for tensor in tensors_of(modules_of(net)) if tensor.is_meta]
    if not on_meta:
        return net.to(device)
    net = net.to_empty(device=device)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for module in modules_of(net):
            for tensor in tensors_of([module]):
                _fill(tensor)
    return net


def _fill(tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        tensor.zero_()
    elif tensor.dim() < 2:
        tensor.fill_(1)
    else:
        tensor.normal_(0, sqrt(2 / max(prod(tensor.shape[1:]), 1)))


def _random(leaf: Tensor, device: torch.device) -> Tensor:
    if leaf.is_floating_point():
        return torch.randn(leaf.shape, device=device).to(leaf.dtype)
    return torch.zeros(leaf.shape, dtype=leaf.dtype, device=device)
