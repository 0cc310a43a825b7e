"""Networks on a GPU, as far as a CPU shows: which form is chosen, what is kept, and what is given back."""

import copy
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archzoo.errors import DeviceError
from archzoo.inference import AcceleratedNetwork, optimize
from archzoo.inference._accelerated import Graphs
from tests.fake_cuda import fake_cuda


class Times(nn.Module):
    """Multiplies, in some number of seconds."""

    def __init__(self, factor: float, seconds: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(factor), requires_grad=False)
        self.seconds = seconds

    def forward(self, images: Tensor) -> Tensor:
        if self.seconds < 0:
            raise RuntimeError("no such kernel")
        return self.weight * images


class Captured:
    """A run as a graph would be: in half of the time, until it is released."""

    def __init__(self, form: Any, images: Tensor) -> None:
        form(images)
        self.form, self.seconds, self.released = form, form.seconds / 2, False

    def __call__(self, images: Tensor) -> Tensor:
        assert not self.released
        return self.form(images)

    def release(self) -> None:
        self.released = True


def seconds_of(run: Any, images: Tensor) -> float:
    return run.seconds


def forms(**others: nn.Module) -> dict[str, nn.Module]:
    return {"plain": Times(2, 4), **others}


def chosen(net: AcceleratedNetwork) -> list[str]:
    return [choice.name for choice in net.choices.values()]


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({}, "plain"),
        ({"slow": Times(2, 5)}, "plain"),
        ({"fast": Times(2, 3), "faster": Times(2, 1), "between": Times(2, 2)}, "faster"),
        ({"wrong": Times(2.5, 1)}, "plain"),
        ({"fails": Times(2, -1)}, "plain"),
    ],
)
def test_the_fastest_form_that_computes_the_same_is_chosen(others: dict[str, nn.Module], name: str) -> None:
    net = AcceleratedNetwork(forms(**others), None, seconds_of)
    images = torch.randn(2, 3)
    assert torch.equal(net(images), 2 * images)
    assert chosen(net) == [name]


def test_what_is_captured_is_chosen_where_it_is_faster_and_the_rest_is_released() -> None:
    graphs: list[Captured] = []

    def capture(form: Any, images: Tensor) -> Captured:
        graphs.append(Captured(form, images))
        return graphs[-1]

    net = AcceleratedNetwork(forms(folded=Times(2, 3)), capture, seconds_of, shapes=2)
    for batch in (1, 2, 1, 3):
        net(torch.randn(batch, 3))
    assert chosen(net) == ["folded, captured"] * 2
    assert [shape[0] for shape, _ in net.choices] == [1, 3]  # those used last
    assert [graph.released for graph in graphs] == [True, False, True, True, True, False]
    assert net.choices[torch.Size((1, 3)), torch.float32].seconds == {
        "plain": 4,
        "plain, captured": 2,
        "folded": 3,
        "folded, captured": 1.5,
    }
    net.release()
    assert not net.choices
    assert all(graph.released for graph in graphs)
    net(torch.randn(1, 3))
    assert copy.deepcopy(net).choices == {}
    net.double()  # parameters move: graphs have their addresses
    assert not net.choices
    assert graphs[-1].released


def test_a_form_that_cannot_be_captured_runs_as_it_is() -> None:
    def capture(form: Any, images: Tensor) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    net = AcceleratedNetwork(forms(), capture, seconds_of)
    assert torch.equal(net(torch.ones(2, 3)), torch.full((2, 3), 2.0))
    assert chosen(net) == ["plain"]


@pytest.mark.parametrize("first", [torch.inference_mode, torch.no_grad])
def test_images_of_the_inference_mode_and_others_take_turns(first: Callable[[], Any]) -> None:
    class Kept(Captured):
        images: Tensor

        def __call__(self, images: Tensor) -> Tensor:
            return super().__call__(self.images.copy_(images))

    def capture(form: Any, images: Tensor) -> Captured:
        graph = Kept(form, images)
        graph.images = images.clone()
        return graph

    net = AcceleratedNetwork(forms(), capture, seconds_of)
    modes: list[Callable[[], Any]] = [first, torch.no_grad, torch.inference_mode, torch.enable_grad]
    for mode in modes:
        with mode():
            images = torch.randn(2, 3)
            assert torch.equal(net(images), 2 * images)
    assert chosen(net) == ["plain, captured"]


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stand-ins for CUDA's graphs. The settings of each capture."""
    made: list[dict[str, Any]] = []

    class Stream:
        def __init__(self, device: Any = None) -> None: ...

        def wait_stream(self, stream: Any) -> None: ...

    class CUDAGraph:
        """As torch's, which forgets a pool with the last graph that uses it, and refuses it from then on."""

        def pool(self) -> Any:
            return self.own

        def reset(self) -> None:
            self.own: Any = "released"

    @contextmanager
    def graph(graph: Any, **settings: Any) -> Any:
        assert settings["pool"] != "released"
        graph.own = settings["pool"] or object()
        made.append(settings)
        yield

    @contextmanager
    def stream(given: Stream) -> Any:
        yield

    for name, stand_in in (("Stream", Stream), ("current_stream", Stream), ("CUDAGraph", CUDAGraph)):
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    return made


def test_graphs_share_memory_and_a_stream_as_long_as_one_is_kept(captures: list[dict[str, Any]]) -> None:
    graphs, images = Graphs(), torch.ones(2)
    first, second = (graphs(torch.neg, images) for _ in range(2))
    first.release()
    third = graphs(torch.neg, images)
    second.release()
    third.release()
    graphs(torch.neg, images)  # after all were released: their pool is gone
    pools = [settings["pool"] for settings in captures]
    assert pools[0] is pools[3] is None
    assert pools[1] is pools[2] is not None
    assert len({settings["stream"] for settings in captures}) == 1
    assert {settings["capture_error_mode"] for settings in captures} == {"thread_local"}
    copied = copy.deepcopy(graphs)
    copied(torch.neg, images)
    assert captures[-1]["pool"] is None
    assert captures[-1]["stream"] not in [settings["stream"] for settings in captures[:-1]]


def residual_net() -> nn.Module:
    from archzoo import build

    torch.manual_seed(0)
    return build("resnet20").eval()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's import, where Triton is installed
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_on_the_pretended_device_every_batch_gets_what_the_plain_network_computes(
    dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archzoo.inference._accelerated.CALLS", 1)
    net, images = residual_net(), torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        expected = net(images)
    with fake_cuda() as device, torch.no_grad():
        fast = optimize(net, device="cuda", dtype=dtype)
        logits = [fast(images[:count].to(device)) for count in (3, 1)]
        assert all(out.device == device and out.dtype == (dtype or torch.float32) for out in logits)
        found = [out.float().cpu() for out in logits]
        assert isinstance(fast, AcceleratedNetwork)
        assert all("captured" not in name for name in chosen(fast))  # the pretended device captures nothing
        assert {"plain", "folded"} <= fast.choices[next(iter(fast.choices))].seconds.keys()
        with pytest.raises(DeviceError, match="the network is on cuda:0, and the images are on cpu"):
            fast(images)
    for out, count in zip(found, (3, 1), strict=True):
        assert (out - expected[:count]).norm() <= (1e-4 if dtype is None else 5e-2) * expected[:count].norm()
    assert next(net.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "this machine has no device cuda: torch sees 0 CUDA devices"), ("gpu", "there is no device 'gpu'")],
)
def test_a_device_that_is_not_there_is_named(device: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DeviceError, match=message):
        optimize(nn.ReLU(), device=device)


def test_on_the_cpu_a_copy_is_optimized_as_without_a_device() -> None:
    net = residual_net()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(optimize(net, device="cpu")(images), optimize(net)(images))
