"""A stand-in for a model: modules that run like its own, share no parameter with it, and are thrown away.

What a forward pass writes, it writes there: attributes, hooks, flags, ``requires_grad_``, ``.data``, new modules. So
the model is as it was whenever the pass ends, also by an interrupt, and other threads may run it meanwhile.
"""

import copy
import functools
import random
import sys
import types
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from archzoo.profiler._meta import is_lazy, meta_tensor, modules_of
from archzoo.profiler._scripted import is_scripted
from archzoo.profiler._shapes import META
from archzoo.profiler._value_readers import refuse_nested
from archzoo.profiler._wrappers import original_class, remove_sharding_hooks
from archzoo.wrappers import unwrapped

# Values that nothing can change.
ATOMIC = frozenset(
    (
        *(bool, int, float, complex, str, bytes, type(None), type, range, slice),
        *(torch.dtype, torch.device, torch.memory_format, torch.Size),
        *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType),
    )
)
MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
PLAIN = frozenset((dict, OrderedDict, set))
# Attributes of every module that are empty in most: its hooks, parameters, buffers and parts.
USUALLY_EMPTY = frozenset(name for name, value in vars(nn.Module()).items() if not value and value is not None)


class StandIns:
    """The stand-ins of a model's modules and tensors, and of the containers that hold them.

    A parameter's stand-in is on the meta device. A buffer's is another tensor over the same values, which a forward
    pass may read and the dispatch mode does not let it write. Objects of other classes, and what functions hold, are
    the model's own.

    ``originals`` are the registered modules, and ``names`` has the names of their stand-ins, in the same order.
    """

    def __init__(self, model: nn.Module) -> None:
        self._made: dict[int, Any] = {}  # by id of the original, which the model keeps alive
        self.of_module: dict[nn.Module, nn.Module] = {}
        originals = modules_of(model)
        self.originals = list(originals)
        self.names = {self._shell(module): name for module, name in originals.items()}
        for module, shell in zip(originals, self.names, strict=True):
            if shell is not module:
                self._fill(module, shell)
        self.model: nn.Module = self._stand_in(model)

    def _stand_in(self, value: Any) -> Any:
        """The value, or what stands in for it."""
        kind = type(value)
        if kind in ATOMIC:
            return value
        made = self._made.get(id(value))
        if made is not None:
            return made
        if isinstance(value, Tensor):
            return self._keep(value, stand_in_for(value))
        if isinstance(value, nn.Module):
            return self._module(value)
        if kind in MAPPINGS:
            return self._mapping(value)
        if kind is list or kind is deque:
            items = self._keep(value, value.copy())
            for position, item in enumerate(value):
                items[position] = self._stand_in(item)
            return items
        if kind is set:
            return self._keep(value, set(map(self._stand_in, value)))
        if isinstance(value, tuple):
            return self._tuple(value)
        return self._object(value, kind)

    def _keep(self, original: Any, stand_in: Any) -> Any:
        self._made[id(original)] = stand_in
        return stand_in

    def _module(self, module: nn.Module) -> nn.Module:
        inner = unwrapped(module)
        if inner is not module:
            return self._keep(module, self._stand_in(inner))  # type: ignore[no-any-return]
        shell = self._shell(module)
        if shell is not module:
            self._fill(module, shell)
        return shell

    def _shell(self, module: nn.Module) -> nn.Module:
        """An object of the module's class without attributes, or the module itself if its state is in C++."""
        if is_scripted(module):
            return self._keep(module, module)  # type: ignore[no-any-return]
        kind = original_class(type(module))
        try:
            shell: nn.Module = kind.__new__(kind)
        except TypeError:  # a class that makes its objects in a way of its own
            return self._keep(module, module)  # type: ignore[no-any-return]
        if type(shell) is not kind:  # torch.fx makes a class for each module
            shell = object.__new__(kind)
        self.of_module[module] = shell
        return self._keep(module, shell)  # type: ignore[no-any-return]

    def _fill(self, module: nn.Module, shell: nn.Module) -> None:
        """Give the shell the attributes of its module. Most are numbers, tuples of them, or empty dicts of hooks."""
        state, copied, made = module.__dict__, shell.__dict__, self._made
        copied.update(state)
        copied["training"] = False
        for name, value in state.items():
            kind = type(value)
            if kind in ATOMIC:
                continue
            if kind in PLAIN and not value and name in USUALLY_EMPTY:  # whoever else holds it finds nothing in it
                copied[name] = kind()
            elif kind is OrderedDict or kind is dict:
                key = id(value)
                if key in made:
                    copied[name] = made[key]
                elif value:
                    copied[name] = self._mapping(value)
                else:
                    copied[name] = made[key] = kind()
            elif kind is not tuple or not ATOMIC.issuperset(map(type, value)):
                copied[name] = self._stand_in(value)
        if "_compiled_call_impl" in copied:  # of module.compile()
            copied["_compiled_call_impl"] = None
        if type(shell) is not type(module):
            remove_sharding_hooks(shell)

    def _mapping(self, mapping: Any) -> Any:
        made = self._made
        copied = made[id(mapping)] = mapping.copy()
        for key, value in mapping.items():
            if type(value) not in ATOMIC:
                stand_in = made.get(id(value))
                copied[key] = self._stand_in(value) if stand_in is None else stand_in
        return copied

    def _tuple(self, values: Any) -> Any:
        items = [self._stand_in(value) for value in values]
        if all(item is value for item, value in zip(items, values, strict=True)):
            return values
        make = getattr(type(values), "_make", type(values))  # a named tuple
        return self._keep(values, make(items))

    def _object(self, value: Any, kind: type) -> Any:
        if kind is types.MethodType:
            return types.MethodType(value.__func__, self._stand_in(value.__self__))
        if kind is functools.partial:
            arguments = {name: self._stand_in(argument) for name, argument in value.keywords.items()}
            return functools.partial(self._stand_in(value.func), *map(self._stand_in, value.args), **arguments)
        if kind is weakref.ref and isinstance(value(), nn.Module):
            return weakref.ref(self._stand_in(value()))
        if kind is RemovableHandle:
            return self._handle(value)
        if kind is torch.Generator:
            return self._keep(value, value.clone_state())
        if isinstance(value, random.Random) or is_generator_of_numpy(value):
            return self._keep(value, copy.deepcopy(value))
        if kind is types.SimpleNamespace or (is_dataclass(value) and not isinstance(value, type)):
            return self._plain_object(value, kind)
        return value

    def _plain_object(self, value: Any, kind: Any) -> Any:
        """A dataclass or a namespace: its attributes are copied, where it has them in a dict."""
        if not hasattr(value, "__dict__"):
            return value
        copied = self._keep(value, kind.__new__(kind))
        for name, attribute in vars(value).items():
            copied.__dict__[name] = self._stand_in(attribute)
        return copied

    def _handle(self, handle: RemovableHandle) -> RemovableHandle:
        """A handle that removes the hook of the stand-in."""
        copied = self._keep(handle, object.__new__(RemovableHandle))
        copied.id = handle.id
        copied.hooks_dict_ref = self._reference(handle.hooks_dict_ref)
        copied.extra_dict_ref = tuple(map(self._reference, handle.extra_dict_ref or ()))
        return copied  # type: ignore[no-any-return]

    def _reference(self, reference: Any) -> Any:
        hooks = reference()
        return reference if hooks is None else weakref.ref(self._stand_in(hooks))


def is_generator_of_numpy(value: Any) -> bool:
    """Whether a value is a random generator of numpy, which is not imported for it."""
    numpy = sys.modules.get("numpy.random")
    return numpy is not None and isinstance(value, numpy.Generator | numpy.RandomState | numpy.BitGenerator)


def stand_in_for(tensor: Tensor) -> Tensor:
    """A meta tensor for a parameter, and another tensor over the same values for any other."""
    kind = type(tensor)
    if kind is nn.Parameter:  # nearly all: without the checks of its class, which are in Python
        if tensor.is_meta and not tensor.is_inference():
            stand_in = tensor.data  # has no values to protect, and takes a sixth of the time
        else:
            stand_in = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=META)
        stand_in.__class__ = nn.Parameter
        if tensor.requires_grad:
            stand_in.requires_grad = True
    elif isinstance(tensor, nn.Parameter) or is_lazy(tensor):
        stand_in = meta_tensor(tensor)
    elif tensor.is_nested:
        refuse_nested()
    else:
        stand_in = tensor.data  # with a count of writes of its own, unlike detach()
        if tensor.requires_grad:
            stand_in.requires_grad_()
    if tensor.__dict__:
        stand_in.__dict__.update(tensor.__dict__)
    return stand_in
