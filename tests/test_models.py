"""Laws that every registered network obeys."""

import copy
import io
import json
import os
import pickle
import re
from collections.abc import Callable, Hashable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.layers import Net


def distinct(names: list[str]) -> list[str]:
    """The names, less those whose net another name has too (a family at the defaults of a preset)."""
    found: dict[str, str] = {}
    for name in names:
        entry = archzoo.find(name)
        found[f"{entry.constructor.__name__} {entry.options}"] = name
    return list(found.values())


@cache
def on_paper(name: str) -> Net:
    """The net without its numbers."""
    return archzoo.build(name, device="meta")


def parameters(net: nn.Module) -> int:
    return sum(one.numel() for one in net.parameters())


def paper_of(name: str, net: nn.Module | None = None) -> str:
    """The module that has the networks of its paper."""
    return archzoo.find(name).constructor.__module__


def classes_of_layers(name: str, net: nn.Module) -> Hashable:
    """The paper, and of which classes there are layers."""
    return paper_of(name), frozenset(map(type, net.modules()))


SETTINGS = ("kernel_size", "stride", "padding", "dilation", "p", "affine", "inplace", "ceil_mode", "size")


def kinds_of_layers(name: str, net: nn.Module) -> Hashable:
    """The paper, and what layers there are, in any number and width: classes, settings, who comes after whom."""
    layers: set[Hashable] = set()
    for module in net.modules():
        groups = getattr(module, "groups", 1)
        kind = "depthwise" if groups == getattr(module, "in_channels", 1) > 1 else groups
        biased = getattr(module, "bias", None) is not None
        layers.add((type(module), kind, biased, *(str(getattr(module, one, None)) for one in SETTINGS)))
        layers |= {(type(module), *map(type, both)) for both in pairwise(module.children())}
    return paper_of(name), frozenset(layers)


def smallest(
    names: list[str], alike: Callable[[str, nn.Module], Hashable], built: Callable[[str], nn.Module] = on_paper
) -> list[str]:
    """Of the names whose nets are alike, the one with the fewest parameters."""
    found: dict[Hashable, str] = {}
    for name in sorted(names, key=lambda name: parameters(built(name))):
        found.setdefault(alike(name, built(name)), name)
    return [name for name in names if name in found.values()]


HEAVY = 100_000_000  # parameters: gigabytes, with gradients and copies


def lighter(names: list[str]) -> list[str]:
    """The names, less those of heavy nets, but for the smallest where a paper has no other: net A of VGG."""
    kept = smallest(NETS, paper_of)
    return [name for name in names if parameters(on_paper(name)) <= HEAVY or name in kept]


def each(names: list[str]) -> pytest.MarkDecorator:
    """All tests of a net run in one process, one after another, so that it is built once."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names])


NAMES = archzoo.names()
NETS = distinct(NAMES)
every_net = each(NETS)
every_lighter_net = each([*lighter(NETS), "fractalnet34"])
# With EVERY_NET=1 in the environment laws leave out heavy nets alone.
EVERY = bool(os.environ.get("EVERY_NET"))
# Several seconds each, and only deeper than others of their papers.
DEEPEST = ("1202", "1001", "_80_16", "_160_16", "densenet264", "densenet_bc_250_24")
not_the_deepest = each([name for name in NETS if EVERY or not name.endswith(DEEPEST)])
# A net with the same layers as another of its paper, only more of them or wider, can break no law of copies, layouts,
# precisions or graphs that the other does not.
LONG = ("preact_resnet200", "stochastic_depth_152")  # ResNet's ImageNet stem before blocks that shallower nets have too
KINDS = lighter(NETS if EVERY else [name for name in smallest(NETS, kinds_of_layers) if name not in LONG])
every_kind_of_net = each(KINDS)
every_small_kind_of_net = each([name for name in KINDS if parameters(on_paper(name)) <= HEAVY])

# Nets that end in a fully connected layer take images of one size only; the others any that are large enough.
ONE_SIZE = ("lenet", "vgg", "alexnet", "zfnet", "fractalnet")
ANY_SIZE = ("fractalnet34",)  # it ends in global pooling
CACHE: dict[str, Net] = {}


def has_one_size(name: str) -> bool:
    return name.startswith(ONE_SIZE) and name not in ANY_SIZE


def image_size(name: str) -> tuple[int, int, int]:
    """A size that fits, and small where the net allows it."""
    channels, height, width = archzoo.find(name).input_size
    if has_one_size(name):
        return channels, height, width
    side = 64 if height > 64 else 16
    return channels, side, side


def images(name: str, batch: int) -> Tensor:
    return torch.randn(batch, *image_size(name), generator=torch.Generator().manual_seed(1))


def ready(name: str) -> Net:
    """The net in evaluation mode, with the batch statistics of some images: without them deep nets overflow."""
    if name not in CACHE:
        CACHE.clear()
        torch.manual_seed(0)
        net: Net = archzoo.build(name).eval()
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        with torch.no_grad():
            net(images(name, 4))
        for norm in norms:
            norm.eval()
            norm.momentum = 0.1
        CACHE[name] = net
    return CACHE[name]


@not_the_deepest
def test_images_become_logits_for_any_batch_and_any_size_that_fits(name: str) -> None:
    entry = archzoo.find(name)
    net = archzoo.build(name, device="meta").eval()
    channels, height, width = entry.input_size
    classes = entry.options["num_classes"]
    for batch in (1, 3):
        assert net(torch.empty(batch, channels, height, width, device="meta")).shape == (batch, classes)
    if not has_one_size(name):
        assert net(torch.empty(2, channels, height + 32, width + 64, device="meta")).shape == (2, classes)


@not_the_deepest
def test_channels_and_classes_are_options(name: str) -> None:
    net = archzoo.build(name, in_channels=5, num_classes=7, device="meta").eval()
    _, height, width = archzoo.find(name).input_size
    assert net(torch.empty(2, 5, height, width, device="meta")).shape == (2, 7)


@not_the_deepest
def test_an_image_that_does_not_fit_is_refused_with_one_that_would(name: str) -> None:
    net = archzoo.build(name, device="meta").eval()
    channels, height, width = archzoo.find(name).input_size
    with pytest.raises(ValueError, match=f"of {channels} channels, not {channels + 1}"):
        net(torch.empty(1, channels + 1, height, width, device="meta"))
    with pytest.raises(ValueError, match=r"expected images \(N, C, H, W\)"):
        net(torch.empty(height, width, device="meta"))
    side = smallest_side(net, channels)
    net(torch.empty(1, channels, side, side, device="meta"))
    if side > 1:
        with pytest.raises(ValueError, match=f"do not fit: the smallest are {side}x{side}$"):
            net(torch.empty(1, channels, side - 1, side - 1, device="meta"))


def smallest_side(net: Net, channels: int) -> int:
    """As the refusal of an image of one pixel has it; 1 where that is not refused."""
    try:
        net(torch.empty(1, channels, 1, 1, device="meta"))
    except ValueError as error:
        return int(str(error).rpartition("x")[2])
    return 1


@every_lighter_net
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    net = copy.deepcopy(ready(name))
    net(images(name, 2)).square().sum().backward()
    missing = [part for part, parameter in net.named_parameters() if parameter.grad is None]
    assert not missing
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


@every_kind_of_net
def test_evaluation_is_a_function_and_training_runs(name: str) -> None:
    net, batch = ready(name), images(name, 2)
    with torch.no_grad():
        assert torch.equal(net(batch), net(batch))
        trained = copy.deepcopy(net).train()
        assert trained(images(name, 4)).shape[0] == 4


@every_kind_of_net
def test_single_precision_is_as_near_to_double_as_its_rounding_allows(name: str) -> None:
    net, batch = ready(name), images(name, 2)
    double = copy.deepcopy(net).double()
    with torch.no_grad():
        single, exact = net(batch).double(), double(batch.double())
        # Deep nets without shortcuts amplify any error: a disturbance of a millionth shows by how much.
        noise = 1e-6 * torch.randn_like(exact[0, 0].expand(batch.shape)) * batch.std()
        disturbed = double(batch.double() + noise)
    allowed = max(1e-4 * exact.norm().item(), 10 * (disturbed - exact).norm().item())
    assert (single - exact).norm() <= allowed


@every_kind_of_net
def test_channels_last_gives_the_same_numbers(name: str) -> None:
    net, batch = copy.deepcopy(ready(name)).double(), images(name, 2).double()
    with torch.no_grad():
        expected = net(batch)
        out = net.to(memory_format=torch.channels_last)(batch.to(memory_format=torch.channels_last))
    assert (out - expected).norm() <= 1e-6 * expected.norm()


@every_small_kind_of_net
def test_bfloat16_runs(name: str) -> None:
    with torch.no_grad():
        out = copy.deepcopy(ready(name)).bfloat16()(images(name, 1).bfloat16())
    assert out.dtype == torch.bfloat16
    assert out.isfinite().all()


@every_kind_of_net
def test_the_same_seed_builds_the_same_net(name: str) -> None:
    built: list[dict[str, Tensor]] = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(archzoo.build(name).state_dict())
    assert all(torch.equal(built[0][part], built[1][part]) for part in built[0])
    assert all(value.isfinite().all() for value in built[0].values())


@every_kind_of_net
def test_copies_pickles_and_state_dicts_come_back_equal(name: str) -> None:
    net, batch = ready(name), images(name, 1)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    loaded = archzoo.build(name).eval()
    loaded.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        logits = net(batch)
        for other in (loaded, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            assert torch.equal(other(batch), logits)


def templates(net: nn.Module) -> list[str]:
    """State-dict names, with the number of a repeated block as *."""
    return list(dict.fromkeys(re.sub(r"(block|denselayer)\d+\.", r"\1*.", name) for name in net.state_dict()))


@every_net
def test_state_dict_names_are_as_recorded(name: str) -> None:
    file = Path(__file__).with_name("state_dict_names.json")
    recorded: dict[str, Any] = json.loads(file.read_text())
    assert templates(on_paper(name)) == recorded[archzoo.find(name).name]


@each(smallest(NETS, classes_of_layers))
def test_evaluation_compiles_into_one_graph(name: str) -> None:
    net, batch = ready(name), images(name, 2)
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(net, backend="eager", fullgraph=True)(batch)
        assert torch.equal(compiled, net(batch))
    torch._dynamo.reset()


@every_kind_of_net
def test_evaluation_exports_for_any_batch(name: str) -> None:
    net = ready(name)
    many = {0: torch.export.Dim("batch", min=1, max=64)}
    with torch.no_grad():
        exported = torch.export.export(net, (images(name, 2),), dynamic_shapes=(many,)).module()
        for batch in (images(name, 2), images(name, 3)):
            assert (exported(batch) - net(batch)).norm() <= 1e-5 * net(batch).norm()


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("1202", "1001"))])
def test_the_deepest_nets_are_counted_too(name: str) -> None:
    entry = archzoo.find(name)
    assert archzoo.profile(archzoo.build(name, device="meta"), entry.input_size).depth >= 1000
