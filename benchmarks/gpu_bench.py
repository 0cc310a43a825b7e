"""What the rows of benchmarks/gpu.py share: what they return, what they run on, and how steps are timed."""

import contextlib
import gc
import math
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import archzoo
from archzoo.data import ImageSet
from archzoo.profiler import scalar_loss

# Networks that stand for others on the CPU, with the same kinds of layers.
MINIATURES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet20": ("resnet_cifar", {"depth": 8}),
    "resnet110": ("resnet_cifar", {"depth": 8}),
    "densenet_bc": ("densenet_bc", {"depth": 10, "k": 4}),
    "wide_resnet_28_10": ("wide_resnet", {"depth": 10, "k": 1}),
    "stochastic_depth_110": ("stochastic_depth", {"depth": 8}),
    "fractalnet20": ("fractalnet", {"columns": 2, "widths": (4, 4, 4, 4, 4)}),
    "densenet121": ("densenet_bc", {"depth": 10, "k": 4}),
    "resnet50_v1_5": ("resnet18", {}),
}
LARGE = ("googlenet",)  # whose auxiliary classifiers need images of the paper's size


@dataclass(frozen=True)
class Measured:
    """One number: what it is, its unit, and the least and the most that it may be; None where there is no bar.

    ``value`` is None for what could not be measured, and ``problem`` says why.
    """

    what: str
    value: float | None
    unit: str = "images/s"
    at_least: float | None = None
    at_most: float | None = None
    problem: str = ""

    @property
    def has_bar(self) -> bool:
        """Whether there is a bar."""
        return self.at_least is not None or self.at_most is not None

    @property
    def is_met(self) -> bool:
        """Whether it was measured, and the bar, if there is one, is reached."""
        if self.value is None or math.isnan(self.value):
            return False
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )


# What a row yields: None once it is prepared, then what it measures.
Measurements = Iterator[Measured | None]


@dataclass(frozen=True)
class Bench:
    """What a row runs on: a device, in full or in miniature."""

    device: torch.device

    @property
    def small(self) -> bool:
        """Whether all is in miniature."""
        return self.device.type == "cpu"

    @property
    def precision(self) -> Any:
        """bfloat16, or float32 where that is emulated."""
        return "float32" if self.small else "bfloat16"

    @property
    def dtype(self) -> torch.dtype:
        """The same as torch has it."""
        return torch.float32 if self.small else torch.bfloat16

    def build(self, name: str, **options: Any) -> Any:
        """A network, or the one that stands for it."""
        if not self.small or name not in MINIATURES:
            return archzoo.build(name, **options)
        miniature, small_options = MINIATURES[name]
        return archzoo.build(miniature, **small_options | options)

    def size(self, name: str) -> tuple[int, ...]:
        """The size of an image that it reads."""
        channels, height, width = archzoo.find(name).input_size
        cut = self.small and height > 64 and name not in LARGE
        return (channels, 64, 64) if cut else (channels, height, width)

    def synchronize(self) -> None:
        """Wait for the device."""
        if not self.small:
            torch.cuda.synchronize()

    def seconds(self, step: Callable[[], object], steps: int = 10) -> float:
        """The median time of a step over three rounds, after a warm-up."""
        steps = 1 if self.small else steps
        rounds = []
        for round_number in range(2 if self.small else 4):
            self.synchronize()
            began = time.perf_counter()
            for _ in range(steps):
                step()
            self.synchronize()
            if round_number:
                rounds.append((time.perf_counter() - began) / steps)
        return statistics.median(rounds)

    def free(self) -> None:
        """Return all memory to the device, that of cuBLAS too."""
        gc.collect()
        if not self.small:
            torch._C._cuda_clearCublasWorkspaces()
            torch.cuda.empty_cache()


def guarded(what: str, measured: Iterator[Measured]) -> Iterator[Measured]:
    """What is measured, or in its place what failed: other parts of the row go on."""
    try:
        yield from measured
    except Exception as error:
        traceback.print_exc()
        reason = (str(error).strip().splitlines() or [""])[0]
        yield Measured(what, None, problem=f"{type(error).__name__}: {reason[:120]}")


def note(line: str) -> None:
    """Say more than the table does."""
    print(f"  {line}", file=sys.stderr, flush=True)


def synthetic(count: int, side: int, classes: int = 10) -> ImageSet:
    """Random images in memory."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return ImageSet.from_tensor("synthetic", images, labels, [str(number) for number in range(classes)])


@contextlib.contextmanager
def cudnn_benchmark() -> Iterator[None]:
    """Let cuDNN choose its fastest algorithms, as the loop does."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class BareStep:
    """A training step of torch: no loop, one batch that is on the device. ``half`` is bfloat16 and channels_last."""

    def __init__(
        self, bench: Bench, name: str, batch: int, *, half: bool = True, fused: bool | None = True, **options: Any
    ) -> None:
        self.half = half and not bench.small
        self.net, self.images = placed(bench, name, batch, half=half, **options)
        self.net.train()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, momentum=0.9, fused=fused)

    def loss(self, images: Tensor, *, cache: bool = True) -> Tensor:
        """The cross-entropy, or the sum of what a network with auxiliary classifiers returns."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self.half, cache_enabled=cache):
            return scalar_loss(self.net(images))

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss(self.images).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def placed(bench: Bench, name: str, batch: int, *, half: bool, **options: Any) -> tuple[nn.Module, Tensor]:
    """A network and a batch on the device."""
    memory_format = torch.channels_last if half else torch.contiguous_format
    net = bench.build(name, **options).to(bench.device).to(memory_format=memory_format)
    images = torch.randn(batch, *bench.size(name), device=bench.device).to(memory_format=memory_format)
    return net, images


def captured(step: BareStep) -> tuple[Callable[[], None], float]:
    """A whole step as a CUDA graph to replay, and the peak of allocated bytes over its capture."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    images = step.images.clone()  # a graph reads a copy of its own

    def run() -> None:
        step.optimizer.zero_grad()
        step.loss(images, cache=False).backward()  # type: ignore[no-untyped-call]
        step.optimizer.step()

    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    step.optimizer.zero_grad()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        run()
    peak = float(torch.cuda.max_memory_allocated())
    step.images = images  # which live as long as the step
    return graph.replay, peak
