"""How much memory a model needs: live storages followed over passes on meta tensors, where nothing is allocated.

A storage lives from the operator that makes it until nobody holds it: Python, a saved tensor of autograd, a parameter's
gradient, the optimizer's state. So views, in-place operators and saved tensors count as they do in a real run.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.profiler.meta import (
    following,
    hint,
    is_lazy,
    materialized,
    meta_copy,
    meta_inputs,
    modules_of,
    sizes_of,
    spell_sizes,
)
from archzoo.profiler.operators import look_up

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
OPTIMIZERS: dict[str, MakeOptimizer] = {
    "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "nesterov": partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
}


@dataclass(frozen=True)
class MemoryRow:
    """Bytes of one module, all that is inside it included: of parameters, of gradients, kept for the backward pass."""

    name: str
    kind: str
    parameters: int
    gradients: int
    saved: int


@dataclass(frozen=True)
class Moment:
    """What was alive after one operator: in which phase ("inference", "forward", "backward", "step"), where, bytes."""

    phase: str
    module: str
    live: int


@dataclass(frozen=True)
class Memory:
    """The bytes that a model needs for a batch of inputs.

    ``inference`` is the peak of a forward pass in evaluation mode, ``training`` that of forward, backward and optimizer
    step in training mode, from the second step on, when the optimizer's state exists. Both include parameters, buffers
    and the input. ``timeline`` is what was alive after each operator of both.
    """

    model: str
    input_size: Any
    batch: int
    optimizer: str
    parameters: int
    buffers: int
    gradients: int
    optimizer_state: int
    saved: int
    inference: int
    training: int
    rows: list[MemoryRow] = field(repr=False)
    timeline: list[Moment] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All but the timeline, in plain types."""
        found = asdict(self)
        del found["timeline"]
        return found

    def __str__(self) -> str:
        lines = [f"{self.model}, batch {self.batch}, {self.optimizer}"]
        for name in ("parameters", "buffers", "gradients", "optimizer_state", "saved", "inference", "training"):
            lines.append(f"{name.replace('_', ' '):>16}{getattr(self, name) / 2**20:12.2f} MiB")
        return "\n".join(lines)


def memory(
    model: nn.Module,
    input_size: Any,
    *,
    batch: int | None = None,
    optimizer: str | MakeOptimizer = "sgd",
    device: Literal["cpu", "cuda"] = "cpu",
) -> Memory:
    """The memory that ``model`` needs for ``batch`` inputs of ``input_size``, in inference and in a training step.

    ``optimizer`` is a name ("sgd" has a momentum of 0.9) or a function from parameters to an optimizer. The loss is
    cross entropy for logits (N, classes), and the sum of all outputs for anything else. ``device`` is whose allocator
    is followed: "cpu" counts the copies that oneDNN's convolutions make of their operands too, "cuda" rounds every
    storage up to 512 bytes and leaves workspaces out. The model is copied on meta tensors, and not touched.

    Raises ProfileError, naming the part that failed.
    """
    if not isinstance(model, nn.Module):
        raise ProfileError(f"expected a torch.nn.Module, not {type(model).__name__}")
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        raise ProfileError(
            f"no optimizer is called {optimizer!r}; there are {', '.join(OPTIMIZERS)}, or give a function"
        )
    if device not in ("cpu", "cuda"):
        raise ProfileError(f"device must be 'cpu' or 'cuda', not {device!r}")
    make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    args, kwargs, batch = meta_inputs(model, input_size, batch)
    with torch.random.fork_rng(devices=[]):
        net = meta_copy(getattr(model, "_orig_mod", model))
        storages = Storages(net, device)
        try:
            if any(is_lazy(parameter) for parameter in net.parameters()):
                net = materialized(net, args, kwargs)
                storages = Storages(net, device)
            return _follow(net, make, args, kwargs, storages, sizes_of(input_size), batch)
        except ProfileError:
            raise
        except Exception as error:
            where = storages.path() or type(model).__name__
            said = f"{type(error).__name__}: {error}{hint(model, error)}"
            sizes = spell_sizes(sizes_of(input_size))
            raise ProfileError(f"an input of {sizes} fails in {where}: {said}") from error


def _follow(
    net: nn.Module, make: MakeOptimizer, args: Any, kwargs: Any, storages: "Storages", sizes: Any, batch: int
) -> Memory:
    learnable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for tensor in (*net.parameters(), *net.buffers(), *tree_leaves((args, kwargs))):
        storages.hold(tensor)
    with following(storages.enter, storages.leave), storages:
        with torch.no_grad():
            storages.phase = "inference"
            net.eval()(*args, **kwargs)
        inference = storages.peak
        optimizer = make(learnable) if learnable else None
        net.train()
        for _ in range(2):  # the first step makes the optimizer's state, the second is measured
            storages.start()
            _step(net, args, kwargs, optimizer, storages)
    state = [one for one in tree_leaves(dict(optimizer.state) if optimizer else {}) if isinstance(one, Tensor)]
    rows = storages.rows()
    return Memory(
        model=type(net).__name__,
        input_size=sizes,
        batch=batch,
        optimizer=type(optimizer).__name__ if optimizer else "none",
        parameters=size_of(net.parameters()),
        buffers=size_of(net.buffers()),
        gradients=size_of(one.grad for one in learnable if one.grad is not None),
        optimizer_state=size_of(state),
        saved=storages.saved_bytes,
        inference=inference,
        training=storages.peak,
        rows=rows,
        timeline=storages.timeline,
    )


def _step(net: nn.Module, args: Any, kwargs: Any, optimizer: Optimizer | None, storages: "Storages") -> None:
    """One step of training: forward, loss, backward, update."""
    storages.phase = "forward"
    if optimizer is not None:
        optimizer.zero_grad()
    loss = loss_of(net(*args, **kwargs))
    storages.note_saved()
    if optimizer is not None and loss.requires_grad:
        storages.phase = "backward"
        loss.backward()  # type: ignore[no-untyped-call]
        storages.phase = "step"
        optimizer.step()


def loss_of(out: Any) -> Tensor:
    """Cross entropy for logits (N, classes), the sum of everything else."""
    if isinstance(out, Tensor) and out.dim() == 2:
        return F.cross_entropy(out, torch.zeros(len(out), dtype=torch.int64, device=out.device))
    sums = [one.sum() for one in tree_leaves(out) if isinstance(one, Tensor) and one.is_floating_point()]
    if not sums:
        raise ProfileError("the model returns no numbers that a loss could be made of")
    return torch.stack(sums).sum()


def size_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind tensors, shared ones once."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())


CONVOLUTION = torch.ops.aten.convolution.default


def reordered(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Bytes beyond the operands that a convolution of oneDNN takes at its peak: copies in blocks of 16 channels.

    It reads copies of maps and weights and writes to one of the result, which is copied back once the first two are
    freed. Maps in channels_last need none; fewer than 16 maps are read as they are by windows larger than 1x1.
    """
    groups = rest[-1]
    if x.dim() != 4 or not x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return 0
    plain = x.shape[1] < 16 and groups == 1 and weight.shape[2:].numel() > 1
    result = _blocked(out, 1)
    read = (0 if plain else _blocked(x, 1)) + (_blocked(weight, 0) if groups == 1 else weight.numel() * weight.itemsize)
    return result + max(read, out.numel() * out.itemsize)


def _blocked(tensor: Tensor, dim: int) -> int:
    """Bytes of a copy whose channels are a multiple of 16."""
    channels = tensor.shape[dim]
    return tensor.numel() // channels * (-(-channels // 16) * 16) * tensor.itemsize


class Storages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Every storage from its first tensor until its death, and which module made it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in counting

    def __init__(self, net: nn.Module, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.names = modules_of(net)
        self.running: list[str | None] = [None]
        self.phase = ""
        self.live = self.peak = self.saved_bytes = 0
        self.timeline: list[Moment] = []
        self.saved: dict[str, int] = {}
        self._alive: dict[int, tuple[Any, int, str | None]] = {}  # by storage: what tells its death, bytes, module

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        shape = look_up(operator).shape
        out = shape(*args, **kwargs) if shape is not None else NotImplemented
        if out is NotImplemented:
            out = operator(*args, **kwargs)
        if operator is CONVOLUTION and self.device == "cpu":
            self.peak = max(self.peak, self.live + reordered(out, *args))
        made = [one for one in tree_leaves(out) if isinstance(one, Tensor)]
        for one in made:
            self.hold(one)
        if made:
            self.timeline.append(Moment(self.phase, self.path(), self.live))
        return out

    def hold(self, tensor: Tensor) -> None:
        """Count a tensor's storage, unless it is known."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        size = -(-size // 512) * 512 if self.device == "cuda" else size
        if key in self._alive or size == 0:
            return
        self._alive[key] = weakref.ref(storage, partial(self._died, key)), size, self.running[-1]
        self.live += size
        self.peak = max(self.peak, self.live)

    def _died(self, key: int, _: Any) -> None:
        self.live -= self._alive.pop(key)[1]

    def start(self) -> None:
        """Measure from here on."""
        self.timeline = [moment for moment in self.timeline if moment.phase == "inference"]
        self.peak = self.live

    def note_saved(self) -> None:
        """At the end of the forward pass: what each module made and is still alive."""
        self.saved = {}
        for _, size, module in self._alive.values():
            if module is not None:
                self.saved[module] = self.saved.get(module, 0) + size
        self.saved_bytes = sum(self.saved.values())

    def enter(self, module: nn.Module, args: Any) -> None:
        """Note that a module starts to run."""
        if module in self.names:
            self.running.append(self.names[module])

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """Note that it has finished."""
        if module in self.names:
            self.running.pop()

    def path(self) -> str:
        """The name of the innermost module that is running."""
        return self.running[-1] or ""

    def rows(self) -> list[MemoryRow]:
        """A row for each module, with what is inside it."""
        found = []
        for module, name in self.names.items():
            inside = list(module.parameters())
            gradients = size_of(one.grad for one in inside if one.grad is not None)
            saved = sum(
                size for part, size in self.saved.items() if part == name or part.startswith(f"{name}.") or not name
            )
            found.append(MemoryRow(name, type(module).__name__, size_of(inside), gradients, saved))
        return found
