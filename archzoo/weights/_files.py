"""Weights files: read without executing code, written atomically."""

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from archzoo.errors import WeightsError
from archzoo.files import atomic_write
from archzoo.weights._canonical import sort_metadata
from archzoo.weights._guarding import allowance, check_regular, reading
from archzoo.weights._kinds import dense, exactly, inexact
from archzoo.weights._misfits import names_and_shapes, raise_for

State = dict[str, Tensor]
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def read_state(path: str | Path) -> tuple[State, dict[str, str]]:
    """The tensors of a file by name, on the CPU, and its metadata, which is empty for anything but safetensors.

    ``.pth``, ``.pt`` and ``.bin`` files may contain tensors only. Raises WeightsError if the file cannot be read, or
    names the function that a pickle asks to run.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise WeightsError(f"{path} is no weights file: its name must end in {', '.join(SUFFIXES)}")
    check_regular(path)
    with reading(path, "a safetensors file" if path.suffix == ".safetensors" else "a checkpoint"):
        state, metadata = _read_safetensors(path) if path.suffix == ".safetensors" else (_read_pickle(path), {})
        return dense(state, str(path), allowance(path)), metadata


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, struct.error) as error:
        raise WeightsError(f"{path} is corrupt or not a safetensors file: {error}") from error


def _read_pickle(path: Path) -> State:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other pickle versions, which are tried anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        function = re.search(r"GLOBAL ([\w.]+)", str(error))
        if function:
            raise WeightsError(f"{path} is not loaded: it would run {function[1]}, but weights need no code") from error
        raise WeightsError(f"{path} is corrupt or not a checkpoint: {_first_line(error)}") from error
    for key in ("state_dict", "model", "net"):  # where training scripts put the state dict
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise WeightsError(f"{path} holds no state dict (tensors by name), but a {type(content).__name__}")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors atomically to a ``.safetensors`` file with metadata, or to a ``.pth`` or ``.pt`` file without.

    The same tensors and metadata give the same bytes. Raises WeightsError for another suffix, for tensors without
    values, and for a failed write.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise WeightsError(f"{path} must end in .safetensors (or in .pth, which keeps no description)")
    plain = dense(state, "what is saved")
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in plain.items()}
    try:
        with atomic_write(path) as partial:
            if path.suffix == ".safetensors":
                from safetensors.torch import save_file

                save_file(tensors, partial, dict(metadata or {}))
                sort_metadata(partial)
            else:
                with partial.open("wb") as file:  # given a name, torch would write it into the file
                    torch.save(tensors, file)
    except Exception as error:  # a full disk is an error of its own kind in each of the writers
        raise WeightsError(f"could not write {path}: {_first_line(error)}") from error


def load_into(net: nn.Module, state: Mapping[str, Tensor], source: str, keep: frozenset[str] = frozenset()) -> None:
    """Copy a state dict into a network, completely or not at all.

    The tensors of the network in ``keep`` stay as they are. Raises WeightsError, which lists missing and unexpected
    tensors, shapes that differ, values that the network's dtype does not have, and tensors with NaN or infinity.
    """
    own = net.state_dict()
    raise_for(names_and_shapes(own, state, keep), source)
    fitting = {name: exactly(state[name], own[name].dtype) for name in own.keys() & (state.keys() - keep)}
    values = {name: tensor for name, tensor in fitting.items() if tensor is not None}
    misfits = {
        "of another kind": [
            inexact(name, state[name], own[name].dtype) for name, tensor in sorted(fitting.items()) if tensor is None
        ],
        "not finite": sorted(
            name for name, tensor in values.items() if tensor.is_floating_point() and not tensor.isfinite().all()
        ),
    }
    raise_for(misfits, source)
    with torch.no_grad():
        for name, tensor in own.items():
            if name in values:
                tensor.copy_(values[name])
