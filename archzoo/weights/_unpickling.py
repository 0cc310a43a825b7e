"""Pickles of every protocol, read without running any code of theirs.

``torch.load(weights_only=True)`` reads protocol 2 alone, and refuses a file for one number of numpy in its metadata.
Here the functions that torch allows build the tensors, stand-ins take the place of all other objects, and nothing that
a pickle names is imported or called.
"""

import os
import pickle
import warnings
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from io import BytesIO
from struct import unpack
from typing import IO, Any, ClassVar

import torch
from torch._weights_only_unpickler import _get_allowed_globals

from archzoo.weights._stand_ins import KNOWN, StandIn, is_harmless, stand_in

_PurePython: Any = pickle._Unpickler  # each of its instructions can be replaced

# Instructions that call or look up in other ways, of the first protocols and of buffers outside the pickle.
REFUSED = [
    instruction[0]
    for instruction in (
        *(pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID),
        *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
    )
]


class RestrictedPickle:
    """What ``torch.load`` takes for its ``pickle_module``, and the names that were read.

    ``foreign`` are those that no stand-in may replace: what was read is then not to be used.
    """

    __name__ = "archzoo"

    def __init__(self) -> None:
        self.named: dict[str, None] = {}
        self.foreign: list[str] = []
        self.Unpickler = type("Unpickler", (_RestrictedUnpickler,), {"names": self})

    def load(self, file: IO[bytes], **settings: Any) -> Any:
        """The next object of a file."""
        return self.Unpickler(file, **settings).load()

    def load_torch(self, file: IO[bytes]) -> Any:
        """What ``torch.save`` wrote to a file, on the CPU. Raises whatever torch or the pickle raises."""
        forced = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about deprecated storages, which are read all the same
            if forced:  # torch then takes no other unpickler
                return torch.load(file, map_location="cpu", weights_only=True)
            return torch.load(file, map_location="cpu", pickle_module=self, weights_only=False)


class _RestrictedUnpickler(_PurePython):  # type: ignore[misc]
    """The instructions that call something, or change an object, are checked; the oldest of them are refused."""

    names: RestrictedPickle

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.callable: dict[int, Any] = {}  # by identity: equality may be anything

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:  # names of Python 2, which Python 3 writes too
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        found = self._find(module, name)
        self.callable[id(found)] = found
        return found

    def _find(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        self.names.named[full] = None
        if full in KNOWN:
            return KNOWN[full]
        if full in _get_allowed_globals():
            return _get_allowed_globals()[full]
        if full == "torch.storage._load_from_bytes":  # where pickle itself wrote a tensor
            return self._load_from_bytes
        if not is_harmless(module, name):
            self.names.foreign.append(full)
        return stand_in(module, name)

    def _load_from_bytes(self, data: bytes) -> Any:
        return self.names.load_torch(BytesIO(data))

    def _checked(self, function: Any) -> Any:
        if id(function) not in self.callable:
            raise pickle.UnpicklingError(f"it calls a {type(function).__name__}")
        return function

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._checked(self.stack[-1])(*arguments)

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        self._new(arguments)

    def load_newobj_ex(self) -> None:
        self.stack.pop()  # arguments by name, which no tensor has
        arguments = self.stack.pop()
        self._new(arguments)

    def _new(self, arguments: Any) -> None:
        kind = self._checked(self.stack.pop())
        self.append(kind(*arguments))

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, StandIn):
            target.set_state(state)
        elif type(target) is torch.Tensor:
            target.set_(*state)
        elif type(target) is torch.nn.Parameter:
            target.__setstate__(state)  # type: ignore[no-untyped-call]
        elif type(target) is OrderedDict:
            target.__dict__.update(state)
        else:
            raise pickle.UnpicklingError(f"it sets the attributes of a {type(target).__name__}")

    def load_append(self) -> None:
        value = self.stack.pop()
        self._elements().append(value)

    def load_appends(self) -> None:
        values = self.pop_mark()
        self._elements().extend(values)

    def _elements(self) -> list[Any]:
        target = self.stack[-1]
        if isinstance(target, StandIn):
            return target.elements
        if type(target) is list:
            return target
        raise pickle.UnpicklingError(f"it appends to a {type(target).__name__}")

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._items()[key] = value

    def load_setitems(self) -> None:
        values = self.pop_mark()
        self._items().update(zip(values[::2], values[1::2], strict=True))

    def _items(self) -> Any:
        target = self.stack[-1]
        if isinstance(target, StandIn) or type(target) in (dict, OrderedDict, Counter):
            return target
        raise pickle.UnpicklingError(f"it sets the items of a {type(target).__name__}")

    def load_additems(self) -> None:
        values = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise pickle.UnpicklingError(f"it adds to a {type(self.stack[-1]).__name__}")
        self.stack[-1].update(values)

    def load_binpersid(self) -> None:
        saved = self.stack.pop()
        kind = saved[0] if isinstance(saved, tuple) and saved else None
        if kind in ("module", b"module"):  # a class with its source code, in files of torch 0.4 and before
            self.append(saved[1])
        elif kind in ("storage", b"storage"):
            self.append(self.persistent_load(saved))
        else:
            raise pickle.UnpicklingError("it refers to something that is no storage")

    def load_bytearray8(self) -> None:
        (length,) = unpack("<Q", self.read(8))
        self.append(bytearray(self.read(length)))

    def refuse(self) -> None:
        raise pickle.UnpicklingError("it has instructions that no checkpoint needs")

    dispatch: ClassVar = {
        **_PurePython.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
        pickle.APPEND[0]: load_append,
        pickle.APPENDS[0]: load_appends,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.ADDITEMS[0]: load_additems,
        pickle.BINPERSID[0]: load_binpersid,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        **dict.fromkeys(REFUSED, refuse),
    }
