"""Published errors: of networks that are registered, and as the papers print them."""

import pytest

import archzoo
from archzoo.paper import DATA, Result
from archzoo.registry import results


def describe(result: Result) -> str:
    return f"{result.name}, {result.data}, {result.where}, {result.protocol}"


@pytest.mark.slow
def test_every_result_is_of_a_network_that_can_be_built() -> None:
    """With the options that it names; without any, other laws build every network."""
    by_kind: dict[str, Result] = {}
    for result in results():
        entry = archzoo.find(result.name)
        assert entry.name == result.name
        if result.options:
            by_kind[f"{entry.target} {result.options}"] = result
    for result in by_kind.values():
        archzoo.build(result.name, device="meta", **result.options)


def test_every_result_is_an_error_in_percent_on_known_data() -> None:
    assert not [describe(result) for result in results() if result.data not in DATA or not 0 < result.error < 100]


def test_no_result_is_there_twice() -> None:
    keys = [
        (result.name, result.data, result.protocol, result.where, tuple(result.options.items())) for result in results()
    ]
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
    printed = (result for result in results(name, data) if result.protocol == protocol and not result.options)
    assert next(result.error for result in printed) == error


def test_the_second_error_never_exceeds_the_first() -> None:
    """Top-5 is below top-1, and ten crops never do worse than one in any paper here."""
    errors = {
        (result.name, result.where, result.protocol, tuple(result.options.items()), result.data): result.error
        for result in results()
    }
    for (name, where, protocol, options, data), error in errors.items():
        top_1 = errors.get((name, where, protocol, options, "imagenet top-1"))
        if data == "imagenet top-5" and top_1 is not None:
            assert error < top_1


def test_unknown_data_are_refused() -> None:
    with pytest.raises(ValueError, match="no results on 'cifar'; there are imagenet top-1"):
        results("*", "cifar")
