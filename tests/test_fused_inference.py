"""Networks on the CPU by fused operators: each rewrite alone, against the modules as they are."""

import copy
import inspect
import pickle
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archzoo.errors import InputError
from archzoo.inference import optimize
from archzoo.inference._fused_forward import FusedForward
from archzoo.inference._steps import FusedConv, select_maps
from archzoo.layers import ChannelShuffle, Select
from archzoo.models.squeezenet import squeezenet1_1
from archzoo.transfer import capture


def fused(net: nn.Module) -> FusedForward:
    forward = optimize(net).forward
    assert isinstance(forward, FusedForward)
    return forward


def kinds(net: nn.Module, maps: Tensor) -> Counter[str]:
    """How many steps of each class there are, after a comparison with the network."""
    forward = fused(net)
    with torch.no_grad():
        torch.testing.assert_close(forward(maps), net.eval()(maps), atol=1e-5, rtol=1e-4)
    assert forward.program is not None
    return Counter(type(step.run).__name__ for step in forward.program.steps)


def convs(net: nn.Module, maps: Tensor) -> list[FusedConv]:
    forward = fused(net)
    with torch.no_grad():
        forward(maps)
    assert forward.program is not None
    return forward.program.convs


class Branches(nn.Module):
    """Two convolutions of one input, joined by a function."""

    def __init__(self, outputs: Sequence[int] = (4, 4)) -> None:
        super().__init__()
        self.left, self.right = (nn.Conv2d(3, count, 3, padding=1) for count in outputs)


class Bounded(Branches):
    """ReLU6 of a convolution, which is one operator, and of a sum, which is two."""

    def __init__(self) -> None:
        super().__init__()
        self.relu6 = nn.ReLU6(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        return self.relu6(self.left(100 * maps)) + F.relu6(self.right(100 * maps) + self.left(-100 * maps))


class Sum(Branches):
    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.left(maps) + self.right(maps))


class SumOfInput(nn.Module):
    """Adds the network's own input, which must stay as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.conv(maps) + maps)


class ReadTwice(Branches):
    """The summand is read again after the sum."""

    def forward(self, maps: Tensor) -> Tensor:
        left = self.left(maps)
        return torch.relu(self.right(maps) + left) * left


class Broadcast(Branches):
    """What is added has another shape than the convolution's maps."""

    def forward(self, maps: Tensor) -> Tensor:
        return self.left(maps) + self.right(maps).mean((2, 3), keepdim=True)


class WrittenBetween(Branches):
    """The input of a convolution is overwritten between it and the addition that would compute it."""

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps * 1
        left = self.left(maps)
        right = self.right(maps.relu_())
        return left + right


class Fire(Branches):
    """A ReLU of concatenated maps, pooled, and read by a narrow convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.squeeze = nn.MaxPool2d(2), nn.Conv2d(8, 2, 1)

    def forward(self, maps: Tensor) -> Tensor:
        joined = torch.relu(torch.cat([self.left(maps), self.right(maps)], 1))
        return torch.relu(self.squeeze(self.pool(joined)))


class Twice(Branches):
    """The same maps twice in one concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(8, 2, 1)

    def forward(self, maps: Tensor) -> Tensor:
        left = self.left(maps)
        return self.squeeze(torch.cat([left, left], 1))


class Dense(nn.Module):
    """Concatenations that grow, whose first maps and last but one are read at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 + 2 * i, 2, 1) for i in range(3))

    def forward(self, maps: Tensor) -> Tensor:
        joined = [maps]
        for conv in self.convs:
            joined.append(torch.cat([joined[-1], conv(torch.sigmoid(joined[-1]))], 1))
        return torch.cat([joined[3], joined[0], joined[2]], 1)


class Shuffled(nn.Module):
    """A ReLU of shuffled maps, and one of maps that are read before it too."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList((nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1, groups=2), nn.Conv2d(6, 6, 1, groups=2)))
        self.shuffle, self.other_shuffle = ChannelShuffle(3), nn.ChannelShuffle(2)

    def forward(self, maps: Tensor) -> Tensor:
        first = F.relu6(self.shuffle(self.convs[0](8 * maps)))
        second = self.other_shuffle(self.convs[1](first))
        return self.convs[2](torch.relu(second)) - second


class Selected(nn.Module):
    """Maps by their places: in an index layer, of a part of a buffer, by a function and a method; and features."""

    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.select = Select(torch.tensor([2, 0, 2, 1]), 3)
        self.convs = nn.ModuleList((nn.Conv2d(4, 2, 1), nn.Conv2d(5, 2, 3, padding=1)))
        self.features = Select(torch.tensor([0, 6, 3]), 7)
        self.register_buffer("places", torch.tensor([4, 4, 0, 1, 2]))

    def forward(self, maps: Tensor) -> Tensor:
        joined = torch.cat([maps, self.convs[0](self.select(maps))], 1)
        joined = torch.cat([joined, self.convs[1](torch.index_select(joined, 1, self.places))], 1)
        joined = torch.index_select(joined, dim=1, index=torch.arange(7).flip(0))
        return self.features(joined.index_select(1, index=torch.arange(7)).mean((2, 3)))


MAPS = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        # The products, the sum that is bounded, the bound of it, and the last sum.
        (Bounded(), {"FusedConv": 3, "function": 1, "builtin_function_or_method": 4}),
        (Sum(), {"FusedConv": 2}),  # the addition and the ReLU are gone
        (SumOfInput(), {"FusedConv": 1}),
        (ReadTwice(), {"FusedConv": 2, "builtin_function_or_method": 1}),  # the product
        (Fire(), {"FusedConv": 4, "MaxPool2d": 2}),  # no concatenation, the squeeze layer in two parts
        (Twice(), {"FusedConv": 2, "builtin_function_or_method": 1}),
        # The product before, the ReLU of what is read twice, and the difference.
        (Shuffled(), {"FusedConv": 3, "ChannelShuffle": 2, "builtin_function_or_method": 3}),
        (Dense(), {"FusedConv": 3, "builtin_function_or_method": 4, "StartBuffer": 1, "Append": 3}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_each_rewrite_computes_the_same_in_fewer_steps(net: nn.Module, expected: dict[str, int]) -> None:
    before = MAPS.clone()
    assert kinds(net, MAPS) == Counter(expected)
    assert torch.equal(MAPS, before)


@pytest.mark.parametrize("net", [Broadcast(), WrittenBetween()], ids=lambda net: type(net).__name__)
def test_what_cannot_be_fused_is_computed_as_it_is(net: nn.Module) -> None:
    """A summand of another shape is broadcast, and an input that is written stays in its order."""
    kinds(net, MAPS)


def test_steps_that_fail_where_the_modules_run_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(program: object, maps: Tensor) -> None:
        raise RuntimeError("could not create a primitive")

    net = Sum().eval()
    forward = fused(net)
    monkeypatch.setattr("archzoo.inference._steps.Program.__call__", fail)
    with torch.no_grad():
        torch.testing.assert_close(forward(MAPS), net(MAPS))
    assert forward.program is not None
    assert not forward.program.steps


def test_what_reads_the_signature_sees_the_networks_own() -> None:
    forward = fused(Sum())
    assert inspect.signature(forward) == inspect.signature(Sum().forward)
    assert forward.__code__ is Sum.forward.__code__


def test_only_a_summand_that_nobody_reads_again_is_overwritten() -> None:
    assert [conv.inplace for conv in convs(Sum(), MAPS)] == [False, True]
    assert not any(conv.inplace for net in (SumOfInput(), ReadTwice()) for conv in convs(net, MAPS))


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.AvgPool2d(3, 2, ceil_mode=True)])
def test_a_pooled_1x1_convolution_pools_first(pool: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 1), pool)
    forward = fused(net)
    with torch.no_grad():
        torch.testing.assert_close(forward(MAPS), net(MAPS))
    assert forward.program is not None
    assert [type(step.run) for step in forward.program.steps] == [nn.AvgPool2d, FusedConv]


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(3, 5, 1), nn.AvgPool2d(2, padding=1)),  # the border has no bias
        (nn.Conv2d(3, 5, 1), nn.AvgPool2d(2, divisor_override=3)),
        (nn.Conv2d(3, 5, 1), nn.ReLU(), nn.AvgPool2d(2)),
        (nn.Conv2d(3, 5, 3), nn.AvgPool2d(2)),
        (nn.Conv2d(3, 5, 3, padding="same"), nn.ReLU()),
        (nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
        (nn.Conv2d(3, 6, 3, stride=2, groups=3), nn.ReLU(), nn.Conv2d(6, 4, 2, dilation=2, bias=False)),
        (nn.Conv2d(3, 6, 3), nn.ReLU6(), nn.Flatten(), nn.LazyLinear(4)),
    ],
    ids=str,
)
def test_other_layers_compute_the_same(layers: tuple[nn.Module, ...]) -> None:
    net = nn.Sequential(*layers)
    net(MAPS)  # a lazy layer gets its size
    with torch.no_grad():
        torch.testing.assert_close(fused(net)(MAPS), net(MAPS))


@pytest.mark.slow
def test_any_batch_and_size_runs_and_writes_to_weights_count() -> None:
    net = squeezenet1_1().eval()
    fast = optimize(net)
    with torch.no_grad():
        for shape in ((1, 3, 32, 32), (3, 3, 64, 48), (2, 3, 32, 32)):
            images = torch.randn(shape)
            torch.testing.assert_close(fast(images), net(images))
        for either in (net, fast):
            either.get_parameter("features.conv1.weight").mul_(2)
        torch.testing.assert_close(fast(images), net(images))
        fast.load_state_dict(squeezenet1_1().state_dict())
        assert not torch.allclose(fast(images), net(images))
        torch.testing.assert_close(fast.double()(images.double()), type(fast).forward(fast, images.double()))


def test_weights_are_packed_for_the_size_of_the_maps() -> None:
    """oneDNN reorders weights that are packed for maps of another size at every call, for longer than it computes."""
    fast: Any = optimize(Sum())
    with torch.no_grad():
        for side in (8, 12):
            fast(torch.randn(1, 3, side, side))
            assert [conv.size for conv in fast.forward.program.convs] == [(side, side)] * 2


def test_copies_and_pickles_stand_alone() -> None:
    fast: Any = optimize(Sum())
    with torch.no_grad():
        expected = fast(MAPS)
        for other in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
            assert other.forward.net is other
            fast.left.weight.zero_()
            assert torch.allclose(other(MAPS), expected)
            fast.load_state_dict(other.state_dict())


def test_whoever_watches_sees_the_modules() -> None:
    net = squeezenet1_1()
    fast = optimize(net)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        fast(images)
        with capture(fast, ["features.conv1"]) as maps:
            fast(images)
        assert maps["features.conv1"].shape == (1, 64, 15, 15)
        counted = []
        for either in (net.eval(), fast):
            with FlopCounterMode(display=False) as counter:
                either(images)
            counted.append(counter.get_total_flops())
    assert counted[0] == counted[1] > 0
    trained = optimize(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.5))).train()
    with torch.no_grad():
        assert (trained(MAPS) == 0).any()  # dropout, in training mode


def test_gradients_of_images_and_parameters_flow() -> None:
    fast: Any = optimize(Sum())
    maps = MAPS.clone().requires_grad_()
    fast(maps).sum().backward()
    assert maps.grad is not None
    assert fast(MAPS).requires_grad is False
    fast.requires_grad_(True)(MAPS).sum().backward()
    assert fast.left.weight.grad is not None


def test_images_that_do_not_fit_get_the_networks_explanation() -> None:
    with torch.no_grad(), pytest.raises(InputError, match="expected images of 3 channels, not 4"):
        optimize(squeezenet1_1())(torch.randn(1, 4, 32, 32))


class Hidden(nn.Module):
    """A convolution that a part which cannot be traced uses too."""

    class Part(nn.Module):
        def __init__(self, conv: nn.Module) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, maps: Tensor) -> Tensor:
            return self.conv(maps) if maps.abs().sum() > 0 else self.conv(-maps)

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.part = self.Part(self.conv)
        nn.init.constant_(self.norm.weight, 3)

    def forward(self, maps: Tensor) -> Tensor:
        return self.norm(self.conv(maps)) + self.part(maps)


class Option(nn.Module):
    """A branch that an argument chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        nn.init.constant_(self.norm.weight, 3)

    def forward(self, maps: Tensor, normalize: bool = True) -> Tensor:
        return self.norm(self.conv(maps)) if normalize else self.conv(maps)


def test_a_layer_with_uses_that_no_trace_shows_is_not_folded() -> None:
    hidden, option = Hidden().eval(), Option().eval()
    with torch.no_grad():
        torch.testing.assert_close(optimize(hidden)(MAPS), hidden(MAPS))
        fast = optimize(option)
        for normalize in (True, False):
            torch.testing.assert_close(fast(MAPS, normalize=normalize), option(MAPS, normalize=normalize))


class Decides(nn.Module):
    """What runs depends on a value, so that nothing can be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.conv(maps) * float(maps.abs().sum())


def test_a_network_that_cannot_be_traced_runs_as_it_is() -> None:
    net = Decides().eval()
    with torch.no_grad():
        torch.testing.assert_close(optimize(net)(MAPS), net(MAPS))


def test_maps_are_selected_in_the_order_of_channels_last() -> None:
    net = Selected().eval()
    steps = kinds(net, MAPS)
    assert (steps["SelectMaps"], steps["StartBuffer"], steps["Append"]) == (2, 1, 2)
    program = fused(net)
    with torch.no_grad():
        program(MAPS)
    assert program.program is not None
    assert [step.run for step in program.program.steps].count(select_maps) == 3
    fast = optimize(net)
    with torch.no_grad():
        fast(MAPS)
        for either in (net, fast):
            either.get_buffer("select.index").copy_(torch.tensor([1, 1, 0, 2]))
        torch.testing.assert_close(fast(MAPS), net(MAPS))
    maps = MAPS.contiguous(memory_format=torch.channels_last)
    index = torch.tensor([2, 2, 0, 1, 0])
    selected = select_maps(maps[:, :, 1:, :5], index)
    assert torch.equal(selected, maps[:, :, 1:, :5].index_select(1, index))
    assert selected.is_contiguous(memory_format=torch.channels_last)


class Chaotic(nn.Module):
    """Maps grow a hundredfold from layer to layer, since the statistics do not fit: the sine shows their rounding."""

    def __init__(self) -> None:
        super().__init__()
        layers = [(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)) for _ in range(6)]
        for conv, _ in layers:
            nn.init.uniform_(conv.weight, 10, 100)
        self.layers = nn.Sequential(*(layer for pair in layers for layer in pair))

    def forward(self, maps: Tensor) -> Tensor:
        return self.layers(maps).sin()


def test_rounding_that_grows_is_not_taken_for_another_function(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Chaotic().eval()
    changed = torch.nextafter(MAPS, MAPS + 1)
    with torch.no_grad():
        assert (net(changed) - net(MAPS)).norm() > 0.1 * net(MAPS).norm()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast = optimize(net)
    assert isinstance(fast.forward, FusedForward)
    assert all(isinstance(layer, nn.Conv2d | nn.Identity) for layer in fast.get_submodule("layers").children())
    monkeypatch.setattr("archzoo.inference._folding.fuse_conv_bn_eval", lambda conv, norm: conv)
    for layer in net.layers.children():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.weight, 1.5)
    with pytest.warns(UserWarning, match="nothing is folded"):
        optimize(net)


def test_a_fold_that_changes_the_function_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    nn.init.constant_(net[1].weight, 3.0)  # type: ignore[arg-type]
    monkeypatch.setattr("archzoo.inference._folding.fuse_conv_bn_eval", lambda conv, norm: conv)
    with pytest.warns(UserWarning, match="nothing is folded"):
        fast = optimize(net)
    with torch.no_grad():
        torch.testing.assert_close(fast(MAPS), net(MAPS))


class TwoInputs(nn.Module):
    """A linear layer for one input of floats and an embedding for one of integers, given by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.embedding = nn.Linear(3, 2), nn.Embedding(5, 2)

    def forward(self, values: Tensor, indices: Tensor) -> Tensor:
        return self.linear(values) + self.embedding(indices)


def test_several_inputs_and_integers_are_taken() -> None:
    net, values, indices = TwoInputs(), torch.randn(4, 3), torch.tensor([0, 1, 2, 4])
    with torch.no_grad():
        expected = net(values, indices)
        torch.testing.assert_close(optimize(net)(values, indices=indices), expected)
        torch.testing.assert_close(optimize(net, dtype=torch.float64)(values, indices=indices).float(), expected)
        torch.testing.assert_close(optimize(net, compile="freeze")(values, indices), expected)
