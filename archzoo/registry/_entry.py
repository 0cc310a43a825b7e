"""An entry: one network, what its paper says, and how it is built."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from archzoo.claims import Claim
from archzoo.errors import BadOption, RegistrationError
from archzoo.options import describe_type, hint, is_of_type, signature_of
from archzoo.paper import Paper
from archzoo.registry._docstrings import differences_in
from archzoo.registry._synonyms import option_hint


@dataclass(frozen=True)
class Entry:
    """A registered network: its name, its paper, and how to build it. Nothing is imported before it is needed.

    ``input_size`` is the paper's, (channels, height, width). ``fixed`` are the options that make this name this
    network and cannot be changed; ``claims`` are what its own paper prints about it.
    """

    name: str
    paper: Paper
    input_size: tuple[int, int, int]
    target: str
    claims: tuple[Claim, ...] = field(default=(), repr=False)
    fixed: Mapping[str, Any] = field(default_factory=dict, hash=False)
    aliases: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name of the constructor: networks of one family differ in their options alone."""
        return self.target.partition(":")[2]

    @property
    def module(self) -> str:
        """The name of the module with the constructor."""
        return self.target.partition(":")[0]

    @property
    def constructor(self) -> Callable[..., Any]:
        """The function that builds the network. Imports its module, and with it PyTorch."""
        return _constructor(self.target)

    @property
    def options(self) -> dict[str, Any]:
        """Every option and its default, in the constructor's order."""
        defaults = {name: option.default for name, option in self._signature().items()}
        return {**defaults, **self.fixed}

    @property
    def types(self) -> dict[str, Any]:
        """The annotated type of every option."""
        return {name: option.annotation for name, option in self._signature().items()}

    def _signature(self) -> dict[str, inspect.Parameter]:
        signature = signature_of(self.constructor)
        for option in self.fixed:
            if option not in signature:
                raise RegistrationError(f"{self.name}: {self.family} has no option {option!r}{hint(option, signature)}")
        return signature

    @property
    def summary(self) -> str:
        """The first line of the constructor's docstring."""
        return (inspect.getdoc(self.constructor) or "").partition("\n")[0]

    @property
    def differences(self) -> tuple[str, ...]:
        """How the network differs from its authors' released code, a sentence or more each.

        Read from the constructor's docstring, so all networks of a family share them. Raises RegistrationError where
        the section "Differs from the release:" is malformed.
        """
        try:
            return differences_in(inspect.getdoc(self.constructor) or "")
        except RegistrationError as error:
            raise RegistrationError(f"{self.family}: {error}") from error

    def build(self, **options: Any) -> Any:
        """A new network with these options. Raises BadOption with the nearest valid option or value."""
        types = self.types
        for name, value in options.items():
            self._check(types, name, value)
        try:
            return self.constructor(**{**self.fixed, **options})
        except ValueError as error:
            raise BadOption(f"{self.name}: {error}") from error

    def _check(self, types: Mapping[str, Any], name: str, value: Any) -> None:
        if name not in types:
            raise BadOption(
                f"{self.name} has no option {name!r}{option_hint(name, types)} (options: {', '.join(types)})"
            )
        if not is_of_type(value, types[name]):
            raise BadOption(f"{self.name}: {name} must be {describe_type(types[name])}, not {value!r}")
        if name in self.fixed and value != self.fixed[name]:
            raise BadOption(
                f"{self.name} is {self.family} with {name}={self.fixed[name]!r}, not {value!r}: "
                f"for that, build {self.family!r} with {name}={value!r}"
            )
        if name in ("in_channels", "num_classes") and value < 1:
            raise BadOption(f"{self.name}: {name} must be at least 1, not {value}")


@cache
def _constructor(target: str) -> Callable[..., Any]:
    module, _, function = target.partition(":")
    constructor = getattr(import_module(module), function, None)
    if constructor is None:
        raise RegistrationError(f"{module} has no function {function!r}, which a paper's file declares")
    return constructor  # type: ignore[no-any-return]
