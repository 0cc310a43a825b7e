"""Grading: what is right and what is not in an implementation of a paper's network, by what it computes.

``grade`` runs a file in a process of its own, within limits of time and memory. ``grade_module`` takes a module.
Neither names of layers nor the way in which the code is written matter. Nothing here imports PyTorch before it is
needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archzoo.grading._grades import Check, Grade
from archzoo.grading._processes import Limits, grade

if TYPE_CHECKING:
    from archzoo.grading._judging import grade_module

__all__ = ["Check", "Grade", "Limits", "grade", "grade_module"]


def __getattr__(name: str) -> Any:
    if name != "grade_module":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}._judging").grade_module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
