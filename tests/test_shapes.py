"""Every rule for the shape of an operator's output, against PyTorch's own meta kernel."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archzoo.profiler._shapes import SHAPES
from tests.networks import EVERY_NET

aten = torch.ops.aten
Call = tuple[Any, tuple[Any, ...]]
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64])
SIDES = st.integers(1, 7)


def meta(shape: list[int], dtype: torch.dtype, *, last: bool = False) -> Tensor:
    tensor = torch.empty(shape, dtype=dtype, device="meta")
    return tensor.to(memory_format=torch.channels_last) if last and tensor.dim() == 4 else tensor


@st.composite
def maps(draw: st.DrawFn, channels: int | None = None) -> Tensor:
    shape = [draw(st.integers(1, 3)), channels or draw(st.integers(1, 4)), draw(SIDES), draw(SIDES)]
    return meta(shape, draw(DTYPES), last=draw(st.booleans()))


@st.composite
def convolutions(draw: st.DrawFn) -> Call:
    groups, inside, outside = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = draw(maps(channels=draw(st.sampled_from([groups * inside] * 4 + [groups * inside + 1]))))
    kernel = [draw(st.integers(1, 4)), draw(st.integers(1, 4))]
    transposed = draw(st.sampled_from([False] * 5 + [True]))
    shape = [groups * inside, outside, *kernel] if transposed else [groups * outside, inside, *kernel]
    weight = meta(shape, draw(st.sampled_from([x.dtype] * 4 + [torch.float32])), last=draw(st.booleans()))
    bias = meta([groups * outside], x.dtype) if draw(st.booleans()) else None
    pairs = st.lists(st.integers(1, 3), min_size=2, max_size=2)
    padding = draw(st.lists(st.integers(0, 2), min_size=2, max_size=2))
    return aten.convolution.default, (x, weight, bias, draw(pairs), padding, draw(pairs), transposed, [0, 0], groups)


@st.composite
def normalizations(draw: st.DrawFn) -> Call:
    x = draw(maps())
    rest = [meta([x.shape[1]], x.dtype) for _ in range(4)]
    return aten.native_batch_norm.default, (x, *rest, draw(st.booleans()), 0.1, 1e-5)


@st.composite
def pools(draw: st.DrawFn) -> Call:
    x = draw(maps())
    pair = st.lists(st.integers(1, 4), min_size=2, max_size=2)
    stride = draw(st.one_of(pair, st.just([])))
    padding = draw(st.lists(st.integers(0, 2), min_size=2, max_size=2))
    if draw(st.booleans()):
        dilation = draw(st.lists(st.integers(1, 2), min_size=2, max_size=2))
        return aten.max_pool2d_with_indices.default, (x, draw(pair), stride, padding, dilation, draw(st.booleans()))
    return aten.avg_pool2d.default, (x, draw(pair), stride, padding, draw(st.booleans()))


@st.composite
def elementwise(draw: st.DrawFn) -> Call:
    x = draw(maps())
    names = ["relu", "tanh", "sigmoid", "silu", "gelu", "hardtanh", "hardswish", "elu"]
    return getattr(aten, draw(st.sampled_from(names))).default, (x,)


@st.composite
def arithmetic(draw: st.DrawFn) -> Call:
    a = draw(maps())
    others = [a, a.transpose(2, 3), a[:, :1], draw(maps()), 2, 0.5, a.to(torch.float64), a.contiguous()]
    name = draw(st.sampled_from(["add", "sub", "mul", "div"]))
    return getattr(aten, name).Tensor, (a, draw(st.sampled_from(others)))


@st.composite
def sums(draw: st.DrawFn) -> Call:
    x = draw(maps())
    dims = draw(st.lists(st.integers(-5, 4), max_size=3))
    operator = draw(st.sampled_from([aten.mean.dim, aten.sum.dim_IntList]))
    return operator, (x, dims, draw(st.booleans()))


@st.composite
def joins(draw: st.DrawFn) -> Call:
    first = draw(maps())
    parts = [first] + [draw(st.sampled_from([first, first[:, :1], first[..., :1], first.double()])) for _ in range(2)]
    return draw(st.sampled_from([aten.cat.default, aten.stack.default])), (parts, draw(st.integers(-6, 5)))


@st.composite
def products(draw: st.DrawFn) -> Call:
    n, k, m = draw(SIDES), draw(SIDES), draw(SIDES)
    dtype = draw(DTYPES)
    a, b = meta([n, k], dtype), meta([draw(st.sampled_from([k, k, k, k + 1])), m], dtype)
    b = meta([m, b.shape[0]], dtype).t() if draw(st.booleans()) else b
    if draw(st.booleans()):
        return aten.mm.default, (a, b)
    return aten.addmm.default, (meta([draw(st.sampled_from([m, m, m, 1, m + 1]))], dtype), a, b)


@st.composite
def borders(draw: st.DrawFn) -> Call:
    pad = draw(st.lists(st.integers(-2, 3), max_size=8).filter(lambda pad: len(pad) % 2 == 0))
    return aten.constant_pad_nd.default, (draw(maps()), pad)


@st.composite
def others(draw: st.DrawFn) -> Call:
    x = draw(maps())
    if draw(st.booleans()):
        return aten.pow.Tensor_Scalar, (x, draw(st.sampled_from([2, 0.5])))
    return aten._adaptive_avg_pool2d.default, (x, [draw(SIDES), draw(SIDES)])


def described(out: object) -> object:
    """Shape, strides and type of what an operator returns, of all tensors in it."""
    if isinstance(out, Tensor):
        return out.shape, out.stride(), out.dtype, out.device
    assert isinstance(out, tuple | list)
    return [described(tensor) for tensor in out]


def attempt(work: Callable[[], object]) -> object:
    """What a call returns, described; or that it raises."""
    try:
        return described(work())
    except (RuntimeError, IndexError, ValueError, NotImplementedError) as error:
        return type(error)


CALLS = st.one_of(
    convolutions(),
    normalizations(),
    pools(),
    elementwise(),
    arithmetic(),
    sums(),
    joins(),
    products(),
    borders(),
    others(),
)


@pytest.mark.slow
@settings(max_examples=1500 if EVERY_NET else 300, deadline=None)
@given(CALLS)
def test_a_rule_returns_what_torch_does_or_leaves_it_to_torch(call: Call) -> None:
    operator, args = call
    ours = SHAPES[operator](*args)
    assert ours is NotImplemented or described(ours) == attempt(lambda: operator(*args))


X = torch.empty(2, 4, 6, 6, device="meta")
V = torch.empty(4, device="meta")
PLAIN: list[Call] = [
    (
        aten.convolution.default,
        (X, torch.empty(8, 2, 3, 3, device="meta"), None, [2, 1], [1, 1], [1, 2], False, [0, 0], 2),
    ),
    (aten.native_batch_norm.default, (X, V, V, V, V, False, 0.1, 1e-5)),
    (aten.native_batch_norm.default, (X.to(memory_format=torch.channels_last), V, V, V, V, True, 0.1, 1e-5)),
    (aten.add.Tensor, (X, X)),
    (aten.mul.Tensor, (X, 2.0)),
    (aten.pow.Tensor_Scalar, (X, 2)),
    (aten.cat.default, ([X, X[:, :2].contiguous()], 1)),
    (aten.stack.default, ([X, X], -1)),
    (aten.max_pool2d_with_indices.default, (X, [3, 3], [2, 2], [0, 0], [1, 1], True)),
    (aten.avg_pool2d.default, (X, [2, 2])),
    (aten._adaptive_avg_pool2d.default, (X, [4, 4])),
    (aten.mean.dim, (X, [-1, -2], True)),
    (aten.sum.dim_IntList, (X, [0])),
    (aten.mm.default, (X[0, 0], X[0, 0])),
    (aten.addmm.default, (X[0, 0, 0], X[0, 0], X[0, 0].t())),
    (aten.constant_pad_nd.default, (X, [1, 2])),
    *((operator, (X,)) for operator in SHAPES if operator.name().split("::")[1] in ("relu", "tanh", "gelu", "elu")),
]


@pytest.mark.parametrize("call", PLAIN, ids=lambda call: str(call[0]))
def test_no_rule_leaves_the_usual_call_to_torch(call: Call) -> None:
    operator, args = call
    assert described(SHAPES[operator](*args)) == described(operator(*args))


@pytest.mark.parametrize("operator", [operator for operator in SHAPES if operator._schema.is_mutable], ids=str)
def test_an_operator_in_place_returns_the_tensor_itself(operator: Any) -> None:
    maps = torch.empty(2, 3, device="meta")
    assert SHAPES[operator](maps) is maps
