"""One forward pass on meta tensors, counted module by module.

A stand-in for the model runs, so that nothing of the model changes, and none of its values is written: wherever an
operator would touch its tensors, meta tensors (shapes without values) take their place.
"""

import gc
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from archzoo.errors import InputError, ProfileError
from archzoo.profiler._coverage import coverage_of
from archzoo.profiler._fake_pass import FakePass, fake_tensors_quiet
from archzoo.profiler._higher_order import FLEX_ATTENTION, run_higher_order
from archzoo.profiler._inputs import common_axis, meta_inputs, sizes_of, spell_sizes, without_batch
from archzoo.profiler._meta import MetaTensors, hint, is_lazy, materialize_lazy, module_hooks, modules_of, tensors_of
from archzoo.profiler._module_stats import ModuleStats
from archzoo.profiler._module_work import MODULE_WORK
from archzoo.profiler._operators import Operator, look_up
from archzoo.profiler._parameters import count_parameters
from archzoo.profiler._profiles import Profile
from archzoo.profiler._scripted import scripted_in_eval
from archzoo.profiler._stand_ins import StandIns
from archzoo.profiler._trace import CONSTANT, LEARNABLE, CallTrace, Origin
from archzoo.profiler._value_readers import is_nested, refuse_nested
from archzoo.profiler._work import Counts, Work
from archzoo.profiler._wrappers import as_if_compiled
from archzoo.restoring import and_restore, remove_hooks, restore_generators, restore_modes, restore_settings
from archzoo.wrappers import unwrapped

COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


@torch.inference_mode(False)
def profile(model: nn.Module, input_size: Any, *, batch: int | None = None, batch_axis: int | None = 0) -> Profile:
    """Count the cost of ``model`` for one input of ``input_size``, (channels, height, width), in eval mode.

    Args:
        model: Any module, on any device. A stand-in for it runs. So it is unchanged afterwards, whatever its forward
            does and however the pass ends, also by Ctrl-C; and so are the random generators of Python, numpy and torch,
            and torch's settings. What forward changes outside the model stays changed: files, global variables, objects
            of other classes than modules, tensors, containers and dataclasses, and what its functions hold.
        input_size: A size without the batch, or an example tensor with it (its values are not read). A list of these
            gives several inputs, a dict inputs by name. Numbers, strings, booleans and None among them are passed as
            they are; a list of positive integers is a size. A sparse tensor keeps the number of its elements.
        batch: How many inputs run together. All counts are for one of them.
        batch_axis: The dimension of the inputs that is the batch: 1 for (sequence, batch, features). With None the
            sizes are complete and the counts are for the whole call. So are they if example tensors have different
            lengths along ``batch_axis`` and no ``batch`` is given.

    Raises:
        ProfileError: The forward pass failed, or has nested tensors. The message names the part; ``partial`` has the
            counts up to there.
    """
    result: Profile = run_pass(CountingMode, model, input_size, batch, batch_axis)
    return result


def run_pass(
    mode: "type[CountingMode]", model: nn.Module, input_size: Any, batch: int | None, batch_axis: int | None
) -> Any:
    """What a mode makes of a forward pass, by its method ``profile``."""
    if not isinstance(model, nn.Module):
        raise ProfileError(f"expected a torch.nn.Module, not {type(model).__name__}")
    model = unwrapped(model)
    axis = common_axis(input_size, batch, batch_axis)
    args, kwargs, batch = meta_inputs(model, input_size, batch, axis)
    sizes = sizes_of(input_size, axis)
    counters: list[CountingMode] = []

    def run() -> Any:
        gc.disable()  # a pass keeps all its tensors, so that a collection finds nothing
        with torch.no_grad():
            counters.append(mode(model, (args, kwargs)))
            if counters[0].is_lazy:
                counters.append(mode(materialize_lazy(model, args, kwargs), (args, kwargs)))
            counter = counters[-1]
            hooked = module_hooks(counter.enter, counter.leave)
            with mode.attention(), scripted_in_eval(counter.names), hooked, counter:
                counter.model(*args, **kwargs)
        counters.clear()  # nor does it find anything in stand-ins, which are gone before the collector is back
        return counter.profile(sizes, batch, axis)

    def leave_modules() -> None:
        remove_hooks([hook for counter in counters for hook in (counter.enter, counter.leave)])

    try:
        return and_restore(run, [leave_modules, *restore_generators(), *restore_modes(), *restore_settings()])
    except Exception as error:
        if not counters:
            raise
        is_misfit = isinstance(error, InputError)  # a network of ours has found that images of this size do not fit
        second = None if is_misfit else _count_on_fake_tensors(mode, model, (args, kwargs))
        if second is not None:
            return second.profile(sizes, batch, axis)
        counter = counters[-1]
        part = counter.path() or type(model).__name__
        reason = f"{type(error).__name__}: {error}{hint(model, error)}"
        partial = None if counter.is_lazy else counter.profile(sizes, batch, axis)
        raise ProfileError(f"an input of {spell_sizes(sizes)} fails in {part}: {reason}", partial) from error


def _count_on_fake_tensors(mode: "type[CountingMode]", model: nn.Module, inputs: Any) -> "CountingMode | None":
    """The counter after a pass on fake tensors, also as if it was compiled, or None if that fails too."""
    for pretended in (False, True):
        with suppress(Exception), fake_tensors_quiet():
            fake = FakePass(model, inputs)
            counter = mode(fake.model, fake.inputs, fake=True)
            args, kwargs = fake.inputs
            hooked = module_hooks(counter.enter, counter.leave)
            with fake.active(), as_if_compiled(pretended), scripted_in_eval(counter.names), hooked, counter:
                fake.model(*args, **kwargs)
            return counter
    return None


class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator on meta tensors and adds its cost to the modules that are running.

    With ``fake``, tensors are fake ones, and the mode around this one replaces the others.
    """

    supports_higher_order_operators = True
    attention: Callable[[], AbstractContextManager[Any]] = nullcontext  # in which a kernel of attention is chosen

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here: saves importing the compiler, and two frames a call

    def __init__(self, model: nn.Module, inputs: Any, *, fake: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fake = fake
        self.thread = threading.get_ident()
        if fake:  # the model is a copy
            self.model = model
            self.names = modules_of(model)
            self.originals = list(self.names)
            self._stand_ins: dict[nn.Module, nn.Module] = {}
        else:
            stand_ins = StandIns(model)
            self.model, self.names, self.originals = stand_ins.model, stand_ins.names, stand_ins.originals
            self._stand_ins = stand_ins.of_module
        tensors = tensors_of(self.names)
        self.is_lazy = any(map(is_lazy, tensors))
        self.meta = MetaTensors(tensors)
        self.running: list[nn.Module] = []
        self.counts: list[Counts] = [{}]  # of each running module; the first entry is outside of all modules
        self.finished: dict[nn.Module, Counts] = {}
        self.returned: list[tuple[nn.Module, tuple[int, ...] | None, int]] = []
        self.depth = 0
        self.input_depths: list[int | None] = []  # of each running module
        self.depths: dict[nn.Module, int] = {}
        self.operators: list[Operator] = []  # of each call
        self.origins: dict[int, Origin] = {}
        self.written: dict[int, Origin] = {}  # by storage: the origin of what was written into a part of a tensor
        images = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
        self.trace = CallTrace(images)
        for index, image in enumerate(images):
            self.origins[id(image)] = Origin(0, index, False)

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if types and is_nested(types):
            refuse_nested()
        if isinstance(operator, HigherOrderOperator):
            out = run_higher_order(operator, args)
            self._count(operator, FLEX_ATTENTION, out, list(args[:3]), args, kwargs)
            return out
        known = look_up(operator)
        if known.composite:  # inference mode leaves it to the dispatch mode to decompose
            with self:
                return operator._op_dk(COMPOSITE, *args, **kwargs)
        tensors = known.tensors(args, kwargs)
        out = NotImplemented
        if known.shape is not None and not self.fake:
            subject = tensors[known.subject]
            if subject.is_meta:
                out = known.shape(*args, **kwargs)
        if out is NotImplemented:
            own = self.meta.own
            if known.values is not None:
                out = known.values(*args, **kwargs)
            elif not self.fake and any(tensor.is_meta or id(tensor) in own for tensor in tensors):
                meta_args, meta_kwargs = self.meta.substitute(args, kwargs)
                out = operator(*meta_args, **meta_kwargs)
            else:
                out = self.meta.compute(operator, tensors, args, kwargs)
        if tensors and not known.fresh:
            self._count(operator, known, out, tensors, args, kwargs)
        return out

    def _count(
        self, operator: Any, known: Operator, out: Any, tensors: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> None:
        """Add the cost of one call, and record the origin of its result."""
        if known.outs:
            kwargs = {name: value for name, value in kwargs.items() if name not in known.outs}
        self.operators.append(known)
        counts = self.counts[-1]
        inputs: list[tuple[Tensor, int]] = []
        depth, grad = -1, False
        for tensor in tensors:
            tensor_depth, index, tensor_grad = self.origins.get(id(tensor)) or self._origin(tensor)
            grad = grad or tensor_grad
            if index >= 0:
                inputs.append((tensor, index))
                depth = max(depth, tensor_depth)
        if known.macs is not None:
            layer = self._count_product(counts, known, out, args, kwargs)
            depth += layer and bool(inputs)
        elif known.other_ops is not None:
            for name, count in known.other_ops(out, *args, **kwargs).items():
                counts[name] = counts.get(name, 0) + count
        if inputs:
            self.depth = max(self.depth, depth)
            if out is not inputs[0][0] or len(inputs) > 1:
                index = self.trace.record(known.field_rule, out, inputs, args, kwargs)
                self._record_origin(out, Origin(depth, index, grad), known)
        elif grad:
            self._record_origin(out, LEARNABLE, known)

    def _count_product(self, counts: Counts, known: Operator, out: Any, args: Any, kwargs: dict[str, Any]) -> bool:
        """Add the multiply-adds of one call; return whether it is a layer with weights."""
        assert known.macs is not None
        macs = known.macs(out, *args, **kwargs)
        counts["macs"] = counts.get("macs", 0) + macs
        if known.padding is not None and (padding := known.padding(out, *args)):
            counts["padding_macs"] = counts.get("padding_macs", 0) + padding
        gradients = sum([self._origin(args[position]).grad for position in known.factors])
        if known.by_output is not None and args[6]:
            _add(counts, {"transposed_macs": macs, "transposed_by_output": known.by_output(out, *args)})
        counts["backward_macs"] = counts.get("backward_macs", 0) + gradients * macs
        if known.weight is None or self._origin(args[known.weight]).call_index >= 0:
            return False
        outputs = (out if isinstance(out, Tensor) else out[0]).numel()
        counts["neurons"] = counts.get("neurons", 0) + outputs
        counts["layers"] = counts.get("layers", 0) + 1
        if known.bias is not None and len(args) > known.bias and args[known.bias] is not None:
            counts["biased"] = counts.get("biased", 0) + outputs
            if known.padding is None:  # no convolution
                counts["linear_biased"] = counts.get("linear_biased", 0) + outputs
        return True

    def _origin(self, tensor: Tensor) -> Origin:
        origin = self.origins.get(id(tensor))
        if origin is None and self.written:
            origin = self.written.get(tensor.untyped_storage()._cdata)
        return origin or (LEARNABLE if tensor.requires_grad else CONSTANT)

    def _record_origin(self, out: Any, origin: Origin, known: Operator) -> None:
        for tensor in (out,) if isinstance(out, Tensor) else out if isinstance(out, list | tuple) else ():
            if isinstance(tensor, Tensor):
                own = origin
                if own.grad and not (tensor.dtype.is_floating_point or tensor.dtype.is_complex):
                    own = own._replace(grad=False)  # an index or a mask
                self.origins[id(tensor)] = own
                self.trace.tensors.append(tensor)
                if known.writes:
                    self._record_write(tensor, own)

    def _record_write(self, tensor: Tensor, origin: Origin) -> None:
        """Record for all views of a tensor that something was written into one of them."""
        key = tensor.untyped_storage()._cdata
        before = self.written.get(key, CONSTANT)
        if before.call_index >= 0 and origin.call_index >= 0:
            index = self.trace.record_union(tensor, [before.call_index, origin.call_index])
            origin = Origin(max(before.depth, origin.depth), index, before.grad or origin.grad)
        self.written[key] = origin

    def _depth_of(self, tensors: Any) -> int | None:
        """Layers with weights before the deepest of these tensors; None if no tensor is among them."""
        if type(tensors) is tuple and len(tensors) == 1:  # the inputs of most modules
            tensors = tensors[0]
        if isinstance(tensors, Tensor):
            return max((self.origins.get(id(tensors)) or self._origin(tensors)).depth, 0)
        origins = [self._origin(tensor) for tensor in tree_leaves(tensors) if isinstance(tensor, Tensor)]
        return max((max(origin.depth, 0) for origin in origins), default=None)

    def enter(self, module: nn.Module, args: Any) -> None:
        """Forward pre-hook: the module starts to run."""
        module = self._stand_ins.get(module, module)  # what holds a module of the model, as a closure does, runs that
        if module in self.names and threading.get_ident() == self.thread:
            self.running.append(module)
            self.counts.append({})
            self.input_depths.append(self._depth_of(args))

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """Forward hook: record what the module returned."""
        module = self._stand_ins.get(module, module)
        if module not in self.names or threading.get_ident() != self.thread:
            return
        of_module = MODULE_WORK.get(type(module))
        if of_module is not None and args:
            first = out[0] if isinstance(out, tuple) else out  # of a recurrent layer: its states come after it
            if isinstance(first, Tensor):
                _add(self.counts[-1], of_module(module, args[0], first))
        self._finish()
        before, after = self.input_depths.pop(), self._depth_of(out)
        added = 0 if before is None or after is None else max(after - before, 0)
        self.depths[module] = self.depths.get(module, 0) + added
        tensor = out if isinstance(out, Tensor) else next((t for t in tree_leaves(out) if isinstance(t, Tensor)), None)
        if tensor is None:
            self.returned.append((module, None, -1))
        else:
            self.returned.append((module, tuple(tensor.shape), self._origin(tensor).call_index))

    def _finish(self) -> None:
        """Add the counts of the innermost running module to the module around it."""
        module, counts = self.running.pop(), self.counts.pop()
        if counts:
            _add(self.counts[-1], counts)
            if module in self.finished:
                if module not in self.running:
                    _add(self.finished[module], counts)
            elif module not in self.running:  # a module that calls itself counts once, in its outermost call
                self.finished[module] = counts

    def path(self) -> str:
        """The name of the innermost module that is running."""
        return self.names[self.running[-1]] if self.running else ""

    def profile(self, input_size: Any, batch: int, batch_axis: int | None = 0) -> Any:
        """The counts for one of the inputs that ran together."""
        while self.running:
            self._finish()
        stats: dict[nn.Module, ModuleStats] = {}
        for module, name in self.names.items():
            work = Work(**self.finished.get(module, {}))
            stats[module] = ModuleStats(
                name, type(module).__name__, work=work if batch == 1 else work.per_sample(batch)
            )
        outputs = []
        for module, shape, index in self.returned:
            module_stats = stats[module]
            module_stats.calls += 1
            module_stats.depth = self.depths[module]
            module_stats.output = None if shape is None else without_batch(shape, batch_axis)
            module_stats.field_source = (self.trace, index, shape) if shape and index >= 0 else None
            if module_stats.output is not None:
                outputs.append((module_stats.name, module_stats.output))
        count_parameters(dict(zip(self.originals, stats.values(), strict=True)))
        modules = list(stats.values())
        return Profile(
            modules[0].kind, input_size, modules, self.depth, outputs, coverage_of(self.operators), batch, batch_axis
        )


def _add(sums: Counts, counts: Counts) -> None:
    for name, count in counts.items():
        sums[name] = sums.get(name, 0) + count
