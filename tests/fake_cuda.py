"""A CUDA device for machines without one: tensors say that they are on it, and what CUDA refuses is refused.

Everything is computed on the CPU, with the right values. The storage of each tensor carries the device that it pretends
to be on, so that views and parameters share it. A TorchFunctionMode answers what Python asks about devices, and a
TorchDispatchMode checks every operator, those of the backward pass too. The rules are torch's:

- All tensors of an operator are on one device. A 0-dim CPU tensor is an exception, as an input of an elementwise
  operator (aten/src/ATen/TensorIterator.cpp) or as the value that ``where``, ``fill_`` or ``index_put_`` writes.
- Indices are on the device of the indexed tensor or on the CPU (aten/src/ATen/native/TensorAdvancedIndexing.cpp).
- ``copy_`` takes a tensor of any device.
- NumPy takes CPU tensors alone, and a random number generator draws on its own device alone.
- A forked process computes nothing on the device.

``WAITS`` counts what makes the host wait for the device: reading a value, finding indices, copying to the CPU.

What torch creates by itself in C++ has no device until it meets a tensor that has one.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
import torch.export
import torch.onnx
from torch import Tensor
from torch.overrides import TorchFunctionMode, _pop_mode_temporarily
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten

ANY_DEVICES = {aten.copy_, aten._foreach_copy_, aten._has_compatible_shallow_copy_type}
INDEXING = {aten.index, aten._unsafe_index, aten.index_put, aten.index_put_, aten._index_put_impl_}
TAKE_CPU_SCALARS = {aten.where, aten.masked_fill, aten.masked_fill_, aten.fill, aten.fill_}


READS_VALUES = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten._unique2}
WAITS: Counter[str] = Counter()


class FakeGenerator(torch.Generator):
    """A generator that pretends to be on the device that it was made for."""

    placed: torch.device

    def __new__(cls, device: Any = "cpu") -> "FakeGenerator":
        generator: FakeGenerator = super().__new__(cls, "cpu")  # type: ignore[call-arg]
        generator.placed = canonical(device)
        return generator

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.placed


class FakeAutocast(torch.autocast):
    """CUDA's autocast by the CPU's."""

    def __init__(self, device_type: str, *args: Any, **named: Any) -> None:
        super().__init__(on_cpu(device_type), *args, **named)


class FakeStream:
    """A stream whose work is done at once."""

    def __init__(self, device: Any = None) -> None:
        self.device = CUDA if device is None else canonical(device)

    def wait_stream(self, stream: "FakeStream") -> None:
        """Nothing is waited for."""

    def record_event(self) -> str:
        """What has happened as soon as it is recorded."""
        return "happened"

    def wait_event(self, event: str) -> None:
        """Nothing is waited for."""


def refuse_graph() -> None:
    """A CUDA graph replays kernels, and here are none."""
    raise RuntimeError("the pretended device captures no graph")


def canonical(device: Any) -> torch.device:
    """A device with its number: cuda is cuda:0."""
    parsed = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    return torch.device(parsed.type, parsed.index or 0) if parsed.type == "cuda" else parsed


def on_cpu(device: Any) -> Any:
    """The CPU in place of CUDA; any other device as it is."""
    return "cpu" if device is not None and canonical(device).type == "cuda" else device


def is_plain(tensor: Any) -> bool:
    """Whether a tensor is one of the CPU with values: compilers have others."""
    plain = isinstance(tensor, Tensor) and type(tensor) in (Tensor, torch.nn.Parameter)
    return plain and tensor.device.type == "cpu" and not torch._is_functional_tensor(tensor)


def device_of(tensor: Tensor) -> torch.device | None:
    """Where a tensor pretends to be: None for one that torch created by itself and that has met no other one."""
    with torch._C.DisableTorchFunction():
        return getattr(tensor.untyped_storage(), "placed", CPU) if is_plain(tensor) else tensor.device


def place(tensors: Any, device: torch.device | None) -> Any:
    """Set where tensors pretend to be."""
    with torch._C.DisableTorchFunction():
        for tensor in tree_leaves(tensors):
            if is_plain(tensor):
                tensor.untyped_storage().placed = device
    return tensors


# Operators


class CheckedOperators(TorchDispatchMode):
    """Refuses operators on several devices, and places what the others return."""

    def __init__(self) -> None:
        super().__init__()
        self.process = os.getpid()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # which would import torch._dynamo, for seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunction():
            inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            if not all(is_plain(tensor) or tensor.is_meta for tensor in inputs):
                return func(*args, **kwargs)
            device = common_device(func, args, kwargs)
            check_generator(kwargs.get("generator"), device)
            if device == CUDA and os.getpid() != self.process:
                raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")
            count_waits(func, inputs, device)
            out = func(*args, **kwargs)
            place([tensor for tensor in inputs if device_of(tensor) is None], device)
            outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
            place([tensor for tensor in outputs if is_new(tensor)], device)
        return out


def count_waits(func: Any, inputs: Sequence[Tensor], device: torch.device | None) -> None:
    packet = func.overloadpacket
    finds_indices = packet in INDEXING and any(tensor.dtype == torch.bool for tensor in inputs[1:])
    copies_back = packet in ANY_DEVICES and device == CPU and CUDA in map(device_of, inputs)
    if copies_back or (device == CUDA and (packet in READS_VALUES or finds_indices)):
        WAITS[str(func)] += 1


def is_new(tensor: Tensor) -> bool:
    return is_plain(tensor) and not hasattr(tensor.untyped_storage(), "placed")


def common_device(func: Any, args: Any, kwargs: Any) -> torch.device | None:
    """The device that an operator runs on. Raises RuntimeError where there are several."""
    packet = func.overloadpacket
    if packet in ANY_DEVICES:
        return device_of(tree_leaves(args[0])[0])
    if packet in INDEXING:
        return indexed_device(func, *args)
    written = {id(leaf) for leaf in written_leaves(func, args, kwargs)}
    scalars = torch.Tag.pointwise in func.tags or packet in TAKE_CPU_SCALARS
    inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    return same_device(func, inputs, lambda tensor: scalars and tensor.dim() == 0 and id(tensor) not in written)


def written_leaves(func: Any, args: Any, kwargs: Any) -> Iterator[Any]:
    """The arguments that an operator writes."""
    for place_in_list, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[place_in_list] if place_in_list < len(args) else kwargs.get(argument.name)
            yield from tree_leaves(given)


def same_device(func: Any, tensors: Sequence[Tensor], may_be_on_cpu: Callable[[Tensor], bool]) -> torch.device | None:
    """The one device of tensors, without those CPU tensors that may stand beside others."""
    devices = {device for tensor in tensors if (device := device_of(tensor)) is not None}
    if len(devices) > 1:
        bound = (tensor for tensor in tensors if not (device_of(tensor) == CPU and may_be_on_cpu(tensor)))
        devices = {device for tensor in bound if (device := device_of(tensor)) is not None}
    if len(devices) > 1:
        listed = " and ".join(sorted(map(str, devices)))
        raise RuntimeError(f"{func}: Expected all tensors to be on the same device, but found {listed}")
    return next(iter(devices), None)


def indexed_device(func: Any, tensor: Tensor, indices: Sequence[Tensor | None], *values: Any) -> torch.device | None:
    """The device of an indexed tensor."""
    written = [value for value in values if isinstance(value, Tensor)]
    device = same_device(func, [tensor, *written], lambda value: value.dim() == 0)
    others = {device_of(index) for index in indices if index is not None} - {device, CPU, None}
    if others:
        raise RuntimeError(f"{func}: indices should be either on cpu or on the same device as the tensor ({device})")
    return device


def check_generator(generator: torch.Generator | None, device: torch.device | None) -> None:
    if generator is not None and device is not None and generator.device.type != device.type:
        raise RuntimeError(f"Expected a {device.type!r} device type for generator but found {generator.device}")


# What Python asks


class PlacedTensors(TorchFunctionMode):
    """Answers questions about devices, and takes devices as arguments."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if func in ANSWERS:
            return ANSWERS[func](*args, **named)
        device = named.get("device")
        if device is None and func not in CONSTRUCTORS:
            return func(*args, **named)
        return create(func, CPU if device is None else canonical(device), args, named)


CONSTRUCTORS = _device_constructors()
CPU_MEMORY = {torch.as_tensor, torch.asarray}


def create(func: Any, device: torch.device, args: Any, named: dict[str, Any]) -> Any:
    """What a function creates on a device."""
    check_generator(named.get("generator"), device)
    if "device" in named:
        named["device"] = on_cpu(device)
    created = func(*args, **named)
    if func in CPU_MEMORY and device_of(created) != device:
        created = created.clone()
    return place(created, device)


def move(tensor: Any, *args: Any, **named: Any) -> Any:
    """Tensor.to."""
    target: torch.device | None = None

    def stripped(argument: Any) -> Any:
        nonlocal target
        if isinstance(argument, str | torch.device | int) and not isinstance(argument, bool):
            target = canonical(argument)
            return on_cpu(argument)
        if isinstance(argument, Tensor):
            target = device_of(argument)
        return argument

    arguments = [stripped(args[0]), *args[1:]] if args else []
    named |= {name: stripped(named[name]) for name in ("device", "other") if named.get(name) is not None}
    moved = tensor.to(*arguments, **named)
    source = device_of(tensor)
    if target is None or target == source:
        return moved
    if source == CUDA and target == CPU and not named.get("non_blocking"):
        WAITS["Tensor.to"] += 1
    if moved.untyped_storage()._cdata == tensor.untyped_storage()._cdata and moved.device.type == "cpu":
        moved = tensor.to(*arguments, **{**named, "copy": True})
    return place(moved, target)


def to_numpy(tensor: Tensor, *args: Any, force: bool = False, **named: Any) -> Any:
    device = device_of(tensor)
    if device != CPU and device is not None and not force:
        raise TypeError(f"can't convert {device} device type tensor to numpy. Use Tensor.cpu() first")
    return tensor.detach().numpy() if force else tensor.numpy()


def to_array(tensor: Tensor, dtype: Any = None) -> Any:
    array = to_numpy(tensor)
    return array if dtype is None else array.astype(dtype, copy=False)


def to_list(tensor: Tensor) -> Any:
    if device_of(tensor) == CUDA:
        WAITS["Tensor.tolist"] += 1
    return tensor.tolist()


def new_tensor(tensor: Any, *args: Any, device: Any = None, **named: Any) -> Any:
    target = asked_device(tensor) if device is None else canonical(device)
    return place(tensor.new_tensor(*args, **named, device=on_cpu(target)), target)


def copied(tensor: Tensor, memo: Any) -> Tensor:
    """Tensor.__deepcopy__, which copies storages."""
    return place(tensor.__deepcopy__(memo), device_of(tensor))


def asked_device(tensor: Tensor) -> torch.device:
    return device_of(tensor) or CPU


GETTERS: Any = vars(torch._C.TensorBase)
ANSWERS: dict[Any, Callable[..., Any]] = {
    GETTERS["device"].__get__: asked_device,
    GETTERS["is_cuda"].__get__: lambda tensor: asked_device(tensor).type == "cuda",
    GETTERS["is_cpu"].__get__: lambda tensor: asked_device(tensor).type == "cpu",
    Tensor.get_device: lambda tensor: -1 if asked_device(tensor).index is None else asked_device(tensor).index,
    Tensor.to: move,
    Tensor.cpu: lambda tensor, **named: move(tensor, "cpu", **named),
    Tensor.cuda: lambda tensor, device=0, **named: move(tensor, canonical(device or 0), **named),
    Tensor.new_tensor: new_tensor,
    Tensor.pin_memory: lambda tensor, device=None: tensor.clone(),
    Tensor.numpy: to_numpy,
    Tensor.tolist: to_list,
    Tensor.__array__: to_array,
    Tensor.__deepcopy__: copied,
}


# The rest of torch


def grouped(lists: Any, with_indices: bool = False) -> Any:
    """torch.nn.utils.clip_grad_norm_ and the optimizers group tensors in C++, by their true device."""
    groups: Any = GROUP(lists, with_indices)
    return {(device_of(members[0][0]), dtype): (members, at) for (_, dtype), (members, at) in groups.items()}


def tag(storage: Any) -> str | None:
    """The device as torch.save writes it."""
    placed = getattr(storage, "placed", None)
    return None if placed is None or placed == CPU else str(placed)


def restore(storage: Any, location: str) -> Any:
    """A storage as torch.load restores it on a device."""
    if not str(location).startswith("cuda"):
        return None
    storage.placed = canonical(location)
    return storage


def unwatched(function: Callable[..., Any]) -> Callable[..., Any]:
    """One of torch's tracers, without the modes of this file, which it does not expect."""

    def trace(*args: Any, **named: Any) -> Any:
        with _pop_mode_temporarily(), _disable_current_modes():
            return function(*args, **named)

    return trace


TRACERS = [(torch.export, "export"), (torch.export, "save"), (torch.export, "load"), (torch.onnx, "export")]
BACKWARD = torch.autograd._engine_run_backward  # type: ignore[attr-defined]
GROUP = torch._C._group_tensors_by_device_and_dtype
AUTOCAST = {name: getattr(torch, name) for name in ("is_autocast_enabled", "get_autocast_dtype")}


@contextmanager
def fake_cuda() -> Iterator[torch.device]:
    """A CUDA device inside the block."""
    WAITS.clear()
    packages, placed = torch.serialization._package_registry, PlacedTensors()

    def run_backward(*args: Any, **named: Any) -> Any:
        """The backward pass with its Python code asked too: torch.autograd.backward leaves the mode."""
        with placed:
            return BACKWARD(*args, **named)

    with ExitStack() as stack:
        for name, value in (("is_available", True), ("device_count", 1), ("current_device", 0), ("set_device", None)):
            stack.enter_context(patch.object(torch.cuda, name, lambda *args, value=value: value))
        stack.enter_context(patch.object(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True))
        stack.enter_context(patch.object(torch.cuda, "synchronize", lambda device=None: None))
        stack.enter_context(patch.object(torch.cuda, "mem_get_info", lambda device=None: (2**34, 2**34)))
        stack.enter_context(patch.object(torch.cuda, "get_device_name", lambda device=None: "NVIDIA H200"))
        stack.enter_context(patch.object(torch.cuda, "Stream", FakeStream))
        stack.enter_context(patch.object(torch.cuda, "current_stream", FakeStream))
        stack.enter_context(patch.object(torch.cuda, "stream", lambda stream: nullcontext()))
        stack.enter_context(patch.object(torch.cuda, "CUDAGraph", refuse_graph))
        # torch reads the stream before it asks a mode.
        stack.enter_context(patch.object(Tensor, "record_stream", lambda tensor, stream: None))
        # A thread of DataLoader's locks pages, which takes the driver.
        stack.enter_context(patch("archzoo.data._loading._pins", lambda device: False))
        stack.enter_context(patch.object(torch, "autocast", FakeAutocast))
        stack.enter_context(patch.object(torch, "Generator", FakeGenerator))
        for name, function in AUTOCAST.items():
            stack.enter_context(patch.object(torch, name, lambda kind="cpu", f=function: f(on_cpu(kind))))
        available = torch.amp.is_autocast_available
        stack.enter_context(patch.object(torch.amp, "is_autocast_available", lambda kind: available(on_cpu(kind))))
        stack.enter_context(patch.object(torch._C, "_group_tensors_by_device_and_dtype", grouped))
        stack.enter_context(patch.object(torch.serialization, "_package_registry", [(0, tag, restore), *packages]))
        stack.enter_context(patch.object(torch.autograd, "_engine_run_backward", run_backward))
        for module, name in TRACERS:
            stack.enter_context(patch.object(module, name, unwatched(getattr(module, name))))
        stack.enter_context(CheckedOperators())
        stack.enter_context(placed)
        yield CUDA
