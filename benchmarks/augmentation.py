"""CIFAR images per second that one core pads, crops, flips and normalizes; torchvision's transforms for comparison.

``python benchmarks/augmentation.py``; exits with 1 below 50,000 images per second. torchvision is optional.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from peers import torchvision
from torch import Tensor

from archzoo.data import NORMALIZATION, EpochBatches, ImageSet, load_batches, prepare
from archzoo.registry import find_recipe

IMAGES, BATCH_SIZE, ROUNDS, LOWEST = 50_000, 128, 5, 50_000


def rate(epoch: Callable[[], int]) -> float:
    """Images per second."""
    began = time.perf_counter()
    return epoch() / (time.perf_counter() - began)


def ours(name: str) -> Callable[[], int]:
    """An epoch of a recipe's batches, as training gets them."""
    recipe = find_recipe(name)
    pixels = torch.randint(0, 256, (IMAGES, 3, 32, 32), dtype=torch.uint8)
    images = ImageSet.from_tensor("random", pixels, torch.zeros(IMAGES, dtype=torch.long), ("class",))
    prepared = prepare(recipe.augmentation, recipe.preprocessing, images, 32, NORMALIZATION["cifar10"])

    def epoch() -> int:
        batches = EpochBatches(images, prepared.train, BATCH_SIZE, seed=0, epoch=0)
        return sum(len(batch.labels) for batch in load_batches(batches))

    return epoch


def theirs(count: int = 4_000) -> Callable[[], int] | None:
    """The same by torchvision's transforms, one image at a time, as its examples do it; None without torchvision."""
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
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8)

    def epoch() -> int:
        batches: list[Tensor] = []
        for start in range(0, count, BATCH_SIZE):
            batches.append(torch.stack([steps(image) for image in pixels[start : start + BATCH_SIZE]]))
        return sum(map(len, batches))

    return epoch


def main() -> int:
    """Print the table."""
    torch.set_num_threads(1)
    epochs = {"densenet_cifar": ours("densenet_cifar"), "resnet_cifar": ours("resnet_cifar"), "torchvision": theirs()}
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(ROUNDS):
        for name, epoch in epochs.items():
            if epoch is not None:
                rates[name].append(rate(epoch))
    print("| pad 4, crop, flip, normalize | images per second |\n| --- | --- |")
    medians = {name: statistics.median(values) for name, values in rates.items() if values}
    for name, median in medians.items():
        print(f"| {name} | {median:,.0f} |")
    return 0 if min(median for name, median in medians.items() if name != "torchvision") >= LOWEST else 1


if __name__ == "__main__":
    sys.exit(main())
