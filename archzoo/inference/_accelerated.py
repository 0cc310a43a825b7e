"""Networks on a GPU: for each shape of images the fastest of several forms, captured in a CUDA graph."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from archzoo.errors import DeviceError
from archzoo.inference._fusing import fused_steps
from archzoo.inference._steps import CudnnConv, Program
from archzoo.layers import device_of

Run = Callable[[Tensor], Any]
SHAPES = 8  # of images, for which a graph is kept
CALLS = 10  # of a form, to measure it
TOLERANCE = {torch.float32: 1e-2, torch.float64: 1e-6}  # relative to the norm; 1e-2 has room for TF32
HALF_TOLERANCE = 1e-1


class Graph:
    """A run on images of one shape that is captured once and replayed."""

    def __init__(self, run: Run, images: Tensor, pool: Any, stream: torch.cuda.Stream) -> None:
        self.images = images.clone()
        computing = torch.cuda.current_stream(images.device)
        stream.wait_stream(computing)
        with torch.cuda.stream(stream):
            for _ in range(3):  # libraries allocate and choose algorithms, which cannot be captured
                run(self.images)
        computing.wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        self.is_released = False
        # By default, other threads fail during a capture, such as one of a DataLoader that locks pages.
        with torch.cuda.graph(self.graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self.out = run(self.images)

    def __call__(self, images: Tensor) -> Any:
        self.images.copy_(images)
        self.graph.replay()
        return tree_map_only(Tensor, torch.clone, self.out)

    def release(self) -> None:
        """Give back the memory of the graph, which runs no more."""
        self.is_released = True
        self.graph.reset()
        del self.images, self.out


class Graphs:
    """Captures the runs of one network. Graphs share memory: those of several shapes need that of the largest."""

    def __init__(self) -> None:
        self.kept: list[Graph] = []
        self.streams: dict[torch.device, torch.cuda.Stream] = {}  # each keeps workspaces: one is enough

    def __call__(self, run: Run, images: Tensor) -> Graph:
        self.kept = [graph for graph in self.kept if not graph.is_released]
        pool = self.kept[0].graph.pool() if self.kept else None  # torch refuses the pool of released graphs
        if images.device not in self.streams:
            self.streams[images.device] = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        graph = Graph(run, images, pool, self.streams[images.device])
        self.kept.append(graph)
        return graph

    def __reduce__(self) -> Any:
        return Graphs, ()  # a copy has graphs of its own


@dataclass
class Choice:
    """The form that is used for one shape, and seconds of every form that computes the same."""

    name: str
    run: Run
    seconds: dict[str, float]


class AcceleratedNetwork(nn.Module):
    """A network that measures its forms at the first images of a shape, and uses the fastest one from then on.

    A form that fails, or that differs from "plain" on these images, is not used. At most ``shapes`` choices are kept:
    those used last. ``choices`` has them by shape and type.

    Args:
        forms: Networks that compute the same. "plain" is the original.
        capture: Makes a run whose launches are replayed; None runs every form as it is.
        measure: Seconds of one call.
        shapes: The number of choices to keep.
    """

    def __init__(
        self,
        forms: Mapping[str, nn.Module],
        capture: Callable[[Run, Tensor], Run] | None = None,
        measure: Callable[[Run, Tensor], float] | None = None,
        shapes: int = SHAPES,
    ) -> None:
        super().__init__()
        self.forms = nn.ModuleDict(forms)
        self.capture, self.measure, self.shapes = capture, measure or seconds_of, shapes
        self.choices: OrderedDict[tuple[torch.Size, torch.dtype], Choice] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"choices": OrderedDict()}  # graphs have addresses in them

    def _apply(self, fn: Any, recurse: bool = True) -> "AcceleratedNetwork":
        self.release()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def forward(self, images: Tensor) -> Any:
        device = device_of(self)
        if images.device != device:
            raise DeviceError(f"the network is on {device}, and the images are on {images.device}: move them there")
        key = images.shape, images.dtype
        # What a graph reads is written again later, which torch refuses for tensors of the inference mode.
        with torch.inference_mode(False), torch.no_grad():
            if key not in self.choices:
                self.forms["plain"](images)  # raises InputError for images that do not fit
                self.choices[key] = self.choose(images)
                while len(self.choices) > self.shapes:
                    release(self.choices.popitem(last=False)[1].run)
            self.choices.move_to_end(key)
            return self.choices[key].run(images)

    def choose(self, images: Tensor) -> Choice:
        """The fastest form."""
        expected = self.forms["plain"](images)
        best, seconds = Choice("plain", self.forms["plain"], {}), dict[str, float]()
        for name, form in self.forms.items():
            for kind, run in self.runs(form, images).items():
                if not agrees(run, images, expected):
                    release(run)
                    continue
                label = f"{name}{kind}"
                seconds[label] = self.measure(run, images)
                if label == "plain" or seconds[label] < seconds[best.name]:
                    release(best.run)
                    best = Choice(label, run, seconds)
                else:
                    release(run)
        return best

    def runs(self, form: nn.Module, images: Tensor) -> dict[str, Run]:
        """A form as it is, and captured where that is possible."""
        runs: dict[str, Run] = {"": form}
        if self.capture is not None:
            with suppress(Exception):  # compilers raise errors of many classes, too
                runs[", captured"] = self.capture(form, images)
        return runs

    def release(self) -> None:
        """Forget all choices and give back the memory of their graphs. The next images are measured again."""
        while self.choices:
            release(self.choices.popitem()[1].run)


def release(run: Run) -> None:
    """Give back the memory of a graph."""
    free = getattr(run, "release", None)
    if callable(free) and not isinstance(run, nn.Module):
        free()


def agrees(run: Run, images: Tensor, expected: Any) -> bool:
    """Whether a form runs and computes what is expected."""
    try:
        actual = run(images)
    except Exception:  # a form that this device or this version of torch lacks
        return False
    if not isinstance(expected, Tensor) or not isinstance(actual, Tensor) or actual.shape != expected.shape:
        return False
    error = (actual.double() - expected.double()).norm()
    return bool(error <= TOLERANCE.get(expected.dtype, HALF_TOLERANCE) * expected.double().norm())


def seconds_of(run: Run, images: Tensor) -> float:
    """The shortest of three times of several calls, in seconds a call."""
    times = []
    for _ in range(3):
        torch.cuda.synchronize(images.device)
        began = time.perf_counter()
        for _ in range(CALLS):
            run(images)
        torch.cuda.synchronize(images.device)
        times.append((time.perf_counter() - began) / CALLS)
    return min(times)


class CudnnNetwork(nn.Module):
    """A folded network whose additions and ReLUs are computed by cuDNN's convolutions."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.program = Program(fused_steps(net, CudnnConv))

    def forward(self, images: Tensor) -> Any:
        if not self.program.steps:
            raise RuntimeError("no convolution can be fused")
        return self.program(images)


def accelerated(plain: nn.Module, folded: nn.Module, *, inductor: bool) -> AcceleratedNetwork:
    """A network on CUDA from the original and its folded form, both there, in eval mode and of one type."""
    forms: dict[str, nn.Module] = {"plain": plain, "folded": folded, "cuDNN": CudnnNetwork(folded)}
    if inductor:
        forms["inductor"] = torch.compile(folded, dynamic=False)  # type: ignore[assignment]
    return AcceleratedNetwork(forms, Graphs())
