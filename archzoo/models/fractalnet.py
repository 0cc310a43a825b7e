"""FractalNet: columns of different depth, grown by one expansion rule and averaged where they join. No residuals.

G. Larsson, M. Maire, G. Shakhnarovich, "FractalNet: Ultra-Deep Neural Networks without Residuals", ICLR 2017
(arXiv 2016). What the paper leaves open follows the authors' released Caffe configuration.

Columns are numbered from the shallowest, 1, to the deepest, C; column c of a block has 2^(c-1) convolutions.

Drop-path leaves different parameters without gradients in each process: DistributedDataParallel needs
``find_unused_parameters=True``.
"""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archzoo.errors import BadOption, TransferError
from archzoo.layers import (
    Conv2d,
    Linear,
    Net,
    at_least,
    doublings,
    imagenet_stem,
    is_scripting,
    pooled_classifier,
    probability,
    refuse_one_draw,
    sequence,
    xavier_fan_in,
)

# Sec. 4: maps in each block, on CIFAR and of FractalNet-34 on ImageNet; dropout in each block on CIFAR.
TABLE_1 = (64, 128, 256, 512, 512)
IMAGENET = (128, 256, 512, 1024)
DROPOUT = (0.0, 0.1, 0.2, 0.3, 0.4)

ONE_DRAW = (
    "a FractalNet in training mode draws its paths anew for each mini-batch, and a compiled, exported or "
    "traced graph would repeat one draw for ever: call eval() first, or build it with drop_path=0"
)

Drop = float | tuple[float, ...] | None
Kept = tuple[bool, ...]  # whether a join reads each column, the shallowest first
Keep = Callable[[int], Kept]  # from the number of columns that meet, which are always the deepest ones


def every_column(meeting: int) -> Kept:
    """Each join reads all its inputs, as in eval mode (Sec. 3)."""
    return (True,) * meeting


def local_drop_path(p: float) -> Keep:
    """Each join drops each input with probability p, but keeps at least one (Sec. 3.1)."""

    def keep(meeting: int) -> Kept:
        kept = torch.rand(meeting, device="cpu") >= p
        if not kept.any():
            kept[torch.randint(meeting, (), device="cpu")] = True
        return tuple(kept.tolist())

    return keep


def global_drop_path(columns: int) -> Keep:
    """Every join of the network reads the same single column (Sec. 3.1)."""
    chosen = int(torch.randint(columns, (), device="cpu"))
    return lambda meeting: tuple(column == chosen for column in range(columns - meeting, columns))


@dataclass(frozen=True)
class DropPath:
    """Local drop-path at ``rate``, and global drop-path in a share of the mini-batches; rate 0 is off (Sec. 3.1)."""

    rate: float
    global_share: float

    def __post_init__(self) -> None:
        probability("drop_path", self.rate)
        if not 0 <= self.global_share <= 1:
            raise BadOption(f"global_share must be at least 0 and at most 1, not {self.global_share}")

    def draw(self, columns: int) -> Keep:
        """Draw what all joins keep in one mini-batch (Sec. 3.1)."""
        if float(torch.rand((), device="cpu")) < self.global_share:
            return global_drop_path(columns)
        return local_drop_path(self.rate)


@dataclass(frozen=True)
class Plan:
    """The columns of a fractal to run, and the plans of its two halves, or None if no column needs them."""

    columns: Kept
    halves: "tuple[Plan, Plan] | None" = None


def walk_back(columns: Kept, keep: Keep) -> Plan:
    """Plan backward from the join that reads these columns, so that only what it needs runs."""
    deeper = columns[1:]
    if not any(deeper):
        return Plan(columns)
    second = walk_back(deeper, keep)
    return Plan(columns, (walk_back(keep(len(deeper)), keep), second))


def join(columns: list[Tensor]) -> Tensor:
    """The elementwise mean of the columns that meet (Sec. 3)."""
    total = columns[0]
    for column in columns[1:]:
        total = total + column
    return total / len(columns)


def conv_drop_bn_relu(inputs: int, outputs: int, drop: float) -> nn.Sequential:
    """3x3 convolution with bias, dropout, batch norm without scale and shift, ReLU: conv(z) of Eq. 1, as released.

    Scale and shift in place of the biases would give the same printed counts.
    """
    layer = sequence(conv=Conv2d(inputs, outputs, 3, padding=1))
    if drop:
        layer.add_module("drop", nn.Dropout(drop))
    layer.add_module("bn", nn.BatchNorm2d(outputs, affine=False))
    layer.add_module("relu", nn.ReLU(inplace=True))
    return layer


class Fractal(nn.Module):
    """f_1(z) = conv(z) and f_C+1(z) = [(f_C o f_C)(z)] join [conv(z)] (Eq. 1 and 2).

    Returns its columns unjoined: the join that reads them averages all columns that meet there.
    """

    def __init__(self, columns: int, inputs: int, width: int, drop: float) -> None:
        super().__init__()
        self.conv = conv_drop_bn_relu(inputs, width, drop)
        self.first = Fractal(columns - 1, inputs, width, drop) if columns > 1 else None
        self.second = Fractal(columns - 1, width, width, drop) if columns > 1 else None

    @torch.jit.unused
    def forward(self, z: Tensor, plan: Plan) -> list[Tensor]:
        columns: list[Tensor] = [self.conv(z)] if plan.columns[0] else []
        if plan.halves and self.first and self.second:
            first, second = plan.halves
            columns += self.second(join(self.first(z, first)), second)
        return columns

    def every_column(self, z: Tensor) -> list[Tensor]:
        """The same with every column, for TorchScript, which knows no plans."""
        columns: list[Tensor] = [self.conv(z)]
        if self.first is not None and self.second is not None:
            columns += self.second.every_column(join(self.first.every_column(z)))
        return columns

    def column(self, number: int) -> list[nn.Module]:
        """Layers of a column, where 1 is the shallowest."""
        if number == 1 or self.first is None or self.second is None:
            return [self.conv]
        return self.first.column(number - 1) + self.second.column(number - 1)


class Block(nn.Module):
    """A fractal and 2x2 max pooling: of each column before the last join, as released, or after it (Fig. 1).

    The two are different functions: the mean of maxima is not the maximum of means.
    """

    def __init__(self, fractal: Fractal, pool: nn.Module, join_first: bool) -> None:
        super().__init__()
        self.fractal = fractal
        self.pool = pool
        self.join_first = join_first

    @torch.jit.unused
    def forward(self, maps: Tensor, plan: Plan) -> Tensor:
        return self.joined(self.fractal(maps, plan))

    def every_column(self, maps: Tensor) -> Tensor:
        """The same with every column, for TorchScript, which knows no plans."""
        return self.joined(self.fractal.every_column(maps))

    def joined(self, columns: list[Tensor]) -> Tensor:
        """The last join, after the pooling or before it."""
        if self.join_first:
            joined: Tensor = self.pool(join(columns))
            return joined
        pooled: list[Tensor] = []
        for column in columns:
            pooled.append(self.pool(column))
        return join(pooled)


class Blocks(nn.Sequential):
    """Blocks that are called one by one, each with its plan."""

    @torch.jit.unused
    def forward(self, maps: Tensor) -> Tensor:
        raise NotImplementedError("a block takes a plan: call the network")


class Fractals(nn.Module):
    """A stem, then blocks. In training mode, paths are drawn once per mini-batch, and only their layers run (Sec. 3.1).

    Batch norms of layers that do not run keep their statistics. Paths are drawn from torch's CPU generator.
    ``forward`` raises RuntimeError if it is traced in training mode with drop-path.
    """

    def __init__(self, stem: nn.Sequential, blocks: dict[str, Block], columns: int, drop_path: DropPath) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = Blocks(OrderedDict(blocks))
        self.columns = columns
        self.drop_path = drop_path
        self.draws = columns > 1 and drop_path.rate > 0

    def forward(self, images: Tensor) -> Tensor:
        if is_scripting():
            return self.every_column(images)
        return self.drawn(images)

    @torch.jit.unused
    def drawn(self, images: Tensor) -> Tensor:
        """The columns of all blocks that one draw keeps."""
        keep = self.draw(images)
        plans = [walk_back(keep(self.columns), keep) for _ in self.blocks]
        maps: Tensor = self.stem(images)
        for block, plan in zip(self.blocks, plans, strict=True):
            maps = block(maps, plan)
        return maps

    def every_column(self, images: Tensor) -> Tensor:
        """All columns of all blocks, for TorchScript, which knows no plans."""
        if self.training and self.draws:
            raise RuntimeError("TorchScript would repeat one draw for ever: call eval() first, or take drop_path=0")
        maps: Tensor = self.stem(images)
        for block in self.blocks:
            maps = block.every_column(maps)  # type: ignore[operator]
        return maps

    def draw(self, images: Tensor) -> Keep:
        """Draw what all joins keep: every column in eval mode, with one column, or without drop-path (Sec. 3.1)."""
        if not self.training or not self.draws:
            return every_column
        refuse_one_draw(images, ONE_DRAW)
        return self.drop_path.draw(self.columns)


def dropout(drop: Drop, blocks: int) -> tuple[float, ...]:
    """Dropout rates block by block. None is as published, with 40% in blocks after the fifth (Sec. 4)."""
    if drop is None:
        return (*DROPOUT, *DROPOUT[-1:] * blocks)[:blocks]
    rates = tuple(drop) if isinstance(drop, tuple | list) else (drop,) * blocks
    if len(rates) != blocks:
        raise BadOption(f"drop must be one rate, or {blocks}, one for each of the widths, not {len(rates)}: {drop}")
    for rate in rates:
        probability("drop", rate)
    return rates


def blocks(columns: int, inputs: int, widths: tuple[int, ...], drop: Drop, join_first: bool) -> dict[str, Block]:
    """A block for each of the widths, with its dropout rate (Sec. 3)."""
    at_least("the number of widths", len(widths), 1)
    doublings("columns", columns, len(widths))
    at_least("widths", min(widths), 1)
    parts: dict[str, Block] = {}
    for number, (width, rate) in enumerate(zip(widths, dropout(drop, len(widths)), strict=True), 1):
        parts[f"block{number}"] = Block(Fractal(columns, inputs, width, rate), nn.MaxPool2d(2), join_first)
        inputs = width
    return parts


def plain_column(model: Net, column: int) -> Net:
    """Copy a column, from 1 for the shallowest to C for the deepest, into a plain network (Sec. 4).

    In eval mode it computes what the FractalNet does if every join keeps this column alone. It shares no parameters
    with ``model``. Raises TransferError for any other network, and for a column that does not exist.
    """
    features = model.features
    if not isinstance(features, Fractals):
        raise TransferError(f"plain_column takes a FractalNet, not a network of {type(features).__name__}")
    if not 1 <= column <= features.columns:
        raise TransferError(f"column must be at least 1 and at most {features.columns}, the deepest, not {column}")
    parts: dict[str, nn.Module] = {"stem": features.stem}
    for name, block in features.blocks.named_children():
        if isinstance(block, Block):
            layers = {f"conv{i}": layer for i, layer in enumerate(block.fractal.column(column), 1)}
            parts[name] = sequence(**layers, pool=block.pool)
    return deepcopy(Net(sequence(**parts), model.classifier).train(model.training))


def fractalnet(
    columns: int = 3,
    widths: tuple[int, ...] = TABLE_1,
    *,
    drop: Drop = None,
    drop_path: float = 0.15,
    global_share: float = 0.5,
    join_first: bool = False,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Net:
    """Blocks of these widths, each of which halves the maps, and a linear layer on the last 1x1 map (Sec. 3).

    There is no global pooling: B blocks take images of 2^B pixels a side, 32 for the five of the paper.

    Differs from the release:
        - Running statistics of batch norms use PyTorch's momentum. Caffe averages over a thousand mini-batches with a
          correction for the start, which PyTorch does not have.
        - A mini-batch with global drop-path runs one column of the network. The release leaves global drop-path out;
          its generator would run a copy of each column beside the network, with the same weights and losses of its own.

    Args:
        columns: Columns in each block.
        widths: Maps in each block.
        drop: Dropout, as one rate or one for each block; None is the published 0, 10, 20, 30 and 40%.
        drop_path: The rate of local drop-path; 0 turns all drop-path off.
        global_share: The fraction of mini-batches with global drop-path: one column in the whole network.
        join_first: Pool after the last join of each block, not before it.
        in_channels: Channels of the images.
        num_classes: Number of classes.
    """
    parts = blocks(columns, in_channels, widths, drop, join_first)
    classifier = sequence(flatten=nn.Flatten(), fc=Linear(widths[-1], num_classes))
    features = Fractals(sequence(), parts, columns, DropPath(drop_path, global_share))
    return Net(features, classifier, xavier_fan_in)


def fractalnet34(
    *,
    drop: Drop = 0.0,
    drop_path: float = 0.15,
    global_share: float = 0.5,
    join_first: bool = False,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> Net:
    """For ImageNet: four blocks of four columns between the first and last layers of ResNet-34 (Sec. 4).

    The paper states these, the widths and the depth. The rest is a choice made here: three poolings between the blocks,
    so that the maps are ResNet's 56 to 7; no dropout; drop-path, initialization and layers as on CIFAR.
    """
    parts = blocks(4, 64, IMAGENET, drop, join_first)
    parts["block4"].pool = nn.Identity()
    stem = sequence(**imagenet_stem(in_channels, 64))
    features = Fractals(stem, parts, 4, DropPath(drop_path, global_share))
    return Net(features, pooled_classifier(IMAGENET[-1], num_classes), xavier_fan_in)
