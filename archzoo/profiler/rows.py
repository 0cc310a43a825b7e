"""A row of a profile: what one module costs."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from archzoo.profiler.intervals import ReceptiveField
from archzoo.profiler.operators import Work

if TYPE_CHECKING:
    from archzoo.profiler.tape import Tape

Shape = tuple[int, ...]


@dataclass(eq=False)
class Row:
    """What one module costs for one input, all that is inside it included.

    ``params`` are its learnable numbers, each once, ``frozen`` those that need no gradient; ``conv_params`` and
    ``linear_params`` are weights of convolutions and linear layers, ``norm_params`` scale and shift of normalizations,
    ``biases`` what a layer adds. ``work`` is what it did. ``output`` is the shape of what it returned when it last ran
    (of the first tensor, if there were several), without the batch, and ``field`` what one number of it sees of the
    image; both are None where it never ran or returned no tensor.
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
    output: Shape | None = None
    seen: "tuple[Tape, int, Shape] | ReceptiveField | None" = field(default=None, repr=False)

    @property
    def field(self) -> ReceptiveField | None:
        """What one number of the output sees of the image: worked out when it is first asked for."""
        if isinstance(self.seen, tuple):
            tape, place, shape = self.seen
            self.seen = tape.field(place, shape)
        return self.seen

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return {**vars(self), "work": asdict(self.work), "seen": self.field and asdict(self.field)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.as_dict() == other.as_dict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "seen": self.field}

    @property
    def weights(self) -> int:
        """Learnable numbers that are neither a bias nor of a normalization."""
        return self.params - self.norm_params - self.biases

    @property
    def trainable(self) -> int:
        """Learnable numbers that need a gradient."""
        return self.params - self.frozen

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.work.macs

    @property
    def backward_macs(self) -> int:
        """Multiply-adds of the gradients of everything that needs one, for a loss behind the output."""
        return self.work.backward_macs

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return self.work.flops

    @property
    def other(self) -> int:
        """Elements normalized, read by pooling windows, or worked on one by one: never part of the multiply-adds."""
        return self.work.other

    @property
    def connections(self) -> int:
        """Multiply-adds, and one connection more for each unit with a bias (LeCun et al. 1998)."""
        return self.work.connections

    @property
    def neurons(self) -> int:
        """Outputs of layers with weights."""
        return self.work.neurons

    @property
    def layers(self) -> int:
        """How many layers with weights ran."""
        return self.work.layers

    @property
    def level(self) -> int:
        """How deep the module is nested: 0 is the model."""
        return self.name.count(".") + bool(self.name)
