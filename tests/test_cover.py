"""The networks of ``tests/networks.py`` have, together, every layer that any network has: they stand for all."""

from collections.abc import Hashable
from itertools import pairwise

import pytest
from torch import nn

import archzoo
from tests.networks import AGAIN, CLASSES, COVER, EVERY_NET, HEAVY, KINDS, LONG, NETS, build, on_meta, parameters

SETTINGS = ("kernel_size", "stride", "padding", "dilation", "p", "affine", "inplace", "ceil_mode", "size")


def layer_classes(net: nn.Module) -> set[Hashable]:
    """The classes of the layers of a network."""
    return set(map(type, net.modules()))


def layer_kinds(net: nn.Module) -> set[Hashable]:
    """The layers of a network in any number and width: classes and settings."""
    kinds: set[Hashable] = set()
    for module in net.modules():
        attributes = vars(module)  # a module takes long to say that it has no such attribute
        groups = attributes.get("groups", 1)
        grouping = "depthwise" if groups == attributes.get("in_channels", 1) > 1 else groups > 1
        biased = module._parameters.get("bias") is not None
        kinds.add((type(module), grouping, biased, *(str(attributes.get(setting)) for setting in SETTINGS)))
    return kinds


def layer_orders(net: nn.Module) -> set[Hashable]:
    """The layers of a network as above, and which class of layer follows which inside which."""
    orders: set[Hashable] = {
        (type(module), *map(type, pair)) for module in net.modules() for pair in pairwise(module.children())
    }
    return layer_kinds(net) | orders


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="builds every network: with EVERY_NET=1")
def test_a_cover_has_what_every_network_has() -> None:
    covers = [(CLASSES, [], layer_classes), (COVER, [*LONG, *AGAIN], layer_orders)]
    for chosen, left_out, kinds in covers:  # in one test, for every network is built once
        covered = set[Hashable]().union(*(kinds(build(name, device="meta")) for name in chosen))
        asked = [name for name in NETS if name not in left_out and parameters(name) <= HEAVY]
        missing = {name: kinds(on_meta(name)) - covered for name in asked}
        assert not {name: lacking for name, lacking in missing.items() if lacking}, "add one of these to the cover"


def test_every_constructor_is_among_the_kinds() -> None:
    assert {archzoo.find(name).target for name in NETS} == {archzoo.find(name).target for name in [*KINDS, *AGAIN]}
