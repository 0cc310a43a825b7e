"""Operators in all their forms: in place, into a given tensor, of linear algebra, and of other libraries."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archzoo.errors import ProfileError
from archzoo.profiler import memory, profile, traffic
from archzoo.profiler._operators import look_up
from archzoo.profiler._value_readers import grouped_product, least_squares
from tests.test_profiled_code import Calls, weights

aten = torch.ops.aten
N, K, M = 3, 5, 4
MATRIX, MATRICES = torch.zeros(N, K), torch.zeros(2, N, K)
ONE, TWO = N * K * M, 2 * N * K * N  # a matrix times w; two products of a matrix with its transpose


def times_itself(net: Any, x: Tensor) -> Tensor:
    x @= net.square
    return x


def into_itself(net: Any, x: Tensor) -> Tensor:
    out = x.new_zeros(N, M)
    return torch.addmm(out, x, net.w, out=out)


FORMS: dict[str, tuple[Callable[..., Any], Tensor, int]] = {
    "@=": (times_itself, MATRIX, N * K * K),
    "@= of a batch": (times_itself, MATRICES, 2 * N * K * K),
    "__rmatmul__": (lambda net, x: x.mT.__rmatmul__(net.w.mT), MATRIX, ONE),
    "addmm_": (lambda net, x: x.new_zeros(N, M).addmm_(x, net.w), MATRIX, ONE),
    "addmm_ of a tensor made in forward": (lambda net, x: torch.zeros(N, M).addmm_(x, net.w), MATRIX, ONE),
    "addmm with factors": (lambda net, x: torch.addmm(x[:, :M], x, net.w, beta=0, alpha=2), MATRIX, ONE),
    "addmm, out": (lambda net, x: torch.addmm(x[:, :M], x, net.w, out=x.new_empty(N, M)), MATRIX, ONE),
    "addmm, out is an operand": (into_itself, MATRIX, ONE),
    "addmm and an activation": (lambda net, x: torch._addmm_activation(net.w[0], x, net.w), MATRIX, ONE),
    "baddbmm_": (lambda net, x: x.new_zeros(2, N, N).baddbmm_(x, x.mT), MATRICES, TWO),
    "baddbmm, out": (
        lambda net, x: torch.baddbmm(x @ x.mT, x, x.mT, out=x.new_empty(2, N, N)), MATRICES, 2 * TWO,
    ),
    "addbmm_": (lambda net, x: x.new_zeros(N, N).addbmm_(x, x.mT), MATRICES, TWO),
    "addbmm, out": (lambda net, x: torch.addbmm(x[0, :, :N], x, x.mT, out=x.new_empty(N, N)), MATRICES, TWO),
    "addmv_": (lambda net, x: x.new_zeros(N).addmv_(x, net.w[:, 0]), MATRIX, N * K),
    "addmv, out": (lambda net, x: torch.addmv(x[:, 0], x, net.w[:, 0], out=x.new_empty(N)), MATRIX, N * K),
    "addr_": (lambda net, x: x.new_zeros(N, K).addr_(x[:, 0], x[0]), MATRIX, N * K),
    "addr, out": (lambda net, x: torch.addr(x, x[:, 0], x[0], out=x.new_empty(N, K)), MATRIX, N * K),
    "mv, out": (lambda net, x: torch.mv(x, net.w[:, 0], out=x.new_empty(N)), MATRIX, N * K),
    "dot, out": (lambda net, x: torch.dot(x[0], x[1], out=x.new_empty(())), MATRIX, K),
    "vdot, out": (lambda net, x: torch.vdot(x[0], x[1], out=x.new_empty(())), MATRIX, K),
    "mm, out": (lambda net, x: torch.mm(x, net.w, out=x.new_empty(N, M)), MATRIX, ONE),
    "mm, out made in forward": (lambda net, x: torch.mm(x, net.w, out=torch.empty(N, M)), MATRIX, ONE),
    "mm, out is resized": (lambda net, x: torch.mm(x, net.w, out=x.new_empty(0)), MATRIX, ONE),
    "mm, in another dtype": (
        lambda net, x: torch.mm(x.half(), net.w.half(), out_dtype=torch.float32), MATRIX, ONE,
    ),
    "mm by keywords": (lambda net, x: aten.mm.default(self=x, mat2=net.w), MATRIX, ONE),
    "bmm, out": (lambda net, x: torch.bmm(x, x.mT, out=x.new_empty(2, N, N)), MATRICES, TWO),
    "matmul, out": (lambda net, x: torch.matmul(x, net.w, out=x.new_empty(2, N, M)), MATRICES, 2 * ONE),
    "linear, out": (lambda net, x: aten.linear.out(x, net.w.mT, out=x.new_empty(N, M)), MATRIX, ONE),
    "inner, out": (lambda net, x: torch.inner(x, x, out=x.new_empty(N, N)), MATRIX, N * K * N),
    "tensordot, out": (lambda net, x: torch.tensordot(x, net.w, 1, out=x.new_empty(N, M)), MATRIX, ONE),
    "tensordot over two": (lambda net, x: torch.tensordot(x, x, ([1, 2], [1, 2])), MATRICES, 2 * 2 * N * K),
    "multi_dot, out": (lambda net, x: torch.linalg.multi_dot([x, net.w], out=x.new_empty(N, M)), MATRIX, ONE),
    "a third power": (lambda net, x: torch.linalg.matrix_power(x @ x.mT, 3), MATRICES, TWO + 2 * 2 * N**3),
    "a list of pairs": (lambda net, x: torch._foreach_mm([x, x], [net.w, net.w]), MATRIX, 2 * ONE),
}  # fmt: skip


def asks_where_it_is(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The same after a comparison of devices, which meta tensors fail and fake ones pass."""

    def compares(net: Any, x: Tensor) -> Any:
        if x.device != torch.zeros(1).device:
            raise RuntimeError("tensors are on two devices")
        return forward(net, x)

    return compares


WAYS: dict[str, tuple[str, Callable[..., Any], Callable[[], AbstractContextManager[Any]]]] = {
    "real": ("cpu", lambda forward: forward, nullcontext),
    "meta": ("meta", lambda forward: forward, nullcontext),
    "fake": ("cpu", asks_where_it_is, nullcontext),
    "inference mode around": ("cpu", lambda forward: forward, torch.inference_mode),
    "inference mode inside": ("cpu", torch.inference_mode(), nullcontext),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FORMS)
def test_a_product_counts_the_same_in_every_form_and_on_all_tensors(name: str, way: str) -> None:
    forward, example, macs = FORMS[name]
    device, change, context = WAYS[way]
    net = Calls(change(forward), w=weights(K, M), square=weights(K, K)).to(device)
    with context():
        counted = profile(net, example, batch_axis=None)
    assert (counted.macs, counted.uncounted_ops) == (macs, {})


def packets() -> Iterator[tuple[str, Any]]:
    """The names and overloads of all operators of ATen."""
    for name in sorted({schema.name for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")}):
        packet = getattr(aten, name.removeprefix("aten::"), None)
        if packet is not None:
            yield packet.__name__, packet


def test_an_operator_in_place_has_the_rules_of_that_which_returns_its_result() -> None:
    differ = []
    for name, packet in packets():
        twin = getattr(aten, name.removesuffix("_"), None)
        if name.endswith("__") or not name.endswith("_") or twin is None:
            continue
        in_place, plain = (look_up(getattr(operator, operator.overloads()[0])) for operator in (packet, twin))
        if (in_place.known, in_place.macs) != (plain.known, plain.macs) and not in_place.composite:
            differ.append(name)
    assert differ == []


def test_a_copy_of_a_view_has_no_arithmetic() -> None:
    copies = [packet for name, packet in packets() if name.endswith("_copy") and not name.startswith("_foreach")]
    rules = [look_up(getattr(packet, packet.overloads()[0])) for packet in copies]
    assert len(rules) > 30
    assert [rule.name for rule in rules if not rule.known or rule.other_ops is not None] == []


# --- linear algebra

LA = torch.linalg
SQUARE = torch.zeros(2, 4, 4)


NAMED: dict[str, tuple[Callable[..., Any], str]] = {
    "lstsq": (lambda x: LA.lstsq(x, x), "linalg_lstsq"),
    "qr": (LA.qr, "linalg_qr"),
    "svd": (LA.svd, "_linalg_svd"),
    "svdvals": (LA.svdvals, "_linalg_svd"),
    "eigh": (LA.eigh, "_linalg_eigh"),
    "eigvalsh": (LA.eigvalsh, "_linalg_eigh"),
    "eig": (LA.eig, "linalg_eig"),
    "cholesky": (LA.cholesky, "linalg_cholesky_ex"),
    "cholesky_solve": (lambda x: torch.cholesky_solve(x, x), "cholesky_solve"),
    "cholesky_inverse": (torch.cholesky_inverse, "cholesky_inverse"),
    "lu": (LA.lu, "linalg_lu"),
    "lu_factor": (LA.lu_factor, "linalg_lu_factor_ex"),
    "lu_solve": (lambda x: LA.lu_solve(x, torch.ones(2, 4, dtype=torch.int32), x), "linalg_lu_solve"),
    "ldl_factor": (LA.ldl_factor, "linalg_ldl_factor_ex"),
    "solve": (lambda x: LA.solve(x, x), "_linalg_solve_ex"),
    "solve_triangular": (lambda x: LA.solve_triangular(x, x, upper=True), "linalg_solve_triangular"),
    "tensorsolve": (lambda x: LA.tensorsolve(x[0].view(4, 2, 2), x[0, 0]), "_linalg_solve_ex"),
    "inv": (LA.inv, "linalg_inv_ex"),
    "pinv": (LA.pinv, "linalg_pinv"),
    "det": (LA.det, "_linalg_det"),
    "slogdet": (LA.slogdet, "_linalg_slogdet"),
    "matrix_exp": (LA.matrix_exp, "linalg_matrix_exp"),
    "matrix_rank": (LA.matrix_rank, "_linalg_svd"),
    "cond": (LA.cond, "_linalg_svd"),
    "householder_product": (lambda x: LA.householder_product(x, x[..., 0]), "linalg_householder_product"),
    "geqrf": (torch.geqrf, "geqrf"),
    "ormqr": (lambda x: torch.ormqr(x, x[..., 0], x), "ormqr"),
}
NO_PRODUCT: dict[str, Callable[..., Any]] = {
    "norm": LA.norm,
    "matrix_norm": LA.matrix_norm,
    "vector_norm": LA.vector_norm,
    "diagonal": LA.diagonal,
    "vander": lambda x: LA.vander(x[0, 0]),
    "vecdot": lambda x: LA.vecdot(x, x),  # it multiplies, and then it adds up
    "cross": lambda x: LA.cross(x[..., :3], x[..., :3]),
    "trace": lambda x: x[0].trace(),
    "kron": lambda x: torch.kron(x[0], x[0]),
    "outer": lambda x: torch.outer(x[0, 0], x[0, 0]),
}


@pytest.mark.parametrize("name", NAMED)
def test_factorizations_and_solvers_are_named_and_leave_a_lower_bound(name: str) -> None:
    function, operator = NAMED[name]
    counted = profile(Calls(lambda net, x: function(x)), SQUARE, batch_axis=None)
    assert (counted.macs, list(counted.uncounted_ops)) == (0, [f"aten.{operator}"])
    assert f"not counted: aten.{operator}" in counted.notes()[0]


@pytest.mark.parametrize("name", NO_PRODUCT)
def test_what_has_no_product_of_matrices_leaves_no_lower_bound(name: str) -> None:
    counted = profile(Calls(lambda net, x: NO_PRODUCT[name](x)), SQUARE, batch_axis=None)
    assert (counted.macs, counted.uncounted_ops) == (0, {})


SYSTEMS = [((2, 6, 4), (2, 6, 3)), ((6, 4), (6,)), ((4, 6), (4, 2)), ((2, 6, 4), (2, 6)), ((2, 4, 4), (2, 4, 1))]


@pytest.mark.parametrize(("shape", "right"), SYSTEMS)
@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
def test_least_squares_returns_the_shapes_that_torch_returns(shape: Any, right: Any, driver: str | None) -> None:
    a, b = torch.randn(shape), torch.randn(right)
    expected = [(part.shape, part.dtype) for part in LA.lstsq(a, b, driver=driver)]
    made = least_squares(a.to("meta"), b.to("meta"), driver=driver)
    assert [(part.shape, part.dtype) for part in made] == expected
    assert all(part.is_meta for part in least_squares(a, b.to("meta"), driver=driver))


GROUPS = [((10, 8), (2, 8, 16)), ((2, 10, 8), (8, 16)), ((2, 10, 8), (2, 8, 16)), ((8, 12), (12, 16))]


@pytest.mark.parametrize(("left", "right"), GROUPS)
def test_grouped_products_have_the_shapes_that_torch_returns(left: Any, right: Any) -> None:
    a, b = torch.zeros(left), torch.zeros(right)
    along = {(2, 3): left[0], (3, 2): right[1], (2, 2): left[1], (3, 3): None}[len(left), len(right)]
    ends = None if along is None else torch.tensor([along // 2, along], dtype=torch.int32)
    expected = torch.nn.functional.grouped_mm(a, b, offs=ends)
    made = grouped_product(a.to("meta"), b.to("meta"), ends)
    assert (made.shape, made.dtype, made.is_meta) == (expected.shape, expected.dtype, True)
    assert torch.equal(grouped_product(a, b, ends), expected)


def test_least_squares_of_constants_have_their_values() -> None:
    buffer = nn.Buffer(2 * torch.eye(3))

    def forward(net: Any, x: Tensor) -> Any:
        return x[:, : int(LA.lstsq(net.matrix, torch.ones(3, 1)).solution.sum() + 0.5)]

    counted = profile(Calls(forward, matrix=buffer), (5,))
    assert counted.modules[0].output == (2,)  # 3 x 1/2, and a half


def test_a_covariance_is_refused_with_the_reason() -> None:
    with pytest.raises(ProfileError, match="depends on the value of a tensor"):
        profile(Calls(lambda net, x: torch.cov(x)), torch.zeros(3, 4))


# --- operators of other libraries


@pytest.fixture
def library() -> Iterator[torch.library.Library]:
    """Operators that are gone after the test."""
    made = torch.library.Library("torchvision", "FRAGMENT")
    yield made
    made._destroy()


DEFORMABLE = (
    "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
    "bool use_mask) -> Tensor"
)


@pytest.mark.skipif(hasattr(torch.ops.torchvision, "deform_conv2d"), reason="torchvision has its own library")
def test_a_deformable_convolution_reads_one_kernel_for_each_output(library: torch.library.Library) -> None:
    library.define(f"deform_conv2d{DEFORMABLE}")
    library.impl("deform_conv2d", lambda x, weight, offset, *_: x.new_empty(1, 4, *offset.shape[2:]), "Meta")

    def forward(net: Any, x: Tensor) -> Any:
        offsets = x.new_zeros(1, 18, 6, 6)
        call = torch.ops.torchvision.deform_conv2d
        return call(x, net.w, offsets, offsets[:, :9], net.w[:, 0, 0, 0], 1, 1, 0, 0, 1, 1, 1, 1, True)

    counted = profile(Calls(forward, w=weights(4, 3, 3, 3)), (3, 8, 8))
    assert (counted.macs, counted.uncounted_ops) == (36 * 4 * 27, {})


def test_an_operator_without_a_shape_is_refused_with_what_to_do(library: torch.library.Library) -> None:
    library.define("unknown(Tensor x) -> Tensor")
    library.impl("unknown", lambda x: x, "CPU")
    net = Calls(lambda net, x: torch.ops.torchvision.unknown(x))
    for count in (profile, memory, traffic):
        with pytest.raises(ProfileError, match="torch.library.register_fake"):
            count(net, (4,))
