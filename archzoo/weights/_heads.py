"""What the head of a file claims about its network, compared with the tensors of the file before a network is built."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from archzoo.errors import ArchzooError, WeightsError
from archzoo.escaping import one_line
from archzoo.layers import Net
from archzoo.registry import Entry, find
from archzoo.weights._fitting import build_on_meta
from archzoo.weights._metadata import Description
from archzoo.weights._misfits import names_and_shapes, raise_for

# What building may register for each tensor, or element, of the file: layers that are replaced count twice.
SPARE_TENSORS, SPARE_MODULES, SPARE_ELEMENTS = 100, 1000, 1 << 20
TENSORS, MODULES, ELEMENTS = 2, 20, 2


class _TooLarge(OverflowError):
    """Building is past what the tensors of the file can fill. No ValueError, which is read as a bad option."""


def described_entry(description: Description, source: str) -> Entry:
    """The entry of the network that a head names. Raises WeightsError if there is none."""
    try:
        return find(description.name)
    except ArchzooError as error:
        raise WeightsError(f"{source} describes a network that is not here: {one_line(str(error), 300)}") from error


def check_head(description: Description, state: Mapping[str, Tensor], source: str) -> None:
    """Raise WeightsError unless the network that a head describes has the tensors of the file, by name and shape.

    It is built on the meta device, and only as far as the tensors of the file could fill it.
    """
    entry = described_entry(description, source)
    elements = sum(tensor.numel() for tensor in state.values())
    _check_numbers(description.options, elements, source)
    own = _on_meta(entry, description, len(state), elements, source).state_dict()
    raise_for(names_and_shapes(own, state), source, "does not fit what it describes")


def _check_numbers(options: Mapping[str, Any], elements: int, source: str) -> None:
    """Raise WeightsError for an option larger than the file: every class, map and layer has a weight at least."""
    for name, value in options.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int) and abs(number) > max(elements, 1000):
                raise WeightsError(
                    f"{source} describes {one_line(name, 50)}={one_line(str(number)[:30])}, "
                    f"and has {elements:,} numbers in all"
                )


def _on_meta(entry: Entry, description: Description, tensors: int, elements: int, source: str) -> Net:
    try:
        with _bounded(tensors, elements):
            return build_on_meta(entry, description.options)
    except _TooLarge as error:
        raise WeightsError(f"{source} describes a larger {entry.name} than its {tensors:,} tensors are of") from error
    except Exception as error:  # its options may be anything
        reason = one_line(str(error) or type(error).__name__, 300)
        raise WeightsError(f"{source} describes a network that cannot be built: {reason}") from error


@contextmanager
def _bounded(tensors: int, elements: int) -> Iterator[None]:
    """Raise _TooLarge where this thread builds a network of far more than so many tensors or elements."""
    thread, left = threading.get_ident(), {"tensors": TENSORS * tensors + SPARE_TENSORS}
    left |= {"modules": MODULES * tensors + SPARE_MODULES, "elements": ELEMENTS * elements + SPARE_ELEMENTS}

    def take(kind: str, count: int) -> None:
        if threading.get_ident() == thread:
            left[kind] -= count
            if left[kind] < 0:
                raise _TooLarge

    def parameter(module: nn.Module, name: str, value: Any) -> None:
        if value is not None:
            take("tensors", 1)
            take("elements", value.numel())

    handles = [
        hooks.register_module_parameter_registration_hook(parameter),
        hooks.register_module_buffer_registration_hook(parameter),
        hooks.register_module_module_registration_hook(lambda module, name, value: take("modules", 1)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
