"""Activation checkpointing of a model's parts, for what it would save."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from math import ceil, sqrt
from typing import Any
from warnings import catch_warnings, simplefilter

from torch import nn
from torch.utils.checkpoint import checkpoint

from archzoo.profiler._memory_passes import Passes
from archzoo.profiler._meta import modules_of

DEEPEST = 3  # levels of nested modules whose parts are tried
FEW = 3  # parts at least: with fewer of them, the backward pass has most of the maps at once anyhow
Change = Callable[[Passes], None]


def ways(model: nn.Module) -> Iterator[tuple[str, Change]]:
    """Ways to checkpoint a model, each with its name: all parts of one level; without parts, segments of a sequence."""
    modules = {name: module for module, name in modules_of(model).items()}
    has_parts = False
    for level in range(DEEPEST):
        parts = {name for name, module in modules.items() if name and name.count(".") == level and module._modules}
        if len(parts) >= FEW:
            first, has_parts = min(parts, key=list(modules).index), True
            yield f"checkpointing {len(parts)} parts, such as {first}", partial(_checkpoint_parts, parts)
    if has_parts:
        return
    sequences = {name: len(module._modules) for name, module in modules.items() if _is_sequence(module)}
    longest = max(sequences, key=lambda name: sequences[name], default="")
    if sequences.get(longest, 0) > FEW:
        segments = ceil(sqrt(sequences[longest]))
        where = longest or "the model"
        yield f"checkpointing {where} in {segments} segments", partial(_checkpoint_segments, longest, segments)


def _is_sequence(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _checkpoint_parts(parts: set[str], running: Passes) -> None:
    """Let these parts keep their inputs, and compute their maps a second time in the backward pass."""
    for module, name in modules_of(running.net).items():
        if name in parts:
            module.__dict__["forward"] = partial(_recomputed, running, module.forward)


def _checkpoint_segments(name: str, segments: int, running: Passes) -> None:
    """Let a sequence keep the inputs of its segments, as ``torch.utils.checkpoint.checkpoint_sequential`` does."""
    sequence = running.net.get_submodule(name)
    layers = list(sequence.children())
    length = ceil(len(layers) / segments)

    def run(layers: list[nn.Module], maps: Any) -> Any:
        for layer in layers:
            maps = layer(maps)
        return maps

    def forward(maps: Any) -> Any:
        for start in range(0, len(layers), length):
            maps = _recomputed(running, partial(run, layers[start : start + length]), maps)
        return maps

    sequence.__dict__["forward"] = forward


def _recomputed(running: Passes, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result of ``forward``, of which only the inputs are kept."""
    if not running.net.training:
        return forward(*args, **kwargs)

    def run(*args: Any, **kwargs: Any) -> Any:
        depth = len(running.tracker.running)
        try:
            return forward(*args, **kwargs)
        finally:  # recomputing stops at the last map that is needed, by an exception
            del running.tracker.running[depth:]

    def contexts() -> Any:
        return nullcontext(), running.mode.autocasting() if running.mode is not None else nullcontext()

    with catch_warnings():
        simplefilter("ignore")  # there is no CUDA to autocast on
        return checkpoint(
            run,
            *args,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=contexts,
            determinism_check="none",
            **kwargs,
        )
