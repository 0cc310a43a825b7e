"""What is allocated at the moment when a pass needs the most memory, and which part of the model is running then."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archzoo.profiler._bytes import spell_bytes
from archzoo.profiler._memory_passes import Passes
from archzoo.profiler._memory_tracker import MemoryTracker
from archzoo.profiler._meta import modules_of, storage_of, tensors_of
from archzoo.profiler._sparse import parts_of

Storages = dict[int, tuple[Any, Any, int, str | None]]


@dataclass(frozen=True)
class Peak:
    """The moment when the most bytes are allocated.

    Attributes:
        phase: "inference", "forward", "backward" or "step".
        module: The module that runs then; in the backward pass the one whose gradient is computed.
        parameters: Bytes of the parameters and buffers.
        gradients: Bytes of the gradients of parameters.
        optimizer_state: Bytes of the optimizer's state.
        activations: Bytes of the maps that modules made, and keep for the backward pass.
        other: Bytes of all else: the input, gradients of maps, workspaces, and what the allocator rounds up.
        part: The part of the model that made the most activations: the innermost one that made more than half of those
            of the part around it.
        part_activations: The bytes of that part's.
    """

    phase: str
    module: str
    parameters: int
    gradients: int
    optimizer_state: int
    activations: int
    other: int
    part: str
    part_activations: int

    def __str__(self) -> str:
        kinds = ("activations", "parameters", "gradients", "optimizer_state", "other")
        sizes = [(getattr(self, kind), kind.replace("_", " ")) for kind in kinds]
        held = ", ".join(f"{kind} {spell_bytes(size)}" for size, kind in sizes if size)
        moment = f"{self.phase} of {self.module}" if self.module else self.phase
        of_part = f"; {self.part} made {spell_bytes(self.part_activations)} of the activations" if self.part else ""
        return f"{moment}: {held}{of_part}"


class PeakTracker(MemoryTracker):  # type: ignore[no-untyped-call]
    """Tracks storages, and remembers those that were alive at the peak."""

    def __init__(self, net: nn.Module, device: str, capacity: int | None = None) -> None:
        super().__init__(net, device, capacity)
        self.homes: dict[int, str] = {}  # by storage of a parameter: its module
        self.moments: list[tuple[int, str, str, Storages]] = []  # the peak of each step

    def reset(self) -> None:
        """Reset the peaks to what is allocated now."""
        super().reset()
        if not self.homes:  # before the first pass the memory format of parameters may change, and storages with it
            own = ((name, tensor) for module, name in self.names.items() for tensor in tensors_of([module]))
            self.homes = {storage_of(tensor): name for name, tensor in own}
        self.moments.append((0, "", "", {}))

    def _dispatch(self, operator: Any, args: Any, kwargs: Any) -> Any:
        out = super()._dispatch(operator, args, kwargs)
        if self.moments and self.peak > self.moments[-1][0]:
            self.moments[-1] = self.peak, self.phase, self._place(args), dict(self._storages)
        return out

    @property
    def storages(self) -> Storages:
        """The storages that are alive now."""
        return self._storages

    def _place(self, args: Any) -> str:
        """The running module, or the one whose parameter or map an operator of the backward pass reads."""
        if self.path() or self.phase != "backward":
            return self.path()
        keys = [storage_of(leaf) for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        makers = [maker for key in keys if key in self._storages and (maker := self._storages[key][3])]
        return next((self.homes[key] for key in keys if key in self.homes), makers[0] if makers else "")


def peak_of(running: Passes, tracker: PeakTracker, total: int) -> Peak:
    """The composition of the last peak of ``total`` bytes."""
    last = next((moment for moment in reversed(tracker.moments) if moment[0] == total), tracker.moments[-1])
    _, phase, module, storages = last
    parameters = set(map(storage_of, tensors_of(modules_of(running.net))))
    gradients = _keys(parameter.grad for parameter in running.trainable)
    state = _keys(tree_leaves(dict(running.optimizer.state)) if running.optimizer else ())
    sizes = {"parameters": 0, "gradients": 0, "optimizer_state": 0, "activations": 0}
    by_maker: dict[str, int] = {}
    for key, entry in storages.items():
        _, _, size, maker = entry
        is_there = tracker.storages.get(key) is entry  # else another storage may have taken its address
        if is_there and key in parameters:
            sizes["parameters"] += size
        elif is_there and key in gradients:
            sizes["gradients"] += size
        elif is_there and key in state:
            sizes["optimizer_state"] += size
        elif maker is not None:
            sizes["activations"] += size
            by_maker[maker] = by_maker.get(maker, 0) + size
    part, of_part = _dominant(by_maker)
    return Peak(phase, module, **sizes, other=total - sum(sizes.values()), part=part, part_activations=of_part)


def _keys(tensors: Iterable[Any]) -> set[int]:
    return {storage_of(part) for tensor in tensors if isinstance(tensor, Tensor) for part in parts_of(tensor)}


def _dominant(by_maker: dict[str, int]) -> tuple[str, int]:
    """The innermost part with more than half of the bytes of the part around it; the largest one at least."""
    part, size = "", sum(by_maker.values())
    while True:
        inner: dict[str, int] = {}
        for maker, bytes_ in by_maker.items():
            if maker != part and (not part or maker.startswith(f"{part}.")):
                child = maker[len(part) + 1 if part else 0 :].split(".")[0]
                name = f"{part}.{child}" if part else child
                inner[name] = inner.get(name, 0) + bytes_
        largest = max(inner, key=lambda name: inner[name], default=None)
        if largest is None or (part and 2 * inner[largest] <= size):
            return part, size if part else 0
        part, size = largest, inner[largest]
