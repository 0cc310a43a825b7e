"""Passes on meta tensors whose storages a MemoryTracker follows."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, is_dataclass
from statistics import mean
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.profiler._cuda_tensors import CudaTensors
from archzoo.profiler._draws import largest, smallest
from archzoo.profiler._memory_tracker import Draw, MemorySample, MemoryTracker, ModuleMemory, storage_bytes
from archzoo.profiler._meta import attributes_of, module_hooks, modules_of, parameters_of, set_training, tensors_of

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
DrawName = Literal["worst", "expected", "sample"]
DRAWS: tuple[DrawName, ...] = ("worst", "expected", "sample")
SAMPLES = 32  # draws of random paths whose mean is the expected peak


@dataclass
class Step:
    """What one training step took."""

    peak: int
    reserved: int
    saved: int
    gradients: int
    modules: list[ModuleMemory] = field(repr=False)
    timeline: list[MemorySample] = field(repr=False)


class Passes:
    """The passes of one network over one batch."""

    def __init__(
        self,
        net: nn.Module,
        inputs: tuple[Any, dict[str, Any]],
        tracker: MemoryTracker,
        mode: CudaTensors | None,
        *,
        graph: bool,
    ) -> None:
        self.micro_batches = 1  # how many accumulate their gradients in one step
        self.net, self.tracker, self.mode = net, tracker, mode
        self.args, self.kwargs = inputs
        self.trainable = [parameter for parameter in parameters_of(net) if parameter.requires_grad]
        self.optimizer: Optimizer | None = None
        self.static = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)] if graph else []
        for tensor in (*tensors_of(modules_of(net)), *attributes_of(modules_of(net)), *tree_leaves(inputs)):
            if isinstance(tensor, Tensor):
                tracker.track(tensor)

    def __enter__(self) -> "Passes":
        self._stack = ExitStack()
        self._stack.enter_context(module_hooks(self.tracker.enter, self.tracker.leave))
        self._stack.enter_context(self.tracker)
        if self.mode is not None:
            self._stack.enter_context(self.mode)
        self.static = [torch.clone(leaf) for leaf in self.static]  # a graph reads its inputs where they were captured
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def infer(self) -> int:
        """The peak of a forward pass in eval mode, the libraries' workspaces allocated before it."""
        set_training(self.net, False)
        self.tracker.phase = "inference"
        for _ in range(2):
            had_workspace = self.tracker.workspace
            self.tracker.timeline.clear()
            self.tracker.reset()
            with torch.no_grad():
                self._forward()
            if self.tracker.workspace == had_workspace:
                break
        return self.tracker.peak

    def prepare_training(self, make_optimizer: MakeOptimizer) -> None:
        """Make the optimizer, which has CUDA's kernels over lists of tensors there."""
        set_training(self.net, True)
        self.optimizer = make_optimizer(self.trainable) if self.trainable else None
        for group in self.optimizer.param_groups if self.optimizer and self.mode is not None else ():
            if group.get("foreach", False) is None and not group.get("fused"):
                group["foreach"] = True

    def step(self, draw: Draw | None = None) -> Step:
        """One training step: forward, loss, backward, update."""
        tracker = self.tracker
        tracker.draw = draw
        tracker.reset()
        if self.optimizer is not None:
            self.optimizer.zero_grad()
        losses = [self._forward_and_backward() for _ in range(self.micro_batches)]
        if self.optimizer is not None and losses[-1].requires_grad:
            tracker.phase = "step"
            self.optimizer.step()
        return Step(
            tracker.peak,
            getattr(tracker.allocator, "peak_reserved", 0),
            tracker.saved_bytes,
            storage_bytes(parameter.grad for parameter in self.trainable if parameter.grad is not None),
            tracker.modules(),
            tracker.timeline,
        )

    def _forward_and_backward(self) -> Any:
        """The loss of one batch, whose gradients are added to those that are there."""
        self.tracker.phase = "forward"
        loss = self._forward(scalar_loss)
        self.tracker.record_saved()
        if self.optimizer is not None and loss.requires_grad:
            self.tracker.phase = "backward"
            with self.tracker.on_one_device():
                loss.backward()
            self.tracker.leave_all()
        return loss

    def _forward(self, then: Callable[[Any], Any] = lambda out: None) -> Any:
        """A forward pass and what is computed from its result, under autocast if that is on."""
        autocast = self.mode.autocasting() if self.mode is not None else nullcontext()
        with self.tracker.on_one_device(), autocast:
            return then(self.net(*self.args, **self.kwargs))

    def train(self, draw: DrawName) -> Step:
        """The training step to report, from the second on: by then the optimizer has its state.

        A network that draws random numbers on the CPU takes several steps: at both ends of what can be drawn, and
        samples for the expectation.
        """
        before = torch.get_rng_state()
        self.step(smallest)
        if torch.equal(before, torch.get_rng_state()):
            return self.step()
        self.step(largest)
        if draw == "worst":
            return max(self.step(smallest), self.step(largest), key=lambda step: step.peak)
        if draw == "sample":
            torch.set_rng_state(before)
            return self.step()
        torch.manual_seed(0)
        steps = [self.step() for _ in range(SAMPLES)]
        peak = round(mean(step.peak for step in steps))
        nearest = min(steps, key=lambda step: abs(step.peak - peak))
        nearest.peak, nearest.saved = peak, round(mean(step.saved for step in steps))
        nearest.reserved = max(step.reserved for step in steps)
        return nearest


def scalar_loss(out: Any) -> Tensor:
    """The cross entropy for logits (N, classes), the sum of all floating-point outputs for anything else."""
    if isinstance(out, Tensor) and out.dim() == 2:
        return F.cross_entropy(out, torch.zeros(len(out), dtype=torch.int64, device=out.device))
    leaves = tree_leaves(vars(out) if is_dataclass(out) and not isinstance(out, dict) else out)
    sums = [leaf.sum() for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if not sums:
        raise ProfileError("the model returns no floating-point tensor to compute a loss from")
    return torch.stack(sums).sum()
