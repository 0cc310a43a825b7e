import copy
import gc
import pickle
import threading
from math import prod
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archzoo
from archzoo import profile
from archzoo.errors import ProfileError
from archzoo.profiler import Profile


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


@pytest.mark.slow
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
    assert not counted.uncounted_ops


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
    assert not counted.uncounted_ops


def test_a_module_used_twice_counts_once_in_a_parent_that_holds_it_twice() -> None:
    shared = nn.Conv2d(3, 3, 1, bias=False)
    counted = profile(nn.Sequential(nn.Sequential(shared), nn.Sequential(shared, nn.ReLU())), (3, 4, 4))
    assert counted.params == 9
    assert counted.macs == 2 * 16 * 9
    assert counted.at("0").macs == counted.at("1").macs == 16 * 9
    assert counted.at("0").params == counted.at("1").params == 9


def test_rows_say_what_is_weight_bias_and_normalization() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, 3, 4, 4))
    row = profile(net, (3, 4, 4)).modules[0]
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
    class Inverse(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return torch.linalg.inv(maps)

    counted = profile(Inverse(), (3, 4, 4))
    assert any("linalg_inv" in name for name in counted.uncounted_ops)
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
    assert gc.isenabled()


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
def test_a_wrong_size_is_refused(size: Any) -> None:
    with pytest.raises(ProfileError, match="input_size must be positive integers"):
        profile(nn.Conv2d(3, 3, 1), size)


def test_what_is_no_module_is_refused() -> None:
    layers: Any = [nn.Linear(2, 2)]
    with pytest.raises(ProfileError, match="expected a .*Module, not list"):
        profile(layers, (2,))


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
def test_torchinfo_agrees_on_parameters_and_multiply_adds() -> None:
    """torchinfo counts one multiplication more for each bias of a convolution or linear layer, and batch norms."""
    from torchinfo import summary

    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5, bias=False))
    theirs = summary(net, (1, 3, 8, 8), verbose=0)
    ours = profile(net, (3, 8, 8))
    assert (ours.params, ours.macs) == (theirs.total_params, theirs.total_mult_adds)


class Pair(nn.Module):
    """Two inputs, one of them integers, and several outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(8, 2)

    def forward(self, image: Tensor, *, tokens: Tensor) -> dict[str, Tensor]:
        both = torch.cat([self.conv(image).mean((2, 3)), self.embed(tokens).sum(1)], 1)
        return {"logits": self.head(both), "both": both}


def test_several_inputs_by_place_and_name_and_outputs_in_a_dict() -> None:
    sizes = {"image": (3, 6, 6), "tokens": torch.zeros(2, 7, dtype=torch.int64)}
    counted = profile(Pair(), sizes)
    assert counted.batch == 2
    assert counted.macs == 16 * 4 * 27 + 8 * 2
    assert counted.params == 40 + 112 + 18
    assert counted.modules[0].output == (2,)
    assert counted.input_size == {"image": (3, 6, 6), "tokens": (7,)}
    assert Profile.from_json(counted.to_json()) == counted

    class Concatenate(nn.Module):
        def forward(self, pair: tuple[Tensor, Tensor], scale: Tensor) -> tuple[Tensor, list[Tensor]]:
            return torch.cat(pair, 1) * scale, [scale]

    nested = profile(Concatenate(), [((3, 4, 4), (2, 4, 4)), (5, 1, 1)])
    assert nested.modules[0].output == (5, 4, 4)
    assert nested.modules[0].other_ops == 5 * 16


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_counts_are_for_one_input_whatever_the_batch(batch: int) -> None:
    net = archzoo.build("resnet20", device="meta")
    counted = profile(net, (3, 32, 32), batch=batch)
    assert [row.work for row in counted.modules] == [row.work for row in profile(net, (3, 32, 32)).modules]
    assert profile(net, torch.empty(batch, 3, 32, 32)) == counted


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_counts_the_same(dtype: torch.dtype) -> None:
    net = archzoo.build("shufflenet_v2_x0_5").to(dtype)
    assert profile(net, (3, 64, 64)).modules == profile(net.float(), (3, 64, 64)).modules


def test_lazy_modules_are_counted_and_stay_lazy() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    first, second = profile(lazy, (3, 4, 4)), profile(plain, (3, 4, 4))
    assert [(row.params, row.work) for row in first.modules] == [(row.params, row.work) for row in second.modules]
    assert isinstance(lazy[0].weight, nn.UninitializedParameter)
    assert isinstance(lazy[3], nn.LazyLinear)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
def test_parametrized_modules_count_what_they_are_made_of_and_keep_it() -> None:
    new = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    old = nn.utils.weight_norm(nn.Conv2d(3, 4, 3))
    for layer in (new, old):
        before = {name: id(value) for name, value in vars(layer).items()}
        row = profile(nn.Sequential(layer), (3, 4, 4)).modules[0]
        assert (row.params, row.conv_params, row.biases) == (4 * 27 + 4 + 4, 4 * 27 + 4, 4)
        assert row.macs == 4 * 4 * 27
        assert row.layers == 1
        assert {name: id(value) for name, value in vars(layer).items()} == before
        assert layer.weight.device.type == "cpu"


def test_parameters_by_kind_and_by_whether_they_learn() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(16, 2), nn.Bilinear(2, 2, 2))
    net[0].weight.requires_grad_(False)
    net[4] = nn.Identity()
    row = profile(net, (3, 4, 4)).modules[0]
    assert (row.conv_params, row.norm_params, row.linear_params, row.biases) == (108, 8, 32, 6)
    assert (row.frozen, row.trainable) == (108, 46)


def test_other_work_is_counted_apart() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(1))
    row = profile(net, (3, 8, 8)).modules[0]
    assert row.macs == 0
    assert row.work.norm == 3 * 64
    assert row.work.elementwise == 3 * 64
    assert row.work.pool_reads == 3 * 16 * 4 + 3 * 16 * 9 + 3 * 16
    assert row.other_ops == row.work.norm + row.work.elementwise + row.work.pool_reads


def backward_flops(net: nn.Module, size: tuple[int, ...]) -> int:
    """torch's own count of the backward pass, by running it on meta tensors."""
    images = torch.empty(1, *size, device="meta")
    with FlopCounterMode(display=False) as counter:
        out = net(images)
        forward = counter.get_total_flops()
        out.sum().backward()
    return counter.get_total_flops() - forward


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "densenet_bc", "vgg_a", "fractalnet20", "squeezenet1_1"])
def test_backward_is_what_torch_counts_when_it_runs(name: str) -> None:
    net, size = archzoo.build(name, device="meta").eval(), archzoo.find(name).input_size
    assert 2 * profile(net, size).backward_macs == backward_flops(net, size)


def test_what_needs_no_gradient_takes_no_backward_work() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 2)).to("meta")
    net[0].requires_grad_(False)
    counted = profile(net, (3, 6, 6))
    assert 2 * counted.backward_macs == backward_flops(net, (3, 6, 6))
    assert counted.at("0").backward_macs == 0
    assert counted.at("2").backward_macs == counted.at("2").macs
    assert counted.at("4").backward_macs == 2 * counted.at("4").macs


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layer(tokens)


def test_attention_is_counted_where_others_count_nothing() -> None:
    tokens, width, hidden = 10, 16, 32
    projections, scores = 4 * tokens * width * width, 2 * tokens * tokens * width
    for net in (Attention(), Attention().to("meta")):
        assert profile(net, (tokens, width)).macs == projections + scores + 2 * tokens * width * hidden


def test_a_profile_reads_back_equal_from_json_and_prints_everywhere() -> None:
    counted = profile(archzoo.build("squeezenet1_1", device="meta"), (3, 224, 224))
    assert Profile.from_json(counted.to_json()) == counted
    assert pickle.loads(pickle.dumps(counted)) == counted
    assert copy.deepcopy(counted) == counted
    other = profile(archzoo.build("squeezenet1_1", device="meta"), (3, 225, 225))
    assert other != counted
    html = counted._repr_html_()
    assert html.count("<tr>") == len(counted.modules) + 1
    assert f"{counted.macs:,}" in html
    assert f"{counted.macs:,}" in str(counted)


def test_fractions_of_a_stride_read_back_too() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=3))
    counted = profile(net, (3, 4, 4))
    assert counted.modules[0].receptive_field is not None
    assert counted.modules[0].receptive_field.stride == pytest.approx((1 / 3, 1 / 3))
    assert Profile.from_json(counted.to_json()) == counted


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "not json", '{"archzoo_profile": 2}', '{"archzoo_profile": 1, "modules": 3}']
)
def test_another_text_is_no_profile(text: str) -> None:
    with pytest.raises(ProfileError, match="not a profile that archzoo wrote"):
        Profile.from_json(text)


def test_names_in_html_are_escaped() -> None:
    net = nn.Sequential()
    net.add_module("<script>", nn.ReLU())
    html = profile(net, (3, 4, 4))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


class Decides(nn.Module):
    """A forward that asks for a number of its input."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv(maps)
        if self.how == "if":
            return maps if maps.sum() > 0 else -maps
        return maps[maps > 0] if self.how == "mask" else maps * maps.max().item()


@pytest.mark.parametrize("how", ["if", "mask", "item"])
def test_a_forward_that_depends_on_values_is_named_with_what_to_do(how: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), Decides(how))
    with pytest.raises(ProfileError, match=r"fails in 1: .*depends on the value of a tensor.*by themselves") as error:
        profile(net, (3, 4, 4))
    assert error.value.partial is not None
    assert error.value.partial.macs == 2 * 16 * 9


def test_a_model_that_needs_other_inputs_gets_an_error_of_its_own() -> None:
    with pytest.raises(
        ProfileError, match=r"missing 1 required .*'tokens'.*its forward takes \(image.*a list of sizes"
    ):
        profile(Pair(), (3, 6, 6))
    with pytest.raises(ProfileError, match="unexpected keyword argument 'image'"):
        profile(nn.ReLU(), {"image": (3, 4, 4)})
    with pytest.raises(ProfileError, match="all inputs must have one batch, not 2 and 3"):
        profile(nn.Bilinear(4, 4, 4), [torch.zeros(2, 4), torch.zeros(3, 4)], batch=2)
    with pytest.raises(ProfileError, match="batch must be a positive integer, not True"):
        profile(nn.ReLU(), (3, 4), batch=True)


class Moves(nn.Module):
    """Sends its maps to where its weights are, and makes a mask there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps.to(self.conv.weight.device)
        return self.conv(maps) * torch.ones(4, 4, device=self.conv.weight.device)


def test_a_model_that_moves_its_input_to_its_own_device_is_counted() -> None:
    assert profile(Moves(), (3, 4, 4)).macs == profile(Moves().to("meta"), (3, 4, 4)).macs == 16 * 9


def test_a_compiled_model_counts_as_what_it_was_made_of() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    compiled = cast(nn.Module, torch.compile(net, backend="eager"))
    assert profile(compiled, (3, 6, 6)) == profile(net, (3, 6, 6))


def test_a_recursive_module_counts_its_work_once() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, maps: Tensor, times: int = 3) -> Tensor:
            return self.conv(maps) if times == 1 else self(self.conv(maps), times - 1)

    counted = profile(Again(), (3, 4, 4))
    assert counted.macs == counted.at("conv").macs == 3 * 16 * 9
    assert counted.depth == 3


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_are_counted_as_torch_counts_them(kind: type[nn.RNN | nn.GRU | nn.LSTM]) -> None:
    net = kind(8, 16, 2, batch_first=True, bidirectional=True)
    counted = profile(net, (5, 8))
    gates = {nn.RNN: 1, nn.GRU: 3, nn.LSTM: 4}[kind]
    assert counted.macs == 5 * 2 * gates * 16 * ((8 + 16) + (32 + 16))
    assert not counted.uncounted_ops
    assert counted.params == sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(
    "layer", [nn.Hardswish(), nn.Hardswish(inplace=True), nn.Mish(inplace=True), nn.PReLU(), nn.ReLU6()]
)
def test_activations_are_elementwise_work(layer: nn.Module) -> None:
    counted = profile(nn.Sequential(nn.Conv2d(3, 4, 3), layer), (3, 6, 6))
    assert counted.other_ops == 4 * 16
    assert not counted.uncounted_ops
    assert counted.modules[0].receptive_field is not None
    assert counted.modules[0].receptive_field.size == (3, 3)


def test_a_norm_over_the_image_itself_sees_all_of_it() -> None:
    for norm in (nn.InstanceNorm2d(3), nn.GroupNorm(1, 3)):
        counted = profile(nn.Sequential(norm, nn.Conv2d(3, 3, 3, padding=1)), (3, 6, 6))
        assert counted.modules[0].receptive_field is not None
        assert min(counted.modules[0].receptive_field.size) >= 6
