"""A trained network on other pictures: its features frozen and computed once, or all of it tuned, the head first."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data.augmentation import Pipeline
from archzoo.data.dataset import ImageSet
from archzoo.data.preprocessing import Prepared
from archzoo.data.splits import Splits
from archzoo.errors import TrainingError
from archzoo.layers import Net
from archzoo.training.distributed import Distributed
from archzoo.training.engine import RunConfig
from archzoo.training.evaluation import evaluating, probabilities, protocol_of
from archzoo.training.recipes import Recipe
from archzoo.training.trainer import TrainResult, train
from archzoo.transfer.reuse import frozen, parameter_groups

Say = Callable[[str], None]


def extract(
    net: Net,
    splits: Splits,
    prepared: Prepared,
    recipe: Recipe,
    folder: str | Path,
    settings: RunConfig | None = None,
    *,
    processes: Distributed | None = None,
    about: dict[str, Any] | None = None,
    say: Say = print,
) -> TrainResult:
    """Train the classifier of a network on its features, which are computed once and stay what they are, in place.

    Every picture counts as its single view, without augmentation. What the network gives is what a run with
    ``freeze(net, "features")`` on the same views would give, batch statistics included; ``trainer.train``
    says what becomes of the folder and what is raised.
    """
    device = (processes or Distributed()).device
    net.to(device)
    fixed, learned = divided(net.classifier)
    features = nn.Sequential(net.features, *fixed)
    maps = Splits(**{name: computed(features, part, prepared, device) for name, part in vars(splits).items()})
    flat = maps.train.size == (1, 1)
    head = Net(nn.Flatten() if flat else nn.Identity(), nn.Sequential(*learned))
    none = Pipeline(())
    side = (maps.train.size or (1, 1))[0]
    plain = recipe.with_(augmentation=(), protocol="single view")
    outcome = train(
        head, maps, Prepared(side, none, none, none), plain, folder, settings, processes=processes, about=about, say=say
    )
    return replace(outcome, net=net, state=net.state_dict())


def divided(classifier: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """What stands in a classifier before anything that learns or drops, and the rest."""
    parts = list(classifier.children()) if isinstance(classifier, nn.Sequential) else [classifier]
    first = 0
    while first < len(parts) and not _acts(parts[first]):
        first += 1
    if first == len(parts):
        raise TrainingError("the classifier has nothing that learns: give the network a new head")
    return parts[:first], parts[first:]


def _acts(part: nn.Module) -> bool:
    drops = any(isinstance(one, nn.Dropout | nn.Dropout2d) for one in part.modules())
    return drops or any(True for _ in part.parameters())


def computed(features: nn.Module, pictures: ImageSet, prepared: Prepared, device: Any, batch: int = 64) -> ImageSet:
    """The features of the single view of every picture, in their order, as floats; computed in evaluation."""
    found: list[Tensor] = []
    with evaluating([features]), torch.no_grad():
        for places in torch.split(torch.arange(len(pictures)), batch):
            maps = features(prepared.center_crop(pictures.take(places)).to(device)).float().cpu()
            found.append(maps.view(len(places), -1, 1, 1) if maps.dim() == 2 else maps)
    whole = torch.cat(found)
    count, channels, height, width = whole.shape
    return ImageSet(
        f"features of {pictures.name}",
        whole.permute(0, 2, 3, 1).reshape(-1),
        torch.arange(count) * (channels * height * width),
        torch.tensor([[height, width]]).repeat(count, 1),
        pictures.labels,
        pictures.classes,
        channels,
    )


def fine_tune(
    net: Net,
    splits: Splits,
    prepared: Prepared,
    recipe: Recipe,
    folder: str | Path,
    settings: RunConfig | None = None,
    *,
    head_epochs: int = 0,
    decay: float = 1.0,
    processes: Distributed | None = None,
    about: dict[str, Any] | None = None,
    say: Say = print,
) -> TrainResult:
    """Tune all of a network on other pictures, in place: each stage at ``decay`` times the rate of the one behind it.

    Before that the classifier alone learns for ``head_epochs`` epochs, at the recipe's first rate; its run is in the
    folder ``head`` of the run's. What is frozen when this is called stays so.
    """
    where = Path(folder)
    if head_epochs:
        first = recipe.with_(length=head_epochs, unit="epochs")
        with frozen(net, "features"):
            train(net, splits, prepared, first, where / "head", settings, processes=processes, about=about, say=say)
    groups = parameter_groups(net, recipe.lr, decay)
    return train(
        net, splits, prepared, recipe, where, settings, processes=processes, about=about, groups=groups, say=say
    )


def predictions(net: nn.Module, pictures: ImageSet, prepared: Prepared, device: Any = "cpu") -> Tensor:
    """The probabilities (N, classes) that a network gives to pictures, by their single view."""
    with evaluating([net]), torch.inference_mode():
        return torch.cat(
            [
                probabilities([net], pictures.take(places), prepared, protocol_of("single view"), device)
                for places in torch.split(torch.arange(len(pictures)), 64)
            ]
        ).float()


def draw_predictions(
    net: nn.Module,
    pictures: ImageSet,
    prepared: Prepared,
    path: str | Path,
    *,
    columns: int = 8,
    rows: int = 4,
    side: int = 96,
) -> None:
    """Draw pictures in a grid, with what the network says and how sure it is; wrong answers in red, with the truth.

    Every ``n``-th picture, so that all parts of the set are seen. The ending of ``path`` says the format, such as .png.
    """
    from PIL import Image, ImageDraw, ImageOps

    many = min(rows * columns, len(pictures))
    some = pictures.subset(torch.linspace(0, len(pictures) - 1, many).long())
    told = predictions(net, some, prepared)
    label = 30
    sheet = Image.new("RGB", (columns * (side + 8), -(-many // columns) * (side + label + 8)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (chances, truth) in enumerate(zip(told, some.labels.tolist(), strict=True)):
        left, top = number % columns * (side + 8) + 4, number // columns * (side + label + 8) + 4
        pixels = some.take(torch.tensor([number]))[0].permute(1, 2, 0).contiguous()
        mode = "L" if pixels.shape[2] == 1 else "RGB"
        picture = Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.numpy().tobytes())
        sheet.paste(ImageOps.pad(picture.convert("RGB"), (side, side), color="white"), (left, top))
        answer = int(chances.argmax())
        right = answer == truth
        text = f"{_short(some.classes[answer])}, {float(chances[answer]):.0%}"
        pen.text((left, top + side + 2), text, fill="black" if right else "#c00000")
        if not right:
            pen.text((left, top + side + 15), f"is {_short(some.classes[truth])}", fill="#c00000")
    sheet.save(path)


def _short(name: str, most: int = 10) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
