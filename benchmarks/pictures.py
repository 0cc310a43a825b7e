"""Folders of JPEGs: images per second that one core decodes, crops, flips and normalizes, beside torchvision's.

    python benchmarks/pictures.py [--images N] [--files N]

Both read the same folder of 500x400 JPEGs in the same process, in turn: torchvision by its ImageFolder and a DataLoader
with RandomResizedCrop(224), RandomHorizontalFlip, ToTensor and Normalize. The JPEGs are parts of the two photographs
that come with scikit-learn. Also measured: the room on disk that is needed beside the folder, and the seconds until the
first batch of a folder of 100,000 files, by the scan and from the scan that the cache keeps. Exits with 1 where a bar
is missed. It needs torchvision.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peers import torchvision

from archzoo.data import NORMALIZATION, EpochBatches, ImageSet, load, load_batches, prepare
from archzoo.data._decoding import load_simplejpeg
from archzoo.data._folders import read_class_folders
from archzoo.data._reading import Reading
from archzoo.recipes import Normalize, RandomHorizontalFlip, RandomResizedCrop

BATCH_SIZE, ROUNDS, SIDE, CLASSES = 64, 7, 224, 4
FASTER, LARGER, SECONDS = 1.5, 1.1, 10.0  # bars: times torchvision's rate, of the folder's bytes, to the first batch
STEPS = (RandomResizedCrop(), RandomHorizontalFlip())
AGED = 10  # seconds since a folder was made: the scan of a newer one is not kept


def write_photographs(root: Path, count: int) -> int:
    """Write JPEGs of 500x400 in folders of classes, and return their bytes."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    draw, photographs = random.Random(0), [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for number in range(count):
        photograph = photographs[number % 2]
        height = draw.randint(280, photograph.height)
        width = height * 5 // 4
        left, top = draw.randint(0, photograph.width - width), draw.randint(0, photograph.height - height)
        file = root / str(number % CLASSES) / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        box = (left, top, left + width, top + height)
        photograph.resize((500, 400), Image.Resampling.BICUBIC, box=box).save(file, quality=90)
    return bytes_of(root)


def bytes_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def link(root: Path, photograph: Path, count: int) -> None:
    """Folders of classes with a thousand files each, which are one on disk."""
    for number in range(count):
        folder = root / f"{number // 1000:04}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
            shutil.copyfile(photograph, folder / f"{number}.jpg")
        else:
            os.link(folder / f"{number // 1000 * 1000}.jpg", folder / f"{number}.jpg")


def age(root: Path) -> None:
    """Let a folder look as if it was left alone for a while."""
    before = time.time() - AGED
    for folder in (root, *(path for path in root.iterdir() if path.is_dir())):
        os.utime(folder, (before, before))


def ours(root: Path) -> Callable[[], int]:
    """An epoch of batches, as training gets them."""
    images = read_class_folders(root, Reading())
    prepared = prepare(STEPS, Normalize(), images, SIDE, NORMALIZATION["imagenet"])
    epochs = iter(range(1_000_000))

    def epoch() -> int:
        batches = EpochBatches(images, prepared.train, BATCH_SIZE, seed=0, epoch=next(epochs))
        return sum(len(batch.labels) for batch in load_batches(batches))

    return epoch


def theirs(root: Path) -> Callable[[], int]:
    """An epoch of torchvision's, as its examples do it."""
    transforms, datasets = torchvision("transforms"), torchvision("datasets")
    steps = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIDE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(*NORMALIZATION["imagenet"]),
        ]
    )
    loader = torch.utils.data.DataLoader(datasets.ImageFolder(root, steps), BATCH_SIZE, shuffle=True, drop_last=True)

    def epoch() -> int:
        return sum(len(labels) for _, labels in loader)

    return epoch


def rate(epoch: Callable[[], int]) -> float:
    """Images per second."""
    began = time.perf_counter()
    return epoch() / (time.perf_counter() - began)


def first_batch(root: Path) -> tuple[float, float]:
    """Seconds to the first batch, statistics of the images included, and the peak of the memory of this process."""
    began = time.perf_counter()
    images: ImageSet = load(root).train
    prepared = prepare(STEPS, Normalize(), images, SIDE)
    batch_size = min(BATCH_SIZE, len(images))
    next(iter(load_batches(EpochBatches(images, prepared.train, batch_size, seed=0, epoch=0))))
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_new_process(root: Path) -> tuple[float, float]:
    """The same in a process of its own, so that its memory is its own."""
    done = subprocess.run([sys.executable, __file__, "--first", str(root)], capture_output=True, text=True, check=True)
    seconds, mebibytes = done.stdout.split()
    return float(seconds), float(mebibytes)


def compare_rates(root: Path, rounds: int = ROUNDS) -> tuple[dict[str, float], float]:
    """The median rates, and the median ratio of rates that were measured one after the other."""
    epochs = {"archzoo": ours(root), "torchvision": theirs(root)}
    rates = [{name: rate(epoch) for name, epoch in epochs.items()} for _ in range(rounds + 1)][1:]
    medians = {name: statistics.median(measured[name] for measured in rates) for name in epochs}
    return medians, statistics.median(measured["archzoo"] / measured["torchvision"] for measured in rates)


def measure(images: int, files: int) -> bool:
    """Print all tables; whether every bar is met."""
    with tempfile.TemporaryDirectory() as folder:
        root, cache, many = Path(folder) / "photographs", Path(folder) / "cache", Path(folder) / "many"
        os.environ["ARCHZOO_CACHE"] = str(cache)
        on_disk = write_photographs(root, images)
        age(root)
        medians, ratio = compare_rates(root)
        library = "Pillow" if load_simplejpeg() is None else "simplejpeg"
        print(f"| decode by {library}, crop, flip, normalize | images per second and core |\n| --- | --- |")
        for name, median in medians.items():
            print(f"| {name} | {median:,.0f} |")
        larger = (on_disk + bytes_of(cache)) / on_disk
        print(f"ratio {ratio:.2f}, bar {FASTER}; on disk {larger:.3f} of the JPEGs, bar {LARGER}")
        link(many, root / "0" / "0.jpg", files)
        age(many)
        few_seconds, few_memory = in_new_process(root)
        scanned, _ = in_new_process(many)
        kept, memory = in_new_process(many)
        print(f"first batch of {images} files in {few_seconds:.1f} s, {few_memory:,.0f} MiB of memory at most")
        print(f"first batch of {files:,} files in {scanned:.1f} s with the scan, {memory:,.0f} MiB of memory at most")
        print(f"first batch of {files:,} files in {kept:.1f} s from the kept scan, bar {SECONDS:.0f} s")
    return ratio >= FASTER and larger <= LARGER and kept <= SECONDS


def main() -> int:
    """Print the tables; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512, help="JPEGs that both decode")
    parser.add_argument("--files", type=int, default=100_000, help="files of the folder that is scanned")
    parser.add_argument("--first", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.first is not None:
        print(*first_batch(given.first))
        return 0
    return 0 if measure(given.images, given.files) else 1


if __name__ == "__main__":
    sys.exit(main())
