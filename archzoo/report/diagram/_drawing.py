"""An architecture as SVG, as its paper would draw it: from the image down to the classes."""

from torch import nn

from archzoo.escaping import markup
from archzoo.profiler import Profile
from archzoo.report.diagram._architectures import Depth, architecture
from archzoo.report.diagram._boxes import Series, boxes_in
from archzoo.report.diagram._canvas import Canvas, px
from archzoo.report.diagram._measuring import PAD, extent
from archzoo.report.diagram._placing import place
from archzoo.report.diagram._style import LIGHT_AND_DARK

MARGIN = 14.0


def diagram(
    net: nn.Module,
    input_size: tuple[int, ...],
    *,
    depth: Depth = "auto",
    title: str = "",
    fold: bool = True,
    style: bool = True,
    counted: Profile | None = None,
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

    Raises:
        ReportError: The graph cannot be traced.
    """
    return draw(architecture(net, input_size, depth, fold=fold, counted=counted), title, style=style)


def draw(series: Series, title: str = "", *, style: bool = True) -> str:
    """Draw an architecture as SVG."""
    canvas = Canvas()
    left, right, height = extent(series)
    margin = MARGIN + PAD * max(len(box.frames) for box in boxes_in(series))
    place(canvas, series, margin + left, MARGIN)
    canvas.draw_frames()
    width, full_height = max(left + right + 2 * margin, canvas.right + MARGIN), height + 2 * MARGIN
    size = f'viewBox="0 0 {px(width)} {px(full_height)}" width="{px(width)}" height="{px(full_height)}"'
    title_tag = f"<title>{markup(title)}</title>" if title else ""
    css = f"<style>{LIGHT_AND_DARK}</style>" if style else ""
    back = f'<rect class="back" x="0" y="0" width="{px(width)}" height="{px(full_height)}"/>' if style else ""
    body = "".join((*canvas.frames, *canvas.paths, *canvas.labels, *canvas.boxes))
    root = f'<svg xmlns="http://www.w3.org/2000/svg" class="az" role="img" {size}>'
    return f"{root}{title_tag}{css}{back}{body}</svg>\n"
