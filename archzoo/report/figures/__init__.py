"""Figures, drawn by matplotlib: what networks cost, how they grew, how they learn. Each function gives a Figure."""

from archzoo.report.figures.style import save  # first: it says what to install where matplotlib is missing

# isort: split
from archzoo.report.figures.costs import cost_against_error, field_growth, memory_over_time, stage_shares, timeline
from archzoo.report.figures.learning import (
    feature_reuse_map,
    first_filters,
    predictions,
    schedules,
    training_curves,
)
from archzoo.report.figures.optimizers import OPTIMIZERS, SURFACES, optimizer_paths, path

__all__ = [
    "OPTIMIZERS",
    "SURFACES",
    "cost_against_error",
    "feature_reuse_map",
    "field_growth",
    "first_filters",
    "memory_over_time",
    "optimizer_paths",
    "path",
    "predictions",
    "save",
    "schedules",
    "stage_shares",
    "timeline",
    "training_curves",
]
