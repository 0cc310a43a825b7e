"""Features: what the parts of a network return, for a batch or for a folder of images."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data import OnCorrupt, find_images, read_image, read_or_skip
from archzoo.errors import DataError, TransferError
from archzoo.files import atomic_write
from archzoo.layers import Net, evaluation_mode
from archzoo.transfer._parts import find_part


def feature_maps(net: nn.Module, images: Tensor, parts: Sequence[str]) -> dict[str, Tensor]:
    """What the named parts return for a batch of images (N, C, H, W), in one forward pass.

    A part that runs several times gives its last output. Gradients flow as usual. Raises UnknownPart, and
    TransferError for a part that does not run in this mode, or does not return a tensor.
    """
    with capture(net, parts) as maps:
        net(images)
    for name in parts:
        if name not in maps:
            raise TransferError(
                f"{name} returned no feature maps: it does not run in this mode, or returns no tensor; name one of "
                f"the parts inside it"
            )
    return {name: maps[name] for name in parts}


@contextmanager
def capture(net: nn.Module, parts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """A dict that is filled with the outputs of the named parts whenever the network runs. Raises UnknownPart."""
    maps: dict[str, Tensor] = {}

    def hook_of(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                maps[name] = output.clone()  # the next layer may write in place

        return hook

    modules = {name: find_part(net, name) for name in parts}
    handles = [module.register_forward_hook(hook_of(name)) for name, module in modules.items()]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def extract_features(
    net: Net,
    folder: str | Path,
    output: str | Path,
    *,
    size: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    part: str = "features",
    batch_size: int = 32,
    on_corrupt: OnCorrupt = "error",
    background: str = "white",
    value_range: tuple[float, float] | None = None,
) -> list[Path]:
    """Write the features of every image in a folder to a safetensors file, and return the images in its order.

    The file holds ``features`` (N, channels), one row for each image, feature maps averaged over their positions, and
    in its metadata the names of the images. The shorter side of an image is scaled to that of ``size``
    (C, H, W), and its center is cropped. Needs Pillow: ``pip install 'archzoo[images]'``.

    ``background`` and ``value_range`` are those of ``archzoo.data.load``; images of 32-bit integers or floating point
    need a range. Raises DataError if there are no images, one needs a range or is corrupt, and writes nothing then;
    ``on_corrupt="skip"`` leaves corrupt images out. Raises UnknownPart for a part that does not exist.
    """
    find_part(net, part)
    target = Path(output)
    _check(target, size, mean, std, batch_size)
    paths = find_images(folder)
    read = partial(read_image, size=size, background=background, value_range=value_range)
    device, dtype = next((parameter.device, parameter.dtype) for parameter in net.parameters())
    kept: list[Path] = []
    rows: list[Tensor] = []
    with evaluation_mode(net), torch.no_grad():
        for images, names in _read_batches(paths, batch_size, read, mean, std, on_corrupt):
            maps = feature_maps(net, images.to(device, dtype), [part])[part]
            rows.append(maps.flatten(2).mean(2) if maps.dim() > 2 else maps)
            kept += names
    if not kept:
        raise DataError(f"every image of {folder} is corrupt")
    _write(target, torch.cat(rows), [path.relative_to(folder) for path in kept], part)
    return kept


def _check(
    target: Path, size: tuple[int, int, int], mean: Sequence[float], std: Sequence[float], batch_size: int
) -> None:
    if not target.parent.is_dir():
        raise TransferError(f"cannot write {target}: {target.parent} is not a directory")
    if batch_size < 1:
        raise TransferError(f"batch_size must be at least 1, not {batch_size}")
    if not len(mean) == len(std) == size[0]:
        raise TransferError(f"mean and std must have {size[0]} values, one a channel, not {len(mean)} and {len(std)}")


def _write(target: Path, features: Tensor, names: Sequence[Path], part: str) -> None:
    from safetensors.torch import save_file

    metadata = {"files": json.dumps([str(name) for name in names]), "part": part}
    with atomic_write(target) as partial:
        save_file({"features": features.float().cpu()}, partial, metadata)


def _read_batches(
    paths: Sequence[Path],
    batch_size: int,
    read: Callable[[Path], Tensor],
    mean: Sequence[float],
    std: Sequence[float],
    on_corrupt: OnCorrupt,
) -> Iterator[tuple[Tensor, list[Path]]]:
    means, stds = (torch.tensor(list(values)).view(-1, 1, 1) for values in (mean, std))
    images: list[Tensor] = []
    names: list[Path] = []
    for path in paths:
        image = read_or_skip(partial(read, path), str(path), on_corrupt)
        if image is not None:
            images.append((image - means) / stds)
            names.append(path)
        if len(images) == batch_size:
            yield torch.stack(images), names
            images, names = [], []
    if images:
        yield torch.stack(images), names
