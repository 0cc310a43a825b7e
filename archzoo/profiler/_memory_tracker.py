"""Live storages during a pass on meta tensors, where nothing is allocated.

A storage lives from the operator that creates it until nothing refers to it: neither Python, nor a tensor that autograd
saved, a gradient, or the optimizer's state. So views, in-place operators and saved tensors count as in a real run.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from archzoo.profiler._cpu_convolution import convolution_peaks
from archzoo.profiler._cuda_allocator import CudaAllocator
from archzoo.profiler._meta import modules_of, parameters_of
from archzoo.profiler._operators import look_up
from archzoo.profiler._shapes import META
from archzoo.profiler._sparse import Unpadded, is_sparse_bag_backward, parts_of, sparse_bag_backward, sparse_call
from archzoo.profiler._value_readers import is_nested, refuse_nested
from archzoo.profiler._workspaces import cublas_workspace, cudnn_workspace
from archzoo.profiler._wrappers import as_if_compiled

Draw = Callable[[Any, Any, Any], None]  # given an operator, its arguments and its result

aten = torch.ops.aten
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
MATRIX_PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default}
# Those that read contiguous rows, on the CPU from copies where they are in another order, and of how many operands.
NORMALIZATIONS = {aten.native_layer_norm.default: 1, aten.native_layer_norm_backward.default: 2}
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the dimensions of maps


class ByteCounter:
    """An allocator that takes exactly the bytes of each request."""

    def __init__(self) -> None:
        self.allocated = self.peak_allocated = 0

    def allocate(self, size: int) -> int:
        """Count a request; its size stands for the block."""
        self.allocated += size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return size

    def release(self, block: int) -> None:
        """Count a release."""
        self.allocated -= block

    def reset_peaks(self) -> None:
        """Begin to measure the peak anew."""
        self.peak_allocated = self.allocated


@dataclass(frozen=True)
class ModuleMemory:
    """Bytes of one module, submodules included: parameters, gradients, and tensors saved for the backward pass."""

    name: str
    kind: str
    parameters: int
    gradients: int
    saved: int


@dataclass(frozen=True)
class MemorySample:
    """Bytes allocated after one operator, or with the workspace of a convolution.

    ``phase`` is "inference", "forward", "backward" or "step"; ``module`` names the module that was running.
    """

    phase: str
    module: str
    allocated: int


class MemoryTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tracks every storage from its first tensor to its release, and which module created it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as in counting

    def __init__(self, net: nn.Module, device: str, capacity: int | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.device = device
        self.allocator: Any = CudaAllocator(capacity) if device == "cuda" else ByteCounter()
        self.names = modules_of(net)
        self.running: list[str | None] = [None]
        self.phase = ""
        self.saved_bytes = 0
        self.workspace = 0  # of cuBLAS, which stays allocated
        self.draw: Draw | None = None  # what random numbers of the CPU become, or None for their values
        self.timeline: list[MemorySample] = []
        self.unpadded = Unpadded()
        self.made_on_meta = False  # whether tensors of the CPU are replaced by meta tensors, in ``on_one_device``
        self.replaces = False
        self.as_if_compiled = False  # in ``on_one_device``, too
        self.saved: dict[str, int] = {}
        self.failure: BaseException | None = None  # of the release of a storage
        # By storage: the weak reference that reports its release, its block, bytes, and the module that created it.
        self._storages: dict[int, tuple[Any, Any, int, str | None]] = {}

    @property
    def allocated(self) -> int:
        """Bytes that are allocated now."""
        allocated: int = self.allocator.allocated
        return allocated

    @property
    def peak(self) -> int:
        """The most bytes that were allocated since the last ``reset``."""
        self.check()
        peak: int = self.allocator.peak_allocated
        return peak

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types and is_nested(types):
            refuse_nested()
        with torch._C.DisableTorchFunction():  # a mode that tells where tensors are has told it to the caller
            return self._dispatch(operator, args, kwargs or {})

    def _dispatch(self, operator: Any, args: Any, kwargs: Any) -> Any:
        if self.replaces:
            args, kwargs = tree_map(on_meta, (args, kwargs))
            if kwargs.get("device") is not None:
                kwargs = {**kwargs, "device": META}
        if is_sparse_bag_backward(operator, args):
            with self:
                return sparse_bag_backward(*args)
        sparse = sparse_call(operator, args)
        if sparse is None and self.phase == "backward":
            sparse = self.unpadded.call(operator, args)
        if sparse is not None:
            out, workspace = sparse
            self._borrow(workspace, [out])
            return out
        known = look_up(operator)
        if known.composite:  # as in counting
            with self:
                return operator._op_dk(COMPOSITE, *args, **kwargs)
        rule = known.values or known.shape
        out = rule(*args, **kwargs) if rule is not None else NotImplemented
        if out is NotImplemented:
            out = operator(*args, **kwargs)
        if self.replaces:
            out = tree_map(on_meta, out)
        if self.draw is not None:
            self.draw(operator, args, out)
        self.unpadded.record(operator, args, out)
        out = self._convolve(operator, args, out)
        if operator in NORMALIZATIONS and self.device == "cpu":
            copies = sum(map(_copied, args[: NORMALIZATIONS[operator]]))
            self._borrow(copies, [tensor for tensor in out if tensor is not None])
        if operator in MATRIX_PRODUCTS and self.device == "cuda" and not self.workspace:
            self.workspace = cublas_workspace()
            self.allocator.allocate(self.workspace)
        tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            self.track(tensor)
        if tensors:
            self.timeline.append(MemorySample(self.phase, self.path(), self.allocated))
        return out

    def _convolve(self, operator: Any, args: Any, out: Any) -> Any:
        """What a convolution returns, in its library's memory format; allocates its workspace for a moment."""
        if operator is aten.convolution.default:
            x, weight, *_ = args
            out = library_format(out, x, weight)
        elif operator is aten.convolution_backward.default:
            grad, x, weight, *_, groups, _ = args
            x_grad, *others = out
            out = (x_grad if x_grad is None else library_format(x_grad, x, weight), *others)
        else:
            return out
        if self.device == "cpu":
            for size, result in convolution_peaks(operator, args, out):
                self._borrow(size)
                self.track(result)
        elif operator is aten.convolution.default:
            self._borrow(cudnn_workspace(x, weight, args[-1], (x, weight, out)), (out,))
        else:
            passes = [(x, weight, grad)] if others[0] is not None else []
            passes += [(grad, weight, x)] if x_grad is not None else []
            workspace = cudnn_workspace(x, weight, groups, *passes) if passes else 0
            self._borrow(workspace, [tensor for tensor in out if tensor is not None])
        return out

    def _borrow(self, size: int, results: Iterable[Tensor] = ()) -> None:
        """Allocate a workspace beside the results of an operator, and release it."""
        for tensor in results:
            self.track(tensor)
        if size:
            block = self.allocator.allocate(size)
            self.timeline.append(MemorySample(self.phase, self.path(), self.allocated))
            self.allocator.release(block)

    def track(self, tensor: Tensor) -> None:
        """Add the storages of a tensor, unless they are tracked already."""
        self.check()
        for part in parts_of(tensor):
            storage = part.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key in self._storages or size == 0 or (self.device == "cuda" and not part.is_meta):
                continue
            block = self.allocator.allocate(size)
            self._storages[key] = weakref.ref(storage, partial(self._release, key)), block, size, self.running[-1]

    def _release(self, key: int, _: Any) -> None:
        try:
            self.allocator.release(self._storages.pop(key)[1])
        except BaseException as error:  # Python drops what a callback raises, also Ctrl-C
            self.failure = error

    def check(self) -> None:
        """Raise what a release has raised: without that block, what is counted is wrong."""
        if self.failure is not None:
            raise self.failure

    def reset(self) -> None:
        """Reset the peaks to what is allocated now, and drop the timeline of earlier training steps."""
        self.timeline = [sample for sample in self.timeline if sample.phase == "inference"]
        self.allocator.reset_peaks()

    @contextmanager
    def on_one_device(self) -> Iterator[None]:
        """What the model calls in this context. Between passes, the state of random generators is read."""
        self.replaces = self.made_on_meta
        try:
            with as_if_compiled(self.as_if_compiled):
                yield
        finally:
            self.replaces = False

    def record_saved(self) -> None:
        """At the end of the forward pass, add up what each module created and is still alive."""
        self.saved = {}
        for _, _, size, module in self._storages.values():
            if module is not None:
                self.saved[module] = self.saved.get(module, 0) + size
        self.saved_bytes = sum(self.saved.values())

    def enter(self, module: nn.Module, args: Any) -> None:
        """Forward pre-hook: the module starts to run."""
        if module in self.names:
            self.running.append(self.names[module])

    def leave(self, module: nn.Module, args: Any, out: Any) -> None:
        """Forward hook: the module returned."""
        if module in self.names:
            self.running.pop()

    def leave_all(self) -> None:
        """No module runs: those that a checkpoint recomputed in the backward pass were stopped by an exception."""
        del self.running[1:]

    def path(self) -> str:
        """The name of the innermost module that is running."""
        return self.running[-1] or ""

    def modules(self) -> list[ModuleMemory]:
        """The memory of each module, submodules included."""
        memory = []
        for module, name in self.names.items():
            parameters = parameters_of(module)
            gradients = storage_bytes(parameter.grad for parameter in parameters if parameter.grad is not None)
            saved = sum(
                size for part, size in self.saved.items() if part == name or part.startswith(f"{name}.") or not name
            )
            memory.append(ModuleMemory(name, type(module).__name__, storage_bytes(parameters), gradients, saved))
        return memory


def _copied(tensor: Tensor) -> int:
    """Bytes of a contiguous copy of a tensor, where it is not contiguous."""
    return 0 if tensor.is_contiguous() else tensor.nbytes


def on_meta(leaf: Any) -> Any:
    """A meta tensor for one of the CPU; single numbers and anything else stay as they are."""
    is_on_cpu = isinstance(leaf, Tensor) and leaf.device.type == "cpu" and leaf.dim() > 0
    return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device=META) if is_on_cpu else leaf


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind tensors, shared ones once."""
    parts = [part.untyped_storage() for tensor in tensors for part in parts_of(tensor)]
    return sum(storage.nbytes() for storage in {storage._cdata: storage for storage in parts}.values())


def library_format(out: Tensor, *operands: Tensor) -> Tensor:
    """``out`` in channels_last if any operand of the convolution is, as cuDNN and oneDNN return it."""
    form = FORMATS.get(out.dim())
    if form is None:
        return out
    last = [tensor.is_contiguous(memory_format=form) for tensor in operands]
    plain = [tensor.is_contiguous() for tensor in operands]
    if any(is_last and not is_plain for is_last, is_plain in zip(last, plain, strict=True)):
        return out.contiguous(memory_format=form)
    return out
