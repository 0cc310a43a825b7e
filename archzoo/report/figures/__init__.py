"""Figures, drawn by matplotlib. Every function returns a matplotlib Figure; ``save`` writes it."""

from archzoo.report.figures.style import save  # first: it raises MissingDependency if there is no matplotlib

# isort: split
from archzoo.report.figures.costs import cost_against_error, stage_shares, timeline
from archzoo.report.figures.learning import (
    feature_reuse_map,
    first_filters,
    predictions,
    schedules,
    training_curves,
)
from archzoo.report.figures.memory import memory_over_time
from archzoo.report.figures.optimizers import OPTIMIZERS, SURFACES, optimizer_paths, path
from archzoo.report.figures.receptive_fields import receptive_field_growth

__all__ = [
    "OPTIMIZERS",
    "SURFACES",
    "cost_against_error",
    "feature_reuse_map",
    "first_filters",
    "memory_over_time",
    "optimizer_paths",
    "path",
    "predictions",
    "receptive_field_growth",
    "save",
    "schedules",
    "stage_shares",
    "timeline",
    "training_curves",
]
