"""Regularizers that a recipe adds to a network; ``archzoo.training._regularization`` applies them. Imports no torch."""

from dataclasses import dataclass

from archzoo.recipes._transforms import require


@dataclass(frozen=True)
class Regularizer:
    """One change to how a network trains. Its state dict keeps its names."""


@dataclass(frozen=True)
class _WithProbability(Regularizer):
    p: float = 0.5

    def __post_init__(self) -> None:
        valid = isinstance(self.p, float) and 0 < self.p < 1
        require(valid, f"p of {type(self).__name__} must be more than 0 and less than 1, not {self.p!r}")


@dataclass(frozen=True)
class Dropout(_WithProbability):
    """Dropout before the last linear layer (Srivastava et al. 2014)."""


@dataclass(frozen=True)
class DropConnect(_WithProbability):
    """Drop single weights of the linear layers (Wan et al. 2013)."""


@dataclass(frozen=True)
class DropPath(_WithProbability):
    """Drop residual branches per image, with a probability that grows linearly to ``p`` at the last block."""


@dataclass(frozen=True)
class FractionalMaxPooling(Regularizer):
    """Pool over random regions (Graham 2014), to the size that each max pooling gives."""


@dataclass(frozen=True)
class GroupLasso(Regularizer):
    """Lasso of the weights between a group of filters and an input (CondenseNet, Sec. 3.1), until inputs are chosen.

    ``factor`` is that of the sum of the norms. The loss that is logged is without it.
    """

    factor: float = 1e-5

    def __post_init__(self) -> None:
        valid = isinstance(self.factor, float) and 0 < self.factor < 1
        require(valid, f"factor of GroupLasso must be more than 0 and less than 1, not {self.factor!r}")


REGULARIZERS: tuple[type[Regularizer], ...] = (DropConnect, DropPath, Dropout, FractionalMaxPooling, GroupLasso)
