import importlib.metadata
from typing import Any, Literal

import pytest
import torch

import archzoo
from archzoo import registry
from archzoo.claims import Paper, params
from archzoo.errors import BadOption, UnknownName
from archzoo.layers import Net, sequence
from archzoo.registry import preset, quote, register

PAPER = Paper("A test", "T. Ester", 2020, "https://example.org")


def tiny(width: int = 2, *, mode: Literal["a", "b"] = "a", in_channels: int = 3, num_classes: int = 10) -> Net:
    """A network for these tests."""
    if width % 2:
        raise ValueError(f"width must be even, not {width}: {width - 1} or {width + 1}")
    return Net(sequence(conv=torch.nn.Conv2d(in_channels, width, 1)), sequence(flatten=torch.nn.Flatten()))


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that forgets what a test adds."""
    archzoo.names()
    for name in ("_entries", "_spellings", "_broken"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    for name in ("_quotes", "_unaudited"):
        monkeypatch.setattr(registry, name, list(getattr(registry, name)))


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("densenet_bc", "densenet_bc"),
        ("DenseNet-BC", "densenet_bc"),
        ("densenet bc", "densenet_bc"),
        ("VGG16", "vgg_d"),
        ("vgg-19", "vgg_e"),
        ("LeNet-5", "lenet5"),
        ("ResNet-50", "resnet50"),
        ("ResNet50 v1.5", "resnet50_v1_5"),
    ],
)
def test_a_name_is_found_in_other_spellings(spelling: str, name: str) -> None:
    assert archzoo.find(spelling).name == name


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"no network is called 'resnet5O'.*did you mean .*resnet50"):
        archzoo.build("resnet5O")


def test_an_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadOption, match="has no option 'dept': did you mean 'depth'"):
        archzoo.build("densenet_bc", dept=100)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("densenet_bc", {"depth": 30}, "depth must be 6n [+] 4, not 30: 28 or 34"),
        ("densenet", {"depth": 30}, "depth must be 3n [+] 4, not 30: 28 or 31"),
        ("resnet_cifar", {"depth": 21}, "depth must be 6n [+] 2, not 21: 20 or 26"),
        ("resnet_cifar", {"depth": -3}, "depth must be 6n [+] 2, not -3: 8"),
        ("densenet_bc", {"depth": "100"}, "depth must be an integer, not '100'"),
        ("densenet_bc", {"depth": True}, "depth must be an integer, not True"),
        ("densenet_bc", {"theta": 0.0}, "theta must be more than 0 and at most 1, not 0.0"),
        ("densenet_bc", {"drop": 1.0}, "drop must be at least 0 and less than 1, not 1.0"),
        ("densenet_bc", {"k": 0}, "k must be at least 1, not 0"),
        ("densenet_bc", {"num_classes": 0}, "num_classes must be at least 1, not 0"),
        ("densenet_bc", {"in_channels": -1}, "in_channels must be at least 1, not -1"),
        ("resnet", {"depth": 51}, "depth must be 18 or 34 or 50 or 101 or 152, not 51"),
        ("resnet", {"option": "D"}, "option must be 'A' or 'B' or 'C' or None, not 'D'"),
        ("lenet5", {"num_classes": 11}, "num_classes must be at most 10, not 11"),
    ],
)
def test_a_wrong_value_is_refused_with_the_rule_and_what_would_do(name: str, options: Any, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        archzoo.build(name, **options)


def test_a_preset_stays_what_its_name_says() -> None:
    with pytest.raises(BadOption, match="resnet50 is resnet with depth=50, not 18: for that, build 'resnet'"):
        archzoo.build("resnet50", depth=18)
    assert archzoo.build("resnet50", depth=50, option="C", device="meta")


def test_weights_that_do_not_exist_are_refused_not_ignored() -> None:
    with pytest.raises(BadOption, match="has no weights 'imagenet'; there are torchvision:IMAGENET1K_V1, timm:"):
        archzoo.build("resnet18", weights="imagenet")


def test_an_entry_tells_all_without_building() -> None:
    entry = archzoo.find("densenet_bc_250_24")
    assert entry.paper.year == 2017
    assert entry.paper.link.startswith("https://arxiv.org/")
    assert entry.input_size == (3, 32, 32)
    assert entry.options["depth"] == 250
    assert entry.options["k"] == 24
    assert entry.options["theta"] == 0.5
    assert [claim.printed for claim in entry.claims if claim.quantity == "params"] == ["15.3M"]


def test_names_come_oldest_paper_first_and_match_a_pattern() -> None:
    years = [archzoo.find(name).paper.year for name in archzoo.names()]
    assert years == sorted(years)
    assert archzoo.names()[0] == "lenet5"
    assert archzoo.names("VGG-*")[0] == "vgg_a"
    assert archzoo.names("nothing*") == []


@pytest.mark.usefixtures("scratch")
def test_a_name_is_taken_once_in_any_spelling() -> None:
    register(PAPER, input_size=(3, 8, 8))(tiny)
    with pytest.raises(ValueError, match="'tiny' is taken: tiny"):
        register(PAPER, input_size=(3, 8, 8))(tiny)
    with pytest.raises(ValueError, match="'t_iny' is taken"):
        preset("t_iny", tiny, width=4)
    with pytest.raises(ValueError, match="'ResNet-50' is taken"):
        preset("tiny4", tiny, aliases=("ResNet-50",), width=4)


@pytest.mark.usefixtures("scratch")
def test_options_are_spelled_out_or_refused() -> None:
    def hidden(*, in_channels: int = 3, num_classes: int = 10, **more: int) -> Net: ...

    def positional(*sizes: int, in_channels: int = 3, num_classes: int = 10) -> Net: ...

    def untyped(depth=3, *, in_channels: int = 3, num_classes: int = 10) -> Net: ...  # type: ignore[no-untyped-def]

    def required(depth: int, *, in_channels: int = 3, num_classes: int = 10) -> Net: ...

    def headless(depth: int = 3, *, in_channels: int = 3) -> Net: ...

    for constructor, message in (
        (hidden, "more hides the options"),
        (positional, "sizes hides the options"),
        (untyped, "'depth' needs a type"),
        (required, "'depth' needs a type and a published default"),
        (headless, "takes num_classes"),
    ):
        with pytest.raises(ValueError, match=message):
            register(PAPER, input_size=(3, 8, 8))(constructor)
        assert constructor.__name__ not in archzoo.names()


@pytest.mark.usefixtures("scratch")
def test_a_preset_needs_a_registered_constructor_and_known_options() -> None:
    with pytest.raises(ValueError, match="tiny is not registered"):
        preset("tiny4", tiny, width=4)
    register(PAPER, input_size=(3, 8, 8))(tiny)
    with pytest.raises(ValueError, match="no option 'widht': did you mean 'width'"):
        preset("tiny4", tiny, widht=4)


@pytest.mark.usefixtures("scratch")
def test_a_constructors_own_refusal_names_the_network() -> None:
    register(PAPER, input_size=(3, 8, 8))(tiny)
    with pytest.raises(BadOption, match="tiny: width must be even, not 3: 2 or 4"):
        archzoo.build("tiny", width=3)


@pytest.mark.usefixtures("scratch")
def test_a_quote_reaches_the_network_of_another_paper() -> None:
    register(PAPER, input_size=(3, 8, 8))(tiny)
    quote(PAPER, "Tiny", params("8", "Table 9"))
    assert [(paper.title, str(claim)) for paper, _, claim in registry.published("tiny")] == [
        ("A test", "params 8 (Table 9)")
    ]


def plug_in() -> None:
    register(PAPER, input_size=(3, 8, 8))(tiny)


@pytest.mark.usefixtures("scratch")
@pytest.mark.filterwarnings("ignore:archzoo. could not load")
def test_other_packages_add_networks_and_a_broken_one_takes_nothing_down(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plugin:
        def __init__(self, name: str, load: Any) -> None:
            self.name = self.value = name
            self.load = load

    def broken() -> None:
        register(PAPER, input_size=(3, 8, 8))(tiny)
        raise RuntimeError("half way")

    plugins = [Plugin("bad_zoo", broken), Plugin("good_zoo", plug_in)]
    monkeypatch.setattr(registry, "plugins", lambda: plugins)
    registry._load.cache_clear()
    assert archzoo.find("tiny").paper is PAPER  # of good_zoo: what bad_zoo added half way was taken back
    assert registry.broken() == {"bad_zoo": "RuntimeError: half way"}
    with pytest.raises(UnknownName, match="not loaded: bad_zoo"):
        archzoo.find("a_net_of_bad_zoo")


def test_a_broken_package_is_reported_by_name(scratch: None, monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("lost_zoo", "no_such_package_at_all", "archzoo.models")
    monkeypatch.setattr(registry, "plugins", lambda: [point])
    registry._load.cache_clear()
    with pytest.warns(UserWarning, match="could not load 'lost_zoo'"):
        archzoo.names()
