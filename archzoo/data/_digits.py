"""scikit-learn's handwritten digits, which need no download."""

import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.data._dataset import ImageSet
from archzoo.errors import DataError, MissingDependency

CLASSES = tuple(map(str, range(10)))


def load_digits(side: int = 32, channels: int = 1) -> tuple[ImageSet, ImageSet]:
    """The 1,797 digits of 8x8, enlarged to ``side``: 1,438 training and 359 test images.

    The test images are a fifth of each class, always the same. Most writers have digits in both parts. Raises
    MissingDependency without scikit-learn, and DataError where ``side`` is less than 8.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingDependency(
            "the digits come from scikit-learn, which is not installed: pip install 'archzoo[train]'"
        ) from error
    bunch = datasets.load_digits()
    pixels = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    enlarged = enlarge(pixels, side).repeat(1, channels, 1, 1)
    images = ImageSet.from_tensor("digits", enlarged, torch.from_numpy(bunch.target), CLASSES)
    is_test = _draw_test(images.labels)
    return images.subset(torch.nonzero(~is_test).flatten()), images.subset(torch.nonzero(is_test).flatten())


def _draw_test(labels: Tensor) -> Tensor:
    """Whether each image is a test image: a fifth of each class, from a generator of its own."""
    generator = torch.Generator().manual_seed(0)
    is_test = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(CLASSES)):
        members = torch.nonzero(labels == label).flatten()
        is_test[members[torch.randperm(len(members), generator=generator)[: round(len(members) / 5)]]] = True
    return is_test


def enlarge(images: Tensor, side: int) -> Tensor:
    """Small square images (N, C, h, w) in uint8, enlarged by an integer and centered on zeros: (N, C, side, side).

    The integer is the largest that leaves a margin of a sixteenth on every side, as LeNet-5 has MNIST's 28 pixels in
    32. Raises DataError where the images are larger than ``side``.
    """
    size = images.shape[-1]
    if side < size:
        raise DataError(f"images of {size}x{size} do not fit in {side}x{side}: side must be at least {size}")
    factor = max(int(side * 7 / 8) // size, 1)
    enlarged = F.interpolate(images.float(), scale_factor=factor, mode="bilinear", align_corners=False)
    margin = side - size * factor
    before = margin // 2
    padded = F.pad(enlarged, (before, margin - before, before, margin - before))
    return padded.round().clamp(0, 255).to(torch.uint8)
