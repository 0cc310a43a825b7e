"""Rows of benchmarks/gpu.py about inference: ``optimize`` beside torchvision's networks, both in channels_last."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import torch
from gpu_bench import Bench, Measured, Measurements, guarded, note
from inference import NOISE
from peers import peer
from torch import Tensor, nn

import archzoo
from archzoo.inference import AcceleratedNetwork, optimize

FASTER, QUICKER = 1.5, 0.25  # bars: of torchvision's images a second at a large batch, of its time for one image


def images_of(bench: Bench, batch: int) -> Tensor:
    """A batch on the device."""
    side = 64 if bench.small else 224
    images = torch.randn(batch, 3, side, side, device=bench.device, dtype=bench.dtype)
    return images.to(memory_format=torch.channels_last)


def inference(bench: Bench, name: str) -> Measurements:
    """The rate at batch 256 and the latency at batch 1, in bfloat16."""
    net = archzoo.build(name).eval()
    ours = optimize(net, device=bench.device, dtype=bench.dtype)
    plain = net.to(bench.device, bench.dtype)
    made = peer(name)
    assert made is not None
    theirs = made[1].eval().to(bench.device, bench.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = [images_of(bench, batch) for batch in (2 if bench.small else 256, 1)]
    if isinstance(ours, AcceleratedNetwork):
        compile_forms(ours, batches)
    bench.free()
    yield None
    weights = 0 if bench.small else torch.cuda.memory_allocated()
    for images in batches:
        yield from guarded(f"{name}, batch {len(images)}", compare(bench, name, [ours, theirs, plain], images))
    if isinstance(ours, AcceleratedNetwork):
        yield from released(bench, name, ours, weights)


def compile_forms(net: AcceleratedNetwork, batches: list[Tensor]) -> None:
    """Run every form once, so that compilers are done."""
    for images in batches:
        for form in net.forms.values():
            with suppress(Exception), torch.no_grad():
                form(images)


def compare(bench: Bench, name: str, nets: list[nn.Module], images: Tensor) -> Iterator[Measured]:
    """One batch: our optimized network, torchvision's, and ours as it comes."""
    ours, batch = nets[0], len(images)
    with torch.inference_mode():
        forms: list[Callable[[], object]] = [partial(net, images) for net in nets]
        mine, library, as_it_comes = (bench.seconds(form, 20 if batch > 1 else 100) for form in forms)
    if batch > 1:
        yield Measured(f"infer {name}, batch {batch}", batch / mine)
        yield Measured(f"infer {name}, batch {batch}, of torchvision's rate", library / mine, "of it", FASTER)
    else:
        yield Measured(f"latency of {name}", 1000 * mine, "ms")
        yield Measured(f"latency of {name}, of torchvision's", mine / library, "of it", at_most=QUICKER)
    if isinstance(ours, AcceleratedNetwork):
        choice = next(reversed(ours.choices.values()))
        forms_said = ", ".join(f"{form} {1000 * seconds:.2f} ms" for form, seconds in choice.seconds.items())
        note(f"{name}, batch {batch}: {choice.name}, of {forms_said}")
    yield Measured(f"{name}, batch {batch}, of the plain network's time", mine / as_it_comes, "of it", at_most=NOISE)


def released(bench: Bench, name: str, net: AcceleratedNetwork, weights: int) -> Iterator[Measured]:
    """The memory of graphs goes back: what stays is the weights."""
    bench.free()
    held = torch.cuda.memory_allocated()
    net.release()
    bench.free()
    note(f"{name}: {held / 2**20:.0f} MiB with graphs, {weights / 2**20:.0f} MiB before them")
    yield Measured(
        f"{name}, memory after release()", torch.cuda.memory_allocated() / weights, "of before", at_most=1.05
    )
