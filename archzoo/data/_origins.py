"""Where the images of a data set came from, in words, with a hash that is the same wherever they are read."""

import hashlib
from dataclasses import replace

import torch

from archzoo.data._dataset import ImageSet

SHOWN = 16  # hex digits of a hash in messages


def content_hash(train: ImageSet, test: ImageSet) -> str:
    """The SHA-256 of pixels and labels: of the training images, then of the test images.

    Pixels are bytes (N, height, width, channels), labels are 64-bit integers, the least significant byte first. So the
    same images have the same hash as IDX, as pickles and from the hub.
    """
    digest = hashlib.sha256()
    for images in (train, test):
        digest.update(images.pixels.contiguous().numpy().data)
        digest.update(images.labels.to(torch.int64).numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def with_origin(train: ImageSet, test: ImageSet, where: str) -> tuple[ImageSet, ImageSet]:
    """Both sets, which say where they are from. Encoded images have no hash: their pixels are not known yet."""
    known = not (train.is_encoded or test.is_encoded)
    origin = f"{train.name} from {where}" + (f", sha256 {content_hash(train, test)}" if known else "")
    return replace(train, origin=origin), replace(test, origin=origin)


def shown(origin: str) -> str:
    """An origin with the beginning of its hash."""
    text, sha, digits = origin.rpartition("sha256 ")
    return f"{text}{sha}{digits[:SHOWN]}" if sha else origin
