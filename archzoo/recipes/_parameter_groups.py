"""Parameters with learning rates and weight decay of their own, by name. Imports no torch."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from archzoo.recipes._ranges import check_numbers
from archzoo.recipes._transforms import require


@dataclass(frozen=True)
class ParameterGroup:
    """Factors of the learning rate and of the weight decay, for the parameters whose names match a shell pattern.

    ``ParameterGroup("*.bias", lr_mult=2, decay_mult=0)`` is what Caffe's networks often have. The factors of all groups
    that match a parameter are multiplied.
    """

    pattern: str
    lr_mult: float = 1.0
    decay_mult: float = 1.0

    def __post_init__(self) -> None:
        require(
            isinstance(self.pattern, str) and bool(self.pattern),
            f"pattern of ParameterGroup must be a shell pattern, such as '*.bias', not {self.pattern!r}",
        )
        check_numbers(self)

    def matches(self, name: str) -> bool:
        """Whether the pattern matches the whole name of a parameter."""
        return fnmatchcase(name, self.pattern)
