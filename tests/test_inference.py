"""The optimized network computes the same function; benchmarks/inference.py measures its speed."""

import copy
from contextlib import nullcontext
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import BadOption, InputError
from archzoo.inference import BandedNorm, Clamp, fold_batch_norms, optimize
from archzoo.inference._fused_forward import FusedForward, has_bfloat16_instructions
from archzoo.layers import ChannelShuffle, ResponseNorm, SqueezeExcitation
from tests.networks import EVERY_NET, every_covering_net, images, ready

COMPILES: tuple[Literal["freeze"] | None, ...] = (None, "freeze")


def with_any_statistics(net: nn.Module) -> nn.Module:
    """A copy whose batch norms have statistics, scales (of both signs) and shifts of anything."""
    other = copy.deepcopy(net).eval()
    generator = torch.Generator().manual_seed(5)
    for norm in other.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            count = norm.num_features
            with torch.no_grad():
                spread = norm.running_var.sqrt()
                norm.running_mean.add_(0.2 * spread * torch.randn(count, generator=generator))
                norm.running_var.mul_(0.5 + torch.rand(count, generator=generator))
                if norm.weight is not None:
                    norm.weight.mul_(1 - 2 * (torch.rand(count, generator=generator) < 0.2).float())
                    norm.weight.mul_(0.5 + torch.rand(count, generator=generator))
                if norm.bias is not None:
                    norm.bias.add_(0.2 * torch.randn(count, generator=generator))
    return other


def calmed(net: nn.Module, batch: Tensor) -> nn.Module:
    """The network, with the scales of its batch norms halved until it does not amplify a disturbance of the images.

    With such statistics, the gates of deep squeeze-and-excitation networks amplify rounding itself to any size.
    """
    if not any(isinstance(module, SqueezeExcitation) for module in net.modules()):
        return net
    noise = 1e-6 * batch.std() * torch.randn(batch.shape, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        while (net(batch + noise) - (logits := net(batch))).norm() > 1e-4 * logits.norm():
            for norm in net.modules():
                if isinstance(norm, nn.BatchNorm2d):
                    norm.weight.mul_(0.5)
    return net


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@pytest.mark.slow
@every_covering_net
def test_the_optimized_network_is_the_same_function(name: str) -> None:
    batch = images(name, 2)
    net = calmed(with_any_statistics(ready(name)), batch)
    if norms(net):  # in double precision: folding reorders sums, which deep nets amplify, and does nothing else
        double = copy.deepcopy(net).double()
        with torch.no_grad():
            expected = double(batch.double())
            folded = fold_batch_norms(double)(batch.double())
        assert (folded - expected).norm() <= 1e-9 * expected.norm()
    fast = optimize(net)
    with torch.no_grad():
        expected, fused = type(fast).forward(fast, batch), fast(batch)
    assert (fused - expected).norm() <= 1e-4 * expected.norm()
    assert isinstance(fast.forward, FusedForward)
    assert fast.forward.program is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "preact_resnet110", "densenet_bc", "googlenet", "shufflenet_v2_x1_0", "fractalnet_5_16"),
        *(("vgg_a", "fractalnet20") if EVERY_NET else ()),
    ],
)
@pytest.mark.parametrize("compile", COMPILES)
def test_in_single_precision_it_is_within_a_ten_thousandth(name: str, compile: Literal["freeze"] | None) -> None:  # noqa: A002
    net, batch = ready(name), images(name, 2)
    with torch.no_grad():
        expected = net(batch)
        out = optimize(net, compile=compile)(batch)
    assert (out - expected).norm() <= 1e-4 * expected.norm()


def test_the_original_is_not_touched() -> None:
    net = archzoo.build("resnet20").train()
    before = copy.deepcopy(net.state_dict())
    optimize(net)(torch.randn(2, 3, 32, 32))
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(isinstance(module, nn.Identity) for name, module in net.named_modules() if "bn" in name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnet50", 0),
        ("googlenet_bn", 0),
        ("bn_inception_slim", 0),
        ("mobilenet_v1_x0_25", 0),
        ("mobilenet_v2_x0_35", 0),
        ("shufflenet_v1_g3_x0_25", 0),
        ("shufflenet_v2_x1_0", 0),
        # Norms before 1x1 convolutions become bounds; the last one stands before the pooling.
        ("preact_resnet164", 1),
        ("densenet121", 1),
        ("densenet_bc", 1),
        ("condensenet50", 1),  # into grouped convolutions, before and behind a shuffle
        ("pyramidnet164_a48", 1),
        # Before padded convolutions they stay: one for each 3x3 layer of the blocks, and the last.
        ("densenet", 36 + 1),
    ],
)
def test_every_norm_that_can_be_folded_is(name: str, left: int) -> None:
    assert norms(fold_batch_norms(archzoo.build(name))) == left


class TwoReaders(nn.Module):
    """A convolution whose maps are normalized, and read as they are too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv(maps)
        return self.norm(maps) + maps


class OtherOrder(nn.Module):
    """Runs convolution and norm after one another, though neither reads the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, maps: Tensor) -> Tensor:
        branch = self.conv(maps)
        return self.norm(maps) * branch


class Shared(nn.Module):
    """One convolution, normalized in two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, maps: Tensor) -> Tensor:
        return self.second(self.conv(self.first(self.conv(maps))))


class ReadsTheWeight(TwoReaders):
    """The convolution's weight is a number elsewhere."""

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.conv(maps)) + self.conv.weight.mean()


class Decides(TwoReaders):
    """What runs depends on the maps: no trace shows it."""

    def forward(self, maps: Tensor) -> Tensor:
        convolved = self.conv(maps)
        return self.norm(convolved) if maps.sum() > 0 else convolved


class Padded(nn.Module):
    """A norm before a convolution with a border, whose zeros would get a shift."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.relu, self.conv = nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.conv(self.relu(self.norm(maps)))


@pytest.mark.parametrize(
    ("net", "inputs"),
    [(TwoReaders(), 3), (ReadsTheWeight(), 3), (Decides(), 3), (OtherOrder(), 4), (Shared(), 4), (Padded(), 4)],
)
def test_what_structure_forbids_is_not_folded(net: nn.Module, inputs: int) -> None:
    net = with_any_statistics(net).double()
    folded = fold_batch_norms(net)
    maps = torch.randn(2, inputs, 6, 6).double()
    with torch.no_grad():
        assert torch.allclose(folded(maps), net(maps))
    assert norms(folded) == norms(net)


def test_a_norm_before_a_convolution_becomes_a_bound_where_it_is_exact() -> None:
    layers = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 1, bias=False))
    net = with_any_statistics(layers).double()
    folded = fold_batch_norms(net)
    maps = torch.randn(2, 4, 6, 6).double()
    with torch.no_grad():
        assert torch.allclose(folded(maps), net(maps))
    assert norms(folded) == 0
    assert any(isinstance(module, Clamp) for module in folded.modules())


@pytest.mark.parametrize(("padding", "groups", "left"), [(0, 1, 0), (0, 2, 0), (1, 1, 1), (1, 2, 1)])
def test_a_norm_right_before_a_convolution_is_absorbed_unless_that_is_padded(
    padding: int, groups: int, left: int
) -> None:
    """The zeros of a border would get a shift."""
    conv = nn.Conv2d(4, 6, 3, padding=padding, groups=groups, bias=False)
    layers = nn.Sequential(nn.BatchNorm2d(4), conv, nn.Tanh())
    net = with_any_statistics(layers).double()
    folded = fold_batch_norms(net)
    maps = torch.randn(2, 4, 6, 6).double()
    with torch.no_grad():
        assert torch.allclose(folded(maps), net(maps))
    assert norms(folded) == left


def test_a_norm_behind_shuffles_is_absorbed_in_the_order_of_the_maps_before_them() -> None:
    conv = nn.Conv2d(4, 12, 1, groups=2, bias=False)
    layers = nn.Sequential(conv, ChannelShuffle(2), ChannelShuffle(3), nn.BatchNorm2d(12), nn.Tanh())
    net = with_any_statistics(layers).double()
    folded = fold_batch_norms(net)
    maps = torch.randn(2, 4, 6, 6).double()
    with torch.no_grad():
        assert torch.allclose(folded(maps), net(maps))
    assert norms(folded) == 0


def test_a_scale_of_zero_is_left_alone() -> None:
    norm = nn.BatchNorm2d(4)
    nn.init.zeros_(norm.weight)
    net = nn.Sequential(norm, nn.ReLU(), nn.Conv2d(4, 6, 1)).double()
    maps = torch.randn(2, 4, 6, 6).double()
    net.eval()
    with torch.no_grad():
        assert torch.allclose(optimize(net)(maps), net(maps))


@pytest.mark.parametrize("n", [3, 4, 5])
def test_response_norm_as_a_convolution_is_the_same_sum(n: int) -> None:
    norm = ResponseNorm(n=n, alpha=0.3, beta=0.6, k=1.5)
    maps = torch.randn(2, 9, 4, 4).double()
    assert torch.allclose(BandedNorm(norm)(maps), norm(maps))


def test_bfloat16_takes_images_of_any_type_and_gives_nearly_the_same_logits() -> None:
    net, batch = ready("resnet20"), images("resnet20", 4)
    slow = not has_bfloat16_instructions()
    with torch.no_grad(), pytest.warns(UserWarning, match="no bfloat16 instructions") if slow else nullcontext():
        out = optimize(net, dtype=torch.bfloat16)(batch)
    assert out.dtype == torch.bfloat16
    assert (out.float() - net(batch)).norm() <= 0.05 * net(batch).norm()


def test_hooked_layers_keep_their_hooks() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    outputs: list[Tensor] = []
    net[0].register_forward_hook(lambda module, args, out: outputs.append(out))
    folded = fold_batch_norms(net)
    assert norms(folded) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"compile": "fast"}, "compile must be 'freeze', 'inductor' or None, not 'fast'"),
        ({"dtype": torch.int8}, "dtype must be a floating type, such as torch.bfloat16, not torch.int8"),
    ],
)
def test_bad_requests_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        optimize(nn.ReLU(), **arguments)


def test_images_that_do_not_fit_are_refused_as_ever() -> None:
    for compile in COMPILES:  # noqa: A001
        fast = optimize(archzoo.build("resnet20"), compile=compile)
        with pytest.raises(InputError, match="expected images of 3 channels, not 4"):
            fast(torch.randn(2, 4, 32, 32))
