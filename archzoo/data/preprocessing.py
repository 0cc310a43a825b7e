"""From decoded pictures to what a network takes: a recipe's words turned into steps, fitted to the training set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data.augmentation import (
    AreaCrop,
    Erase,
    Middle,
    Pad,
    Pipeline,
    ShorterSide,
    Step,
    floats,
    stacked,
    steps_of,
)
from archzoo.data.dataset import Images, ImageSet
from archzoo.errors import DataError

BY_CHANNEL = "mean and deviation by channel"
WORDS = (
    BY_CHANNEL,
    "mean by channel",
    "mean by channel (104, 117, 123)",
    "mean by pixel",
    "background -0.1, ink 1.175",
    "global contrast normalization and ZCA",
    "values from 0 to 1",
)
BY_PIXEL = ("mean by pixel", "global contrast normalization and ZCA")
MARGIN = 256 / 224  # of the shorter side that single views and ten crops are taken from, to the side of a crop
# Maxout's released code, which Network in Network refers to: pictures of this norm, and what is added to variances.
CONTRAST, ZCA_BIAS = 55.0, 0.1


@dataclass(frozen=True)
class Center:
    """Zeros on all sides, to a square of this side."""

    side: int
    draws: int = 0

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        whole = stacked(images)
        high, wide = self.side - whole.shape[-2], self.side - whole.shape[-1]
        if high < 0 or wide < 0:
            raise DataError(f"pictures of {whole.shape[-2]}x{whole.shape[-1]} do not fit in {self.side}x{self.side}")
        return F.pad(whole, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


@dataclass(frozen=True)
class Normalize:
    """(values - mean) / deviation, of values from 0 to 1; mean and deviation are (C, 1, 1) or (C, H, W)."""

    mean: Tensor
    deviation: Tensor
    draws: int = 0

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        if isinstance(images, Tensor):
            return floats(images).sub(self.mean).div_(self.deviation)
        return [floats(image).sub(self.mean).div_(self.deviation) for image in images]


@dataclass(frozen=True)
class Times:
    """Every value times a number."""

    factor: float
    draws: int = 0

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        return floats(stacked(images)) * self.factor


@dataclass(frozen=True)
class Whiten:
    """Each picture's mean removed and its norm set, then the components of all decorrelated (ZCA)."""

    mean: Tensor
    matrix: Tensor
    draws: int = 0

    def __call__(self, images: Images, numbers: Tensor) -> Images:
        batch = stacked(images)
        return ((global_contrast(batch) - self.mean) @ self.matrix).view(batch.shape)


def global_contrast(batch: Tensor) -> Tensor:
    """ImageSet (N, C, H, W) as rows without their mean and of one norm."""
    rows = floats(batch).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    norms: Tensor = rows.norm(dim=1, keepdim=True)
    return CONTRAST * rows / norms.clamp(min=1e-8)


@dataclass(frozen=True)
class Prepared:
    """What happens to pictures on their way into a network of one input side.

    ``train`` is for training. In evaluation ``frame`` comes first, then crops of ``side``, then ``finish``.
    """

    side: int
    train: Pipeline
    frame: Pipeline
    finish: Pipeline
    fitted: dict[str, Tensor] = field(default_factory=dict)

    def view(self, images: Images) -> Tensor:
        """The middle of each picture, ready for the network."""
        none = torch.empty(len(images), 0)
        framed = framed_by(self.frame, images)
        return self.finish(Middle(self.side)(framed, none), none)


def framed_by(pipeline: Pipeline, images: Images) -> Images:
    """A pipeline without draws, whose pictures may differ in size."""
    none = torch.empty(len(images), 0)
    for step in pipeline.steps:
        images = step(images, none)
    return images


def prepare(
    augmentation: Sequence[str],
    preprocessing: str,
    pictures: ImageSet,
    side: int,
    constants: tuple[Sequence[float], Sequence[float]] | None = None,
    fitted: dict[str, Tensor] | None = None,
) -> Prepared:
    """Steps for the words of a recipe, fitted to the pictures that are learned from.

    ``constants`` are mean and deviation by channel, where they are known; ``fitted`` what an earlier call found.
    ImageSet of another size are scaled or set among zeros where no word does. Raises DataError for unknown words.
    """
    steps = tuple(step for phrase in augmentation for step in steps_of(phrase, side))
    if not any(isinstance(step, ShorterSide | AreaCrop) for step in steps):
        steps = (*_fit_in(pictures, side), *steps)
    fixed = 0
    while fixed < len(steps) and isinstance(steps[fixed], ShorterSide | Middle | Center) and not steps[fixed].draws:
        fixed += 1
    drawn = any(isinstance(step, ShorterSide | AreaCrop) for step in steps[fixed:])
    frame = (ShorterSide(round(side * MARGIN)),) if drawn else steps[:fixed]
    by_pixel = preprocessing in BY_PIXEL
    if fitted is None:
        fitted = _fit(preprocessing, pictures, Pipeline((*frame, Middle(side)) if drawn else frame), constants)
    first, last = _steps(preprocessing, fitted)
    if by_pixel and not drawn:
        train = (*frame, *first, *steps[fixed:], *last)
        return Prepared(side, Pipeline(train), Pipeline((*frame, *first)), Pipeline(last), fitted)
    place = next((at for at, step in enumerate(steps) if isinstance(step, Pad | Erase)), len(steps))
    train = (*steps[:place], *first, *steps[place:], *last)
    return Prepared(side, Pipeline(train), Pipeline(frame), Pipeline((*first, *last)), fitted)


def _fit_in(pictures: ImageSet, side: int) -> tuple[Step, ...]:
    size = pictures.size
    if size == (side, side):
        return ()
    if size is not None and max(size) <= side:
        return (Center(side),)
    return ShorterSide(side), Middle(side)


def _steps(words: str, fitted: dict[str, Tensor]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """What stands before padding, and what comes last: means are of raw bytes where no deviation divides them."""
    if words == "global contrast normalization and ZCA":
        return (Whiten(fitted["mean"], fitted["matrix"]),), ()
    step = Normalize(fitted["mean"], fitted["deviation"])
    return (step,), (Times(255.0),) if words.startswith("mean by") else ()


def _fit(
    words: str,
    pictures: ImageSet,
    frame: Pipeline,
    constants: tuple[Sequence[float], Sequence[float]] | None,
) -> dict[str, Tensor]:
    channels = pictures.channels
    one = torch.ones(channels, 1, 1)
    if words == "values from 0 to 1":
        return {"mean": 0 * one, "deviation": one}
    if words == "background -0.1, ink 1.175":  # LeNet-5: 0 becomes -0.1, and 1 becomes 1.175
        return {"mean": one * (0.1 / 1.275), "deviation": one / 1.275}
    if words == "mean by channel (104, 117, 123)":  # in the order blue, green, red, as Caffe has it
        if channels != 3:
            raise DataError(f"{words} is for 3 channels, not {channels}")
        return {"mean": torch.tensor([123.0, 117.0, 104.0]).view(3, 1, 1) / 255, "deviation": one}
    if words in (BY_CHANNEL, "mean by channel"):
        mean, deviation = constants if constants is not None else by_channel(pictures)
        if len(mean) != channels:
            raise DataError(f"{pictures.name} has {channels} channels, and the mean {len(mean)}")
        spread = torch.tensor(deviation).view(-1, 1, 1)
        fitted = {"mean": torch.tensor(mean).view(-1, 1, 1), "deviation": spread if words == BY_CHANNEL else one}
        if not bool((fitted["deviation"] > 0).all()):
            raise DataError(f"a channel of {pictures.name} is of one value everywhere: it has no deviation")
        return fitted
    if words == "mean by pixel":
        total = torch.zeros(())
        for batch in _batches(pictures, frame):
            total = total + batch.double().sum(0)
        return {"mean": (total / len(pictures)).float(), "deviation": one}
    if words == "global contrast normalization and ZCA":
        return _whitening(pictures, frame)
    raise DataError(f"no preprocessing {words!r}; there are {', '.join(map(repr, WORDS))}")


def by_channel(pictures: ImageSet) -> tuple[list[float], list[float]]:
    """Mean and deviation by channel over all pixels, of values from 0 to 1."""
    total, square, count = torch.zeros(pictures.channels), torch.zeros(pictures.channels), 0
    total, square = total.double(), square.double()
    for places in torch.split(torch.arange(len(pictures)), 256):
        for image in pictures.take(places):
            values = image.reshape(pictures.channels, -1).double() / 255
            total, square, count = total + values.sum(1), square + values.square().sum(1), count + values.shape[1]
    mean = total / count
    return mean.tolist(), (square / count - mean.square()).clamp(min=0).sqrt().tolist()


def _batches(pictures: ImageSet, frame: Pipeline) -> Iterator[Tensor]:
    for places in torch.split(torch.arange(len(pictures)), 256):
        yield floats(stacked(framed_by(frame, pictures.take(places))))


def _whitening(pictures: ImageSet, frame: Pipeline) -> dict[str, Tensor]:
    rows = torch.cat([global_contrast(batch) for batch in _batches(pictures, frame)]).double()
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    matrix = (vectors / (values.clamp(min=0) + ZCA_BIAS).sqrt()) @ vectors.T
    return {"mean": mean.float(), "matrix": matrix.float()}
