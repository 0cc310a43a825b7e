"""An optimizer by name, with any of its options: of torch.optim, of this project, or of any module.

Imports torch only to check one that is not SGD.
"""

import difflib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from archzoo.errors import RecipeError
from archzoo.ranges import check_real, shown
from archzoo.read_only import ReadOnlyDict

# torch.optim.SGD's options and defaults. The papers use SGD alone, and reading a recipe imports no torch.
SGD_OPTIONS: Mapping[str, Any] = {
    "momentum": 0,
    "dampening": 0,
    "nesterov": False,
    "maximize": False,
    "foreach": None,
    "differentiable": False,
    "fused": None,
}
# Optimizers that torch.optim does not have, and where they are.
OWN: Mapping[str, str] = {
    "almost_adam": "archzoo.training._own_optimizers:AlmostAdam",
    "caffe_sgd": "archzoo.training._own_optimizers:CaffeSGD",
    "tensorflow_rmsprop": "archzoo.training._own_optimizers:TensorFlowRMSProp",
}
# Options and defaults of those that the papers use.
KNOWN_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "sgd": SGD_OPTIONS,
    "caffe_sgd": {"momentum": 0.0, "nesterov": False},
    "tensorflow_rmsprop": {"alpha": 0.9, "momentum": 0.0, "eps": 1e-10},
}
# The recipe has these itself.
OF_THE_RECIPE = ("params", "lr", "weight_decay")
REFUSED = {
    "lbfgs": "its step evaluates the loss several times, and a batch of a recipe is evaluated once",
    "sparseadam": "it takes sparse gradients, and those of convolutions are dense",
    "muon": "it takes matrices alone, and convolutions and biases have other shapes",
}


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of ``torch.optim`` or of ``OWN``, by its name in any case, or any other one as ``MODULE:CLASS``.

    Options that are not given keep the defaults of its class. Raises RecipeError for a name or an option that there is
    not, and for optimizers that cannot train a network here (LBFGS, SparseAdam, Muon), with the reason.
    """

    name: str = "sgd"
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if ":" not in self.name:
            object.__setattr__(self, "name", self.name.lower())
        object.__setattr__(self, "options", ReadOnlyDict(self.options))
        known = defaults_of(self.name)
        for option in self.options:
            if option not in known:
                near = difflib.get_close_matches(option, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
                raise RecipeError(f"optimizer {self.name} has no option {option!r}: {hint}")
        if self.name in KNOWN_OPTIONS:
            _check_known(self.name, {**SGD_OPTIONS, **self.defaults, **self.options})
        else:
            self._try()

    def _try(self) -> None:
        """Make the optimizer for one number, so that torch checks the values of its options."""
        import torch

        for option, value in self.options.items():
            if not all(map(math.isfinite, _numbers(value))):
                raise RecipeError(f"{option} of {self.name} must be finite, not {shown(value)}")
        try:
            optimizer_class(self.name)([torch.zeros(1, requires_grad=True)], **self.options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise RecipeError(f"optimizer {self}: {error}") from error

    @property
    def defaults(self) -> dict[str, Any]:
        """The class's own default of every option."""
        return defaults_of(self.name)

    @property
    def takes_weight_decay(self) -> bool:
        """Whether it has torch's option ``weight_decay``."""
        return self.name in KNOWN_OPTIONS or "weight_decay" in inspect.signature(optimizer_class(self.name)).parameters

    def with_options(self, **options: Any) -> "Optimizer":
        """The same optimizer with other values of some options."""
        return Optimizer(self.name, {**self.options, **options})

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"


def sgd(momentum: float = 0.9, **options: Any) -> Optimizer:
    """SGD with momentum, as most of the papers have it."""
    return Optimizer("sgd", {"momentum": momentum, **options})


def _numbers(value: Any) -> list[float]:
    """The numbers in the value of an option."""
    values = value if isinstance(value, tuple | list) else [value]
    return [number for number in values if isinstance(number, int | float)]


def _check_known(name: str, options: Mapping[str, Any]) -> None:
    """Raise RecipeError for values that torch.optim.SGD refuses, or that make no RMSProp."""
    check_real(f"alpha of {name}", options.get("alpha", 0), 0, 1, RecipeError, below=True)
    check_real(f"eps of {name}", options.get("eps", 1), 0, math.inf, RecipeError, above=True, below=True)
    check_real(f"momentum of {name}", options["momentum"], 0, 1, RecipeError, below=True)
    check_real(f"dampening of {name}", options["dampening"], 0, 1, RecipeError)
    for option in ("nesterov", "maximize"):
        if not isinstance(options[option], bool):
            raise RecipeError(f"{option} of {name} must be True or False, not {options[option]!r}")
    if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
        raise RecipeError("nesterov=True of sgd needs a momentum above 0 and a dampening of 0")


def defaults_of(name: str) -> dict[str, Any]:
    """The options of an optimizer, with their defaults. Raises RecipeError where there is none."""
    if name in KNOWN_OPTIONS:
        return dict(KNOWN_OPTIONS[name])
    if name in REFUSED:
        raise RecipeError(f"optimizer {name} cannot be used: {REFUSED[name]}; sgd and adamw are common choices")
    return {
        option: parameter.default
        for option, parameter in inspect.signature(optimizer_class(name)).parameters.items()
        if option not in OF_THE_RECIPE and parameter.default is not parameter.empty
    }


def optimizer_class(name: str) -> Any:
    """The class of an optimizer: a name in lower case, or MODULE:CLASS. Raises RecipeError with the nearest names."""
    import torch

    if name in OWN or ":" in name:
        return _imported(OWN.get(name, name))
    classes = {
        key.lower(): value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    if name not in classes:
        usable = sorted({*classes, *OWN} - REFUSED.keys())
        near = difflib.get_close_matches(name, usable, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(usable)}"
        raise RecipeError(f"torch.optim has no optimizer {name!r}: {hint}")
    return classes[name]


def _imported(name: str) -> Any:
    """The class that ``MODULE:CLASS`` names. Raises RecipeError unless it is an optimizer."""
    import torch

    module, _, attribute = name.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise RecipeError(f"optimizer {name!r} cannot be imported as MODULE:CLASS: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise RecipeError(f"optimizer {name!r} must be a subclass of torch.optim.Optimizer, not {kind!r}")
    return kind
