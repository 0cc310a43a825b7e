"""Augmentation steps as a recipe states them: typed values, checked when they are made. Imports no torch.

A ``size`` of None stands for the input side of the network. ``archzoo.data._augmentation`` applies each step to images;
``draws`` is how many numbers from 0 to 1 it takes per image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from archzoo.errors import RecipeError
from archzoo.recipes._ranges import check_numbers

PaddingMode = Literal["constant", "black", "reflect"]
Range = tuple[float, float]
Interpolation = Literal["bilinear", "bicubic", "opencv_bilinear", "torch7_bicubic"]
Aspect = Literal["log_uniform", "uniform"]


def require(condition: bool, message: str) -> None:
    """Raise RecipeError with this message unless the condition holds."""
    if not condition:
        raise RecipeError(message)


def check_probability(owner: object, p: Any) -> None:
    """Raise RecipeError unless ``p`` is a number from 0 to 1."""
    is_number = isinstance(p, int | float) and not isinstance(p, bool)
    require(is_number and 0 <= p <= 1, f"p of {type(owner).__name__} must be from 0 to 1, not {p!r}")


def check_choice(owner: object, name: str, choices: Any) -> None:
    """Raise RecipeError unless the attribute of this name is one of the values of a Literal type."""
    value, values = getattr(owner, name), get_args(choices)
    listed = f"{', '.join(map(repr, values[:-1]))} or {values[-1]!r}"
    require(value in values, f"{name} of {type(owner).__name__} must be {listed}, not {value!r}")


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
    """Scale the shorter side to ``size``, or to a side drawn from ``size`` to ``max_size`` (scale jittering).

    ``interpolation`` is "bilinear" or "bicubic" with antialiasing, as Pillow and torchvision have them, or what papers'
    code has without it: "opencv_bilinear", or "torch7_bicubic", a spline through the four nearest pixels each way.
    """

    size: int
    max_size: int | None = None
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.max_size is not None:
            require(self.max_size >= self.size, f"max_size of Resize must be at least {self.size}, not {self.max_size}")
        check_choice(self, "interpolation", Interpolation)

    @property
    def draws(self) -> int:  # type: ignore[override]
        return 0 if self.max_size is None else 1


@dataclass(frozen=True)
class CenterCrop(Transform):
    """Cut the square of this side out of the center."""

    size: int | None = None

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class RandomCrop(Transform):
    """Cut a square of this side out of a random place, after ``padding`` pixels are added on every side.

    They are zeros, which are the mean once normalized; with ``padding_mode="black"`` zeros of bytes, as in code that
    crops before it normalizes; with "reflect" reflections.
    """

    size: int | None = None
    padding: int = 0
    padding_mode: PaddingMode = "constant"
    draws: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_numbers(self)
        check_choice(self, "padding_mode", PaddingMode)

    @property
    def fills(self) -> bool:
        return self.padding > 0 and self.padding_mode != "black"


@dataclass(frozen=True)
class RandomResizedCrop(Transform):
    """Cut out a part of random area and aspect ratio and scale it to a square (GoogLeNet, Sec. 6).

    Areas, as shares of the image, and the logarithms of aspect ratios are uniform; with ``aspect="uniform"``, the
    aspect ratios themselves, and a coin exchanges height and width (fb.resnet.torch). After ten parts that do not fit,
    the central square is taken.
    """

    size: int | None = None
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    aspect: Aspect = "log_uniform"
    interpolation: Interpolation = "bilinear"
    draws: ClassVar[int] = 22

    def __post_init__(self) -> None:
        check_numbers(self)
        _check_range(self, "scale", self.scale, most=1.0)
        _check_range(self, "ratio", self.ratio, most=float("inf"))
        check_choice(self, "aspect", Aspect)
        check_choice(self, "interpolation", Interpolation)


@dataclass(frozen=True)
class RandomHorizontalFlip(Transform):
    """Flip left and right with probability ``p``."""

    p: float = 0.5
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_numbers(self)
        check_probability(self, self.p)


@dataclass(frozen=True)
class RandomTenCrop(Transform):
    """One of the ten crops of ten-crop testing: corners and center, and their mirror images (ZFNet, Sec. 3)."""

    size: int | None = None
    draws: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class ColorJitter(Transform):
    """Scale brightness, contrast and saturation, in random order, each by a factor from 1 - x to 1 + x.

    ``hue`` turns the circle of colors by a share from -hue to hue. Each result is limited to values from 0 to 1, or
    with ``clamp=False`` none is (fb.resnet.torch).
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.0
    clamp: bool = True

    @property
    def draws(self) -> int:  # type: ignore[override]
        return 5 if self.hue else 4

    def __post_init__(self) -> None:
        check_numbers(self)
        require(
            self.clamp or not self.hue,
            "hue of ColorJitter is of values from 0 to 1: it cannot be used with clamp=False",
        )
        require(isinstance(self.clamp, bool), f"clamp of ColorJitter must be True or False, not {self.clamp!r}")


# Principal components of RGB in ImageNet, as columns, and the variances along them, of values from 0 to 1:
# fb.resnet.torch's datasets/imagenet.lua. The channels' deviations that follow, 0.284, 0.276 and 0.290, are those of
# all pixels. The better known 0.229, 0.224 and 0.225 beside them there are averages of the deviations of single images
# (github.com/pytorch/vision/pull/1965).
IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
IMAGENET_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


@dataclass(frozen=True)
class PCALighting(Transform):
    """Add a color to the whole image (AlexNet, Sec. 4.1).

    It is the sum of the principal components of RGB, each times its eigenvalue, which is the variance along it, and
    times a Gaussian of ``std``.
    """

    std: float = 0.1
    eigenvalues: tuple[float, ...] = IMAGENET_EIGENVALUES
    components: tuple[tuple[float, ...], ...] = IMAGENET_COMPONENTS
    draws: ClassVar[int] = 3

    def __post_init__(self) -> None:
        check_numbers(self)
        sides = [len(row) if isinstance(row, tuple | list) else 0 for row in (self.eigenvalues, *self.components)]
        is_square = set(sides) == {len(self.components)}
        require(is_square, f"PCALighting takes one component for each eigenvalue, not {self.components!r}")


@dataclass(frozen=True)
class RandomErasing(Transform):
    """With probability ``p``, overwrite a part of random area and aspect ratio.

    Areas, as shares of the image, and the logarithms of aspect ratios are uniform; with ``aspect="uniform"``, the
    ratios of height to width themselves, as in the released code of Zhong et al. The first of ten parts that is lower
    and narrower than the image is taken, at a random place; without one, the image stays. ``fill`` is what is written,
    in units of normalized values: one number, or one for each channel. Zero is the mean.
    """

    p: float = 0.5
    scale: Range = (0.02, 0.33)
    ratio: Range = (0.3, 3.3)
    aspect: Aspect = "log_uniform"
    fill: tuple[float, ...] = (0.0,)
    draws: ClassVar[int] = 23

    def __post_init__(self) -> None:
        check_numbers(self)
        check_probability(self, self.p)
        _check_range(self, "scale", self.scale, most=1.0)
        _check_range(self, "ratio", self.ratio, most=float("inf"))
        check_choice(self, "aspect", Aspect)
        require(bool(self.fill), "fill of RandomErasing must be a tuple of at least one number, not ()")

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
