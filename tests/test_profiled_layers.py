"""Variants of layers, of attention and of calls that other counters get wrong: every value is derived by hand."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Normal
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.bias import causal_lower_right

from archzoo.errors import ProfileError
from archzoo.profiler import fits, memory, profile, traffic
from tests.test_profiled_code import Calls, weights

Case = tuple[nn.Module, Any, int]

# --- attention: H heads of D numbers, Q queries and K keys

H, Q, D = 4, 10, 8
HEADS = torch.zeros(1, H, Q, D)
FULL = 2 * H * Q * Q * D  # queries x keys, and scores x values
sdpa = F.scaled_dot_product_attention


def by_scores(net: Any, x: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return sdpa(x, x, x)


ATTENTION: dict[str, tuple[Callable[..., Any], int]] = {
    "causal, where nothing is left out": (lambda net, x: sdpa(x, x, x, is_causal=True), FULL),
    "a mask": (lambda net, x: sdpa(x, x, x, attn_mask=torch.ones(Q, Q, dtype=torch.bool)), FULL),
    "a learned mask": (lambda net, x: sdpa(x, x, x, attn_mask=net.mask), FULL),
    "by scores": (by_scores, FULL),
    "two heads of keys for four": (lambda net, x: sdpa(x, x[:, :2], x[:, :2], enable_gqa=True), FULL),
    "one head of keys for all": (lambda net, x: sdpa(x, x[:, :1], x[:, :1]), FULL),
    "one head of queries for all": (lambda net, x: sdpa(x[:, :1], x, x), FULL),
    "smaller values": (lambda net, x: sdpa(x, x, x[..., :4]), H * Q * Q * (D + 4)),
    "three keys": (lambda net, x: sdpa(x, x[:, :, :3], x[:, :, :3]), 2 * H * Q * 3 * D),
    "no batch": (lambda net, x: sdpa(x[0], x[0], x[0]), FULL),
    "no heads": (lambda net, x: sdpa(x[0, 0], x[0, 0], x[0, 0]), FULL // H),
    "two batch dimensions": (lambda net, x: sdpa(x[None], x[None], x[None]), FULL),
    "half precision": (lambda net, x: sdpa(x.half(), x.half(), x.half()), FULL),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_counts_every_pair_of_query_and_key(name: str) -> None:
    forward, macs = ATTENTION[name]
    net = Calls(forward, mask=nn.Parameter(torch.zeros(H, Q, Q)))
    counted = profile(net, HEADS)
    assert (counted.macs, counted.uncounted_ops) == (macs, {})
    assert traffic(net, HEADS).macs == macs


class WithBias(nn.Module):
    """Has a mask of a class of its own, which knows only its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = causal_lower_right(Q, Q)

    def forward(self, x: Tensor) -> Tensor:
        return sdpa(x, x, x, attn_mask=self.bias)


def test_a_mask_of_a_class_of_its_own_keeps_its_attributes() -> None:
    assert profile(WithBias(), HEADS).macs == FULL
    made_inside = Calls(lambda net, x: sdpa(x, x, x, attn_mask=causal_lower_right(Q, Q)))
    with pytest.raises(ProfileError, match="make it in __init__ and not in forward"):
        profile(made_inside, HEADS)


E = 16
TOKENS = torch.zeros(1, Q, E)
MULTI_HEAD = 4 * Q * E * E + 2 * Q * Q * E  # four projections, and attention


def multi_head(forward: Callable[..., Any], **options: Any) -> nn.Module:
    return Calls(forward, attend=nn.MultiheadAttention(E, 4, **{"batch_first": True, **options}))


UPPER = torch.ones(Q, Q, dtype=torch.bool).triu(1)
MULTI_HEADS: dict[str, Case] = {
    "with weights": (multi_head(lambda net, x: net.attend(x, x, x)[0]), TOKENS, MULTI_HEAD),
    "without weights": (multi_head(lambda net, x: net.attend(x, x, x, need_weights=False)[0]), TOKENS, MULTI_HEAD),
    "weights of each head": (
        multi_head(lambda net, x: net.attend(x, x, x, average_attn_weights=False)[0]), TOKENS, MULTI_HEAD,
    ),
    "causal": (
        multi_head(lambda net, x: net.attend(x, x, x, attn_mask=UPPER, is_causal=True)[0]), TOKENS, MULTI_HEAD,
    ),
    "three keys": (
        multi_head(lambda net, x: net.attend(x, x[:, :3], x[:, :3])[0]),
        TOKENS,
        2 * Q * E * E + 2 * 3 * E * E + 2 * Q * 3 * E,
    ),
    "keys and values of other sizes": (
        multi_head(lambda net, x: net.attend(x, x[..., :8], x[..., :4])[0], kdim=8, vdim=4),
        TOKENS,
        2 * Q * E * E + Q * E * 8 + Q * E * 4 + 2 * Q * Q * E,
    ),
    "two more keys": (
        multi_head(lambda net, x: net.attend(x, x, x)[0], add_bias_kv=True, add_zero_attn=True),
        TOKENS,
        4 * Q * E * E + 2 * Q * (Q + 2) * E,
    ),
    "without a batch": (multi_head(lambda net, x: net.attend(x[0], x[0], x[0])[0]), TOKENS, MULTI_HEAD),
    "sequence first": (
        multi_head(lambda net, x: net.attend(x.mT.permute(2, 0, 1), *[x.transpose(0, 1)] * 2)[0], batch_first=False),
        TOKENS,
        MULTI_HEAD,
    ),
    "frozen, in eval mode": (
        multi_head(lambda net, x: net.attend(x, x, x)[0]).eval().requires_grad_(False), TOKENS, MULTI_HEAD,
    ),
    "encoder and decoder": (
        Calls(lambda net, x: net.both(x, x[:, :3]), both=nn.Transformer(E, 4, 1, 1, 32, batch_first=True)),
        TOKENS,
        MULTI_HEAD + 2 * Q * E * 32  # the encoder
        + (4 * 3 * E * E + 2 * 3 * 3 * E)  # the decoder attends to its own three tokens,
        + (2 * 3 * E * E + 2 * Q * E * E + 2 * 3 * Q * E)  # and to those of the encoder
        + 2 * 3 * E * 32,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MULTI_HEADS)
def test_multi_head_attention_counts_its_projections_and_its_scores(name: str) -> None:
    net, example, macs = MULTI_HEADS[name]
    counted = profile(net, example)
    assert (counted.macs, counted.uncounted_ops) == (macs, {})


# --- recurrent layers

T, IN, OUT = 6, 7, 12


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("projection", [0, 5])
@pytest.mark.parametrize("directions", [1, 2])
def test_every_direction_of_an_lstm_projects_in_every_step(directions: int, projection: int, batch_first: bool) -> None:
    state = projection or OUT
    net = nn.LSTM(IN, OUT, 2, bidirectional=directions == 2, proj_size=projection, batch_first=batch_first)
    first = 4 * OUT * IN + 4 * OUT * state + projection * OUT
    second = 4 * OUT * directions * state + 4 * OUT * state + projection * OUT
    counted = profile(net, (T, IN), batch=3, batch_axis=0 if batch_first else 1)
    assert counted.macs == T * directions * (first + second)


CELLS: dict[str, Case] = {
    "lstm without bias": (nn.LSTM(IN, OUT, 2, bias=False, batch_first=True), (T, IN), T * 4 * OUT * (IN + 3 * OUT)),
    "gru in both directions": (
        nn.GRU(IN, OUT, bidirectional=True, batch_first=True), (T, IN), 2 * T * 3 * OUT * (IN + OUT),
    ),
    "rnn": (nn.RNN(IN, OUT, nonlinearity="relu", batch_first=True), (T, IN), T * OUT * (IN + OUT)),
    "lstm cell": (nn.LSTMCell(IN, OUT), (IN,), 4 * OUT * (IN + OUT)),
    "gru cell": (nn.GRUCell(IN, OUT), (IN,), 3 * OUT * (IN + OUT)),
    "rnn cell": (nn.RNNCell(IN, OUT), (IN,), OUT * (IN + OUT)),
}  # fmt: skip

# --- convolutions and linear layers

COMPLEX = torch.complex64
CONVOLUTIONS: dict[str, Case] = {
    # A transposed convolution writes one kernel for each input: ptflops, thop and fvcore count one for each output.
    "transposed": (nn.ConvTranspose2d(4, 6, 4, 2, 1), (4, 8, 8), 64 * 4 * 6 * 16),
    "transposed by groups": (nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=4), (4, 8, 8), 64 * 4 * 9),
    "transposed and dilated": (nn.ConvTranspose2d(4, 6, 3, 2, dilation=2, output_padding=1), (4, 8, 8), 64 * 4 * 6 * 9),
    "transposed to a size": (
        Calls(lambda net, x: net.conv(x, output_size=[16, 16]), conv=nn.ConvTranspose2d(4, 6, 3, 2, 1)),
        (4, 8, 8),
        64 * 4 * 6 * 9,
    ),
    "transposed, one dimension": (nn.ConvTranspose1d(4, 6, 3, 2), (4, 8), 8 * 4 * 6 * 3),
    "transposed, three dimensions": (nn.ConvTranspose3d(4, 6, 3, 2), (4, 3, 3, 3), 27 * 4 * 6 * 27),
    "padding of one more on one side": (nn.Conv2d(3, 5, 4, padding="same"), (3, 8, 8), 64 * 5 * 3 * 16),
    "the same size, dilated": (nn.Conv1d(3, 5, 4, padding="same", dilation=3), (3, 8), 8 * 5 * 3 * 4),
    "no padding": (nn.Conv2d(3, 5, 3, padding="valid"), (3, 8, 8), 36 * 5 * 27),
    "reflected": (nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), (3, 8, 8), 64 * 5 * 27),
    "circular": (nn.Conv2d(3, 5, 3, padding="same", padding_mode="circular"), (3, 8, 8), 64 * 5 * 27),
    "dilated, by groups, with a stride": (nn.Conv2d(4, 8, 3, 2, dilation=2, groups=2), (4, 9, 9), 9 * 8 * 2 * 9),
    "by a function": (
        Calls(lambda net, x: F.conv2d(x, net.w, padding="same"), w=weights(5, 3, 3, 3)), (3, 8, 8), 64 * 5 * 27,
    ),
    "unfolded": (Calls(lambda net, x: net.w @ F.unfold(x, 3), w=weights(4, 27)), (3, 6, 6), 16 * 4 * 27),
    # PyTorch computes one of complex numbers by three of real ones.
    "complex": (nn.Conv2d(3, 5, 3, dtype=COMPLEX), torch.zeros(1, 3, 8, 8, dtype=COMPLEX), 3 * 36 * 5 * 27),
}  # fmt: skip
LINEAR: dict[str, Case] = {
    "in more dimensions": (nn.Linear(3, 5), (2, 4, 3), 2 * 4 * 15),
    "of a vector": (Calls(lambda net, x: net.linear(x[0]), linear=nn.Linear(3, 5)), (3,), 15),
    "with a vector as weight": (Calls(lambda net, x: F.linear(x, net.w), w=weights(3)), (7, 3), 21),
    "complex": (nn.Linear(3, 5, dtype=COMPLEX), torch.zeros(1, 3, dtype=COMPLEX), 15),
    "with the weight of an embedding": (
        Calls(lambda net, i: F.linear(net.words(i), net.words.weight), words=nn.Embedding(10, 4)),
        torch.zeros(1, 3, dtype=torch.int64),
        3 * 4 * 10,
    ),
    "called three times": (nn.Sequential(*[nn.Linear(4, 4)] * 3), (4,), 48),
    "in a list": (Calls(lambda net, x: [part(x) for part in net.parts], parts=nn.ModuleList([nn.Linear(4, 4)] * 2)),
                  (4,), 32),
    "in a dict": (
        Calls(
            lambda net, x: {name: part(x) for name, part in net.parts.items()},
            parts=nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 2)}),
        ),
        (4,),
        24,
    ),
    "of low rank, beside another": (
        Calls(lambda net, x: net.base(x) + net.up(net.down(x)),
              base=nn.Linear(8, 6), down=nn.Linear(8, 2, bias=False), up=nn.Linear(2, 6, bias=False)),
        (8,),
        48 + 16 + 12,
    ),
    "of low rank, merged first": (
        Calls(lambda net, x: F.linear(x, net.base + net.up @ net.down),
              base=weights(6, 8), up=weights(6, 2), down=weights(2, 8)),
        (8,),
        48 + 6 * 2 * 8,
    ),
    "called functionally": (
        Calls(lambda net, x: torch.func.functional_call(net.part, {"weight": net.part.weight * 2}, (x,)),
              part=nn.Linear(4, 4)),
        (4,),
        16,
    ),
    "of five weights at once": (
        Calls(lambda net, x: torch.vmap(lambda w, rows: rows @ w, (0, None))(net.w, x), w=weights(5, 4, 4)), (4,), 80,
    ),
}  # fmt: skip
OF_ONE = weights(8)
EINSUM: dict[str, Case] = {
    "two products": (Calls(lambda net, x: torch.einsum("bij,bjk,bkl->bil", x, x, x)), (4, 4), 2 * 64),
    "scores": (Calls(lambda net, x: torch.einsum("bhqd,bhkd->bhqk", x, x)), (H, Q, D), H * Q * Q * D),
    "with a vector": (Calls(lambda net, x: torch.einsum("bhqd,d->bhq", x, net.w), w=OF_ONE), (H, Q, D), H * Q * D),
    "to a number": (Calls(lambda net, x: torch.einsum("bij,bij->b", x, x)), (4, 4), 16),
    "outer": (Calls(lambda net, x: torch.einsum("bi,bj->bij", x, x)), (4,), 0),  # a multiplication, and no addition
}
LAYERS = {
    f"{kind}: {name}": case
    for kind, cases in (("cell", CELLS), ("conv", CONVOLUTIONS), ("linear", LINEAR), ("einsum", EINSUM))
    for name, case in cases.items()
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_counts_what_a_hand_count_gives(name: str) -> None:
    net, size, macs = LAYERS[name]
    counted = profile(net, size)
    assert (counted.macs, counted.uncounted_ops) == (macs, {})


# --- how models are called, and what they return


def by_name(net: Any, *, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
    return {"logits": net.head(net.words(input_ids)), "past": (None, attention_mask)}


def test_a_batch_is_a_dict_of_arguments_by_name() -> None:
    net = Calls(by_name, words=nn.Embedding(10, 4), head=nn.Linear(4, 6))
    batch = {"input_ids": torch.zeros(2, 3, dtype=torch.int64), "attention_mask": torch.ones(2, 3)}
    assert profile(net, batch).macs == 3 * 24
    assert traffic(net, batch).macs == 2 * 3 * 24
    assert memory(net, batch).batch == 2


def test_a_list_of_images_of_different_sizes_is_one_call() -> None:
    net = Calls(lambda net, images: [net.conv(image["pixels"][None]) for image in images], conv=nn.Conv2d(3, 4, 3))
    images = [{"pixels": torch.zeros(3, 8, 8), "id": 1}, {"pixels": torch.zeros(3, 6, 6), "id": 2}]
    assert profile(net, [images], batch_axis=None).macs == (36 + 16) * 4 * 27


@dataclass
class Output:
    logits: Tensor
    loss: Tensor | None = None


def test_a_dataclass_of_tensors_is_an_output() -> None:
    net = Calls(lambda net, x: Output(net.head(x)), head=nn.Linear(4, 4))
    plain = Calls(lambda net, x: {"logits": net.head(x), "loss": None}, head=nn.Linear(4, 4))
    assert profile(net, (4,)).macs == 16
    assert memory(net, (4,), batch=3).training == memory(plain, (4,), batch=3).training


DISTRIBUTIONS: dict[str, Callable[..., Any]] = {
    "returned": lambda net, x: Categorical(logits=net.head(x)),
    "sampled": lambda net, x: Categorical(logits=net.head(x)).sample(),
    "a sample with a gradient": lambda net, x: Normal(net.head(x), x.exp()).rsample(),
    "a probability": lambda net, x: Bernoulli(logits=net.head(x)).log_prob(x),
    "values of its own": lambda net, x: Normal(net.head(x), torch.tensor(1.0)).rsample(),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_arguments_of_distributions_are_valid_where_they_have_no_values(name: str) -> None:
    net = Calls(DISTRIBUTIONS[name], head=nn.Linear(4, 4))
    assert profile(net, (4,)).macs == 16
    if name == "a sample with a gradient":
        assert memory(net, (4,), batch=2).training > 0


class SkipsMask(nn.Module):
    """Attention that leaves its mask out where nothing is masked, which only values tell, unless it is compiled."""

    def __init__(self, *, skips: bool) -> None:
        super().__init__()
        self.project, self.skips = nn.Linear(E, E), skips

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.project(x)[:, None]
        skip = self.skips and not torch.compiler.is_compiling() and bool(mask.all())
        return sdpa(x, x, x, attn_mask=None if skip else mask[:, None, None])


@pytest.mark.slow
def test_a_mask_that_is_read_unless_compiled_counts_as_one_that_is_used() -> None:
    inputs = [(Q, E), torch.ones(2, Q, dtype=torch.bool)]
    skips, uses = SkipsMask(skips=True), SkipsMask(skips=False)
    assert profile(skips, inputs).macs == profile(uses, inputs).macs == Q * E * E + 2 * Q * Q * E
    assert traffic(skips, inputs).macs == traffic(uses, inputs).macs
    for device in ("cpu", "cuda"):
        first, second = (memory(net, inputs, device=device) for net in (skips, uses))
        assert (first.inference, first.training) == (second.inference, second.training)
    fit = fits(skips, inputs, "1MiB", batch=2, device="cpu", savings=False)
    assert fit.training.allocated == memory(uses, inputs).training
    assert not torch.compiler.is_compiling()


def test_what_is_read_in_any_case_is_refused_and_the_process_is_as_it_was() -> None:
    net = Calls(lambda net, x: x if x.sum() > 0 else -x)
    for count in (profile, traffic, memory):
        with pytest.raises(ProfileError, match="depends on the value of a tensor"):
            count(net, (4,))
    assert not torch.compiler.is_compiling()


# --- experts: TOP of them for each token

EXPERTS, TOP, HIDDEN = 4, 2, 32


def route(net: Any, tokens: Tensor) -> Tensor:
    """Sorts tokens by expert, so that each expert multiplies a group of rows, which only values tell."""
    shares, chosen = net.router(tokens).topk(TOP, dim=-1)
    order = chosen.flatten().argsort()
    ends = F.one_hot(chosen.flatten(), EXPERTS).sum(0).cumsum(0).to(torch.int32)
    hidden = F.grouped_mm(tokens[order // TOP], net.up, offs=ends)
    return F.grouped_mm(hidden, net.down, offs=ends) * shares.flatten()[order, None]


def test_experts_multiply_as_many_rows_as_tokens_choose() -> None:
    net = Calls(
        route,
        router=nn.Linear(E, EXPERTS),
        up=nn.Parameter(torch.zeros(EXPERTS, E, HIDDEN)),
        down=nn.Parameter(torch.zeros(EXPERTS, HIDDEN, E)),
    )
    tokens = torch.zeros(10, E)
    counted = profile(net, tokens, batch_axis=None)
    assert (counted.macs, counted.uncounted_ops) == (10 * E * EXPERTS + 10 * TOP * 2 * E * HIDDEN, {})
    # The tokens have no gradient, nor have the indices: the gradients of both layers' weights, and of what is between.
    assert counted.backward_macs == 10 * E * EXPERTS + (1 + 2) * 10 * TOP * E * HIDDEN


# --- quantized layers


@functools.cache
def dynamic_linear() -> nn.Module:
    return nn.Sequential(torch.ao.nn.quantized.dynamic.Linear(4, 6))


@pytest.mark.filterwarnings("ignore")
def test_a_dynamically_quantized_linear_layer_counts_what_it_multiplies() -> None:
    counted = profile(dynamic_linear(), (3, 4))
    assert (counted.macs, counted.uncounted_ops) == (3 * 24, {})
    with pytest.raises(ProfileError, match="count the model as it was before it was quantized"):
        memory(dynamic_linear(), (3, 4))


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_trains_for_quantization_counts_as_it_is() -> None:
    net = nn.Linear(4, 6)
    net.qconfig = torch.ao.quantization.get_default_qat_qconfig()
    counted = profile(torch.ao.quantization.prepare_qat(nn.Sequential(net).train()), (4,))
    assert (counted.macs, counted.uncounted_ops) == (24, {})
