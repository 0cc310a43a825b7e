"""Running a model on meta tensors: shapes without values."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.utils._pytree import tree_leaves

from archzoo.profiler._shapes import META
from archzoo.profiler._value_readers import NESTED_ADVICE
from archzoo.profiler._wrappers import copied_without_wrappers, run_eagerly
from archzoo.wrappers import inner_names, unwrapped

Enter = Callable[[nn.Module, Any], None]
Leave = Callable[[nn.Module, Any, Any], None]


LAZY = (UninitializedParameter, UninitializedBuffer)
# What turns numbers in Python into a tensor: it returns the tensor that nobody else has.
LIFTS = (torch.ops.aten.lift_fresh.default, torch.ops.aten.lift.default)


def storage_of(tensor: Tensor) -> int:
    """What identifies the memory of a tensor as long as it lives; -1 for tensors without strides."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return -1


def modules_of(model: nn.Module) -> dict[nn.Module, str]:
    """Every module once, with the first name by which it is reached. Wrappers are not among them: what is inside is."""
    names: dict[nn.Module, str] = {}
    _add_modules(model, "", names, inner_names())
    return names


def _add_modules(module: nn.Module, name: str, names: dict[nn.Module, str], wrappers: dict[type, str]) -> None:
    names[module] = name
    for part, inner in module._modules.items():
        if type(inner) in wrappers:
            inner = unwrapped(inner)  # type: ignore[arg-type]
        if inner is not None and inner not in names:
            _add_modules(inner, f"{name}.{part}" if name else part, names, wrappers)


def tensors_of(modules: Iterable[nn.Module]) -> list[Tensor]:
    """The parameters and buffers of the modules themselves."""
    held = [held for module in modules for held in (module._parameters, module._buffers) if held]
    return [tensor for tensors in held for tensor in tensors.values() if tensor is not None]


def parameters_of(model: nn.Module) -> list[nn.Parameter]:
    """Every parameter once, also where an attribute has the name of the method that would list them."""
    held = (parameter for module in modules_of(model) for parameter in module._parameters.values())
    return list(dict.fromkeys(parameter for parameter in held if parameter is not None))


def buffers_of(model: nn.Module) -> list[Tensor]:
    """Every buffer once, as ``parameters_of`` parameters."""
    held = (buffer for module in modules_of(model) for buffer in module._buffers.values())
    return list(dict.fromkeys(buffer for buffer in held if buffer is not None))


def set_training(model: nn.Module, mode: bool) -> None:
    """Train or eval mode, by the method of the model's class, which may leave parts in another mode."""
    try:
        type(model).train(model, mode)
    except TypeError:  # an attribute has the name of a method
        for module in modules_of(model):
            module.training = mode


class MetaTensors:
    """Meta tensors that stand in for real ones: the buffers of a model, and any tensor that meets a meta tensor.

    A tensor always gets the same stand-in, so that a later call sees what an earlier one wrote into it.
    """

    def __init__(self, own: Iterable[Tensor]) -> None:
        self.own = {id(tensor): tensor for tensor in own if not tensor.is_meta and tensor.layout is torch.strided}
        self._stand_ins: dict[int, Tensor] = {}
        self._new: set[int] = set()  # storages that the pass made, of tensors in ``_kept``
        self._kept: list[Tensor] = []

    def stand_in(self, tensor: Tensor) -> Tensor:
        """The meta tensor for a tensor, which is itself if it is one. That of a sparse tensor is dense."""
        if tensor.is_meta and tensor.layout is torch.strided:
            return tensor
        key = id(tensor)
        if key not in self._stand_ins:
            self._kept.append(tensor)  # keeps it alive, and its id with it
            self._stand_ins[key] = _without_values(tensor)
        return self._stand_ins[key]

    def compute(self, operator: Any, tensors: list[Tensor], args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of an operator on real tensors alone, or on meta tensors where it writes what the pass found."""
        inputs = {storage_of(tensor) for tensor in tensors}
        if operator._schema.is_mutable and not inputs <= self._new:
            meta_args, meta_kwargs = self.substitute(args, kwargs)
            return operator(*meta_args, **meta_kwargs)
        out = operator(*args, **kwargs)
        if operator in LIFTS:
            inputs = set()
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and (storage := storage_of(tensor)) not in inputs and storage != -1:
                self._new.add(storage)
                self._kept.append(tensor)
        return out

    def substitute(self, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The operands of a call, with every real tensor replaced by its stand-in."""
        named = {name: self._substitute(value) for name, value in kwargs.items()}
        if named.get("device") is not None:
            named["device"] = META
        return [self._substitute(value) for value in args], named

    def _substitute(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self.stand_in(value)
        return type(value)(map(self._substitute, value)) if isinstance(value, list | tuple) else value


def _without_values(tensor: Tensor) -> Tensor:
    if tensor.layout is not torch.strided:
        return torch.empty(tensor.size(), dtype=tensor.dtype, device=META)
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)


@contextmanager
def module_hooks(enter: Enter, leave: Leave) -> Iterator[None]:
    """Call ``enter`` before and ``leave`` after every module, through global hooks that the model never sees."""
    handles = [hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)]
    try:
        with run_eagerly():
            yield
    finally:
        for handle in handles:
            handle.remove()


def attributes_of(modules: Iterable[nn.Module]) -> list[Tensor]:
    """The tensors that modules keep as plain attributes, such as the weight that ``weight_norm`` computes."""
    return [value for module in modules for value in vars(module).values() if isinstance(value, Tensor)]


def meta_copy(model: nn.Module) -> nn.Module:
    """A copy of the model on the meta device that shares nothing with it. Lazy parameters stay lazy.

    Plain attributes stay where they are if they may be read as values: integers, and single numbers.
    """
    modules = modules_of(model)
    computed = [
        value for value in attributes_of(modules) if not value.is_leaf or (value.dim() and value.is_floating_point())
    ]
    tensors = [*tensors_of(modules), *computed]
    return copied_without_wrappers(model, {id(tensor): meta_tensor(tensor) for tensor in tensors})


def meta_tensor(tensor: Tensor) -> Tensor:
    """A meta tensor like this one: a parameter for a parameter, and lazy for a lazy one."""
    if is_lazy(tensor):
        lazy: type[Any] = type(tensor)
        return cast(Tensor, lazy(device=META, dtype=tensor.dtype))
    meta = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
    return nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta


def materialize_lazy(model: nn.Module, args: Any, kwargs: dict[str, Any]) -> nn.Module:
    """A copy on the meta device whose lazy parameters got their shapes from these inputs."""
    copied = meta_copy(model).eval()
    with torch.no_grad():
        copied(*args, **kwargs)
    return copied


def is_lazy(tensor: Tensor) -> bool:
    """Whether a parameter gets its shape only from the first input."""
    kind = type(tensor)  # nearly always one of the first two, without the checks of lazy classes, which are in Python
    return kind is not nn.Parameter and kind is not Tensor and isinstance(tensor, LAZY)


def hint(model: nn.Module, error: Exception) -> str:
    """Advice on a failed forward pass, or an empty string."""
    message = str(error)
    if isinstance(error, TypeError) and ("required" in message or "unexpected keyword" in message):
        signature = inspect.signature(model.forward)
        return f"; its forward takes {signature}: give a list of sizes for several inputs, a dict for inputs by name"
    if any(".quantized." in type(module).__module__ for module in modules_of(model)):
        return "; the weights of quantized modules are packed: count the model as it was before it was quantized"
    signs = ("item()", "_local_scalar_dense", "nonzero", "out of meta tensor", "is_nonzero", "aten::equal")
    if any(sign in message for sign in signs):
        return (
            "; the forward there depends on the value of a tensor, and shapes do not tell it: count the parts before "
            "and behind by themselves"
        )
    if "NestedTensorImpl" in message:
        return f"; it is a nested tensor, {NESTED_ADVICE}"
    if "already associated to a python object" in message:
        return "; PyTorch makes no such tensor where operators are counted: make it in __init__ and not in forward"
    if "Meta tensors" in message or "fake impl" in message:
        return (
            "; PyTorch does not tell the shape of that operator's result: if it is your own, use "
            "torch.library.register_fake, else count the parts before and behind by themselves"
        )
    return ""
