"""Evaluation protocols: which crops of a test image are averaged. Imports no torch.

``archzoo.training._protocols`` makes the crops.
"""

from dataclasses import dataclass

from archzoo.recipes._ranges import check_numbers
from archzoo.recipes._transforms import Interpolation, check_choice, require


@dataclass(frozen=True)
class Protocol:
    """How a network is tested. Softmax outputs are averaged over the crops."""


@dataclass(frozen=True)
class SingleCrop(Protocol):
    """The center of each image; of ``size`` pixels after the shorter side is scaled to ``resize``, where given.

    ``interpolation`` is that of this resizing, as in ``Resize``. Without a size, images are resized as in training.
    """

    size: int | None = None
    resize: int | None = None
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        check_numbers(self)
        require(
            (self.size is None) == (self.resize is None),
            f"SingleCrop takes both size and resize or neither, not {self.size} and {self.resize}",
        )
        if self.size is not None and self.resize is not None:
            require(0 < self.size <= self.resize, f"size of SingleCrop must be from 1 to resize, not {self.size}")
        check_choice(self, "interpolation", Interpolation)

    def __str__(self) -> str:
        return "single crop" if self.size is None else f"single crop of {self.size} after resizing to {self.resize}"


@dataclass(frozen=True)
class TenCrop(Protocol):
    """The four corners and the center, and their mirror images (AlexNet, Sec. 4.1)."""

    def __str__(self) -> str:
        return "ten crops"


@dataclass(frozen=True)
class MultiCrop144(Protocol):
    """GoogLeNet's 144 crops: 4 scales x 3 squares x 6 crops x 2 mirror images (Sec. 7)."""

    def __str__(self) -> str:
        return "144 crops"


@dataclass(frozen=True)
class Dense(Protocol):
    """The fully convolutional network on whole images, and on their mirror images, at some scales (VGG, Sec. 3.2).

    ``sides`` are shorter sides for a network that takes 224x224; for another one, they are in proportion.
    """

    sides: tuple[int, ...] = (256, 384, 512)

    def __post_init__(self) -> None:
        check_numbers(self)
        require(bool(self.sides), "sides of Dense must be a tuple of at least one number, not ()")

    def __str__(self) -> str:
        count = len(self.sides)
        return f"dense, {({1: 'single scale', 3: 'three scales'}).get(count, f'{count} scales')}"


PROTOCOLS: tuple[type[Protocol], ...] = (Dense, MultiCrop144, SingleCrop, TenCrop)
