"""Building: ours, ours on the meta device, and torchvision's, in milliseconds and ratios.

    python benchmarks/building.py

All are built in one run, in turn; medians count, and ratios: seconds depend on the machine. Exits with 1 if vgg_d
takes more than 0.65 of torchvision's time, which initializes it twice, or on meta more than a hundredth of its own.
"""

import statistics
import sys
import time
from collections.abc import Callable

from peers import torchvision

import archzoo

ROUNDS = 7
TORCHVISION = {
    "vgg_d": "vgg16",
    "vgg_a": "vgg11",
    "resnet50": "resnet50",
    "densenet121": "densenet121",
    "squeezenet1_1": "squeezenet1_1",
    "alexnet_one_tower": "alexnet",
}
BARS = {"ours": 0.65, "meta": 0.01}  # for vgg_d


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes, with the release of what it returns."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str) -> list[float]:
    """Median seconds of ours, ours on meta, and torchvision's."""
    library = torchvision("models")
    ways: list[Callable[[], object]] = [
        lambda: archzoo.build(name),
        lambda: archzoo.build(name, device="meta"),
        lambda: library.get_model(TORCHVISION[name], weights=None),
    ]
    rounds = [[seconds(way) for way in ways] for _ in range(ROUNDS + 1)]
    return [statistics.median(times) for times in zip(*rounds[1:], strict=True)]


def main() -> int:
    """Print a line for each network; how many bars were missed."""
    print(f"{'':20}{'theirs ms':>11}{'ours ms':>10}{'ratio':>7}{'meta ms':>10}")
    missed = 0
    for name in TORCHVISION:
        ours, meta, theirs = compare(name)
        bad = name == "vgg_d" and (ours > BARS["ours"] * theirs or meta > BARS["meta"] * ours)
        missed += bad
        row = f"{name:20}{1000 * theirs:11.1f}{1000 * ours:10.1f}{ours / theirs:7.2f}{1000 * meta:10.2f}"
        print(f"{row}{'  missed' if bad else ''}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
