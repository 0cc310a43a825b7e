"""What stands for the objects in a pickle that are neither tensors nor plain values: it holds what they hold, no code.

A checkpoint often keeps the arguments of its training run, in classes of many libraries. None of them is imported.
"""

import re
from typing import Any

import numpy
import torch
from torch import Tensor

# The classes that hold values: modules or packages, and the names in them where not all do. "__main__" is the script
# that wrote the file. Classes of networks are here so that a network that was pickled whole gives its tensors.
HARMLESS: dict[str, tuple[str, ...]] = {
    "__main__": (),
    "_codecs": ("encode",),
    "addict": (),
    "archzoo": (),
    "argparse": ("Namespace",),
    "attrdict": (),
    "box": (),
    "builtins": (
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range"),
        *("set", "slice", "str", "tuple"),
    ),
    "collections": (),
    "copyreg": ("_reconstructor",),
    "datetime": (),
    "decimal": ("Decimal",),
    "easydict": (),
    "fractions": ("Fraction",),
    "functools": ("partial",),
    "lightning": (),
    "lightning_fabric": (),
    "mmcv": (),
    "mmengine": (),
    "ml_collections": (),
    "numpy": (
        *("bool", "bool_", "complex128", "complex64", "dtype", "float16", "float32", "float64", "int16", "int32"),
        *("int64", "int8", "ndarray", "str_", "uint16", "uint32", "uint64", "uint8"),
    ),
    **{f"numpy.{core}.multiarray": ("_reconstruct", "scalar") for core in ("core", "_core")},
    **{f"numpy.{core}.numeric": ("_frombuffer",) for core in ("core", "_core")},
    "numpy.dtypes": (),
    "numpy.random": (),
    "omegaconf": (),
    "pathlib": (),
    "pytorch_lightning": (),
    "pytorchcv": (),
    "time": ("struct_time",),
    "timm": (),
    "torch": ("Generator", "Size", "Tensor", "device", "dtype", "memory_format"),
    "torch.nn": (),
    "torch.optim": (),
    "torch.torch_version": ("TorchVersion",),
    "torchvision": (),
    "types": ("SimpleNamespace",),
    "typing": (),
    "uuid": ("UUID", "SafeUUID"),
    "yacs": (),
}


def is_harmless(module: str, name: str) -> bool:
    """Whether a stand-in may take the place of this class."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        names = HARMLESS.get(".".join(parts[:length]))
        if names is not None:
            return not names or (name in names and length == len(parts))
    return False


LARGEST = 20_000  # parts of a network


class StandIn(dict[Any, Any]):
    """An object of another class: the arguments that made it, its items, and its attributes as a dict."""

    of = ""  # the name of the class

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments
        self.elements: list[Any] = []

    # A pickle may use any object as a key.
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def set_state(self, state: Any) -> None:
        """What the object's own class would restore: attributes, or a value of its own kind."""
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            if isinstance(part, dict):
                self.update(part)
        self.state = state


class NumpyType(StandIn):
    """A ``numpy.dtype`` of booleans, integers, or floating-point or complex numbers."""

    @property
    def dtype(self) -> Any:
        """The type itself, or None for one that holds objects, text or records."""
        code = str(self.arguments[0]) if self.arguments else ""
        if not re.fullmatch(r"[<>=|]?[biufc]\d{1,2}", code):
            return None
        order = getattr(self, "state", (3, "="))[1]
        return numpy.dtype(code).newbyteorder(">" if order == ">" else "<" if order == "<" else "=")


class NumpyArray(StandIn):
    """A ``numpy.ndarray`` of numbers."""

    tensor: Tensor | None = None

    def set_state(self, state: Any) -> None:
        """Take shape, type, order and bytes from what the array pickles."""
        _, shape, kind, fortran, data = state
        self.tensor = array_of(data, kind, shape, "F" if fortran else "C").tensor


def array_of(data: Any, kind: Any, shape: Any, order: str) -> NumpyArray:
    """An array from its bytes, without a tensor where it holds no numbers."""
    if not isinstance(kind, NumpyType) or kind.dtype is None or not isinstance(data, (bytes, bytearray)):
        return NumpyArray()
    values = numpy.frombuffer(bytes(data), kind.dtype).reshape(shape, order="F" if order == "F" else "C")
    array = NumpyArray()
    array.tensor = torch.from_numpy(values.astype(values.dtype.newbyteorder("=")))
    return array


def empty_array(*_: Any) -> NumpyArray:
    """An array whose content follows."""
    return NumpyArray()


def number_of(kind: Any, data: Any = b"") -> Any:
    """A numpy scalar as a number of Python, or as None where it holds an object or text."""
    if not isinstance(kind, NumpyType) or kind.dtype is None or not isinstance(data, bytes):
        return None
    return numpy.frombuffer(data, kind.dtype)[0].item()


def rebuilt(kind: Any, *_: Any) -> StandIn:
    """An object in the way of the oldest pickles, which name its class and the one it derives from."""
    return kind() if isinstance(kind, type) and issubclass(kind, StandIn) else StandIn()


def bytes_of(text: str, encoding: str = "latin1") -> bytes:
    """Bytes in the way of protocol 2. Any other encoding would import the module of its name."""
    if encoding != "latin1":
        raise ValueError("bytes in another encoding than latin1")
    return text.encode("latin1")


# What is built from numpy's and Python's own classes, by the names that their versions pickle.
KNOWN: dict[str, Any] = {
    "_codecs.encode": bytes_of,
    "copyreg._reconstructor": rebuilt,
    "numpy.dtype": NumpyType,
    **{f"numpy.{core}.multiarray.scalar": number_of for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": empty_array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": array_of for core in ("core", "_core")},
}


def stand_in(module: str, name: str) -> type[StandIn]:
    """A class that takes the place of this one."""
    return type(name, (StandIn,), {"of": f"{module}.{name}"})


def tensors_of(network: StandIn) -> dict[str, Tensor]:
    """The state dict of a pickled ``torch.nn.Module``. A hostile one may hold itself: its parts are not all visited."""
    tensors: dict[str, Tensor] = {}
    parts = [("", network)]
    for prefix, part in parts:
        hidden = part.get("_non_persistent_buffers_set")
        for group in ("_parameters", "_buffers"):
            for name, tensor in dict(part.get(group) or {}).items():
                persistent = group == "_parameters" or not isinstance(hidden, set) or name not in hidden
                if isinstance(tensor, Tensor) and persistent:
                    tensors[f"{prefix}{name}"] = tensor
        children = dict(part.get("_modules") or {})
        if len(parts) < LARGEST:
            parts += [(f"{prefix}{name}.", child) for name, child in children.items() if isinstance(child, StandIn)]
    return tensors


def is_network(content: Any) -> bool:
    """Whether this is a pickled ``torch.nn.Module``."""
    return isinstance(content, StandIn) and {"_parameters", "_modules"} <= content.keys()
