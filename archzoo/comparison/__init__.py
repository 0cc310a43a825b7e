"""Whether two networks are the same function: equal, equal up to a permutation of channels, or different, and where."""

from archzoo.comparison._comparing import Comparison, Permutation, compare
from archzoo.comparison._differences import Difference

__all__ = ["Comparison", "Difference", "Permutation", "compare"]
