"""The Triton kernels of the memory-efficient DenseNet, interpreted on the CPU, against autograd in double precision."""

import copy
import os

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archzoo.layers.memory_efficient import _fused
from tests.test_memory_efficient import assert_same, pair, random_double, training_outputs

pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="triton compiles for a GPU here")

Norm = tuple[Tensor, Tensor, Tensor, Tensor]
WIDTH, CHANNELS, COUNT = 75, 70, 2 * 5 * 3  # more channels than a tile has, in rows that are longer still


@pytest.fixture(autouse=True)
def kernels_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels take every tensor, in several programs of several tiles each."""
    monkeypatch.setattr(_fused, "supports", lambda maps: not maps.is_meta)
    monkeypatch.setattr(_fused, "ROWS", 8)
    monkeypatch.setattr(_fused, "PROGRAMS", 4)


@pytest.fixture
def maps() -> Tensor:
    """The first channels of maps in channels_last."""
    return random_double(2, WIDTH, 5, 3).contiguous(memory_format=torch.channels_last)[:, :CHANNELS]


@pytest.fixture
def norm(maps: Tensor) -> Norm:
    """Gamma, of both signs and zero, beta, and the statistics of the maps."""
    gamma, beta = random_double(2, CHANNELS)
    gamma[::7] = 0
    return gamma, beta, maps.mean((0, 2, 3)), (maps.var((0, 2, 3), correction=0) + 1e-5).rsqrt()


def expected(maps: Tensor, norm: Norm, grad: Tensor, *, trains: bool) -> tuple[Tensor, ...]:
    """ReLU of torch's batch normalization, and the gradients of maps, gamma and beta."""
    gamma, beta, mean, inverse_std = norm
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (maps, gamma, beta)]
    images, scale, shift = leaves
    variance = inverse_std.pow(-2) - 1e-5
    out = F.relu(F.batch_norm(images, mean.clone(), variance, scale, shift, trains, momentum=0.0, eps=1e-5))
    return out.detach(), *torch.autograd.grad(out, leaves, grad)


def assert_close(ours: Tensor, torchs: Tensor) -> None:
    torch.testing.assert_close(ours, torchs, rtol=1e-11, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("trains", [True, False])
def test_batch_norm_relu_and_its_gradients_are_torchs(maps: Tensor, norm: Norm, trains: bool) -> None:
    grad = torch.randn(maps.shape, dtype=maps.dtype).contiguous(memory_format=torch.channels_last)
    out, *gradients = expected(maps, norm, grad, trains=trains)
    assert_close(_fused.batch_norm_relu(maps, *norm, maps.dtype), out)
    for ours, torchs in zip(_fused.norm_relu_backward(grad, maps, norm, trains=trains), gradients, strict=True):
        assert_close(ours, torchs)


def test_gradients_of_several_readers_are_added_up(maps: Tensor, norm: Norm) -> None:
    """The gradients of mean and variance are subtracted once, for all readers."""
    other = (norm[0] + 1, norm[1] - 0.3, norm[2], norm[3])
    grads = [torch.randn(maps.shape, dtype=maps.dtype).contiguous(memory_format=torch.channels_last) for _ in "ab"]
    before = random_double(*maps.shape)
    total = torch.empty(2, WIDTH, 5, 3, dtype=maps.dtype).contiguous(memory_format=torch.channels_last)[:, :CHANNELS]
    offset, slope = torch.zeros(2, CHANNELS, dtype=maps.dtype)
    _fused.add_gradient(grads[0], maps, norm, before, total, (offset, slope))
    _fused.add_gradient(grads[1], maps, other, total, total, (offset, slope))
    torchs = before + sum(
        expected(maps, each, grad, trains=True)[1] for each, grad in zip((norm, other), grads, strict=True)
    )
    assert_close(_fused.corrected(total, maps, norm[2], offset, slope, COUNT), torchs)


def test_not_a_number_stays_one(maps: Tensor, norm: Norm) -> None:
    maps[0, 3, 1, 1] = float("nan")
    out = _fused.batch_norm_relu(maps, *norm, maps.dtype)
    assert out.isnan().nonzero().tolist() == [[0, 3, 1, 1]]


def test_bfloat16_is_rounded_once(maps: Tensor, norm: Norm) -> None:
    small, (gamma, beta, mean, inverse_std) = maps.bfloat16(), norm
    exact = small.double() * (gamma * inverse_std).view(-1, 1, 1) + (beta - mean * gamma * inverse_std).view(-1, 1, 1)
    out = _fused.batch_norm_relu(small, gamma.float(), beta.float(), mean.float(), inverse_std.float(), small.dtype)
    assert out.dtype is torch.bfloat16
    assert float((out.double() - exact.relu()).abs().max()) <= 2**-8 * float(exact.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "drop"), [("densenet", 0.2), ("densenet_bc", 0.0)])
def test_networks_have_the_gradients_and_statistics_of_the_plain_ones(
    name: str, drop: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, against the network without these kernels: the plain one draws in another order."""
    monkeypatch.setattr(_fused, "ROWS", 512)
    plain, efficient = pair(name, drop=drop)
    images = random_double(2, 3, 8, 8)
    if not drop:
        assert_same(plain, efficient, images)
        return
    without = copy.deepcopy(efficient)
    results = dict(training_outputs(efficient, images))
    monkeypatch.setattr(_fused, "supports", lambda maps: False)
    for key, value in training_outputs(without, images):
        torch.testing.assert_close(results[key], value, rtol=1e-11, atol=1e-11)


@pytest.mark.slow
def test_frozen_batch_norms_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fused, "ROWS", 512)
    nets = pair("densenet")
    for net in nets:
        net.get_submodule("features.denseblock1").eval()
        net.get_submodule("features.denseblock2.denselayer2.bn1").eval()
    assert_same(*nets, random_double(2, 3, 8, 8))
