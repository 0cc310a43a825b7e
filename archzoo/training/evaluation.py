"""How good a network is on pictures that it has not seen: protocols of the papers, scores, ensembles."""

import math
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.data.crops import multi_crop_144, ten_crops
from archzoo.data.dataset import ImageSet
from archzoo.data.images import Images, stack
from archzoo.data.preprocessing import RESIZE_RATIO, Prepared
from archzoo.data.resizing import center_crop, resize_shorter_side
from archzoo.errors import DataError
from archzoo.layers import Net
from archzoo.training.distributed import Distributed

Views = Callable[[Images, Prepared], Iterator[Tensor]]
ALONE = Distributed()
DENSE_SCALES = (256 / 224, 384 / 224, 512 / 224)  # VGG's, for a network trained with scale jittering (Table 4)


@dataclass(frozen=True)
class Score:
    """What a network got right. ``confusion`` counts pictures, a row for each true class, a column for each answer."""

    confusion: Tensor
    in_first_five: int
    total_loss: float
    protocol: str
    classes: tuple[str, ...]

    @property
    def pictures(self) -> int:
        """How many were judged."""
        return int(self.confusion.sum())

    @property
    def loss(self) -> float:
        """The mean cross-entropy."""
        return self.total_loss / self.pictures

    @property
    def top1(self) -> float:
        """The share whose first answer is right."""
        return int(self.confusion.diagonal().sum()) / self.pictures

    @property
    def top5(self) -> float:
        """The share with the right answer among the first five."""
        return self.in_first_five / self.pictures

    @property
    def per_class(self) -> dict[str, float]:
        """The share of each class that was told; nan where there was none of it."""
        right, total = self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist()
        return {
            name: one / many if many else math.nan for name, one, many in zip(self.classes, right, total, strict=True)
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return {
            "pictures": self.pictures,
            "protocol": self.protocol,
            "loss": self.loss,
            "top1": self.top1,
            "top5": self.top5,
            "per_class": {name: share if share == share else None for name, share in self.per_class.items()},
            "confusion": self.confusion.tolist(),
        }

    def __str__(self) -> str:
        return (
            f"{self.top1:.2%} right ({self.top5:.2%} among the first five) of {self.pictures:,} pictures, "
            f"{self.protocol}, loss {self.loss:.4f}"
        )


# Protocols: each gives views (N, C, h, w), one of every picture at a time, ready for a network.


def single(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """The middle of each picture."""
    yield prepared.center_crop(images)


def scaled(side: int, shorter: int) -> Views:
    """A larger middle, of pictures scaled to a shorter side: for networks that take any size."""

    def views(images: Images, prepared: Prepared) -> Iterator[Tensor]:
        crops = [center_crop(resize_shorter_side(image, shorter), side, side) for image in images]
        yield prepared.normalize_crops(torch.stack(crops))

    return views


def ten(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """Corners, middle, and the same of the mirror image. ImageSet no larger than a crop are scaled as 224 to 256."""
    crops = []
    for image in prepared.frame.transform(images):
        larger = image
        if min(image.shape[1:]) <= prepared.side:
            larger = resize_shorter_side(image, round(prepared.side * RESIZE_RATIO))
        crops.append(ten_crops(larger, prepared.side))
    for place in range(10):
        yield prepared.finish(torch.stack([each[place] for each in crops]))


def hundred_and_forty_four(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """GoogLeNet's crops (Sec. 7), of four scales in the proportions that 256 to 352 have to 224."""
    sides = [round(prepared.side * one / 224) for one in (256, 288, 320, 352)]
    crops = [multi_crop_144(image, prepared.side, sides) for image in images]
    for place in range(144):
        yield prepared.normalize_crops(torch.stack([each[place] for each in crops]))


def dense(images: Images, prepared: Prepared) -> Iterator[Tensor]:
    """Whole pictures at three scales, and their mirror images (VGG, Sec. 3.2); for a network that is ``convolved``."""
    for scale in DENSE_SCALES:
        at_scale = stack([resize_shorter_side(image, round(prepared.side * scale)) for image in images])
        finished = prepared.normalize_crops(at_scale)
        yield finished
        yield finished.flip(-1)


def protocol_of(words: str) -> Views:
    """The protocol that the words of a recipe name. Raises DataError where there is none."""
    if found := re.match(r"one (\d+)x\1 crop of a shorter side of (\d+)", words):
        return scaled(int(found[1]), int(found[2]))
    starts = {"single view": single, "ten crops": ten, "144 crops": hundred_and_forty_four, "dense": dense}
    for start, views in starts.items():
        if words.startswith(start):
            return views
    known = ", ".join([*map(repr, starts), "'one 320x320 crop of a shorter side of 320'"])
    raise DataError(f"no protocol {words!r}; there are {known}")


def convolved(net: Net) -> nn.Module:
    """The same parameters, for pictures of any larger size: linear layers as convolutions, scores averaged (VGG, 3.2).

    At the size that the linear layers were made for it is the network itself. The parameters are shared with ``net``.
    """
    layers = [module for module in net.classifier.modules() if not module._modules]
    first = next((at for at, layer in enumerate(layers) if isinstance(layer, nn.Linear)), None)
    pooled = any(isinstance(layer, nn.AdaptiveAvgPool2d) for layer in layers)
    if first is None or pooled:
        return net  # it averages over all positions by itself
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    channels = [layer.out_channels for layer in net.features.modules() if isinstance(layer, nn.Conv2d)][-1]
    side = math.isqrt(linear[0].in_features // channels)
    if channels * side * side != linear[0].in_features:
        raise DataError(f"a linear layer of {linear[0].in_features} inputs is no convolution over {channels} maps")
    return Convolved(net, layers[first:], channels, side)


class Convolved(nn.Module):
    """A network whose linear layers are applied at every position of larger pictures."""

    def __init__(self, net: Net, layers: Sequence[nn.Module], channels: int, side: int) -> None:
        super().__init__()
        self.net = net
        self.layers = list(layers)
        self.channels = channels
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.net.features(images)
        shape = (-1, self.channels, self.side, self.side)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                maps = F.conv2d(maps, layer.weight.view(len(layer.weight), *shape[1:]), layer.bias)
                shape = (-1, layer.out_features, 1, 1)
            elif not isinstance(layer, nn.Flatten):
                maps = layer(maps)
        return maps.mean((2, 3))


def probabilities(nets: Sequence[nn.Module], images: Images, prepared: Prepared, views: Views, device: Any) -> Tensor:
    """The softmax (N, classes), averaged over views and networks."""
    total, count = torch.zeros(()), 0
    for batch in views(images, prepared):
        for net in nets:
            total = total + net(batch.to(device)).float().softmax(1).cpu().double()
            count += 1
    return total / count


def evaluate(
    nets: nn.Module | Sequence[nn.Module],
    pictures: ImageSet,
    prepared: Prepared,
    *,
    protocol: str = "single view",
    batch: int = 128,
    processes: Distributed = ALONE,
) -> Score:
    """What a network, or an ensemble of several, gets right of these pictures; each process judges its share.

    The mode of the networks is as before behind it. Raises DataError for an unknown protocol, or no pictures.
    """
    if not len(pictures):
        raise DataError(f"{pictures.name} has no pictures to evaluate")
    several = [nets] if isinstance(nets, nn.Module) else list(nets)
    views = protocol_of(protocol)
    judges = [convolved(net) if views is dense and isinstance(net, Net) else net for net in several]
    many = len(pictures.classes)
    confusion, five, loss = torch.zeros(many * many), torch.zeros(1), torch.zeros(1, dtype=torch.float64)
    mine = torch.arange(len(pictures))[processes.rank :: processes.world]
    with evaluating(judges), torch.inference_mode():
        for places in torch.split(mine, 1 if views is dense else batch):
            told = probabilities(judges, pictures.take(places), prepared, views, processes.device)
            if told.shape[1] != many:
                raise DataError(f"the network tells {told.shape[1]} classes, and {pictures.name} has {many}")
            labels = pictures.labels[places]
            confusion += torch.bincount(labels * many + told.argmax(1), minlength=many * many)
            five += (told.topk(min(5, many)).indices == labels.unsqueeze(1)).any(1).sum()
            loss += F.nll_loss(told.clamp(min=1e-300).log(), labels, reduction="sum")
    sums = torch.cat([confusion.double(), five.double(), loss]).to(processes.device)
    *counts, five_all, loss_all = processes.total(sums).tolist()
    return Score(
        torch.tensor(counts).long().view(many, many), round(five_all), loss_all, protocol, tuple(pictures.classes)
    )


@contextmanager
def evaluating(nets: Sequence[nn.Module]) -> Iterator[None]:
    """Networks in evaluation, and each part in its own mode again behind it."""
    modes = {module: module.training for net in nets for module in net.modules()}
    try:
        for net in nets:
            net.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def spread(values: Sequence[float]) -> str:
    """Mean and deviation of several runs, as papers print them."""
    if len(values) < 2:
        return f"{values[0]:.2%}"
    return f"{statistics.mean(values):.2%} +- {statistics.stdev(values):.2%} of {len(values)} runs"
