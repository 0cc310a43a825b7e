"""What preprocessing takes from the training images: means, standard deviations, principal components, whitening."""

from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch

import torch
from torch import Tensor

from archzoo.data._augmentation import Pipeline
from archzoo.data._dataset import ImageSet
from archzoo.data._images import stack, to_cpu, to_float
from archzoo.data._steps import normalize_contrast
from archzoo.errors import DataError
from archzoo.recipes import Normalize, Preprocessing, Rescale, SubtractMean, ZCAWhitening

ChannelStatistics = tuple[Sequence[float], Sequence[float]]  # means and standard deviations, of values from 0 to 1
Fitted = Mapping[str, Tensor]
BATCH_SIZE = 256


@singledispatch
def fit(
    preprocessing: Preprocessing, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    """The tensors that a preprocessing takes from images that went through ``frame``.

    They are on the CPU and have the same bits wherever the images are.
    ``constants`` are used in place of the statistics by channel, where given. Raises DataError where the images do not
    fit the preprocessing.
    """
    raise DataError(f"no preprocessing {preprocessing!r}: use one of archzoo.recipes, such as Normalize()")


@fit.register
def _fit_rescale(
    preprocessing: Rescale, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    span = preprocessing.high - preprocessing.low
    ones = torch.ones(images.channels, 1, 1)
    return {"mean": ones * (-preprocessing.low / span), "std": ones / span}


@fit.register
def _fit_normalize(
    preprocessing: Normalize, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    mean, std = _channel_constants(images, constants)
    if not bool((std > 0).all()):
        raise DataError(
            f"a channel of {images.name} has the same value everywhere, and a std of 0 cannot divide it: use "
            "SubtractMean() or Rescale()"
        )
    return {"mean": mean, "std": std}


@fit.register
def _fit_subtract_mean(
    preprocessing: SubtractMean, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    if preprocessing.scope == "pixel":
        mean = _mean_image(images, frame)
    elif preprocessing.values:
        _check_channels(images, preprocessing.values)
        mean = torch.tensor(preprocessing.values, dtype=torch.float32).view(-1, 1, 1) / 255
    else:
        mean, _ = _channel_constants(images, constants)
    return {"mean": mean, "std": torch.ones(images.channels, 1, 1)}


@fit.register
def _fit_whitening(
    preprocessing: ZCAWhitening, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    batches = _batches(images, frame)
    rows = torch.cat([normalize_contrast(batch, preprocessing.contrast) for batch in batches]).double()
    mean = rows.mean(0)
    variances, components = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    matrix = (components / (variances.clamp(min=0) + preprocessing.epsilon).sqrt()) @ components.T
    return {"mean": mean.float(), "matrix": matrix.float()}


def _check_channels(images: ImageSet, means: Sequence[float]) -> None:
    if len(means) != images.channels:
        raise DataError(f"{images.name} has {images.channels} channels, but {len(means)} channel means were given")


def _channel_constants(images: ImageSet, constants: ChannelStatistics | None) -> tuple[Tensor, Tensor]:
    means, stds = constants if constants is not None else channel_statistics(images)
    _check_channels(images, means)
    return torch.tensor(means).view(-1, 1, 1), torch.tensor(stds).view(-1, 1, 1)


def channel_statistics(images: ImageSet) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by channel over all pixels, of values from 0 to 1."""
    total = torch.zeros(images.channels, dtype=torch.float64)
    squares, count = torch.zeros_like(total), 0
    for values in _values(images):
        total, squares, count = total + values.sum(1), squares + values.square().sum(1), count + values.shape[1]
    mean = total / count
    return mean.tolist(), (squares / count - mean.square()).clamp(min=0).sqrt().tolist()


def principal_components(images: ImageSet) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Standard deviations and components (as columns) of RGB, for PCALighting; the largest first."""
    total, products, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64), 0
    for values in _values(images):
        total, products, count = total + values.sum(1), products + values @ values.T, count + values.shape[1]
    mean = total / count
    variances, components = torch.linalg.eigh(products / count - torch.outer(mean, mean))
    return tuple(variances.clamp(min=0).sqrt().flip(0).tolist()), tuple(map(tuple, components.flip(1).tolist()))


def _values(images: ImageSet) -> Iterator[Tensor]:
    """The values of each image from 0 to 1, (C, pixels), in float64."""
    for indices in torch.split(torch.arange(len(images)), BATCH_SIZE):
        for image in to_cpu(images.take(indices)):
            yield image.reshape(images.channels, -1).double() / 255


def _mean_image(images: ImageSet, frame: Pipeline) -> Tensor:
    total = torch.zeros(())
    for batch in _batches(images, frame):
        total = total + batch.double().sum(0)
    return (total / len(images)).float()


def _batches(images: ImageSet, frame: Pipeline) -> Iterator[Tensor]:
    for indices in torch.split(torch.arange(len(images)), BATCH_SIZE):
        yield to_float(stack(frame.transform(to_cpu(images.take(indices)))))
