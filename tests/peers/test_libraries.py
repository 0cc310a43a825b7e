"""Each cell of the table in docs/libraries.md, asked of the library that it is about, where that is installed.

pytorchcv is the extra "benchmarks". Equality of torchvision's and timm's networks in logits and gradients is held by
tests/peers/test_torchvision_timm.py; pytorchcv's is held here.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.layers import ResponseNorm, ShuffleDownUnit
from tests.networks import EVERY_NET
from tests.peers.test_inceptions import LARGE
from tests.peers.witnesses import installed, names_in, randomize, theirs
from tools.libraries import ELSEWHERE, VERSIONS, Another, Elsewhere, Exact, Layer

pytestmark = pytest.mark.xdist_group("libraries")  # the libraries take seconds to import
ROOT = Path(__file__).parents[2]
LIBRARIES = [library.rpartition(" ")[0] for library in VERSIONS.split(", ")]
CELLS = [(row, library) for row in ELSEWHERE for library in LIBRARIES]
Network = tuple[str, Mapping[str, Any]]


def test_the_versions_that_the_table_names_are_those_of_the_tests() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for library, version in (text.rsplit(" ", 1) for text in VERSIONS.split(", ")):
        assert re.search(rf"^{library}=={re.escape(version)}(\.0)?$", pinned, re.M)


@pytest.mark.parametrize("library", LIBRARIES)
def test_where_the_table_has_no_network_the_library_has_no_such_name(library: str) -> None:
    names = names_in(library)
    for row in ELSEWHERE:
        listed = [name for name in names if re.search(row.named, name)]
        cell = row.cell(library)
        if cell is None or isinstance(cell, Layer):
            assert not listed, f"{library} has {listed}: {row.network}"
        else:
            assert set(cell.theirs) <= set(names)
            assert listed, f"{row.named} finds none of {cell.theirs}"


def paired(row: Elsewhere, library: str) -> Iterator[tuple[str, str, Network | None]]:
    """The networks of a row: our name, theirs, and what theirs is among ours."""
    cell = row.cell(library)
    assert isinstance(cell, Exact | Another)
    others: tuple[Network | None, ...] = cell.ours if isinstance(cell, Another) else ()
    yield from zip(row.ours, cell.theirs, others or (None,) * len(row.ours), strict=True)


# The others of a family are deeper: with EVERY_NET=1.
COUNTED = [
    pytest.param(row, library, number, id=f"{library} {pair[1]}")
    for row, library in CELLS
    if isinstance(row.cell(library), Exact | Another)
    for number, pair in enumerate(paired(row, library))
    if number == 0 or EVERY_NET
]


def costs(net: nn.Module, size: tuple[int, int, int]) -> tuple[int, int]:
    cost = archzoo.profile(net.eval(), size)
    return cost.params, cost.macs


@pytest.mark.parametrize(("row", "library", "number"), COUNTED)
def test_an_exact_network_has_as_many_parameters_and_multiply_adds_and_another_what_the_table_says(
    row: Elsewhere, library: str, number: int
) -> None:
    cell = row.cell(library)
    ours, name, other = list(paired(row, library))[number]
    size = archzoo.find(ours).input_size
    expected = costs(archzoo.build(ours, device="meta"), size)
    counted = costs(theirs(library, name), size)
    if isinstance(cell, Exact):
        assert counted == expected
        return
    assert isinstance(cell, Another)
    if other is not None:
        assert counted == costs(archzoo.build(other[0], device="meta", **other[1]), size)
    if cell.params:
        assert counted[0] == cell.params[number]
    if cell.macs:
        assert counted[1] == cell.macs[number]
    assert cell.layers or counted != expected, "nothing shows the difference"


SHOWN = [
    pytest.param(library, cell, id=f"{library} {cell.theirs[0]}")
    for row, library in CELLS
    if isinstance(cell := row.cell(library), Another) and cell.layers
]


@pytest.mark.parametrize(("library", "cell"), SHOWN)
def test_the_layers_that_differ_are_as_the_table_says(library: str, cell: Another) -> None:
    net = theirs(library, cell.theirs[0])
    for part, pattern in cell.layers:
        assert re.search(pattern, str(net.get_submodule(part))), f"{part} is {net.get_submodule(part)}"


@pytest.mark.parametrize(
    ("library", "cell"),
    [(library, cell) for row, library in CELLS if isinstance(cell := row.cell(library), Layer)],
)
def test_the_layer_is_there(library: str, cell: Layer) -> None:
    installed(library)
    module, _, name = cell.path.partition(":")
    assert issubclass(getattr(import_module(module), name), nn.Module)


@pytest.mark.slow
def test_every_exact_network_of_torchvision_and_timm_is_compared_in_its_logits() -> None:
    for library in ("torchvision", "timm"):
        installed(library)
    from tests.peers.test_torchvision_timm import PAIRS

    compared = {(library, ours, name) for library, ours, options, name in PAIRS if not options}
    other = {(library, ours, str(options), name) for library, ours, options, name in PAIRS}
    for row, library in CELLS:
        cell = row.cell(library)
        if library == "pytorchcv" or not isinstance(cell, Exact | Another):
            continue
        for ours, name, is_ours in paired(row, library):
            if isinstance(cell, Exact):
                assert (library, ours, name) in compared
            elif is_ours is not None:
                assert (library, is_ours[0], str(dict(is_ours[1])), name) in other


def carried(ours: nn.Module, other: nn.Module) -> nn.Module:
    """Our network with their weights: both libraries define layers in the order of the paper, branch by branch."""
    theirs = in_our_order(other.state_dict())
    own = ours.state_dict()
    weights = dict(zip(own, theirs, strict=True))
    assert all(own[name].shape == tensor.shape for name, tensor in weights.items())
    ours.load_state_dict({name: tensor.clone() for name, tensor in weights.items()}, assign=True)
    return ours.eval()


def in_our_order(state: Mapping[str, Tensor]) -> list[Tensor]:
    """Their tensors; ShuffleNet's left branch, which they define after the right one, comes before it."""
    left = re.compile(r"\.shortcut_")
    units: dict[str, list[str]] = {}
    for name in state:
        units.setdefault(".".join(name.split(".")[:3]) if "unit" in name else name, []).append(name)
    ordered = (sorted(names, key=lambda name: left.search(name) is None) for names in units.values())
    return [state[name] for names in ordered for name in names]


# The smallest of each kind of block: the deeper ones repeat it, with the same counts.
SAME: list[tuple[str, dict[str, Any], str]] = [
    ("vgg_a", {}, "vgg11"),
    ("resnet50", {}, "resnet50"),
    ("resnet18", {"option": "B"}, "resnet18"),
    ("resnet20", {"option": "B"}, "resnet20_cifar10"),
    ("wide_resnet", {"depth": 16}, "wrn16_10_cifar10"),
    ("resnext50_32x4d", {}, "resnext50_32x4d"),
    ("resnext_cifar", {"depth": 20, "cardinality": 16, "base_width": 4}, "resnext20_16x4d_cifar10"),
    ("pyramidnet110_a48", {}, "pyramidnet110_a48_cifar10"),
    ("se_resnet50", {"pool": "padded"}, "seresnet50"),
    ("densenet_bc", {"depth": 40}, "densenet40_k12_bc_cifar10"),
    ("densenet121", {}, "densenet121"),
    ("condensenet74_c8", {}, "condensenet74_c8_g8"),
    ("squeezenet1_0", {}, "squeezenet_v1_0"),
    ("mobilenet_v1_x0_25", {"padding": "symmetric", "bn_eps": 1e-5}, "mobilenet_wd4"),
    ("shufflenet_v2_x0_5", {"down": "symmetric"}, "shufflenetv2b_wd2"),
]
UNLIKE: list[tuple[str, dict[str, Any], str]] = [
    ("zfnet", {}, "zfnet"),
    ("nin", {}, "nin_cifar10"),
    ("preact_resnet164", {}, "preresnet164bn_cifar10"),
    ("mobilenet_v1_x0_25", {}, "mobilenet_wd4"),  # of TensorFlow's padding and epsilon
]


def relative_difference(ours: str, options: Mapping[str, Any], name: str) -> float:
    """Of the logits of our network and pytorchcv's, with the same weights."""
    other = theirs("pytorchcv", name).eval()
    randomize(other)
    net = carried(archzoo.build(ours, device="meta", **options), other)
    images = torch.randn(1, *archzoo.find(ours).input_size)
    with torch.no_grad():
        logits, expected = net(images), other(images)
    return float((logits - expected).norm() / expected.norm())


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "options", "name"), SAME, ids=lambda value: str(value))
def test_with_pytorchcvs_weights_we_compute_the_same(ours: str, options: dict[str, Any], name: str) -> None:
    assert relative_difference(ours, options, name) < 1e-5


def test_every_exact_family_of_pytorchcv_is_among_those() -> None:
    families = {archzoo.find(ours).target for ours, _, _ in SAME + LARGE}
    for row in ELSEWHERE:
        cell = row.pytorchcv
        if isinstance(cell, Exact):
            assert {archzoo.find(name).target for name in row.ours} <= families
        elif isinstance(cell, Another) and cell.ours:
            assert {archzoo.find(name).target for name, _ in cell.ours} <= families


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "options", "name"), UNLIKE, ids=lambda value: str(value))
def test_networks_of_the_same_size_compute_something_else(ours: str, options: dict[str, Any], name: str) -> None:
    assert relative_difference(ours, options, name) > 1e-4


@pytest.mark.slow
def test_but_for_the_bias_of_its_last_layer_pytorchcvs_shufflenet_is_the_papers() -> None:
    other = theirs("pytorchcv", "shufflenetv2b_w1").eval()
    randomize(other)
    output = other.get_submodule("output")
    assert isinstance(output, nn.Linear)
    output.register_parameter("bias", None)
    net = carried(archzoo.build("shufflenet_v2_x1_0", device="meta"), other)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.allclose(net(images), other(images), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_but_for_the_bias_of_its_last_layer_pytorchcvs_shufflenet_v1_puts_the_pooled_maps_last() -> None:
    """Our maps in that order give its logits."""
    other = theirs("pytorchcv", "shufflenet_g3_w1").eval()
    randomize(other)
    output = other.get_submodule("output")
    output.register_parameter("bias", None)
    net = carried(archzoo.build("shufflenet_v1_g3_x1_0", device="meta"), other)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert not torch.allclose(net(images), other(images), rtol=1e-2, atol=1e-3)
        for unit in net.modules():
            if isinstance(unit, ShuffleDownUnit):
                unit.register_forward_hook(pooled_last)
        assert torch.allclose(net(images), other(images), rtol=1e-4, atol=1e-5)


def pooled_last(unit: nn.Module, inputs: tuple[Tensor], maps: Tensor) -> Tensor:
    """The maps of a unit that halves the resolution, in pytorchcv's order."""
    pooled = inputs[0].shape[1]
    return torch.cat([maps[:, pooled:], maps[:, :pooled]], 1)


def test_pytorchcvs_response_norm_is_five_times_weaker_and_before_the_pooling() -> None:
    """In AlexNet and ZFNet. torch divides alpha by the five maps of the window; the printed formula does not."""
    net = theirs("pytorchcv", "zfnet")
    unit = net.get_submodule("features.stage1.unit1")
    unit.to_empty(device="cpu")
    unit.load_state_dict({"conv.weight": torch.rand(96, 3, 7, 7), "conv.bias": torch.zeros(96)})
    images = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        activated = unit.get_submodule("conv")(images).relu()
        assert torch.allclose(unit(images), ResponseNorm(alpha=1e-4 / 5)(activated))
        assert not torch.allclose(unit(images), ResponseNorm()(activated), rtol=1e-3)
