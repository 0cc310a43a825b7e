"""Recording what a network computes: every operator that torch runs, whatever the code around it looks like."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from archzoo.comparison import _operators as operators
from archzoo.comparison._constants import Constants
from archzoo.comparison._graph import Graph, Slots, Step, Weight
from archzoo.comparison._maps import (
    Labels,
    Maps,
    Moved,
    Result,
    labels_of,
    move_channels,
    move_elements,
    zeros_like,
)
from archzoo.errors import ComparisonError
from archzoo.restoring import undone

Value = Maps | Labels | Weight
DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout, torch.dropout}
STATISTICS = ("weight", "bias", "running_mean", "running_var")


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the steps of a network that runs on one input, on any device; ``training``: momenta and dropouts too.

    ``integers`` are the values of those weights that are an index or the like.
    """

    def __init__(
        self, weights: dict[str, Tensor], inputs: list[Tensor], integers: dict[str, Tensor], *, training: bool = True
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.training = training
        self.graph = Graph(names={name: tuple(weight.shape) for name, weight in weights.items()})
        self.modules: list[str] = [""]
        self.paused = False
        self._values: dict[int, Value] = {}
        self._zeros: set[int] = set()
        self._stale: set[int] = set()
        self._views: dict[int, set[int]] = {}
        self._alive: list[Tensor] = []  # so that no id is used twice
        self._constants = Constants()
        for name, weight in weights.items():
            self._hold(weight, Weight(name, tuple(weight.shape)))
            if name in integers:
                self._constants.hold(weight, integers[name])
        for tensor in inputs:
            channels = tensor.shape[1] if tensor.dim() > 1 else 1
            self._hold(tensor, Maps(np.arange(self.graph.slots, self.graph.slots + channels)))
            self.graph.slots += channels
            self.graph.inputs += channels

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.paused:
            return func(*args, **(kwargs or {}))
        name, overwrites = _name_of(func)
        call = _bound(func, args, kwargs or {})
        out = func(*args, **(kwargs or {})) if name not in operators.NORMS else _normalized(func, call, args, kwargs)
        self._record(func, name, call, out, overwrites)
        return out

    def output(self, outputs: Any) -> Graph:
        """The graph, once the network has returned these."""
        for tensor in tree_flatten(outputs)[0]:
            if isinstance(tensor, Tensor):
                labels = self._labels(tensor)
                if labels is None:
                    raise ComparisonError("an output does not depend on the input")
                shape = tuple(tensor.shape)
                value = self._values.get(id(tensor))
                channels = value.slots if isinstance(value, Maps) else labels.slots.flatten().numpy()
                places = np.zeros(1, dtype=np.int64) if isinstance(value, Maps) else labels.positions.flatten().numpy()
                self.graph.outputs.append((shape, channels, places))
        return self.graph

    def dropout(self, kind: str, maps: Tensor, rate: float) -> Tensor:
        """Record a dropout, which returns its input in eval mode."""
        if not self.training:
            return maps
        out = maps.clone()
        value = self._values.get(id(out))
        if isinstance(value, Maps):
            step = Step(kind, "channelwise", [value.slots], len(value.slots), training={"p": rate})
            self._write(out, step)
        return out

    def circular(self, pad: Callable[[], Tensor], maps: Tensor, sides: tuple[int, ...]) -> Tensor:
        """Record a circular padding, which torch writes part by part."""
        self.paused = True
        try:
            out = pad()
        finally:
            self.paused = False
        value = self._values.get(id(maps))
        if not isinstance(value, Maps):
            raise ComparisonError(f"{self.modules[-1] or 'the network'} pads what are no maps")
        settings = {"pad": sides, "mode": "circular"}
        self._write(out, Step("circular padding", "channelwise", [value.slots], len(value.slots), settings))
        return out

    def _hold(self, tensor: Tensor, value: Value) -> None:
        self._keep(tensor)
        self._values[id(tensor)] = value
        self._zeros.discard(id(tensor))

    def _hold_zeros(self, out: Any) -> None:
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                self._keep(tensor)
                self._zeros.add(id(tensor))
                self._values.pop(id(tensor), None)

    def _keep(self, tensor: Tensor) -> None:
        self._alive.append(tensor)
        self._stale.discard(id(tensor))
        self._views.setdefault(tensor.untyped_storage()._cdata, set()).add(id(tensor))

    def _write(self, out: Tensor, step: Step) -> None:
        step.module, step.shape = self.modules[-1], tuple(out.shape)
        self._hold(out, Maps(self.graph.add(step)))

    def _labels(self, tensor: Tensor) -> Labels | None:
        value = self._values.get(id(tensor))
        if isinstance(value, Maps | Labels):
            return labels_of(value, tuple(tensor.shape))
        return zeros_like(tuple(tensor.shape)) if id(tensor) in self._zeros else None

    def _record(self, func: Any, name: str, call: dict[str, Any], out: Any, overwrites: bool) -> None:
        tensors = [leaf for leaf in tree_flatten(call)[0] if isinstance(leaf, Tensor)]
        if any(id(tensor) in self._stale for tensor in tensors):
            raise ComparisonError(f"{self.modules[-1] or 'the network'} writes into a part of a tensor in place")
        values = [self._values[id(tensor)] for tensor in tensors if id(tensor) in self._values]
        first = out[0] if isinstance(out, tuple) and out and isinstance(out[0], Tensor) else out
        if overwrites and isinstance(first, Tensor):
            self._stale |= self._views.get(first.untyped_storage()._cdata, set()) - {id(first)}
        moves = operators.is_movement(name, call)
        if operators.makes_zeros(name, call) or (moves and tensors and all(id(t) in self._zeros for t in tensors)):
            self._hold_zeros(out)
            return
        if not values:
            if overwrites:
                self._zeros.discard(id(first))
            return
        if all(isinstance(value, Weight) for value in values):
            self._derive(name, call, values, out)
            self._constants.derive(lambda arguments: _call(func, arguments), call, out)
        elif name == "copy":
            raise ComparisonError(f"{self.modules[-1] or 'the network'} copies into a tensor in place")
        elif moves:
            self._move(func, name, call, tensors, out)
        else:
            self._compute(func, name, call, tensors, first)

    def _derive(self, name: str, call: dict[str, Any], values: list[Value], out: Any) -> None:
        """A tensor made of weights alone."""
        weights = [value for value in values if isinstance(value, Weight)]
        settings = {key: value for key, value in call.items() if not isinstance(value, Tensor | list) and value}
        sizes = [value for value in call.values() if isinstance(value, list) and all(type(v) is int for v in value)]
        form = f"{weights[0].form}{name}{settings or ''}{sizes or ''};"
        if name == "t" and not weights[0].form:
            form = "t"
        if name in ("alias", "detach") and isinstance(out, Tensor) and not out.is_floating_point():
            form = weights[0].form  # an index, which has no gradient to keep back
        if name in operators.RESHAPES and isinstance(out, Tensor) and _keeps_rows(out, weights[0]):
            form = ""
        beside = {other.name: other for weight in weights for other in (weight, *weight.others)}
        del beside[weights[0].name]
        others = tuple(Weight(other.name, other.shape, form="in another") for other in beside.values())
        for tensor in tree_flatten(out)[0]:
            if isinstance(tensor, Tensor):
                self._hold(tensor, Weight(weights[0].name, weights[0].shape, form=form, others=others))

    def _move(self, func: Any, name: str, call: dict[str, Any], tensors: list[Tensor], out: Any) -> None:
        indices: dict[int, Tensor] = {}
        if name in operators.BY_INDEX:
            indices = self._indices(tensors)
            tensors = [tensor for tensor in tensors if id(tensor) not in indices]
        labels = [self._labels(tensor) for tensor in tensors]
        known = [label for label in labels if label is not None]
        if len(known) < len(labels):
            self._opaque(name, call, tensors, out)
            return

        def move(replacements: list[Tensor]) -> Any:
            if _name_of(func)[1]:
                replacements = [new.clone() for new in replacements]  # which are views of a few numbers
            by_id = indices | {id(tensor): new for tensor, new in zip(tensors, replacements, strict=True)}
            kwargs = tree_map_only(Tensor, lambda tensor: by_id.get(id(tensor), tensor), call)
            return _call(func, kwargs)

        maps = [value for tensor in tensors if isinstance(value := self._values.get(id(tensor)), Maps)]
        results: list[Result] | list[Maps]
        if operators.selects_channels(name, call) and len(maps) == len(tensors):
            results = move_channels(move, maps)
        else:
            results = move_elements(move, known)
        outs = [out] if isinstance(out, Tensor) else list(out)
        for tensor, result in zip(outs, results, strict=True):
            self._place(tensor, result)

    def _indices(self, tensors: list[Tensor]) -> dict[int, Tensor]:
        """The values of the indices among some tensors, by identity.

        Those of an index that weights determine cannot be known.
        """
        indices: dict[int, Tensor] = {}
        for tensor in tensors:
            values, held = self._constants.of(tensor), self._values.get(id(tensor))
            if tensor.is_floating_point() or isinstance(held, Maps | Labels):
                continue
            if values is None and tensor.is_meta:
                raise NotImplementedError("channels are chosen by a tensor without values")
            if values is not None or held is None:
                indices[id(tensor)] = tensor if values is None else values
        return indices

    def _place(self, tensor: Tensor, result: Result) -> None:
        if isinstance(result, Maps | Labels):
            self._hold(tensor, result)
        elif isinstance(result, Moved):
            settings = {"of": result.side, "positions": _digest_of(result.positions), "size": tuple(tensor.shape[2:])}
            self._write(tensor, Step("subsample", "channelwise", [result.slots], len(result.slots), settings))
        else:
            step = Step("flatten", "position", [result.slots], len(result.slots), positions=result.positions)
            self._write(tensor, step)

    def _compute(self, func: Any, name: str, call: dict[str, Any], tensors: list[Tensor], out: Tensor) -> None:
        if name == "convolution" and self._product_of(call["input"], call["weight"]):
            self._convolve(call, out)
        elif name in ("addmm", "mm") and self._product_of(call["mat1" if name == "addmm" else "self"], call["mat2"]):
            inputs = call["mat1"] if name == "addmm" else call["self"]
            plain = name == "mm" or (call["alpha"] == 1 and call["beta"] == 1)
            if self._connect(inputs, call["mat2"], call["self"] if name == "addmm" else None, out, plain=plain):
                return
            self._opaque(name, call, tensors, out)
        elif name in operators.NORMS and isinstance(self._values.get(id(call["input"])), Maps):
            self._normalize(call, out)
        elif (name in operators.SPATIAL and len(tensors) == 1 and self._pool(func, name, call, tensors[0], out)) or (
            name in operators.POINTWISE and self._pointwise(name, call, tensors, out)
        ):
            return
        else:
            self._opaque(name, call, tensors, out)

    def _product_of(self, maps: Tensor, weight: Tensor) -> bool:
        return isinstance(self._values.get(id(maps)), Maps) and isinstance(self._values.get(id(weight)), Weight)

    def _slots(self, tensor: Tensor) -> Slots:
        value = self._values[id(tensor)]
        assert isinstance(value, Maps)
        return value.slots

    def _weights(self, **tensors: Tensor | None) -> dict[str, Weight]:
        """The weights by their roles, and what they were computed with."""
        values = {role: self._values.get(id(tensor)) for role, tensor in tensors.items() if tensor is not None}
        weights = {role: value for role, value in values.items() if isinstance(value, Weight)}
        others = {f"{role} {i}": other for role, weight in weights.items() for i, other in enumerate(weight.others)}
        return weights | others

    def _convolve(self, call: dict[str, Any], out: Tensor) -> None:
        maps, kernel, groups = call["input"], tuple(call["weight"].shape[2:]), call["groups"]
        roles = self._weights(weight=call["weight"], bias=call["bias"])
        side, slots = tuple(maps.shape[2:]), self._slots(maps)
        single = kernel == side and prod(out.shape[2:]) == 1 and not any(call["padding"])
        if single and groups == 1 and not roles["weight"].form:
            if prod(side) > 1:
                places = np.tile(np.arange(prod(side)), len(slots))
                flat = Step("flatten", "position", [slots.repeat(prod(side))], len(places), positions=places)
                flat.module, flat.shape = self.modules[-1], (1, len(places))
                slots = self.graph.add(flat)
            self._write(out, Step("linear", "product", [slots], out.shape[1], {}, {}, {"kernel_size": kernel}, roles))
            return
        settings: dict[str, Any] = {
            "kernel_size": kernel,
            "stride": tuple(call["stride"]),
            "padding": tuple(call["padding"]),
            "dilation": tuple(d if k > 1 else 1 for d, k in zip(call["dilation"], kernel, strict=True)),
        }
        if call["transposed"]:
            settings |= {"transposed": True, "output_padding": tuple(call["output_padding"])}
        outs, ins = out.shape[1] // groups, len(slots) // groups
        if groups > 1 and outs == ins == 1:
            step = Step("depthwise convolution", "channelwise", [slots], groups, settings, weights=roles)
            self._write(out, step)
            return
        written = []
        for group in range(groups):
            rows = {role: ins if call["transposed"] and role == "weight" else outs for role in roles}
            part = {role: _rows(whole, rows[role], group, groups) for role, whole in roles.items()}
            reads = slots[group * ins : (group + 1) * ins]
            step = Step("convolution", "product", [reads], outs, settings, {}, {"groups": groups}, part)
            self._write(out, step)
            written.append(step.writes)
        self._hold(out, Maps(np.concatenate(written)))

    def _connect(self, maps: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor, *, plain: bool) -> bool:
        weights = self._weights(weight=weight, bias=bias)
        held = weights["weight"]
        if held.form != "t" or not plain or (bias is not None and "bias" not in weights):
            return False
        weights["weight"] = Weight(held.name, held.shape)
        self._write(out, Step("linear", "product", [self._slots(maps)], out.shape[1], weights=weights))
        return True

    def _normalize(self, call: dict[str, Any], out: Tensor) -> None:
        weights = self._weights(**{role: call.get(role) for role in STATISTICS})
        batch = bool(call.get("training"))
        settings = {"eps": call.get("eps", call.get("epsilon"))} | ({"statistics": "of the batch"} if batch else {})
        slots = self._slots(call["input"])
        momentum = {"momentum": call.get("momentum", call.get("exponential_average_factor"))}
        training = momentum if self.training else {}
        self._write(out, Step("batch_norm", "channelwise", [slots], len(slots), settings, training, weights=weights))

    def _pool(self, func: Any, name: str, call: dict[str, Any], maps: Tensor, out: Tensor) -> bool:
        """Windows over positions. Returns False for what is no such window."""
        value = self._values.get(id(maps))
        if not isinstance(value, Maps) or maps.dim() < 3:
            return False
        before, after = tuple(maps.shape[2:]), tuple(out.shape[2:])
        settings: dict[str, Any] = {key: _plain(item) for key, item in call.items() if not isinstance(item, Tensor)}
        kind = operators.NAMES.get(name, name)
        written: dict[str, Any] = {}
        if name == "constant_pad_nd":
            if any(call["pad"][2 * len(before) :]):
                if call["value"] == 0:
                    self._move(func, name, call, [maps], out)
                return bool(call["value"] == 0)
        elif name in ("mean", "sum", "amax"):
            axes = call.get("dim") or range(maps.dim())
            if {axis % maps.dim() for axis in axes} != set(range(2, maps.dim())):
                return False
            kind, settings = {"mean": "global_average", "sum": "global_sum", "amax": "global_max"}[name], {}
        elif "pool" in name and maps.dim() == 4:
            if before == after and "adaptive" in name:
                self._hold(out, value)
                return True
            kind, settings, written = operators.pooling(name, call, before, after)
            single = settings.get("kernel_size") == (1, 1) and settings["padding"] == (0, 0)
            if single and "divisor_override" not in settings:
                down, right = settings["stride"]
                labels = labels_of(value, tuple(maps.shape))
                moved = move_elements(lambda parts: parts[0][:, :, ::down, ::right], [labels])
                self._place(out, moved[0])
                return True
        self._write(out, Step(kind, "channelwise", [value.slots], len(value.slots), settings, written=written))
        return True

    def _pointwise(self, name: str, call: dict[str, Any], tensors: list[Tensor], out: Tensor) -> bool:
        """Operators on each element alone. Returns False where the operands do not have the same channels."""
        values = [self._values.get(id(tensor)) for tensor in tensors]
        maps = [value for value in values if isinstance(value, Maps)]
        channels = max((len(value.slots) for value in maps), default=0)
        if any(isinstance(value, Labels) for value in values) or not maps or out.dim() < 2 or out.shape[1] != channels:
            return False
        ranks = {tensor.dim() for tensor, value in zip(tensors, values, strict=True) if isinstance(value, Maps)}
        if len(ranks) > 1 or any(len(value.slots) not in (1, channels) for value in maps):
            return False
        if len(tensors) == 1 and operators.changes_nothing(name, call):
            self._hold(out, maps[0])
            return True
        names = {"other": operators.OPERANDS[name]} if name in operators.OPERANDS else {}
        settings = {names.get(key, key): _plain(item) for key, item in call.items() if not isinstance(item, Tensor)}
        settings = {key: item for key, item in settings.items() if item not in (None, "") and item is not False}
        if operators.is_relu(name, call):
            name, settings = "relu", {}
        if name == "add" and settings.get("alpha") == 1:
            del settings["alpha"]
        if name == "_to_copy":
            settings = {"dtype": str(out.dtype)}
        fixed = self._weights(**{f"operand {i}": tensor for i, tensor in enumerate(tensors)})
        constants = {
            f"constant {i}": tuple(tensor.shape)
            for i, (tensor, value) in enumerate(zip(tensors, values, strict=True))
            if value is None
        }
        reads = [value.slots.repeat(channels) if len(value.slots) < channels else value.slots for value in maps]
        kind = operators.NAMES.get(name, name)
        self._write(out, Step(kind, "channelwise", reads, channels, settings | constants, weights=fixed))
        return True

    def _opaque(self, name: str, call: dict[str, Any], tensors: list[Tensor], out: Any) -> None:
        """Any other operator: each of its outputs depends on all inputs, in their order."""
        settings = {key: _plain(item) for key, item in call.items() if not isinstance(item, Tensor | list)}
        reads = []
        weights = self._weights(**{f"operand {i}": tensor for i, tensor in enumerate(tensors)})
        for number, tensor in enumerate(tensors):
            value = self._values.get(id(tensor))
            if isinstance(value, Maps):
                reads.append(value.slots)
                settings[f"shape {number}"] = tuple(tensor.shape[1:])
            elif isinstance(value, Labels):
                elements = value.slots.flatten().numpy()
                reads.append(elements)
                settings[f"elements {number}"] = _digest_of(value.positions.flatten().numpy())
        for position, tensor in enumerate(tree_flatten(out)[0]):
            if isinstance(tensor, Tensor) and tensor.dim():
                count = tensor.shape[1] if tensor.dim() > 1 else 1
                settings = settings | ({"output": position} if position else {})
                self._write(tensor, Step(name, "opaque", reads, count, settings, weights=weights))


class Dropouts(TorchFunctionMode):
    """Dropouts in eval mode, which run no operator that says what they are."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in DROPOUTS:
            maps = args[0] if args else kwargs["input"]
            rate = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            return self.recorder.dropout(func.__name__, maps, float(rate)) if rate else maps
        if func is F.pad and "circular" in (*args[2:3], kwargs.get("mode")):
            maps = args[0] if args else kwargs["input"]
            sides = tuple(args[1] if len(args) > 1 else kwargs["pad"])
            return self.recorder.circular(lambda: func(*args, **kwargs), maps, sides)
        return func(*args, **kwargs)


@contextmanager
def recording(recorder: Recorder, model: nn.Module) -> Iterator[None]:
    """Record what runs in the block, with the names of the modules of this model."""
    names = {id(module): name for name, module in model.named_modules()}
    thread = threading.get_ident()  # hooks of all modules are called in all threads

    def enter(module: nn.Module, args: Any) -> None:
        if threading.get_ident() != thread:
            return
        recorder.modules.append(names.get(id(module), recorder.modules[-1]))

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() == thread:
            recorder.modules.pop()

    handles = [
        torch_module.register_module_forward_pre_hook(enter),
        torch_module.register_module_forward_hook(leave, always_call=True),
    ]
    with undone([handle.remove for handle in handles]), torch.no_grad(), recorder, Dropouts(recorder):
        yield


@cache
def _name_of(func: Any) -> tuple[str, bool]:
    """The name of an operator, and whether it writes into its first operand."""
    name = str(func._schema.name).rpartition("::")[2]
    overwrites = name.endswith("_") and not name.endswith("__")
    return (name[:-1] if overwrites else name), overwrites


def _bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments by name, with defaults."""
    names = [argument.name for argument in func._schema.arguments]
    defaults = {a.name: a.default_value for a in func._schema.arguments if a.has_default_value()}
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


def _call(func: Any, call: dict[str, Any]) -> Any:
    """A movement of labels, whose layout in memory is not that of the tensor that they label."""
    if _name_of(func)[0] in ("view", "_unsafe_view", "_reshape_alias"):
        return call["self"].reshape(call["size"])
    arguments = func._schema.arguments
    positional = [call[argument.name] for argument in arguments if not argument.kwarg_only]
    named = {argument.name: call[argument.name] for argument in arguments if argument.kwarg_only}
    named.pop("memory_format", None)
    return func(*positional, **named)


def _normalized(func: Callable[..., Any], call: dict[str, Any], args: Any, kwargs: Any) -> Any:
    """The outputs of a batch norm, without the slow computation on tensors that have no values."""
    if not call["input"].is_meta:
        return func(*args, **(kwargs or {}))
    return torch.empty_like(call["input"]), call["input"].new_empty(0), call["input"].new_empty(0)


def _keeps_rows(out: Tensor, weight: Weight) -> bool:
    """Whether a reshape leaves the outputs of a layer, as where a linear layer has the weights of a 1x1 convolution."""
    several = not weight.form and min(out.dim(), len(weight.shape)) > 1
    return several and out.shape[0] == weight.shape[0] and out.numel() == prod(weight.shape)


def _rows(weight: Weight, count: int, group: int, groups: int) -> Weight:
    """What one group of a convolution reads of a weight: all of it, if it was computed from others."""
    if groups == 1 or weight.form:
        return weight
    return Weight(weight.name, weight.shape, (group * count, (group + 1) * count))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value if isinstance(value, int | float | bool | str | None) else str(value)


def _digest_of(numbers: Slots) -> str:
    return hashlib.blake2b(np.ascontiguousarray(numbers).tobytes(), digest_size=8).hexdigest()
