"""IDX files: the images and labels of MNIST, Fashion-MNIST and EMNIST.

The format (yann.lecun.com/exdb/mnist): two zero bytes, the type of the values, the number of dimensions, each dimension
as four bytes, the most significant first, and the values.
"""

from math import prod
from pathlib import Path

import torch
from torch import Tensor

from archzoo.data._contents import Content, open_content
from archzoo.errors import DataError

BYTES = 8  # the type of unsigned bytes
TYPES = {9: "signed bytes", 11: "16-bit integers", 12: "32-bit integers", 13: "floats", 14: "doubles"}


def read_idx(path: Path, dimensions: int, count: int | None = None) -> tuple[Tensor, str]:
    """The bytes of an IDX file as a tensor of so many dimensions, and the MD5 of its content.

    ``count`` is the first dimension that is expected. Raises DataError for any other file, before its values are read.
    """
    with open_content(path) as content:
        shape = _read_shape(content, dimensions)
        if count is not None and shape[0] != count:
            raise DataError(f"{path} has {shape[0]:,} images, and its labels are {count:,}: they are of two data sets")
        data = content.read(prod(shape), "values")
        content.end()
        return torch.frombuffer(data, dtype=torch.uint8).view(shape), content.md5


def read_images(images: Path, labels: Path) -> tuple[Tensor, Tensor, tuple[str, str]]:
    """Images (N, 1, H, W), labels (N,), and the MD5s of both files. Raises DataError as above."""
    numbers, md5_of_labels = read_idx(labels, 1)
    pixels, md5_of_images = read_idx(images, 3, len(numbers))
    return pixels.unsqueeze(1), numbers.long(), (md5_of_images, md5_of_labels)


def _read_shape(content: Content, dimensions: int) -> list[int]:
    magic = content.read(4, "magic number")
    expected = f"00 00 08 {dimensions:02x}"
    if magic[:2] != b"\0\0" or not 1 <= magic[3] <= 4:
        raise DataError(f"{content.path} is no IDX file: it begins with {magic.hex(' ')}, not with {expected}")
    if magic[2] != BYTES:
        kind = TYPES.get(magic[2], f"type {magic[2]}")
        raise DataError(f"{content.path} holds {kind}, and images and labels are unsigned bytes (type 8)")
    if magic[3] != dimensions:
        raise DataError(
            f"{content.path} begins with {magic.hex(' ')}, not with {expected}: are images and labels exchanged?"
        )
    sides = content.read(4 * dimensions, "dimensions")
    shape = [int.from_bytes(sides[at : at + 4], "big") for at in range(0, len(sides), 4)]
    if not all(shape):
        raise DataError(f"{content.path} is empty: its dimensions are {' x '.join(map(str, shape))}")
    content.check_room(prod(shape), f"{' x '.join(f'{side:,}' for side in shape)} values")
    return shape
