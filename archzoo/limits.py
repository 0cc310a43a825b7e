"""How large a network may be: bounds that refuse a mistyped option in words, before memory and hours are spent.

The environment variables ``ARCHZOO_MAX_PARAMETERS`` and ``ARCHZOO_MAX_LAYERS`` set other bounds. Imports no torch
before a network is built.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from archzoo.errors import BadOption

# By variable: the bound. The largest published network here has 144 million parameters, the deepest 1,202 layers.
DEFAULTS = {"ARCHZOO_MAX_PARAMETERS": 1_000_000_000, "ARCHZOO_MAX_LAYERS": 10_000}


def max_parameters() -> int:
    """The most parameters of a network, and so the largest value of an option that counts something."""
    return _bound("ARCHZOO_MAX_PARAMETERS")


def max_layers() -> int:
    """The most convolutions and linear layers of a network."""
    return _bound("ARCHZOO_MAX_LAYERS")


def _bound(variable: str) -> int:
    text = os.environ.get(variable, "")
    if not text:
        return DEFAULTS[variable]
    try:
        bound = int(float(text))
    except (ValueError, OverflowError):
        bound = 0
    if bound < 1:
        raise BadOption(f"the environment variable {variable} must be a positive number such as 2e10, not {text!r}")
    return bound


def too_large(what: str, variable: str) -> BadOption:
    """The error for a network beyond a bound, which says how to move it."""
    bound = _bound(variable)
    return BadOption(
        f"{what}: more than {bound:,} are refused; set the environment variable {variable} to build it all the same"
    )


@contextmanager
def limited(options: str) -> Iterator[None]:
    """Raise BadOption as soon as the modules that this thread makes have too many parameters or layers.

    ``options`` are the options that the error names, as text.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    thread, parameters, layers = threading.get_ident(), 0, 0
    most_parameters, most_layers = max_parameters(), max_layers()

    def count(module: Any, name: str, parameter: Any) -> None:
        nonlocal parameters, layers
        if parameter is None or threading.get_ident() != thread:
            return
        try:
            parameters, layers = parameters + parameter.numel(), layers + (parameter.dim() > 1)
        except ValueError:  # a lazy parameter, which has no shape yet
            return
        if parameters > most_parameters:
            raise too_large(f"too many parameters with {options}", "ARCHZOO_MAX_PARAMETERS")
        if layers > most_layers:
            raise too_large(f"too many layers with {options}", "ARCHZOO_MAX_LAYERS")

    from archzoo.restoring import undone

    handle = register_module_parameter_registration_hook(count)
    with undone([handle.remove]):
        yield
