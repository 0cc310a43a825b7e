"""How another library names the tensors of our networks.

A list of rules is tried in order on each of our names; the first rule that matches the whole name gives theirs. Each of
their names must be given once, so that the mapping can be inverted.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from archzoo.errors import WeightsError

Rule = tuple[str, str | Callable[[re.Match[str]], str]]  # (pattern, replacement)


@dataclass(frozen=True)
class TensorNames:
    """A library's names for the tensors of a family of networks.

    ``rules`` map our names to theirs. ``numbered`` are our parts whose children they number in order, except those in
    ``unnumbered``, for which they have no module. ``shapes`` are those of tensors, by our name, that they store in
    another shape. ``older`` rules map names that they used in the past to their current ones.
    """

    rules: Sequence[Rule] = ()
    numbered: tuple[str, ...] = ()
    unnumbered: frozenset[str] = frozenset()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    older: Sequence[Rule] = ()

    def of(self, net: nn.Module) -> dict[str, str]:
        """Their name for each tensor of a network, by our name. Raises WeightsError if it is missing or not unique."""
        numbers = {part: self._numbers(net.get_submodule(part)) for part in self.numbered}
        names = {name: self._theirs(name, numbers) for name in net.state_dict()}
        duplicates = [name for name, count in Counter(names.values()).items() if count > 1]
        if duplicates:
            raise WeightsError(f"the rules give several tensors the name {', '.join(duplicates[:3])}")
        return names

    def current(self, name: str) -> str:
        """Their current name for the tensor that an older file of theirs calls ``name``."""
        return _apply(self.older, name) or name

    def to_theirs(self, net: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state of ours with their names and shapes."""
        theirs = self.of(net)
        return {
            theirs[name]: tensor.reshape(self.shapes[name]) if name in self.shapes else tensor
            for name, tensor in state.items()
        }

    def to_ours(self, net: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state of theirs with our names and shapes. A tensor that we do not have keeps its name."""
        ours = {theirs: name for name, theirs in self.of(net).items()}
        own = net.state_dict()
        renamed: dict[str, Tensor] = {}
        for theirs, tensor in state.items():
            name = ours.get(self.current(theirs), theirs)
            reshaped = name in self.shapes and tuple(tensor.shape) == self.shapes[name]
            renamed[name] = tensor.reshape(own[name].shape) if reshaped else tensor
        return renamed

    def _numbers(self, part: nn.Module) -> dict[str, int]:
        children = [name for name, _ in part.named_children() if name not in self.unnumbered]
        return {name: number for number, name in enumerate(children)}

    def _theirs(self, name: str, numbers: Mapping[str, Mapping[str, int]]) -> str:
        part, _, rest = name.partition(".")
        child, _, inner = rest.partition(".")
        if child in numbers.get(part, {}):
            return f"{part}.{numbers[part][child]}.{inner}"
        theirs = _apply(self.rules, name)
        if theirs is None:
            raise WeightsError(f"the rules have no name for {name}")
        return theirs


def _apply(rules: Sequence[Rule], name: str) -> str | None:
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, name)
        if match is not None:
            return match.expand(replacement) if isinstance(replacement, str) else replacement(match)
    return None
