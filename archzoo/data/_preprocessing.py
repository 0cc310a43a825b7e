"""From decoded images to what a network takes: a recipe's steps, fitted to the training images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from archzoo.data import _steps as steps
from archzoo.data._augmentation import Pipeline, Step, apply, resolve
from archzoo.data._dataset import ImageSet
from archzoo.data._fitting import ChannelStatistics, Fitted, fit
from archzoo.data._images import Images
from archzoo.errors import DataError
from archzoo.recipes import (
    Bytes,
    CenterCrop,
    PCADecorrelation,
    Preprocessing,
    RandomResizedCrop,
    Resize,
    SubtractMean,
    Transform,
    ZCAWhitening,
)

# The shorter side that test images are resized to, over the side of a crop, as 256 is to 224 in the papers on ImageNet.
RESIZE_RATIO = 256 / 224


@dataclass(frozen=True)
class Prepared:
    """The pipelines between decoded images and a network of one input side.

    Attributes:
        side: The input side of the network.
        train: Everything that happens to training images.
        frame: What happens to test images before crops are taken; no random step.
        finish: What happens to crops of ``frame`` before the network; no random step.
        fitted: The tensors that were fitted to the training images.
    """

    side: int
    train: Pipeline
    frame: Pipeline
    finish: Pipeline
    fitted: Fitted = field(default_factory=dict)

    def to(self, device: torch.device) -> "Prepared":
        """The same pipelines for images in the memory of a device."""
        moved = {name: getattr(self, name).to(device) for name in ("train", "frame", "finish")}
        return replace(self, **moved)

    def center_crop(self, images: Images) -> Tensor:
        """The center of each image, ready for the network: (N, C, side, side)."""
        return self.finish(apply(CenterCrop(self.side), self.frame.transform(images), torch.empty(len(images), 0)))

    def normalize_crops(self, crops: Tensor) -> Tensor:
        """Crops (N, C, h, w) that were not taken from ``frame``, ready for the network.

        Raises DataError where the mean is by pixel, since it belongs to one frame.
        """
        if any(isinstance(step, steps.Normalize | steps.Rotate | steps.ZCAWhitening) for step in self.frame.steps):
            raise DataError(
                "the mean is by pixel, of one size and place: use a protocol with a single crop or ten crops, or a "
                "mean by channel"
            )
        return self.finish(crops)


def prepare(
    augmentation: Sequence[Transform],
    preprocessing: Preprocessing,
    images: ImageSet,
    side: int,
    constants: ChannelStatistics | None = None,
    fitted: Fitted | None = None,
) -> Prepared:
    """Build the pipelines of a recipe and fit them to the training images.

    Images that no step resizes are padded with zeros where they are smaller than ``side``, and resized otherwise.
    Normalization comes last, or before the first step that fills with zeros, which are the mean then.

    Args:
        augmentation: Steps in order. An open ``size`` becomes ``side``.
        preprocessing: How bytes become numbers.
        images: The training images.
        side: The input side of the network, in pixels.
        constants: Known means and standard deviations by channel, of values from 0 to 1.
        fitted: ``Prepared.fitted`` of an earlier call, used in place of ``images``.

    Raises:
        DataError: For an unknown preprocessing, and for images that do not fit it.
    """
    transforms: tuple[Step, ...] = tuple(resolve(transform, side) for transform in augmentation)
    if not any(map(_resizes, transforms)):
        transforms = (*_fit_to_side(images, side), *transforms)
    fixed = next((at for at, step in enumerate(transforms) if not _is_fixed(step)), len(transforms))
    draws_size = any(map(_resizes, transforms[fixed:]))
    frame: tuple[Step, ...] = (_resize_for_tests(transforms, side),) if draws_size else transforms[:fixed]
    if fitted is None:
        fitted = fit(preprocessing, images, Pipeline((*frame, CenterCrop(side)) if draws_size else frame), constants)
    normalize, last = normalization(preprocessing, fitted)
    if is_by_pixel(preprocessing) and not draws_size:
        _check_black(transforms)
        train = (*frame, normalize, *transforms[fixed:], *last)
        return Prepared(side, Pipeline(train), Pipeline((*frame, normalize)), Pipeline(last), fitted)
    place = next((at for at, step in enumerate(transforms) if getattr(step, "fills", False)), len(transforms))
    _check_black(transforms[place:])
    train = (*transforms[:place], normalize, *transforms[place:], *last)
    return Prepared(side, Pipeline(train), Pipeline(frame), Pipeline((normalize, *last)), fitted)


def _check_black(transforms: Sequence[Step]) -> None:
    """Raise DataError where one of these, which follow the normalization, pads with black: zeros are the mean there."""
    if any(getattr(step, "padding_mode", "") == "black" for step in transforms):
        raise DataError(
            "RandomCrop(padding_mode='black') pads bytes, and images are normalized before it: put it before the steps "
            "that fill with the mean, or use padding_mode='constant'; a mean by pixel always comes first"
        )


def _resizes(step: Step) -> bool:
    return isinstance(step, Resize | RandomResizedCrop)


def _resize_for_tests(transforms: Sequence[Step], side: int) -> Resize:
    """Test images are resized by the interpolation of training images."""
    drawing = next(step for step in transforms if isinstance(step, Resize | RandomResizedCrop))
    return Resize(round(side * RESIZE_RATIO), interpolation=drawing.interpolation)


def _is_fixed(step: Step) -> bool:
    """Whether a step brings images to a size without a draw."""
    return isinstance(step, Resize | CenterCrop | steps.Pad) and step.draws == 0


def is_by_pixel(preprocessing: Preprocessing) -> bool:
    """Whether it has a mean for each pixel, which belongs to one frame."""
    by_pixel = isinstance(preprocessing, SubtractMean) and preprocessing.scope == "pixel"
    return by_pixel or isinstance(preprocessing, ZCAWhitening | PCADecorrelation)


def _fit_to_side(images: ImageSet, side: int) -> tuple[Step, ...]:
    """The steps that bring images to a size where the recipe has none."""
    if images.size == (side, side):
        return ()
    if images.size is not None and max(images.size) <= side:
        return (steps.Pad(side),)
    return Resize(side), CenterCrop(side)


def normalization(preprocessing: Preprocessing, fitted: Fitted) -> tuple[Step, tuple[Step, ...]]:
    """The normalization, and what comes last: SubtractMean and Bytes give values on the scale of 0 to 255."""
    if isinstance(preprocessing, ZCAWhitening):
        return steps.ZCAWhitening(fitted["mean"], fitted["matrix"], preprocessing.contrast), ()
    if isinstance(preprocessing, PCADecorrelation):
        return steps.Rotate(fitted["mean"], fitted["matrix"]), ()
    last: tuple[Step, ...] = (steps.Scale(255.0),) if isinstance(preprocessing, SubtractMean | Bytes) else ()
    if isinstance(preprocessing, Bytes) and preprocessing.order == "BGR":
        last = (*last, steps.ReverseChannels())
    return steps.Normalize(fitted["mean"], fitted["std"]), last
