"""What a run is about to train on, in words: classes, images, and what was decided about them."""

import torch

from archzoo.data._dataset import ImageSet
from archzoo.data._left_out import counted, listed
from archzoo.data._origins import shown
from archzoo.data._splits import Splits

MOST_ROWS = 30  # classes with a row of their own


def describe(splits: Splits) -> list[str]:
    """Lines on the classes and the images of each part, where these came from, and how they are read."""
    train = splits.train
    parts: dict[str, ImageSet] = vars(splits)
    totals = ", ".join(f"{len(images):,} {name}" for name, images in parts.items())
    title = f"data: {counted(len(train.classes), 'class')}, {totals} images"
    notes = dict.fromkeys(note for images in parts.values() for note in images.notes)
    origin = [f"data: {shown(train.origin)}"] if train.origin else []
    return [title, *_rows(train.classes, parts), *origin, *(f"data: {note}" for note in notes)]


def _rows(classes: tuple[str, ...], parts: dict[str, ImageSet]) -> list[str]:
    counts = {
        name: torch.bincount(images.labels.cpu(), minlength=len(classes)).tolist() for name, images in parts.items()
    }
    if len(classes) > MOST_ROWS:
        ranges = ", ".join(f"{min(numbers):,} to {max(numbers):,} {name}" for name, numbers in counts.items())
        return [f"  {listed(classes)}; of each, {ranges} images"]
    width = max(map(len, classes))
    header = f"  {'':{width}}" + "".join(f"  {name:>10}" for name in counts)
    rows = zip(classes, *counts.values(), strict=True)
    return [header, *(f"  {name:{width}}" + "".join(f"  {count:>10,}" for count in row) for name, *row in rows)]
