"""Whether two networks are the same function: equal, equal up to a permutation of channels, or different, and where.

``same`` takes modules, names and files; ``compare`` takes two modules.
"""

from archzoo.comparison._comparing import Equivalence, Permutation, compare
from archzoo.comparison._differences import Difference
from archzoo.comparison._sources import Network, of_entry, read, same, same_networks

__all__ = [
    "Difference",
    "Equivalence",
    "Network",
    "Permutation",
    "compare",
    "of_entry",
    "read",
    "same",
    "same_networks",
]
