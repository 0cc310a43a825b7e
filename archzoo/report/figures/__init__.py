"""Figures, drawn by matplotlib. Every function returns a matplotlib Figure; ``save`` writes it."""

from archzoo.report.figures._style import save

# isort: split
from archzoo.report.figures._activations import ACTIVATIONS, activations, derivative
from archzoo.report.figures._augmentation import augmentation, input_side
from archzoo.report.figures._costs import cost_against_error, stage_shares, timeline
from archzoo.report.figures._curves import error_curves, learning_curves
from archzoo.report.figures._learning import feature_reuse_map, first_filters, predictions, schedules, training_curves
from archzoo.report.figures._memory import memory_over_time
from archzoo.report.figures._optimizers import OPTIMIZERS, SURFACES, newton_path, optimizer_paths, path
from archzoo.report.figures._receptive_fields import receptive_field_growth

__all__ = [
    "ACTIVATIONS",
    "OPTIMIZERS",
    "SURFACES",
    "activations",
    "augmentation",
    "cost_against_error",
    "derivative",
    "error_curves",
    "feature_reuse_map",
    "first_filters",
    "input_side",
    "learning_curves",
    "memory_over_time",
    "newton_path",
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
