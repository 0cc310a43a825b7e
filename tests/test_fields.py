"""Receptive fields: published sizes, gradients as witnesses over every network, and layouts that branch or turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import ReceptiveField
from tests.networks import build, every_class_of_layer

PUBLISHED = {
    "alexnet": 195,
    "vgg_d": 212,
    "resnet50": 483,
    "resnet50_v1_5": 427,
    "resnet101": 1027,
}


def field_of(net: nn.Module, size: tuple[int, ...], part: str) -> ReceptiveField:
    field = archzoo.profile(net, size).at(part).receptive_field
    assert field is not None
    return field


@pytest.mark.parametrize(("name", "size"), PUBLISHED.items())
def test_receptive_fields_are_as_published(name: str, size: int) -> None:
    net = archzoo.build(name, device="meta")
    assert field_of(net, archzoo.find(name).input_size, "features").size == (size, size)


class Seen(torch.autograd.Function):
    """Ones forward; backward, one wherever the gradient is not zero: so that no depth can make it vanish."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        return torch.ones_like(maps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return (gradients[0] != 0).to(gradients[0].dtype)


def summed(layer: nn.Conv2d, maps: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a convolution with all weights one does to maps that it sums up anyway: one convolution a group."""
    n, _, height, width = maps.shape
    groups = layer.groups
    sums = maps.reshape(n, groups, -1, height, width).mean(2)
    ones = torch.ones(groups, 1, *layer.kernel_size)
    padding = layer.padding
    assert not isinstance(padding, str)
    out = F.conv2d(sums, ones, None, layer.stride, padding, layer.dilation, groups)
    return out.repeat_interleave(layer.out_channels // groups, 1)


def averaged(
    maps: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False, **_: Any
) -> Tensor:
    """Average pooling in the place of the largest number."""
    return F.avg_pool2d(maps, kernel, stride, padding, ceil_mode)


@contextmanager
def transparent(net: nn.Module) -> Iterator[None]:
    """Every weight one, every maximum an average, every map all ones: what can be dependent has a gradient."""
    leaves = [module for module in net.modules() if not module._modules]
    handles = [leaf.register_forward_hook(lambda module, args, out: Seen.apply(out)) for leaf in leaves]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Conv2d, "_conv_forward", summed)
        patch.setattr(F, "max_pool2d", averaged)
        yield
    for handle in handles:
        handle.remove()


def seen_rows(net: nn.Module, image: Tensor, rows: list[int]) -> list[set[int]]:
    """The rows of the image in which each row of the features (at any column, of any map) has a gradient."""
    image = image.clone().requires_grad_()
    with transparent(net):
        maps = net(image)
        gradients = [torch.autograd.grad(maps[:, :, row].sum(), image, retain_graph=True)[0] for row in rows]
    return [set(gradient.abs().sum((0, 1, 3)).nonzero().flatten().tolist()) for gradient in gradients]


def narrowest(net: nn.Module, size: tuple[int, int, int]) -> tuple[int, int, int]:
    """This size with the smallest width that fits: only rows are looked at."""
    channels, height, width = size
    for narrow in (8, 16, 32, 64):
        if narrow < width:
            with suppress(ProfileError):
                archzoo.profile(net, (channels, height, narrow))
                return channels, height, narrow
    return size


@pytest.mark.slow
@every_class_of_layer
def test_gradients_confirm_size_and_offset_of_what_the_features_see(name: str) -> None:
    channels, height, width = archzoo.find(name).input_size
    net = build(name).eval()
    size = field_of(net.features, (channels, height, width), "").size[0]
    side = -(-min(size + 64, 1408) // 64) * 64
    tall = narrowest(net.features, (channels, max(height, side), width))
    row = archzoo.profile(net.features, tall).modules[0]
    assert row.output is not None
    assert row.receptive_field is not None
    rows = [0, row.output[1] // 2, row.output[1] - 1]
    expected = [set(row.receptive_field.pixels((position, 0), tall[1:])[0]) for position in rows]
    first, middle, last = seen_rows(net.features, torch.ones(1, *tall), rows)
    # A stride may leave a rest of the image unread at its end, where the intervals run on.
    unread = {pixel for pixel in expected[2] if pixel > max(last)}
    assert [first, middle, last] == [interval - unread for interval in expected]
    assert len(unread) < (row.receptive_field.stride[0] or 1)  # the gates of SE read every pixel at any stride


def pixels(net: nn.Module, side: int, position: int) -> set[int]:
    """The rows that one output sees, by gradients, with positive weights."""
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    image = torch.ones(1, 1, side, side, requires_grad=True)
    out = net(image)
    out.reshape(*out.shape[:-1], -1)[..., position, :].sum().backward()
    assert image.grad is not None
    return set(image.grad.sum((0, 1, 3)).nonzero().flatten().tolist())


def convolution(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel, stride, padding, dilation)


class Sum(nn.Module):
    """Branches that are added."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        total = self.branches[0](maps)
        for branch in self.branches[1:]:
            total = total + branch(maps)
        return total


class Turn(nn.Module):
    """A convolution between two turns of the map, and a border."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = convolution(3, 2)

    def forward(self, maps: Tensor) -> Tensor:
        return F.pad(self.conv(maps.transpose(2, 3)).permute(0, 1, 3, 2), (0, 0, 1, 2))[:, :, 1::2]


class Grid(nn.Module):
    """A layer between a reshape and another."""

    def __init__(self, *layers: nn.Module, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.there, self.back = there, back

    def forward(self, maps: Tensor) -> Tensor:
        return self.back(self.layers(self.there(maps)))


def up(kernel: int, stride: int, padding: int = 0) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(1, 1, kernel, stride, padding)


class UNet(nn.Module):
    """Two levels, with 3x3 convolutions, and a shortcut between maps of the same size."""

    def __init__(self, upsample: nn.Module) -> None:
        super().__init__()
        self.down, self.inside = convolution(3, 1, 1), convolution(3, 1, 1)
        self.upsample, self.join = upsample, nn.Conv2d(2, 1, 3, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.down(maps)
        inner = self.upsample(self.inside(F.avg_pool2d(maps, 2)))
        return self.join(torch.cat([maps, inner], 1))


def windows(maps: Tensor) -> Tensor:
    """Windows of 4x4 as images of a batch."""
    n, c, h, w = maps.shape
    maps = maps.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 1, 3, 5)
    return maps.reshape(-1, c, 4, 4)


MOVED: dict[str, Callable[[], nn.Module]] = {
    "a transposed convolution": lambda: nn.Sequential(convolution(3, 2, 1), up(2, 2)),
    "transposed, with overlap": lambda: nn.Sequential(convolution(3, 2, 1), up(4, 2, 1), convolution(3, 1, 1)),
    "transposed, with gaps": lambda: nn.Sequential(convolution(2, 2), up(2, 3), convolution(3, 1, 1)),
    "transposed, dilated": lambda: nn.ConvTranspose2d(1, 1, 2, 2, dilation=3),
    "U-Net, transposed": lambda: UNet(up(2, 2)),
    "U-Net, nearest": lambda: UNet(nn.Upsample(scale_factor=2)),
    "U-Net, bilinear": lambda: UNet(nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear, corners aligned": lambda: nn.Upsample(size=31, mode="bilinear", align_corners=True),
    "bicubic": lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bicubic"), convolution(3, 2, 1)),
    "nearest by three halves": lambda: nn.Sequential(nn.Upsample(size=24), convolution(3, 1, 1)),
    "nearest-exact": lambda: nn.Upsample(size=24, mode="nearest-exact"),
    "adaptive pooling that does not divide": lambda: nn.Sequential(convolution(3, 1, 1), nn.AdaptiveAvgPool2d(5)),
    "pixel shuffle": lambda: nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.PixelShuffle(2), convolution(3, 1, 1)),
    "pixel unshuffle": lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 1, 3, 1, 1)),
    "space to channels by a view": lambda: Grid(
        there=lambda maps: maps.view(1, 1, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 4, 8, 8),
        back=lambda maps: maps.sum(1, keepdim=True),
    ),
    "tokens and maps again": lambda: Grid(
        nn.Linear(1, 1),
        there=lambda maps: convolution(3, 2, 1)(maps).flatten(2).mT,
        back=lambda tokens: tokens.mT.reshape(1, 1, 8, 8),
    ),
    "reflection": lambda: nn.Sequential(nn.ReflectionPad2d(2), convolution(3)),
    "replication": lambda: nn.Sequential(nn.ReplicationPad2d(2), convolution(3)),
    "a flip": lambda: Grid(convolution(3, 1, 1), there=lambda maps: maps.flip(2), back=lambda maps: maps),
    "two flips": lambda: Grid(convolution(3, 2), there=lambda maps: maps.flip(2), back=lambda maps: maps.flip(2)),
    "a roll": lambda: Grid(there=lambda maps: maps.roll((3, 1), (2, 3)), back=lambda maps: maps),
    "unfold": lambda: Grid(there=lambda maps: maps.unfold(2, 3, 2).sum(-1), back=lambda maps: maps),
    "halves that change places": lambda: Grid(
        there=lambda maps: torch.cat([maps[:, :, 8:], maps[:, :, :8]], 2), back=lambda maps: maps
    ),
}


@pytest.mark.parametrize("what", MOVED)
def test_fields_behind_layers_that_move_positions_are_those_of_the_gradients(what: str) -> None:
    side = 16
    net = MOVED[what]()
    row = archzoo.profile(net, (1, side, side)).modules[0]
    assert row.receptive_field is not None
    assert row.output is not None
    reached = [pixels(net, side, position) for position in range(row.output[1])]
    fields = [set(row.receptive_field.pixels((position, 0), (side, side))[0]) for position in range(row.output[1])]
    assert fields == [set(range(min(rows), max(rows) + 1)) if rows else set() for rows in reached]


def test_the_size_behind_upsampling_is_that_of_the_largest_field() -> None:
    """A transposed 2x2 with stride 2 reads one position; a 3x3 on it then reads at most two, of a field of 3 and 2."""
    net = nn.Sequential(convolution(3, 2, 1), up(2, 2), convolution(3, 1, 1))
    assert field_of(net, (1, 32, 32), "1").size == (3, 3)
    assert field_of(net, (1, 32, 32), "").size == (5, 5)
    assert field_of(net, (1, 32, 32), "").stride == (1, 1)


def test_windows_of_attention_see_their_window() -> None:
    net = Grid(nn.AdaptiveAvgPool2d(1), there=windows, back=lambda maps: maps)
    assert field_of(net, (1, 16, 16), "").size == (4, 4)


UNALIGNED: dict[str, Callable[[], nn.Module]] = {
    "kernels of three sizes": lambda: Sum(convolution(1), convolution(3, padding=1), convolution(5, padding=2)),
    "an even kernel beside an odd one": lambda: Sum(convolution(2, 2), convolution(3, 2, 1)),
    "a dilated path": lambda: nn.Sequential(Sum(nn.Identity(), convolution(3, 1, 2, 2)), convolution(3, 1, 1)),
    "stride before the join": lambda: Sum(convolution(1, 2), nn.Sequential(convolution(3, 1, 1), convolution(3, 2, 1))),
    "slices, borders and turns": Turn,
    "up again": lambda: nn.Sequential(convolution(2, 2), nn.Upsample(scale_factor=2), convolution(3, 1, 1)),
    "a path at another scale": lambda: Sum(
        nn.Identity(), nn.Sequential(nn.AvgPool2d(2), convolution(3, 1, 1), nn.Upsample(scale_factor=2))
    ),
    "a global path": lambda: Sum(convolution(3, 1, 1), nn.AdaptiveAvgPool2d(1)),
    "adaptive pooling that divides": lambda: nn.Sequential(convolution(3, 1, 1), nn.AdaptiveAvgPool2d(4)),
}


@pytest.mark.parametrize("what", UNALIGNED)
def test_no_gradient_comes_from_outside_of_the_field_and_all_of_it_is_reached(what: str) -> None:
    side = 16
    net = UNALIGNED[what]()
    row = archzoo.profile(net, (1, side, side)).modules[0]
    assert row.receptive_field is not None
    assert row.output is not None
    exact = "scale" not in what and "up" not in what  # the nearest position is a step, and its interval a bound
    for position in range(row.output[1]):
        field = set(row.receptive_field.pixels((position, 0), (side, side))[0])
        dependent = pixels(net, side, position)
        assert dependent <= field
        if not dependent:  # nothing but border
            continue
        assert not exact or set(range(min(dependent), max(dependent) + 1)) == field
        assert len(field) - len(range(min(dependent), max(dependent) + 1)) <= 2


def test_a_transposed_convolution_sees_no_more_than_its_gradients_do() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1), nn.ConvTranspose2d(1, 1, 3, 3))
    row = archzoo.profile(net, (1, 7, 7)).modules[0]
    assert row.receptive_field is not None
    assert row.receptive_field.stride == pytest.approx((1 / 6, 1 / 6))
    for position in range(row.output[1] if row.output else 0):
        field = set(row.receptive_field.pixels((position, 0), (7, 7))[0])
        assert pixels(net, 7, position) <= field


def test_size_stride_and_offset_follow_the_textbook_recursion() -> None:
    """Araujo et al. 2019: r = r + (k - 1) j, j = j s, start = start + ((k - 1) / 2 - p) j, layer by layer."""
    layers = [(7, 2, 3), (3, 2, 1), (3, 1, 1), (1, 2, 0), (4, 2, 1)]
    net = nn.Sequential(*(convolution(*layer) for layer in layers))
    size, jump, offset = 1, 1, 0.0
    for kernel, stride, padding in layers:
        size, offset, jump = size + (kernel - 1) * jump, offset + ((kernel - 1) / 2 - padding) * jump, jump * stride
    field = field_of(net, (1, 128, 128), "")
    assert (field.size, field.stride, field.offset) == ((size,) * 2, (jump,) * 2, (offset,) * 2)


def test_where_all_positions_are_mixed_the_field_does_not_move() -> None:
    class Head(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.flatten(1) @ torch.ones(48, 2)

    field = field_of(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Head()), (3, 4, 4), "")
    assert (field.size, field.stride) == ((6, 6), (0, 0))


def test_a_patch_embedding_keeps_track_of_its_patches_until_attention_mixes_them() -> None:
    class Tokens(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.flatten(2).transpose(1, 2)

    net = nn.Sequential(nn.Conv2d(3, 8, 4, 4), Tokens(), nn.Linear(8, 8))
    assert field_of(net, (3, 16, 16), "0").size == (4, 4)
    assert field_of(net, (3, 16, 16), "2").size == (4, 4)  # a token is its patch, until tokens are mixed
    mixing = nn.Sequential(*net, Tokens(), nn.Linear(16, 16))
    assert field_of(mixing, (3, 16, 16), "").size == (16, 16)


def test_writing_into_a_part_counts_for_the_whole() -> None:
    class Fill(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, maps: Tensor) -> Tensor:
            out = torch.zeros_like(maps)
            out[:, :1] = self.conv(maps)[:, :1]
            out[:, 1:] = self.conv(self.conv(maps))[:, 1:]
            return out

    counted = archzoo.profile(Fill(), (2, 8, 8))
    assert counted.modules[0].receptive_field is not None
    assert counted.modules[0].receptive_field.size == (5, 5)
    assert counted.depth == 2
