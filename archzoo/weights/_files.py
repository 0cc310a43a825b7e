"""State dicts: written to files atomically, and copied into networks completely or not at all."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from archzoo.errors import WeightsError
from archzoo.files import atomic_write
from archzoo.layers import Select
from archzoo.weights._canonical import sort_metadata
from archzoo.weights._kinds import dense, exactly, inexact
from archzoo.weights._misfits import names_and_shapes, raise_for
from archzoo.weights._recognition import first_line

State = dict[str, Tensor]


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
        raise WeightsError(f"could not write {path}: {first_line(str(error) or type(error).__name__)}") from error


def load_into(net: nn.Module, state: Mapping[str, Tensor], source: str, keep: frozenset[str] = frozenset()) -> None:
    """Copy a state dict into a network, completely or not at all.

    The tensors of the network in ``keep`` stay as they are. Raises WeightsError, which lists missing and unexpected
    tensors, shapes that differ, values that the network's dtype does not have, tensors with NaN or infinity, and index
    layers with places out of range.
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
        "with places out of range": [
            f"{name}.index, of {layer.inputs} inputs"
            for name, layer in net.named_modules()
            if isinstance(layer, Select) and not layer.takes(values.get(f"{name}.index", layer.index))
        ],
    }
    raise_for(misfits, source)
    with torch.no_grad():
        for name, tensor in own.items():
            if name in values:
                tensor.copy_(values[name])
