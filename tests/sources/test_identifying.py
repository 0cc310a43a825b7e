"""What a checkpoint is: every source and every trap under its own names, our own files, and files of nobody we know."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import archzoo
from archzoo.cli import app
from archzoo.errors import BadOption, WeightsError
from archzoo.models import googlenet
from archzoo.weights import _guarding, describe, identify, save
from archzoo.weights._libraries import SOURCES
from tests.networks import EVERY_NET
from tests.sources import dense, preactivated, residual
from tests.sources.test_sources import DIFFERENT, EQUAL, LARGE, Pair, row_of, shown


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few kilobytes stand for those of the networks."""
    monkeypatch.setattr(_guarding, "FREE", 1 << 30)


def write(path: Path, state: dict[str, Tensor]) -> Path:
    """A file of these names and shapes, whose tensors all point at one number: it has a few kilobytes."""
    torch.save({name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}, path)
    return path


def state_of(build: Callable[[], nn.Module]) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(build().state_dict())


def of_pair(pair: Pair) -> tuple[str, dict[str, Any]]:
    """Our constructor and all options of a pair of test_sources."""
    source, constructor, options, _ = pair
    classes = {} if constructor == "lenet5_textbook" else {"num_classes": 10}
    return constructor, {
        **archzoo.find(constructor).options,
        **classes,
        **row_of(source, constructor).options,
        **options,
    }


def has(candidate: Any, constructor: str, options: dict[str, Any]) -> bool:
    """Whether a candidate is the network of this constructor with these options."""
    entry = archzoo.find(candidate.network)
    return entry.family == constructor and {**entry.options, **candidate.options} == options


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "constructor", "options", "theirs"), shown(EQUAL + (LARGE if EVERY_NET else LARGE[:1]))
)
def test_a_file_of_a_source_is_its_network_of_ours(
    source: str, constructor: str, options: dict[str, Any], theirs: Callable[[], nn.Module], tmp_path: Path
) -> None:
    identification = identify(write(tmp_path / "file", state_of(theirs)))
    _, expected = of_pair((source, constructor, options, theirs))
    [candidate] = [named for named in identification.candidates if has(named, constructor, expected)]
    assert source in candidate.sources
    assert not candidate.differs
    assert identification.nearest is None
    # Those beside it have the same tensors: the other stride of ResNet-50, and bypasses without parameters.
    beside = {archzoo.find(named.network).family for named in identification.candidates} - {constructor}
    assert beside <= {"resnet", "resnet_v1_5"}


@pytest.mark.parametrize(("source", "constructor", "options", "theirs"), shown(DIFFERENT))
def test_a_trap_is_named_as_another_function_and_is_not_built(
    source: str, constructor: str, options: dict[str, Any], theirs: Callable[[], nn.Module], tmp_path: Path
) -> None:
    path = write(tmp_path / "file.pth", state_of(theirs))
    [candidate] = identify(path).candidates
    assert candidate.sources == (source,)
    assert candidate.differs == row_of(source, constructor).differs
    assert has(candidate, *of_pair((source, constructor, options, theirs)))
    with pytest.raises(BadOption, match=f"has the tensors of {source}'s .*, which is another function"):
        archzoo.build(constructor, weights=path, **options)


@pytest.mark.slow
def test_the_libraries_resnet50_is_not_the_papers(tmp_path: Path) -> None:
    net = archzoo.build("resnet50_v1_5", device="meta")
    state = row_of("torchvision", "resnet_v1_5").names.to_theirs(net, net.state_dict())
    first, second = identify(write(tmp_path / "file", state)).candidates
    assert (first.network, first.differs) == ("resnet50_v1_5", "")
    assert second.network == "resnet50"
    assert "strides in the 3x3: that is resnet50_v1_5" in second.differs
    # Without its classifier and with the bias that only OpenMMLab's have, it is the paper's.
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    [openmmlab] = identify(write(tmp_path / "file", {**backbone, "conv1.bias": torch.empty(64)})).candidates
    assert (openmmlab.network, openmmlab.sources) == ("resnet50", ("openmmlab",))
    assert "the file has no classifier" in openmmlab.notes
    undecided = identify(write(tmp_path / "file", backbone)).candidates
    assert {candidate.network for candidate in undecided} == {"resnet50", "resnet50_v1_5"}
    assert any("their files also have conv1.bias" in note for candidate in undecided for note in candidate.notes)


def test_our_own_names_leave_what_tensors_do_not_show(tmp_path: Path) -> None:
    state = dict(archzoo.build("resnet20", device="meta", num_classes=7, in_channels=1).state_dict())
    identification = identify(write(tmp_path / "file", state))
    sizes = {"num_classes": 7, "in_channels": 1}
    networks = [(candidate.network, dict(candidate.options)) for candidate in identification.candidates]
    assert networks == [("resnet20", sizes), ("plain20", sizes), ("stochastic_depth", {"depth": 20, **sizes})]
    assert identification.unseen


def test_a_file_that_describes_itself_is_certain(tmp_path: Path) -> None:
    net = archzoo.build("plain20", num_classes=5)
    save(net, tmp_path / "net.safetensors", "plain20", num_classes=5)
    identification = identify(tmp_path / "net.safetensors")
    assert identification.description is not None
    assert identification.candidates[0].network == identification.description.name == "plain20"
    assert identification.unseen == ""
    assert "  its metadata: plain20 num_classes=5" in describe(identification)


def kuangliu_resnet18() -> dict[str, Tensor]:
    """ResNet-18 with a 3x3 first convolution and ten classes."""
    state = dict(archzoo.build("resnet18", option="B", num_classes=10, device="meta").state_dict())
    return {**state, "features.conv1.weight": torch.empty(64, 3, 3, 3, device="meta")}


def kuangliu_googlenet() -> dict[str, Tensor]:
    """GoogLeNet for 32x32 pixels: a 3x3 first convolution, biases and batch normalization, and two 3x3 for a 5x5."""
    state: dict[str, Tensor] = {}

    def layer(inputs: int, outputs: int, side: int) -> int:
        name = f"{len(state)}"
        state[f"{name}.conv.weight"] = torch.empty(outputs, inputs, side, side)
        state[f"{name}.conv.bias"] = torch.empty(outputs)
        state.update({f"{name}.bn.{part}": torch.empty(outputs) for part in ("weight", "bias")})
        return outputs

    maps = layer(3, 192, 3)
    for modules in googlenet.TABLE_1.values():
        for c in modules.values():
            first = layer(maps, c.n1x1, 1) + layer(layer(maps, c.n3x3_reduce, 1), c.n3x3, 3)
            maps = (
                first + layer(layer(layer(maps, c.n5x5_reduce, 1), c.n5x5, 3), c.n5x5, 3) + layer(maps, c.pool_proj, 1)
            )
    return {**state, "linear.weight": torch.empty(10, maps), "linear.bias": torch.empty(10)}


def bottlenecks(widths: Sequence[tuple[int, int]], *, norm_first: bool) -> dict[str, Tensor]:
    """A network of 164 layers for CIFAR of these widths, in and out of the 3x3 convolutions."""
    state: dict[str, Tensor] = {"conv1.weight": torch.empty(16, 3, 3, 3)}

    def norm(name: str, maps: int) -> None:
        state.update({f"{name}.{part}": torch.empty(maps) for part in ("weight", "bias")})

    inputs = 16
    if not norm_first:
        norm("bn1", 16)
    for stage, (inner, outputs) in enumerate(widths):
        for block in range(18):
            name = f"layer{stage}.{block}"
            convs = ((inputs, inner, 1), (inner, inner, 3), (inner, outputs, 1))
            for number, (read, written, side) in enumerate(convs):
                state[f"{name}.conv{number}.weight"] = torch.empty(written, read, side, side)
                norm(f"{name}.bn{number}", read if norm_first else written)
            if inputs != outputs:
                state[f"{name}.shortcut.weight"] = torch.empty(outputs, inputs, 1, 1)
                if not norm_first:
                    norm(f"{name}.shortcut_bn", outputs)
            inputs = outputs
    if norm_first:
        norm("bn", inputs)
    return {**state, "fc.weight": torch.empty(10, inputs), "fc.bias": torch.empty(10)}


def bearpaw_resnet110() -> dict[str, Tensor]:
    return bottlenecks(((16, 64), (32, 128), (64, 256)), norm_first=False)


def hysts_preact164() -> dict[str, Tensor]:
    return bottlenecks(((4, 16), (32, 128), (64, 256)), norm_first=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "parameters", "other"),
    [
        (kuangliu_googlenet, 6_166_250, "kuangliu's GoogLeNet"),
        (bearpaw_resnet110, 1_704_154, "bearpaw's resnet-110"),
        (hysts_preact164, 1_619_290, "hysts's resnet_preact-164"),
    ],
)
def test_networks_that_are_taken_for_papers_are_named(
    state: Callable[[], dict[str, Tensor]], parameters: int, other: str, tmp_path: Path
) -> None:
    """Written from their published structure, they have as many parameters as their authors count."""
    identification = identify(write(tmp_path / "file", state()))
    assert identification.parameters == parameters
    assert identification.candidates == ()
    assert identification.other.startswith(other)


def plain_densenet() -> dict[str, Tensor]:
    """DenseNet-40 (k = 12) without bottlenecks, on 24 maps."""
    state: dict[str, Tensor] = {"conv1.weight": torch.empty(24, 3, 3, 3)}
    width = 24
    for block in range(3):
        for layer in range(12):
            state |= {f"{block}.{layer}.bn.{name}": torch.empty(width) for name in ("weight", "bias")}
            state[f"{block}.{layer}.conv.weight"] = torch.empty(12, width, 3, 3)
            width += 12
        state |= {f"{block}.bn.{name}": torch.empty(width) for name in ("weight", "bias")}
        if block < 2:
            state[f"{block}.conv.weight"] = torch.empty(width, width, 1, 1)
    return {**state, "fc.weight": torch.empty(10, width), "fc.bias": torch.empty(10)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "parameters", "other", "near", "first"),
    [
        (kuangliu_resnet18, 11_173_962, "kuangliu's ResNet18", "resnet18", "64x3x3x3"),
        (plain_densenet, 1_059_298, "plain", "densenet", "24x3x3x3"),
    ],
)
def test_a_network_that_is_none_of_ours_has_a_nearest_one_and_a_difference(
    state: Callable[[], dict[str, Tensor]], parameters: int, other: str, near: str, first: str, tmp_path: Path
) -> None:
    identification = identify(write(tmp_path / "file", state()))
    assert identification.parameters == parameters
    assert identification.candidates == ()
    assert other in identification.other
    assert identification.nearest is not None
    assert identification.nearest.network == near
    lines = describe(identification)
    assert any(line.startswith(f"  none of our networks; the nearest is {near}") for line in lines)
    assert any(line.startswith(f"    only here: {first}") for line in lines)


def test_names_of_nobody_that_is_known_are_told_by_shapes_alone(tmp_path: Path) -> None:
    state = {f"mine.{i}": t for i, t in enumerate(archzoo.build("squeezenet1_1", device="meta").state_dict().values())}
    lines = describe(identify(write(tmp_path / "file", state)))
    assert lines[-1] == "  by its shapes alone squeezenet1_1: no source that is known has its names"


def test_the_command_prints_a_file_after_the_other_and_refuses_what_holds_no_weights(tmp_path: Path) -> None:
    first = write(tmp_path / "a.th", state_of(lambda: residual.Akamaster(3)))
    second = write(tmp_path / "b.pt", state_of(lambda: preactivated.torchdistill_wide(2, 2)))
    done = CliRunner().invoke(app, ["identify", str(first), str(second)])
    assert done.exit_code == 0
    assert "  resnet20: names and shapes of akamaster" in done.output
    assert "  not wide_resnet depth=16 k=2: names and shapes of torchdistill, but another function" in done.output
    (tmp_path / "c").write_text("no weights")
    with pytest.raises(WeightsError, match="is text"):
        identify(tmp_path / "c")
    assert isinstance(CliRunner().invoke(app, ["identify", str(tmp_path / "c")]).exception, WeightsError)


@pytest.mark.slow
def test_half_a_file_is_no_candidate(tmp_path: Path) -> None:
    """A file must have all tensors, and no others."""
    state = state_of(lambda: dense.DenseBC(dense.DENSENETS["bearpaw"], (4, 4, 4), 6))
    assert identify(write(tmp_path / "file", state)).candidates
    some = dict(list(state.items())[:-20])
    assert identify(write(tmp_path / "file", some)).candidates == ()
    assert identify(write(tmp_path / "file", {**state, "more.weight": torch.empty(3)})).candidates == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "network", "options"),
    [
        ("timm", "xception", {"padding": "symmetric", "bn_eps": 1e-5}),
        ("pytorchcv", "inception_v4", {"bn_scale": True}),
    ],
)
def test_a_batch_norm_shows_whose_inception_a_file_is(
    source: str, network: str, options: dict[str, Any], tmp_path: Path
) -> None:
    net = archzoo.build(network, device="meta", **options)
    theirs = row_of(source, network).names.to_theirs(net, net.state_dict())
    [candidate] = identify(write(tmp_path / "file", theirs)).candidates
    assert (candidate.network, dict(candidate.options), candidate.differs) == (network, options, "")
    assert source in candidate.sources


# Networks that no source has at the defaults of our constructor: its smallest there.
AT: dict[str, dict[str, Any]] = {
    "condensenet_cifar": {"depth": 14},
    "condensenet_light": {"depth": 16},
    "pyramidnet": {"depth": 101},
    "shufflenet_v2": {"width": 0.5},
    "preact_resnet": {"depth": 20},
    "resnext_cifar": {"cardinality": 4, "base_width": 16},
}


# Their rows stand for every depth of a constructor, of which some have another stride: tests/peers asks each network.
LIBRARIES = ("torchvision", "timm")


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="each row of the table of sources")
@pytest.mark.parametrize("source", [source for source in SOURCES if source not in LIBRARIES])
def test_identify_knows_every_row_of_the_table(source: str, tmp_path: Path) -> None:
    """A file under the names of a row is that network, with what the row says against it."""
    for row in SOURCES[source].networks:
        options = {**row.options, **AT.get(row.constructor, {})}
        net = archzoo.build(row.constructor, device="meta", **options)
        own = net.state_dict()
        named = row.names.to_theirs(net, {name: own[name] for name in row.names.of(net)})
        candidates = [c for c in identify(write(tmp_path / "file", named)).candidates if source in c.sources]
        expected = {**archzoo.find(row.constructor).options, **options}
        [candidate] = [c for c in candidates if has(c, row.constructor, expected)]
        assert candidate.differs == row.differs, row.constructor
