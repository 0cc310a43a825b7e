"""What augmentation makes of pictures, as pictures: the normalization that a network needs is undone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from archzoo.data._augmentation import Pipeline
from archzoo.data._dataset import ImageSet
from archzoo.data._fitting import ChannelStatistics
from archzoo.data._images import stack, to_float
from archzoo.data._preprocessing import is_by_pixel, prepare
from archzoo.data._steps import Normalize, Pad
from archzoo.recipes import Preprocessing, SubtractMean, Transform


def augmented_views(
    augmentation: Sequence[Transform],
    preprocessing: Preprocessing,
    images: ImageSet,
    side: int,
    indices: Sequence[int],
    *,
    epochs: int,
    seed: int = 0,
    constants: ChannelStatistics | None = None,
) -> Tensor:
    """The images that training by a recipe feeds to a network, with their normalization undone.

    The random numbers are those of training: they depend on the seed, the epoch, the index of the image and the number
    of images. What a step fills with zeros has the color that the normalization maps to zero. A mean by pixel and
    whitening cannot be undone behind a crop: in their place, the mean by channel is subtracted and added again.

    Args:
        augmentation: Steps in order, as in ``prepare``.
        preprocessing: How bytes become numbers, as in ``prepare``.
        images: The training images.
        side: The input side of the network, in pixels.
        indices: Which images are returned.
        epochs: How many epochs are drawn, from the first one on.
        seed: The seed of the run.
        constants: Known means and standard deviations by channel, of values from 0 to 1.

    Returns:
        Images (epochs, len(indices), C, side, side) with values from 0 to 1, on the CPU.

    Raises:
        DataError: Where the images do not fit the augmentation or the preprocessing.
    """
    by_channel = SubtractMean() if is_by_pixel(preprocessing) else preprocessing
    train = prepare(augmentation, by_channel, images, side, constants).train
    pipeline = Pipeline(tuple(step for step in train.steps if isinstance(step, Transform | Pad | Normalize)))
    normalize = next((step for step in pipeline.steps if isinstance(step, Normalize)), None)
    chosen = torch.tensor(list(indices))
    views = []
    for epoch in range(epochs):
        numbers = pipeline.draw_numbers(len(images), seed, epoch)[chosen]
        drawn = to_float(stack(images.transform(chosen, pipeline, numbers)[0])).cpu()
        views.append(drawn if normalize is None else drawn * normalize.std + normalize.mean)
    return torch.stack(views).clamp(0, 1)
