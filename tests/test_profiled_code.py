"""Code that real models are made of: every count is derived by hand from the layers' definitions."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import Profile, profile
from archzoo.profiler._operators import look_up

Forward = Callable[..., Any]


class Calls(nn.Module):
    """A module whose forward is a function of its parts and the inputs."""

    def __init__(self, function: Forward, **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def weights(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape), requires_grad=False)


# --- inference mode


class Decorated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.head = nn.Linear(4, 2)

    @torch.inference_mode()
    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.head(self.net(maps).flatten(1))
        return out


def test_inference_mode_around_and_inside_changes_no_count() -> None:
    plain = nn.Sequential(Decorated().net, nn.Flatten(), nn.Linear(4, 2))
    expected = profile(plain, (3, 6, 6))
    assert expected.macs == 16 * 4 * 27 + 8
    with torch.inference_mode():
        around = profile(plain, (3, 6, 6))
    assert around == expected
    inside = profile(Decorated(), (3, 6, 6))
    assert inside.modules[0].work == expected.modules[0].work
    assert not inside.uncounted_ops
    assert inside.modules[0].receptive_field == expected.modules[0].receptive_field


def test_a_residual_network_in_inference_mode_has_its_published_count() -> None:
    net = archzoo.build("resnet18", device="meta")
    with torch.inference_mode():
        assert profile(net, (3, 224, 224)).macs == 1_794_805_760


# --- tensors that forward makes


def with_states(net: Any, steps: Tensor) -> Any:
    state = torch.zeros(2, steps.size(0), 16)
    return net.cells(steps, (state, state.clone()))[0]


LSTM_MACS = 5 * 4 * 16 * ((8 + 16) + (16 + 16))  # steps x gates x width x (input and state, in two layers)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_states_that_forward_makes_meet_the_inputs_on_one_device(device: str) -> None:
    net = Calls(with_states, cells=nn.LSTM(8, 16, 2, batch_first=True)).to(device)
    counted = profile(net, (5, 8), batch=3)
    assert counted.macs == LSTM_MACS
    assert counted.at("cells").params == sum(parameter.numel() for parameter in net.parameters())
    assert not counted.uncounted_ops


@pytest.mark.parametrize(
    ("kind", "gates", "states"), [(nn.GRU, 3, 1), (nn.RNN, 1, 1), (nn.LSTM, 4, 2)], ids=["gru", "rnn", "lstm"]
)
def test_every_kind_of_recurrent_layer_takes_states_made_in_forward(kind: Any, gates: int, states: int) -> None:
    def forward(net: Any, steps: Tensor) -> Any:
        state = torch.zeros(1, steps.size(0), 16)
        return net.cells(steps, state if states == 1 else (state, state))[0]

    net = Calls(forward, cells=kind(8, 16, batch_first=True))
    assert profile(net, (5, 8)).macs == 5 * gates * 16 * (8 + 16)


def on_one_device(net: Any, maps: Tensor) -> Any:
    assert maps.device == torch.zeros(1).device
    return net.conv(maps)


def in_autocast(net: Any, maps: Tensor) -> Any:
    with torch.autocast(maps.device.type, enabled=False):
        return net.conv(maps)


def attends_to_zeros(net: Any, maps: Tensor) -> Any:
    tokens = net.conv(maps).flatten(2).mT
    return F.scaled_dot_product_attention(tokens, torch.zeros(tokens.shape), tokens)


def written_into_zeros(net: Any, maps: Tensor) -> Any:
    canvas = torch.zeros(maps.shape)
    canvas[:, :, 1:] = net.conv(maps)[:, :, 1:]
    return canvas


@pytest.mark.parametrize(
    ("forward", "more"),
    [(on_one_device, 0), (in_autocast, 0), (attends_to_zeros, 2 * 16 * 16 * 3), (written_into_zeros, 0)],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_forward_may_ask_for_one_device(forward: Forward, more: int, device: str) -> None:
    net = Calls(forward, conv=nn.Conv2d(3, 3, 1)).to(device).train()
    before = {name: id(parameter) for name, parameter in net.named_parameters()}
    assert profile(net, (3, 4, 4)).macs == 16 * 9 + more
    assert before == {name: id(parameter) for name, parameter in net.named_parameters()}
    assert net.training
    assert net.conv.training  # type: ignore[union-attr]


def test_an_error_is_that_of_the_first_pass() -> None:
    net = Calls(lambda net, maps: maps @ torch.zeros(5, 5))
    with pytest.raises(ProfileError, match="an input of 3x4x4 fails in Calls: RuntimeError"):
        profile(net, (3, 4, 4))


# --- inputs


def scaled(net: Any, maps: Tensor, factor: float, mask: Tensor | None = None, mode: str = "plain") -> Any:
    assert mask is None
    assert mode == "fast"
    return net.conv(maps) * factor


def test_numbers_text_and_none_beside_tensors_are_passed_as_they_are() -> None:
    net = Calls(scaled, conv=nn.Conv2d(3, 3, 1))
    by_place = profile(net, [(3, 4, 4), 2, None, "fast"])
    by_name = profile(net, {"maps": torch.zeros(2, 3, 4, 4), "factor": 0.5, "mode": "fast"})
    assert by_place.macs == by_name.macs == 16 * 9
    assert (by_place.batch, by_name.batch) == (1, 2)
    assert by_place.input_size == ((3, 4, 4), 2, None, "fast")
    assert Profile.from_json(by_place.to_json()) == by_place


@pytest.mark.parametrize("size", [[2, None], [None], [], {}, ["fast"], [object()], {"maps": object()}, [(3, 0, 4), 2]])
def test_inputs_without_any_tensor_are_refused(size: Any) -> None:
    with pytest.raises(ProfileError, match="input_size must be positive integers|missing 1 required"):
        profile(nn.Conv2d(3, 3, 1), size)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.parametrize("batch_axis", [0, None])
def test_nested_inputs_are_refused(layout: torch.layout, batch_axis: int | None) -> None:
    nested = torch.nested.nested_tensor([torch.zeros(5, 8), torch.zeros(3, 8)], layout=layout)
    with pytest.raises(ProfileError, match="a nested tensor has no single size"):
        profile(nn.Linear(8, 8), [nested], batch_axis=batch_axis)


def test_a_sequence_first_model_has_its_batch_on_the_second_axis() -> None:
    steps, width, hidden = 10, 16, 32
    net = nn.TransformerEncoderLayer(width, 4, hidden)
    macs = 4 * steps * width * width + 2 * steps * steps * width + 2 * steps * width * hidden
    from_size = profile(net, (steps, width), batch=3, batch_axis=1)
    from_tensor = profile(net, torch.zeros(steps, 3, width), batch_axis=1)
    assert from_size == from_tensor
    assert from_size.macs == macs
    assert from_size.modules[0].output == (steps, width)
    assert Profile.from_json(from_size.to_json()) == from_size
    lstm = profile(nn.LSTM(8, 16), (5, 8), batch=2, batch_axis=1)
    assert lstm.macs == 5 * 4 * 16 * (8 + 16)


def test_without_a_batch_axis_the_whole_call_is_counted() -> None:
    whole = profile(nn.Linear(8, 4), torch.zeros(3, 5, 8), batch_axis=None)
    assert (whole.macs, whole.batch, whole.batch_axis) == (3 * 5 * 8 * 4, 1, None)
    assert whole.modules[0].output == (3, 5, 4)
    assert whole.input_size == (3, 5, 8)
    assert profile(nn.Linear(8, 4), (3, 5, 8), batch_axis=None) == whole


def test_example_tensors_without_a_common_batch_are_one_call() -> None:
    net = Calls(lambda net, query, gallery: net.embed(query) @ net.embed(gallery).mT, embed=nn.Linear(8, 4))
    counted = profile(net, [torch.zeros(2, 8), torch.zeros(7, 8)])
    assert counted.macs == (2 + 7) * 8 * 4 + 2 * 7 * 4
    assert counted.batch_axis is None
    assert counted.modules[0].output == (2, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_axis": -1}, "batch_axis must be None or an integer from 0 on, not -1"),
        ({"batch_axis": True}, "batch_axis must be None or an integer from 0 on, not True"),
        ({"batch_axis": 5}, "an input of 3x4x4 has no dimension 5 for the batch"),
        ({"batch_axis": None, "batch": 2}, "batch_axis=None counts the whole call, so that batch=2 has no meaning"),
    ],
)
def test_a_wrong_batch_axis_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        profile(nn.Conv2d(3, 3, 1), (3, 4, 4), **arguments)


# --- operators

N, K, M = 3, 5, 4
MATRICES = torch.zeros(2, N, K)
PRODUCTS: dict[str, tuple[Forward, Any, int]] = {
    "addmm_": (lambda net, x: torch.zeros(N, M).addmm_(x, net.w), torch.zeros(N, K), N * K * M),
    "addmv_": (lambda net, x: torch.zeros(N).addmv_(x, net.w[:, 0]), torch.zeros(N, K), N * K),
    "addbmm_": (lambda net, x: torch.zeros(N, N).addbmm_(x, x.mT), MATRICES, 2 * N * K * N),
    "baddbmm_": (lambda net, x: torch.zeros(2, N, N).baddbmm_(x, x.mT), MATRICES, 2 * N * K * N),
    "addr_": (lambda net, x: torch.zeros(N, K).addr_(x[:, 0], x[0]), torch.zeros(N, K), N * K),
    "mm with out": (lambda net, x: torch.mm(x, net.w, out=x.new_empty(N, M)), torch.zeros(N, K), N * K * M),
    "bmm with out": (lambda net, x: torch.bmm(x, x.mT, out=x.new_empty(2, N, N)), MATRICES, 2 * N * K * N),
    "bilinear": (lambda net, x: F.bilinear(x, x, net.b), torch.zeros(N, K), N * M * K * (K + 1)),
    "conv_tbc": (
        lambda net, x: torch.conv_tbc(x, net.k, net.k[0, 0], 1), torch.zeros(7, N, K), 7 * N * 3 * K * M,
    ),
    "a vector": (lambda net, x: torch.dot(x[0], x[1]), torch.zeros(N, K), K),
    "complex": (lambda net, x: torch.complex(x, x) @ torch.complex(x, x).mT, torch.zeros(N, K), N * K * N),
    "einsum": (lambda net, x: torch.einsum("bnk,bmk->bnm", x, x), MATRICES, 2 * N * K * N),
    "flex_attention": (
        lambda net, x: flex_attention(x, x, x), torch.zeros(1, 2, 16, 16), 2 * 2 * 16 * 16 * 16
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_kind_of_product_is_counted(name: str) -> None:
    forward, example, macs = PRODUCTS[name]
    net = Calls(forward, w=weights(K, M), b=weights(M, K, K), k=weights(3, K, M))
    counted = profile(net, example, batch_axis=None)
    assert counted.macs == macs
    assert not counted.uncounted_ops


def test_bilinear_layers_multiply_from_the_left_and_then_from_the_right() -> None:
    """y_o = (x1 W_o) x2: a vector times a matrix, times a vector, for each output."""
    counted = profile(nn.Bilinear(3, 4, 5), [(3,), (4,)])
    assert counted.macs == 5 * (3 * 4 + 4)
    assert (counted.modules[0].layers, counted.modules[0].neurons) == (1, 5)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_interpolation_is_elementwise_work_and_leaves_no_lower_bound(mode: str) -> None:
    counted = profile(Calls(lambda net, maps: F.interpolate(maps, scale_factor=2, mode=mode)), (3, 4, 4))
    assert counted.macs == 0
    assert not counted.uncounted_ops
    assert counted.other_ops == 3 * 64 or mode == "area"  # that is adaptive pooling, by the inputs that it reads


MACS_FREE: dict[str, tuple[Forward, Any]] = {
    "grid_sample": (
        lambda net, x: F.grid_sample(x, F.affine_grid(net.w, x.shape, False), align_corners=False),
        (3, 4, 4),
    ),
    "trilinear": (lambda net, x: F.interpolate(x, scale_factor=2, mode="trilinear"), (3, 4, 4, 4)),
    "antialiased": (lambda net, x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True), (3, 4, 4)),
    "distances": (lambda net, x: torch.cdist(x, x), (5, 8)),
    "scatter_add": (lambda net, x: x.scatter_add(1, torch.zeros(1, 5, 8, dtype=torch.int64), x), (5, 8)),
    "index_add": (lambda net, x: x.index_add(1, torch.zeros(5, dtype=torch.int64), x), (5, 8)),
    "stft": (lambda net, x: torch.stft(x, 8, return_complex=True).abs(), (64,)),
    "foreach": (lambda net, x: torch._foreach_add([x, x], 1)[0], (5, 8)),
    "loss": (lambda net, x: F.mse_loss(x, x), (5, 8)),
    "repeat_interleave": (lambda net, x: x.repeat_interleave(2, 1), (5, 8)),
    "masked_scatter": (lambda net, x: x.masked_scatter(x > 0, x), (5, 8)),
}


@pytest.mark.parametrize("name", MACS_FREE)
def test_operators_without_multiply_adds_leave_no_lower_bound(name: str) -> None:
    forward, size = MACS_FREE[name]
    counted = profile(Calls(forward, w=weights(1, 2, 3)), size)
    assert counted.macs == 0
    assert not counted.uncounted_ops


def test_bags_of_embeddings_add_what_they_look_up() -> None:
    counted = profile(nn.EmbeddingBag(10, 4), torch.zeros(2, 3, dtype=torch.int64))
    assert (counted.macs, counted.other_ops, counted.uncounted_ops) == (0, 3 * 4, {})


def test_fourier_transforms_have_a_count_of_their_own() -> None:
    """5 n log2(n) for n complex numbers; half as many where they are real on one side."""
    complex_work = profile(Calls(lambda net, x: torch.fft.fft(torch.complex(x, x)).real), (16,)).modules[0].work
    real_work = profile(Calls(lambda net, x: torch.fft.irfft(torch.fft.rfft(x))), (16,)).modules[0].work
    planes = profile(Calls(lambda net, x: torch.fft.fft2(torch.complex(x, x)).real), (3, 4, 8)).modules[0].work
    assert complex_work.fft == 5 * 16 * 4
    assert real_work.fft == 2 * (5 * 16 * 4 // 2)
    assert planes.fft == 3 * 5 * 32 * 5
    assert real_work.other_ops == real_work.fft


def test_operators_that_return_nothing_are_counted_and_linear_algebra_is_named() -> None:
    counted = profile(Calls(lambda net, x: torch.linalg.solve(x, x)), (5, 5))
    assert list(counted.uncounted_ops) == ["aten._linalg_solve_ex"]


def test_every_operator_of_the_core_list_is_known() -> None:
    """PyTorch tags the operators that every backend must have; none of them may make a count a lower bound."""
    names = {schema.name for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")}
    operators: list[Any] = [getattr(torch.ops.aten, name.removeprefix("aten::"), None) for name in sorted(names)]
    packets = [packet for packet in operators if packet is not None]
    core = [getattr(packet, name) for packet in packets for name in packet.overloads()]
    core = [operator for operator in core if torch.Tag.core in operator.tags]
    assert len(core) > 150
    assert [str(operator) for operator in core if not look_up(operator).known] == []
    products = {str(operator.overloadpacket) for operator in core if look_up(operator).macs is not None}
    assert products == {"aten.addmm", "aten.bmm", "aten.convolution", "aten.convolution_backward", "aten.mm"}


def test_a_transformer_with_a_padding_mask_counts_all_positions() -> None:
    steps, width, hidden, layers = 10, 16, 32, 2
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, 4, hidden, batch_first=True), layers)
    mask = torch.zeros(1, steps, dtype=torch.bool)
    counted = profile(net, {"src": (steps, width), "src_key_padding_mask": mask})
    layer = 4 * steps * width * width + 2 * steps * steps * width + 2 * steps * width * hidden
    assert counted.macs == layers * layer
    assert not counted.uncounted_ops


def packed(lengths: Any, enforce_sorted: bool) -> nn.Module:
    def forward(net: Any, steps: Tensor) -> Any:
        sequences = pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=enforce_sorted)
        return pad_packed_sequence(net.cells(sequences)[0], batch_first=True)[0]

    return Calls(forward, cells=nn.GRU(8, 16, batch_first=True))


@pytest.mark.parametrize(("lengths", "enforce_sorted"), [([5, 3], True), (torch.tensor([3, 5]), False)])
def test_packed_sequences_count_the_steps_that_they_have(lengths: Any, enforce_sorted: bool) -> None:
    counted = profile(packed(lengths, enforce_sorted), (5, 8), batch=2)
    assert counted.macs == -(-(5 + 3) * 3 * 16 * (8 + 16) // 2)
    assert counted.modules[0].output == (5, 16)


def test_lengths_that_are_an_input_have_no_values_and_nothing_is_padded() -> None:
    def forward(net: Any, steps: Tensor, lengths: Tensor) -> Any:
        sequences = pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(net.cells(sequences)[0], batch_first=True)[0]

    net = Calls(forward, cells=nn.GRU(8, 16, batch_first=True))
    assert profile(net, [(5, 8), torch.tensor([5, 3])]).macs == 5 * 3 * 16 * (8 + 16)


# --- modules that are not plain


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["scripted", "traced", "part scripted", "part traced", "frozen"])
def test_scripted_and_traced_modules_count_as_their_originals(how: str) -> None:
    def changed(net: nn.Module) -> Any:
        if "scripted" in how:
            return torch.jit.script(net)
        return torch.jit.trace(net, torch.zeros(1, 3, 6, 6))

    net = small_net().eval() if how == "frozen" else small_net().train()
    model = changed(net)
    if how == "frozen":
        model = torch.jit.freeze(model)
    mode = getattr(model, "training", None)
    modes = [module.training for module in model.modules()] if how != "frozen" else []
    if "part" in how:
        model = nn.Sequential(model, nn.Conv2d(4, 4, 1))
    counted = profile(model, (3, 6, 6))
    assert counted.macs == 16 * 4 * 27 + ("part" in how) * 16 * 16
    if "script" in how:
        inner = model[0] if "part" in how else model
        assert counted.modules[0].work.batch_norm_measured == 0  # evaluated with its running statistics
        assert [module.training for module in inner.modules()] == modes
        assert inner.training == mode


@pytest.mark.parametrize("name", ["modules", "parameters", "buffers", "children", "named_modules", "train", "eval"])
def test_an_attribute_may_have_the_name_of_a_method(name: str) -> None:
    net = Calls(lambda net, maps: net.conv(maps), conv=nn.Conv2d(3, 3, 1))
    net.__dict__[name] = [net.conv]
    counted = profile(net, (3, 4, 4))
    assert (counted.macs, counted.params) == (16 * 9, 12)


def test_an_exported_program_counts_as_the_module_that_it_came_from() -> None:
    net = small_net().eval()
    exported = torch.export.export(net, (torch.zeros(1, 3, 6, 6),)).module()
    assert profile(cast(nn.Module, exported), (3, 6, 6)).macs == profile(net, (3, 6, 6)).macs
