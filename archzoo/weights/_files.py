"""State dicts: written to files atomically, and copied into networks completely or not at all."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from archzoo.errors import WeightsError
from archzoo.files import atomic_write

State = dict[str, Tensor]


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors atomically to a ``.safetensors`` file with metadata, or to a ``.pth`` or ``.pt`` file without.

    Raises WeightsError for another suffix or a failed write.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise WeightsError(f"{path} must end in .safetensors (or in .pth, which keeps no description)")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    try:
        with atomic_write(path) as partial:
            if path.suffix == ".safetensors":
                from safetensors.torch import save_file

                save_file(tensors, partial, dict(metadata or {}))
            else:
                torch.save(tensors, partial)
    except OSError as error:
        raise WeightsError(f"could not write {path}: {error}") from error


def load_into(net: nn.Module, state: Mapping[str, Tensor], source: str, keep: frozenset[str] = frozenset()) -> None:
    """Copy a state dict into a network, completely or not at all.

    The tensors of the network in ``keep`` stay as they are. Raises WeightsError, which lists missing and unexpected
    tensors, shapes that differ, and tensors with NaN or infinity.
    """
    own = net.state_dict()
    optional = {name for name in own if name.endswith("num_batches_tracked")}  # torch < 0.4.1 did not save it
    misfits = {
        "missing": sorted(own.keys() - state.keys() - keep - optional),
        "unexpected": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} {_shape(state[name])} instead of {_shape(own[name])}"
            for name in own.keys() & (state.keys() - keep)
            if state[name].shape != own[name].shape
        ],
        "not finite": [
            name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()
        ],
    }
    if any(misfits.values()):
        report = "; ".join(f"{len(names)} {kind}: {_first_three(names)}" for kind, names in misfits.items() if names)
        raise WeightsError(f"{source} does not fit, and nothing was loaded: {report}")
    with torch.no_grad():
        for name, tensor in own.items():
            if name in state and name not in keep:
                tensor.copy_(state[name])


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _first_three(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
