"""Bytes that a forward pass reads and writes, operator by operator, and the time that a machine needs at least.

Every operator reads its operands from memory and writes its results there, once. So it is without fusion, and where
maps are larger than a cache. A view moves nothing. An operand that is expanded is read as it is stored. An operator
that looks up elements reads as many as it returns. The roofline (Williams, Waterman and Patterson 2009) is the larger
of the time of the arithmetic at the machine's peak and that of the traffic at its bandwidth, operator by operator.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archzoo.errors import ProfileError
from archzoo.options import shown
from archzoo.profiler._counting import CountingMode, run_pass
from archzoo.profiler._cpu_attention import CpuAttention
from archzoo.profiler._meta import storage_of
from archzoo.profiler._operators import Operator, look_up
from archzoo.profiler._sparse_layouts import INDICES, stored_tensors

aten = torch.ops.aten


def _packets(names: str) -> set[Any]:
    return {getattr(aten, name) for name in names.split() if hasattr(aten, name)}


# Operators that read of their first operand what they return, or less.
LOOK_UPS = _packets(
    "embedding index index_select gather take nonzero masked_select _embedding_bag _embedding_bag_forward_only "
    "_unsafe_index"
)
# Operators that return statistics which they write in training alone.
BATCH_NORMS = _packets("native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm")
# Operators that only reserve memory, or change how a tensor is seen.
UNWRITTEN = _packets(
    "empty empty_strided empty_permuted empty_like new_empty new_empty_strided resize_ resize_as_ set_ squeeze_ "
    "unsqueeze_ transpose_ t_ detach_ as_strided_"
)


@dataclass(frozen=True)
class Machine:
    """A machine: ``peak`` FLOP/s, and ``bandwidth`` of its memory in bytes/s. Raises ProfileError if not positive."""

    peak: float
    bandwidth: float

    def __post_init__(self) -> None:
        for name in ("peak", "bandwidth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ProfileError(f"{name} must be a positive number, not {shown(value)}")

    def seconds(self, flops: float, moved: float) -> float:
        """The time of so many operations and bytes, at least."""
        return max(flops / self.peak, moved / self.bandwidth)


@dataclass(frozen=True)
class OperatorTraffic:
    """One call of an operator: the module that called it, its multiply-adds, and the bytes that it moves."""

    module: str
    operator: str
    macs: int
    read: int
    written: int

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written

    @property
    def intensity(self) -> float:
        """Operations (two for each multiply-add) for a byte moved."""
        return 2 * self.macs / self.moved if self.moved else 0.0


@dataclass(frozen=True)
class ModuleTraffic(OperatorTraffic):
    """All calls of operators of one module and those inside of it; ``operator`` is its class."""


@dataclass(frozen=True)
class Traffic:
    """The bytes that a forward pass of a whole batch moves.

    Attributes:
        model: The class of the model.
        input_size: As for ``Profile``.
        batch: How many inputs ran together. All counts are for all of them.
        operators: Every call that moves anything or has multiply-adds, in order.
        modules: The same by module; the first is the whole model.
    """

    model: str
    input_size: Any
    batch: int
    operators: list[OperatorTraffic] = field(repr=False)
    modules: list[ModuleTraffic] = field(repr=False)

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.modules[0].macs

    @property
    def read(self) -> int:
        """Bytes read."""
        return self.modules[0].read

    @property
    def written(self) -> int:
        """Bytes written."""
        return self.modules[0].written

    @property
    def intensity(self) -> float:
        """Operations (two for each multiply-add) for a byte moved."""
        return self.modules[0].intensity

    def at(self, name: str) -> ModuleTraffic:
        """The traffic of one module. Raises ProfileError for an unknown name."""
        for module in self.modules:
            if module.module == name:
                return module
        raise ProfileError(f"{self.model} has no part {name!r}")

    def seconds(self, machine: Machine, part: str = "") -> float:
        """The roofline of a part, the whole model by default: no less, operator by operator."""
        self.at(part)
        inside = (call for call in self.operators if _is_inside(call.module, part))
        return sum(machine.seconds(2 * call.macs, call.moved) for call in inside)

    def memory_bound(self, machine: Machine) -> float:
        """The share of the roofline in operators whose traffic takes longer than their arithmetic."""
        slow = [call for call in self.operators if 2 * call.macs / machine.peak < call.moved / machine.bandwidth]
        return sum(call.moved / machine.bandwidth for call in slow) / (self.seconds(machine) or 1)

    def utilization(self, machine: Machine, seconds: float) -> float:
        """Model FLOPs utilization: the share of the peak that a pass of this many seconds reaches."""
        if not 0 < seconds < float("inf"):
            raise ProfileError(f"the measured time must be a positive number of seconds, not {shown(seconds)}")
        return 2 * self.macs / (seconds * machine.peak)

    def as_dict(self) -> dict[str, Any]:
        """All values in plain types."""
        return asdict(self)


@torch.inference_mode(False)
def traffic(model: nn.Module, input_size: Any, *, batch: int | None = None) -> Traffic:
    """Count the bytes that a forward pass of ``batch`` inputs reads and writes, in eval mode.

    The arguments are those of ``archzoo.profile``, and so are the errors. Bytes are those of the dtypes of the model
    and its inputs: convert it to bfloat16 for the traffic in bfloat16.
    """
    result: Traffic = run_pass(TrafficMode, model, input_size, batch, 0)
    return result


class TrafficMode(CountingMode):  # type: ignore[no-untyped-call]
    """Counts a pass, and keeps what each operator moves. Attention is fused where the CPU has a kernel for it."""

    attention = CpuAttention

    def __init__(self, model: nn.Module, inputs: Any, *, fake: bool = False) -> None:
        super().__init__(model, inputs, fake=fake)
        self.calls: list[OperatorTraffic] = []

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_dispatch__(operator, types, args, kwargs)
        packet = getattr(operator, "overloadpacket", None)  # higher-order operators have none, and read something
        if packet is not None and packet not in UNWRITTEN:
            known = look_up(operator)
            if known.fresh and not known.composite:
                self._keep(packet, 0, 0, moved(out))
        return out

    def _count(
        self, operator: Any, known: Operator, out: Any, tensors: list[Tensor], args: Any, kwargs: dict[str, Any]
    ) -> None:
        before = self.counts[-1].get("macs", 0)
        super()._count(operator, known, out, tensors, args, kwargs)
        macs = self.counts[-1].get("macs", 0) - before
        packet = getattr(operator, "overloadpacket", operator)
        if packet in UNWRITTEN or (not macs and _is_view(operator, out, tensors)):
            return
        measures = any(value is True for value in args[5:6])  # batch norm: the statistics of the batch
        written = moved(out[0] if packet in BATCH_NORMS and not measures else out)
        outs = {id(kwargs.get(name)) for name in known.outs}
        read = [tensor for tensor in tensors if id(tensor) not in outs]
        if packet in LOOK_UPS:
            self._keep(packet, macs, min(moved(read[:1]), written) + moved(read[1:]), written)
        else:
            self._keep(packet, macs, moved(read), written)

    def _keep(self, packet: Any, macs: int, read: int, written: int) -> None:
        if macs or read or written:
            self.calls.append(OperatorTraffic(self.path(), str(packet).removeprefix("aten."), macs, read, written))

    def profile(self, input_size: Any, batch: int, batch_axis: int | None = 0) -> Traffic:
        """The traffic of all inputs that ran together."""
        names = self.names
        sums = {name: [0, 0, 0] for name in names.values()}
        for call in self.calls:
            for name in _around(call.module):
                for position, value in enumerate((call.macs, call.read, call.written)):
                    sums[name][position] += value
        modules = [ModuleTraffic(name, type(module).__name__, *sums[name]) for module, name in names.items()]
        return Traffic(modules[0].operator, input_size, batch, self.calls, modules)


def _around(name: str) -> Iterable[str]:
    """A module's name and those of all modules around it."""
    yield ""
    parts = name.split(".") if name else []
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _is_inside(name: str, part: str) -> bool:
    return not part or name == part or name.startswith(f"{part}.")


def _is_view(operator: Any, out: Any, operands: Sequence[Tensor]) -> bool:
    """Whether an operator returns views of its operands, or no tensor."""
    results = {storage_of(leaf) for leaf in tree_leaves(out) if isinstance(leaf, Tensor)}
    return not operator._schema.is_mutable and results <= set(map(storage_of, operands))


def moved(tensors: Any) -> int:
    """Bytes of tensors, each once, where what is expanded is stored once."""
    distinct = {id(leaf): leaf for leaf in tree_leaves(tensors) if isinstance(leaf, Tensor)}
    return sum(map(_stored, distinct.values()))


def _stored(tensor: Tensor) -> int:
    if tensor.layout in INDICES:
        return sum(map(_stored, stored_tensors(tensor)))
    strides: Sequence[int] = tensor.stride()
    return tensor.itemsize * prod(
        side for side, stride in zip(tensor.shape, strides, strict=True) if stride or side == 0
    )
