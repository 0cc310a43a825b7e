"""Mutants of a network, what is true of each, and what the comparison says."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from archzoo.comparison import compare
from mutations.indices import truth_of_a_shuffle
from mutations.joins import lives
from mutations.kinds import KINDS, Mutant
from mutations.networks import DIFFERENT, EQUAL, NETWORKS, PERMUTED, build

DRAWS = 4  # of weights, with which the outputs of two networks are to be the same


def mutants(label: str, sites: int, seed: int, kinds: str = "*") -> Iterator[Mutant]:
    """Up to ``sites`` mutants of each kind whose name matches, at places drawn by the seed."""
    net = build(label)
    for name, change in KINDS.items():
        if not fnmatchcase(name, kinds):
            continue
        places = list(change.sites(net))
        draw = random.Random(f"{seed} {label} {name}")
        for where, mutate in draw.sample(places, min(sites, len(places))):
            mutant = copy.deepcopy(net)
            mutate(mutant)
            yield Mutant(name, label, where, mutant.eval(), change.verdict, change.reasons)


def truth(net: nn.Module, mutant: Mutant, size: tuple[int, ...]) -> str | None:
    """The right verdict; None where the mutant does not run, or where it is open."""
    images = torch.randn(2, *size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    try:
        with torch.no_grad():
            copy.deepcopy(mutant.net).double()(images)
    except (RuntimeError, ValueError):
        return None
    if mutant.kind == "shuffle_groups":
        return truth_of_a_shuffle(net, mutant.net)
    if mutant.kind in ("channel_shuffle", "other_half"):
        same = all(getattr(unit, "groups", 2) == 2 for unit in mutant.net.modules()) and mutant.kind != "other_half"
        return EQUAL if same else PERMUTED if lives(net) == lives(mutant.net) else DIFFERENT
    # Beside variances near one, a thousandth of eps is lost in rounding.
    return mutant.verdict or _by_outputs(net, mutant.net, images, 0.01 if mutant.kind == "eps" else 0.5)


def _by_outputs(net: nn.Module, mutant: nn.Module, images: Tensor, variance: float) -> str:
    """Whether the outputs are the same with the same random weights, batch statistics included, in the same places.

    ``variance`` is the least of any batch norm. A single draw may leave a ReLU of few units with nothing to do.
    """
    a, b = copy.deepcopy(net).double(), copy.deepcopy(mutant).double()
    shapes = [[tuple(tensor.shape) for tensor in model.state_dict().values()] for model in (a, b)]
    if shapes[0] != shapes[1]:
        return DIFFERENT
    return EQUAL if all(_agree(a, b, images, variance, draw) for draw in range(DRAWS)) else DIFFERENT


def _agree(a: nn.Module, b: nn.Module, images: Tensor, variance: float, draw: int) -> bool:
    generator = torch.Generator().manual_seed(7 + draw)
    state = {}
    for name, tensor in a.state_dict().items():
        if not tensor.is_floating_point() or name.endswith("codes"):
            state[name] = tensor
        elif name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape, generator=generator, dtype=torch.float64) * 2 * variance + variance
        else:
            spread = (2 / max(1, tensor[0].numel())) ** 0.5 if tensor.dim() > 1 else 1
            state[name] = torch.randn(tensor.shape, generator=generator, dtype=torch.float64) * spread
    a.load_state_dict(state)
    b.load_state_dict(dict(zip(b.state_dict(), state.values(), strict=True)))
    with torch.no_grad():
        # Large images too, which reach the bounds of a ReLU6.
        outputs = [(a(scale * images), b(scale * images)) for scale in (1, 1000)]
    return all(x.shape == y.shape and bool((x - y).norm() <= 1e-9 * x.norm()) for x, y in outputs)


@dataclass
class Outcome:
    """What the comparison said of a mutant, and what is right."""

    mutant: Mutant
    right: str
    verdict: str
    reason: str
    text: str

    @property
    def wrong(self) -> bool:
        """Whether the verdict is wrong."""
        return self.verdict != self.right

    @property
    def misnamed(self) -> bool:
        """Whether the verdict is right, and the reason names another change."""
        return not self.wrong and self.verdict == DIFFERENT and self.reason not in self.mutant.reasons


def outcomes(label: str, sites: int, seed: int, kinds: str = "*") -> Iterator[Outcome]:
    """The comparison of a network with each of its mutants that runs."""
    net, size = build(label), NETWORKS[label][2]
    for mutant in mutants(label, sites, seed, kinds):
        right = truth(net, mutant, size)
        if right is None:
            continue
        comparison = compare(net, mutant.net, size)
        reason = comparison.difference.reason if comparison.difference else ""
        yield Outcome(mutant, right, comparison.verdict, reason, str(comparison.difference))
