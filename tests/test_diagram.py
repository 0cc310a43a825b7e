"""Diagrams: nothing is left out of them, what is drawn is what the papers draw, and no two boxes overlap."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

import matplotlib
import pytest
import torch
from PIL import ImageFont
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
    draw,
)
from archzoo.report.diagram._architectures import Depth
from archzoo.report.diagram._drawing import Direction
from archzoo.report.diagram._style import COLORS
from tests.networks import CLASSES, CONSTRUCTORS, EVERY_NET, NAMES, SHALLOW, on_meta, parametrize
from tests.shell import Shell

SVG = "{http://www.w3.org/2000/svg}"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


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
@parametrize(SHALLOW if EVERY_NET else sorted({*CLASSES, *CONSTRUCTORS}))
def test_every_parameter_is_in_exactly_one_box_and_nothing_is_irregular(name: str, depth: int | None) -> None:
    series = tree(name, depth, fold=False)
    cost = profiled(name)
    assert sum(box.params for box in boxes_in(series)) == cost.params - in_training_alone(on_meta(name))
    assert sum(box.macs for box in boxes_in(series)) == cost.macs
    assert not [item for item in items_in(series) if isinstance(item, LayeredGraph)]


class Drawing:
    """The rectangles, texts and lines of an SVG, read back from it: (left, top, right, bottom) in pixels."""

    def __init__(self, drawn: str) -> None:
        root = ElementTree.fromstring(drawn)
        _, _, self.width, self.height = map(float, root.attrib["viewBox"].split())
        rects = [(rect.get("class"), rectangle(rect)) for rect in root.iter(f"{SVG}rect")]
        self.boxes = [rect for kind, rect in rects if kind not in ("back", "f")]
        self.frames = [rect for kind, rect in rects if kind == "f"]
        paths = [path for path in root.iter(f"{SVG}path") if path.get("class") != "a"]
        self.lines = [line for path in paths for line in lines(path.attrib["d"])]
        texts = list(root.iter(f"{SVG}text"))
        self.names = [beginning(text) for text in texts if text.get("class") in ("f", "r")]
        self.in_boxes = [centered(text) for text in texts if text.get("class") not in ("f", "r")]


Edges = tuple[float, float, float, float]


def rectangle(rect: ElementTree.Element) -> Edges:
    x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def lines(path: str) -> Iterator[Edges]:
    """The straight parts of a path; its corners are within five pixels of them."""
    x = y = 0.0
    for command, text in re.findall("([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in text.split()]
        start = x, y
        match command:
            case "M":
                x, y = numbers
                continue
            case "q":
                x, y = x + numbers[2], y + numbers[3]
                continue
            case "H" | "V":
                x, y = (numbers[0], y) if command == "H" else (x, numbers[0])
            case "h":
                x += numbers[0]
            case _:
                raise AssertionError(path)
        yield min(start[0], x), min(start[1], y), max(start[0], x), max(start[1], y)


def text_width(text: ElementTree.Element) -> float:
    """In the font that a program without the system's fonts uses, one of the widest."""
    font = f"DejaVuSans{'-Bold' if text.get('class') in ('t', 'r') else ''}.ttf"
    return float(ImageFont.truetype(FONTS / font, 13 if text.get("class") == "r" else 12).getlength(text.text or ""))


def beginning(text: ElementTree.Element) -> Edges:
    x, baseline = float(text.attrib["x"]), float(text.attrib["y"])
    return x, baseline - 9, x + text_width(text), baseline + 2


def centered(text: ElementTree.Element) -> Edges:
    left, top, right, bottom = beginning(text)
    half = (right - left) / 2
    return left - half, top, right - half, bottom


def overlap(first: Edges, second: Edges, margin: float = 0.0) -> bool:
    across = first[0] < second[2] - margin and second[0] < first[2] - margin
    return across and first[1] < second[3] - margin and second[1] < first[3] - margin


def within(inner: Edges, outer: Edges) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]


def pairs(rects: Sequence[Edges]) -> Iterator[tuple[Edges, Edges]]:
    """Those that can overlap, by their heights."""
    ordered = sorted(rects, key=lambda rect: rect[1])
    for i, first in enumerate(ordered):
        for second in ordered[i + 1 :]:
            if second[1] >= first[3]:
                break
            yield first, second


def check(drawn: str) -> None:
    """Nothing is on top of anything else, and what is in a frame is in it as a whole."""
    drawing = Drawing(drawn)
    page = (0.0, 0.0, drawing.width, drawing.height)
    everything = (*drawing.boxes, *drawing.frames, *drawing.names, *drawing.lines)
    assert drawing.boxes
    assert [rect for rect in everything if not within(rect, page)] == []
    assert [(a, b) for a, b in pairs(drawing.boxes) if overlap(a, b)] == []
    assert [(a, b) for a in drawing.boxes for b in drawing.frames if overlap(a, b) and not within(a, b)] == []
    crossed = [(a, b) for a, b in pairs(drawing.frames) if overlap(a, b) and not within(a, b) and not within(b, a)]
    assert crossed == []
    for name in drawing.names:
        assert [other for other in (*drawing.lines, *drawing.boxes) if overlap(name, other)] == []
        assert [frame for frame in drawing.frames if overlap(name, frame) and not within(name, frame)] == []
    assert [text for text in drawing.in_boxes if not any(within(text, box) for box in drawing.boxes)] == []
    assert [(a, b) for a in drawing.lines for b in drawing.boxes if overlap(a, b, margin=0.5)] == []


@pytest.mark.slow
@parametrize(NAMES if EVERY_NET else CLASSES)
def test_nothing_in_a_drawing_is_on_top_of_anything_else(name: str) -> None:
    series = tree(name, 3)
    for layout in get_args(Direction):
        check(draw(series, name, layout=layout))


def test_a_box_behind_a_frame_moves_behind_it_and_a_frame_around_other_boxes_is_left_out() -> None:
    """FractalNet's pooling is behind its fractal. The box b is before a layer of a part, and beside another."""

    def box(name: str, *frames: str) -> Box:
        return Box(name, name, "conv", ("1x1 conv, 8",), (8, 4, 4), frames=frames)

    short = Series((box("part.a", "part"), box("pool")))
    long = Series((box("part.b", "part"), box("part.c", "part"), box("part.d", "part"), box("pool")))
    around = Parallel(
        (Series((box("part.a", "part"), box("part.b", "part"))), Series((box("b"), box("part.c", "part"))))
    )
    for layout in get_args(Direction):
        behind = draw(Series((box("first"), Parallel((short, long)), box("last"))), layout=layout)
        check(behind)
        assert ">part<" in behind
        drawing = Drawing(behind)
        edge = 2 if layout == "horizontal" else 3
        assert sum(rect[edge - 2] > drawing.frames[0][edge] for rect in drawing.boxes) == 3  # the pools, and the last
        without = draw(Series((box("first"), around, box("last"))), layout=layout)
        check(without)
        assert ">part<" not in without


def test_a_horizontal_layout_goes_to_the_right_with_the_same_boxes() -> None:
    series = tree("vgg_a", "auto")
    down, right = (Drawing(draw(series, layout=layout)) for layout in get_args(Direction))
    sizes = [[size for x0, y0, x1, y1 in drawing.boxes for size in (x1 - x0, y1 - y0)] for drawing in (down, right)]
    assert sizes[0] == pytest.approx(sizes[1], abs=0.11)
    assert all(after[0] > before[2] for before, after in pairwise(right.boxes))
    assert all(after[1] > before[3] for before, after in pairwise(down.boxes))
    assert len({(y0 + y1) / 2 for _, y0, _, y1 in right.boxes}) == 1
    with pytest.raises(ReportError, match="a diagram's layout is vertical or horizontal, not 'sideways'"):
        draw(series, layout=cast(Any, "sideways"))


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


@pytest.mark.slow
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
    wide = tmp_path / "wide.png"
    assert shell("diagram", "lenet5", "--layout", "horizontal", "--output", str(wide))[0] == 0
    with pillow.open(wide) as drawn:
        assert drawn.width > 4 * drawn.height
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
