"""Tensors that are no plain arrays of numbers: nested ones, sparse ones, and what ``flex_attention`` is given."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

from archzoo.errors import ProfileError
from archzoo.profiler import fits, memory, profile, traffic
from tests.test_profiled_code import Calls

WIDTH = 8
LAYOUTS = [torch.strided, torch.jagged]
COUNTS: dict[str, Callable[..., Any]] = {
    "profile": profile,
    "traffic": traffic,
    "memory": memory,
    "fits": lambda net, size: fits(net, size, "1GiB", device="cpu"),
}

# --- nested tensors


def of_constants(layout: torch.layout) -> Callable[..., Any]:
    return lambda net, x: net.linear(torch.nested.nested_tensor([torch.zeros(5, 8), torch.zeros(3, 8)], layout=layout))


def of_inputs(layout: torch.layout) -> Callable[..., Any]:
    return lambda net, x: net.linear(torch.nested.as_nested_tensor([x[0, :5], x[0, :3]], layout=layout))


def of_offsets(layout: torch.layout) -> Callable[..., Any]:
    return lambda net, x: net.linear(torch.nested.nested_tensor_from_jagged(x[0], torch.tensor([0, 2, 5])))


def of_a_mask(layout: torch.layout) -> Callable[..., Any]:
    return lambda net, x: net.linear(torch._nested_tensor_from_mask(x, torch.ones(1, 5, dtype=torch.bool)))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("made", [of_constants, of_inputs, of_offsets, of_a_mask])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nested_tensors_made_in_forward_are_refused_with_what_to_do(layout: Any, made: Any, count: str) -> None:
    net = Calls(made(layout), linear=nn.Linear(WIDTH, WIDTH))
    with pytest.raises(ProfileError, match="nested tensor, whose lengths are values .*: pad instead"):
        COUNTS[count](net, (5, WIDTH))


class Holds(nn.Module):
    """Has a nested tensor, as a buffer or as an attribute."""

    def __init__(self, layout: torch.layout, is_buffer: bool) -> None:
        super().__init__()
        nested = torch.nested.nested_tensor([torch.zeros(5, 8), torch.zeros(3, 8)], layout=layout)
        if is_buffer:
            self.register_buffer("nested", nested)
        else:
            self.nested = nested

    def forward(self, x: Tensor) -> Any:
        return x, self.nested + 1


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("is_buffer", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nested_tensors_of_a_model_are_refused_too(layout: Any, is_buffer: bool, count: str) -> None:
    with pytest.raises(ProfileError, match="nested tensor, whose lengths are values .*: pad instead"):
        COUNTS[count](Holds(layout, is_buffer), (5, WIDTH))


def test_a_transformer_with_a_padding_mask_moves_what_it_moves_where_nothing_is_left_out() -> None:
    """Its fast path makes a nested tensor where the mask says that some tokens are padding."""
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[1, 6:] = True
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
    inside = Calls(lambda net, x: net.encode(x, src_key_padding_mask=mask), encode=net)
    layer = 4 * 10 * 16 * 16 + 2 * 10 * 10 * 16 + 2 * 10 * 16 * 32
    assert profile(inside, torch.zeros(2, 10, 16)).macs == 2 * layer
    assert traffic(inside, torch.zeros(2, 10, 16)).macs == 2 * 2 * layer


# --- sparse matrices, of NODES x NODES with EDGES elements

NODES, EDGES, IN, OUT = 6, 5, 3, 4
ADJACENCY = torch.zeros(NODES, NODES)
ADJACENCY[[0, 1, 2, 3, 5], [1, 0, 3, 2, 5]] = 1
SPARSE: dict[str, Callable[[Tensor], Tensor]] = {
    "coo": Tensor.to_sparse,
    "csr": Tensor.to_sparse_csr,
    "csc": Tensor.to_sparse_csc,
}
INDICES = {"coo": 2 * EDGES, "csr": NODES + 1 + EDGES, "csc": NODES + 1 + EDGES}
FEATURES = torch.zeros(NODES, IN)
LINEAR = NODES * IN * OUT
USES: dict[str, tuple[Callable[..., Any], int]] = {
    "@": (lambda net, x, a: a @ net.linear(x), EDGES * OUT),
    "sparse.mm": (lambda net, x, a: torch.sparse.mm(a, net.linear(x)), EDGES * OUT),
    "spmm": (lambda net, x, a: torch.spmm(a, net.linear(x)), EDGES * OUT),
    "sparse.addmm": (lambda net, x, a: torch.sparse.addmm(x[:, :1], a, net.linear(x)), EDGES * OUT),
    "with a vector": (lambda net, x, a: a @ net.linear(x)[:, 0], EDGES),
    "on the right": (lambda net, x, a: net.linear(x).mT @ a, EDGES * OUT),
}


@pytest.mark.filterwarnings("ignore:Sparse CS")
@pytest.mark.parametrize("layout", SPARSE)
@pytest.mark.parametrize("use", USES)
def test_a_sparse_matrix_multiplies_the_elements_that_it_has(use: str, layout: str) -> None:
    forward, macs = USES[use]
    adjacency = SPARSE[layout](ADJACENCY)
    given = Calls(forward, linear=nn.Linear(IN, OUT))
    held = Calls(lambda net, x: forward(net, x, net.a), linear=nn.Linear(IN, OUT), a=nn.Buffer(adjacency))
    for counted in (
        profile(given, [FEATURES, adjacency], batch_axis=None),
        profile(held, FEATURES, batch_axis=None),
    ):
        assert (counted.macs, counted.uncounted_ops) == (LINEAR + macs, {})


@pytest.mark.filterwarnings("ignore:Sparse CS")
@pytest.mark.parametrize("layout", SPARSE)
def test_a_sparse_matrix_is_read_as_it_is_stored(layout: str) -> None:
    moved = traffic(Calls(lambda net, x, a: a @ x), [FEATURES, SPARSE[layout](ADJACENCY)])
    assert moved.read == 4 * EDGES + 8 * INDICES[layout] + 4 * NODES * IN
    assert moved.written == 4 * NODES * IN


def test_a_batch_of_sparse_matrices_and_one_that_forward_makes() -> None:
    batch = torch.stack([ADJACENCY, ADJACENCY]).to_sparse()
    assert profile(Calls(lambda net, x, a: torch.bmm(a, x)), [torch.zeros(2, NODES, IN), batch]).macs == EDGES * IN

    def made(net: Any, x: Tensor, edges: Tensor) -> Any:
        return torch.sparse_coo_tensor(edges, torch.ones(EDGES), (NODES, NODES)) @ x

    edges = torch.zeros(2, EDGES, dtype=torch.int64)
    assert profile(Calls(made), [FEATURES, edges], batch_axis=None).macs == EDGES * IN


@pytest.mark.filterwarnings("ignore:Sparse CS")
@pytest.mark.parametrize("layout", SPARSE)
def test_sparse_matrices_are_refused_where_they_are_not_modeled(layout: str) -> None:
    adjacency = SPARSE[layout](ADJACENCY)
    held = Calls(lambda net, x: net.a @ x, a=nn.Buffer(adjacency))
    with pytest.raises(ProfileError, match="the memory of sparse parameters, buffers and inputs is not modeled"):
        memory(held, FEATURES)
    with pytest.raises(ProfileError, match="the memory of sparse parameters, buffers and inputs is not modeled"):
        memory(Calls(lambda net, x, a: a @ x), [FEATURES, adjacency])
    with pytest.raises(ProfileError, match="a sparse input has no batch that could be varied"):
        fits(Calls(lambda net, x, a: a @ x), [FEATURES, adjacency], "1GiB", device="cpu")
    with pytest.raises(ProfileError, match="make it outside of forward, and leave it on the CPU"):
        profile(held.to("meta"), FEATURES)


@pytest.mark.parametrize("convert", [Tensor.to_sparse, Tensor.to_sparse_csr])
def test_how_many_elements_a_result_has_is_not_known(convert: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ProfileError, match="PyTorch does not tell the shape of that operator.s result"):
        profile(Calls(lambda net, x: convert(x @ x.mT) @ x), FEATURES)


# --- flex_attention

HEADS, TOKENS, SIZE = 2, 128, 16
QUERIES = torch.zeros(1, HEADS, TOKENS, SIZE)
ALL_PAIRS = 2 * HEADS * TOKENS * TOKENS * SIZE


def causal(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return query >= key


def nearer_is_more(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return score + query - key


BLOCKS = create_block_mask(causal, None, None, TOKENS, TOKENS, device="cpu", BLOCK_SIZE=32)
FLEX: dict[str, tuple[Callable[..., Any], int]] = {
    "plain": (lambda net, x: flex_attention(x, x, x), ALL_PAIRS),
    "scores are changed": (lambda net, x: flex_attention(x, x, x, score_mod=nearer_is_more), ALL_PAIRS),
    "blocks are left out, and counted": (lambda net, x: flex_attention(x, x, x, block_mask=BLOCKS), ALL_PAIRS),
    "a mask made in forward": (
        lambda net, x: flex_attention(
            x, x, x, block_mask=create_block_mask(causal, None, None, TOKENS, TOKENS, device=x.device)
        ),
        ALL_PAIRS,
    ),
    "one head of keys": (lambda net, x: flex_attention(x, x[:, :1], x[:, :1], enable_gqa=True), ALL_PAIRS),
    "smaller values": (lambda net, x: flex_attention(x, x, x[..., :8]), HEADS * TOKENS * TOKENS * (SIZE + 8)),
}  # fmt: skip


@pytest.mark.slow  # the first one imports sympy
@pytest.mark.parametrize("name", FLEX)
def test_flex_attention_counts_every_pair_and_refuses_its_memory(name: str) -> None:
    forward, macs = FLEX[name]
    counted = profile(Calls(forward), QUERIES)
    assert (counted.macs, counted.uncounted_ops) == (macs, {})
    assert traffic(Calls(forward), QUERIES).macs == macs
    for device in ("cpu", "cuda"):
        with pytest.raises(ProfileError, match="the memory of flex_attention is not modeled"):
            memory(Calls(forward), QUERIES, device=device)
    assert nn.attention.flex_attention._validate_device.__module__ == nn.attention.flex_attention.__name__


def test_flex_attention_writes_the_sums_of_its_scores_where_they_are_asked_for() -> None:
    def moved(**options: Any) -> tuple[int, int]:
        calls = traffic(Calls(lambda net, x: flex_attention(x, x, x, **options)), QUERIES).operators
        return next((call.read, call.written) for call in calls if call.operator == "flex_attention")

    maps = 4 * QUERIES.numel()
    assert moved() == (maps, maps)  # queries, keys and values are one tensor
    assert moved(return_aux=AuxRequest(lse=True)) == (maps, maps + 4 * HEADS * TOKENS)


@pytest.mark.slow  # importing the compiler takes seconds
@pytest.mark.filterwarnings("ignore:`torch.jit.script")
def test_compiled_flex_attention_counts_as_it_is_written() -> None:
    compiled = torch.compile(flex_attention)
    net = Calls(lambda net, x: compiled(x, x, x, block_mask=BLOCKS))
    assert profile(net, QUERIES).macs == profile(torch.compile(net), QUERIES).macs == ALL_PAIRS  # type: ignore[arg-type]
    with pytest.raises(ProfileError, match="the memory of flex_attention is not modeled"):
        memory(net, QUERIES)
