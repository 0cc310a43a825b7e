"""How oneDNN shares the gradient of a weight among threads, and what their partial sums take.

The gradient is cut into jobs. Threads form groups; each group has some of the jobs, and its threads have a part of the
batch each, which leaves sums to be added (src/cpu/cpu_reducer.cpp of oneDNN).
"""

from collections.abc import Iterator
from typing import NamedTuple


class Shares(NamedTuple):
    """Groups of threads, the threads of a group, and the most jobs that a group has."""

    groups: int
    threads: int
    jobs: int


def shares(jobs: int, reduction: int, threads: int, most_jobs: int) -> Shares:
    """The shares with the least work for a thread.

    ``reduction`` parts are summed. Groups of several threads have at most ``most_jobs``.
    """
    return min(_all_shares(jobs, reduction, threads, most_jobs), default=(0, Shares(1, 1, jobs)), key=lambda s: s[0])[1]


def _all_shares(jobs: int, reduction: int, threads: int, most_jobs: int) -> Iterator[tuple[int, Shares]]:
    """The work of a thread, and its shares."""
    fewest = max(1, jobs // threads)
    for of_group in range(fewest, max(jobs, fewest + 1)):
        groups = min(jobs // of_group, threads)
        of_threads = min(threads // groups, reduction)
        most = -(-jobs // groups)
        if of_threads == 1 or most <= most_jobs:
            work = most * (-(-reduction // of_threads) + (of_threads > 1))
            yield work, Shares(groups, of_threads, most)


def pointwise_sums(blocks: tuple[int, int], block_bytes: int, reduction: int, threads: int, buffer: int) -> int:
    """Bytes for a window of 1x1, whose gradient has blocks along the output's channels and along the input's.

    Every thread has a sum, and every group a ``buffer``.
    """
    rows, columns = _cut(blocks[0], 32), _cut(blocks[1], 9)
    jobs = -(-blocks[0] // rows) * -(-blocks[1] // columns)
    split = shares(jobs, reduction, threads, 8)
    sums = split.groups * split.threads * split.jobs * rows * columns * block_bytes
    return sums + buffer * (split.groups + 1) if split.threads > 1 else 0


def window_sums(blocks: tuple[int, int], block_bytes: int, reduction: int, threads: int, buffer: int) -> int:
    """Bytes for a larger window, whose jobs are blocks. The first thread of a group sums into the gradient itself."""
    jobs = blocks[0] * blocks[1]
    split = shares(jobs, reduction, threads, 2**23 // (threads * block_bytes))
    sums = split.groups * (split.threads - 1) * split.jobs * block_bytes
    return sums + buffer * (split.groups + 1) if split.threads > 1 else 0


def _cut(count: int, most: int) -> int:
    """A part of ``count`` blocks, at most ``most`` if halves and thirds lead there."""
    while count > most and (count % 2 == 0 or count % 3 == 0):
        count //= 2 if count % 2 == 0 else 3
    return count
