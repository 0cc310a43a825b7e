import copy
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo import registry
from archzoo.layers import Net
from archzoo.models.stochastic_depth import PooledShortcut, StochasticBlock, survival_probabilities


def build(**options: Any) -> Net:
    net: Net = archzoo.build("stochastic_depth", **{"depth": 20, **options})
    return net


def blocks(net: Net) -> list[StochasticBlock]:
    return [module for module in net.modules() if isinstance(module, StochasticBlock)]


def ran(net: Net, images: torch.Tensor) -> list[bool]:
    """Which blocks one call of the network runs."""
    called: list[bool] = [False] * len(blocks(net))
    handles = [
        block.layers.register_forward_hook(lambda *_, i=i: called.__setitem__(i, True))
        for i, block in enumerate(blocks(net))
    ]
    net(images)
    for handle in handles:
        handle.remove()
    return called


def test_survival_falls_in_a_line_from_one_for_the_stem_to_the_last() -> None:
    assert survival_probabilities(4, 0.5, "linear") == [0.875, 0.75, 0.625, 0.5]
    assert survival_probabilities(3, 0.7, "uniform") == [0.7, 0.7, 0.7]
    net = archzoo.build("stochastic_depth_110", device="meta")
    assert [block.survival for block in blocks(net)] == survival_probabilities(54, 0.5, "linear")


def test_about_40_of_54_blocks_are_active_and_a_quarter_of_the_work_is_saved() -> None:
    active = sum(survival_probabilities(54, 0.5, "linear"))
    assert active == pytest.approx((3 * 54 - 1) / 4)  # Sec. 3
    assert round(active) == 40
    assert round(100 * (1 - active / 54)) == 25
    assert round(100 * (1 - sum(survival_probabilities(54, 0.2, "linear")) / 54), -1) == 40


def test_the_imagenet_net_has_50_blocks_and_the_one_for_svhn_75() -> None:
    assert len(blocks(archzoo.build("stochastic_depth_152", device="meta"))) == 50
    assert len(blocks(build(depth=152, device="meta"))) == 75


def test_a_dropped_block_is_not_run_and_its_statistics_stay() -> None:
    net = build(survival=0.3).train()
    before = {name: value.clone() for name, value in net.named_buffers()}
    called = ran(net, torch.randn(2, 3, 16, 16))
    assert 0 < sum(called) < len(called)
    for live, (name, block) in zip(
        called, [(n, m) for n, m in net.named_modules() if isinstance(m, StochasticBlock)], strict=True
    ):
        changed = any(not torch.equal(value, before[f"{name}.{part}"]) for part, value in block.named_buffers())
        assert changed == live


def test_gradients_reach_exactly_the_blocks_that_ran() -> None:
    net = build(survival=0.3).train()
    called: list[bool] = []
    net.register_forward_pre_hook(lambda *_: None)
    state = torch.get_rng_state()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    called = ran(copy.deepcopy(net), images)
    torch.set_rng_state(state)
    net(images).sum().backward()
    assert [all(p.grad is not None for p in block.layers.parameters()) for block in blocks(net)] == called
    assert [any(p.grad is not None for p in block.layers.parameters()) for block in blocks(net)] == called


def test_the_same_seed_drops_the_same_blocks_and_another_draw_others() -> None:
    net, images = build(survival=0.5).train(), torch.randn(2, 3, 16, 16)
    draws = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        draws.append(ran(net, images))
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) > 1


def test_blocks_survive_as_often_as_they_should() -> None:
    block = StochasticBlock(nn.Sequential(), nn.Identity(), 0.3)
    drawn = [block.survives() for _ in range(3000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.3, abs=0.04)


def test_evaluation_weighs_a_block_by_its_survival_and_training_does_not() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 2, 1))
    block = StochasticBlock(layers, nn.Identity(), 0.25)
    maps = torch.randn(2, 2, 3, 3).relu()
    torch.testing.assert_close(block.eval()(maps), (0.25 * layers(maps) + maps).relu())
    outcomes = [block.train()(maps) for _ in range(30)]
    full, none = (layers(maps) + maps).relu(), maps
    assert all(torch.allclose(out, full) or torch.allclose(out, none) for out in outcomes)


def test_the_shortcut_going_down_is_average_pooling_and_zero_maps() -> None:
    maps = torch.randn(1, 2, 4, 4)
    out = PooledShortcut(3)(maps)
    assert out.shape == (1, 5, 2, 2)
    assert out[0, 1, 0, 1].item() == pytest.approx(maps[0, 1, :2, 2:].mean().item())
    assert not out[:, 2:].any()
    shortcuts = [block.shortcut for block in blocks(archzoo.build("stochastic_depth_110", device="meta"))]
    assert sum(isinstance(shortcut, PooledShortcut) for shortcut in shortcuts) == 2
    assert not any(list(shortcut.parameters()) for shortcut in shortcuts)


@pytest.mark.slow
def test_a_draw_is_not_baked_into_a_graph() -> None:
    net, images = build(), torch.randn(2, 3, 16, 16)
    with pytest.raises(RuntimeError, match=r"draws its blocks anew.*eval\(\)"):
        torch.compile(net.train(), backend="eager", fullgraph=True)(images)
    with pytest.raises(RuntimeError, match=r"draws its blocks anew.*eval\(\)"):
        torch.export.export(net.train(), (images,))
    net.eval()
    torch.testing.assert_close(torch.compile(net, backend="eager", fullgraph=True)(images), net(images))


@pytest.mark.parametrize("survival", [0.0, 1.5, -0.1])
def test_a_survival_that_is_no_probability_is_refused(survival: float) -> None:
    with pytest.raises(archzoo.BadOption, match="survival must be more than 0 and at most 1"):
        build(survival=survival)


def test_the_printed_errors_are_of_networks_with_so_many_blocks() -> None:
    """Table 1: SVHN has the 152-layer net of basic blocks (README of the release: -N 25), ImageNet the bottlenecks."""
    printed = {
        (result.data, result.error): len(blocks(archzoo.build(result.name, device="meta", **result.options)))
        for result in registry.results("stochastic_depth*")
        if result.where == "Table 1" and "survival" not in result.options
    }
    assert printed == {
        ("cifar10+", 5.25): 54,
        ("cifar100+", 24.98): 54,
        ("svhn", 1.75): 75,
        ("imagenet top-1", 21.98): 50,
    }


def test_constant_depth_is_a_survival_of_one() -> None:
    constant = {result.error for result in registry.results("stochastic_depth*") if result.options.get("survival") == 1}
    assert constant == {6.41, 27.76, 1.80, 21.78, 23.06, 13.63, 44.74, 6.67}


def test_layers_start_as_in_the_authors_code_and_by_torch7s_defaults() -> None:
    """main.lua: nninit.kaiming, by fan-in; nothing for nn.Linear and the batch norms."""
    torch.manual_seed(0)
    net: Any = archzoo.build("stochastic_depth_110")
    going_down: Any = blocks(net)[36].layers.get_submodule("conv1")  # from 32 to 64 maps: fan-in and fan-out differ
    assert going_down.weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.03)
    for parameter in net.classifier.fc.parameters():
        assert 0.5 / 8 < parameter.abs().max() <= 1 / 8  # 64 inputs
    scales = torch.cat([layer.weight for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]).detach()
    assert (scales.min().item(), scales.max().item()) == pytest.approx((0, 1), abs=0.01)
    assert scales.mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_bias_before_a_batch_norm_never_learns() -> None:
    """Why convolutions without biases are the released network, whose biases start at zero."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).double().train()
    layers(torch.randn(5, 3, 8, 8, dtype=torch.float64)).square().sum().backward()
    weight, bias = (layers.get_parameter(f"0.{name}").grad for name in ("weight", "bias"))
    assert weight is not None
    assert bias is not None
    assert bias.abs().max() < 1e-9 < 1e-3 < weight.abs().max()


def test_svhn_tests_the_weights_of_the_lowest_validation_error() -> None:
    recipe = registry.find_recipe("stochastic_depth_svhn")
    assert (recipe.epochs, recipe.batch_size, recipe.select, recipe.augmentation) == (50, 128, "best", ())
