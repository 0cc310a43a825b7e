"""Tables, figures, diagrams and an HTML page, from the audit and the profiler. Counts nothing itself."""

from pkgutil import iter_modules
from typing import Any


def __getattr__(name: str) -> Any:
    if name not in __dir__():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [module.name for module in iter_modules(__path__)]
