"""A dict that cannot be changed, for values that all callers share. Imports no torch."""

from collections.abc import Mapping
from typing import Any, NoReturn


class ReadOnlyDict(dict[str, Any]):
    """A dict that raises TypeError when it is changed. ``dict(...)`` makes a copy that can be.

    Lists among its values become tuples. It is equal to the dict that it was made from, and is stored as JSON as that
    is; it can be copied and pickled, which ``types.MappingProxyType`` cannot.
    """

    def __init__(self, values: Any = ()) -> None:
        super().__init__({name: frozen(value) for name, value in dict(values).items()})

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return ReadOnlyDict, (dict(self),)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this dict is shared and cannot be changed: dict(...) makes a copy that can be")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def frozen(value: Any) -> Any:
    """The value, with a tuple for a list and a read-only dict for a dict, inside them too."""
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return tuple(map(frozen, value))
    return ReadOnlyDict(value) if isinstance(value, Mapping) and type(value) is dict else value
