"""Diagrams of architectures as SVG: a traced graph, cut into boxes in series and in parallel, and drawn."""

from archzoo.report.diagram._architectures import architecture
from archzoo.report.diagram._boxes import Box, Item, LayeredGraph, Parallel, Repeat, Series, boxes_in
from archzoo.report.diagram._drawing import diagram, draw
from archzoo.report.diagram._rendering import check_format, render
from archzoo.report.diagram._style import STYLE

__all__ = [
    "STYLE",
    "Box",
    "Item",
    "LayeredGraph",
    "Parallel",
    "Repeat",
    "Series",
    "architecture",
    "boxes_in",
    "check_format",
    "diagram",
    "draw",
    "render",
]
