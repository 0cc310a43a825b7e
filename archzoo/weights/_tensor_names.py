"""How another library names the tensors of our networks.

A list of rules is tried in order on each of our names; the first rule that matches the whole name gives theirs. Each of
their names must be given once, so that the mapping can be inverted.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from archzoo.errors import WeightsError

Rule = tuple[str, str | Callable[[re.Match[str]], str]]  # (pattern, replacement)
AUXILIARY = "classifier.aux_"  # begins our names of auxiliary classifiers, which only help to train


@dataclass(frozen=True)
class TensorNames:
    """A library's names for the tensors of a family of networks.

    ``rules`` map our names to theirs. ``numbered`` are our parts whose children they number in order, except those in
    ``unnumbered``, for which they have no module. ``shapes`` are those of tensors, by our name, that they store in
    another shape. ``older`` rules map names that they used in the past to their current ones.

    ``permuted`` are patterns of our names with the dimension in which they have the channels in another order, and
    ``orders`` that order, by the number of channels: our channel i is their channel ``orders[channels][i]``. A network
    with a tensor that matches ``unpermuted`` has all channels in one order.

    ``unused`` begin the names of tensors in their files that their network does not use. Without ``classifier`` their
    files have no classifier. Auxiliary classifiers without a rule are not in their files either.
    """

    rules: Sequence[Rule] = ()
    numbered: tuple[str, ...] = ()
    unnumbered: frozenset[str] = frozenset()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    older: Sequence[Rule] = ()
    permuted: Sequence[tuple[str, int]] = ()
    orders: Mapping[int, Sequence[int]] = field(default_factory=dict)
    unpermuted: str = ""
    unused: tuple[str, ...] = ()
    classifier: bool = True

    def of(self, net: nn.Module) -> dict[str, str]:
        """Their name for each tensor of a network that they have, by our name.

        Raises WeightsError if one is missing or not unique.
        """
        numbers = {part: self._numbers(net.get_submodule(part)) for part in self.numbered}
        ours = (name for name in net.state_dict() if self._have(name))
        names = {name: self._theirs(name, numbers) for name in ours}
        duplicates = [name for name, count in Counter(names.values()).items() if count > 1]
        if duplicates:
            raise WeightsError(f"the rules give several tensors the name {', '.join(duplicates[:3])}")
        return names

    def _have(self, name: str) -> bool:
        """Whether their files have a part of ours: nearly all have a classifier, and few an auxiliary one."""
        if name.startswith(AUXILIARY):
            return _apply(self.rules, name) is not None
        return self.classifier or not name.startswith("classifier.")

    def current(self, name: str) -> str:
        """Their current name for the tensor that an older file of theirs calls ``name``."""
        return _apply(self.older, name) or name

    def to_theirs(self, net: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state of ours with their names and shapes."""
        theirs = self.of(net)
        orders = self._orders(net)
        renamed: dict[str, Tensor] = {}
        for name, tensor in state.items():
            if name not in theirs:
                part = "auxiliary classifier" if name.startswith(AUXILIARY) else "classifier"
                raise WeightsError(f"their files have no {name}: they have no {part}")
            for dimension, order in orders.get(name, ()):
                tensor = tensor.index_select(dimension, _indices(_inverse(order), tensor))
            renamed[theirs[name]] = tensor.reshape(self.shapes[name]) if name in self.shapes else tensor
        return renamed

    def to_ours(self, net: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state of theirs with our names and shapes, without what their network does not use.

        Another tensor that we do not have keeps its name.
        """
        ours = {theirs: name for name, theirs in self.of(net).items()}
        own = net.state_dict()
        orders = self._orders(net)
        renamed: dict[str, Tensor] = {}
        for theirs, tensor in state.items():
            name = ours.get(self.current(theirs), theirs)
            if self.unused and name not in own and theirs.startswith(self.unused):
                continue
            reshaped = name in self.shapes and tuple(tensor.shape) == self.shapes[name]
            renamed[name] = tensor.reshape(own[name].shape) if reshaped else tensor
            for dimension, order in orders.get(name, ()):
                if theirs != name and tensor.dim() > dimension and tensor.shape[dimension] == len(order):
                    renamed[name] = renamed[name].index_select(dimension, _indices(order, tensor))
        return renamed

    def permutes(self, net: nn.Module) -> bool:
        """Whether they have channels of this network in another order."""
        return bool(self._orders(net))

    def _orders(self, net: nn.Module) -> dict[str, list[tuple[int, Sequence[int]]]]:
        """The dimensions of our tensors that they have in another order, with that order."""
        own = net.state_dict()
        if not self.permuted or any(self.unpermuted and re.fullmatch(self.unpermuted, name) for name in own):
            return {}
        orders: dict[str, list[tuple[int, Sequence[int]]]] = {}
        for name, tensor in own.items():
            for pattern, dimension in self.permuted:
                if re.fullmatch(pattern, name) and tensor.shape[dimension] in self.orders:
                    orders.setdefault(name, []).append((dimension, self.orders[tensor.shape[dimension]]))
        return orders

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


def _indices(order: Sequence[int], tensor: Tensor) -> Tensor:
    return torch.tensor(order, device=tensor.device)


def _inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=lambda position: order[position])


def _apply(rules: Sequence[Rule], name: str) -> str | None:
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, name)
        if match is not None:
            return match.expand(replacement) if isinstance(replacement, str) else replacement(match)
    return None
