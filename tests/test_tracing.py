"""TorchScript, ``torch.jit.trace`` and FX take every network, and refuse to keep one draw of a random path for ever."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace
from torch.jit import optimized_execution  # type: ignore[attr-defined]

import archzoo
from archzoo.errors import InputError
from archzoo.layers import Net, ResponseNorm, SamePadding, batch_norm
from archzoo.models import alexnet, googlenet
from tests.networks import CLASSES, EVERY, build, images, parametrize, ready

DEPRECATED = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")

# What only networks have that take seconds: they are asked with EVERY_NET=1.
PARTS: dict[str, Callable[[], nn.Module]] = {
    "alexnet": lambda: nn.Sequential(alexnet.RoundUp(11, stride=4), ResponseNorm()),
    "googlenet": lambda: googlenet.naive_inception(4, 2, 2, 2),
    "bn_inception_slim": lambda: nn.Sequential(
        batch_norm(4, scale=False), SamePadding(3, 2, value=float("-inf")), nn.MaxPool2d(3, 2)
    ),
}


def scripted(net: nn.Module) -> torch.jit.ScriptModule:
    return torch.jit.script(net)


@pytest.mark.slow
@DEPRECATED
@parametrize(EVERY or [name for name in CLASSES if name not in PARTS])
def test_a_scripted_and_a_traced_network_compute_the_same_and_keep_their_names(name: str) -> None:
    net, batch = ready(name), images(name, 2)
    compiled, graph = scripted(net), symbolic_trace(net)
    with torch.no_grad(), optimized_execution(False):
        expected = net(batch)
        assert torch.equal(compiled(batch), expected)
        assert torch.equal(graph(batch), expected)
    assert list(compiled.state_dict()) == list(net.state_dict())
    assert set(dict(graph.named_parameters())) <= set(dict(net.named_parameters()))


@DEPRECATED
@pytest.mark.parametrize("name", PARTS)
def test_the_layers_of_large_networks_are_scripted_and_traced(name: str) -> None:
    part = PARTS[name]()
    maps = torch.randn(2, 4, 30, 31)
    with torch.no_grad(), optimized_execution(False):
        expected = part(maps)
        assert torch.equal(scripted(part)(maps), expected)
        assert torch.equal(symbolic_trace(part)(maps), expected)


@pytest.mark.slow
@DEPRECATED
def test_a_scripted_network_is_saved_and_loaded_and_trains() -> None:
    net = archzoo.build("resnet_cifar", depth=8)
    file = io.BytesIO()
    torch.jit.save(scripted(net), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    batch = torch.randn(4, 3, 32, 32)
    expected = copy.deepcopy(net).train()
    loaded.train()
    assert torch.allclose(loaded(batch), expected(batch), atol=1e-6)  # with the statistics of the batch
    loaded(batch).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


@pytest.mark.slow
@DEPRECATED
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("densenet_bc", {"depth": 16, "k": 4, "memory_efficient": True}),
        ("condensenet_cifar", {"depth": 8, "form": "training"}),
        ("dsn", {"auxiliary": True}),
        ("fractalnet", {"columns": 2, "widths": (4, 4), "join_first": True}),
        ("lenet5", {"rubbish_penalty": 0.5}),
        ("squeezenet1_1", {"bypass": "complex", "num_classes": 3}),
        ("resnet_cifar", {"depth": 8, "option": "C"}),
        ("wide_resnet", {"depth": 10, "k": 1, "drop": 0.3}),
        ("preact_resnet", {"depth": 8, "block": "basic"}),
    ],
)
def test_options_do_not_hinder_it(name: str, options: dict[str, Any]) -> None:
    net = archzoo.build(name, **options).eval()
    channels, height, _ = archzoo.find(name).input_size
    side = 4 if name == "fractalnet" else height
    batch = torch.randn(2, channels, side, side)
    with torch.no_grad(), optimized_execution(False):
        expected = net(batch)
        assert torch.equal(scripted(net)(batch), expected)
        assert torch.equal(symbolic_trace(net)(batch), expected)


@DEPRECATED
def test_a_scripted_network_draws_its_blocks_anew() -> None:
    net = archzoo.build("stochastic_depth", depth=8, survival=0.5).train()
    compiled, batch = scripted(net), torch.randn(2, 3, 32, 32)
    for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.track_running_stats = False
    with torch.no_grad(), optimized_execution(False):
        assert len({float(compiled(batch).sum()) for _ in range(12)}) > 1
        torch.manual_seed(3)
        expected = net(batch)
        torch.manual_seed(3)
        assert torch.allclose(compiled(batch), expected, atol=1e-6)


RANDOM = [("stochastic_depth", {"depth": 8}), ("fractalnet", {"columns": 2, "widths": (4, 4)})]


@pytest.mark.slow
@DEPRECATED
@pytest.mark.parametrize(("name", "options"), RANDOM)
def test_a_trace_of_random_paths_is_refused_with_the_reason(name: str, options: dict[str, Any]) -> None:
    net = archzoo.build(name, **options).train()
    side = 4 if name == "fractalnet" else 32
    batch = torch.randn(2, 3, side, side)
    with pytest.raises(RuntimeError, match=r"would repeat one draw for ever: call eval\(\) first"):
        symbolic_trace(net)
    with pytest.raises(RuntimeError, match=r"would repeat one draw for ever: call eval\(\) first"):
        torch.jit.trace(net, batch, check_trace=False)
    net.eval()
    with torch.no_grad():
        expected = net(batch)
        assert torch.equal(symbolic_trace(net)(batch), expected)
        assert torch.allclose(torch.jit.trace(net, batch)(batch), expected)


@pytest.mark.slow
@DEPRECATED
def test_a_scripted_fractalnet_and_auxiliary_classifiers_say_that_they_do_not_train() -> None:
    fractal = scripted(archzoo.build("fractalnet", columns=2, widths=(4, 4))).train()
    with pytest.raises(torch.jit.Error, match="would repeat one draw for ever"):
        fractal(torch.randn(2, 3, 4, 4))
    supervised = scripted(archzoo.build("dsn_companions")).train()
    with pytest.raises(torch.jit.Error, match="auxiliary classifiers do not run in TorchScript"):
        supervised(torch.randn(2, 3, 32, 32))


@DEPRECATED
def test_a_network_in_a_larger_scripted_module_stays_as_it_is() -> None:
    class Twice(nn.Module):
        def __init__(self, net: Net) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.net(images)
            return 2 * logits

    net = archzoo.build("resnet_cifar", depth=8).eval()
    twice, batch = Twice(net), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(scripted(twice)(batch), 2 * net(batch))
    assert twice.net is net
    assert type(net.features) is nn.Sequential


def test_auxiliary_classifiers_are_traced_in_training() -> None:
    net = build("dsn_companions").train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    batch = torch.randn(2, 3, 32, 32)
    for ours, traced in zip(net(batch), symbolic_trace(net)(batch), strict=True):
        assert torch.allclose(ours, traced, atol=1e-5)


@DEPRECATED
def test_images_that_do_not_fit_are_refused_by_the_network_itself_alone() -> None:
    net = archzoo.build("resnet_cifar", depth=8).eval()
    with pytest.raises(InputError, match="of 3 channels, not 1"):
        net.forward_features(torch.randn(1, 1, 32, 32))
    with pytest.raises(RuntimeError, match="expected input"):
        scripted(net)(torch.randn(1, 1, 32, 32))
