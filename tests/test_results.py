"""Published errors: of networks that are registered, and as the papers print them."""

import pytest

import archzoo
from archzoo.paper import DATA, Result
from archzoo.registry import results


@pytest.mark.parametrize("result", results(), ids=lambda one: f"{one.name}, {one.data}, {one.where}, {one.protocol}")
def test_a_result_is_of_a_network_that_can_be_built(result: Result) -> None:
    assert archzoo.find(result.name).name == result.name
    archzoo.build(result.name, device="meta", **result.options)
    assert result.data in DATA
    assert 0 < result.error < 100


def test_no_result_is_there_twice() -> None:
    keys = [(one.name, one.data, one.protocol, one.where, tuple(one.options.items())) for one in results()]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("name", "data", "protocol", "error"),
    [
        ("alexnet", "imagenet top-5", "ten crops", 18.2),
        ("resnet152", "imagenet top-1", "ten crops", 21.43),
        ("resnet152", "imagenet top-5", "dense, several scales", 4.49),
        ("resnet110", "cifar10+", "single crop", 6.43),
        ("densenet_bc_190_40", "cifar10+", "single crop", 3.46),
        ("densenet264", "imagenet top-1", "single crop", 22.15),
        ("googlenet", "imagenet top-5", "144 crops", 7.89),
        ("shufflenet_v2_x1_0", "imagenet top-1", "single crop", 30.6),
    ],
)
def test_errors_are_as_printed(name: str, data: str, protocol: str, error: float) -> None:
    assert next(one.error for one in results(name, data) if one.protocol == protocol and not one.options) == error


def test_the_second_error_never_exceeds_the_first() -> None:
    """Top-5 is below top-1, and ten crops never do worse than one in any paper here."""
    told = {(one.name, one.where, one.protocol, tuple(one.options.items()), one.data): one.error for one in results()}
    for (*rest, data), error in told.items():
        if data == "imagenet top-5" and (first := told.get((*rest, "imagenet top-1"))) is not None:
            assert error < first


def test_unknown_data_are_refused() -> None:
    with pytest.raises(ValueError, match="no results on 'cifar'; there are imagenet top-1"):
        results("*", "cifar")
