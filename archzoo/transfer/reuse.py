"""Verbs for a network that is to be used again: another head, frozen parts, rates by layer, its maps as features."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archzoo.data.reading import IMAGE_SUFFIXES
from archzoo.errors import MissingDependency, UnknownPart
from archzoo.files import atomic_write
from archzoo.layers import Net

Read = Callable[[Path], Tensor]


def part_of(net: nn.Module, name: str) -> nn.Module:
    """The part of a network with a name as in its state dict. Raises UnknownPart with the nearest names."""
    parts: dict[str, nn.Module] = dict(net.named_modules())
    if name not in parts:
        near = difflib.get_close_matches(name, parts, n=3, cutoff=0.5) or [one for one in parts if one][:3]
        raise UnknownPart(f"the network has no part {name!r}: did you mean {' or '.join(map(repr, near))}?")
    return parts[name]


def new_head(net: Net, classes: int, initialize: Callable[[nn.Module], object] | None = None) -> list[str]:
    """Replace what tells the classes by a layer for another number of them, in place; the names of what is new.

    The last linear layer or convolution of the classifier, and of every one inside it that tells the same classes (the
    auxiliary ones of GoogLeNet). ``initialize`` sets its parameters; torch's own draw is the default. The new layers
    stand on the device and in the type of the old ones, and learn. Raises ValueError where the network ends otherwise.
    """
    if classes < 1:
        raise ValueError(f"classes must be at least 1, not {classes}")
    leaves = [(name, module) for name, module in net.classifier.named_modules() if not module._modules]
    learned = [(name, module) for name, module in leaves if any(True for _ in module.parameters())]
    if not learned or not isinstance(learned[-1][1], nn.Linear | nn.Conv2d) or _codes(leaves):
        kind = type(leaves[-1][1]).__name__
        raise ValueError(f"the network ends in {kind}, not in a linear layer or convolution that tells classes")
    told = _outputs(learned[-1][1])
    replaced = []
    last_of_each = {name.rpartition(".")[0]: (name, module) for name, module in learned}
    for name, module in last_of_each.values():
        if isinstance(module, nn.Linear | nn.Conv2d) and _outputs(module) == told:
            holder, _, last = name.rpartition(".")
            new = _like(module, classes)
            if initialize is not None:
                with torch.no_grad():
                    initialize(new)
            setattr(net.classifier.get_submodule(holder), last, new)
            replaced.append(f"classifier.{name}")
    return replaced


def _codes(leaves: Sequence[tuple[str, nn.Module]]) -> bool:
    """Whether the classes are told by distances to fixed codes (LeNet-5), which no layer can replace."""
    return any(not module._modules and module._buffers and not isinstance(module, NORMS) for _, module in leaves)


def _outputs(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _like(layer: nn.Linear | nn.Conv2d, outputs: int) -> nn.Module:
    where: dict[str, Any] = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, outputs, bias, **where)
    kernel, stride, padding, dilation = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    return nn.Conv2d(layer.in_channels, outputs, kernel, stride, padding, dilation, layer.groups, bias, **where)  # type: ignore[arg-type]


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class FrozenBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization that stays in evaluation: its statistics are used, and never changed."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm1d":
        return super().train(False)


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization that stays in evaluation: its statistics are used, and never changed."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm2d":
        return super().train(False)


class FrozenBatchNorm3d(nn.BatchNorm3d):
    """Batch normalization that stays in evaluation: its statistics are used, and never changed."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm3d":
        return super().train(False)


FROZEN = dict(zip(NORMS, (FrozenBatchNorm1d, FrozenBatchNorm2d, FrozenBatchNorm3d), strict=True))
THAWED = {frozen: norm for norm, frozen in FROZEN.items()}


def freeze(net: nn.Module, *parts: str) -> int:
    """Freeze parts by name, all of the network if none is named; how many numbers no longer learn.

    Parameters need no gradient, and batch normalizations keep their statistics, also after ``net.train()``. Raises
    UnknownPart, and freezes nothing, where one is not there.
    """
    chosen = [part_of(net, part) for part in parts] or [net]
    count = 0
    for parameter in {parameter for part in chosen for parameter in part.parameters()}:
        count += parameter.numel() if parameter.requires_grad else 0
        parameter.requires_grad_(False)
    for module in {module for part in chosen for module in part.modules()}:
        if type(module) in FROZEN:
            module.__class__ = FROZEN[type(module)]  # type: ignore[index]
            module.train(False)
    return count


def thaw(net: nn.Module, *parts: str) -> int:
    """Let frozen parts learn again, all of the network if none is named; how many numbers learn that did not."""
    chosen = [part_of(net, part) for part in parts] or [net]
    count = 0
    for parameter in {parameter for part in chosen for parameter in part.parameters()}:
        count += 0 if parameter.requires_grad else parameter.numel()
        parameter.requires_grad_(True)
    for module in {module for part in chosen for module in part.modules()}:
        if type(module) in THAWED:
            module.__class__ = THAWED[type(module)]  # type: ignore[index]
            module.train(net.training)
    return count


@contextmanager
def frozen(net: nn.Module, *parts: str) -> Iterator[None]:
    """Freeze parts for a while; afterwards everything learns, or not, as it did before. Raises UnknownPart."""
    learning = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    kinds = [(module, type(module)) for module in net.modules()]
    freeze(net, *parts)
    try:
        yield
    finally:
        for parameter, learned in learning:
            parameter.requires_grad_(learned)
        for module, kind in kinds:
            if type(module) is not kind:
                module.__class__ = kind
                module.train(net.training)


def parameter_groups(net: Net, rate: float, decay: float = 1.0) -> list[dict[str, Any]]:
    """Groups for an optimizer, one a stage: the classifier at ``rate``, each stage before it ``decay`` times the next.

    A stage is a part of the features with a convolution, and the batch norms behind it; parameters outside all stages
    learn as the first. Every parameter that learns is in one group, under ``params``, beside its ``lr`` and the
    ``name`` of the stage. Raises ValueError for rates that are not positive.
    """
    if not (rate > 0 and 0 < decay <= 1):
        raise ValueError(f"rate must be positive and decay in (0, 1], not {rate} and {decay}")
    stages: dict[str, list[nn.Parameter]] = {}
    for name, part in [*_parts_in_order(net.features), ("classifier", net.classifier)]:
        if isinstance(part, NORMS) and stages:
            stages[next(reversed(stages))] += part.parameters()
        elif parameters := list(part.parameters()):
            stages[name] = parameters
    staged = {one for parameters in stages.values() for one in parameters}
    next(iter(stages.values())).extend(one for one in net.parameters() if one not in staged)
    rates = [rate * decay**distance for distance in range(len(stages))][::-1]
    learning = {name: [one for one in parameters if one.requires_grad] for name, parameters in stages.items()}
    groups = [{"params": learning[name], "lr": lr, "name": name} for name, lr in zip(learning, rates, strict=True)]
    return [group for group in groups if group["params"]]


def _parts_in_order(features: nn.Module) -> list[tuple[str, nn.Module]]:
    """The parts of a sequence; of other features, such as FractalNet's, the parts of the sequences inside."""
    parts = [(f"features.{name}", part) for name, part in features.named_children()]
    if isinstance(features, nn.Sequential):
        return parts
    inner = [
        [(f"{name}.{child}", one) for child, one in part.named_children()]
        if isinstance(part, nn.Sequential)
        else [(name, part)]
        for name, part in parts
    ]
    return [one for each in inner for one in each]


def feature_maps(net: nn.Module, images: Tensor, parts: Sequence[str]) -> dict[str, Tensor]:
    """What the named parts return for a batch of images, in one forward pass. Raises UnknownPart.

    A part that runs several times gives what it returned last. Gradients flow as they would. Raises ValueError for one
    that is not run in this mode, or returns something else than a tensor.
    """
    with caught(net, parts) as maps:
        net(images)
    for name in parts:
        if name not in maps:
            raise ValueError(f"{name} gave no maps: it was not run in this mode, or its parts inside have the maps")
    return {name: maps[name] for name in parts}


@contextmanager
def caught(net: nn.Module, parts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """A dict that fills with what the named parts return while the network runs."""
    maps: dict[str, Tensor] = {}

    def catch(name: str) -> Callable[..., None]:
        def note(module: nn.Module, args: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                maps[name] = out.clone()  # a layer behind it may write in place

        return note

    modules = {name: part_of(net, name) for name in parts}
    handles = [module.register_forward_hook(catch(name)) for name, module in modules.items()]
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
    batch: int = 32,
    damaged: Literal["refuse", "skip"] = "refuse",
) -> list[Path]:
    """Write what a part tells of every picture in a folder to a safetensors file; the pictures, in its order.

    The file has one row a picture, ``features`` (N, numbers), maps averaged over their positions, and the names of the
    pictures in its head. A picture is scaled so that its shorter side is ``size``'s, and cropped in the middle. Raises
    ValueError where there is none, or one is damaged (it is named), and writes nothing then; ``damaged="skip"`` leaves
    it out. Needs Pillow: ``pip install 'archzoo[pictures]'``.
    """
    import json

    from safetensors.torch import save_file

    part_of(net, part)
    target = Path(output)
    if not target.parent.is_dir():
        raise ValueError(f"could not write {target}: there is no folder {target.parent}")
    if batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")
    if not len(mean) == len(std) == size[0]:
        raise ValueError(f"{size[0]} channels take as many of mean and std, not {len(mean)} and {len(std)}")
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise ValueError(f"{folder} has no pictures ({', '.join(sorted(IMAGE_SUFFIXES))})")
    device, dtype = next((one.device, one.dtype) for one in net.parameters())
    kept: list[Path] = []
    rows: list[Tensor] = []
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        for images, names in _batches(found, batch, size, mean, std, damaged):
            with torch.no_grad():
                maps = feature_maps(net, images.to(device, dtype), [part])[part]
            rows.append(maps.flatten(2).mean(2) if maps.dim() > 2 else maps)
            kept += names
    finally:
        for module, training in modes.items():
            module.training = training
    if not kept:
        raise ValueError(f"every picture of {folder} is damaged")
    names_of = json.dumps([str(path.relative_to(folder)) for path in kept])
    with atomic_write(target) as partial:
        save_file({"features": torch.cat(rows).float().cpu()}, partial, {"files": names_of, "part": part})
    return kept


def _batches(
    paths: Sequence[Path],
    batch: int,
    size: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    damaged: Literal["refuse", "skip"],
) -> Iterator[tuple[Tensor, list[Path]]]:
    shift, scale = (torch.tensor(list(each)).view(-1, 1, 1) for each in (mean, std))
    pending: list[Tensor] = []
    names: list[Path] = []
    for path in paths:
        try:
            pending.append((read_picture(path, size) - shift) / scale)
            names.append(path)
        except MissingDependency:
            raise
        except Exception as error:  # a damaged file makes Pillow's readers raise nearly anything
            if damaged == "refuse":
                raise ValueError(f"{path} is damaged, or no picture: {error}; damaged='skip' leaves it out") from error
        if len(pending) == batch:
            yield torch.stack(pending), names
            pending, names = [], []
    if pending:
        yield torch.stack(pending), names


def read_picture(path: Path, size: tuple[int, int, int]) -> Tensor:
    """A picture as numbers from 0 to 1, (channels, height, width): its shorter side scaled, its middle cropped."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingDependency("Pillow is not installed: pip install 'archzoo[pictures]'") from error

    channels, height, width = size
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(fitted.tobytes()), dtype=torch.uint8)
    return pixels.view(height, width, -1).permute(2, 0, 1).float() / 255
