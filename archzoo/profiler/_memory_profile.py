"""The memory that a model needs in inference and in training, from passes on meta tensors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._inputs import meta_inputs, sizes_of
from archzoo.profiler._memory_passes import DRAWS, DrawName, MakeOptimizer, Passes, Step
from archzoo.profiler._memory_setup import Conditions, passes, run_or_retry
from archzoo.profiler._memory_tracker import MemorySample, ModuleMemory, storage_bytes
from archzoo.profiler._meta import buffers_of, parameters_of

OPTIMIZERS: Mapping[str, MakeOptimizer] = MappingProxyType(
    {
        "sgd": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        "nesterov": partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
        "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "adamax": torch.optim.Adamax,
        "nadam": torch.optim.NAdam,
    }
)


@dataclass(frozen=True)
class MemoryProfile:
    """The bytes that a model needs for a batch of inputs.

    ``inference`` is the peak of a forward pass in eval mode, ``training`` the peak of forward, backward and optimizer
    step in train mode, from the second step on, when the optimizer's state exists. Both include parameters, buffers
    and the input. ``saved`` is what the forward pass keeps for the backward pass. ``timeline`` has the allocated bytes
    after each operator of both, and with the workspaces of convolutions.

    On CUDA, both are what ``torch.cuda.max_memory_allocated`` counts, ``workspace`` is the part that cuBLAS keeps, and
    ``reserved`` is what the allocator takes from the device for them, ``torch.cuda.max_memory_reserved``. On the CPU
    these two are 0.
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
    workspace: int
    reserved: int
    modules: list[ModuleMemory] = field(repr=False)
    timeline: list[MemorySample] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All but the timeline, in plain types."""
        values = asdict(self)
        del values["timeline"]
        return values

    def __str__(self) -> str:
        lines = [f"{self.model}, batch {self.batch}, {self.optimizer}"]
        names = ["parameters", "buffers", "gradients", "optimizer_state", "saved", "inference", "training"]
        for name in names + ["workspace", "reserved"] * bool(self.reserved):
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
    autocast: torch.dtype | None = None,
    channels_last: bool = False,
    cuda_graph: bool = False,
    draw: DrawName = "worst",
) -> MemoryProfile:
    """Compute the memory that ``model`` needs for ``batch`` inputs, in inference and in a training step.

    The loss is the cross entropy for logits (N, classes), and the sum of all outputs for anything else. The model is
    copied to the meta device and not touched.

    Args:
        model: Any module.
        input_size: As for ``archzoo.profile``.
        batch: How many inputs run together.
        optimizer: A name ("sgd" has a momentum of 0.9), or a function from parameters to an optimizer.
        device: Whose allocator and libraries to model. "cpu" includes the copies that oneDNN's convolutions make, in
            blocks of channels for the processor at hand, and the columns of PyTorch's own, for as many threads as
            torch has. "cuda" simulates the caching allocator, and includes cuBLAS's workspace, and the copies that
            cuDNN makes for tensor cores where maps are not in channels_last. cuDNN's other workspaces are left out:
            what it tries out with ``torch.backends.cudnn.benchmark`` in the first steps, and partial sums of weight
            gradients.
        autocast: ``torch.bfloat16`` or ``torch.float16`` for a forward pass and a loss under ``torch.autocast``. Each
            parameter is cast once per step, and the copies live until the backward pass has used them.
        channels_last: Convert the model and its 4-dimensional inputs to channels_last.
        cuda_graph: The step is captured in a CUDA graph, which keeps a copy of its inputs and no casts between uses.
        draw: Which step to report of a network with random paths. "worst": the larger of the steps where all random
            numbers are the smallest, and the largest, that can be drawn; the peak of a long run. "expected": the mean
            over 32 draws from a fixed seed. "sample": one draw from the current state of the generator. Random
            numbers of torch's CPU generator count.

    Raises:
        ProfileError: An argument is wrong, or the model failed; the message names the part that did. Or the model has
            what is not modeled: ``flex_attention``, sparse and nested tensors, TorchScript with parameters.
    """
    make_optimizer = optimizer_maker(model, optimizer)
    conditions = Conditions(device, autocast, channels_last, cuda_graph)
    conditions.check()
    if draw not in DRAWS:
        raise ProfileError(f"draw must be one of {', '.join(map(repr, DRAWS))}, not {shown(draw)}")
    args, kwargs, batch = meta_inputs(model, input_size, batch)

    def run(conditions: Conditions) -> tuple[Passes, int, Step]:
        with passes(model, (args, kwargs), conditions, input_size) as running:
            inference = running.infer()
            running.prepare_training(make_optimizer)
            return running, inference, running.train(draw)

    running, inference, step = run_or_retry(run, conditions)
    net = running.net
    state = tree_leaves(dict(running.optimizer.state) if running.optimizer else {})
    return MemoryProfile(
        model=type(net).__name__,
        input_size=sizes_of(input_size),
        batch=batch,
        optimizer=type(running.optimizer).__name__ if running.optimizer else "none",
        parameters=storage_bytes(parameters_of(net)),
        buffers=storage_bytes(buffers_of(net)),
        gradients=step.gradients,
        optimizer_state=storage_bytes(leaf for leaf in state if isinstance(leaf, Tensor)),
        saved=step.saved,
        inference=inference,
        training=step.peak,
        workspace=running.tracker.workspace,
        reserved=step.reserved,
        modules=step.modules,
        timeline=step.timeline,
    )


def optimizer_maker(model: Any, optimizer: str | MakeOptimizer) -> MakeOptimizer:
    """The function that makes the optimizer, after a check of the arguments."""
    if not isinstance(model, nn.Module):
        raise ProfileError(f"expected a torch.nn.Module, not {type(model).__name__}")
    if not isinstance(optimizer, str):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise ProfileError(
            f"no optimizer is called {shown(optimizer)}; there are {', '.join(OPTIMIZERS)}, or give a function"
        )
    return OPTIMIZERS[optimizer]
