"""Files of weights: read without running any code, written whole or not at all."""

import json
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import WeightsError
from archzoo.files import atomic_write

State = dict[str, Tensor]
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def read_state(path: str | Path) -> tuple[State, dict[str, str]]:
    """The tensors of a file by name, on the CPU, and what its head says of them (safetensors alone has one).

    ``.pth``, ``.pt`` and ``.bin`` are read as tensors only: a pickle that wants code is refused by the name of what it
    wanted. Raises WeightsError for what cannot be read.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path} is no file of weights: it should end in {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    return _read_safetensors(path) if path.suffix == ".safetensors" else (_read_pickle(path), {})


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, struct.error) as error:
        raise WeightsError(f"{path} is damaged, or no safetensors file: {error}") from error


def _read_pickle(path: Path) -> State:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of other versions, which are tried all the same
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise WeightsError(f"{path} is refused: it wants to run {wanted[1]}, and weights need no code") from error
        raise WeightsError(f"{path} is damaged, or no checkpoint: {_first_line(error)}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is damaged, or no checkpoint: {_first_line(error)}") from error
    for inner in ("state_dict", "model", "net"):  # training scripts wrap it so
        if isinstance(found, Mapping) and isinstance(found.get(inner), Mapping):
            found = found[inner]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise WeightsError(f"{path} holds no state dict, tensors by name, but a {type(found).__name__}")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to a safetensors file, or to a ``.pth``: whole, or not at all. Raises WeightsError on failure."""
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise WeightsError(f"{path} should end in .safetensors (or in .pth, which keeps no description)")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    try:
        with atomic_write(path) as part:
            if path.suffix == ".safetensors":
                from safetensors.torch import save_file

                save_file(plain, part, dict(metadata or {}))
            else:
                torch.save(plain, part)
    except OSError as error:
        raise WeightsError(f"could not write {path}: {error}") from error


def load_into(net: nn.Module, state: Mapping[str, Tensor], source: str, keep: frozenset[str] = frozenset()) -> None:
    """Copy tensors into a network: all of them, or, with a report of what does not fit, none.

    ``keep`` are tensors of the network that stay as they are. Raises WeightsError that names what is missing, what is
    unexpected, which shapes differ, and where a number is not finite.
    """
    own = net.state_dict()
    optional = {name for name in own if name.endswith("num_batches_tracked")}  # older files do not have it
    wrong = {
        "missing": sorted(own.keys() - state.keys() - keep - optional),
        "unexpected": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} {_sides(state[name])} instead of {_sides(own[name])}"
            for name in own.keys() & (state.keys() - keep)
            if state[name].shape != own[name].shape
        ],
        "not finite": [
            name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()
        ],
    }
    if any(wrong.values()):
        report = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in wrong.items() if names)
        raise WeightsError(f"{source} does not fit, and nothing was loaded: {report}")
    with torch.no_grad():
        for name, tensor in own.items():
            if name in state and name not in keep:
                tensor.copy_(state[name])


def _sides(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def describe(name: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What the head of a file says of its network, so that it can be rebuilt."""
    return {"archzoo": name, "options": json.dumps(dict(options))}


def described(metadata: Mapping[str, str], source: str) -> tuple[str, dict[str, Any]] | None:
    """The network and its options that a head tells of, or None. Raises WeightsError for nonsense."""
    if "archzoo" not in metadata:
        return None
    try:
        options = json.loads(metadata.get("options", "{}"))
    except ValueError as error:
        raise WeightsError(f"{source}: the options in its head cannot be read: {error}") from error
    if not isinstance(options, dict):
        raise WeightsError(f"{source}: the options in its head are a {type(options).__name__}, not a table")
    return metadata["archzoo"], {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
