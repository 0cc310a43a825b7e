"""Checkpoints: files of any kind that holds tensors by name, read without running code of theirs."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import torch

from archzoo.errors import WeightsError
from archzoo.weights import _recognition as recognition
from archzoo.weights._files import State
from archzoo.weights._guarding import allowance, check_regular, reading
from archzoo.weights._kinds import dense
from archzoo.weights._onnx_files import OnnxModel, read_onnx
from archzoo.weights._recognition import FileKind, first_line, kind_of
from archzoo.weights._sharded import file_in_folder, parts_of, refuse_part
from archzoo.weights._state_dicts import StateDict, state_dict_in
from archzoo.weights._unpickling import RestrictedPickle


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: its state dict, its metadata (of safetensors), and the plain values beside the state dict.

    ``graph`` is what an ONNX model computes; its state dict has the model's names.
    """

    path: Path
    kind: FileKind
    state_dict: StateDict
    metadata: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    graph: OnnxModel | None = field(default=None, repr=False)

    def warn(self, stacklevel: int = 3) -> None:
        """Say which state dict of several was chosen."""
        for note in self.state_dict.notes:
            warnings.warn(f"archzoo: {self.path}: {note}", stacklevel=stacklevel)


def read_state(path: str | Path) -> tuple[State, dict[str, str]]:
    """The tensors of a file by name, on the CPU, and its metadata, which is empty for anything but safetensors.

    Raises WeightsError as ``read_checkpoint`` does, and warns where the file holds several state dicts.
    """
    checkpoint = read_checkpoint(path)
    checkpoint.warn()
    return checkpoint.state_dict.tensors, dict(checkpoint.metadata)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """What a file holds, whatever its name: safetensors, files of ``torch.save``, pickles, ONNX, parts by their index.

    No code of the file runs. Raises WeightsError, which says what the file is if it holds no state dict, and names the
    function that a pickle asks to run.
    """
    path = Path(path)
    kind = _kind_of(path)
    if kind == recognition.FOLDER:
        path = file_in_folder(path)
        kind = _kind_of(path)
    refuse_part(path)
    if not kind.readable:
        raise WeightsError(f"{path} is {kind.name}: {kind.advice}")
    graph = read_onnx(path) if kind == recognition.ONNX else None
    if graph is not None:
        content, metadata = graph.weights, {}
    else:
        content, metadata = _merged(path) if kind == recognition.INDEX else _content(path, kind)
    state_dict = state_dict_in(content, str(path))
    allowed = sum(map(allowance, parts_of(path) if kind == recognition.INDEX else [path]))
    plain = replace(state_dict, tensors=dense(state_dict.tensors, str(path), allowed))
    return Checkpoint(path, kind, plain, metadata, _values(content), graph)


def _kind_of(path: Path) -> FileKind:
    try:
        return kind_of(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WeightsError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise WeightsError(f"{path} cannot be read: {getattr(error, 'strerror', '') or error}") from error


def _merged(index: Path) -> tuple[State, dict[str, str]]:
    """The tensors of all files of an index, each from the file that the index names for it."""
    state: State = {}
    metadata: dict[str, str] = {}
    parts = parts_of(index)
    listed = {name for names in parts.values() for name in names}
    for part, names in parts.items():
        kind = _kind_of(part)
        if not kind.readable or kind in (recognition.INDEX, recognition.FOLDER, recognition.ONNX):
            raise WeightsError(f"{part} is {kind.name}, and no part of {index.name}")
        content, described = _content(part, kind)
        tensors = state_dict_in(content, str(part)).tensors if not isinstance(content, Mapping) else dict(content)
        missing = [name for name in names if name not in tensors]
        if missing:
            raise WeightsError(f"{part} lacks {len(missing)} tensors of {index.name}: {first_line(missing[0])}")
        state |= {name: tensors[name] for name in names}
        state |= {name: tensor for name, tensor in tensors.items() if name not in listed}
        metadata = {**described, **metadata}
    return state, metadata


def _content(path: Path, kind: FileKind) -> tuple[Any, dict[str, str]]:
    check_regular(path)
    with reading(path, kind.name):
        return _read_safetensors(path) if kind == recognition.SAFETENSORS else (_read_pickle(path, kind), {})


def _read_safetensors(path: Path) -> tuple[State, dict[str, str]]:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # of several classes, also of Rust
        raise WeightsError(f"{path} is a safetensors file that is {_damage(path)}: {first_line(error)}") from error


def _damage(path: Path) -> str:
    """Whether a safetensors file is shorter than its head says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        head = file.read(min(length, size))
    ends = [int(end) for end in re.findall(rb'"data_offsets"\s*:\s*\[\s*\d+\s*,\s*(\d{1,18})', head)]
    expected = 8 + length + max(ends, default=0)
    return f"cut off after {size:,} of {expected:,} bytes" if size < expected else "corrupt"


def _read_pickle(path: Path, kind: FileKind) -> Any:
    restricted = RestrictedPickle()
    failure: Exception | None = None
    content: Any = None
    try:
        with path.open("rb") as file:
            content = _load(file, kind, restricted)
    except Exception as error:  # a hostile pickle can raise anything
        failure = error
    if restricted.foreign:
        raise WeightsError(_foreign(str(path), restricted)) from failure
    if failure is not None:
        reason = first_line(str(failure).rpartition("WeightsUnpickler error: ")[2] or type(failure).__name__)
        raise WeightsError(f"{path} is {kind.name}, but corrupt or cut off: {reason}") from failure
    return content


def _load(file: IO[bytes], kind: FileKind, restricted: RestrictedPickle) -> Any:
    if kind == recognition.PICKLE:
        return restricted.load(file)
    if kind == recognition.TORCH_ZIP:
        records = torch._C.PyTorchFileReader(file).get_all_records()
        if "constants.pkl" in records:  # torch.load would run it as a TorchScript archive
            raise ValueError("it is also a TorchScript archive")
        file.seek(0)
    return restricted.load_torch(file)


def _foreign(source: str, restricted: RestrictedPickle) -> str:
    """Why a file is not loaded that names classes or functions which no stand-in may replace."""
    name = first_line(restricted.foreign[0], 80)
    if any(foreign.startswith("torch.distributed.") for foreign in restricted.foreign):
        return f"{source} holds tensors that are spread over processes ({name}): gather them before saving"
    if any(named.startswith("torch.nn.modules.") for named in restricted.named):
        return (
            f"{source} holds a whole pickled network ({name}), but weights need no code: "
            "save its net.state_dict() where that class is defined"
        )
    return f"{source} is not loaded: it would run {name}, but weights need no code"


def _values(content: Any) -> dict[str, Any]:
    """What a checkpoint says of itself: numbers, texts and tables of them, such as its epoch and its arguments."""
    if not isinstance(content, Mapping):
        return {}
    return {str(key): value for key, value in content.items() if isinstance(value, (bool, int, float, str))} | {
        str(key): {str(name): item for name, item in value.items() if isinstance(item, (bool, int, float, str))}
        for key, value in content.items()
        if isinstance(value, Mapping) and key in ("args", "arguments", "config", "cfg", "hparams", "hyper_parameters")
    }
