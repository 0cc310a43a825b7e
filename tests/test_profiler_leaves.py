"""What a forward pass does to its model, to torch and to the process is gone after a profile, however it ends."""

import functools
import gc
import random
import signal
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from archzoo.errors import ProfileError
from archzoo.profiler import profile
from archzoo.restoring import and_restore
from tests.networks import EVERY_NET

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks")


@dataclass
class Statistics:
    calls: int = 0
    seen: list[int] = field(default_factory=list)


class Victim(nn.Module):
    """A model that a forward pass can change in many ways; ``attack`` is what it does before it computes."""

    history: list[Any]
    mean: Tensor
    optional: Any

    def __init__(self, attack: Callable[["Victim"], object]) -> None:
        super().__init__()
        self.attack = attack
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("mean", torch.arange(4.0))
        self.conv.weight.grad = torch.full_like(self.conv.weight, 2.0)
        self.history = [[1], {"key": [2]}]
        self.statistics = Statistics()
        self.namespace = SimpleNamespace(calls=0)
        self.plain = torch.ones(3)
        self.unregistered = [nn.Linear(2, 2)]
        self.rng = random.Random(1)
        self.numpy_rng = np.random.default_rng(1)
        self.torch_rng = torch.Generator().manual_seed(1)
        self.handle = self.conv.register_forward_hook(do_nothing)
        self.seen = OrderedDict(first=1)

    def forward(self, maps: Tensor) -> Tensor:
        self.attack(self)
        out: Tensor = self.norm(self.conv(maps)) + self.mean.view(1, -1, 1, 1)
        return out


def do_nothing(module: nn.Module, args: Any, out: Any) -> None: ...


def set_data(tensor: Tensor, data: Tensor) -> None:
    tensor.data = data


def set_grad(tensor: Tensor, grad: Tensor | None) -> None:
    tensor.grad = grad


def remove_bias(net: Victim) -> None:
    del net.conv.bias
    net.conv.register_parameter("bias", None)


def remove_norm(net: Victim) -> None:
    del net.norm
    net.__dict__["norm"] = lambda maps: maps


ATTACKS: dict[str, Callable[[Victim], object]] = {
    "a forward hook": lambda net: net.conv.register_forward_hook(do_nothing),
    "a pre-hook": lambda net: net.register_forward_pre_hook(lambda module, args: None),
    "a hook of the state dict": lambda net: net.register_state_dict_post_hook(lambda *args: None),
    "a hook of a parameter": lambda net: net.conv.weight.register_hook(lambda grad: grad),
    "a hook removed": lambda net: net.handle.remove(),
    "hooks cleared": lambda net: net.conv._forward_hooks.clear(),
    "frozen": lambda net: net.requires_grad_(False),
    "one parameter frozen": lambda net: net.conv.bias is not None and net.conv.bias.requires_grad_(False),
    "data replaced": lambda net: set_data(net.conv.weight, torch.renorm(net.conv.weight.data, 2, 0, 1.0)),
    "data of another tensor": lambda net: set_data(net.conv.weight, torch.zeros_like(net.conv.weight)),
    "data written": lambda net: net.conv.weight.data.clamp_(-0.01, 0.01),
    "data filled without a gradient": lambda net: nn.init.zeros_(net.conv.weight),
    "a gradient removed": lambda net: set_grad(net.conv.weight, None),
    "gradients zeroed": lambda net: net.zero_grad(),
    "a gradient written": lambda net: net.conv.weight.grad is not None and net.conv.weight.grad.zero_(),
    "a buffer written": lambda net: net.mean.add_(1),
    "data of a buffer written": lambda net: net.mean.data.mul_(0),
    "data of a buffer replaced": lambda net: set_data(net.mean, torch.zeros(4)),
    "a buffer replaced": lambda net: setattr(net, "mean", torch.zeros(4)),
    "a buffer added": lambda net: net.register_buffer("new", torch.zeros(1)),
    "a parameter added": lambda net: net.register_parameter("new", nn.Parameter(torch.zeros(1))),
    "a parameter removed": remove_bias,
    "a module added": lambda net: net.add_module("new", nn.ReLU()),
    "a module replaced": lambda net: setattr(net, "norm", nn.Identity()),
    "a module removed": remove_norm,
    "trained": lambda net: net.train(),
    "one part trained": lambda net: net.norm.train(),
    "an attribute added": lambda net: setattr(net, "new", 1),
    "an attribute removed": lambda net: delattr(net, "statistics"),
    "a list": lambda net: net.history.append(3),
    "a list in a list": lambda net: net.history[0].append(3),
    "a list in a dict": lambda net: net.history[1]["key"].append(3),
    "an ordered dict": lambda net: net.seen.update(second=2),
    "a dataclass": lambda net: setattr(net.statistics, "calls", 7),
    "a list of a dataclass": lambda net: net.statistics.seen.append(7),
    "a namespace": lambda net: setattr(net.namespace, "calls", 7),
    "a tensor that is no buffer": lambda net: net.plain.add_(1),
    "a view of it": lambda net: net.plain[1:].fill_(5),
    "a module in a list": lambda net: net.unregistered[0].requires_grad_(False),
    "its weight": lambda net: net.unregistered[0].weight.data.zero_(),
    "converted": lambda net: net.double() and net.float(),
    "a parametrization": lambda net: nn.utils.parametrizations.weight_norm(net.conv),
    "Python's generator": lambda net: random.random(),
    "Python's generator seeded": lambda net: random.seed(5),
    "numpy's generator": lambda net: np.random.rand(),
    "torch's generator": lambda net: torch.rand(3),
    "torch's generator seeded": lambda net: torch.manual_seed(5),
    "its own generator of Python": lambda net: net.rng.random(),
    "its own generator of numpy": lambda net: net.numpy_rng.random(),
    "its own generator of torch": lambda net: torch.rand(3, generator=net.torch_rng),
    "the grad mode": lambda net: torch.set_grad_enabled(True),
    "the garbage collector": lambda net: gc.enable(),
}


def tensor_state(tensor: Tensor) -> tuple[Any, ...]:
    grad = None if tensor.grad is None else (id(tensor.grad), tensor.grad.tolist())
    hooks = tuple(tensor._backward_hooks or ())
    return id(tensor), tensor.tolist(), tensor.data_ptr(), tensor.requires_grad, grad, hooks, tensor._version


def state_of(net: Victim) -> dict[str, Any]:
    """Everything that a forward pass can change, read without changing it."""
    modules = [*net.named_modules(), *(("", module) for module in net.unregistered)]
    return {
        "modules": [(name, id(module), type(module), module.training) for name, module in modules],
        "hooks": [[list(vars(module)[hooks].items()) for hooks in HOOKS] for _, module in modules],
        "attributes": [(list(vars(module)), list(map(id, vars(module).values()))) for _, module in modules],
        "tensors": [
            [(name, tensor_state(tensor)) for name, tensor in held.items() if tensor is not None]
            for _, module in modules
            for held in (module._parameters, module._buffers)
        ],
        "own": repr((net.history, net.seen, net.statistics, net.namespace, tensor_state(net.plain))),
        "generators": repr((net.rng.getstate(), net.numpy_rng.bit_generator.state, net.torch_rng.get_state().tolist())),
        "global generators": repr((random.getstate(), np.random.get_state(), torch.get_rng_state().tolist())),
        "torch": (torch.is_grad_enabled(), gc.isenabled(), _get_current_dispatch_mode_stack()),
        "global hooks": [
            list(hooks)
            for name, hooks in sorted(vars(torch_modules).items())
            if name.startswith("_global_") and isinstance(hooks, dict)
        ],
    }


# 4 x 3 x 3 x 3 weights on 8x8 positions, with padding: by hand.
MACS = 4 * 3 * 3 * 3 * 8 * 8


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_the_model_and_the_process_are_as_they_were(attack: Callable[[Victim], object]) -> None:
    net = Victim(attack)
    before = state_of(net)
    counted = profile(net, (3, 8, 8))
    assert state_of(net) == before
    assert counted.macs == MACS


@pytest.mark.parametrize("error", [KeyError("half way"), KeyboardInterrupt()], ids=["an error", "Ctrl-C"])
def test_also_where_forward_raises(error: BaseException) -> None:
    def attack(net: Victim) -> None:
        for name, change in ATTACKS.items():
            if "added" not in name and "removed" not in name and "replaced" not in name:
                change(net)
        raise error

    net = Victim(attack)
    before = state_of(net)
    with pytest.raises((ProfileError, KeyboardInterrupt)):
        profile(net, (3, 8, 8))
    assert state_of(net) == before


OWN_FILES = ("/archzoo/restoring.py", "/profiler/_meta.py", "/profiler/_counting.py", "/profiler/_stand_ins.py")
FILES = (*OWN_FILES, "/torch/utils/_python_dispatch.py", "/torch/autograd/grad_mode.py", "contextlib.py")


def interrupted_at(line: int, work: Callable[[], object]) -> int:
    """Raise KeyboardInterrupt before the given line that runs in FILES, once, and return how many lines ran."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.endswith(FILES):
            return None
        if event == "line":
            lines += 1
            if lines == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        assert lines == line
    finally:
        sys.settrace(before)
    return lines


class Small(nn.Module):
    """Changes itself and draws numbers; few lines run for it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.calls: list[int] = []

    def forward(self, maps: Tensor) -> Tensor:
        self.calls.append(1)
        self.scale.requires_grad_(False)
        random.random()
        return maps * self.scale.data.clamp_(0, 0.5) + torch.rand(3)


def small_state(net: Small) -> object:
    generators = random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()
    modes = torch.is_grad_enabled(), gc.isenabled(), _get_current_dispatch_mode_stack()
    hooks = [len(torch_modules._global_forward_hooks), len(torch_modules._global_forward_pre_hooks)]
    return vars(net).keys(), net.training, list(net.calls), tensor_state(net.scale), generators, modes, hooks


@pytest.mark.slow
def test_an_interrupt_at_any_line_leaves_everything_as_it_was() -> None:
    net = Small()
    before = small_state(net)
    lines = interrupted_at(0, lambda: profile(net, (3,)))
    assert lines > 200
    for line in range(1, lines + 1, 1 if EVERY_NET else 11):
        assert interrupted_at(line, lambda: profile(net, (3,))) == line
        assert small_state(net) == before, line
    assert profile(net, (3,)).params == 3


def test_interrupts_inside_the_restoring_are_all_waited_for() -> None:
    done: list[str] = []
    presses = iter([True, True, True])

    def slow() -> None:
        if next(presses, False):
            signal.raise_signal(signal.SIGINT)
        done.append("slow")

    with pytest.raises(KeyboardInterrupt):
        and_restore(lambda: None, [lambda: done.append("first"), slow, lambda: done.append("last")])
    assert done[-3:] == ["first", "slow", "last"]


def test_another_thread_runs_the_model_while_it_is_profiled() -> None:
    """It sees real weights in training mode, as without a profile."""
    inside, ran = threading.Event(), threading.Event()
    seen: list[Any] = []

    def attack(net: Victim) -> None:
        if threading.current_thread() is not other:
            inside.set()
            assert ran.wait(30)

    net = Victim(attack)

    def run() -> None:
        assert inside.wait(30)
        out = net(torch.ones(2, 3, 8, 8))
        seen.append((out.device.type, out.requires_grad, net.training, net.norm.training))
        ran.set()

    other = threading.Thread(target=run)
    other.start()
    assert profile(net, (3, 8, 8)).macs == MACS
    other.join(30)
    assert seen == [("cpu", True, True, True)]


def test_two_threads_profile_one_model() -> None:
    net = Victim(lambda net: None)
    before = state_of(net)
    counted: list[int] = []
    both = threading.Barrier(2)

    def run() -> None:
        both.wait(30)
        counted.extend(profile(net, (3, 8, 8)).macs for _ in range(5))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counted == [MACS] * 10
    assert state_of(net)["torch"] == before["torch"]
    assert state_of(net)["global hooks"] == before["global hooks"]


class Renormalized(nn.Conv2d):
    """EEGNet's convolution: the norm of its filters is limited in every forward pass."""

    def forward(self, maps: Tensor) -> Tensor:
        self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=1.0)
        return super().forward(maps)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_that_forward_renormalizes_are_counted(device: str) -> None:
    net = nn.Sequential(Renormalized(2, 4, 3, bias=False, device=device), nn.Conv2d(4, 1, 1, device=device))
    # 4 x 2 x 3 x 3 weights and then 1 x 4 at 6x6 positions, forward; the first layer has no gradient to its input.
    assert profile(net, (2, 8, 8)).macs == (4 * 2 * 9 + 4) * 36


def test_modules_that_a_function_holds_are_counted_in_their_place() -> None:
    class Closes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1, bias=False)
            self.by_lambda = lambda maps: self.conv(maps)
            self.by_method = self.conv.forward
            self.by_partial = functools.partial(F.relu, inplace=True)

        def forward(self, maps: Tensor) -> Tensor:
            out: Tensor = self.by_partial(self.by_lambda(maps) + self.by_method(maps))
            return out

    counted = profile(Closes(), (3, 2, 2))
    assert counted.macs == 2 * 12 * 4
    assert counted.at("conv").macs == 12 * 4


def test_values_of_buffers_can_be_read_and_constants_computed() -> None:
    class Reads(nn.Module):
        strides: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("strides", torch.tensor([1, 2]))
            self.conv = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, maps: Tensor) -> Tensor:
            rates = torch.tensor([0.0, 0.0])
            rates[1] += 2  # a tensor of this pass: it may be written
            for stride in self.strides.tolist():
                maps = self.conv(maps)[:, :, ::stride, ::stride]
            assert rates.tolist() == [0, 2]
            return maps

    assert profile(Reads(), (1, 4, 4)).macs == 16 + 16
