"""Memory-efficient DenseNets compute the same function and the same gradients as the plain ones."""

import copy
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import archzoo
from archzoo.layers import Net
from archzoo.layers.memory_efficient import _convolution as convolution
from archzoo.layers.memory_efficient import _fused
from archzoo.profiler import memory
from archzoo.transfer import freeze
from tests.networks import EVERY_NET
from tests.processes import run_two

SMALL: dict[str, dict[str, Any]] = {
    "densenet": {"depth": 13, "k": 4},
    "densenet_b": {"depth": 16, "k": 4},
    "densenet_c": {"depth": 13, "k": 4},
    "densenet_bc": {"depth": 22, "k": 4},
}
every_kind = pytest.mark.parametrize("name", SMALL)


def random_double(*size: int, requires_grad: bool = False) -> Tensor:
    return torch.randn(*size, dtype=torch.float64, requires_grad=requires_grad)


def gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def pair(name: str, **options: Any) -> tuple[Net, Net]:
    """The plain network, and the memory-efficient one with the same values, in double precision."""
    plain = archzoo.build(name, **SMALL[name], **options).double()
    efficient = archzoo.build(name, **SMALL[name], **options, memory_efficient=True).double()
    for module in plain.modules():  # weights of batch norm that tell mistakes apart
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    efficient.load_state_dict(plain.state_dict())
    return plain, efficient


def training_outputs(net: nn.Module, images: Tensor, passes: int = 1) -> Iterator[tuple[str, Tensor]]:
    """Logits, gradients and buffers after forward passes in training and one backward pass."""
    images = images.clone().requires_grad_()
    torch.manual_seed(3)
    logits = sum((net(images * (1 + number)) for number in range(passes)), torch.zeros(()))
    (logits.square().sum()).backward()
    yield "logits", logits
    assert images.grad is not None
    yield "images", images.grad
    yield from ((name, parameter.grad) for name, parameter in net.named_parameters() if parameter.grad is not None)
    yield from net.named_buffers()


def assert_same(plain: nn.Module, efficient: nn.Module, images: Tensor, passes: int = 1) -> None:
    expected, outputs = (dict(training_outputs(net, images, passes)) for net in (plain, efficient))
    assert expected.keys() == outputs.keys()
    for name, value in expected.items():
        scale = max(float(value.detach().abs().max()), 1.0)
        assert float((outputs[name] - value).detach().abs().max()) <= 1e-12 * scale, name


@every_kind
def test_gradients_and_running_statistics_are_those_of_the_plain_net(name: str) -> None:
    assert_same(*pair(name), random_double(3, 3, 32, 32))


@every_kind
@pytest.mark.parametrize("gamma", [0.0, 1e-12, -1e-3])
def test_batch_norm_with_weights_near_zero_has_the_gradients_of_the_plain_net(name: str, gamma: float) -> None:
    """What such a batch norm returned does not tell what it read."""
    nets = pair(name)
    for net in nets:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data[::3] = gamma
    assert_same(*nets, random_double(3, 3, 32, 32))


@every_kind
def test_dropout_draws_alike_in_expectation_and_its_gradients_are_its_own(name: str) -> None:
    """The order of draws differs, so a difference quotient is the witness here."""
    _, efficient = pair(name, drop=0.3)
    images = random_double(2, 3, 32, 32)
    parameter = next(weight for weight in efficient.parameters() if weight.dim() == 4)
    step = torch.randn_like(parameter) * 1e-7  # across no kink of a ReLU

    def loss() -> Tensor:
        torch.manual_seed(5)
        value: Tensor = efficient.train()(images).square().sum()
        return value

    loss().backward()
    assert parameter.grad is not None
    ends = []
    for shift in (step, -2 * step):
        with torch.no_grad():
            parameter.add_(shift)
        ends.append(loss().item())  # with gradients, without which it is the plain net that draws
    assert (parameter.grad * step).sum().item() == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-5)


@every_kind
def test_used_twice_in_one_graph_it_adds_up(name: str) -> None:
    assert_same(*pair(name), random_double(2, 3, 32, 32), passes=2)


@every_kind
@pytest.mark.parametrize("parts", [("features.denseblock1",), ("features.conv1", "features.denseblock2.denselayer1")])
def test_frozen_parts_are_left_alone(name: str, parts: tuple[str, ...]) -> None:
    nets = pair(name)
    for net in nets:
        freeze(net, *parts)
        net.train()
    assert_same(*nets, random_double(3, 3, 32, 32))


def test_an_average_over_all_batches_is_kept_too() -> None:
    nets = pair("densenet_bc")
    for net in nets:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
    assert_same(*nets, random_double(3, 3, 32, 32), passes=2)


@every_kind
def test_checkpoints_are_interchangeable_and_evaluation_is_the_same_function(name: str) -> None:
    plain, efficient = pair(name)
    images = random_double(2, 3, 32, 32)
    assert list(plain.state_dict()) == list(efficient.state_dict())
    assert torch.equal(plain.eval()(images), efficient.eval()(images))
    plain.load_state_dict(efficient.state_dict())


def test_without_gradients_nothing_is_kept_and_statistics_still_move() -> None:
    plain, efficient = pair("densenet_bc")
    images = random_double(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(plain.train()(images), efficient.train()(images), atol=1e-12)
    for expected, buffer in zip(plain.buffers(), efficient.buffers(), strict=True):
        assert torch.allclose(buffer, expected, atol=1e-12)


@pytest.mark.parametrize("limit", [1, 2**20])
@pytest.mark.parametrize(("side", "around"), [(3, 1), (3, 0), (3, 2), (5, 2), (2, 1), (1, 0)])
def test_gradients_by_products_are_torchs(side: int, around: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "CHUNK_ELEMENTS", limit)
    monkeypatch.setattr(convolution, "FEW_PIXELS", limit)
    conv = nn.Conv2d(5, 3, side, padding=around, bias=False).double()
    maps = random_double(4, 5, 9, 7, requires_grad=True)
    assert convolution.suits_products(conv, maps)
    out = conv(maps)
    grad = torch.randn_like(out)
    expected = torch.autograd.grad(out, (maps, conv.weight), grad)
    with torch.no_grad():
        gradients = convolution.convolution_backward(conv, grad, maps, conv.weight, needs_weight_grad=True)
        alone, _ = convolution.convolution_backward(conv, grad, maps, conv.weight, needs_weight_grad=False)
    for ours, torchs in zip((*gradients, alone), (*expected, expected[0]), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"dilation": 2}, {"groups": 4}, {"padding": 3}, {"padding": (1, 0)}],
    ids=str,
)
def test_other_convolutions_keep_torchs_weight_gradient(options: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"kernel_size": 3, "bias": False, **options}
    assert not convolution.suits_products(nn.Conv2d(4, 4, **settings), torch.empty(1, 4, 8, 8))


def test_bfloat16_by_autocast_is_as_near_as_the_plain_net() -> None:
    plain, efficient = (net.float() for net in pair("densenet_bc"))
    images = torch.randn(4, 3, 32, 32)
    exact = copy.deepcopy(plain)
    expected = exact(images)
    expected.square().sum().backward()
    errors = []
    for net in (plain, efficient):
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(images)
        logits.float().square().sum().backward()
        assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in net.parameters())
        pairs = zip(net.parameters(), exact.parameters(), strict=True)
        gaps = [gradient(weight) - gradient(reference) for weight, reference in pairs]
        errors.append(
            (float((logits - expected).detach().norm()), float(torch.cat([gap.flatten() for gap in gaps]).norm()))
        )
    assert errors[1][0] < 1.5 * errors[0][0]
    assert errors[1][1] < 1.5 * errors[0][1]


def _share_a_batch(rank: int, folder: Path) -> None:
    """One of two processes with half of a batch: the gradients that both forms have in common, over both processes."""
    torch.manual_seed(0)
    nets = pair("densenet_bc")
    halves = random_double(2, 2, 3, 32, 32)
    plain, efficient = (DistributedDataParallel(net) for net in nets)
    assert_same(plain, efficient, halves[rank])
    if rank == 0:
        gradients = {name: parameter.grad for name, parameter in nets[1].named_parameters()}
        torch.save((nets[0].state_dict(), halves, gradients), folder / "gradients.pt")


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_distributed_data_parallel_averages_its_gradients_too(tmp_path: Path) -> None:
    run_two(_share_a_batch, tmp_path)
    state, halves, gradients = torch.load(tmp_path / "gradients.pt")
    _, alone = pair("densenet_bc")
    means: dict[str, Tensor] = {}
    for half in halves:  # batch statistics are each process's own
        alone.load_state_dict(state)
        alone.zero_grad()
        dict(training_outputs(alone, half))
        for name, parameter in alone.named_parameters():
            means[name] = means.get(name, torch.zeros(())) + gradient(parameter) / 2
    for name, value in means.items():
        torch.testing.assert_close(gradients[name], value, rtol=1e-9, atol=1e-9)


def test_a_second_derivative_is_refused() -> None:
    _, efficient = pair("densenet_bc")
    images = random_double(2, 3, 32, 32, requires_grad=True)
    (grad,) = torch.autograd.grad(efficient(images).sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable|differentiated twice|does not require grad"):
        grad.sum().backward()


def test_costs_are_those_of_the_plain_net() -> None:
    plain, efficient = pair("densenet_bc")
    expected, profile = (archzoo.profile(net, (3, 32, 32)) for net in (plain, efficient))
    assert (profile.params, profile.macs) == (expected.params, expected.macs)


@pytest.mark.slow
def test_memory_grows_linearly_with_depth_and_is_a_fraction_of_the_plain_nets() -> None:
    """Pleiss et al. 2017: a plain DenseNet's maps grow with the square of its depth."""

    def saved(depth: int, *, memory_efficient: bool) -> int:
        net = archzoo.build("densenet_bc", depth=depth, k=12, memory_efficient=memory_efficient, device="meta")
        return memory(net, (3, 32, 32), batch=4).saved

    depths = (22, 40, 58)
    efficient, plain = ([saved(depth, memory_efficient=form) for depth in depths] for form in (True, False))
    steps = [after - before for before, after in pairwise(efficient)]
    assert max(steps) < 1.02 * min(steps)
    growth = [after - before for before, after in pairwise(plain)]
    assert growth[-1] > 1.3 * growth[0]
    assert efficient[2] < 0.4 * plain[2]


@pytest.mark.skipif(not EVERY_NET, reason="takes half a minute: set EVERY_NET=1")
def test_a_training_step_on_a_gpu_takes_a_third_of_the_memory() -> None:
    plain, efficient = (
        memory(
            archzoo.build("densenet121", device="meta", memory_efficient=memory_efficient),
            (3, 224, 224),
            batch=128,
            device="cuda",
            autocast=torch.bfloat16,
            channels_last=True,
        )
        for memory_efficient in (False, True)
    )
    assert efficient.training <= 0.35 * plain.training


def test_rows_of_pixels_are_recognized() -> None:
    maps = torch.empty(2, 6, 4, 3)
    last = maps.contiguous(memory_format=torch.channels_last)
    assert _fused.pixel_stride(last) == _fused.pixel_stride(last[:, :4]) == _fused.pixel_stride(last[:, 1:3]) == 6
    assert _fused.pixel_stride(last[:, :, :, :2]) is None  # a pixel is left out at the end of each row
    assert _fused.pixel_stride(last[:, :, :1]) is None
    assert _fused.pixel_stride(last[:1, :, :1]) == 6
    assert _fused.pixel_stride(maps) is None
    assert _fused.pixel_stride(maps.new_zeros(()).expand_as(maps)) is None
    assert _fused.pixel_stride(torch.empty(5, 6, 1, 1)) == 6
    assert _fused.pixel_stride(torch.empty(5, 6, 1, 1)[:, :2]) == 6
