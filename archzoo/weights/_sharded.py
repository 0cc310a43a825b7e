"""Checkpoints in several files: the index that lists them, and the folder that they are in."""

import json
import os
import re
from pathlib import Path

from archzoo.errors import WeightsError
from archzoo.weights._recognition import LARGEST_INDEX, first_line

PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.\w+)")
# The files of a folder that are its weights, the first of them that is there: a run's own, then those of the Hub.
USUAL = ("net.safetensors", "model.safetensors", "pytorch_model.bin", "model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".th", ".pkl", ".tar")


def parts_of(index: Path) -> dict[Path, list[str]]:
    """The files of a checkpoint, and the names of the tensors in each. All of them are beside the index.

    Raises WeightsError if the index cannot be read, names a file elsewhere, or a file is missing.
    """
    parts: dict[Path, list[str]] = {}
    for name, part in _weight_map(index).items():
        if not isinstance(part, str) or Path(part).name != part or part in ("", ".", "..") or "\\" in part:
            raise WeightsError(f"{index} lists {first_line(part, 60)!r}, which is no file beside it")
        parts.setdefault(index.with_name(part), []).append(str(name))
    missing = [part.name for part in parts if not os.path.isfile(part)]  # Path.is_file raises for a long name
    if missing:
        raise WeightsError(f"{index} lists {len(missing)} files that are not beside it: {first_line(missing[0], 60)}")
    return parts


def _weight_map(index: Path) -> dict[str, object]:
    try:
        if index.stat().st_size > LARGEST_INDEX:
            raise ValueError(f"it has {index.stat().st_size:,} bytes")
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{index} cannot be read as the index of a checkpoint: {first_line(error)}") from error
    if not isinstance(weight_map, dict) or not weight_map:
        raise WeightsError(f"{index} lists no tensors")
    return weight_map


def refuse_part(path: Path) -> None:
    """Raise WeightsError for one file of a checkpoint in several, with the index to give instead."""
    match = PART.fullmatch(path.name)
    if match is None or int(match[3]) < 2:
        return
    index = path.with_name(f"{match[1]}{match[4]}.index.json")
    advice = f"give {index}" if index.is_file() else f"give its index, which {index} would be"
    raise WeightsError(f"{path} is part {int(match[2])} of {int(match[3])} of a checkpoint: {advice}")


def file_in_folder(folder: Path) -> Path:
    """The checkpoint in a folder. Raises WeightsError where there is none, or several, or the folder is closed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise WeightsError(f"{folder} cannot be read: {error.strerror}") from error
    indices = [name for name in names if name.endswith(".index.json")]
    candidates = [name for name in names if name.endswith(SUFFIXES) and PART.fullmatch(name) is None]
    usual = [name for name in USUAL if name in names]
    if not usual:
        _refuse_other_folders(folder, names)
    chosen = usual[:1] or (indices if len(indices) == 1 else candidates if len(candidates) == 1 else [])
    if len(chosen) == 1:
        return folder / chosen[0]
    several = indices or candidates
    shown = f"; it has {', '.join(first_line(name, 40) for name in several[:5])}" if several else ""
    raise WeightsError(f"{folder} is a folder: give the file in it{shown}")


def _refuse_other_folders(folder: Path, names: list[str]) -> None:
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        what = "a checkpoint of torch.distributed: python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
        raise WeightsError(f"{folder} is {what} makes one file of it")
    if "data.pkl" in names:
        raise WeightsError(f"{folder} is a file of torch.save that was unpacked: download it again, as it is")
    if "saved_model.pb" in names:
        raise WeightsError(f"{folder} is a SavedModel of TensorFlow: convert its tensors to a safetensors file")
