"""Data sets of one small size are decoded once, as they are read faster so and need little more room."""

import io
from collections.abc import Callable, Iterable

from archzoo.data._cache import load_cached
from archzoo.data._dataset import ImageSet
from archzoo.data._files import spread
from archzoo.data._formats import load_pillow

SMALL_SIDE = 64  # pixels: CIFAR and MNIST have 32 and 28, Tiny ImageNet has 64
SAMPLED = 100


def load_small(
    name: str, key: Callable[[], str], count: int, read: Callable[[int], bytes], decode: Callable[[str], ImageSet]
) -> ImageSet | None:
    """The images decoded, where all have one size of at most 64 pixels; None otherwise.

    ``read`` gives the bytes of an image by number, ``key`` their name in the cache, where ``decode`` puts them.
    """
    if not _have_one_small_size(spread(count, SAMPLED), read):
        return None
    made = key()
    images = load_cached(name, made)
    if images is None and _have_one_small_size(range(count), read):
        images = decode(made)
    return images


def _have_one_small_size(numbers: Iterable[int], read: Callable[[int], bytes]) -> bool:
    """Whether these images have one size of at most 64 pixels. Corrupt ones do not count."""
    sizes: set[tuple[int, int]] = set()
    for number in numbers:
        sizes |= _size_of(read(number))
        if len(sizes) > 1 or any(max(size) > SMALL_SIDE for size in sizes):
            return False
    return bool(sizes)


def _size_of(data: bytes) -> set[tuple[int, int]]:
    module = load_pillow()
    try:
        with module.open(io.BytesIO(data)) as image:
            return {image.size}
    except Exception:  # Pillow's readers raise nearly anything for a corrupt file
        return set()
