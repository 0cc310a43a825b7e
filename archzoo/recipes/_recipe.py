"""One training run as a paper describes it: a typed value, checked when it is made. Imports no torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from archzoo.errors import RecipeError
from archzoo.recipes._optimizers import Optimizer, sgd
from archzoo.recipes._parameter_groups import ParameterGroup
from archzoo.recipes._preprocessing import Normalize, Preprocessing
from archzoo.recipes._protocols import Protocol, SingleCrop
from archzoo.recipes._ranges import check_numbers
from archzoo.recipes._regularizers import Regularizer
from archzoo.recipes._schedules import Duration, Schedule
from archzoo.recipes._synonyms import value_hint
from archzoo.recipes._transforms import Transform

# Training images of each dataset that a recipe names.
TRAINING_IMAGES = {
    "cifar10": 50_000,
    "cifar100": 50_000,
    "svhn": 604_388,
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "emnist": 112_800,
    "emnist_byclass": 697_932,
    "emnist_bymerge": 697_932,
    "emnist_digits": 240_000,
    "emnist_letters": 124_800,
    "emnist_mnist": 60_000,
    "imagenet": 1_281_167,
    "digits": 1_437,
}
TUPLES: Mapping[str, type] = {
    "networks": str,
    "groups": ParameterGroup,
    "regularizers": Regularizer,
    "augmentation": Transform,
    "unspecified": str,
    "unconfirmed": str,
}
CLASSES: Mapping[str, type] = {
    "schedule": Schedule,
    "optimizer": Optimizer,
    "preprocessing": Preprocessing,
    "protocol": Protocol,
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "loss": ("cross_entropy", "squared_hinge"),
    "decay_scope": ("all", "weights"),
    "select": ("last", "best"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run.

    Args:
        name: The name of the recipe.
        networks: Names or shell patterns of the networks that it trains.
        data: The dataset.
        source: Where the paper states it.
        lr: The initial learning rate.
        batch_size: Images per step, over all processes.
        epochs: The length of the run; or
        iterations: the length in steps. Exactly one of the two is given.
        schedule: The learning rate over the run.
        optimizer: An optimizer of torch.optim with its options.
        weight_decay: The L2 penalty, on all parameters or, with ``decay_scope="weights"``, on tensors of two or more
            dimensions.
        groups: Factors of the learning rate and of the weight decay for some parameters, by name.
        loss: Cross-entropy of a softmax, or the squared hinge loss of each class against all others.
        label_smoothing: The share of the target spread over all classes.
        grad_clip_norm: The largest norm of the gradients; 0 is off.
        filter_limit: The largest root mean square of a filter; 0 is off.
        ema: The decay of the averaged weights; 0 is off.
        batch_norm_images: Training images from which the statistics of batch norms are estimated anew after training;
            0 is off.
        regularizers: Changes to the network for training.
        augmentation: Steps in order.
        preprocessing: How bytes become numbers.
        input_side: The side of the images that the network is trained and tested on, in pixels; None is that of its
            paper.
        validation: What the paper sets aside, in words.
        select: Whether the last epoch is tested, or the one with the best validation error.
        protocol: The evaluation protocol.
        paper_result: The errors that the paper prints.
        unspecified: Values that no paper prints, and what was chosen here.
        unconfirmed: Names of values that are quoted from memory.

    Raises:
        RecipeError: For a value of the wrong type or out of range.
    """

    name: str
    networks: tuple[str, ...]
    data: str
    source: str
    lr: float
    batch_size: int
    schedule: Schedule
    epochs: int | None = None
    iterations: int | None = None
    optimizer: Optimizer = field(default_factory=sgd)
    weight_decay: float = 0.0
    decay_scope: Literal["all", "weights"] = "all"
    groups: tuple[ParameterGroup, ...] = ()
    loss: Literal["cross_entropy", "squared_hinge"] = "cross_entropy"
    label_smoothing: float = 0.0
    grad_clip_norm: float = 0.0
    filter_limit: float = 0.0
    ema: float = 0.0
    batch_norm_images: int = 0
    regularizers: tuple[Regularizer, ...] = ()
    augmentation: tuple[Transform, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Normalize)
    input_side: int | None = None
    validation: str = ""
    select: Literal["last", "best"] = "last"
    protocol: Protocol = field(default_factory=SingleCrop)
    paper_result: str = ""
    unspecified: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in CLASSES.items():
            if not isinstance(getattr(self, name), kind):
                raise self._wrong(name, f"a {kind.__name__.lower()}")
        for name, kind in TUPLES.items():
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
                raise self._wrong(name, f"a tuple of {_plural(kind)}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise self._wrong(name, " or ".join(map(repr, choices)))
        check_numbers(self, f"{self.name}: ")
        if self.label_smoothing and self.loss != "cross_entropy":
            raise RecipeError(f"{self.name}: label_smoothing is of cross_entropy, not of {self.loss}")
        if self.weight_decay and not self.optimizer.takes_weight_decay:
            raise RecipeError(
                f"{self.name}: optimizer {self.optimizer.name} takes no weight decay: set weight_decay=0, or choose "
                f"another optimizer, such as adamw"
            )
        self._check_length()

    def _wrong(self, name: str, expected: str) -> RecipeError:
        return RecipeError(f"{self.name}: {name} must be {expected}, not {getattr(self, name)!r}")

    def _check_length(self) -> None:
        if (self.epochs is None) == (self.iterations is None):
            raise RecipeError(
                f"{self.name}: exactly one of epochs and iterations must be given, not {self.epochs} and "
                f"{self.iterations}"
            )

    @property
    def length(self) -> int:
        """The length of the run, in ``unit``."""
        return self.epochs if self.epochs is not None else self.iterations or 0

    @property
    def unit(self) -> Literal["epochs", "iterations"]:
        """What ``length`` counts."""
        return "epochs" if self.epochs is not None else "iterations"

    def duration(self, images: int) -> Duration:
        """The length of a run on this many training images. An incomplete last batch of an epoch is dropped."""
        per_epoch = max(images // self.batch_size, 1)
        return Duration(self.iterations or self.length * per_epoch, per_epoch)

    def rates(self, images: int, points: int = 100) -> list[float]:
        """The learning rate at evenly spaced iterations of a run, the first and the last among them."""
        run = self.duration(images)
        iterations = [round(at * (run.iterations - 1) / max(points - 1, 1)) for at in range(points)]
        return [self.lr * self.schedule.factor(iteration, run) for iteration in iterations]

    def with_changes(self, **changes: Any) -> "Recipe":
        """The same recipe with other values.

        Options of the optimizer, such as ``momentum`` or ``betas``, are values too. Another optimizer starts from
        torch's defaults. Raises RecipeError for an unknown name, with the nearest one, and for a value out of range.
        """
        changes = dict(changes)
        known = [field.name for field in fields(self)]
        optimizer = changes.pop("optimizer", self.optimizer)
        if isinstance(optimizer, str):
            optimizer = self.optimizer if optimizer.lower() == self.optimizer.name else Optimizer(optimizer)
        elif not isinstance(optimizer, Optimizer):
            raise RecipeError(f"{self.name}: optimizer must be an optimizer or its name, not {optimizer!r}")
        options = {
            name: changes.pop(name) for name in list(changes) if name not in known and name in optimizer.defaults
        }
        for name in changes:
            if name not in known:
                raise RecipeError(_unknown(name, [*known, *optimizer.defaults]))
        if "epochs" in changes or "iterations" in changes:
            changes = {"epochs": None, "iterations": None} | changes
        return replace(self, optimizer=optimizer.with_options(**options) if options else optimizer, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All values in plain types, for JSON: an object is a dict with its class name under ``type``."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plural(kind: type) -> str:
    """What a tuple holds, in words: strs, regularizers, parameter groups."""
    words = re.findall("[A-Z]?[a-z]+", kind.__name__)
    return " ".join(words).lower() + "s"


def _unknown(name: str, known: list[str]) -> str:
    near = value_hint(name, known)
    return f"a recipe has no {name!r}" + (f": did you mean {near!r}?" if near else f"; it has {', '.join(known)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Optimizer):
        return {"type": value.name, **{name: _plain(option) for name, option in value.options.items()}}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **inner}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return getattr(value, "__qualname__", None) or repr(value) if callable(value) else value
