"""What no count of FractalNet can show: who meets whom, what is drawn, and that only what is drawn is run."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo import registry
from archzoo.layers import Conv2d, Linear, Net
from archzoo.models.fractalnet import (
    Block,
    DropPath,
    Fractal,
    Fractals,
    Kept,
    Plan,
    every_column,
    global_drop_path,
    local_drop_path,
    plain_column,
    walk_back,
)
from archzoo.recipes import Duration
from tests.networks import EVERY_NET


def small(columns: int = 3, **options: Any) -> Net:
    """Two blocks for images of 4x4."""
    torch.manual_seed(0)
    net: Net = archzoo.build("fractalnet", columns=columns, widths=(6, 8), num_classes=5, **options)
    return net


def fractals(net: Net) -> Fractals:
    assert isinstance(net.features, Fractals)
    return net.features


def blocks(net: Net) -> list[Block]:
    return [block for block in fractals(net).blocks if isinstance(block, Block)]


def in_double(net: Net) -> Net:
    """Float64, with running statistics that change the function, and batch norms that use them while paths drop."""
    net.double().train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2.0)
            module.eval()
        elif isinstance(module, nn.Dropout):
            module.eval()
    return net


def images(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def only(column: int, columns: int) -> Kept:
    """Which columns a join keeps: this one."""
    return tuple(c == column for c in range(1, columns + 1))


@contextmanager
def fixed_draws(net: Net, column: int) -> Iterator[None]:
    """Every global draw takes this column."""
    columns = fractals(net).columns

    def keep(meeting: int) -> Kept:
        return only(column, columns)[columns - meeting :]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DropPath, "draw", lambda self, columns: keep)
        yield


@contextmanager
def convolutions_run(net: Net) -> Iterator[list[str]]:
    """The names of the convolutions in the order in which they run."""
    ran: list[str] = []
    names = {module: name for name, module in net.named_modules() if isinstance(module, Conv2d)}
    handles = [module.register_forward_hook(lambda module, _, __: ran.append(names[module])) for module in names]
    yield ran
    for handle in handles:
        handle.remove()


# The fractal


def conv_grid(fractal: Fractal, z: Tensor, columns: int) -> list[Tensor]:
    """The grid of the authors' figure, without recursion: row by row, column c has a layer every 2^(C-c) rows."""
    layers = [iter(fractal.column(c)) for c in range(1, columns + 1)]
    last = [z] * columns
    rows = 2 ** (columns - 1)
    for row in range(1, rows + 1):
        meeting = [c for c in range(columns) if row % 2 ** (columns - 1 - c) == 0]
        for c in meeting:
            last[c] = next(layers[c])(last[c])
        if row < rows:
            joined = torch.stack([last[c] for c in meeting]).mean(0)
            for c in meeting:
                last[c] = joined
    return last


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_the_recursion_is_the_grid_of_the_figure(columns: int) -> None:
    net = in_double(small(columns)).eval()
    fractal = blocks(net)[0].fractal
    everything = walk_back(every_column(columns), every_column)
    for ours, theirs in zip(fractal(images(), everything), conv_grid(fractal, images(), columns), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 6])
def test_column_c_has_2_to_the_c_minus_1_convolutions(columns: int) -> None:
    with torch.device("meta"):
        fractal = Fractal(columns, 3, 4, 0.0)
    lengths = [len(fractal.column(c)) for c in range(1, columns + 1)]
    assert lengths == [2 ** (c - 1) for c in range(1, columns + 1)]
    assert sum(isinstance(module, Conv2d) for module in fractal.modules()) == 2**columns - 1


@pytest.mark.parametrize(("columns", "printed"), [(3, 20), (4, 40), (5, 80), (6, 160)])
def test_the_deepest_path_has_the_printed_number_of_convolutions(columns: int, printed: int) -> None:
    with torch.device("meta"):
        deepest = plain_column(archzoo.build("fractalnet", columns=columns), columns)
    assert sum(isinstance(module, Conv2d) for module in deepest.modules()) == printed


def test_the_first_convolution_of_every_column_widens() -> None:
    for c in (1, 2, 3):
        layers: list[Any] = list(blocks(small())[1].fractal.column(c))
        first, *others = [layer[0] for layer in layers]
        assert (first.in_channels, first.out_channels) == (6, 8)
        assert all((conv.in_channels, conv.out_channels) == (8, 8) for conv in others)


def test_a_layer_is_convolution_dropout_batch_norm_relu() -> None:
    kinds = [type(part) for part in blocks(small())[1].fractal.conv]
    assert kinds == [Conv2d, nn.Dropout, nn.BatchNorm2d, nn.ReLU]


def test_convolutions_have_a_bias_and_batch_norms_neither_scale_nor_shift() -> None:
    for module in fractals(small()).modules():
        if isinstance(module, Conv2d):
            assert module.bias is not None
        if isinstance(module, nn.BatchNorm2d):
            assert not module.affine


def test_dropout_grows_from_block_to_block() -> None:
    with torch.device("meta"):
        net = archzoo.build("fractalnet20")
    rates = [{m.p for m in block.modules() if isinstance(m, nn.Dropout)} for block in blocks(net)]
    assert rates == [set(), {0.1}, {0.2}, {0.3}, {0.4}]


def test_columns_are_pooled_before_they_are_joined_unless_asked_otherwise() -> None:
    ours, swapped = in_double(small(2)).eval(), in_double(small(2, join_first=True)).eval()
    swapped.load_state_dict(ours.state_dict())
    pool, both = nn.MaxPool2d(2), walk_back((True, True), every_column)
    shallow, deep = blocks(ours)[0].fractal(images(), both)
    assert torch.equal(blocks(ours)[0](images(), both), (pool(shallow) + pool(deep)) / 2)
    assert torch.equal(blocks(swapped)[0](images(), both), pool((shallow + deep) / 2))
    assert not torch.allclose(ours(images()), swapped(images()))


def test_weights_are_uniform_with_variance_one_over_fan_in() -> None:
    torch.manual_seed(0)
    net = archzoo.build("fractalnet", columns=2, widths=(64, 64))
    conv = blocks(net)[1].fractal.conv[0]
    assert isinstance(conv, Conv2d)
    assert conv.bias is not None
    bound = math.sqrt(3 / (64 * 9))
    assert 0.99 * bound < conv.weight.abs().max() <= bound
    assert conv.weight.var().item() == pytest.approx(1 / (64 * 9), rel=0.03)
    assert not conv.bias.any()


def test_fractalnet34_sees_the_maps_of_resnet34() -> None:
    with torch.device("meta"):
        ours = archzoo.profile(archzoo.build("fractalnet34"), (3, 224, 224))
        resnet = archzoo.profile(archzoo.build("resnet34"), (3, 224, 224))
    assert ours.sides() == resnet.sides()
    assert ours.at("features").output == (1024, 7, 7)


# Drop-path


def test_a_join_never_loses_every_input() -> None:
    torch.manual_seed(0)
    keep = local_drop_path(0.9)
    assert all(any(keep(meeting)) for meeting in (1, 2, 3) for _ in range(500))


def test_a_join_drops_each_input_with_the_printed_probability_and_revives_evenly() -> None:
    torch.manual_seed(0)
    p, draws = 0.4, 20_000
    keep = local_drop_path(p)
    seen = Counter(keep(2) for _ in range(draws))
    alone = p * (1 - p) + p * p / 2
    for kept, expected in {(True, True): (1 - p) ** 2, (True, False): alone, (False, True): alone}.items():
        assert seen[kept] / draws == pytest.approx(expected, abs=4 * math.sqrt(expected / draws))


def test_a_global_draw_takes_the_same_column_in_every_block() -> None:
    net = small(4, global_share=1.0).train()
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        with convolutions_run(net) as ran:
            net(images().float())
        first, second = ([name.partition(".fractal.")[2] for name in ran if f"block{n}" in name] for n in (1, 2))
        assert first == second
        seen.add(len(first))
    assert seen == {1, 2, 4, 8}


def test_global_draws_take_all_columns_evenly() -> None:
    torch.manual_seed(0)
    seen = Counter(global_drop_path(4)(4).index(True) for _ in range(4000))
    assert all(count == pytest.approx(1000, abs=110) for count in seen.values())
    assert set(seen) == {0, 1, 2, 3}


def test_half_of_the_mini_batches_are_global() -> None:
    torch.manual_seed(0)
    drop_path = fractals(small()).drop_path
    globally = sum(sum(drop_path.draw(200)(200)) == 1 for _ in range(1000))
    assert globally == pytest.approx(500, abs=60)


@pytest.mark.slow
def test_a_step_of_four_columns_runs_little_more_than_half_of_the_convolutions() -> None:
    torch.manual_seed(0)
    drop_path = DropPath(0.15, 0.5)

    def run(plan: Plan) -> int:
        return plan.columns[0] + (sum(map(run, plan.halves)) if plan.halves else 0)

    def one_step() -> int:
        keep = drop_path.draw(4)
        return run(walk_back(keep(4), keep))

    share = Fraction(sum(one_step() for _ in range(4000)), 4000 * 15)
    assert share < Fraction(56, 100)
    assert run(walk_back(every_column(4), every_column)) == 15


def all_columns(fractal: Fractal, z: Tensor, plan: Plan | None) -> list[Tensor]:
    """All columns, run whether anybody reads them or not; joins mask what the plan drops."""
    columns: list[Tensor] = [fractal.conv(z)]
    if fractal.first is not None and fractal.second is not None:
        first, second = plan.halves if plan and plan.halves else (None, None)
        middle = masked(all_columns(fractal.first, z, first), first)
        columns += all_columns(fractal.second, middle, second)
    return columns


def masked(columns: list[Tensor], plan: Plan | None) -> Tensor:
    kept = torch.tensor(plan.columns if plan else [False] * len(columns), dtype=torch.float64)
    weighed = kept.view(-1, 1, 1, 1, 1) * torch.stack(columns)
    return weighed.sum(0) / kept.sum().clamp(min=1)


@pytest.mark.slow
@pytest.mark.parametrize("join_first", [False, True])
@pytest.mark.parametrize("columns", [2, 3, 4])
def test_running_what_lives_equals_running_everything_and_masking(columns: int, join_first: bool) -> None:
    net = in_double(small(columns, join_first=join_first, drop_path=0.4))
    features = fractals(net)
    for seed in range(30 if EVERY_NET else 8):
        torch.manual_seed(seed)
        ours = net(images())
        torch.manual_seed(seed)
        keep = features.drop_path.draw(columns)
        plans = [walk_back(keep(columns), keep) for _ in features.blocks]
        maps = images()
        for block, plan in zip(blocks(net), plans, strict=True):
            ends = all_columns(block.fractal, maps, plan)
            maps = block.pool(masked(ends, plan)) if join_first else masked([block.pool(end) for end in ends], plan)
        torch.testing.assert_close(ours, net.classifier(maps), rtol=1e-12, atol=1e-12)
        got, expected = (
            torch.autograd.grad(logits.sum(), list(net.parameters()), allow_unused=True)
            for logits in (ours, net.classifier(maps))
        )
        for mine, theirs in zip(got, expected, strict=True):
            assert theirs is not None
            torch.testing.assert_close(torch.zeros_like(theirs) if mine is None else mine, theirs)


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_gradients_reach_exactly_the_layers_that_ran(columns: int) -> None:
    net = small(columns, drop_path=0.4).train()
    for seed in range(12):
        torch.manual_seed(seed)
        net.zero_grad(set_to_none=True)
        with convolutions_run(net) as ran:
            net(images(4).float()).square().sum().backward()
        reached = {name.rpartition(".")[0] for name, p in net.features.named_parameters() if p.grad is not None}
        assert reached == {name.removeprefix("features.") for name in ran}
        assert all(p.grad.any() for n, p in net.named_parameters() if p.grad is not None and n.endswith("weight"))


def test_the_same_seed_gives_the_same_function() -> None:
    net = small(4).train()
    outputs = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        outputs.append(net(images().float()))
    assert torch.equal(outputs[0], outputs[1])
    assert any(not torch.equal(outputs[0], other) for other in outputs[2:])


def test_evaluation_joins_everything_and_draws_nothing() -> None:
    net = small(3).eval()
    before = torch.get_rng_state()
    with convolutions_run(net) as ran:
        net(images().float())
    assert len(ran) == 2 * 7
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("options", [{"drop_path": 0.0}, {"columns": 1}])
def test_without_drop_path_or_with_one_column_training_runs_everything(options: dict[str, Any]) -> None:
    net = small(**{"columns": 3, "drop": 0.0, **options}).train()
    before = torch.get_rng_state()
    with convolutions_run(net) as ran:
        net(images().float())
    assert len(ran) == sum(isinstance(module, Conv2d) for module in net.modules())
    assert torch.equal(before, torch.get_rng_state())


def test_statistics_of_layers_that_did_not_run_stay() -> None:
    net = small(3).train()
    with fixed_draws(net, 1):
        net(images().float())
    steps = {n: int(b) for n, b in net.named_buffers() if n.endswith("num_batches_tracked")}
    assert {name for name, count in steps.items() if count} == {
        f"features.blocks.block{n}.fractal.conv.bn.num_batches_tracked" for n in (1, 2)
    }


# Columns of their own


@pytest.mark.parametrize("join_first", [False, True])
@pytest.mark.parametrize("column", [1, 2, 3, 4])
def test_a_plain_column_is_what_the_net_computes_when_every_join_keeps_it(column: int, join_first: bool) -> None:
    net = in_double(small(4, join_first=join_first))
    with fixed_draws(net, column):
        expected = net(images())
    assert torch.equal(plain_column(net, column).eval()(images()), expected)


def test_a_plain_column_shares_nothing_and_keeps_the_mode() -> None:
    net = small(3).train()
    column = plain_column(net, 3)
    assert column.training
    ours = {tensor.data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    assert not ours & {tensor.data_ptr() for tensor in (*column.parameters(), *column.buffers())}
    assert not plain_column(net.eval(), 1).training


def test_a_plain_column_is_deterministic_in_evaluation_and_needs_no_draw_in_training() -> None:
    column = plain_column(small(3, drop=0.0), 2).train()
    before = torch.get_rng_state()
    column(images().float())
    assert torch.equal(before, torch.get_rng_state())


def test_a_plain_column_of_fractalnet34_keeps_its_stem() -> None:
    with torch.device("meta"):
        column = plain_column(archzoo.build("fractalnet34"), 4)
        assert archzoo.profile(column, (3, 224, 224)).depth == 34


def test_plain_column_refuses_what_has_no_such_column() -> None:
    with pytest.raises(ValueError, match="at most 3, the deepest, not 4"):
        plain_column(small(3), 4)
    with pytest.raises(ValueError, match="takes a FractalNet, not a network of Sequential"):
        plain_column(archzoo.build("resnet20"), 1)


# Graphs and refusals


@pytest.mark.parametrize("strict", [False, True])
def test_a_net_that_draws_paths_is_not_exported(strict: bool) -> None:
    with pytest.raises(RuntimeError, match="draws its paths anew for each mini-batch"):
        torch.export.export(small().train(), (images().float(),), strict=strict)


def test_a_net_that_draws_paths_is_not_compiled_into_one_graph() -> None:
    with pytest.raises(RuntimeError, match="draws its paths anew for each mini-batch"):
        torch.compile(small().train(), backend="eager", fullgraph=True)(images().float())


def test_channels_last_stays_channels_last() -> None:
    block = blocks(small(3).eval())[0]
    out = block(images().float().to(memory_format=torch.channels_last), walk_back((True,) * 3, every_column))
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("side", [16, 31, 64])
def test_images_that_do_not_shrink_to_one_position_are_refused(side: int) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=f"images of {side}x{side} do not fit.*32x32"):
        archzoo.build("fractalnet20").eval()(torch.empty(1, 3, side, side))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 0}, "columns must be at least 1, not 0"),
        ({"widths": ()}, "the number of widths must be at least 1"),
        ({"widths": (8, 0)}, "widths must be at least 1, not 0"),
        ({"drop": (0.1, 0.2)}, "one for each of the widths, not 2"),
        ({"drop": 1.0}, "drop must be at least 0 and less than 1, not 1.0"),
        ({"drop_path": 1.0}, "drop_path must be at least 0 and less than 1, not 1.0"),
        ({"global_share": 1.5}, "global_share must be at least 0 and at most 1, not 1.5"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with torch.device("meta"), pytest.raises(archzoo.BadOption, match=message):
        archzoo.build("fractalnet", **options)


# Training


def test_biases_learn_at_twice_the_rate_and_do_not_decay() -> None:
    """generation/globals.crox of the release: LR2 is 2, and the decay of biases is 0."""
    net = small()
    biases = {f"{name}.bias" for name, layer in net.named_modules() if isinstance(layer, Conv2d | Linear)}
    for name in ("fractalnet_cifar", "fractalnet_svhn", "fractalnet_imagenet"):
        (group,) = registry.find_recipe(name).groups
        assert (group.lr_mult, group.decay_mult) == (2, 0)
        assert {parameter for parameter, _ in net.named_parameters() if group.matches(parameter)} == biases


def test_svhn_takes_20_epochs_and_the_rate_falls_whenever_the_rest_halves() -> None:
    """Sec. 4.1: 400 epochs on CIFAR, 20 on SVHN, from 0.02 in batches of 100."""
    recipe = registry.find_recipe("fractalnet_svhn")
    assert (recipe.data, recipe.epochs, recipe.lr, recipe.batch_size) == ("svhn", 20, 0.02, 100)
    assert recipe.augmentation == ()
    factors = [recipe.schedule.factor(iteration, Duration(80, 4)) for iteration in (39, 40, 59, 60, 69, 70, 74, 75)]
    assert factors == pytest.approx([1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001])


def test_errors_are_printed_with_and_without_dropping() -> None:
    """Table 1, and DenseNet's Table 2: C10, C10+, C100, C100+ and SVHN."""
    dropped = {result.error for result in registry.results("fractalnet20") if not result.options}
    plain = [result for result in registry.results("fractalnet20") if result.options]
    assert dropped == {7.33, 4.60, 28.20, 23.73, 1.87}
    assert {result.error for result in plain} == {10.18, 5.22, 35.34, 23.30, 2.01}
    net = archzoo.build("fractalnet20", device="meta", **plain[0].options)
    assert not [layer for layer in net.modules() if isinstance(layer, nn.Dropout)]
    assert fractals(net).drop_path.rate == 0
