import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import prod

import pytest
from torch import nn

import archzoo
from archzoo.auditor import judge, profiled
from archzoo.claims import (
    QUANTITIES,
    Claim,
    Count,
    depth,
    difference,
    kernel,
    kernels,
    macs,
    megabytes,
    neurons,
    params,
    ratio,
    size,
    sizes,
    weights,
)
from archzoo.errors import ClaimError
from archzoo.paper import Paper
from archzoo.printed import read_number
from archzoo.registry import Entry, all_claims
from tests.networks import CLASSES, slow_but

EVERY_CLAIM: dict[str, list[tuple[Paper, Entry, Claim]]] = {}
for printed in all_claims():
    EVERY_CLAIM.setdefault(printed[1].name, []).append(printed)


@slow_but(CLASSES, EVERY_CLAIM, group="profiles")  # one process counts every network
def test_the_network_is_as_published(name: str) -> None:
    findings = [(claim, judge(paper, entry, claim)) for paper, entry, claim in EVERY_CLAIM[name]]
    wrong = [finding for claim, finding in findings if finding.verdict != ("explained" if claim.why else "match")]
    assert not wrong
    for claim, finding in findings:
        assert_like_with_like(claim, finding.ours)


SPELLED = {"twice": "2x", "doubled": "2x", "one eighth": "0.125x", "thirteen": "13"}
SPELLED |= {"no extra": "0", "exactly the same": "0"}
SCALES = {"": 1.0, "K": 1e3, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "million": 1e6, "billion": 1e9}
SCALES |= {"MB": 1e6, "C^2": 1.0}
RATIOS: dict[str, Callable[[float], float]] = {
    "%": lambda ratio: 100 * ratio,
    "% fewer": lambda ratio: 100 * (1 - ratio),
    "% more": lambda ratio: 100 * (ratio - 1),
    "x": lambda ratio: ratio,
    "x fewer": lambda ratio: 1 / ratio,
    "x more": lambda ratio: ratio,
}


def assert_like_with_like(claim: Claim, ours: float | tuple[int, ...]) -> None:
    """A second reading of the printed text, by rules of its own: the kind that is counted, and equal in every digit."""
    printed = SPELLED.get(claim.ours or claim.printed, claim.ours or claim.printed)
    if isinstance(ours, tuple):
        whole = ("-" if claim.quantity == "sizes" else "x").join(map(str, ours))
        assert printed == whole or (claim.quantity == "size" and f"{printed}x{ours[2]}" == whole), claim
        return
    if re.fullmatch(r"\d+(x\d+)+", printed):  # the size of a kernel
        assert prod(map(int, printed.split("x"))) == ours, claim
        return
    at_least, at_most = printed.startswith("more than "), printed.startswith("less than ")
    number = printed.removeprefix("more than ").removeprefix("less than ").removeprefix("about ").removeprefix("~")
    parsed = re.fullmatch(r"([\d,]+)(?:\.(\d+))?(?:x10\^(\d+))?(\D.*)?", number)
    assert parsed is not None, claim
    digits, decimals, unit = float(f"{parsed[1].replace(',', '')}.{parsed[2] or 0}"), parsed[2] or "", parsed[4] or ""
    if claim.quantity == "ratio":
        counted = RATIOS[unit](ours)
        assert counted > 0, claim  # "fewer" are fewer, and "more" are more
    else:
        assert (unit == "MB") == (claim.counted.name == "bytes"), claim
        binary = {"K": "K = 1024", "MB": "MB = 2^20"}.get(unit.strip()) in claim.conventions
        scale = {"K": 1024.0, "MB": 2.0**20}[unit.strip()] if binary else SCALES[unit.strip()]
        counted = ours / (scale * 10 ** int(parsed[3] or 0) * claim.unit)
    if at_least:
        assert digits < counted < 1.5 * digits, claim  # a bound far from the count says nothing about it
    elif at_most:
        assert digits / 1.5 < counted < digits, claim
    else:
        assert abs(counted - digits) <= 0.5 * 10 ** -len(decimals) + 1e-9, claim


def test_what_a_printed_unit_stands_for_is_in_the_text() -> None:
    """27C^2 names its unit, and "on each of two GPUs" how often it counts. 96 kernels are not 34,848 weights."""
    multiples = [(entry.name, claim) for _, entry, claim in all_claims() if claim.unit != 1]
    named = ("C^2" in claim.printed or " each of " in claim.where for _, claim in multiples)
    unlike = [f"{name}: {claim}" for (name, claim), is_named in zip(multiples, named, strict=True) if not is_named]
    assert not unlike, f"these count something else than what is printed: {unlike}"


@pytest.mark.parametrize(
    ("printed", "value", "last_digit"),
    [
        ("60,000", 60_000, 1),
        ("0.8M", 800_000, 100_000),
        ("27.2M", 27_200_000, 100_000),
        ("1.8G", 1_800_000_000, 100_000_000),
        ("3.86x10^9", 3_860_000_000, 10_000_000),
        ("19.6 billion", 19_600_000_000, 100_000_000),
        ("60 million", 60_000_000, 1_000_000),
        ("~40", 40, 1),
        ("about 3", 3, 1),
    ],
)
def test_a_printed_number_keeps_its_last_digit(printed: str, value: int, last_digit: int) -> None:
    assert read_number(printed) == (Fraction(value), Fraction(last_digit))


def test_a_k_is_1024_where_the_paper_counts_so() -> None:
    assert read_number("112K", frozenset({"K = 1024"})) == (Fraction(112 * 1024), Fraction(1024))
    assert weights("112K", "Table 1", counting="K = 1024").judge(112 * 1024 + 500) == "match"
    assert weights("112K", "Table 1").judge(112 * 1024 + 500) == "mismatch"


def test_running_statistics_count_where_the_paper_stores_them() -> None:
    """A 1x1 convolution of 3 to 4 maps, and a scale, a shift, a mean and a variance of each map."""
    profile = archzoo.profile(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)), (3, 2, 2))
    for convention, count in (("", 12 + 8), ("without batch norm", 12), ("with running statistics", 12 + 16)):
        conventions = frozenset(filter(None, [convention]))
        assert QUANTITIES["params"].count(profile, "", conventions) == count  # type: ignore[misc]
        assert QUANTITIES["bytes"].count(profile, "", conventions) == 4 * count  # type: ignore[misc]


@pytest.mark.parametrize(
    ("claim", "count", "verdict"),
    [
        (params("0.8M", "x"), 769_162, "match"),
        (params("0.8M", "x"), 749_999, "mismatch"),
        (params("0.8M", "x"), 850_001, "mismatch"),
        (params("60,000", "x"), 60_000, "match"),
        (params("60,000", "x"), 60_001, "mismatch"),
        (params("more than 40M", "x"), 40_000_001, "match"),
        (params("more than 40M", "x"), 40_000_000, "mismatch"),
        (params("less than 10M", "x"), 9_999_999, "match"),
        (params("less than 10M", "x"), 10_000_000, "mismatch"),
        (ratio("90% fewer", "x", of="params", to="y"), Fraction(10, 100), "match"),
        (ratio("90% fewer", "x", of="params", to="y"), Fraction(20, 100), "mismatch"),
        (ratio("18%", "x", of="params", to="y"), Fraction(184, 1000), "match"),
        (ratio("0.2% more", "x", of="params", to="y"), Fraction(1002, 1000), "match"),
        (ratio("12x fewer", "x", of="params", to="y"), Fraction(1, 12), "match"),
        (ratio("doubled", "x", of="params", to="y"), Fraction(26, 10), "mismatch"),
        (ratio("8x", "x", of="depth", to="y"), Fraction(8), "match"),
        (ratio("more than 2.5x", "x", of="macs", to="y"), Fraction(278, 100), "match"),
        (ratio("more than 2.5x", "x", of="macs", to="y"), Fraction(250, 100), "mismatch"),
        (ratio("less than 3x", "x", of="macs", to="y"), Fraction(3), "mismatch"),
        (ratio("less than 3x", "x", of="macs", to="y"), Fraction(299, 100), "match"),
        (size("28x28x256", "x"), (28, 28, 256), "match"),
        (size("28x28", "x"), (28, 28, 256), "match"),
        (size("28x28x256", "x"), (28, 28, 480), "mismatch"),
        (kernels("96", "x"), 96, "match"),
        (kernels("96", "x"), 34_848, "mismatch"),
        (kernel("11x11x3", "x"), 363, "match"),
        (kernel("5x5x48", "x"), 5 * 5 * 96, "mismatch"),
        (sizes("32-16-8", "x"), (32, 16, 8), "match"),
        (sizes("32-16-8", "x"), (32, 16), "mismatch"),
        (sizes("32-16", "x"), (32, 16, 8), "mismatch"),
        (size("28", "x"), (28, 28, 256), "mismatch"),
        (size("28x28", "x"), (28, 28), "match"),
    ],
)
def test_the_printed_digits_are_the_tolerance(claim: Claim, count: Count, verdict: str) -> None:
    assert claim.judge(count) == verdict


def test_kernels_are_counted_with_the_maps_that_they_read() -> None:
    # AlexNet's conv2: 256 kernels of 5x5x48, for its two groups read half of the 96 maps (Sec. 3.5).
    profile = profiled("alexnet")
    assert QUANTITIES["kernels"].count(profile, "features.conv2", frozenset()) == 256  # type: ignore[misc]
    assert QUANTITIES["kernel"].count(profile, "features.conv2", frozenset()) == 5 * 5 * 48  # type: ignore[misc]


def test_an_explained_claim_fails_when_the_difference_goes_away() -> None:
    claim = macs("3.8G", "Table 1", ours="3.86G", why="cut off, not rounded")
    assert claim.judge(3_858_000_000) == "explained"
    assert claim.judge(3_800_000_000) == "mismatch"  # the excuse is gone
    assert claim.judge(4_100_000_000) == "mismatch"  # nor is it what a faithful network counts


def test_an_explanation_is_whole_or_refused() -> None:
    with pytest.raises(ValueError, match="both ours= .* and why="):
        macs("3.8G", "Table 1", ours="3.86G")
    with pytest.raises(ValueError, match="both ours= .* and why="):
        macs("3.8G", "Table 1", why="because")


@pytest.mark.parametrize("printed", ["", "many", "1.2.3M", "12 parsecs", "0.8 M B"])
def test_a_print_that_cannot_be_read_is_refused(printed: str) -> None:
    with pytest.raises(ValueError, match="cannot read the printed number"):
        params(printed, "Table 1")


@pytest.mark.parametrize(
    ("claim", "printed"),
    [
        (params, "29MB"),
        (neurons, "29MB"),
        (megabytes, "29M"),
        (depth, "22M"),
        (size, "112-56"),
        (sizes, "28x28"),
        (partial(difference, of="layers", to="vgg_e"), "13M"),
    ],
)
def test_a_print_of_another_kind_than_what_is_counted_is_refused(claim: Callable[..., Claim], printed: str) -> None:
    with pytest.raises(ClaimError, match=f"is printed like .*, not '{printed}'"):
        claim(printed, "Table 1")


def test_an_unknown_convention_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known: without batch norm, weights only"):
        params("1M", "Table 1", counting="without biases")


def test_a_ratio_says_of_what() -> None:
    with pytest.raises(ValueError, match="of="):
        ratio("8x", "Abstract", to="vgg_e")
    with pytest.raises(ValueError, match="of="):
        depth("8", "Abstract", of="params")


def test_a_number_from_memory_says_so() -> None:
    assert "unconfirmed" in str(params("60,000", "Sec. II-B", confirmed=False))
    assert "unconfirmed" not in str(params("60,000", "Sec. II-B"))
