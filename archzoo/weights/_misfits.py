"""What of a state dict does not fit a network, in words."""

from collections.abc import Mapping

from torch import Tensor

from archzoo.errors import WeightsError
from archzoo.escaping import one_line


def raise_for(misfits: Mapping[str, list[str]], source: str, what: str = "does not fit") -> None:
    """Raise WeightsError with the number of each kind of misfit, and the first three of it, if there are any."""
    if any(misfits.values()):
        report = "; ".join(f"{len(names)} {kind}: {_first_three(names)}" for kind, names in misfits.items() if names)
        raise WeightsError(f"{source} {what}, and nothing was loaded: {report}")


def names_and_shapes(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], keep: frozenset[str] = frozenset()
) -> dict[str, list[str]]:
    """The tensors that are missing or unexpected, or of another shape, except those in ``keep``."""
    optional = {name for name in own if name.endswith("num_batches_tracked")}  # torch < 0.4.1 did not save it
    return {
        "missing": sorted(own.keys() - state.keys() - keep - optional),
        "unexpected": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{name} {_shape(state[name])} instead of {_shape(own[name])}"
            for name in own
            if name in state and name not in keep and state[name].shape != own[name].shape
        ],
    }


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _first_three(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(one_line(name, 120) for name in names[:3]) + rest
