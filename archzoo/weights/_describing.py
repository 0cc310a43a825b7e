"""What a weights file says about itself: its network, its options, its tensors, and what a training has added."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archzoo.errors import WeightsError
from archzoo.weights._metadata import read_metadata
from archzoo.weights._reading import read_state


@dataclass(frozen=True)
class WeightsFile:
    """A weights file: the registered name of its network and its options, or "" and none where it does not say.

    Attributes:
        shapes: The shape of each tensor by name.
        dtypes: The dtype of each tensor by name, such as float32.
        metadata: All texts in its metadata.
    """

    network: str
    options: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    metadata: Mapping[str, str]


def describe_file(path: str | Path) -> WeightsFile:
    """What a weights file says about itself. Raises WeightsError if it cannot be read."""
    state, metadata = read_state(path)
    description = read_metadata(metadata, str(path))
    return WeightsFile(
        "" if description is None else description.name,
        {} if description is None else dict(description.options),
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in state.items()},
        dict(metadata),
    )


def check_describes(path: str | Path, file: WeightsFile) -> None:
    """Raise WeightsError where a file does not say which network it holds."""
    if not file.network:
        raise WeightsError(
            f"{path} does not say which network it is: archzoo weights convert NAME {path} FILE.safetensors "
            "--to archzoo writes a file that does"
        )
