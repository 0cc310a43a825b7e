"""How a recipe turns bytes into the numbers that a network reads. Imports no torch.

``archzoo.data._preprocessing`` fits each to the training set.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from archzoo.recipes._ranges import check_numbers
from archzoo.recipes._transforms import require

Scope = Literal["channel", "pixel"]
ChannelOrder = Literal["RGB", "BGR"]


@dataclass(frozen=True)
class Preprocessing:
    """One way to scale and center images."""


@dataclass(frozen=True)
class Normalize(Preprocessing):
    """Subtract the mean and divide by the standard deviation of each channel, of values from 0 to 1.

    ``mean`` and ``std``, in the order red, green, blue, are used in place of the training set's.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self)
        require(
            len(self.mean) == len(self.std) and all(value > 0 for value in self.std),
            f"Normalize takes as many means as positive deviations, or neither, not {self.mean} and {self.std}",
        )


@dataclass(frozen=True)
class SubtractMean(Preprocessing):
    """Subtract the training set's mean, by channel or by pixel, from values of 0 to 255.

    ``values``, in the order red, green, blue, are used in place of the training set's mean by channel.
    """

    scope: Scope = "channel"
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self)
        scopes = get_args(Scope)
        require(
            self.scope in scopes, f"scope of SubtractMean must be {' or '.join(map(repr, scopes))}, not {self.scope!r}"
        )
        require(
            not self.values or self.scope == "channel", "values of SubtractMean are by channel: scope must be 'channel'"
        )


@dataclass(frozen=True)
class Rescale(Preprocessing):
    """Map a value of 0 to ``low`` and the largest value to ``high``, linearly."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self)
        require(self.low < self.high, f"low of Rescale must be less than high, not {self.low} and {self.high}")


@dataclass(frozen=True)
class ZCAWhitening(Preprocessing):
    """Global contrast normalization to this norm, then ZCA whitening with ``epsilon`` added to the variances.

    The defaults are those of Maxout's released code, which Network in Network refers to.
    """

    contrast: float = 55.0
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class PCADecorrelation(Preprocessing):
    """Subtract the mean by pixel and rotate images to the principal components of the training set.

    Values are from 0 to 1, and the components are in the order of their variances, the largest first: an image becomes
    a vector in the layout of one. With ``whiten``, each component is divided by the root of its variance plus
    ``epsilon`` (CS231n, "Neural Networks Part 2": zero-center, decorrelate, whiten).
    """

    whiten: bool = False
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        check_numbers(self)
        require(isinstance(self.whiten, bool), f"whiten of PCADecorrelation must be True or False, not {self.whiten!r}")


@dataclass(frozen=True)
class Bytes(Preprocessing):
    """Values from 0 to 255, with neither mean nor deviation; the channels in this order."""

    order: ChannelOrder = "RGB"

    def __post_init__(self) -> None:
        check_numbers(self)
        orders = get_args(ChannelOrder)
        require(self.order in orders, f"order of Bytes must be {' or '.join(map(repr, orders))}, not {self.order!r}")


PREPROCESSING: tuple[type[Preprocessing], ...] = (
    Bytes,
    Normalize,
    PCADecorrelation,
    Rescale,
    SubtractMean,
    ZCAWhitening,
)
