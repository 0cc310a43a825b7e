"""Memory: against hand counts, and laws; benchmarks/memory.py holds it against the allocator itself."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import archzoo
from archzoo.errors import ProfileError
from archzoo.profiler import OPTIMIZERS, MemoryProfile, fits, memory
from tests.allocations import recorded_peaks
from tests.networks import build

FLOAT = 4


def linear_stack(width: int, layers: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))


def test_a_stack_of_linear_layers_takes_what_a_hand_count_gives() -> None:
    width, layers, batch = 8, 3, 16
    weight, maps = width * width * FLOAT, batch * width * FLOAT
    profile = memory(linear_stack(width, layers), (width,), batch=batch, optimizer="sgd", device="cpu")
    assert profile.parameters == profile.gradients == profile.optimizer_state == layers * weight
    assert profile.inference == layers * weight + 3 * maps  # the input, what a layer reads, what it returns
    assert profile.saved == 2 * maps  # what the second and the third layer read; the logits are gone with the loss made
    assert [row.saved for row in profile.modules] == [2 * maps, maps, maps, 0]
    assert [row.gradients for row in profile.modules[1:]] == [weight] * layers


class Attention(nn.Module):
    """Attention of maps to themselves, with a mask that forward makes."""

    def __init__(self, masked: bool = False) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, heads: Tensor) -> Tensor:
        steps = heads.shape[-2]
        mask = torch.ones(steps, steps, dtype=torch.bool, device=heads.device) if self.masked else None
        return F.scaled_dot_product_attention(heads, heads, heads, mask)


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_the_mode_around_changes_nothing(around: Any) -> None:
    expected = memory(linear_stack(8, 3), (8,), batch=16)
    with around():
        assert memory(linear_stack(8, 3), (8,), batch=16) == expected


def test_attention_on_a_cpu_keeps_its_result_and_no_scores() -> None:
    """The backward pass of the fused kernel reads queries, keys, values, the result, and one number for each query."""
    heads, steps, width = 2, 256, 8
    maps = heads * steps * width * FLOAT
    net = nn.Sequential(nn.Linear(width, width, bias=False), Attention())
    profile = memory(net, (heads, steps, width))
    scores = heads * steps * steps * FLOAT
    assert profile.saved == 2 * maps + heads * steps * FLOAT
    assert profile.training < scores  # half a megabyte, which no step allocates


class OneHeadOfQueries(nn.Module):
    """Attention of other shapes than those of the fused kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x[:, :1], x, x)


def saved_by_autograd(net: nn.Module, images: Tensor) -> int:
    """The bytes that autograd holds after a forward pass, from the saved tensors themselves."""
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = net(images)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers(), images)}
    assert out.requires_grad
    return sum(size for key, size in held.items() if key not in own)


ATTENTION: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "a function": (lambda: nn.Sequential(nn.Linear(8, 8), Attention()), (2, 64, 8)),
    "a function with a mask": (lambda: nn.Sequential(nn.Linear(8, 8), Attention(masked=True)), (2, 64, 8)),
    "one head of queries for two": (lambda: nn.Sequential(nn.Linear(8, 8), OneHeadOfQueries()), (2, 64, 8)),
    "a layer": (lambda: nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True), (64, 16)),
    "a layer with dropout": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (64, 16)),
}


@pytest.mark.parametrize("what", ATTENTION)
def test_a_real_run_with_attention_keeps_what_is_counted(what: str) -> None:
    make, size = ATTENTION[what]
    net = make().train()
    assert memory(net, size, batch=2).saved == saved_by_autograd(net, torch.randn(2, *size))


class Checkpointed(nn.Sequential):
    """Layers that are computed a second time in the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(super().forward, x, use_reentrant=False)


def test_a_checkpoint_keeps_its_input_and_no_state_of_the_optimizer() -> None:
    width, batch = 8, 16
    net = nn.Sequential(*linear_stack(width, 1), Checkpointed(*linear_stack(width, 2)), *linear_stack(width, 1))
    assert memory(net, (width,), batch=batch).saved == 2 * batch * width * FLOAT  # what the last two read


class Weighted(nn.Module):
    """A layer with a tensor that is no parameter and no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.scale = linear_stack(8, 1), torch.ones(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.scale


def test_plain_attributes_are_there_all_the_time() -> None:
    net = Weighted()
    maps = 16 * 8 * FLOAT
    assert memory(net, (8,), batch=16).inference == 64 * FLOAT + 4 * maps  # the scale, the input, and two results


def normed() -> nn.Module:
    return nn.Sequential(*(nn.utils.weight_norm(nn.Linear(64, 64, bias=False)) for _ in range(3)))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_norm_keeps_the_weight_that_it_computed_until_the_next_one() -> None:
    """Each layer has v, its gradient and momentum; the weight, and for a moment the one before."""
    net, inputs = normed(), torch.randn(4, 64)
    weight = 64 * 64 * FLOAT
    usage = memory(net, inputs)
    assert usage.training == recorded_peaks(normed, inputs, OPTIMIZERS["sgd"])["training"]
    assert 3 * 4 * weight < usage.training < 3 * 5 * weight
    assert 3 * 2 * weight + weight <= usage.inference < 3 * 2 * weight + 2 * weight
    net(inputs).sum().backward()  # what it computed has a gradient, and is no leaf
    assert memory(net, inputs).training == usage.training


class Shifted(nn.Module):
    """Maps plus zeros that forward makes, on the CPU whatever device the maps are on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.linear(maps) + torch.zeros(len(maps), 8)


class Recurrent(nn.GRU):
    """A recurrent layer with an initial state that forward makes, or the layer itself."""

    makes_state = True

    def forward(self, steps: Tensor) -> Tensor:  # type: ignore[override]
        state = torch.zeros(1, len(steps), 16) if self.makes_state else None
        out: Tensor = super().forward(steps, state)[0]
        return out


def test_tensors_that_forward_makes_meet_the_inputs_on_one_device() -> None:
    maps = 16 * 8 * FLOAT
    usage = memory(Shifted(), (8,), batch=16)
    assert usage.inference == usage.parameters + 4 * maps  # the input, the layer's result, zeros, and their sum
    recorded = recorded_peaks(Shifted, torch.randn(16, 8), OPTIMIZERS["sgd"])
    assert usage.training == pytest.approx(recorded["training"], rel=0.01)
    fit = fits(Shifted(), (8,), "1MiB", batch=16, device="cpu", savings=False)
    assert (fit.inference.allocated, fit.training.allocated) == (usage.inference, usage.training)


def test_a_state_that_forward_makes_takes_what_the_layers_own_takes() -> None:
    made, own = Recurrent(8, 16, batch_first=True), Recurrent(8, 16, batch_first=True)
    own.makes_state = False
    first, second = (memory(net, (5, 8), batch=3) for net in (made, own))
    assert (first.saved, first.training) == (second.saved, second.training)


@pytest.mark.parametrize("name", ["modules", "parameters", "named_parameters", "buffers", "children", "train", "eval"])
def test_an_attribute_may_have_the_name_of_a_method(name: str) -> None:
    net, plain = Shifted(), Shifted()
    net.__dict__[name] = [net.linear]
    usage, expected = memory(net, (8,), batch=16), memory(plain, (8,), batch=16)
    assert (usage.inference, usage.training, usage.parameters) == (
        expected.inference,
        expected.training,
        expected.parameters,
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", [torch.jit.script, lambda net: torch.jit.trace(net, torch.zeros(2, 8))])
def test_parameters_of_torchscript_are_refused_with_what_to_do(change: Any) -> None:
    with pytest.raises(ProfileError, match="scripted and traced modules .* give the module as it was before"):
        memory(nn.Sequential(change(linear_stack(8, 2))), (8,), batch=2)


class Decorated(nn.Sequential):
    """Layers that run in inference mode, which leaves operators whole that are made of others."""

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = super().forward(x)
        return out


def test_inference_mode_inside_changes_no_peak() -> None:
    layers = (nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten())
    inside, plain = (memory(kind(*layers), (3, 12, 12), batch=2) for kind in (Decorated, nn.Sequential))
    assert inside.inference == plain.inference


def test_a_transformer_with_a_padding_mask_takes_what_it_takes_where_nothing_is_left_out() -> None:
    inputs = {"src": (10, 16), "src_key_padding_mask": torch.zeros(1, 10, dtype=torch.bool)}
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    nested, padded = (memory(nn.TransformerEncoder(layer, 2, enable_nested_tensor=on), inputs) for on in (True, False))
    assert (nested.inference, nested.training) == (padded.inference, padded.training)


class Words(nn.Module):
    """A linear layer of embedded words, whose gradients are sparse."""

    def __init__(self, bag: bool = False, padding: int | None = None) -> None:
        super().__init__()
        kind = nn.EmbeddingBag if bag else nn.Embedding
        self.words, self.linear = kind(1000, 16, sparse=True, padding_idx=padding), nn.Linear(16, 4)

    def forward(self, words: Tensor) -> Tensor:
        out: Tensor = self.linear(self.words(words))
        return out


def plain_sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1)


def test_a_sparse_gradient_has_a_row_and_an_index_for_each_word() -> None:
    words = torch.zeros(4, 7, dtype=torch.int64)
    usage = memory(Words(), words, optimizer=plain_sgd)
    rows, linear = 4 * 7 * 16 * FLOAT, (16 * 4 + 4) * FLOAT
    assert usage.gradients == rows + 28 * 8 + linear  # the indices are the words themselves
    assert usage.training < usage.parameters + 6 * rows  # and nothing of the size of the 1000 rows


def test_the_words_that_are_no_padding_are_selected_and_none_counts_as_padding() -> None:
    """The gradient has its own rows and indices, which a mask and its positions have selected from all the rows."""
    words = torch.zeros(4, 7, dtype=torch.int64)
    alone = nn.Sequential(nn.Embedding(1000, 16, sparse=True, padding_idx=0), nn.Flatten(0))
    usage = memory(alone, words, optimizer=plain_sgd)
    rows, indices = 4 * 7 * 16 * FLOAT, 28 * 8
    assert usage.gradients == rows + indices
    mask, positions = 28, 28 * 2 * 8
    scalars = 2 * FLOAT  # the loss and its gradient, which is that of every output: one number, expanded
    assert usage.training == usage.parameters + indices + mask + positions + indices + rows + scalars


@pytest.mark.parametrize("padding", [0, -1])
@pytest.mark.parametrize("bag", [False, True])
def test_padding_costs_the_same_wherever_it_is(bag: bool, padding: int) -> None:
    words = torch.zeros(4, 7, dtype=torch.int64)
    padded, other = (memory(Words(bag, index), words, optimizer=plain_sgd) for index in (padding, 5))
    assert (padded.training, padded.gradients) == (other.training, other.gradients)


class NormOfChannels(nn.LayerNorm):
    """Layer normalization over the channels of maps, which it reads in another order than they have."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def activated(activation: nn.Module) -> nn.Module:
    """The gradient of an activation where as much is allocated as anywhere."""
    return nn.Sequential(nn.Linear(8, 512, bias=False), activation, nn.Linear(512, 512, bias=False))


def channels_normed() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(1), NormOfChannels(16), nn.AvgPool2d(1), NormOfChannels(16), nn.Flatten())


@pytest.mark.parametrize("activation", [nn.SiLU(), nn.GELU(), nn.Hardswish()], ids=str)
def test_the_gradient_of_an_activation_is_one_operator(activation: nn.Module) -> None:
    """That of SiLU has a kernel on the CPU, though PyTorch can compute it by other operators."""
    inputs = torch.randn(2048, 8)
    recorded = recorded_peaks(lambda: activated(activation), inputs, plain_sgd)
    usage = memory(activated(activation), inputs, optimizer=plain_sgd)
    assert usage.training == pytest.approx(recorded["training"], rel=0.01)


def test_normalization_reads_a_copy_of_maps_in_another_order() -> None:
    maps = 2 * 16 * 32 * 32 * FLOAT
    inputs = torch.randn(2, 16, 32, 32)
    usage = memory(channels_normed(), inputs, optimizer=plain_sgd)
    recorded = recorded_peaks(channels_normed, inputs, plain_sgd)
    # The input, what is read, its copy, and the result, with a mean and a deviation of every position.
    assert usage.inference == usage.parameters + 4 * maps + 2 * maps // 16
    assert (usage.inference, usage.training) == pytest.approx(tuple(recorded.values()), rel=0.01)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("bag", [False, True])
@pytest.mark.parametrize("optimizer", [plain_sgd, torch.optim.Adagrad])
def test_a_real_run_with_sparse_gradients_takes_what_is_computed(
    bag: bool, optimizer: Any, padding: int | None
) -> None:
    words = torch.arange(1, 29).view(4, 7)  # all of them different, and no padding
    recorded = recorded_peaks(lambda: Words(bag, padding), words, optimizer)
    usage = memory(Words(bag, padding), words, optimizer=optimizer)
    assert usage.training == pytest.approx(recorded["training"], rel=0.01)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_adam_has_dense_state() -> None:
    words = torch.arange(28).view(4, 7)

    def alone() -> nn.Module:
        return nn.Sequential(nn.Embedding(1000, 16, sparse=True), nn.Flatten())

    usage = memory(alone(), words, optimizer=torch.optim.SparseAdam)
    assert usage.optimizer_state == 2 * 1000 * 16 * FLOAT
    recorded = recorded_peaks(alone, words, torch.optim.SparseAdam)
    assert usage.training == pytest.approx(recorded["training"], rel=0.01)


def test_the_momentum_of_sparse_gradients_is_refused() -> None:
    with pytest.raises(ProfileError, match="momentum of sparse gradients grows with every step"):
        memory(Words(), torch.zeros(4, 7, dtype=torch.int64))


def test_in_place_operators_and_views_take_nothing() -> None:
    maps = 16 * 8 * FLOAT
    in_place = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Unflatten(1, (2, 4)), nn.Flatten())
    out_of_place = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    first, second = (memory(net, (8,), batch=16) for net in (in_place, out_of_place))
    assert first.inference == first.parameters + 2 * maps
    assert second.inference == second.parameters + 3 * maps


def test_channels_last_of_three_dimensions_is_a_format_of_its_own() -> None:
    net = nn.Sequential(nn.Conv3d(8, 8, 3), nn.Flatten())
    usage = memory(net, (8, 4, 4, 4), batch=2, channels_last=True)
    assert usage.parameters == (8 * 8 * 27 + 8) * FLOAT


def test_shared_parameters_count_once() -> None:
    net = linear_stack(8, 2)
    net[1].weight = net[0].weight
    profile = memory(net, (8,), batch=2)
    assert profile.parameters == profile.gradients == profile.optimizer_state == 64 * FLOAT


def test_frozen_parameters_have_no_gradient_and_no_state() -> None:
    net = linear_stack(8, 2)
    net[0].requires_grad_(False)
    profile = memory(net, (8,), batch=2, optimizer="adam")
    assert profile.gradients == 64 * FLOAT
    assert profile.optimizer_state - 2 * 64 * FLOAT in (0, FLOAT)  # Adam also counts its steps
    assert profile.saved < memory(linear_stack(8, 2), (8,), batch=2).saved + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "densenet_bc", "shufflenet_v2_x0_5"])
def test_maps_grow_with_the_batch_and_nothing_else_does(name: str) -> None:
    net, size = build(name, device="meta"), archzoo.find(name).input_size
    small, medium, large = (memory(net, size, batch=batch) for batch in (16, 32, 48))
    assert small.parameters == medium.parameters
    assert small.buffers == medium.buffers
    assert large.training - medium.training == medium.training - small.training > 0
    assert large.saved - medium.saved == pytest.approx(medium.saved - small.saved, rel=1e-3)


def test_a_real_run_keeps_what_is_counted() -> None:
    net = archzoo.build("resnet20")
    assert memory(net, (3, 32, 32), batch=4).saved == saved_by_autograd(net, torch.randn(4, 3, 32, 32))


@pytest.mark.slow
def test_the_model_is_not_touched_and_random_paths_are_drawn_elsewhere() -> None:
    net = archzoo.build("fractalnet", columns=3, widths=(4, 4, 4, 4, 4))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state, modes = torch.get_rng_state(), [module.training for module in net.modules()]
    memory(net, (3, 32, 32), batch=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_timeline_ends_lower_than_its_peak_and_names_its_phases() -> None:
    profile: MemoryProfile = memory(archzoo.build("resnet20", device="meta"), (3, 32, 32), batch=4)
    phases = list(dict.fromkeys(sample.phase for sample in profile.timeline))
    assert phases == ["inference", "forward", "backward", "step"]
    assert max(sample.allocated for sample in profile.timeline) == profile.training
    assert profile.timeline[-1].allocated < profile.training
    assert any(sample.module == "features.conv2_x.block1.layers.conv1" for sample in profile.timeline)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "lion"}, "no optimizer is called 'lion'; there are sgd, nesterov"),
        ({"device": "tpu"}, "device must be 'cpu' or 'cuda', not 'tpu'"),
        ({"batch": 0}, "batch must be a positive integer, not 0"),
    ],
)
def test_bad_requests_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        memory(linear_stack(4, 1), (4,), **arguments)


def test_a_failure_names_the_part() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ProfileError, match="an input of 3x9x9 fails in 2: RuntimeError"):
        memory(net, (3, 9, 9))


def test_a_lazy_model_and_one_without_parameters_are_followed() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    assert memory(lazy, (3, 4, 4), batch=2).parameters == (4 * 27 + 4 + 16 * 2 + 2) * FLOAT
    assert isinstance(lazy[0].weight, nn.UninitializedParameter)
    assert memory(nn.ReLU(), (3, 4, 4)).parameters == 0
