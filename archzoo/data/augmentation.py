"""What papers do to pictures before a network sees them: batches at a time, drawn by (seed, epoch, picture)."""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data.dataset import Images, ImageSet
from archzoo.errors import DataError


class Step(Protocol):
    """One change to a batch. ``draws`` is how many numbers from 0 to 1 it takes for a picture."""

    @property
    def draws(self) -> int: ...

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        """Images (N, C, H, W), or a list of N where sizes differ, changed as the numbers (N, draws) have it."""
        ...


def seed_of(*numbers: int | str) -> int:
    """One seed for torch's generators from several numbers, in a way that neighbors have nothing in common."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Pipeline:
    """Steps in order. The numbers of a picture depend on the seed, the epoch and its place in the data alone."""

    steps: tuple[Step, ...]

    @property
    def draws(self) -> int:
        """How many numbers a picture takes."""
        return sum(step.draws for step in self.steps)

    def table(self, pictures: int, seed: int, epoch: int) -> Tensor:
        """The numbers of all pictures in an epoch, (pictures, draws)."""
        generator = torch.Generator().manual_seed(seed_of("augmentation", seed, epoch))
        return torch.rand(pictures, self.draws, generator=generator)

    def __call__(self, images: Images, numbers: Tensor) -> Tensor:
        """Floats (N, C, H, W). Raises DataError where pictures still differ in size behind the last step."""
        shares = torch.split(numbers, [step.draws for step in self.steps], dim=1)
        for step, some in zip(self.steps, shares, strict=True):
            images = step(images, some)
        return stacked(images)


def stacked(images: Images) -> Tensor:
    """A batch of pictures of one size. Raises DataError where they differ."""
    if isinstance(images, Tensor):
        return images
    sizes = {tuple(image.shape) for image in images}
    if len(sizes) > 1:
        first, second = sorted(sizes)[:2]
        raise DataError(
            f"pictures differ in size, {first[1]}x{first[2]} and {second[1]}x{second[2]}: the augmentation must end in "
            "one size, such as 'shorter side 256' and 'random crop'"
        )
    return torch.stack(images)


def _each(images: Images) -> list[Tensor]:
    return list(images)


def floats(images: Tensor) -> Tensor:
    """Values from 0 to 1."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


# Geometry


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """One picture (C, h, w) of any type, bilinear and antialiased."""
    if image.shape[1:] == (height, width):
        return image
    return F.interpolate(image.unsqueeze(0), (height, width), mode="bilinear", antialias=True).squeeze(0)


def scale_shorter(image: Tensor, side: int) -> Tensor:
    """One picture (C, h, w) with this shorter side, in its own proportions; the longer one is cut to whole pixels."""
    height, width = image.shape[1:]
    if height <= width:
        return resize(image, side, int(side * width / height))
    return resize(image, int(side * height / width), side)


def middle(image: Tensor, height: int, width: int) -> Tensor:
    """The middle of a picture (C, h, w). Raises DataError where it is smaller."""
    _must_hold(image, height, width)
    top, left = round((image.shape[1] - height) / 2), round((image.shape[2] - width) / 2)
    return image[:, top : top + height, left : left + width]


def _must_hold(image: Tensor, height: int, width: int) -> None:
    if image.shape[-2] < height or image.shape[-1] < width:
        raise DataError(f"a picture of {image.shape[-2]}x{image.shape[-1]} has no crop of {height}x{width}")


@dataclass(frozen=True)
class ShorterSide:
    """Scaled to a shorter side of ``low``, or of one drawn from low to high."""

    low: int
    high: int | None = None

    @property
    def draws(self) -> int:
        return 0 if self.high is None else 1

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        high = self.low if self.high is None else self.high
        sides = (self.low + (numbers * (high + 1 - self.low)).long()).flatten().tolist() or [self.low] * len(images)
        if isinstance(images, Tensor) and self.high is None:
            return F.interpolate(images, _scaled(images.shape[-2:], self.low), mode="bilinear", antialias=True)
        return [scale_shorter(image, side) for image, side in zip(_each(images), sides, strict=True)]


def _scaled(size: Sequence[int], side: int) -> tuple[int, int]:
    height, width = size
    return (side, int(side * width / height)) if height <= width else (int(side * height / width), side)


@dataclass(frozen=True)
class Middle:
    """The middle square of this side."""

    side: int
    draws: int = 0

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        return torch.stack([middle(image, self.side, self.side) for image in _each(images)])


@dataclass(frozen=True)
class Pad:
    """Zeros around the picture, or its own reflection."""

    margin: int
    mode: str = "constant"
    draws: int = 0

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        whole = stacked(images)
        return F.pad(whole if self.mode == "constant" else floats(whole), [self.margin] * 4, self.mode)


@dataclass(frozen=True)
class Crop:
    """A square of this side, from anywhere in the picture."""

    side: int
    draws: int = 2

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        side = self.side
        if not isinstance(images, Tensor):
            return torch.stack([self._one(image, *pair) for image, pair in zip(images, numbers.tolist(), strict=True)])
        _must_hold(images, side, side)
        room = torch.tensor(images.shape[-2:]) - side + 1
        top, left = (numbers * room).long().unbind(1)
        windows = images.unfold(2, side, 1).unfold(3, side, 1)  # a view (N, C, tops, lefts, side, side)
        return windows[torch.arange(len(images)), :, top, left]

    def _one(self, image: Tensor, down: float, right: float) -> Tensor:
        _must_hold(image, self.side, self.side)
        top = int(down * (image.shape[1] - self.side + 1))
        left = int(right * (image.shape[2] - self.side + 1))
        return image[:, top : top + self.side, left : left + self.side]


@dataclass(frozen=True)
class AreaCrop:
    """A part of the picture of a random area and shape, scaled to a square: GoogLeNet's crops (Sec. 6).

    Areas and the logarithms of shapes are uniform; ten tries at one that fits, then the middle square.
    """

    side: int
    area: tuple[float, float] = (0.08, 1.0)
    shape: tuple[float, float] = (3 / 4, 4 / 3)
    draws: int = 22

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        crops = []
        for image, drawn in zip(_each(images), numbers.tolist(), strict=True):
            top, left, height, width = self.box(image.shape[1], image.shape[2], drawn)
            crops.append(resize(image[:, top : top + height, left : left + width], self.side, self.side))
        return torch.stack(crops)

    def box(self, height: int, width: int, drawn: Sequence[float]) -> tuple[int, int, int, int]:
        """Top, left, height and width of the part that 22 numbers from 0 to 1 draw."""
        found = fitting_box(height, width, drawn[:-2], self.area, self.shape)
        if found is None:
            square = min(height, width)
            return (height - square) // 2, (width - square) // 2, square, square
        return int(drawn[-2] * (height - found[0] + 1)), int(drawn[-1] * (width - found[1] + 1)), *found


def fitting_box(
    height: int, width: int, drawn: Sequence[float], area: tuple[float, float], shape: tuple[float, float]
) -> tuple[int, int] | None:
    """The first height and width, of a drawn area and width-to-height, that fit in a picture; None if none does."""
    low, high = math.log(shape[0]), math.log(shape[1])
    for one, other in zip(drawn[::2], drawn[1::2], strict=True):
        wanted = height * width * (area[0] + one * (area[1] - area[0]))
        ratio = math.exp(low + other * (high - low))
        wide, tall = round(math.sqrt(wanted * ratio)), round(math.sqrt(wanted / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            return tall, wide
    return None


@dataclass(frozen=True)
class Mirror:
    """Left and right exchanged, for half of the pictures."""

    draws: int = 1

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        turned = numbers.flatten() < 0.5
        if isinstance(images, Tensor):
            return torch.where(turned.view(-1, 1, 1, 1), images.flip(-1), images)
        return [image.flip(-1) if turn else image for image, turn in zip(images, turned.tolist(), strict=True)]


@dataclass(frozen=True)
class OneOfTen:
    """One of the ten crops that are tested on: corners and middle, and their mirror images (ZFNet, Sec. 3.1)."""

    side: int
    draws: int = 1

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        crops = ten_crops(stacked(images), self.side)
        chosen = (numbers.flatten() * 10).long()
        return crops[chosen, torch.arange(len(chosen))]


def ten_crops(images: Tensor, side: int) -> Tensor:
    """Four corners and the middle of pictures (..., h, w), then of their mirror images: (10, ..., side, side)."""
    _must_hold(images, side, side)
    height, width = images.shape[-2:]
    mid = round((height - side) / 2), round((width - side) / 2)
    corners = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side), mid]
    return torch.stack(
        [each[..., top : top + side, left : left + side] for each in (images, images.flip(-1)) for top, left in corners]
    )


def many_crops(image: Tensor, side: int, sides: Sequence[int] = (256, 288, 320, 352)) -> Tensor:
    """GoogLeNet's 144 crops of a picture (C, h, w), (144, C, side, side) (Sec. 7).

    The picture at four shorter sides; at each the squares at its beginning, middle and end; of each the four corners,
    the middle and the whole, scaled; and their mirror images.
    """
    crops = []
    for scaled in (scale_shorter(image, one) for one in sides):
        square = min(scaled.shape[1:])
        longer = max(scaled.shape[1:])
        for start in (0, (longer - square) // 2, longer - square):
            cut = scaled[:, start : start + square] if scaled.shape[1] > square else scaled[..., start : start + square]
            whole = resize(cut, side, side)
            crops += [ten_crops(cut, side), torch.stack([whole, whole.flip(-1)])]
    return torch.cat(crops)


# Color


def blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    """A share ``factor`` of the images and the rest of the other, kept from 0 to 1."""
    factors = factors.view(-1, 1, 1, 1)
    return (factors * images + (1 - factors) * other).clamp_(0, 1)


def gray(images: Tensor) -> Tensor:
    """The luma of ITU-R 601, (N, 1, H, W); of one channel itself."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Towards black, or away from it."""
    return blend(images, torch.zeros_like(images), factors)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Towards the picture's mean gray, or away from it."""
    return blend(images, gray(images).mean((1, 2, 3), keepdim=True), factors)


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Towards gray, or away from it."""
    return blend(images, gray(images).expand_as(images), factors)


ORDERS = tuple(permutations((brightness, contrast, saturation)))


@dataclass(frozen=True)
class ColorJitter:
    """Brightness, contrast and saturation, each times 1 - strength to 1 + strength, in a random order."""

    strength: float
    draws: int = 4

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        batch = floats(stacked(images)).clone()
        factors = 1 + self.strength * (2 * numbers[:, :3] - 1)
        chosen = (numbers[:, 3] * len(ORDERS)).long()
        for number, order in enumerate(ORDERS):
            members = torch.nonzero(chosen == number).flatten()
            if len(members):
                some = batch[members]
                for place, change in enumerate(order):
                    some = change(some, factors[members, place])
                batch[members] = some
        return batch


# Of ImageNet's training set, of values from 0 to 1: deviations along the principal components, and these as columns.
IMAGENET_DEVIATIONS = (0.2175, 0.0188, 0.0045)
IMAGENET_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


@dataclass(frozen=True)
class PCAColor:
    """A color added to the whole picture: each principal component of the colors times a Gaussian (AlexNet, 4.1)."""

    deviation: float
    values: tuple[float, ...] = IMAGENET_DEVIATIONS
    components: tuple[tuple[float, ...], ...] = IMAGENET_COMPONENTS
    draws: int = 3

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        batch = floats(stacked(images))
        if batch.shape[1] != 3:
            raise DataError(f"PCA color is for pictures of 3 channels, not {batch.shape[1]}")
        drawn = torch.special.ndtri(numbers.double().clamp(1e-7, 1 - 1e-7)).float() * self.deviation
        added = (drawn * torch.tensor(self.values)) @ torch.tensor(self.components).T
        colored: Tensor = batch + added.view(-1, 3, 1, 1)
        return colored


def principal_colors(pictures: ImageSet) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Deviations and components (as columns) of the colors of these pictures, for PCAColor; the largest first."""
    total, square, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64), 0
    for place in torch.split(torch.arange(len(pictures)), 256):
        for image in pictures.take(place):
            colors = image.reshape(3, -1).double() / 255
            total, square, count = total + colors.sum(1), square + colors @ colors.T, count + colors.shape[1]
    mean = total / count
    values, vectors = torch.linalg.eigh(square / count - torch.outer(mean, mean))
    return tuple(values.clamp(min=0).sqrt().flip(0).tolist()), tuple(map(tuple, vectors.flip(1).tolist()))


@dataclass(frozen=True)
class Erase:
    """With a probability, zeros (the mean, once normalized) over a part of random area and shape."""

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.33)
    shape: tuple[float, float] = (0.3, 3.3)
    draws: int = 23

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        batch = stacked(images).clone()
        height, width = batch.shape[-2:]
        for image, drawn in zip(batch, numbers.tolist(), strict=True):
            box = fitting_box(height, width, drawn[1:-2], self.area, self.shape)
            if drawn[0] < self.probability and box is not None:
                top, left = int(drawn[-2] * (height - box[0] + 1)), int(drawn[-1] * (width - box[1] + 1))
                image[:, top : top + box[0], left : left + box[1]] = 0
        return batch


@dataclass(frozen=True)
class Other:
    """Any function of one picture (C, H, W), bytes, such as torchvision's transforms; torch's generator is seeded."""

    transform: Callable[[Any], Any]
    draws: int = 1

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        changed = []
        with torch.random.fork_rng(devices=[]):
            for image, number in zip(_each(images), numbers.flatten().tolist(), strict=True):
                torch.manual_seed(int(number * 2**24))
                changed.append(self.transform(image))
        return changed


# Steps by the words of a recipe

NUMBER = r"(\d+(?:\.\d+)?)"
PHRASES: tuple[tuple[str, Callable[..., tuple[Step, ...]]], ...] = (
    (rf"shorter side {NUMBER}", lambda side, _: (ShorterSide(int(side)),)),
    (rf"shorter side drawn from {NUMBER} to {NUMBER}", lambda low, high, _: (ShorterSide(int(low), int(high)),)),
    (r"middle (\d+)x\d+", lambda side, _: (Middle(int(side)),)),
    (r"random crop", lambda side: (Crop(side),)),
    (r"random crop of (\d+)", lambda crop, _: (Crop(int(crop)),)),
    (rf"pad {NUMBER} and crop", lambda margin, side: (Pad(int(margin)), Crop(side))),
    (rf"pad {NUMBER} by reflection and crop", lambda margin, side: (Pad(int(margin), "reflect"), Crop(side))),
    (
        rf"crop of {NUMBER}% to {NUMBER}% of the area, sides 3/4 to 4/3",
        lambda low, high, side: (AreaCrop(side, (float(low) / 100, float(high) / 100)),),
    ),
    (r"one of ten crops", lambda side: (OneOfTen(side),)),
    (r"mirror", lambda _: (Mirror(),)),
    (rf"color jitter {NUMBER}", lambda strength, _: (ColorJitter(float(strength)),)),
    (rf"PCA color {NUMBER}", lambda deviation, _: (PCAColor(float(deviation)),)),
    (rf"erase {NUMBER}", lambda probability, _: (Erase(float(probability)),)),
)


def steps_of(phrase: str, side: int) -> tuple[Step, ...]:
    """The steps that a phrase of a recipe means, for pictures that end with this side. Raises DataError."""
    for pattern, make in PHRASES:
        if found := re.fullmatch(pattern, phrase):
            return make(*found.groups(), side)
    known = ", ".join(repr(re.sub(r"\(.*?\)+\??\)?|\\d\+", "N", pattern)) for pattern, _ in PHRASES)
    raise DataError(f"no augmentation {phrase!r}; there are {known}")
