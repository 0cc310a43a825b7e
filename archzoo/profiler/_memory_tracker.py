"""Live storages during a pass on meta tensors, where nothing is allocated.

A storage lives from the operator that creates it until nothing refers to it: neither Python, nor a tensor that autograd
saved, a gradient, or the optimizer's state. So views, in-place operators and saved tensors count as in a real run.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archzoo.profiler._meta import modules_of
from archzoo.profiler._operators import look_up

CONVOLUTION = torch.ops.aten.convolution.default
CUDA_BLOCK = 512  # bytes to which CUDA's caching allocator rounds every allocation up


@dataclass(frozen=True)
class ModuleMemory:
    """Bytes of one module, submodules included: parameters, gradients, and tensors saved for the backward pass."""

    name: str
    kind: str
    parameters: int
    gradients: int
    saved: int


@dataclass(frozen=True)
class MemorySample:
    """Bytes allocated after one operator.

    ``phase`` is "inference", "forward", "backward" or "step"; ``module`` names the module that was running.
    """

    phase: str
    module: str
    allocated: int


class MemoryTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tracks every storage from its first tensor to its release, and which module created it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in counting

    def __init__(self, net: nn.Module, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.names = modules_of(net)
        self.running: list[str | None] = [None]
        self.phase = ""
        self.allocated = self.peak = self.saved_bytes = 0
        self.timeline: list[MemorySample] = []
        self.saved: dict[str, int] = {}
        # By storage: the weak reference that reports its release, its bytes, and the module that created it.
        self._storages: dict[int, tuple[Any, int, str | None]] = {}

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        shape = look_up(operator).shape
        out = shape(*args, **kwargs) if shape is not None else NotImplemented
        if out is NotImplemented:
            out = operator(*args, **kwargs)
        if operator is CONVOLUTION and self.device == "cpu":
            self.peak = max(self.peak, self.allocated + convolution_workspace(out, *args))
        tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            self.track(tensor)
        if tensors:
            self.timeline.append(MemorySample(self.phase, self.path(), self.allocated))
        return out

    def track(self, tensor: Tensor) -> None:
        """Add a tensor's storage, unless it is tracked already."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        size = -(-size // CUDA_BLOCK) * CUDA_BLOCK if self.device == "cuda" else size
        if key in self._storages or size == 0:
            return
        self._storages[key] = weakref.ref(storage, partial(self._release, key)), size, self.running[-1]
        self.allocated += size
        self.peak = max(self.peak, self.allocated)

    def _release(self, key: int, _: Any) -> None:
        self.allocated -= self._storages.pop(key)[1]

    def reset(self) -> None:
        """Reset the peak to what is allocated now, and drop the timeline of earlier training steps."""
        self.timeline = [sample for sample in self.timeline if sample.phase == "inference"]
        self.peak = self.allocated

    def record_saved(self) -> None:
        """At the end of the forward pass, add up what each module created and is still alive."""
        self.saved = {}
        for _, size, module in self._storages.values():
            if module is not None:
                self.saved[module] = self.saved.get(module, 0) + size
        self.saved_bytes = sum(self.saved.values())

    def enter(self, module: nn.Module, args: Any) -> None:
        """Forward pre-hook: the module starts to run."""
        if module in self.names:
            self.running.append(self.names[module])

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """Forward hook: the module returned."""
        if module in self.names:
            self.running.pop()

    def path(self) -> str:
        """The name of the innermost module that is running."""
        return self.running[-1] or ""

    def modules(self) -> list[ModuleMemory]:
        """The memory of each module, submodules included."""
        memory = []
        for module, name in self.names.items():
            parameters = list(module.parameters())
            gradients = storage_bytes(parameter.grad for parameter in parameters if parameter.grad is not None)
            saved = sum(
                size for part, size in self.saved.items() if part == name or part.startswith(f"{name}.") or not name
            )
            memory.append(ModuleMemory(name, type(module).__name__, storage_bytes(parameters), gradients, saved))
        return memory


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind tensors, shared ones once."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def convolution_workspace(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Peak bytes that a convolution of oneDNN allocates besides its operands: copies in blocks of 16 channels.

    It reads copies of maps and weights and writes a blocked result, which it copies back once the first two are freed.
    Maps in channels_last need no copy, nor do fewer than 16 maps under windows larger than 1x1.
    """
    groups = rest[-1]
    if x.dim() != 4 or not x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return 0
    plain = x.shape[1] < 16 and groups == 1 and weight.shape[2:].numel() > 1
    result = _blocked(out, 1)
    read = (0 if plain else _blocked(x, 1)) + (_blocked(weight, 0) if groups == 1 else weight.numel() * weight.itemsize)
    return result + max(read, out.numel() * out.itemsize)


def _blocked(tensor: Tensor, dim: int) -> int:
    """Bytes of a copy whose channels are rounded up to a multiple of 16."""
    channels = tensor.shape[dim]
    return tensor.numel() // channels * (-(-channels // 16) * 16) * tensor.itemsize
