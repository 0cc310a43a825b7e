"""Augmentation of whole batches: the steps of a recipe, applied with numbers drawn by (seed, epoch, image).

To add a step: a class in ``archzoo.recipes._transforms``, a function of (step, images, numbers), a row in FUNCTIONS.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, Protocol

import torch
from torch import Tensor

from archzoo.data._color import color_jitter, pca_lighting
from archzoo.data._crops import random_crop, random_horizontal_flip, random_resized_crop, random_ten_crop
from archzoo.data._erasing import random_erasing
from archzoo.data._images import Images, stack
from archzoo.data._resizing import apply_center_crop, apply_resize
from archzoo.errors import DataError
from archzoo.recipes import (
    CenterCrop,
    ColorJitter,
    Lambda,
    PCALighting,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomTenCrop,
    Resize,
    Transform,
)


class Step(Protocol):
    """Anything that ``apply`` knows: a transform of a recipe, or a step of ``archzoo.data._steps``."""

    @property
    def draws(self) -> int:
        """How many numbers from 0 to 1 the step takes per image."""


def derive_seed(*parts: int | str) -> int:
    """A seed for torch's generators from several parts; those of neighboring parts are unrelated."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def call_function(transform: Lambda, images: Images, numbers: Tensor) -> Images:
    """Call the function on each image, with torch's generator seeded by the image's number and restored after."""
    results = []
    with torch.random.fork_rng(devices=[]):
        for image, number in zip(images, numbers.flatten().tolist(), strict=True):
            torch.manual_seed(int(number * 2**24))
            results.append(transform.function(image))
    return results


@singledispatch
def apply(step: Any, images: Images, numbers: Tensor) -> Images:
    """Apply one step to images (N, C, H, W), or to a list of N where sizes differ, with numbers (N, draws).

    Raises DataError for an unknown step, and where the images do not fit the step.
    """
    raise DataError(f"no augmentation {step!r}: use the transforms of archzoo.recipes, or Lambda(function)")


FUNCTIONS: Mapping[type[Transform], Callable[..., Images]] = {
    CenterCrop: apply_center_crop,
    ColorJitter: color_jitter,
    Lambda: call_function,
    PCALighting: pca_lighting,
    RandomCrop: random_crop,
    RandomErasing: random_erasing,
    RandomHorizontalFlip: random_horizontal_flip,
    RandomResizedCrop: random_resized_crop,
    RandomTenCrop: random_ten_crop,
    Resize: apply_resize,
}
for _transform, _function in FUNCTIONS.items():
    apply.register(_transform, _function)


def resolve(transform: Transform, side: int) -> Transform:
    """The transform with an open ``size`` set to the input side of the network."""
    if getattr(transform, "size", side) is not None:
        return transform
    return replace(transform, size=side)  # type: ignore[call-arg]


def _step_to(step: Step, device: torch.device) -> Step:
    tensors = {name: value.to(device) for name, value in vars(step).items() if isinstance(value, Tensor)}
    return replace(step, **tensors) if tensors else step  # type: ignore[type-var]


@dataclass(frozen=True)
class Pipeline:
    """Steps in order. The numbers of an image depend on the seed, the epoch and its index in the dataset alone."""

    steps: tuple[Step, ...] = ()

    @property
    def draws(self) -> int:
        """How many numbers the steps take per image."""
        return sum(step.draws for step in self.steps)

    def draw_numbers(self, count: int, seed: int, epoch: int) -> Tensor:
        """The numbers of all images in an epoch, (count, draws)."""
        generator = torch.Generator().manual_seed(derive_seed("augmentation", seed, epoch))
        return torch.rand(count, self.draws, generator=generator)

    def check_numbers(self, images: Images, numbers: Tensor | None) -> Tensor:
        """The numbers, or none for each image where None is given. Raises DataError for too many or too few."""
        if numbers is None:
            numbers = torch.empty(len(images), 0, device=images[0].device if len(images) else None)
        if numbers.shape[1] != self.draws:
            raise DataError(f"the pipeline takes {self.draws} numbers per image, not {numbers.shape[1]}")
        return numbers

    def transform(self, images: Images, numbers: Tensor | None = None) -> Images:
        """Apply the steps; the results may differ in size. Numbers (N, draws) may be left out where draws is 0."""
        numbers = self.check_numbers(images, numbers)
        shares = torch.split(numbers, [step.draws for step in self.steps], dim=1)
        for step, share in zip(self.steps, shares, strict=True):
            images = apply(step, images, share)
        return images

    def to(self, device: torch.device) -> "Pipeline":
        """The same steps with their tensors in the memory of a device."""
        return Pipeline(tuple(_step_to(step, device) for step in self.steps))

    def __call__(self, images: Images, numbers: Tensor | None = None) -> Tensor:
        """Apply the steps: (N, C, H, W). Raises DataError where images still differ in size after the last step."""
        return stack(self.transform(images, numbers))
