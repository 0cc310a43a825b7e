"""torchvision beside a CPU build of torch, for the benchmarks that compare with it."""

import importlib
from typing import Any

import torch

# Kept for as long as the process lives: with the library object its operators go.
_LIBRARY = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]


def torchvision(part: str) -> Any:
    """A part, such as "models". Its import asks for two operators of its own library, which no classifier calls."""
    if not hasattr(torch.ops.torchvision, "nms"):
        for operator in ("nms", "qnms"):
            schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            _LIBRARY.define(schema)  # type: ignore[no-untyped-call]
    return importlib.import_module(f"torchvision.{part}")
