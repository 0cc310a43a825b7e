"""What preprocessing takes from the training images: means, standard deviations, principal components, whitening."""

from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch

import torch
from torch import Tensor

from archzoo.data._augmentation import Pipeline
from archzoo.data._dataset import ImageSet
from archzoo.data._images import Images, stack, to_cpu, to_float
from archzoo.data._steps import normalize_contrast
from archzoo.errors import DataError
from archzoo.recipes import Bytes, Normalize, PCADecorrelation, Preprocessing, Rescale, SubtractMean, ZCAWhitening

ChannelStatistics = tuple[Sequence[float], Sequence[float]]  # means and standard deviations, of values from 0 to 1
Fitted = Mapping[str, Tensor]
BATCH_SIZE = 256
# Statistics of images that stay encoded are those of so many, spread evenly: to decode all may take hours. A mean
# brightness is off by about 0.01 then, as images differ in theirs by about 0.2.
SAMPLED = 500
ENCODED_BATCH_SIZE = 32  # these may be large


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
def _fit_bytes(
    preprocessing: Bytes, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    if preprocessing.order == "BGR" and images.channels not in (1, 3):
        raise DataError(f"Bytes('BGR') takes images of 3 channels, or of 1, not the {images.channels} of {images.name}")
    return {"mean": torch.zeros(images.channels, 1, 1), "std": torch.ones(images.channels, 1, 1)}


@fit.register
def _fit_normalize(
    preprocessing: Normalize, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    known = (preprocessing.mean, preprocessing.std) if preprocessing.mean else constants
    mean, std = _channel_constants(images, known)
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
    mean, variances, components = _principal_axes(rows)
    matrix = (components / (variances.clamp(min=0) + preprocessing.epsilon).sqrt()) @ components.T
    return {"mean": mean.float(), "matrix": matrix.float()}


@fit.register
def _fit_decorrelation(
    preprocessing: PCADecorrelation, images: ImageSet, frame: Pipeline, constants: ChannelStatistics | None
) -> dict[str, Tensor]:
    mean, variances, components = _principal_axes(torch.cat([batch.flatten(1) for batch in _batches(images, frame)]))
    if preprocessing.whiten:
        components = components / (variances.clamp(min=0) + preprocessing.epsilon).sqrt()
    return {"mean": mean.float(), "matrix": components.flip(1).float()}


def _principal_axes(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of rows (N, D), the variances along their principal components, and these as columns: in float64."""
    rows = rows.double()
    mean = rows.mean(0)
    variances, components = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    return mean, variances, components


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
    """Eigenvalues and components (as columns) of RGB's covariance, for PCALighting; the largest first.

    Eigenvalues are the variances along the components, of values from 0 to 1.
    """
    total, products, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64), 0
    for values in _values(images):
        total, products, count = total + values.sum(1), products + values @ values.T, count + values.shape[1]
    mean = total / count
    variances, components = torch.linalg.eigh(products / count - torch.outer(mean, mean))
    return tuple(variances.clamp(min=0).flip(0).tolist()), tuple(map(tuple, components.flip(1).tolist()))


def _values(images: ImageSet) -> Iterator[Tensor]:
    """The values of each image from 0 to 1, (C, pixels), in float64."""
    for batch in _taken(images, Pipeline()):
        for image in batch:
            yield image.reshape(images.channels, -1).double().div_(255)


def _mean_image(images: ImageSet, frame: Pipeline) -> Tensor:
    total, count = torch.zeros(()), 0
    for batch in _batches(images, frame):
        total, count = total + batch.double().sum(0), count + len(batch)
    return (total / count).float()


def _batches(images: ImageSet, frame: Pipeline) -> Iterator[Tensor]:
    for batch in _taken(images, frame):
        yield to_float(stack(batch))


def _taken(images: ImageSet, frame: Pipeline) -> Iterator[Images]:
    """All images, or a sample of those that are decoded as they are used, after ``frame``."""
    indices = torch.arange(len(images))
    if images.is_encoded and len(images) > SAMPLED:
        indices = torch.linspace(0, len(images) - 1, SAMPLED, dtype=torch.float64).long()
    for part in torch.split(indices, BATCH_SIZE if not images.is_encoded else ENCODED_BATCH_SIZE):
        batch, _ = images.transform(part, frame)
        yield to_cpu(batch)
