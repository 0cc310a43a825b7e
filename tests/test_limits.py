"""Options far out of range are refused in words and at once, and a sample of the attack of benchmarks/."""

import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archzoo
from archzoo.errors import BadOption, DeviceError, UnknownName
from archzoo.options import in_a_line, plain_value, shown

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import attack_builds

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("device", [None, "meta"])
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet_cifar", {"depth": 600000002}, "depth 600,000,002: more than 10,000 are refused; set .*MAX_LAYERS"),
        ("stochastic_depth", {"depth": 600000002}, "depth 600,000,002: more than 10,000"),
        ("fractalnet", {"columns": 10**9}, "5 x .2.columns - 1. layers with columns=1,000,000,000: more than 10,000"),
        ("fractalnet", {"columns": 11}, "layers with columns=11: more than 10,000"),  # 5 x 2,047
        ("fractalnet", {"widths": (1,) * 20000}, "20,000 values of widths: more than 10,000"),
        ("densenet_bc", {"k": 10**9}, "too many parameters with k=1000000000: more than 1,000,000,000"),
        ("densenet_bc", {"k": 2**31}, "k must be at most 1,000,000,000, not 2147483648"),
        ("densenet_bc", {"depth": 9994, "k": 10000}, "too many parameters with depth=9994, k=10000"),
        ("alexnet", {"num_classes": 2**63}, "num_classes must be at most 1,000,000,000"),
        ("vgg_a", {"num_classes": 10**7}, "too many parameters with num_classes=10000000"),  # 4,096 weights each
        ("zfnet", {"widths": (10**9,) * 3}, "too many parameters with widths="),
        ("wide_resnet18", {"width": 1e300}, "width must be at most 1,000,000,000, not 1e[+]300"),
        ("wide_resnet18", {"width": NAN}, "width must be a finite number, not nan"),
        ("densenet_bc", {"drop": INFINITY}, "drop must be a finite number, not inf"),
        ("lenet5", {"rubbish_penalty": NAN}, "rubbish_penalty must be a finite number or None, not nan"),
        ("fractalnet", {"drop": (0.1, NAN)}, "drop must be a finite number or a tuple of finite numbers or None"),
        ("squeezenet1_0", {"share_3x3": 1e-9}, "share_3x3 x expand maps must be at least 1, not 0"),
        ("squeezenet1_0", {"share_3x3": 1 - 1e-9}, "[(]1 - share_3x3[)] x expand maps must be at least 1, not 0"),
        ("resnet", {"depth": 18.0}, "depth must be 18 or .* not 18.0"),
        ("resnet_cifar", {"depth": 20.0}, "depth must be an integer, not 20.0"),
        ("resnet_cifar", {"depth": 10**5000}, "depth must be at most 1,000,000,000, not <int that cannot be printed>"),
        ("resnet", {"option": np.array(["A", "B"])}, "option must be 'A' or 'B' or 'C' or None"),
        ("densenet_bc", {"depth": "x" * 10**6}, "depth must be an integer, not 'xxx.*[.]{3}$"),
        ("densenet_bc", {"self": 1}, "has no option 'self'"),
    ],
)
def test_values_far_out_of_range_are_refused_at_once(
    name: str, options: dict[str, Any], message: str, device: str | None
) -> None:
    start = time.process_time()
    with pytest.raises(BadOption, match=f"^{name}.*{message}") as refused:
        archzoo.build(name, device=device, **options)
    assert len(str(refused.value)) < 300
    assert time.process_time() - start < 10  # not the hours that it would take


def test_a_bound_is_moved_by_who_means_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match="ARCHZOO_MAX_PARAMETERS to build it all the same"):
        archzoo.build("alexnet", num_classes=300_000, device="meta")  # 300,000 x 4,097, and 58 million
    monkeypatch.setenv("ARCHZOO_MAX_PARAMETERS", "2e9")
    net = archzoo.build("alexnet", num_classes=300_000, device="meta")
    assert net.state_dict()["classifier.fc8.weight"].shape == (300_000, 4096)
    monkeypatch.setenv("ARCHZOO_MAX_LAYERS", "20")
    assert archzoo.build("resnet20", device="meta")
    with pytest.raises(BadOption, match="depth 26: more than 20 are refused"):
        archzoo.build("resnet_cifar", depth=26, device="meta")
    monkeypatch.setenv("ARCHZOO_MAX_LAYERS", "18")
    with pytest.raises(BadOption, match="vgg_e.* more than 18"):
        archzoo.build("vgg_e", device="meta")
    monkeypatch.setenv("ARCHZOO_MAX_LAYERS", "many")
    with pytest.raises(BadOption, match="ARCHZOO_MAX_LAYERS must be a positive number such as 2e10, not 'many'"):
        archzoo.build("lenet5", device="meta")


def test_numbers_of_numpy_are_numbers() -> None:
    net = archzoo.build("densenet_bc", depth=np.int64(22), k=np.uint8(6), theta=np.float32(0.5), device="meta")
    own = archzoo.build("densenet_bc", depth=22, k=6, theta=0.5, device="meta")
    assert {name: value.shape for name, value in net.state_dict().items()} == {
        name: value.shape for name, value in own.state_dict().items()
    }
    assert type(plain_value(np.int64(3))) is int
    assert plain_value([np.float64(0.5), [1]]) == (0.5, (1,))
    for value in (True, np.True_, "3", None):
        assert plain_value(value) is value


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta:", 10**9, 1.5, ""])
def test_a_device_that_there_is_not_is_refused(device: Any) -> None:
    with pytest.raises(DeviceError, match=f"there is no device {re.escape(repr(device))} on this machine: "):
        archzoo.build("lenet5", device=device)


@pytest.mark.parametrize("name", [None, 7, b"lenet5", "", "x" * 100_000, "lenet\x00\x1b[31m"])
def test_what_is_no_name_is_refused_in_a_short_line(name: Any) -> None:
    with pytest.raises(UnknownName) as refused:
        archzoo.build(name)
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()


def test_adapting_weights_that_are_not_given_is_refused() -> None:
    with pytest.raises(BadOption, match="adapt_input='sum' adapts pretrained weights: give weights too"):
        archzoo.build("lenet5", in_channels=3, adapt_input="sum")
    with pytest.raises(BadOption, match="trained_as='lenet5' is for a file: give it as weights"):
        archzoo.build("lenet5", trained_as="lenet5")


def test_values_and_errors_are_quoted_on_one_short_line() -> None:
    assert shown("a") == "'a'"
    assert len(shown("b" * 500)) == 80
    assert shown(attack_builds.Evil()) == "<Evil that cannot be printed>"
    assert in_a_line(ValueError("first\nsecond")) == "first"
    assert in_a_line(ValueError("a\x1b[31m")) == "a?[31m"
    assert in_a_line(ValueError()) == "no message"


@pytest.mark.parametrize("patterns", [["*"], ["condensenet_*"]], ids=" ".join)
def test_random_builds_end_in_a_right_network_or_in_words(patterns: list[str]) -> None:
    """``python benchmarks/attack_builds.py`` asks 10,000."""
    tries = 25 if patterns == ["*"] else 10
    tried, _, _, failures = attack_builds.run(tries, 7, patterns)
    assert tried.total() == tries
    assert failures == []


def test_random_builds_know_the_depths_of_every_family() -> None:
    """A family that they do not know would end them."""
    families = {entry.family for entry in map(archzoo.find, archzoo.names()) if entry.types.get("depth") is int}
    assert families == set(attack_builds.DEPTHS)
