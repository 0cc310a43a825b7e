"""Augmentation steps as a recipe states them: typed values, checked when they are made. Imports no torch.

A ``size`` of None stands for the input side of the network. ``archzoo.data._augmentation`` applies each step to images;
``draws`` is how many numbers from 0 to 1 it takes per image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from archzoo.errors import RecipeError

PaddingMode = Literal["constant", "reflect"]
Range = tuple[float, float]


def require(condition: bool, message: str) -> None:
    """Raise RecipeError with this message unless the condition holds."""
    if not condition:
        raise RecipeError(message)


def _check_side(transform: "Transform", name: str, side: Any) -> None:
    is_side = isinstance(side, int) and not isinstance(side, bool) and side > 0
    require(side is None or is_side, f"{name} of {type(transform).__name__} must be a positive integer, not {side!r}")


def check_probability(owner: object, p: Any) -> None:
    """Raise RecipeError unless ``p`` is a number from 0 to 1."""
    is_number = isinstance(p, int | float) and not isinstance(p, bool)
    require(is_number and 0 <= p <= 1, f"p of {type(owner).__name__} must be from 0 to 1, not {p!r}")


def _check_range(transform: "Transform", name: str, values: Sequence[float], *, most: float) -> None:
    valid = len(values) == 2 and 0 < values[0] <= values[1] <= most
    limit = "" if most == float("inf") else f", at most {most:g}"
    require(
        valid,
        f"{name} of {type(transform).__name__} must be two numbers (low, high), 0 < low <= high{limit}, not {values!r}",
    )


@dataclass(frozen=True)
class Transform:
    """One step of augmentation."""

    draws: ClassVar[int] = 0

    @property
    def fills(self) -> bool:
        """Whether it writes zeros into the image; these are the mean where normalization comes first."""
        return False


@dataclass(frozen=True)
class Resize(Transform):
    """Scale the shorter side to ``size``, or to a side drawn from ``size`` to ``max_size`` (scale jittering)."""

    size: int
    max_size: int | None = None

    def __post_init__(self) -> None:
        _check_side(self, "size", self.size)
        _check_side(self, "max_size", self.max_size)
        require(self.size is not None, "Resize needs a size, such as Resize(256)")
        if self.max_size is not None:
            require(self.max_size >= self.size, f"max_size of Resize must be at least {self.size}, not {self.max_size}")

    @property
    def draws(self) -> int:  # type: ignore[override]
        return 0 if self.max_size is None else 1


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Cut the square of this side out of the center."""

    size: int | None = None

    def __post_init__(self) -> None:
        _check_side(self, "size", self.size)


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Cut a square of this side out of a random place, after ``padding`` pixels are added on every side."""

    size: int | None = None
    padding: int = 0
    padding_mode: PaddingMode = "constant"
    draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check_side(self, "size", self.size)
        valid = isinstance(self.padding, int) and not isinstance(self.padding, bool) and self.padding >= 0
        require(valid, f"padding of RandomCrop must be a non-negative integer, not {self.padding!r}")
        modes = get_args(PaddingMode)
        require(
            self.padding_mode in modes,
            f"padding_mode of RandomCrop must be {' or '.join(map(repr, modes))}, not {self.padding_mode!r}",
        )

    @property
    def fills(self) -> bool:
        return self.padding > 0


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """Cut out a part of random area and aspect ratio and scale it to a square (GoogLeNet, Sec. 6).

    Areas, as shares of the image, and the logarithms of aspect ratios are uniform. After ten parts that do not fit,
    the central square is taken.
    """

    size: int | None = None
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    draws: ClassVar[int] = 22

    def __post_init__(self) -> None:
        _check_side(self, "size", self.size)
        _check_range(self, "scale", self.scale, most=1.0)
        _check_range(self, "ratio", self.ratio, most=float("inf"))


@dataclass(frozen=True)
class RandomHorizontalFlip(Transform):
    """Flip left and right with probability ``p``."""

    p: float = 0.5
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_probability(self, self.p)


@dataclass(frozen=True)
class RandomTenCrop(Transform):
    """One of the ten crops of ten-crop testing: corners and center, and their mirror images (ZFNet, Sec. 3)."""

    size: int | None = None
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_side(self, "size", self.size)


@dataclass(frozen=True)
class ColorJitter(Transform):
    """Scale brightness, contrast and saturation, in random order, each by a factor from 1 - x to 1 + x."""

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    draws: ClassVar[int] = 4

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} of ColorJitter must be from 0 to 1, not {value!r}")


# Of ImageNet's training set, of values from 0 to 1: standard deviations along the principal components of RGB, and
# the components as columns.
IMAGENET_DEVIATIONS = (0.2175, 0.0188, 0.0045)
IMAGENET_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


@dataclass(frozen=True)
class PCALighting(Transform):
    """Add a color to the whole image: each principal component of RGB times a Gaussian of ``std`` (AlexNet, 4.1)."""

    std: float = 0.1
    deviations: tuple[float, ...] = IMAGENET_DEVIATIONS
    components: tuple[tuple[float, ...], ...] = IMAGENET_COMPONENTS
    draws: ClassVar[int] = 3

    def __post_init__(self) -> None:
        require(self.std >= 0, f"std of PCALighting must not be negative, not {self.std!r}")


@dataclass(frozen=True)
class RandomErasing(Transform):
    """With probability ``p``, set a part of random area and aspect ratio to zero, the mean once normalized."""

    p: float = 0.5
    scale: Range = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)
    draws: ClassVar[int] = 23

    def __post_init__(self) -> None:
        check_probability(self, self.p)
        _check_range(self, "scale", self.scale, most=1.0)
        _check_range(self, "ratio", self.ratio, most=float("inf"))

    @property
    def fills(self) -> bool:
        return True


@dataclass(frozen=True)
class Lambda(Transform):
    """Any function of one uint8 image (C, H, W), such as a transform of torchvision. torch's generator is seeded."""

    function: Callable[[Any], Any]
    draws: ClassVar[int] = 1


TRANSFORMS: tuple[type[Transform], ...] = (
    CenterCrop,
    ColorJitter,
    PCALighting,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomTenCrop,
    Resize,
)
