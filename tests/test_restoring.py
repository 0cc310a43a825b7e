"""A model is left as it was by whatever runs it, and so are torch's settings and the random generators."""

import gc
import itertools
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.utils.hooks import RemovableHandle

import archzoo
from archzoo.comparison import compare
from archzoo.errors import ComparisonError, ExportError
from archzoo.exporting import export
from archzoo.inference import fold_batch_norms, optimize
from archzoo.layers import evaluation_mode
from archzoo.profiler import measure, memory, profile, traffic
from archzoo.profiler._cuda_allocator import CudaAllocator
from archzoo.profiler._memory_tracker import ByteCounter
from archzoo.report.diagram import diagram
from archzoo.restoring import copy_to_run

SIZE = (3, 8, 8)
Act = Callable[[Any], object]


class Meddling(nn.Module):
    """A small network whose forward pass does something beside its work."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.register_buffer("count", torch.zeros(()))
        self.act, self.calls = act, 0
        self.lines: list[Any] = ["a"]

    def forward(self, images: Tensor) -> Tensor:
        self.act(self)
        out: Tensor = self.fc(self.norm(self.conv(images)).relu().mean((2, 3)))
        return out


def add(owner: Any, name: str) -> None:
    setattr(owner, name, getattr(owner, name) + 1)


# By name: what a forward pass does to its model.
TO_MODEL: dict[str, Act] = {
    "a hook": lambda net: net.conv.register_forward_hook(print_nothing),
    "requires_grad_": lambda net: net.requires_grad_(False),
    "data": lambda net: net.fc.bias.data.fill_(3),
    "a new tensor as data": lambda net: setattr(net.fc.bias, "data", torch.ones(2)),
    "a gradient": lambda net: setattr(net.fc.bias, "grad", torch.ones(2)),
    "a buffer": lambda net: net.count.add_(1),
    "another buffer": lambda net: add(net, "count"),
    "a new buffer": lambda net: net.register_buffer("extra", torch.zeros(1)),
    "an attribute": lambda net: add(net, "calls"),
    "a list": lambda net: net.lines.append("b"),
    "a layer": lambda net: setattr(net, "norm", nn.BatchNorm2d(4).eval()),
    "an option of a layer": lambda net: setattr(net.norm, "momentum", None),
    "the mode": lambda net: net.train(),
    "the order of weights": lambda net: net.to(memory_format=torch.channels_last),
}
TO_PROCESS: dict[str, Act] = {
    "torch's generator": lambda net: torch.manual_seed(7),
    "numpy's generator": lambda net: numpy.random.seed(7),
    "Python's generator": lambda net: random.seed(7),
    "the default dtype": lambda net: torch.set_default_dtype(torch.float64),
    "the default device": lambda net: torch.set_default_device("cpu"),
    "the number of threads": lambda net: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic algorithms": lambda net: torch.use_deterministic_algorithms(True, warn_only=True),
    "benchmark": lambda net: setattr(torch.backends.cudnn, "benchmark", True),
    "the precision of products": lambda net: torch.set_float32_matmul_precision("medium"),
    "kernels of attention": lambda net: torch.backends.cuda.enable_flash_sdp(False),
    "autocast": lambda net: torch.set_autocast_enabled("cpu", True),
    "the garbage collector": lambda net: gc.disable(),
    "grad mode": lambda net: torch.set_grad_enabled(not torch.is_grad_enabled()),
}


def print_nothing(*_: Any) -> None:
    pass


def state_of_model(net: nn.Module) -> list[Any]:
    tensors = [
        (name, id(tensor), tensor.tolist(), tensor.stride(), tensor.requires_grad, tensor.grad is None)
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]
    ]
    modules = [
        (name, id(module), {key: repr(value) for key, value in vars(module).items() if key[:4] not in ("_par", "_buf")})
        for name, module in net.named_modules()
    ]
    return [tensors, modules]


def state_of_process() -> list[Any]:
    return [
        *(torch.get_rng_state().tolist(), str(numpy.random.get_state()), random.getstate(), gc.isenabled()),
        *(torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(), torch.is_grad_enabled()),
        *(torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
        *(torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()),
        *(torch.is_autocast_enabled("cpu"), len(torch.overrides._get_current_function_mode_stack())),
    ]


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Torch's settings as they were, also where a test fails."""
    threads, generators = torch.get_num_threads(), (random.getstate(), numpy.random.get_state())
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.enable_flash_sdp(True)
    torch.set_autocast_enabled("cpu", False)
    torch.set_grad_enabled(True)
    gc.enable()
    random.setstate(generators[0])
    numpy.random.set_state(generators[1])


RUNS: dict[str, Callable[[nn.Module], object]] = {
    "profile": lambda net: profile(net, SIZE),
    "memory": lambda net: memory(net, SIZE, batch=2),
    "traffic": lambda net: traffic(net, SIZE),
    "measure": lambda net: measure(net, SIZE, passes=1),
    "compare": lambda net: compare(net, net, SIZE),
    "optimize": optimize,
    "fold": fold_batch_norms,
    "diagram": lambda net: diagram(net, SIZE),
}


@pytest.mark.parametrize("act", TO_MODEL)
@pytest.mark.parametrize("run", RUNS)
def test_a_model_is_left_as_it_was_whatever_its_forward_does(run: str, act: str) -> None:
    net = Meddling(TO_MODEL[act])
    before = state_of_model(net)
    ends(RUNS[run], net)
    assert state_of_model(net) == before


@pytest.mark.parametrize("act", TO_PROCESS)
@pytest.mark.parametrize("run", RUNS)
def test_the_process_is_left_as_it_was_whatever_a_forward_does(run: str, act: str) -> None:
    net = Meddling(TO_PROCESS[act])
    before = state_of_process()
    ends(RUNS[run], net)
    assert state_of_process() == before


def ends(run: Callable[[nn.Module], object], net: nn.Module) -> None:
    """Run a network; one that changes its mode or its weights may be refused in words."""
    with warnings.catch_warnings(), suppress(archzoo.ArchzooError):
        warnings.simplefilter("ignore")
        run(net)


@pytest.mark.slow
def test_an_export_leaves_its_network_as_it_was(tmp_path: Path) -> None:
    for act in ("a hook", "data", "a buffer", "an attribute", "a layer"):
        net = Meddling(TO_MODEL[act])
        before = state_of_model(net)
        ends(lambda net: export(net, tmp_path / "net.pt2", "pt2", SIZE), net)
        assert state_of_model(net) == before


def test_a_network_that_does_not_run_is_refused_in_words(tmp_path: Path) -> None:
    def fail(net: nn.Module) -> None:
        raise KeyError("of its own")

    with pytest.raises(ExportError, match="does not run on images of 3x8x8: KeyError: 'of its own'"):
        export(Meddling(fail), tmp_path / "net.pt2", "pt2", SIZE)
    assert not list(tmp_path.iterdir())
    net = Meddling(lambda net: setattr(net, "fc", nn.Linear(4, 2)))  # float32, where weights are float64
    with pytest.raises(ComparisonError, match="does not run"):
        compare(net, net, SIZE)


@pytest.mark.parametrize("run", ["compare", "optimize", "diagram"])
def test_the_default_device_may_be_another_one(run: str) -> None:
    net = Meddling(lambda net: None)
    torch.set_default_device("meta")
    RUNS[run](net)
    assert torch.get_default_device().type == "meta"


def test_a_table_that_a_trace_looks_in_is_no_error() -> None:
    """A symbolic trace gives forward a stand-in for the number of channels, which no table has."""
    net = Meddling(lambda net: None)
    table = {3: 1.0}

    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: Tensor) -> Tensor:
            out: Tensor = self.net(images) * table[images.shape[1]]
            return out

    images = torch.randn(2, *SIZE)
    looking = Looking().eval()
    assert torch.allclose(optimize(looking)(images), looking(images), atol=1e-5)


def test_what_cannot_be_copied_runs_itself() -> None:
    net = Meddling(lambda net: None)
    net.lines = [net.fc.weight * 2]  # a tensor with a history
    assert copy_to_run(net) is net
    assert compare(net, net, SIZE).equal


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_ctrl_c_in_the_release_of_a_tensor_is_not_lost(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python drops what the callback of a weak reference raises, and the memory would be counted wrong."""
    allocator: Any = {"cpu": ByteCounter, "cuda": CudaAllocator}[device]
    release, calls = allocator.release, itertools.count()

    def interrupted(self: Any, block: Any) -> None:
        if next(calls) == 5:
            raise KeyboardInterrupt
        release(self, block)

    monkeypatch.setattr(allocator, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        memory(Meddling(lambda net: None), SIZE, device=device)


def test_ctrl_c_at_the_end_of_a_build_leaves_no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    remove, calls = RemovableHandle.remove, itertools.count()

    def interrupted(self: Any) -> None:
        if next(calls) == 0:
            raise KeyboardInterrupt
        remove(self)

    monkeypatch.setattr(RemovableHandle, "remove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        archzoo.build("lenet5")
    assert not module_hooks._global_parameter_registration_hooks


@pytest.mark.parametrize("run", ["optimize", "fold", "diagram"])
def test_other_threads_run_their_modules_meanwhile(run: str) -> None:
    """Hooks of all modules, and a symbolic trace, are the process's: they must leave other threads alone."""
    other, images = Meddling(lambda net: None).eval(), torch.randn(1, *SIZE)
    with torch.no_grad():
        expected, outputs = other(images), []

        def run_other() -> None:
            with torch.no_grad():
                outputs.append(other(images))

        def run_in_a_thread(net: nn.Module) -> None:
            thread = threading.Thread(target=run_other)
            thread.start()
            thread.join()

        RUNS[run](Meddling(run_in_a_thread).eval())
    assert outputs
    assert all(torch.equal(output, expected) for output in outputs)


def test_a_pass_of_another_thread_may_begin_in_one_comparison_and_end_in_the_next() -> None:
    """Its modules were entered before the hooks of the second one were there, which are called as it leaves them."""
    begun, may_end = threading.Event(), threading.Event()

    def wait(net: nn.Module) -> None:
        begun.set()
        assert may_end.wait(30)

    other, outputs = nn.Sequential(nn.Sequential(Meddling(wait))).eval(), []

    def run_other() -> None:
        with torch.no_grad():
            outputs.append(other(torch.randn(1, *SIZE)))

    thread = threading.Thread(target=run_other)

    def begin(net: nn.Module) -> None:
        if not begun.is_set():
            thread.start()
            assert begun.wait(30)

    def end(net: nn.Module) -> None:
        may_end.set()
        thread.join()

    for act in (begin, end):
        net = Meddling(act).eval()
        assert compare(net, net, SIZE).equal
    assert len(outputs) == 1


def test_modes_come_back_after_interrupts_in_the_restoring() -> None:
    interrupts = iter([KeyboardInterrupt, KeyboardInterrupt])

    class Interrupted(nn.Module):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "training" and value and "left" in self.__dict__ and (error := next(interrupts, None)):
                raise error
            super().__setattr__(name, value)

    net = nn.Sequential(Interrupted(), nn.Linear(1, 1))
    net[0].__dict__["left"] = True
    with pytest.raises(KeyboardInterrupt), evaluation_mode(net):
        assert not net[1].training
    assert [module.training for module in net.modules()] == [True, True, True]
