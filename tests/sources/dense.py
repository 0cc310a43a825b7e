"""DenseNet-BC of other sources, with what each calls its parts, and PyTorch's tutorial network."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.sources.residual import conv, pooled


@dataclass(frozen=True)
class Names:
    """What a source calls the parts of a DenseNet-BC for CIFAR. Blocks, layers and transitions are numbered from 1."""

    stem: str
    layer: str  # of a block and a layer, counted from 0 or 1
    bn: str
    conv: str
    transition: str  # of the block before it, and of the one after it
    last: str
    fc: str
    first: int = 0  # the number of the first layer
    transition_bn: str = ".bn1"
    transition_conv: str = ".conv1"


ANDREASVEIT = Names("conv1", "block{}.layer.{}", ".bn{}", ".conv{}", "trans{}", "bn1", "fc")
TORCHDISTILL = Names(
    *("features.conv0", "features.denseblock{}.denselayer{}", ".norm{}", ".conv{}", "features.transition{}"),
    *("features.norm5", "classifier", 1, ".norm", ".conv"),
)
DENSENETS = {
    "andreasveit": ANDREASVEIT,
    "bearpaw": replace(ANDREASVEIT, layer="dense{}.{}", last="bn"),
    "torchdistill": TORCHDISTILL,
    "gpleiss": replace(TORCHDISTILL, last="features.norm_final"),
    "hysts": Names(
        *("conv", "stage{}.block{}", ".bn{}", ".conv{}", "stage{}.transition", "bn", "fc", 1, ".bn", ".conv"),
    ),
    "pytorchcv": Names(
        *("features.init_block", "features.stage{}.unit{}", ".conv{}.bn", ".conv{}.conv", "features.stage{1}.trans{1}"),
        *("features.post_activ.bn", "output", 1, ".conv.bn", ".conv.conv"),
    ),
}


class DenseBC(nn.Module):
    """Blocks of bottlenecks, transitions to half of the maps, and a first convolution to 2k maps.

    Those for ImageNet have a 7x7 one with stride 2, a batch normalization of this name, and a padded max pooling.
    """

    def __init__(self, names: Names, layers: tuple[int, ...], k: int, classes: int = 10, stem_bn: str = "") -> None:
        super().__init__()
        self.names, self.layers, self.stem_bn = names, layers, stem_bn
        width = 2 * k
        self.place(names.stem, conv(3, width, 7, 2) if stem_bn else conv(3, width, 3))
        if stem_bn:
            self.place(stem_bn, nn.BatchNorm2d(width))
        for block, count in enumerate(layers, 1):
            for i in range(count):
                layer = names.layer.format(block, i + names.first)
                self.place(layer + names.bn.format(1), nn.BatchNorm2d(width))
                self.place(layer + names.conv.format(1), conv(width, 4 * k, 1))
                self.place(layer + names.bn.format(2), nn.BatchNorm2d(4 * k))
                self.place(layer + names.conv.format(2), conv(4 * k, k, 3))
                width += k
            if block < len(layers):
                transition = names.transition.format(block, block + 1)
                self.place(transition + names.transition_bn, nn.BatchNorm2d(width))
                self.place(transition + names.transition_conv, conv(width, width // 2, 1))
                width //= 2
        self.place(names.last, nn.BatchNorm2d(width))
        self.place(names.fc, nn.Linear(width, classes))

    def place(self, path: str, part: nn.Module) -> None:
        """Add a part under a dotted path."""
        *parents, name = path.split(".")
        inside: nn.Module = self
        for parent in parents:
            if parent not in dict(inside.named_children()):
                inside.add_module(parent, nn.Module())
            inside = inside.get_submodule(parent)
        inside.add_module(name, part)

    def activated(self, x: Tensor, bn: str, convolution: str) -> Tensor:
        return self.get_submodule(convolution)(self.get_submodule(bn)(x).relu())

    def forward(self, x: Tensor) -> Tensor:
        names = self.names
        x = self.get_submodule(names.stem)(x)
        if self.stem_bn:
            x = F.max_pool2d(self.get_submodule(self.stem_bn)(x).relu(), 3, 2, 1)
        for block, count in enumerate(self.layers, 1):
            for i in range(count):
                layer = names.layer.format(block, i + names.first)
                new = self.activated(x, layer + names.bn.format(1), layer + names.conv.format(1))
                new = self.activated(new, layer + names.bn.format(2), layer + names.conv.format(2))
                x = torch.cat([x, new], 1)
            if block < len(self.layers):
                transition = names.transition.format(block, block + 1)
                x = self.activated(x, transition + names.transition_bn, transition + names.transition_conv)
                x = F.avg_pool2d(x, 2)
        return self.get_submodule(names.fc)(pooled(self.get_submodule(names.last)(x).relu()))


def densenet121(source: str) -> DenseBC:
    """The network for ImageNet of pytorchcv or gpleiss."""
    names = DENSENETS[source]
    if source == "pytorchcv":
        names, stem_bn = replace(names, stem="features.init_block.conv"), "features.init_block.bn"
    else:
        stem_bn = "features.norm0"
    return DenseBC(names, (6, 12, 24, 16), 32, 1000, stem_bn)


class TutorialLeNet(nn.Module):
    """The network of PyTorch's tutorial on CIFAR-10: 62,006 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x).relu(), 2)
        x = F.max_pool2d(self.conv2(x).relu(), 2).flatten(1)
        return self.fc3(self.fc2(self.fc1(x).relu()).relu())
