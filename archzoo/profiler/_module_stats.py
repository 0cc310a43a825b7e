"""The costs of one module of a profiled model."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from archzoo.profiler._conventions import find_convention
from archzoo.profiler._intervals import ReceptiveField
from archzoo.profiler._work import Work

if TYPE_CHECKING:
    from archzoo.profiler._trace import CallTrace

Shape = tuple[int, ...]


@dataclass(eq=False)
class ModuleStats:
    """The costs of one module, submodules included, for one input.

    ``params`` counts its parameters, shared ones once; ``frozen`` those that do not require a gradient.
    ``conv_params`` and ``linear_params`` are weights of convolutions and linear layers, ``norm_params`` the scale and
    shift of normalization layers, ``biases`` all other biases. ``work`` holds the operation counts. ``output`` is the
    shape of the (first) tensor that the last call returned, without the batch dimension. ``output`` and
    ``receptive_field`` are None for a module that never ran or returned no tensor. ``depth`` is the number of layers
    with weights that it adds to the longest path, over all its calls with positional inputs.
    """

    name: str
    kind: str
    params: int = 0
    frozen: int = 0
    conv_params: int = 0
    linear_params: int = 0
    norm_params: int = 0
    biases: int = 0
    work: Work = field(default_factory=Work)
    calls: int = 0
    depth: int = 0
    output: Shape | None = None
    field_source: "tuple[CallTrace, int, Shape] | ReceptiveField | None" = field(default=None, repr=False)

    @property
    def receptive_field(self) -> ReceptiveField | None:
        """The pixels of the input that one element of the output depends on, computed on first access."""
        if isinstance(self.field_source, tuple):
            trace, index, shape = self.field_source
            self.field_source = trace.receptive_field(index, shape)
        return self.field_source

    def as_dict(self) -> dict[str, Any]:
        """All values in plain types, for JSON."""
        values = {name: value for name, value in vars(self).items() if name != "field_source"}
        receptive_field = self.receptive_field and asdict(self.receptive_field)
        return {**values, "work": asdict(self.work), "receptive_field": receptive_field}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModuleStats) and self.as_dict() == other.as_dict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "field_source": self.receptive_field}

    @property
    def weights(self) -> int:
        """Parameters that are neither biases nor part of a normalization layer."""
        return self.params - self.norm_params - self.biases

    @property
    def trainable(self) -> int:
        """Parameters that require a gradient."""
        return self.params - self.frozen

    @property
    def macs(self) -> int:
        """Multiply-adds of the forward pass."""
        return self.work.macs

    @property
    def padding_macs(self) -> int:
        """Those of ``macs`` that multiply a zero of the padding, or that a transposed convolution cuts off."""
        return self.work.padding_macs

    @property
    def backward_macs(self) -> int:
        """Multiply-adds of the backward pass: gradients of everything that requires one."""
        return self.work.backward_macs

    @property
    def flops(self) -> int:
        """2 x ``macs``."""
        return self.work.flops

    @property
    def other_ops(self) -> int:
        """Elements normalized, read by pooling windows or computed elementwise. Never part of ``macs``."""
        return self.work.other_ops

    @property
    def connections(self) -> int:
        """Multiply-adds plus one connection per unit with a bias (LeCun et al. 1998)."""
        return self.work.connections

    @property
    def neurons(self) -> int:
        """Outputs of layers with weights."""
        return self.work.neurons

    @property
    def layers(self) -> int:
        """Calls of layers with weights."""
        return self.work.layers

    def under(self, convention: str) -> int:
        """The cost as another tool or paper counts it: see ``archzoo.profiler.CONVENTIONS``."""
        return find_convention(convention).count(self.work)

    @property
    def level(self) -> int:
        """The nesting level: 0 for the model itself."""
        return self.name.count(".") + bool(self.name)
