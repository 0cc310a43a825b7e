"""An architecture as SVG, as its paper would draw it: from the image to the classes, downwards or to the right."""

from typing import Literal, get_args

from torch import nn

from archzoo.errors import ReportError
from archzoo.escaping import markup
from archzoo.options import shown
from archzoo.profiler import Profile
from archzoo.report.diagram._architectures import Depth, architecture
from archzoo.report.diagram._boxes import Series
from archzoo.report.diagram._canvas import elements, extent, px
from archzoo.report.diagram._placing import MARGIN, plan
from archzoo.report.diagram._style import LIGHT_AND_DARK

Direction = Literal["vertical", "horizontal"]


def diagram(
    net: nn.Module,
    input_size: tuple[int, ...],
    *,
    depth: Depth = "auto",
    title: str = "",
    fold: bool = True,
    style: bool = True,
    counted: Profile | None = None,
    layout: Direction = "vertical",
) -> str:
    """Draw a network as SVG: parts by their names, what they compute, and the sizes of their outputs.

    Args:
        net: The network.
        input_size: The image, (channels, height, width).
        depth: Levels of nested modules to open: None opens all, "auto" as many as show the first branches, such as
            shortcuts or concatenations, and two where there are none.
        title: The title of the SVG.
        fold: Draw equal parts in a row once, with their number.
        style: Include the style sheet. Without it, the page must contain STYLE.
        counted: The network's profile at this input size, if there is one.
        layout: From the image downwards ("vertical") or to the right ("horizontal").

    Raises:
        ReportError: The graph cannot be traced, or the layout is neither.
    """
    _check(layout)
    return draw(architecture(net, input_size, depth, fold=fold, counted=counted), title, style=style, layout=layout)


def draw(series: Series, title: str = "", *, style: bool = True, layout: Direction = "vertical") -> str:
    """Draw an architecture as SVG. Raises ReportError if ``layout`` is neither "vertical" nor "horizontal"."""
    _check(layout)
    drawn = plan(series, horizontal=layout == "horizontal")
    width, height = (px(edge + MARGIN) for edge in extent(drawn))
    title_tag = f"<title>{markup(title)}</title>" if title else ""
    css = f"<style>{LIGHT_AND_DARK}</style>" if style else ""
    back = f'<rect class="back" x="0" y="0" width="{width}" height="{height}"/>' if style else ""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    root = f'<svg xmlns="http://www.w3.org/2000/svg" class="az" role="img" {size}>'
    return f"{root}{title_tag}{css}{back}{''.join(elements(drawn))}</svg>\n"


def _check(layout: str) -> None:
    if layout not in get_args(Direction):
        raise ReportError(f"a diagram's layout is vertical or horizontal, not {shown(layout)}")
