"""Laws that every registered network obeys."""

import copy
import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.layers import Classifiers, Net
from tests.networks import (
    NAMES,
    build,
    every_class_of_layer,
    every_covering_net,
    every_kind,
    every_kind_of_graph,
    every_net,
    has_one_size,
    images,
    on_meta,
    ready,
)


@pytest.mark.slow
@every_kind
def test_images_become_logits_for_any_batch_and_any_size_that_fits(name: str) -> None:
    entry = archzoo.find(name)
    net = build(name, device="meta").eval()
    channels, height, width = entry.input_size
    classes = entry.options["num_classes"]
    assert net(torch.empty(1, channels, height, width, device="meta")).shape == (1, classes)
    if not has_one_size(name):
        height, width = height + 32, width + 64
    assert net(torch.empty(3, channels, height, width, device="meta")).shape == (3, classes)


@pytest.mark.slow
@every_kind
def test_channels_and_classes_are_options(name: str) -> None:
    net = build(name, in_channels=5, num_classes=7, device="meta").eval()
    _, height, width = archzoo.find(name).input_size
    assert net(torch.empty(2, 5, height, width, device="meta")).shape == (2, 7)


@pytest.mark.slow
@every_class_of_layer
def test_an_image_that_does_not_fit_is_refused_with_one_that_would(name: str) -> None:
    net = build(name, device="meta").eval()
    channels, height, width = archzoo.find(name).input_size
    with pytest.raises(ValueError, match=f"of {channels} channels?, not {channels + 1}"):
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


def logits(outputs: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    """Of the classifier, and of auxiliary ones."""
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


@pytest.mark.slow
@every_covering_net
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    net = copy.deepcopy(ready(name))
    if any(isinstance(module, Classifiers) for module in net.modules()):
        net.train()  # auxiliary classifiers run in training alone
    torch.cat(logits(net(images(name, 2)))).square().sum().backward()
    missing = [part for part, parameter in net.named_parameters() if parameter.grad is None]
    assert not missing
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


@pytest.mark.slow
@every_covering_net
def test_evaluation_is_a_function_and_training_runs(name: str) -> None:
    net, batch = ready(name), images(name, 2)
    with torch.no_grad():
        assert torch.equal(net(batch), net(batch))
        trained = copy.deepcopy(net).train()
        assert {len(scores) for scores in logits(trained(images(name, 4)))} == {4}


@pytest.mark.slow
@every_covering_net
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


@pytest.mark.slow
@every_class_of_layer
def test_channels_last_gives_the_same_numbers(name: str) -> None:
    net, batch = copy.deepcopy(ready(name)).double(), images(name, 2).double()
    with torch.no_grad():
        expected = net(batch)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        out = net(batch.to(memory_format=torch.channels_last))
    assert (out - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.slow
@every_class_of_layer
def test_bfloat16_runs(name: str) -> None:
    with torch.no_grad():
        out = copy.deepcopy(ready(name)).bfloat16()(images(name, 1).bfloat16())
    assert out.dtype == torch.bfloat16
    assert out.isfinite().all()


@pytest.mark.slow
@every_covering_net
def test_the_same_seed_builds_the_same_net(name: str) -> None:
    built: list[dict[str, Tensor]] = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(build(name).state_dict())
    assert all(torch.equal(built[0][part], built[1][part]) for part in built[0])
    assert all(value.isfinite().all() for value in built[0].values())


@pytest.mark.slow
@every_class_of_layer
def test_copies_pickles_and_state_dicts_come_back_equal(name: str) -> None:
    net, batch = ready(name), images(name, 1)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    loaded = build(name).eval()
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
    assert templates(on_meta(name)) == recorded[archzoo.find(name).name]


@pytest.mark.slow
@every_kind_of_graph
def test_evaluation_compiles_into_one_graph(name: str) -> None:
    net, batch = ready(name), images(name, 2)
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(net, backend="eager", fullgraph=True)(batch)
        assert torch.equal(compiled, net(batch))
    torch._dynamo.reset()


@pytest.mark.slow
@every_kind_of_graph
def test_evaluation_exports_for_any_batch(name: str) -> None:
    net = ready(name)
    many = {0: torch.export.Dim("batch", min=1, max=64)}
    with torch.no_grad():
        exported = torch.export.export(net, (images(name, 2),), dynamic_shapes=(many,)).module()
        for batch in (images(name, 2), images(name, 3)):
            assert (exported(batch) - net(batch)).norm() <= 1e-5 * net(batch).norm()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("1202", "1001"))])
def test_the_deepest_nets_are_counted_too(name: str) -> None:
    entry = archzoo.find(name)
    assert archzoo.profile(archzoo.build(name, device="meta"), entry.input_size).depth >= 1000
