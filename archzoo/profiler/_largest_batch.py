"""The largest batch that fits, found by the linear law of memory."""

from collections.abc import Callable
from math import floor

from archzoo.errors import ProfileError

MOST = 2**20  # inputs of a batch
MANY = 10  # tries by the law, before the interval is halved
SHARE = 128  # of a batch: what is one of so many parts is the first stride back
Try = Callable[[int], tuple[bool, int]]  # from a batch to whether it fits, and its bytes


def largest_batch(attempt: Try, capacity: int) -> int:
    """The largest batch that fits into ``capacity`` bytes, where one more does not; 0 if none fits, at most 2**20.

    A peak is the maximum of several moments, each linear in the batch: the line through the last two batches leads to
    the answer, or closer to it. Where less than the capacity does not fit, for the fragments of an allocator, growing
    strides lead back to a batch that does, and then the interval is halved. What is returned was tried, and so was one
    more.
    """
    stride = 0
    first = _smallest(attempt)
    tried = {batch: attempt(batch) for batch in (first, first + 31)}
    while True:
        fits = max((batch for batch, (success, _) in tried.items() if success), default=0)
        too_large = min((batch for batch, (success, _) in tried.items() if not success), default=MOST + 1)
        if too_large <= first:
            return 0
        if too_large - fits <= 1:
            return fits
        fragmented = too_large <= MOST and tried[too_large][1] <= capacity
        if fragmented or len(tried) > MANY:
            stride = 2 * stride or too_large // SHARE + 1
            guess = too_large - stride if too_large - stride > fits else (fits + too_large) // 2
        else:
            guess = _guess(tried, capacity)
        guess = min(max(guess, fits + 1), too_large - 1)
        tried[guess] = attempt(guess)


def _smallest(attempt: Try) -> int:
    """The smallest batch that runs: 1, or 2 for a model that normalizes each channel over the batch alone."""
    try:
        attempt(1)
    except ProfileError as error:
        try:
            attempt(2)
        except ProfileError:
            raise error from None
        return 2
    return 1


def _guess(tried: dict[int, tuple[bool, int]], capacity: int) -> int:
    """Where the line through the last two batches meets the capacity."""
    (batch0, (_, bytes0)), (batch1, (_, bytes1)) = list(tried.items())[-2:]
    slope = max((bytes1 - bytes0) / (batch1 - batch0), 1)
    return batch1 + floor((capacity - bytes1) / slope)
