"""How long counting a network takes, in units of one plain forward pass on meta tensors.

    python benchmarks/profile_speed.py [PATTERN]

Both are measured in one run, in turn; the median of a few repeats counts. Ratios, not seconds, are to be compared:
seconds depend on the machine.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch

import archzoo

REPEATS = 5


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str) -> tuple[float, float]:
    """Median seconds of a plain forward pass, and of a profile, in turn."""
    size = archzoo.find(name).input_size
    net = archzoo.build(name, device="meta").eval()
    images = torch.empty(1, *size, device="meta")
    with torch.no_grad():
        times = [(seconds(lambda: net(images)), seconds(lambda: archzoo.profile(net, size))) for _ in range(REPEATS)]
    forward, profile = zip(*times, strict=True)
    return statistics.median(forward), statistics.median(profile)


def main(pattern: str) -> None:
    """Print a line for each network, and the whole."""
    torch.set_num_threads(1)
    whole = [0.0, 0.0]
    print(f"{'':24}{'forward ms':>12}{'profile ms':>12}{'ratio':>8}")
    for name in archzoo.names(pattern):
        forward, profile = compare(name)
        whole[0] += forward
        whole[1] += profile
        print(f"{name:24}{1000 * forward:12.1f}{1000 * profile:12.1f}{profile / forward:8.2f}")
    print(f"{'all':24}{1000 * whole[0]:12.1f}{1000 * whole[1]:12.1f}{whole[1] / whole[0]:8.2f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "*")
