"""The caching allocator of PyTorch for CUDA, simulated: what it counts as allocated, and what it reserves.

A request is rounded up to 512 bytes. Up to 1 MiB it is served from segments of 2 MiB, below 10 MiB from segments of
20 MiB, and above from a segment of its own, rounded up to 2 MiB. The smallest free block that is large enough is taken.
What is left of it becomes a free block, unless it is at most 1 MiB of a large block: then the request counts with all
of the block (c10/cuda/CUDACachingAllocator.cpp). Segments are never returned here.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Literal

MIB = 2**20
ROUND = 512
SMALL_REQUEST, SMALL_SEGMENT = MIB, 2 * MIB
MIDDLE_REQUEST, MIDDLE_SEGMENT = 10 * MIB, 20 * MIB
LARGE_ROUND = 2 * MIB

PoolName = Literal["small", "large"]


def rounded(size: int) -> int:
    """The bytes of the smallest block for a request."""
    return max(-(-size // ROUND), 1) * ROUND


def segment_size(size: int) -> int:
    """The bytes of a new segment for a block of ``size`` bytes."""
    if size <= SMALL_REQUEST:
        return SMALL_SEGMENT
    return MIDDLE_SEGMENT if size < MIDDLE_REQUEST else -(-size // LARGE_ROUND) * LARGE_ROUND


@dataclass(eq=False)
class Block:
    """A part of a segment: free, or allocated by one request."""

    start: int
    size: int
    pool: PoolName
    free: bool = False
    before: "Block | None" = None
    after: "Block | None" = None


@dataclass
class CudaAllocator:
    """Blocks and segments of one device and one stream. ``capacity`` is the device's memory in bytes, or None."""

    capacity: int | None = None
    allocated: int = 0
    reserved: int = 0
    peak_allocated: int = 0
    peak_reserved: int = 0
    _free: dict[PoolName, list[tuple[int, int, Block]]] = field(
        default_factory=lambda: {"small": [], "large": []}, repr=False
    )
    _end: int = 0

    def allocate(self, size: int) -> Block:
        """A block for a request of ``size`` bytes. Raises MemoryError where it exceeds the capacity."""
        size = rounded(size)
        pool: PoolName = "small" if size <= SMALL_REQUEST else "large"
        block = self._split(self._take(pool, size) or self._segment(pool, size), size)
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def release(self, block: Block) -> None:
        """Free a block, and join it with the free blocks beside it."""
        self.allocated -= block.size
        for beside in (block.before, block.after):
            if beside is not None and beside.free:
                self._free[beside.pool].remove((beside.size, beside.start, beside))
                block.start = min(block.start, beside.start)
                block.size += beside.size
                if beside is block.before:
                    self._link(beside.before, block)
                else:
                    self._link(block, beside.after)
        self._keep(block)

    def reset_peaks(self) -> None:
        """Begin to measure peaks anew."""
        self.peak_allocated, self.peak_reserved = self.allocated, self.reserved

    def _take(self, pool: PoolName, size: int) -> Block | None:
        """The smallest free block that is large enough, at the lowest address."""
        blocks = self._free[pool]
        index = bisect_left(blocks, (size,))
        return blocks.pop(index)[2] if index < len(blocks) else None

    def _segment(self, pool: PoolName, size: int) -> Block:
        total = segment_size(size)
        if self.capacity is not None and self.reserved + total > self.capacity:
            self._return_segments()
        if self.capacity is not None and self.reserved + total > self.capacity:
            raise MemoryError(f"{self.reserved} bytes are reserved, and {total} more exceed {self.capacity}")
        self.reserved += total
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        self._end += total
        return Block(self._end - total, total, pool)

    def _return_segments(self) -> None:
        """Return to the device all segments of which nothing is allocated."""
        for pool, blocks in self._free.items():
            kept = [entry for entry in blocks if entry[2].before or entry[2].after]
            self.reserved -= sum(size for size, _, _ in blocks) - sum(size for size, _, _ in kept)
            self._free[pool] = kept

    def _split(self, block: Block, size: int) -> Block:
        """The first ``size`` bytes of a block; the rest becomes a free one, if it is large enough."""
        rest = block.size - size
        block.free = False
        if rest >= ROUND if block.pool == "small" else rest > SMALL_REQUEST:
            remaining = Block(block.start + size, rest, block.pool)
            self._link(remaining, block.after)
            self._link(block, remaining)
            block.size = size
            self._keep(remaining)
        return block

    def _keep(self, block: Block) -> None:
        block.free = True
        insort(self._free[block.pool], (block.size, block.start, block))

    @staticmethod
    def _link(before: Block | None, after: Block | None) -> None:
        if before is not None:
            before.after = after
        if after is not None:
            after.before = before
