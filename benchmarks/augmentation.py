"""How many CIFAR pictures a second one core pads, crops, mirrors and normalizes; torchvision's transforms beside it.

``python benchmarks/augmentation.py``; exits with 1 below 50,000 pictures a second. torchvision is optional.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from peers import torchvision
from torch import Tensor

from archzoo.data.dataset import of_tensor
from archzoo.data.loading import EpochBatches, load_batches
from archzoo.data.preprocessing import prepare
from archzoo.data.sources import NORMALIZATION
from archzoo.registry import find_recipe

PICTURES, BATCH, ROUNDS, BAR = 50_000, 128, 5, 50_000


def rate(work: Callable[[], int]) -> float:
    """Pictures a second."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def ours(recipe: str) -> Callable[[], int]:
    """An epoch of a recipe's load_batches, as training gets them."""
    found = find_recipe(recipe)
    pixels = torch.randint(0, 256, (PICTURES, 3, 32, 32), dtype=torch.uint8)
    pictures = of_tensor("random", pixels, torch.zeros(PICTURES, dtype=torch.long), ("one",))
    prepared = prepare(found.augmentation, found.preprocessing, pictures, 32, NORMALIZATION["cifar10"])

    def epoch() -> int:
        return sum(
            len(batch.labels) for batch in load_batches(EpochBatches(pictures, prepared.train, BATCH, seed=0, epoch=0))
        )

    return epoch


def theirs(pictures: int = 4_000) -> Callable[[], int] | None:
    """Transforms of torchvision that do the same, a picture at a time, as its examples have them."""
    try:
        v2 = torchvision("transforms.v2")
    except ImportError:
        return None
    steps = v2.Compose(
        [
            v2.RandomCrop(32, padding=4),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(*NORMALIZATION["cifar10"]),
        ]
    )
    pixels = torch.randint(0, 256, (pictures, 3, 32, 32), dtype=torch.uint8)

    def epoch() -> int:
        made: list[Tensor] = []
        for start in range(0, pictures, BATCH):
            made.append(torch.stack([steps(one) for one in pixels[start : start + BATCH]]))
        return sum(map(len, made))

    return epoch


def main() -> int:
    """Print the table."""
    torch.set_num_threads(1)
    work = {"densenet_cifar": ours("densenet_cifar"), "resnet_cifar": ours("resnet_cifar"), "torchvision": theirs()}
    rates: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, one in work.items():
            if one is not None:
                rates[name].append(rate(one))
    print("| pad 4, crop, mirror, normalize | pictures a second |\n| --- | --- |")
    middle = {name: statistics.median(values) for name, values in rates.items() if values}
    for name, value in middle.items():
        print(f"| {name} | {value:,.0f} |")
    return 0 if min(value for name, value in middle.items() if name != "torchvision") >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
