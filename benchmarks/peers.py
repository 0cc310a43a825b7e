"""torchvision for the benchmarks that compare with it, also beside a CPU build of torch, where its library fails."""

import importlib
from functools import cache
from typing import Any

import torch


@cache
def _lacking_operators() -> Any:
    """The two operators that torchvision's import asks for and no classifier calls. Without this they go again."""
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


def torchvision(part: str) -> Any:
    """A part, such as "models". Its own library is taken where it loads: torch takes operators from one alone."""
    try:
        return importlib.import_module(f"torchvision.{part}")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _lacking_operators()
    return importlib.import_module(f"torchvision.{part}")
