"""The memory that a model needs in inference and in training, from passes on meta tensors."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.profiler._cpu_attention import CpuAttention
from archzoo.profiler._inputs import meta_inputs, sizes_of, spell_sizes
from archzoo.profiler._memory_tracker import MemorySample, MemoryTracker, ModuleMemory, storage_bytes
from archzoo.profiler._meta import hint, is_lazy, materialize_lazy, meta_copy, module_hooks

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
class MemoryProfile:
    """The bytes that a model needs for a batch of inputs.

    ``inference`` is the peak of a forward pass in eval mode, ``training`` the peak of forward, backward and optimizer
    step in train mode, from the second step on, when the optimizer's state exists. Both include parameters, buffers
    and the input. ``saved`` is what the forward pass keeps for the backward pass. ``timeline`` has the allocated bytes
    after each operator of both.
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
    modules: list[ModuleMemory] = field(repr=False)
    timeline: list[MemorySample] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All but the timeline, in plain types."""
        values = asdict(self)
        del values["timeline"]
        return values

    def __str__(self) -> str:
        lines = [f"{self.model}, batch {self.batch}, {self.optimizer}"]
        for name in ("parameters", "buffers", "gradients", "optimizer_state", "saved", "inference", "training"):
            lines.append(f"{name.replace('_', ' '):>16}{getattr(self, name) / 2**20:12.2f} MiB")
        return "\n".join(lines)


@torch.inference_mode(False)
@torch.enable_grad()
def memory(
    model: nn.Module,
    input_size: Any,
    *,
    batch: int | None = None,
    optimizer: str | MakeOptimizer = "sgd",
    device: Literal["cpu", "cuda"] = "cpu",
) -> MemoryProfile:
    """Compute the memory that ``model`` needs for ``batch`` inputs, in inference and in a training step.

    The loss is the cross entropy for logits (N, classes), and the sum of all outputs for anything else. The model is
    copied to the meta device and not touched.

    Args:
        model: Any module.
        input_size: As for ``archzoo.profile``.
        batch: How many inputs run together.
        optimizer: A name ("sgd" has a momentum of 0.9), or a function from parameters to an optimizer.
        device: Whose allocator to model: "cpu" includes the blocked copies that oneDNN's convolutions make, "cuda"
            rounds every storage up to 512 bytes and leaves workspaces out.

    Raises:
        ProfileError: An argument is wrong, or the model failed; the message names the part that did.
    """
    make_optimizer = _optimizer(model, optimizer, device)
    args, kwargs, batch = meta_inputs(model, input_size, batch)
    with torch.random.fork_rng(devices=[]):
        net = meta_copy(getattr(model, "_orig_mod", model))
        tracker = MemoryTracker(net, device)
        try:
            if any(is_lazy(parameter) for parameter in net.parameters()):
                net = materialize_lazy(net, args, kwargs)
                tracker = MemoryTracker(net, device)
            return _measure(net, make_optimizer, args, kwargs, tracker, sizes_of(input_size), batch)
        except ProfileError:
            raise
        except Exception as error:
            part = tracker.path() or type(model).__name__
            reason = f"{type(error).__name__}: {error}{hint(model, error)}"
            sizes = spell_sizes(sizes_of(input_size))
            raise ProfileError(f"an input of {sizes} fails in {part}: {reason}") from error


def _optimizer(model: Any, optimizer: str | MakeOptimizer, device: str) -> MakeOptimizer:
    """The function that makes the optimizer, after a check of the arguments."""
    if not isinstance(model, nn.Module):
        raise ProfileError(f"expected a torch.nn.Module, not {type(model).__name__}")
    if device not in ("cpu", "cuda"):
        raise ProfileError(f"device must be 'cpu' or 'cuda', not {device!r}")
    if not isinstance(optimizer, str):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise ProfileError(
            f"no optimizer is called {optimizer!r}; there are {', '.join(OPTIMIZERS)}, or give a function"
        )
    return OPTIMIZERS[optimizer]


def _measure(
    net: nn.Module,
    make_optimizer: MakeOptimizer,
    args: Any,
    kwargs: Any,
    tracker: MemoryTracker,
    sizes: Any,
    batch: int,
) -> MemoryProfile:
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    for tensor in (*net.parameters(), *net.buffers(), *tree_leaves((args, kwargs))):
        tracker.track(tensor)
    fused = CpuAttention() if tracker.device == "cpu" else nullcontext()
    with module_hooks(tracker.enter, tracker.leave), tracker, fused:
        with torch.no_grad():
            tracker.phase = "inference"
            net.eval()(*args, **kwargs)
        inference = tracker.peak
        optimizer = make_optimizer(trainable) if trainable else None
        net.train()
        for _ in range(2):  # the first step creates the optimizer's state, the second is measured
            tracker.reset()
            _step(net, args, kwargs, optimizer, tracker)
    leaves = tree_leaves(dict(optimizer.state) if optimizer else {})
    modules = tracker.modules()
    return MemoryProfile(
        model=type(net).__name__,
        input_size=sizes,
        batch=batch,
        optimizer=type(optimizer).__name__ if optimizer else "none",
        parameters=storage_bytes(net.parameters()),
        buffers=storage_bytes(net.buffers()),
        gradients=storage_bytes(parameter.grad for parameter in trainable if parameter.grad is not None),
        optimizer_state=storage_bytes(leaf for leaf in leaves if isinstance(leaf, Tensor)),
        saved=tracker.saved_bytes,
        inference=inference,
        training=tracker.peak,
        modules=modules,
        timeline=tracker.timeline,
    )


def _step(net: nn.Module, args: Any, kwargs: Any, optimizer: Optimizer | None, tracker: MemoryTracker) -> None:
    """One training step: forward, loss, backward, update."""
    tracker.phase = "forward"
    if optimizer is not None:
        optimizer.zero_grad()
    loss = scalar_loss(net(*args, **kwargs))
    tracker.record_saved()
    if optimizer is not None and loss.requires_grad:
        tracker.phase = "backward"
        loss.backward()  # type: ignore[no-untyped-call]
        tracker.phase = "step"
        optimizer.step()


def scalar_loss(out: Any) -> Tensor:
    """The cross entropy for logits (N, classes), the sum of all floating-point outputs for anything else."""
    if isinstance(out, Tensor) and out.dim() == 2:
        return F.cross_entropy(out, torch.zeros(len(out), dtype=torch.int64, device=out.device))
    sums = [leaf.sum() for leaf in tree_leaves(out) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if not sums:
        raise ProfileError("the model returns no floating-point tensor to compute a loss from")
    return torch.stack(sums).sum()
