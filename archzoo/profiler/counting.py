"""One forward pass on meta tensors, and what it costs, module by module.

The model itself is run, but no number of it is read or written: its tensors are replaced by meta tensors (shapes
without values) wherever an operator would touch them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from archzoo.profiler.operators import BIAS, MACS, SHAPES, WEIGHT, is_plain

NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


class ProfileError(ValueError):
    """A model could not be counted. The message names the part where it failed, and what would help."""


@dataclass
class Row:
    """What one module costs for one input, all that is inside it included.

    ``params`` are its learnable numbers, each once, ``norm_params`` and ``biases`` those of them that scale and shift
    in a normalisation, or are added by a layer. ``macs`` are multiply-adds, ``biased`` the outputs that had a bias
    added, ``neurons`` the outputs of layers with weights, ``layers`` how many of these ran. ``output`` is the shape of
    what it returned when it last ran, without the batch; None where it never ran or returned no tensor.
    """

    name: str
    kind: str
    params: int = 0
    norm_params: int = 0
    biases: int = 0
    macs: int = 0
    biased: int = 0
    neurons: int = 0
    layers: int = 0
    calls: int = 0
    output: tuple[int, ...] | None = None

    @property
    def weights(self) -> int:
        """Learnable numbers that are neither a bias nor of a normalisation."""
        return self.params - self.norm_params - self.biases

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.macs

    @property
    def connections(self) -> int:
        """Multiply-adds, and one connection more for each unit with a bias (LeCun et al. 1998)."""
        return self.macs + self.biased


@dataclass
class Profile:
    """What a model costs for one input of ``input_size``: exact integers, one row a module.

    ``rows[0]`` is the whole model, named "". ``depth`` is the number of layers with weights on the longest path,
    ``maps`` what each module returned, name and shape without the batch, in the order in which they finished.
    ``unknown`` names the operators that no formula covers, with how often each ran: where it is not empty, the
    multiply-adds are a lower bound.
    """

    model: str
    input_size: tuple[int, ...]
    rows: list[Row]
    depth: int = 0
    maps: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def params(self) -> int:
        """Learnable numbers, shared ones once."""
        return self.rows[0].params

    @property
    def macs(self) -> int:
        """Multiply-adds for one input."""
        return self.rows[0].macs

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return self.rows[0].flops

    def at(self, name: str) -> Row:
        """The row of one module. Raises ProfileError with the nearest names where there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        parts = [row.name for row in self.rows if row.name]
        end = name.rpartition(".")[2]
        near = [part for part in parts if part.endswith(end)] or parts
        raise ProfileError(f"{self.model} has no part {name!r}; it has {', '.join(near[:5])}")

    def sides(self, within: str = "features") -> tuple[int, ...]:
        """The sides of the square maps that one part passes through, in order, repeats left out."""
        sides = [shape[-1] for name, shape in self.maps if name.startswith(f"{within}.") and len(shape) == 3]
        return tuple(side for side, _ in groupby(sides))

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows) + 2
        lines = [f"{'':{width}}{'output':>16}{'params':>14}{'macs':>18}"]
        for row in self.rows:
            shape = "x".join(map(str, row.output)) if row.output else "-"
            lines.append(f"{row.name or row.kind:{width}}{shape:>16}{row.params:>14,}{row.macs:>18,}")
        lines += [f"not counted: {name} ({times} times)" for name, times in self.unknown.items()]
        return "\n".join(lines)


def profile(model: nn.Module, input_size: tuple[int, ...]) -> Profile:
    """What ``model`` costs for one input of ``input_size``, (channels, height, width), in evaluation mode.

    The model may live on any device, and is left as it was: its mode, parameters, buffers, hooks and the random state,
    also when its forward raises. Raises ProfileError, naming the part that failed.
    """
    if not isinstance(model, nn.Module):
        raise ProfileError(f"expected a torch.nn.Module, not {type(model).__name__}")
    if not input_size or not all(isinstance(side, int) and side > 0 for side in input_size):
        raise ProfileError(f"input_size must be positive integers such as (3, 224, 224), not {input_size!r}")
    counter = _Counter(model)
    images = torch.empty(1, *input_size, device="meta", dtype=_dtype(model))
    images._archzoo_depth = 0  # type: ignore[attr-defined]
    try:
        with torch.no_grad(), _evaluating(model), _following(counter), counter:
            model(images)
    except Exception as error:
        where = counter.path() or type(model).__name__
        size = "x".join(map(str, input_size))
        raise ProfileError(f"an input of {size} fails in {where}: {type(error).__name__}: {error}") from error
    return Profile(
        type(model).__name__, tuple(input_size), counter.rows(), counter.depth, counter.maps, counter.unknown
    )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator on meta tensors, and adds what it costs to the modules that are running."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.thread = threading.get_ident()
        self.of_module = {module: Row(name, type(module).__name__) for name, module in model.named_modules()}
        self.running: list[nn.Module] = []
        self.depth = 0
        self.maps: list[tuple[str, tuple[int, ...]]] = []
        self.unknown: dict[str, int] = {}
        self._ghosts: dict[int, Tensor] = {}
        self._own = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flat, shape = tree_flatten((args, kwargs or {}))
        if any(isinstance(item, Tensor) and (item.is_meta or id(item) in self._own) for item in flat):
            flat = [self._ghost(item) if isinstance(item, Tensor) else item for item in flat]
            args, kwargs = tree_unflatten(flat, shape)
        out = SHAPES[operator](*args, **(kwargs or {})) if operator in SHAPES and args[0].is_meta else NotImplemented
        if out is NotImplemented:
            out = operator(*args, **(kwargs or {}))
        before = [item._archzoo_depth for item in flat if hasattr(item, "_archzoo_depth")]
        packet = operator.overloadpacket
        if packet in MACS:
            layer = packet in WEIGHT and not hasattr(args[WEIGHT[packet]], "_archzoo_depth")
            bias = packet in BIAS and args[BIAS[packet]] is not None
            self._add(MACS[packet](out, *args, **(kwargs or {})), out.numel() if layer else 0, bias)
            before = [max(before, default=0) + layer]
        elif not is_plain(operator):
            name = str(packet)
            self.unknown[name] = self.unknown.get(name, 0) + 1
        if before:
            self.depth = max(self.depth, *before)
            for item in tree_flatten(out)[0]:
                if isinstance(item, Tensor):
                    item._archzoo_depth = max(before)  # type: ignore[attr-defined]
        return out

    def _ghost(self, tensor: Tensor) -> Tensor:
        """The meta tensor that stands for a real one: always the same, so that writes to it meet again."""
        if tensor.is_meta and id(tensor) not in self._own:
            return tensor
        if id(tensor) not in self._ghosts:
            self._own.setdefault(id(tensor), tensor)  # keeps it alive, and its id with it
            ghost = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")
            self._ghosts[id(tensor)] = ghost
        return self._ghosts[id(tensor)]

    def _add(self, macs: int, neurons: int, bias: bool) -> None:
        for row in {id(row): row for row in map(self.of_module.__getitem__, self.running)}.values():
            row.macs += macs
            row.neurons += neurons
            row.layers += bool(neurons)
            row.biased += neurons if bias else 0

    def enter(self, module: nn.Module, args: Any) -> None:
        """Note that a module starts to run."""
        if threading.get_ident() == self.thread and module in self.of_module:
            self.running.append(module)

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """Note what a module returned."""
        if threading.get_ident() == self.thread and module in self.of_module:
            self.running.pop()
            row = self.of_module[module]
            row.calls += 1
            row.output = tuple(out.shape[1:]) if isinstance(out, Tensor) else None
            if row.output is not None:
                self.maps.append((row.name, row.output))

    def path(self) -> str:
        """The name of the innermost module that is running."""
        return self.of_module[self.running[-1]].name if self.running else ""

    def rows(self) -> list[Row]:
        """A row for each module, in the order of the model, with its parameters."""
        for module, row in self.of_module.items():
            seen: set[int] = set()
            for inner in module.modules():
                for name, parameter in inner.named_parameters(recurse=False):
                    if id(parameter) in seen:
                        continue
                    seen.add(id(parameter))
                    row.params += parameter.numel()
                    if isinstance(inner, NORMALISATIONS):
                        row.norm_params += parameter.numel()
                    elif name.endswith("bias"):
                        row.biases += parameter.numel()
        return list(self.of_module.values())


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In evaluation mode inside, as it was outside."""
    modes = {module: module.training for module in model.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _following(counter: _Counter) -> Iterator[None]:
    """Tell the counter which modules run, through hooks that the model itself never sees."""
    handles = [
        hooks.register_module_forward_pre_hook(counter.enter),
        hooks.register_module_forward_hook(counter.leave),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _dtype(model: nn.Module) -> torch.dtype:
    """The type of the model's parameters, or the default."""
    found = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(found, torch.get_default_dtype())
