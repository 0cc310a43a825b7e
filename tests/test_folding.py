"""Which networks are folded, and that any kind of input and call reaches an optimized network unchanged."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archzoo.inference import fold_batch_norms, optimize
from tests.test_inference import norms, with_any_statistics


class NormAct(nn.BatchNorm2d):
    """A batch norm that ends with dropout and an activation."""

    def __init__(self, maps: int, act: nn.Module | None = None) -> None:
        super().__init__(maps)
        self.drop, self.act = nn.Dropout(0.5), act or nn.ReLU(inplace=True)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self.act(self.drop(super().forward(input)))


class Scaled(NormAct):
    """The same with a factor, which is no module."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return 2 * super().forward(input)


class OfWhat(NormAct):
    """The activation of what is not normalized."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return nn.BatchNorm2d.forward(self, input) * self.act(input)


class OtherTensors(NormAct):
    """The statistics are not its own."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return self.act(nn.functional.batch_norm(input, self.running_var, self.running_var, self.weight, self.bias))


def conv_then(norm: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), norm, nn.Conv2d(4, 4, 3, padding=1))


@pytest.mark.parametrize(
    ("net", "left"),
    [
        pytest.param(conv_then(NormAct(4)), 0, id="behind a convolution"),
        pytest.param(conv_then(NormAct(4, nn.Hardswish())), 0, id="hard swish"),
        pytest.param(nn.Sequential(NormAct(3), nn.Conv2d(3, 4, 1)), 0, id="the activation becomes a bound"),
        pytest.param(nn.Sequential(NormAct(3), nn.Conv2d(3, 4, 3, padding=1)), 1, id="a border would get a shift"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid(), NormAct(4)), 1, id="behind a sigmoid"),
        pytest.param(conv_then(Scaled(4)), 1, id="a factor"),
        pytest.param(conv_then(OfWhat(4)), 1, id="the activation of something else"),
        pytest.param(conv_then(OtherTensors(4)), 1, id="other statistics"),
    ],
)
def test_a_batch_norm_with_an_activation_is_folded_by_what_it_computes(net: nn.Module, left: int) -> None:
    net = with_any_statistics(net).double()
    folded = fold_batch_norms(net)
    images = torch.randn(2, 3, 6, 6).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(images), net(images))
        torch.testing.assert_close(optimize(net)(images), net(images))
    assert norms(folded) == left
    if left:
        assert folded.state_dict().keys() == net.state_dict().keys()


def test_hooks_of_a_batch_norm_with_an_activation_stay() -> None:
    net = conv_then(NormAct(4)).eval()
    outputs: list[Tensor] = []
    net[1].register_forward_hook(lambda module, args, out: outputs.append(out))  # type: ignore[index]
    assert norms(fold_batch_norms(net)) == 1


# Inputs of any kind


class TwoInputs(nn.Module):
    """Images and indices, by position or by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.embedding = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Embedding(5, 4)

    def forward(self, images: Tensor, indices: Tensor, *, scale: float = 1.0) -> Tensor:
        maps: Tensor = self.norm(self.conv(images))
        return scale * (maps.mean((2, 3)) + self.embedding(indices))


CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "by position": ((torch.randn(2, 3, 8, 8), torch.tensor([1, 4])), {}),
    "by keyword": ((torch.randn(2, 3, 8, 8),), {"indices": torch.tensor([1, 4])}),
    "with a number": ((torch.randn(2, 3, 8, 8), torch.tensor([1, 4])), {"scale": 2.0}),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dtype", [None, torch.float64])
@pytest.mark.parametrize("call", CALLS)
def test_several_inputs_keywords_and_integers_reach_the_network(call: str, dtype: torch.dtype | None) -> None:
    net, (args, kwargs) = with_any_statistics(TwoInputs()), CALLS[call]
    with torch.no_grad():
        out = optimize(net, dtype=dtype)(*args, **kwargs)
        torch.testing.assert_close(out.float(), net(*args, **kwargs))
    assert out.dtype == (dtype or torch.float32)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("call", CALLS)
def test_a_frozen_network_takes_them_too(call: str) -> None:
    net, (args, kwargs) = with_any_statistics(TwoInputs()), CALLS[call]
    fast = optimize(net, compile="freeze")
    with torch.no_grad():
        for _ in range(2):
            torch.testing.assert_close(fast(*args, **kwargs), net(*args, **kwargs))
        other = (torch.randn(3, 3, 9, 9), torch.tensor([0, 2, 3]))
        torch.testing.assert_close(fast(*other), net(*other))


def volumes() -> nn.Module:
    """A network of three dimensions."""
    layers: tuple[nn.Module, ...] = (
        nn.Conv3d(2, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 3))


def mixed() -> nn.Module:
    """Convolutions of two and of three dimensions in one network."""
    plane = (nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return nn.Sequential(*plane, nn.Unflatten(1, (2, 2)), nn.Conv3d(2, 2, 1), nn.BatchNorm3d(2), nn.Flatten(1))


NETS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "Conv3d": (volumes, torch.randn(2, 2, 4, 6, 6)),
    "Conv2d and Conv3d": (mixed, torch.randn(2, 2, 6, 6)),
    "Conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU()), torch.randn(2, 2, 9)),
    "integers": (lambda: nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2)), torch.tensor([[1, 2, 8]])),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("compile", [None, "freeze"])
@pytest.mark.parametrize("what", NETS)
def test_networks_of_other_dimensions_compute_the_same(what: str, compile: Any) -> None:  # noqa: A002
    make, inputs = NETS[what]
    net = make().eval()
    with torch.no_grad():
        torch.testing.assert_close(optimize(net, compile=compile)(inputs), net(inputs))
