"""One forward pass on meta tensors, and what it costs, module by module.

The model itself is run, but no number of it is read or written: its tensors are replaced by meta tensors (shapes
without values) wherever an operator would touch them.
"""

import threading
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.profiler.meta import (
    Ghosts,
    following,
    hint,
    is_lazy,
    materialized,
    meta_copy,
    meta_inputs,
    modules_of,
    preserved,
    sizes_of,
    spell_sizes,
    uncollected,
)
from archzoo.profiler.operators import Counts, Operator, Work, look_up
from archzoo.profiler.parameters import count_parameters
from archzoo.profiler.profiles import Profile
from archzoo.profiler.rows import Row
from archzoo.profiler.tape import Tape


def profile(model: nn.Module, input_size: Any, *, batch: int | None = None) -> Profile:
    """What ``model`` costs for one input of ``input_size``, (channels, height, width), in evaluation mode.

    An example tensor, with its batch, may stand for a size (its values are not read); a list of sizes or tensors gives
    several inputs, a dict inputs by name. The pass runs ``batch`` inputs together, and counts for one of them.

    The model may live on any device, and is left as it was: its mode, parameters, buffers, hooks and the random state,
    also when its forward raises. Raises ProfileError, naming the part that failed, with what had been counted.
    """
    if not isinstance(model, nn.Module):
        raise ProfileError(f"expected a torch.nn.Module, not {type(model).__name__}")
    model = getattr(model, "_orig_mod", model)  # what torch.compile was given
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        model = meta_copy(model)  # recurrent layers compare devices before any operator is called
    args, kwargs, batch = meta_inputs(model, input_size, batch)
    sizes = sizes_of(input_size)
    counter = _Counter(model, (args, kwargs))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            if any(map(is_lazy, counter.ghosts.own.values())):
                model = materialized(model, args, kwargs)
                counter = _Counter(model, (args, kwargs))
            with (
                preserved(counter.names, training=False),
                following(counter.enter, counter.leave),
                uncollected(),
                counter,
            ):
                model(*args, **kwargs)
    except Exception as error:
        where = counter.path() or type(model).__name__
        said = f"{type(error).__name__}: {error}{hint(model, error)}"
        partial = None if any(map(is_lazy, counter.ghosts.own.values())) else counter.profile(sizes, batch)
        raise ProfileError(f"an input of {spell_sizes(sizes)} fails in {where}: {said}", partial) from error
    return counter.profile(sizes, batch)


class Trace(NamedTuple):
    """Where a tensor comes from: layers with weights before it, its place on the tape, whether it has a gradient.

    A tensor that does not depend on the input has no depth and no place.
    """

    depth: int
    place: int
    grad: bool


CONSTANT, LEARNABLE = Trace(-1, -1, False), Trace(-1, -1, True)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator on meta tensors, and adds what it costs to the modules that are running."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here: saves importing the compiler, and two frames a call

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.thread = threading.get_ident()
        self.names = modules_of(model)
        self.ghosts = Ghosts(self.names)
        self.running: list[nn.Module] = []
        self.works: list[Counts] = [{}]  # what was done in each running module, and outside of all
        self.done: dict[nn.Module, Counts] = {}
        self.left: list[tuple[nn.Module, tuple[int, ...] | None, int]] = []
        self.depth = 0
        self.unknown: dict[str, int] = {}
        self.traces: dict[int, Trace] = {}
        self.written: dict[int, Trace] = {}  # by storage: what was written into a part of a tensor
        images = [one for one in tree_leaves(inputs) if isinstance(one, Tensor)]
        self.tape = Tape(images)
        for place, image in enumerate(images):
            self.traces[id(image)] = Trace(0, place, False)

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        known = look_up(operator)
        tensors = known.tensors(args, kwargs)
        out = NotImplemented
        if known.shape is not None:
            subject = tensors[known.subject]
            if subject.is_meta and id(subject) not in self.ghosts.own:
                out = known.shape(*args, **kwargs)
        if out is NotImplemented:
            own = self.ghosts.own
            if any(tensor.is_meta or id(tensor) in own for tensor in tensors):
                instead, named = self.ghosts.instead(args, kwargs)
                out = operator(*instead, **named)
            else:
                out = operator(*args, **kwargs)
        if tensors and not known.fresh:
            self._follow(operator, known, out, tensors, args, kwargs)
        return out

    def _follow(
        self, operator: Any, known: Operator, out: Any, tensors: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> None:
        """Add the work of one call, and trace what it returned."""
        work = self.works[-1]
        inputs: list[tuple[Tensor, int]] = []
        depth, grad = -1, False
        for tensor in tensors:
            before, place, learns = self.traces.get(id(tensor)) or self._trace(tensor)
            grad = grad or learns
            if place >= 0:
                inputs.append((tensor, place))
                depth = max(depth, before)
        if known.macs is not None:
            layer = self._multiply(work, known, out, args, kwargs)
            depth += layer and bool(inputs)
        elif known.other is not None:
            for name, count in known.other(out, *args, **kwargs).items():
                work[name] = work.get(name, 0) + count
        elif not known.known:
            name = str(operator.overloadpacket)
            self.unknown[name] = self.unknown.get(name, 0) + 1
        if inputs:
            self.depth = max(self.depth, depth)
            if out is not inputs[0][0] or len(inputs) > 1:
                place = self.tape.record(known.field, out, inputs, args, kwargs)
                self._mark(out, Trace(depth, place, grad), known)
        elif grad:
            self._mark(out, LEARNABLE, known)

    def _multiply(self, work: Counts, known: Operator, out: Any, args: Any, kwargs: dict[str, Any]) -> bool:
        """Add the multiply-adds of one call; whether it is a layer with weights."""
        assert known.macs is not None
        macs = known.macs(out, *args, **kwargs)
        work["macs"] = work.get("macs", 0) + macs
        learning = sum([self._trace(args[at]).grad for at in known.factors])
        work["backward_macs"] = work.get("backward_macs", 0) + learning * macs
        if known.weight is None or self._trace(args[known.weight]).place >= 0:
            return False
        outputs = out.numel()
        work["neurons"] = work.get("neurons", 0) + outputs
        work["layers"] = work.get("layers", 0) + 1
        if known.bias is not None and args[known.bias] is not None:
            work["biased"] = work.get("biased", 0) + outputs
        return True

    def _trace(self, tensor: Tensor) -> Trace:
        trace = self.traces.get(id(tensor))
        if trace is None and self.written:
            trace = self.written.get(tensor.untyped_storage()._cdata)
        return trace or (LEARNABLE if tensor.requires_grad else CONSTANT)

    def _mark(self, out: Any, trace: Trace, known: Operator) -> None:
        for tensor in (out,) if isinstance(out, Tensor) else out:
            if isinstance(tensor, Tensor):
                self.traces[id(tensor)] = trace
                self.tape.kept.append(tensor)
                if known.writes:
                    self._write(tensor, trace)

    def _write(self, tensor: Tensor, trace: Trace) -> None:
        """Note for all views of a tensor that something was written into one of them."""
        key = tensor.untyped_storage()._cdata
        before = self.written.get(key, CONSTANT)
        if before.place >= 0 and trace.place >= 0:
            place = self.tape.record_union(tensor, [before.place, trace.place])
            trace = Trace(max(before.depth, trace.depth), place, before.grad or trace.grad)
        self.written[key] = trace

    def enter(self, module: nn.Module, args: Any) -> None:
        """Note that a module starts to run."""
        if module in self.names and threading.get_ident() == self.thread:
            self.running.append(module)
            self.works.append({})

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """Note what a module returned."""
        if module not in self.names or threading.get_ident() != self.thread:
            return
        self._finish()
        tensor = out if isinstance(out, Tensor) else next((t for t in tree_leaves(out) if isinstance(t, Tensor)), None)
        if tensor is None:
            self.left.append((module, None, -1))
        else:
            self.left.append((module, tuple(tensor.shape), self._trace(tensor).place))

    def _finish(self) -> None:
        """Hand the work of the innermost module on to the one around it."""
        module, work = self.running.pop(), self.works.pop()
        if work:
            _add(self.works[-1], work)
            if module in self.done:
                if module not in self.running:
                    _add(self.done[module], work)
            elif module not in self.running:  # a module that calls itself counts once, in its outermost call
                self.done[module] = work

    def path(self) -> str:
        """The name of the innermost module that is running."""
        return self.names[self.running[-1]] if self.running else ""

    def profile(self, input_size: Any, batch: int) -> Profile:
        """What was counted, for one of the inputs that ran together."""
        while self.running:
            self._finish()
        rows = {}
        for module, name in self.names.items():
            work = Work(**self.done.get(module, {}))
            rows[module] = Row(name, type(module).__name__, work=work if batch == 1 else work.of_one(batch))
        maps = []
        for module, shape, place in self.left:
            row = rows[module]
            row.calls += 1
            row.output = None if shape is None else shape[1:]
            row.seen = (self.tape, place, shape) if shape and place >= 0 else None
            if row.output is not None:
                maps.append((row.name, row.output))
        count_parameters(rows)
        listed = list(rows.values())
        return Profile(listed[0].kind, input_size, listed, self.depth, maps, self.unknown, batch)


def _add(sums: Counts, more: Counts) -> None:
    for name, count in more.items():
        sums[name] = sums.get(name, 0) + count
