"""A pass that is replayed gives what the pass itself gives; capture is stood in for, since it takes a GPU."""

from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.data import Prepared, Splits
from archzoo.recipes import Constant
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, _passes
from archzoo.training._config import why_no_graph
from archzoo.training._passes import WARM_UP, GraphedPass, RandomOperators
from archzoo.training._trainer import Trainer

SHORT = find_recipe("digits").with_changes(epochs=2, schedule=Constant(), lr=0.1)


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand-ins for what takes a GPU: a replayed pass reads the tensors of its capture, and writes new gradients."""
    calls: list[str] = []

    def capture(run: Callable[[Tensor, Tensor], None], images: Tensor, labels: Tensor, stream: Any) -> Any:
        calls.append("captured")

        def replay() -> None:
            calls.append("replayed")
            for parameter in capture.parameters:  # type: ignore[attr-defined]
                parameter.grad = None
            run(images, labels)

        return replay

    def aside(run: Callable[[Tensor, Tensor], None], images: Tensor, labels: Tensor, stream: Any) -> None:
        calls.append(f"aside in {stream}")
        run(images, labels)

    streams = count(1)
    monkeypatch.setattr(_passes, "capture", capture)
    monkeypatch.setattr(_passes, "aside", aside)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: next(streams))
    monkeypatch.setattr("archzoo.training._trainer.why_no_graph", lambda config, distributed: None)
    original = GraphedPass.__init__

    def initialize(self: GraphedPass, run: Any, parameters: Any, log: Any) -> None:
        capture.parameters = parameters  # type: ignore[attr-defined]
        original(self, run, parameters, log)

    monkeypatch.setattr(GraphedPass, "__init__", initialize)
    return calls


def trained(
    few: Splits, prepared: Prepared, path: Any, net: nn.Module | None = None, **config: Any
) -> tuple[Any, list[str]]:
    torch.manual_seed(0)
    lines: list[str] = []
    built: Any = net or archzoo.build("lenet5_textbook")
    trainer = Trainer(
        built,
        few,
        prepared,
        SHORT,
        path,
        RunConfig(**config),
        distributed=Distributed(),
        description={},
        parameter_groups=None,
        log=lines.append,
    )
    return trainer.run().state, lines


@pytest.mark.slow
def test_a_replayed_run_ends_in_the_same_bits(
    few: Splits, prepared: Prepared, tmp_path: Any, replayed: list[str]
) -> None:
    plain, _ = trained(few, prepared, tmp_path / "plain", cuda_graph=False)
    assert not replayed
    graphed, lines = trained(few, prepared, tmp_path / "graphed")
    iterations = 2 * (256 // SHORT.batch_size)
    assert replayed == ["aside in 1"] * (WARM_UP - 1) + ["captured"] + ["replayed"] * (iterations - WARM_UP)
    assert (
        next(line for line in lines if line.startswith("steps"))
        == f"steps are replayed from a CUDA graph after {WARM_UP} of them"
    )
    assert all(torch.equal(graphed[name], value) for name, value in plain.items())


def test_a_network_that_draws_random_numbers_is_not_captured(
    few: Splits, prepared: Prepared, tmp_path: Any, replayed: list[str]
) -> None:
    net = archzoo.build("lenet5_textbook")
    net.features.add_module("dropout", nn.Dropout(0.1))
    _, lines = trained(few, prepared, tmp_path / "run", net)
    assert not replayed  # nor does it run in other streams, each of which keeps memory of its own
    assert next(line for line in lines if line.startswith("steps")).startswith(
        "steps are not captured in a CUDA graph: the network draws random numbers ("
    )


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda: torch.rand(1), "rand"),
        (lambda: nn.functional.dropout(torch.ones(3), 0.5), "bernoulli_"),
        (lambda: torch.randperm(3), "randperm"),
        (lambda: torch.empty(3).uniform_(), "uniform_"),
    ],
)
def test_an_operator_that_draws_is_seen(draw: Callable[[], Tensor], name: str) -> None:
    with RandomOperators() as random:
        draw()
    assert any(name in called for called in random.called), random.called
    with RandomOperators() as random:
        torch.ones(3).cumsum(0)
    assert not random.called


@pytest.mark.parametrize("name", ["stochastic_depth", "fractalnet", "wide_resnet", "resnet_cifar", "densenet_bc"])
def test_who_draws(name: str) -> None:
    """Stochastic depth and drop-path do; dropout where it is asked for."""
    options: dict[str, dict[str, Any]] = {
        "stochastic_depth": {"depth": 8},
        "fractalnet": {"columns": 2, "widths": (4, 4, 4, 4, 4)},
        "wide_resnet": {"depth": 10, "k": 1, "drop": 0.3},
        "resnet_cifar": {"depth": 8},
        "densenet_bc": {"depth": 10, "k": 4},
    }
    net = archzoo.build(name, **options[name]).train()
    images = torch.randn(2, 3, 32, 32)
    with RandomOperators() as random:
        net(images).sum().backward()
    assert bool(random.called) == (name in ("stochastic_depth", "fractalnet", "wide_resnet"))


@pytest.mark.slow
def test_a_graph_that_cannot_be_captured_leaves_the_run_as_it_is(
    few: Splits, prepared: Prepared, tmp_path: Any, replayed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(_passes, "capture", refuse)
    plain, _ = trained(few, prepared, tmp_path / "plain", cuda_graph=False)
    tried, lines = trained(few, prepared, tmp_path / "tried")
    assert (
        next(line for line in lines if line.startswith("steps"))
        == "steps are not captured in a CUDA graph: operation not permitted when stream is capturing"
    )
    assert all(torch.equal(tried[name], value) for name, value in plain.items())


def test_a_batch_of_another_size_has_its_own_gradient_after_a_replayed_one(replayed: list[str]) -> None:
    """The loss is the sum of w * x, so that the gradient of w is the sum of the images."""
    w = nn.Parameter(torch.zeros(2))

    def add_gradient(images: Tensor, labels: Tensor) -> None:
        (w * images).sum().backward()

    run, labels = GraphedPass(add_gradient, [w], log=lambda line: None), torch.zeros(0)
    gradients = []
    for count_of_images in (3, 3, 3, 3, 3, 2, 3):
        run(torch.ones(count_of_images, 2), labels)
        assert w.grad is not None
        gradients.append(w.grad.tolist())
        if not run.replaces_gradients:
            w.grad = None
    assert gradients == [[count_of_images] * 2 for count_of_images in (3, 3, 3, 3, 3, 2, 3)]
    assert replayed == ["aside in 1", "aside in 1", "captured", "replayed", "replayed", "replayed"]


def test_other_threads_go_on_during_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them locks the pages of the next batch. torch's default, "global", forbids that to all threads."""
    captured: list[Any] = []

    class Graph:
        def replay(self) -> None: ...

    @contextmanager
    def graph(made: Any, **settings: Any) -> Any:
        captured.append((made, settings))
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    for stream in (None, object()):
        replay = _passes.capture(lambda images, labels: None, torch.ones(1), torch.ones(1), stream)  # type: ignore[arg-type]
        made, settings = captured.pop()
        assert replay == made.replay
        assert settings == {"stream": stream, "capture_error_mode": "thread_local"}


@pytest.mark.parametrize(
    ("config", "distributed", "reason"),
    [
        ({}, Distributed(), "the device is cpu"),
        ({}, Distributed(0, 2, torch.device("cuda")), "gradients are exchanged between processes"),
        ({"accumulate": 2}, Distributed(device=torch.device("cuda")), "a batch runs in parts"),
        ({"precision": "float16"}, Distributed(device=torch.device("cuda")), "float16 scales the loss"),
        ({"compile": True}, Distributed(device=torch.device("cuda")), "torch.compile captures its own"),
    ],
)
def test_where_there_is_no_graph_the_reason_is_said(config: Any, distributed: Distributed, reason: str) -> None:
    assert reason in (why_no_graph(RunConfig(**config), distributed) or "")
    assert why_no_graph(RunConfig(), Distributed(device=torch.device("cuda"))) is None
