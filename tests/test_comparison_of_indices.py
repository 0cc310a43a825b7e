"""Networks that choose channels by an index: the same in whatever words, another function with another index."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.comparison import compare
from archzoo.errors import ComparisonError
from archzoo.weights._libraries import names_in
from tests.networks import EVERY_NET
from tests.sources.condensed import PytorchcvCondenseNet, released_for_cifar
from tests.sources.test_sources import randomized

ORDER = [2, 0, 3, 1, 5, 4]
SIZE = (3, 4, 4)
Choose = Callable[[Tensor, Tensor], Tensor]


class Choosing(nn.Module):
    """A convolution, some of its maps in an order, and a convolution in two groups: channels are not to be renamed."""

    index: Tensor

    def __init__(self, choose: Choose, order: list[int] | None = None) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1, groups=2)
        self.register_buffer("index", torch.tensor(ORDER if order is None else order))
        self.choose = choose

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.second(self.choose(self.first(maps), self.index))
        return out


def selected(maps: Tensor, index: Tensor) -> Tensor:
    return maps.index_select(1, index)


def written(maps: Tensor, index: Tensor) -> Tensor:
    """By the inverse: what comes from place i is written to where it goes."""
    out = torch.zeros_like(maps)
    out[:, index.argsort()] = maps
    return out


def written_anew(maps: Tensor, index: Tensor) -> Tensor:
    return torch.empty_like(maps).index_copy(1, torch.argsort(index), maps)


def scattered(maps: Tensor, index: Tensor) -> Tensor:
    places = index.argsort().view(1, -1, 1, 1).expand_as(maps)
    return torch.zeros_like(maps).scatter(1, places, maps)


SAME: dict[str, Choose] = {
    "indexed": lambda maps, index: maps[:, index],
    "detached": lambda maps, index: maps.index_select(1, index.detach()),
    "gathered": lambda maps, index: maps.gather(1, index.view(1, -1, 1, 1).expand_as(maps)),
    "taken along": lambda maps, index: torch.take_along_dim(maps, index[None, :, None, None], 1),
    "one after another": lambda maps, index: torch.stack([maps[:, place] for place in index.tolist()], 1),
    "concatenated": lambda maps, index: torch.cat([maps[:, place : place + 1] for place in index.tolist()], 1),
    "of all": lambda maps, index: maps.transpose(0, 1)[index].transpose(0, 1),
    "computed": lambda maps, index: maps[:, (index + 1).flip(0).flip(0) - 1],
    "in halves": lambda maps, index: torch.cat([maps[:, half] for half in index.chunk(2)], 1),
    "written": written,
    "written anew": written_anew,
    "scattered": scattered,
}


@pytest.mark.slow
@pytest.mark.parametrize("words", SAME)
def test_an_index_is_followed_in_whatever_words(words: str) -> None:
    """With another index the groups read other maps, which can be renamed: the order of channels is another."""
    assert compare(Choosing(selected), Choosing(SAME[words]), SIZE).verdict == "equal"
    for other in ([0, 2, 3, 1, 5, 4], [2, 0, 1, 3, 5, 4], sorted(range(6), key=ORDER.__getitem__)):
        verdict = compare(Choosing(selected), Choosing(SAME[words], other), SIZE).verdict
        assert verdict == "equal up to a permutation of channels"


@pytest.mark.parametrize("words", ["indexed", "gathered", "taken along", "of all"])
def test_a_map_that_is_read_twice_takes_the_place_of_another(words: str) -> None:
    twice = [2, 0, 3, 1, 5, 5]
    assert compare(Choosing(selected), Choosing(SAME[words], twice), SIZE).verdict == "different"
    assert compare(Choosing(selected, twice), Choosing(SAME[words], twice), SIZE).verdict == "equal"


class Fixed(Choosing):
    """The same behind a convolution of each channel of the input, whose order is fixed."""

    def __init__(self, choose: Choose, order: list[int] | None = None) -> None:
        super().__init__(choose, order)
        self.first = nn.Conv2d(6, 6, 1, groups=6)


@pytest.mark.parametrize("words", ["indexed", "gathered", "written"])
def test_another_index_is_another_function_where_channels_have_a_fixed_order(words: str) -> None:
    size = (6, 4, 4)
    assert compare(Fixed(selected), Fixed(SAME[words]), size).verdict == "equal"
    comparison = compare(Fixed(selected), Fixed(SAME[words], [2, 0, 1, 3, 5, 4]), size)  # groups of other maps
    assert comparison.difference is not None
    assert (comparison.difference.reason, comparison.difference.second) == ("channel order", "second")


def test_a_shuffle_may_be_written_with_an_index() -> None:
    """Maps (2, 3) become maps (3, 2): place 2 n + g of map 3 g + n."""
    by_view = Choosing(lambda maps, _: maps.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2))
    by_index = Choosing(selected, [0, 3, 1, 4, 2, 5])
    assert compare(by_view, by_index, SIZE).verdict == "equal"
    assert compare(by_view, Choosing(lambda maps, _: torch.channel_shuffle(maps, 2)), SIZE).verdict == "equal"
    assert compare(by_view, Choosing(selected, [0, 2, 4, 1, 3, 5]), SIZE).verdict != "equal"


def test_maps_may_be_chosen_by_truth_values_or_by_an_index() -> None:
    kept = torch.tensor([True, False, True, True, False, True])

    class Half(nn.Module):
        index: Tensor

        def __init__(self, index: Tensor) -> None:
            super().__init__()
            self.register_buffer("index", index)
            self.last = nn.Conv2d(4, 4, 1, groups=2)

        def forward(self, maps: Tensor) -> Tensor:
            out: Tensor = self.last(maps[:, self.index])
            return out

    size = (6, 3, 3)
    assert compare(Half(kept), Half(torch.tensor([0, 2, 3, 5])), size).verdict == "equal"
    assert compare(Half(kept), Half(torch.tensor([0, 2, 3, 4])), size).verdict == "different"


def test_an_index_without_values_is_refused() -> None:
    with torch.device("meta"):
        net = Choosing(selected)
    with pytest.raises(ComparisonError, match="index chooses what is computed, and has no values: build the network"):
        compare(net, net, SIZE)


def test_zeros_that_are_filled_are_zeros_no_more() -> None:
    class Filled(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.last, self.value = nn.Conv2d(6, 2, 1), value

        def forward(self, maps: Tensor) -> Tensor:
            beside = torch.zeros_like(maps)
            if self.value:
                beside.fill_(self.value)
            out: Tensor = self.last(torch.cat([maps, beside], 1))
            return out

    assert compare(Filled(0), Filled(0), SIZE).verdict == "equal"
    assert compare(Filled(0), Filled(1), SIZE).verdict == "different"


def condensenets(source: str) -> tuple[nn.Module, nn.Module, str, str]:
    """A network of a source with a random index, ours, what ours is called, and a layer of theirs with an index."""
    if source == "pytorchcv":
        return PytorchcvCondenseNet(8), archzoo.build("condensenet", g=8, c=8), "condensenet", "stage3.unit1.conv1"
    options: dict[str, Any] = {"depth": 14, "classifier_share": 0.5}
    ours = archzoo.build("condensenet_cifar", **options)
    return released_for_cifar(2), ours, "condensenet_cifar", "denseblock_2.denselayer_1.conv_1"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["shichenliu", *(["pytorchcv"] if EVERY_NET else [])])
def test_a_condensenet_of_a_source_is_ours_with_its_index_and_not_with_another(source: str) -> None:
    theirs, net, name, layer = condensenets(source)
    randomized(theirs)
    net.load_state_dict(names_in(source, name).to_ours(net, theirs.state_dict()))
    assert compare(net, theirs, (3, 32, 32)).verdict == "equal"
    index = theirs.get_submodule(f"features.{layer}").get_buffer("index")
    index[0] = index[1]  # read twice
    comparison = compare(net, theirs, (3, 32, 32))
    assert comparison.difference is not None
    assert comparison.difference.second.startswith(f"features.{layer}")
