"""What a network predicts for images, and a drawing of it."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data import ImageSet, Prepared
from archzoo.errors import MissingDependency
from archzoo.escaping import one_line
from archzoo.layers import device_of, evaluation_mode
from archzoo.training import predict, single_crop

WRONG = "#c00000"
LABEL_HEIGHT = 30
MARGIN = 8  # pixels between two images


def predictions(
    net: nn.Module, images: ImageSet, prepared: Prepared, device: Any = None, batch_size: int = 64
) -> Tensor:
    """The probabilities (N, num_classes) of the center crops of images, on the CPU. Restores train/eval mode.

    Images are moved to ``device``, that of the network by default.
    """
    device = device_of(net) if device is None else device
    batches = torch.split(torch.arange(len(images)), batch_size)
    with evaluation_mode(net), torch.inference_mode():
        return torch.cat(
            [predict([net], images.take(indices), prepared, single_crop, device) for indices in batches]
        ).float()


def draw_predictions(
    net: nn.Module,
    images: ImageSet,
    prepared: Prepared,
    path: str | Path,
    *,
    columns: int = 8,
    rows: int = 4,
    side: int = 96,
) -> None:
    """Draw a grid of evenly spaced images with the predicted class and its probability, wrong ones in red.

    The suffix of ``path`` chooses the format, such as .png. Raises MissingDependency without Pillow.
    """
    load_pillow()
    from PIL import Image, ImageDraw

    count = min(rows * columns, len(images))
    chosen = images.subset(torch.linspace(0, len(images) - 1, count).long()).readable()
    probabilities = predictions(net, chosen, prepared)
    height = side + LABEL_HEIGHT + MARGIN
    sheet = Image.new("RGB", (columns * (side + MARGIN), -(-count // columns) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for number in range(len(chosen)):
        left = number % columns * (side + MARGIN) + MARGIN // 2
        top = number // columns * height + MARGIN // 2
        sheet.paste(_thumbnail(chosen, number, side), (left, top))
        _write_label(pen, (left, top + side + 2), chosen, number, probabilities[number])
    sheet.save(path)


def load_pillow() -> None:
    """Raise MissingDependency without Pillow."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingDependency("Pillow is not installed: pip install 'archzoo[train]'") from error


def _thumbnail(images: ImageSet, number: int, side: int) -> Any:
    from PIL import Image, ImageOps

    pixels = images.take(torch.tensor([number]))[0].permute(1, 2, 0).contiguous()
    mode = "L" if pixels.shape[2] == 1 else "RGB"
    image = Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.cpu().numpy().tobytes())
    return ImageOps.pad(image.convert("RGB"), (side, side), color="white")


def _write_label(pen: Any, place: tuple[int, int], images: ImageSet, number: int, probabilities: Tensor) -> None:
    predicted, label = int(probabilities.argmax()), int(images.labels[number])
    text = f"{_shortened(images.classes[predicted])}, {float(probabilities[predicted]):.0%}"
    pen.text(place, text, fill="black" if predicted == label else WRONG)
    if predicted != label:
        pen.text((place[0], place[1] + 13), f"is {_shortened(images.classes[label])}", fill=WRONG)


def _shortened(name: str, length: int = 10) -> str:
    name = one_line(name)
    return name if len(name) <= length else name[: length - 1] + "…"
