"""How test images become what a network takes, in plain types: what a file keeps, to prepare other images alike."""

import base64
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from archzoo.data import _steps as steps
from archzoo.data._augmentation import Pipeline, Step
from archzoo.data._dataset import ImageSet
from archzoo.data._images import Images
from archzoo.data._preprocessing import RESIZE_RATIO, Prepared, is_by_pixel, normalization
from archzoo.data._resizing import center_crop, resize_shorter_side
from archzoo.data._sources import NORMALIZATION
from archzoo.errors import DataError
from archzoo.recipes import CenterCrop, Preprocessing, Resize, describe_value, read_objects

GEOMETRY = {"Resize": Resize, "CenterCrop": CenterCrop, "Pad": steps.Pad}


def describe_prepared(prepared: Prepared, preprocessing: Preprocessing, images: ImageSet) -> dict[str, Any]:
    """What ``restore_prepared`` needs: sizes, and the tensors that were fitted to the training images."""
    frame = [step for step in prepared.frame.steps if type(step).__name__ in GEOMETRY]
    return {
        "side": prepared.side,
        "image_size": images.size,
        "frame": [{"type": type(step).__name__, **vars(step)} for step in frame],
        "by_pixel": len(frame) < len(prepared.frame.steps),
        "preprocessing": describe_value(preprocessing),
        "fitted": {name: _encode(tensor) for name, tensor in prepared.fitted.items()},
    }


def restore_prepared(described: Mapping[str, Any]) -> Prepared:
    """The pipelines for test images; none for training. Raises DataError for a description that is none."""
    try:
        frame: list[Step] = [_geometry(step) for step in described["frame"]]
        [preprocessing] = read_objects("preprocessing", described["preprocessing"])
        fitted = {name: _decode(text) for name, text in described["fitted"].items()}
        normalize, last = normalization(preprocessing, fitted)
        by_pixel = bool(described["by_pixel"]) and is_by_pixel(preprocessing)
        side = int(described["side"])
    except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"the description of the preprocessing cannot be read: {error}") from error
    frame += [normalize] if by_pixel else []
    finish = last if by_pixel else (normalize, *last)
    return Prepared(side, Pipeline(()), Pipeline(tuple(frame)), Pipeline(finish), fitted)


def imagenet_preparation(side: int) -> Prepared:
    """That of networks trained on ImageNet: the center of a resized image, normalized by ImageNet's constants."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in NORMALIZATION["imagenet"])
    frame = Pipeline((Resize(round(side * RESIZE_RATIO)),))
    return Prepared(side, Pipeline(()), frame, Pipeline((steps.Normalize(mean, std),)), {"mean": mean, "std": std})


def fit_size(images: Images, size: tuple[int, int] | None) -> Images:
    """Images of the size (height, width) that all training images had, resized and cropped; None leaves any size."""
    if size is None:
        return images
    fitted = []
    for image in images:
        if tuple(image.shape[1:]) != size:
            height, width = image.shape[1:]
            scale = max(size[0] / height, size[1] / width)
            image = resize_shorter_side(image, max(round(min(height, width) * scale), *_least(image, size)))
            image = center_crop(image, *size)
        fitted.append(image)
    return torch.stack(fitted)


def _least(image: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """Shorter sides below which a resized image would be smaller than the size."""
    height, width = image.shape[1:]
    shorter = min(height, width)
    return -(-size[0] * shorter // height), -(-size[1] * shorter // width)


def _geometry(described: Mapping[str, Any]) -> Step:
    values = dict(described)
    step: Step = GEOMETRY[values.pop("type")](**values)
    return step


def _encode(tensor: Tensor) -> dict[str, Any]:
    """The bits of a tensor in float32."""
    data = tensor.detach().to("cpu", torch.float32).contiguous()
    return {"shape": list(data.shape), "float32": base64.b64encode(data.numpy().tobytes()).decode()}


def _decode(described: Mapping[str, Any]) -> Tensor:
    data = bytearray(base64.b64decode(described["float32"]))
    return torch.frombuffer(data, dtype=torch.float32).reshape(described["shape"])
