"""Diagrams as PNG and PDF, through vl-convert, which needs no other program."""

import importlib.util

from archzoo.errors import MissingDependency, ReportError

SCALE = 2.0  # pixels for a unit of the drawing, as on a screen of high resolution


def check_format(suffix: str) -> None:
    """Raise ReportError for a suffix other than .svg, .png and .pdf, MissingDependency without the extra ``diagrams``.

    Without a suffix, a file is SVG.
    """
    if suffix in ("", ".svg"):
        return
    if suffix not in (".png", ".pdf"):
        raise ReportError(f"a diagram is written as .svg, .png or .pdf, not {suffix}")
    if importlib.util.find_spec("vl_convert") is None:
        raise MissingDependency(f"{suffix} needs vl-convert: pip install 'archzoo[diagrams]'")


def render(drawing: str, suffix: str) -> bytes:
    """An SVG drawing as PNG or PDF, by the suffix of a file name. Raises as ``check_format`` does."""
    check_format(suffix)
    import vl_convert

    if suffix == ".png":
        return bytes(vl_convert.svg_to_png(drawing, scale=SCALE))
    if suffix == ".pdf":
        return bytes(vl_convert.svg_to_pdf(drawing))
    return drawing.encode()
