import copy
import threading
from math import prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archzoo
from archzoo import profile
from archzoo.profiler import ProfileError
from archzoo.profiler.operators import SHAPES


def conv_nets() -> st.SearchStrategy[tuple[nn.Module, tuple[int, int, int]]]:
    """Small stacks of convolutions, plain, grouped, dilated, strided and transposed, and an input that fits."""

    @st.composite
    def draw(pick: st.DrawFn) -> tuple[nn.Module, tuple[int, int, int]]:
        channels = first = pick(st.sampled_from([2, 4, 6]))
        layers: list[nn.Module] = []
        for _ in range(pick(st.integers(1, 4))):
            groups = pick(st.sampled_from([1, 2]))
            out = pick(st.sampled_from([2, 4, 8]))
            kernel, stride, bias = pick(st.integers(1, 3)), pick(st.integers(1, 2)), pick(st.booleans())
            if pick(st.booleans()):
                dilation = pick(st.integers(1, 2))
                layers.append(nn.Conv2d(channels, out, kernel, stride, 2, dilation, groups, bias))
            else:
                layers.append(nn.ConvTranspose2d(channels, out, kernel, stride, groups=groups, bias=bias))
            if pick(st.booleans()):
                layers += [nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        return nn.Sequential(*layers), (first, pick(st.integers(5, 9)), pick(st.integers(5, 9)))

    return draw()


def macs_by_formula(net: nn.Module, size: tuple[int, ...]) -> int:
    """Layer by layer, from the shapes that a real run gives."""
    total = 0
    maps = torch.zeros(1, *size)
    for layer in net.children():
        before, maps = maps, layer(maps)
        if isinstance(layer, nn.Conv2d):
            total += maps.numel() * layer.in_channels // layer.groups * prod(layer.kernel_size)
        elif isinstance(layer, nn.ConvTranspose2d):
            total += before.numel() * layer.out_channels // layer.groups * prod(layer.kernel_size)
    return total


@settings(max_examples=60, deadline=None)
@given(conv_nets())
def test_random_nets_count_as_the_formula_and_as_torch_does(made: tuple[nn.Module, tuple[int, int, int]]) -> None:
    net, size = made
    net.eval()
    counted = profile(net, size)
    with FlopCounterMode(display=False) as torchs, torch.no_grad():
        net(torch.zeros(1, *size))
    assert counted.macs == macs_by_formula(net, size) == torchs.get_total_flops() // 2
    assert counted.flops == 2 * counted.macs
    assert counted.params == sum(parameter.numel() for parameter in net.parameters())
    assert not counted.unknown


class TwoHeads(nn.Module):
    """One layer used twice, one parameter shared, an einsum, a functional convolution, attention, and a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.first = nn.Linear(4, 8, bias=False)
        self.second = nn.Linear(4, 8, bias=False)
        self.second.weight = self.first.weight
        self.kernel = nn.Parameter(torch.zeros(4, 4, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.conv2d(self.twice(self.twice(maps)), self.kernel)
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = F.scaled_dot_product_attention(tokens, tokens, tokens)
        return torch.einsum("nti,nui->ntu", self.first(tokens), self.second(tokens)) @ tokens


def test_what_others_miss_is_counted() -> None:
    counted = profile(TwoHeads(), (4, 5, 5))
    t = 25
    twice, kernel, heads = 2 * t * 4 * 4 * 9, t * 4 * 4, 2 * t * 4 * 8
    attention, einsum, product = 2 * t * t * 4, t * t * 8, t * t * 4
    assert counted.macs == twice + kernel + heads + attention + einsum + product
    assert counted.params == (4 * 4 * 9 + 4) + 4 * 8 + 16
    assert counted.at("twice").macs == twice
    assert counted.at("twice").calls == 2
    assert counted.at("first").params == counted.at("second").params == 32
    assert not counted.unknown


def test_a_module_used_twice_counts_once_in_a_parent_that_holds_it_twice() -> None:
    shared = nn.Conv2d(3, 3, 1, bias=False)
    counted = profile(nn.Sequential(nn.Sequential(shared), nn.Sequential(shared, nn.ReLU())), (3, 4, 4))
    assert counted.params == 9
    assert counted.macs == 2 * 16 * 9
    assert counted.at("0").macs == counted.at("1").macs == 16 * 9
    assert counted.at("0").params == counted.at("1").params == 9


def test_rows_say_what_is_weight_bias_and_normalisation() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, 3, 4, 4))
    row = profile(net, (3, 4, 4)).rows[0]
    assert (row.weights, row.biases, row.norm_params) == (4 * 27 + 16 * 2, 4 + 2, 8)
    assert row.neurons == 4 * 4 + 2
    assert row.connections == row.macs + 16 + 2


def test_depth_is_the_longest_path_of_layers_with_weights() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.long = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
            self.short = nn.Conv2d(3, 3, 1)
            self.head = nn.Conv2d(6, 2, 1)

        def forward(self, maps: Tensor) -> Tensor:
            return self.head(torch.cat([self.short(maps), self.long(maps)], 1))

    assert profile(Branch(), (3, 4, 4)).depth == 4


def test_an_operator_without_a_formula_is_named_not_counted_as_zero() -> None:
    class Distance(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return torch.cdist(maps.flatten(1), maps.flatten(1))

    counted = profile(Distance(), (3, 4, 4))
    assert any("cdist" in name for name in counted.unknown)
    assert "not counted" in str(counted)


def snapshot(net: nn.Module) -> dict[str, object]:
    return {
        "mode": [module.training for module in net.modules()],
        "hooks": [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in net.modules()],
        "tensors": {name: (value.clone(), value.device, value.data_ptr()) for name, value in net.state_dict().items()},
        "attributes": [sorted(vars(module)) for module in net.modules()],
        "random": torch.get_rng_state(),
    }


def same(before: dict[str, object], after: dict[str, object]) -> bool:
    return repr(before) == repr(after)


class Counts(nn.Module):
    """Writes on its own buffer, and draws a random number, at every call; raises when it is told to."""

    calls: Tensor

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.fails = fails
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, maps: Tensor) -> Tensor:
        self.calls += 1
        maps = self.drop(self.norm(maps)) + torch.rand_like(maps)
        if self.fails:
            raise KeyError("a forward that raises")
        return maps


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_random_state_are_as_they_were(fails: bool) -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), Counts(fails=fails), nn.Conv2d(3, 3, 1)).train()
    net[2].eval()
    before = snapshot(net)
    if fails:
        with pytest.raises(ProfileError, match="an input of 3x4x4 fails in 1: KeyError: 'a forward that raises'"):
            profile(net, (3, 4, 4))
    else:
        profile(net, (3, 4, 4))
    assert same(before, snapshot(net))
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._global_forward_pre_hooks


def test_a_failure_does_not_spoil_the_next_count() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    right = profile(net, (3, 4, 4))
    with pytest.raises(ProfileError, match="an input of 3x9x9 fails in 2"):
        profile(net, (3, 9, 9))
    assert profile(net, (3, 4, 4)) == right


def test_another_thread_that_runs_meanwhile_is_not_counted() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1))
    other = copy.deepcopy(net)

    class Slow(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            thread = threading.Thread(target=lambda: other(torch.zeros(1, 3, 4, 4)))
            thread.start()
            thread.join()
            return maps

    assert profile(nn.Sequential(net, Slow()), (3, 4, 4)).macs == 16 * 9


@pytest.mark.parametrize("size", [(), (3, 0, 4), (3, -1, 4), (3, 4.0, 4), "3x4x4"])
def test_a_wrong_size_is_refused(size: object) -> None:
    with pytest.raises(ProfileError, match="input_size must be positive integers"):
        profile(nn.Conv2d(3, 3, 1), size)  # type: ignore[arg-type]


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ProfileError, match="expected a .*Module, not str"):
        profile("resnet50", (3, 224, 224))  # type: ignore[arg-type]


def test_a_part_that_is_not_there_is_refused_with_the_parts_that_are() -> None:
    counted = profile(nn.Sequential(nn.Conv2d(3, 3, 1)), (3, 4, 4))
    with pytest.raises(ProfileError, match="has no part 'features'; it has 0"):
        counted.at("features")


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "densenet", "lenet5_textbook"])
def test_torchs_own_counter_agrees(name: str) -> None:
    entry = archzoo.find(name)
    net = archzoo.build(name, device="meta").eval()
    with FlopCounterMode(display=False) as torchs:
        net(torch.empty(1, *entry.input_size, device="meta"))
    assert archzoo.profile(net, entry.input_size).flops == torchs.get_total_flops()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["resnet18", "densenet"])
def test_fvcore_agrees_but_for_what_it_adds(name: str) -> None:
    """fvcore's convolutions and matrix products alone: it also counts batch normalisation and pooling."""
    from fvcore.nn import FlopCountAnalysis

    entry = archzoo.find(name)
    net = archzoo.build(name).eval()
    counted = FlopCountAnalysis(net, torch.zeros(1, *entry.input_size))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    theirs = counted.by_operator()
    assert archzoo.profile(net, entry.input_size).macs == theirs["conv"] + theirs["linear"]


@pytest.mark.filterwarnings("ignore")
def test_torchinfo_agrees_on_parameters_and_multiply_adds() -> None:
    """torchinfo counts one multiplication more for each bias of a convolution or linear layer, and batch norms."""
    from torchinfo import summary

    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5, bias=False))
    theirs = summary(net, (1, 3, 8, 8), verbose=0)
    ours = profile(net, (3, 8, 8))
    assert (ours.params, ours.macs) == (theirs.total_params, theirs.total_mult_adds)


def described(out: object) -> object:
    """Shape, strides and type of what an operator returns, of all tensors in it."""
    if isinstance(out, Tensor):
        return out.shape, out.stride(), out.dtype, out.device
    assert isinstance(out, tuple | list)
    return [described(one) for one in out]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_shape_of_a_batch_norm_is_torchs(training: bool, layout: torch.memory_format, dtype: torch.dtype) -> None:
    maps = torch.empty(2, 3, 5, 4, device="meta", dtype=dtype).to(memory_format=layout)
    rest = [torch.empty(3, device="meta", dtype=dtype) for _ in range(4)]
    operator = torch.ops.aten.native_batch_norm.default
    args = (maps, *rest, training, 0.1, 1e-5)
    assert described(SHAPES[operator](*args)) == described(operator(*args))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=0, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_the_shape_of_a_sum_is_torchs_or_left_to_torch(sides: list[int], flat: list[bool], dtype: torch.dtype) -> None:
    a = torch.empty(sides, device="meta", dtype=dtype)
    others = [1 if one else side for side, one in zip(sides, flat, strict=False)]
    operator = torch.ops.aten.add.Tensor
    turned = torch.empty(sides[::-1], device="meta").permute(list(range(len(sides)))[::-1])
    for b in (a, torch.empty(others, device="meta"), turned):
        ours = SHAPES[operator](a, b)
        assert ours is NotImplemented or described(ours) == described(operator(a, b))
    assert SHAPES[operator](a, a) is not NotImplemented
