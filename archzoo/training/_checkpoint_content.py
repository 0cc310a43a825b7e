"""What a checkpoint must hold before any of it is loaded: a right digest says nothing of its content."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archzoo.errors import CheckpointError
from archzoo.training._progress import Progress

PARTS = ("run", "machine", "net", "optimizer", "progress", "scaler", "averaged", "snapshots", "best")


def check_content(
    state: Mapping[str, Any], path: Path, run: str, net: Mapping[str, Any], optimizer: torch.optim.Optimizer
) -> None:
    """Raise CheckpointError, with the reason alone, unless a checkpoint fits this run, its network and its optimizer.

    ``net`` is the network's state dict.
    """
    if missing := [part for part in PARTS if part not in state]:
        raise CheckpointError(f"it has no {', '.join(missing)}")
    if state["run"] != run:
        raise CheckpointError("it belongs to another run")
    _check_progress(state["progress"], path)
    _check_tensors("net", state["net"], net)
    for number, snapshot in enumerate(state["snapshots"], 1):
        _check_tensors(f"snapshot {number}", snapshot, net)
    if state["best"] is not None:
        _check_tensors("best", state["best"], net)
    _check_optimizer(state["optimizer"]["state"], optimizer)


def _check_progress(progress: Any, path: Path) -> None:
    if not isinstance(progress, dict) or progress.keys() != {field.name for field in fields(Progress)}:
        raise CheckpointError("its progress has other values than this version's")
    iteration = progress["iteration"]
    if iteration != int(path.name[11:20]):
        raise CheckpointError(f"it is of iteration {iteration}, and is called {path.name}")
    for name in ("loss", "errors", "images", "seconds"):
        if not isinstance(progress[name], int | float) or not math.isfinite(progress[name]):
            raise CheckpointError(f"its progress has no finite {name}")
    if not all({"epoch", "train_error", "validation_error"} <= row.keys() for row in progress["history"]):
        raise CheckpointError("its history has no errors")


def _check_tensors(part: str, tensors: Any, net: Mapping[str, Any]) -> None:
    if not isinstance(tensors, dict) or tensors.keys() != net.keys():
        raise CheckpointError(f"its {part} has other tensors than the network")
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.shape != net[name].shape or tensor.dtype != net[name].dtype:
            raise CheckpointError(f"its {part} has another {name} than the network")


def _check_optimizer(state: Mapping[int, Mapping[str, Any]], optimizer: torch.optim.Optimizer) -> None:
    """Running values have the shape of their parameter, or are sums over some of its dimensions."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, values in state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.dim() and not _fits(value, parameters[number]):
                raise CheckpointError(f"its optimizer has a {name} of another shape than the parameter")


def _fits(value: Tensor, parameter: Tensor) -> bool:
    sides = zip(value.shape, parameter.shape, strict=False)
    return value.dim() == parameter.dim() and all(side in (1, whole) for side, whole in sides)
