"""Diagrams: nothing is left out of them, what is drawn is what the papers draw, and no two boxes overlap."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.auditor import profiled
from archzoo.errors import ReportError
from archzoo.layers import Classifiers, Net
from archzoo.report.diagram import (
    STYLE,
    Box,
    Item,
    LayeredGraph,
    Parallel,
    Repeat,
    Series,
    architecture,
    boxes_in,
    diagram,
)
from archzoo.report.diagram._architectures import Depth
from archzoo.report.diagram._style import COLORS
from tests.networks import CONSTRUCTORS, COVER, EVERY_NET, NAMES, SHALLOW, on_meta, parametrize
from tests.shell import Shell

SVG = "{http://www.w3.org/2000/svg}"


def tree(name: str, depth: Depth, *, fold: bool = True, **options: Any) -> Series:
    net = archzoo.build(name, device="meta", **options)
    return architecture(net, archzoo.find(name).input_size, depth, fold=fold, counted=profiled(name, **options))


def items_in(item: Item | Series) -> Iterator[Item]:
    inside: tuple[Item | Series, ...] = ()
    match item:
        case Series():
            inside = item.items
        case Parallel():
            inside = item.branches
        case Repeat():
            inside = (item.body,)
    if not isinstance(item, Series):
        yield item
    for inner in inside:
        yield from items_in(inner)


def parallels(series: Series) -> list[list[list[str]]]:
    """What each branch of each fork does, down to its boxes."""
    forks = (item for item in items_in(series) if isinstance(item, Parallel))
    return [[[" ".join(box.notes) for box in boxes_in(branch)] for branch in fork.branches] for fork in forks]


def in_training_alone(net: Net) -> int:
    """Parameters of auxiliary classifiers, which a diagram of the network in evaluation mode has no box for."""
    heads = [module for module in net.modules() if isinstance(module, Classifiers)]
    return sum(parameter.numel() for head in heads for part in head.auxiliary for parameter in part.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, None] if EVERY_NET else [2, None])
@parametrize(SHALLOW if EVERY_NET else [*COVER, *CONSTRUCTORS])
def test_every_parameter_is_in_exactly_one_box_and_nothing_is_irregular(name: str, depth: int | None) -> None:
    series = tree(name, depth, fold=False)
    cost = profiled(name)
    assert sum(box.params for box in boxes_in(series)) == cost.params - in_training_alone(on_meta(name))
    assert sum(box.macs for box in boxes_in(series)) == cost.macs
    assert not [item for item in items_in(series) if isinstance(item, LayeredGraph)]


@pytest.mark.slow
@parametrize(NAMES if EVERY_NET else COVER)
def test_no_two_boxes_overlap_and_all_are_in_the_drawing(name: str) -> None:
    size = archzoo.find(name).input_size
    drawn = diagram(archzoo.build(name, device="meta"), size, depth=3, title=name, counted=profiled(name))
    root = ElementTree.fromstring(drawn)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    rectangles = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") not in ("back", "f")]
    edges = sorted(tuple(float(rect.attrib[edge]) for edge in ("y", "x", "height", "width")) for rect in rectangles)
    assert edges
    for number, (y, x, high, wide) in enumerate(edges):
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
        for other_y, other_x, _, other_wide in edges[number + 1 :]:
            if other_y >= y + high:
                break
            assert other_x >= x + wide or x >= other_x + other_wide


def test_an_inception_module_has_its_four_branches() -> None:
    """GoogLeNet, Fig. 2b with Table 1's inception (3a)."""
    assert parallels(tree("googlenet", 2))[0] == [
        ["1x1 conv, 64 ReLU"],
        ["1x1 conv, 96 ReLU", "3x3 conv, 128 ReLU"],
        ["1x1 conv, 16 ReLU", "5x5 conv, 32 ReLU"],
        ["3x3 max pool", "1x1 conv, 32 ReLU"],
    ]


def test_a_residual_block_has_an_identity_and_a_bottleneck_strides_first() -> None:
    forks = parallels(tree("resnet50", 3))
    assert forks[1] == [["1x1 conv, 64 BN ReLU", "3x3 conv, 64 BN ReLU", "1x1 conv, 256 BN"], []]
    strided = ["1x1 conv, 128, /2 BN ReLU", "3x3 conv, 128 BN ReLU", "1x1 conv, 512 BN"]
    assert strided in next(fork for fork in forks if len(fork) == 2 and strided in fork)


def test_pre_activation_stands_before_the_convolutions() -> None:
    bottleneck = ["BN ReLU 1x1 conv, 16", "BN ReLU 3x3 conv, 16", "BN ReLU 1x1 conv, 64"]
    assert [bottleneck, []] in parallels(tree("preact_resnet164", 3))


def test_a_dense_layer_reads_what_it_adds_to() -> None:
    assert parallels(tree("densenet121", 3))[0] == [["BN ReLU 1x1 conv, 128", "BN ReLU 3x3 conv, 32"], []]


def test_a_fractal_of_three_columns_is_two_of_two_beside_one_layer() -> None:
    """FractalNet, Fig. 1: in a join meet all columns that end there."""
    series = tree("fractalnet20", 2)
    whole = next(item for item in series.items if isinstance(item, Parallel))
    layer, rest = whole.branches
    assert [box.kind for box in boxes_in(layer)] == ["conv", "pool"]
    first, middle, second = rest.items
    assert isinstance(first, Parallel)
    assert isinstance(second, Parallel)
    assert isinstance(middle, Box)
    assert middle.title == "mean"
    assert [len(branch.items) for branch in first.branches] == [1, 2]
    assert [len(branch.items) for branch in second.branches] == [2, 3]  # with the pooling of the block


def test_a_channel_shuffle_is_drawn_behind_the_concatenation() -> None:
    assert ("channel shuffle",) in [box.notes for box in boxes_in(tree("shufflenet_v2_x1_0", None))]


def test_equal_blocks_are_drawn_once_with_their_number() -> None:
    repeats = [item for item in items_in(tree("resnet110", 2)) if isinstance(item, Repeat)]
    assert [(item.times, item.span) for item in repeats] == [
        (18, "block1 to 18"),
        (17, "block2 to 18"),
        (17, "block2 to 18"),
    ]


def test_convolutions_of_vgg_are_drawn_one_by_one() -> None:
    drawn = [box.title for box in boxes_in(tree("vgg_e", 1)) if box.kind == "conv"]
    assert drawn[-4:] == ["conv5_1", "conv5_2", "conv5_3", "conv5_4"]
    assert len(drawn) == 16


class Crossed(nn.Module):
    """The smallest graph that is neither in series nor in parallel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(2, 2, 1) for _ in range(4))

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.a(images), self.b(images)
        return torch.cat([self.c(first), self.d(first + second), second], 1)


def test_any_other_graph_is_drawn_in_rows() -> None:
    net = Crossed()
    layered = [item for item in items_in(architecture(net, (2, 8, 8))) if isinstance(item, LayeredGraph)]
    assert {box.title for item in layered for box in boxes_in(item)} >= {"a", "b", "c", "d"}
    ElementTree.fromstring(diagram(net, (2, 8, 8)))


class Decides(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images) if images.shape[0] > 0 and bool(images.shape[1] > 0) else images


def test_what_cannot_be_traced_is_said_and_the_network_is_as_it_was() -> None:
    net = Decides().train()
    with pytest.raises(ReportError, match="the graph of Decides cannot be traced within the network itself"):
        architecture(net, (1, 8, 8))
    assert all(module.training for module in net.modules())
    with pytest.raises(ReportError, match="depth must be at least 1, or None for everything, not 0"):
        architecture(net, (1, 8, 8), 0)


def test_names_are_escaped_and_the_same_network_gives_the_same_bytes() -> None:
    net = nn.Sequential()
    net.add_module("<script>&", nn.Conv2d(1, 1, 1))
    drawn = diagram(net, (1, 8, 8), title="<b>")
    assert "<script>" not in drawn
    assert "<b>" not in drawn
    assert drawn == diagram(net, (1, 8, 8), title="<b>")


@pytest.mark.parametrize(
    ("name", "branches"),
    [
        ("resnet18", ["+"]),
        ("densenet_bc", ["concatenate"]),
        ("shufflenet_v2_x0_5", ["concatenate", "channel shuffle"]),
        ("googlenet", ["concatenate"]),
        ("squeezenet1_1", ["concatenate"]),
    ],
)
def test_by_default_the_idea_of_the_paper_is_drawn(name: str, branches: list[str]) -> None:
    boxes = list(boxes_in(tree(name, "auto")))
    joins = [note for box in boxes for note in (box.title, *box.notes) if box.kind == "join"]
    assert set(branches) <= set(joins)
    assert len(boxes) < 100


def test_without_branches_two_levels_are_opened_and_what_cannot_be_traced_stays_closed() -> None:
    assert tree("vgg_a", "auto") == tree("vgg_a", 2)

    class Outer(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(1, 1, 1), nn.Sequential(nn.Sequential(Decides())))

    assert [box.title for box in boxes_in(architecture(Outer(), (1, 8, 8)))] == [
        box.title for box in boxes_in(architecture(Outer(), (1, 8, 8), 2))
    ]


def test_a_file_has_literal_colors_and_no_outline_that_some_programs_draw_over_the_text() -> None:
    drawn = diagram(archzoo.build("lenet5_textbook", device="meta"), (1, 32, 32))
    assert "var(" not in drawn
    assert "paint-order" not in drawn
    assert "#dcebfb" in drawn
    in_a_page = diagram(archzoo.build("lenet5_textbook", device="meta"), (1, 32, 32), style=False)
    assert "<style>" not in in_a_page
    assert set(re.findall(r"--az-[a-z-]+", STYLE)) == {f"--az-{name}" for name in COLORS}


def test_the_command_writes_png_and_pdf_and_refuses_what_it_cannot(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    pillow = pytest.importorskip("PIL.Image")
    for suffix in ("svg", "png", "pdf"):
        code, _, err = shell("diagram", "lenet5", "--output", str(tmp_path / f"net.{suffix}"))
        assert (code, "wrote" in err) == (0, True)
    with pillow.open(tmp_path / "net.png") as drawn:
        colors = {color for _, color in drawn.convert("RGB").getcolors(100_000)}
        width = float(re.findall(r'viewBox="0 0 (\S+)', (tmp_path / "net.svg").read_text())[0])
        assert drawn.width == pytest.approx(2 * width, abs=2)
    assert {(0xDC, 0xEB, 0xFB), (255, 255, 255)} <= colors  # of convolutions, and the background
    assert (tmp_path / "net.pdf").read_bytes().startswith(b"%PDF")
    code, _, err = shell("diagram", "lenet5", "--output", str(tmp_path / "net.jpg"))
    assert (code, "written as .svg, .png or .pdf, not .jpg" in err) == (2, True)
    assert not (tmp_path / "net.jpg").exists()


def test_the_command_writes_a_file_atomically(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "net.svg"
    code, out, err = shell("diagram", "densenet_bc", "depth=22", "k=8", "--output", str(target))
    assert (code, out) == (0, "")
    assert f"wrote {target}" in err
    assert re.search(r"denselayer1", target.read_text())
    code, _, err = shell("diagram", "resnet20", "--output", str(target / "net.svg"))
    assert (code, "cannot be written" in err) == (2, True)
