"""An entry: one network, what its paper says, and how it is built."""

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from archzoo.claims import Claim
from archzoo.errors import BadOption, RegistrationError, TransferError, is_out_of_memory
from archzoo.limits import limited, max_layers, max_parameters, too_large
from archzoo.options import describe_type, hint, in_a_line, is_of_type, numbers_in, plain_value, shown, signature_of
from archzoo.paper import Paper
from archzoo.read_only import ReadOnlyDict
from archzoo.registry._docstrings import differences_in
from archzoo.registry._shown import as_html
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed", ReadOnlyDict(self.fixed))

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

    def _repr_html_(self) -> str:
        return as_html(self)

    def build(self, /, **options: Any) -> Any:
        """A new network with these options, which knows its name. With ``num_classes=0`` it has no final layer.

        Raises BadOption with the nearest valid option or value, and for a network of more parameters or layers than
        the bounds of ``archzoo.limits``, before it takes memory.
        """
        options = self.checked(options)
        given = ", ".join(f"{name}={shown(value)}" for name, value in options.items()) or "the default options"
        try:
            if self._may_be_large(options):
                self._make(options, given, device="meta")
            return self._make(options, given)
        except (ValueError, MemoryError) as error:
            raise BadOption(f"{self.name}: {error or 'not enough memory for it'}") from error
        except RuntimeError as error:
            if "overflow" in str(error):
                too_many = too_large(f"too many parameters with {given}", "ARCHZOO_MAX_PARAMETERS")
                raise BadOption(f"{self.name}: {too_many}") from error
            if is_out_of_memory(error):
                raise BadOption(f"{self.name} with {given}: there is not enough memory for it") from error
            raise self._of_plugin(error) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._of_plugin(error) from error

    def _of_plugin(self, error: BaseException) -> BaseException:
        """The error that names the constructor of another package which raised this one; this one where it is ours."""
        if self.module.startswith("archzoo."):
            return error
        return RegistrationError(f"{self.name}: {self.target} raised {type(error).__name__}: {in_a_line(error)}")

    def _make(self, options: Mapping[str, Any], given: str, device: str | None = None) -> Any:
        import torch

        headless = options.get("num_classes") == 0
        given_on = {name: value for name, value in options.items() if not (headless and name == "num_classes")}
        with torch.device(device) if device else nullcontext(), limited(given):
            net = self._named(self.constructor(**{**self.fixed, **given_on}), given_on)
        if headless:
            _without_final_layer(self.name, net)
        return net

    def _named(self, net: Any, options: Mapping[str, Any]) -> Any:
        """The network, which knows its name, its options and its input size. A plugin's may be any module."""
        from torch import nn

        from archzoo.layers import Net

        if not isinstance(net, nn.Module):
            raise RegistrationError(f"{self.target} makes a {type(net).__name__}, not a torch.nn.Module")
        if isinstance(net, Net):
            defaults = self.options
            changed = {name: value for name, value in options.items() if value != defaults[name]}
            channels = options.get("in_channels", defaults["in_channels"])
            net.named(self.name, changed, (channels, *self.input_size[1:]))
        return net

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options in plain types. Raises BadOption for a name, type or value that is wrong."""
        types = self.types
        for name in options:
            if name not in types:
                raise BadOption(
                    f"{self.name} has no option {shown(name)}{option_hint(name, types)} (options: {', '.join(types)})"
                )
        plain: dict[str, Any] = {}
        for name, given in options.items():
            try:
                plain[name] = plain_value(given)
                self._check(types[name], name, plain[name])
            except RecursionError as error:
                raise BadOption(f"{self.name}: {name} is nested too deep, or holds itself") from error
        return plain

    def _check(self, kind: Any, name: str, value: Any) -> None:
        if isinstance(value, tuple) and len(value) > max_layers():
            raise BadOption(f"{self.name}: {too_large(f'{len(value):,} values of {name}', 'ARCHZOO_MAX_LAYERS')}")
        if not is_of_type(value, kind):
            wanted = describe_type(kind)
            infinite = any(isinstance(number, float) and not math.isfinite(number) for number in numbers_in(value))
            if infinite:
                wanted = wanted.replace("a number", "a finite number").replace("numbers", "finite numbers")
            raise BadOption(f"{self.name}: {name} must be {wanted}, not {shown(value)}")
        if name in self.fixed and value != self.fixed[name]:
            raise BadOption(
                f"{self.name} is {self.family} with {name}={self.fixed[name]!r}, not {shown(value)}: "
                f"for that, build {self.family!r} with {name}={shown(value)}"
            )
        if name == "in_channels" and value < 1:
            raise BadOption(f"{self.name}: in_channels must be at least 1, not {shown(value)}")
        if name == "num_classes" and value < 0:
            raise BadOption(f"{self.name}: num_classes must be at least 1, or 0 for no final layer, not {shown(value)}")
        largest = max_parameters()
        if any(abs(number) > largest for number in numbers_in(value)):
            raise BadOption(f"{self.name}: {name} must be at most {largest:,}, not {shown(value)}")

    def _may_be_large(self, options: Mapping[str, Any]) -> bool:
        """Whether an option of ours, which work on meta, is above its default, and memory would be taken."""
        import torch

        if not self.module.startswith("archzoo.") or torch.get_default_device().type == "meta":
            return False
        defaults = self.options
        return any(
            number > max(numbers_in(defaults[name]), default=0)
            for name, value in options.items()
            for number in numbers_in(value)
        ) or any(isinstance(value, tuple) for value in options.values())


def _without_final_layer(name: str, net: Any) -> None:
    """Leave the final classification layer out. Raises BadOption for a plugin's network that has no way to."""
    try:
        net.reset_classifier(0)
    except (AttributeError, TransferError) as error:
        raise BadOption(f"{name}: num_classes must be at least 1, not 0: {error}") from error


@cache
def _constructor(target: str) -> Callable[..., Any]:
    module, _, function = target.partition(":")
    try:
        constructor = getattr(import_module(module), function, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if module.startswith("archzoo."):
            raise
        reason = f"{type(error).__name__}: {in_a_line(error)}"
        raise RegistrationError(f"{module}, which a paper's file declares, cannot be imported: {reason}") from error
    if not callable(constructor):
        raise RegistrationError(f"{module} has no function {function!r}, which a paper's file declares")
    return constructor  # type: ignore[no-any-return]
