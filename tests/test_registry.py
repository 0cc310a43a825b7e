"""Names, options and what a paper's file declares."""

import copy
import importlib
import importlib.metadata
import json
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest
import torch

import archzoo
from archzoo import registry
from archzoo.auditor import differences, profiled
from archzoo.claims import params
from archzoo.errors import BadOption, RegistrationError, UnknownName
from archzoo.layers import Net, sequence
from archzoo.options import signature_of
from archzoo.paper import Paper
from archzoo.read_only import ReadOnlyDict
from archzoo.registry import _loading


def tiny(width: int = 2, *, mode: Literal["a", "b"] = "a", in_channels: int = 3, num_classes: int = 10) -> Net:
    """A network for these tests."""
    if width % 2:
        raise ValueError(f"width must be even, not {width}: {width - 1} or {width + 1}")
    return Net(sequence(conv=torch.nn.Conv2d(in_channels, width, 1)), sequence(flatten=torch.nn.Flatten()))


def a_paper() -> Paper:
    return Paper("A test", "T. Ester", 2020, "https://example.org", models=__name__)


def a_paper_with_tiny() -> Paper:
    paper = a_paper()
    paper.network("tiny", input_size=(3, 8, 8))
    return paper


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> _loading.Registry:
    """A copy of the registry, which forgets what a test adds."""
    original = _loading.loaded()
    copy = _loading.Registry(list(original.papers), dict(original.entries), dict(original.spellings), {})
    monkeypatch.setattr(_loading, "loaded", lambda: copy)
    return copy


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
        ("densenet_bc", {"num_classes": -1}, "num_classes must be at least 1, or 0 for no final layer, not -1"),
        ("densenet_bc", {"in_channels": -1}, "in_channels must be at least 1, not -1"),
        ("resnet", {"depth": 51}, "depth must be 18 or 34 or 50 or 101 or 152, not 51"),
        ("resnet", {"option": "D"}, "option must be 'A' or 'B' or 'C' or None, not 'D'"),
        ("lenet5", {"num_classes": 11}, "num_classes must be at most 10, not 11"),
    ],
)
def test_a_wrong_value_is_refused_with_the_rule_and_what_would_do(name: str, options: Any, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        archzoo.build(name, **options)


def test_a_setting_stays_what_its_name_says() -> None:
    with pytest.raises(BadOption, match="resnet50 is resnet with depth=50, not 18: for that, build 'resnet'"):
        archzoo.build("resnet50", depth=18)
    assert archzoo.build("resnet50", depth=50, option="C", device="meta")


def test_weights_that_do_not_exist_are_refused_not_ignored() -> None:
    with pytest.raises(BadOption, match="has no weights 'imagenet'; there are torchvision:IMAGENET1K_V1, timm:"):
        archzoo.build("resnet18", weights="imagenet")


def test_an_entry_knows_everything_without_building() -> None:
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
    assert archzoo.names("nothing") == []
    assert archzoo.names("VGG16") == ["vgg_d"]


def test_a_name_is_taken_once_in_any_spelling(loaded: _loading.Registry) -> None:
    loaded.add(a_paper_with_tiny())
    for name, aliases, taken in (
        ("tiny", (), "'tiny' is taken: tiny"),
        ("t_iny", (), "'t_iny' is taken"),
        ("tiny4", ("ResNet-50",), "'ResNet-50' is taken"),
    ):
        paper = a_paper()
        paper.network(name, input_size=(3, 8, 8), aliases=aliases)
        with pytest.raises(RegistrationError, match=taken):
            loaded.add(paper)


def test_a_name_has_lower_case_letters_digits_and_underscores(loaded: _loading.Registry) -> None:
    paper = a_paper()
    paper.network("Tiny-4", input_size=(3, 8, 8))
    with pytest.raises(RegistrationError, match="'Tiny-4' cannot name a network"):
        loaded.add(paper)


def test_options_are_spelled_out_or_refused() -> None:
    def hidden(*, in_channels: int = 3, num_classes: int = 10, **more: int) -> None: ...

    def positional(*sizes: int, in_channels: int = 3, num_classes: int = 10) -> None: ...

    def untyped(depth=3, *, in_channels: int = 3, num_classes: int = 10) -> None: ...  # type: ignore[no-untyped-def]

    def required(depth: int, *, in_channels: int = 3, num_classes: int = 10) -> None: ...

    def headless(depth: int = 3, *, in_channels: int = 3) -> None: ...

    for constructor, message in (
        (hidden, "more hides the options"),
        (positional, "sizes hides the options"),
        (untyped, "'depth' needs a type"),
        (required, "'depth' needs a type and a published default"),
        (headless, "takes num_classes"),
    ):
        with pytest.raises(RegistrationError, match=message):
            signature_of(constructor)


def test_a_setting_is_of_a_declared_network_and_has_its_options(loaded: _loading.Registry) -> None:
    with pytest.raises(ValueError, match="setting 'tiny4' is of 'tiny', which 'A test' does not declare"):
        a_paper().setting("tiny4", of="tiny", width=4)
    paper = a_paper_with_tiny()
    paper.setting("tiny4", of="tiny", widht=4)
    loaded.add(paper)
    with pytest.raises(RegistrationError, match="no option 'widht': did you mean 'width'"):
        archzoo.build("tiny4")


def test_a_network_without_a_constructor_is_refused_by_name(loaded: _loading.Registry) -> None:
    paper = a_paper()
    paper.network("tinny", input_size=(3, 8, 8))
    loaded.add(paper)
    with pytest.raises(RegistrationError, match="has no function 'tinny'"):
        archzoo.build("tinny")


def test_a_constructors_own_refusal_names_the_network(loaded: _loading.Registry) -> None:
    loaded.add(a_paper_with_tiny())
    with pytest.raises(BadOption, match="tiny: width must be even, not 3: 2 or 4"):
        archzoo.build("tiny", width=3)


def test_a_paper_prints_numbers_about_the_networks_of_another(loaded: _loading.Registry) -> None:
    loaded.add(a_paper_with_tiny())
    other = Paper("Another", "T. Ester", 2021, "https://example.org/2")
    other.prints("Tiny", params("8", "Table 9"))
    loaded.add(other)
    assert [(paper.title, str(claim)) for paper, _, claim in registry.all_claims("tiny")] == [
        ("Another", "params 8 (Table 9)")
    ]


def unlike(*, in_channels: int = 3, num_classes: int = 10) -> Net:
    """A network for these tests.

    Differs from the release:
        - Batch-norm scales start at 1. The released code draws them
          from U(0, 1).

        - ``alpha`` is not divided by the window.
        - conv10 is not padded.

    Raises:
        Nothing.
    """
    return tiny(in_channels=in_channels, num_classes=num_classes)


DIFFERENCES = (
    "Batch-norm scales start at 1. The released code draws them from U(0, 1).",
    "`alpha` is not divided by the window.",
    "conv10 is not padded.",
)


def test_an_entry_says_how_it_differs_from_the_release(loaded: _loading.Registry) -> None:
    paper = a_paper_with_tiny()
    paper.network("unlike", input_size=(3, 8, 8))
    paper.setting("unlike4", of="unlike", num_classes=4)
    loaded.add(paper)
    assert archzoo.find("unlike").differences == archzoo.find("unlike4").differences == DIFFERENCES
    assert archzoo.find("tiny").differences == ()


@pytest.mark.parametrize(
    ("docstring", "message"),
    [
        ("Differs from the release:", "nothing is indented below"),
        ("Differs from the release:\n- A scale starts at 1.", "nothing is indented below"),
        ("Differs from the release:\n    A scale starts at 1.", "start each paragraph with '- ', not 'A scale starts"),
        ("Differs from the release:\n    - A scale starts at 1.\n    It is so.", "start each paragraph with '- '"),
        ("Differs from the release:\n    - scales start at 1.", "needs full sentences, not 'scales start at 1.'"),
        ("Differs from the release:\n    - Scales start at 1", "needs full sentences, not 'Scales start at 1'"),
        ("Differs from the release:\n    - Scales.", "needs full sentences, not 'Scales.'"),
        ("Differs from the release: scales start at 1.", "needs one section 'Differs from the release:', not indented"),
        ("Differs from the released code:\n    - Scales start at 1.", "instead of 'Differs from the released code:'"),
        ("Differences from the release:\n    - Scales start at 1.", "instead of 'Differences from the release:'"),
        (2 * "Differs from the release:\n    - Scales start at 1.\n\n", "instead of .*release:', 'Differs from"),
    ],
)
def test_a_malformed_section_on_differences_is_refused_with_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, loaded: _loading.Registry, docstring: str, message: str
) -> None:
    loaded.add(a_paper_with_tiny())
    monkeypatch.setattr(tiny, "__doc__", f"A network.\n\n{docstring}")
    with pytest.raises(RegistrationError, match=f"tiny: .*{message}"):
        _ = archzoo.find("tiny").differences


make_paper: Any = Paper  # of values that its types forbid


class Plugin:
    """An entry point of another package."""

    def __init__(self, name: str, load: Any) -> None:
        self.name = self.value = name
        self.load = load


def module_with(*papers: Paper) -> ModuleType:
    module = ModuleType("plugin")
    vars(module).update({f"PAPER_{number}": paper for number, paper in enumerate(papers)})
    return module


@pytest.mark.filterwarnings("ignore:archzoo. could not load")
def test_other_packages_add_networks_and_a_broken_one_takes_nothing_down(monkeypatch: pytest.MonkeyPatch) -> None:
    good, taken, lost = a_paper_with_tiny(), a_paper(), a_paper()
    taken.network("fine_name", input_size=(3, 8, 8))
    taken.network("resnet50", input_size=(3, 8, 8))
    lost.prints("no_such_net", params("8", "Table 9"))

    def fails() -> ModuleType:
        raise RuntimeError("half way")

    plugins = [
        Plugin("bad_zoo", fails),
        Plugin("taken_zoo", lambda: module_with(taken)),
        Plugin("lost_zoo", lambda: module_with(lost)),
        Plugin("empty_zoo", lambda: module_with()),
        Plugin("good_zoo", lambda: module_with(good)),
        Plugin("paper_itself", lambda: Paper("A third", "T. Ester", 2022, "https://example.org/3")),
    ]
    monkeypatch.setattr(_loading, "plugins", lambda: plugins)
    _loading.forget()
    try:
        assert archzoo.find("tiny").paper is good
        assert archzoo.find("resnet50").paper.year == 2015
        assert registry.broken().keys() == {"bad_zoo", "taken_zoo", "lost_zoo", "empty_zoo"}
        assert registry.broken()["bad_zoo"] == "RuntimeError: half way"
        with pytest.raises(UnknownName, match="not loaded: bad_zoo"):
            archzoo.find("a_net_of_bad_zoo")
        with pytest.raises(UnknownName):
            archzoo.find("fine_name")  # a package is added as a whole or not at all
    finally:
        _loading.forget()


def test_a_broken_package_is_reported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("lost_zoo", "no_such_package_at_all", registry.PLUGINS)
    monkeypatch.setattr(_loading, "plugins", lambda: [point])
    _loading.forget()
    try:
        with pytest.warns(UserWarning, match="could not load 'lost_zoo'"):
            archzoo.names()
    finally:
        _loading.forget()


def broken_at_once() -> ModuleType:
    raise RuntimeError("bad")


def test_threads_that_ask_at_once_get_one_registry_with_every_good_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each plugin is loaded once, whatever another one raises."""
    loads: list[str] = []

    def slowly(name: str, load: Any) -> Any:
        def loading() -> ModuleType:
            loads.append(name)
            time.sleep(0.02)
            return load()

        return loading

    good = module_with(a_paper_with_tiny())
    points = [Plugin("bad", slowly("bad", broken_at_once)), Plugin("good", slowly("good", lambda: good))]
    monkeypatch.setattr(_loading, "plugins", lambda: points)
    _loading.forget()
    start, seen = threading.Barrier(8), []

    def ask() -> None:
        start.wait(30)
        with warnings.catch_warnings():
            seen.append((archzoo.names("tiny"), registry.broken()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert seen == [(["tiny"], {"bad": "RuntimeError: bad"})] * 8
        assert loads == ["bad", "good"]
    finally:
        _loading.forget()


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes modules that are entry points of other packages, and forgets them after the test."""
    written: list[str] = []
    monkeypatch.syspath_prepend(tmp_path)

    def write(**sources: str) -> None:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
            written.append(name)
        points = [importlib.metadata.EntryPoint(name, name, registry.PLUGINS) for name in sources if "plug" in name]
        monkeypatch.setattr(_loading, "plugins", lambda: points)
        _loading.forget()

    yield write
    _loading.forget()
    for name in written:
        sys.modules.pop(name, None)


A_PLUGIN = """
import archzoo
from archzoo.paper import Paper
PAPER = Paper("A test", "T. Ester", 2020, "https://example.org", models="x")
PAPER.network("tiny", input_size=(3, 8, 8))
"""


def test_a_plugin_may_ask_for_networks_as_it_is_loaded(modules: Callable[..., None]) -> None:
    modules(plug=f"{A_PLUGIN}SEEN = archzoo.names('tiny'), archzoo.names('lenet5')")
    assert archzoo.names("tiny") == ["tiny"]
    assert sys.modules["plug"].SEEN == ([], ["lenet5"])


def test_imports_in_two_threads_that_wait_for_each_other_end(modules: Callable[..., None]) -> None:
    """One thread loads the plugin, which imports a module; the other imports that module, which asks for networks."""
    modules(
        plug_b=f"import time\ntime.sleep(0.3)\nimport asks_b\n{A_PLUGIN}",
        asks_b="import time, archzoo\ntime.sleep(0.1)\nSEEN = archzoo.names('tiny')\n",
    )
    ends: list[Any] = []
    threads = [
        threading.Thread(target=lambda: ends.append(archzoo.names("tiny"))),
        threading.Thread(target=lambda: ends.append(importlib.import_module("asks_b").SEEN)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ends == [["tiny"], ["tiny"]]
    assert archzoo.names("tiny") == ["tiny"]


def test_a_thread_that_waits_too_long_is_told(monkeypatch: pytest.MonkeyPatch, modules: Callable[..., None]) -> None:
    modules(plug=A_PLUGIN)
    monkeypatch.setattr(_loading, "WAIT", 0.05)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with _loading.SHARED.lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(30)
        with pytest.raises(RegistrationError, match="another thread has loaded .* 0.05 seconds.* one of plug may wait"):
            archzoo.names()
    finally:
        done.set()
        thread.join(30)


@pytest.mark.filterwarnings("ignore:archzoo. could not load")
def test_whatever_a_plugin_raises_is_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def raises(error: BaseException) -> Any:
        def load() -> ModuleType:
            raise error

        return load

    points = [
        Plugin("exits", raises(SystemExit(3))),
        Plugin("ends", raises(GeneratorExit())),
        Plugin("unprintable", raises(Unprintable())),
        Plugin("long", raises(ValueError("x" * 10_000 + "\n" * 5))),
        Plugin("terminal", raises(ValueError("\x1b[31mred"))),
        Plugin("unprintable", raises(KeyError("again"))),
        Plugin("good", lambda: module_with(a_paper_with_tiny())),
    ]
    monkeypatch.setattr(_loading, "plugins", lambda: points)
    _loading.forget()
    try:
        assert archzoo.names("tiny") == ["tiny"]
        broken = registry.broken()
        assert list(broken) == ["exits", "ends", "unprintable", "long", "terminal", "unprintable (unprintable)"]
        assert all(len(reason) < 350 and reason.isprintable() for reason in broken.values())
    finally:
        _loading.forget()


def test_metadata_that_cannot_be_read_takes_nothing_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(_loading, "plugins", unreadable)
    _loading.forget()
    try:
        assert archzoo.names("lenet5") == ["lenet5"]
        assert list(registry.broken()) == ["metadata of the installed packages"]
    finally:
        _loading.forget()


def test_ctrl_c_while_a_plugin_is_loaded_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    presses = iter([True])

    def load() -> ModuleType:
        if next(presses, False):
            raise KeyboardInterrupt
        return module_with(a_paper_with_tiny())

    monkeypatch.setattr(_loading, "plugins", lambda: [Plugin("good", load)])
    _loading.forget()
    try:
        with pytest.raises(KeyboardInterrupt):
            archzoo.names()
        assert archzoo.names("tiny") == ["tiny"]
    finally:
        _loading.forget()


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda paper: paper.network("n", "0.8M", input_size=(3, 8, 8)), "a claim must be made by .*, not '0.8M'"),
        (lambda paper: paper.network("n", input_size=(3, 8)), "input_size must be channels, height and width"),
        (lambda paper: paper.network("n", input_size="3x8x8"), "input_size must be channels, height and width"),
        (lambda paper: paper.network("n", input_size=(3, 8, 8), aliases=(1,)), "names and aliases must be text"),
        (lambda paper: make_paper("T", "A", "2020", "https://example.org"), "year must be an integer, not '2020'"),
        (
            lambda paper: make_paper("T", None, 2020, "https://example.org"),
            "the authors of a paper must be text",
        ),
    ],
)
def test_what_would_break_every_list_of_networks_is_refused(declare: Any, message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        declare(a_paper())


def test_an_alias_without_letters_is_refused(loaded: _loading.Registry) -> None:
    paper = a_paper()
    paper.network("tiny", input_size=(3, 8, 8), aliases="---")
    with pytest.raises(RegistrationError, match="'---' cannot be an alias of tiny"):
        loaded.add(paper)


def tiny_fails(*, in_channels: int = 3, num_classes: int = 10) -> Net:
    """A network for these tests."""
    raise RuntimeError("cannot be\nbuilt")


def test_a_bad_claim_is_reported_under_its_name_and_stops_no_other(loaded: _loading.Registry) -> None:
    paper = a_paper()
    paper.network("tiny", params("8", "Table 1"), params("1", "Table 2", at="features.nowhere"), input_size=(3, 8, 8))
    paper.network("tiny_fails", params("9", "Table 3"), input_size=(3, 8, 8))
    paper.network("tiny_lost", params("9", "Table 4"), input_size=(3, 8, 8))
    paper.prints("tiny", params("8", "Table 5", options={"widht": 3}))
    loaded.add(paper)
    results = {(result.name, result.where): result for result in archzoo.audit("tiny*")}
    assert len(results) == 5
    assert results["tiny", "Table 1"].verdict == "match"  # 3 x 2 weights and 2 biases
    assert {result.verdict for (_, where), result in results.items() if where != "Table 1"} == {"mismatch"}
    assert results["tiny", "Table 2"].why.startswith("cannot be counted: ProfileError: Net has no part")
    raised = "tiny_fails: tests.test_registry:tiny_fails raised RuntimeError: cannot be"
    assert results["tiny_fails", "Table 3"].why == f"cannot be counted: RegistrationError: {raised}"
    assert "has no function 'tiny_lost'" in results["tiny_lost", "Table 4"].why
    assert "has no option 'widht'" in results["tiny", "Table 5"].why
    assert results["tiny", "Table 5"].ours_text == ""
    assert [list(found.names) for found in differences("tiny*")] == [["tiny_lost"]]


def test_what_all_callers_share_cannot_be_changed() -> None:
    """Whatever a caller does to what it gets, the next one gets the same."""

    def everything() -> str:
        entries = [archzoo.find(name) for name in archzoo.names()]
        shared = [
            (entry, entry.options, entry.types, entry.aliases, entry.claims, entry.paper, vars(entry.paper))
            for entry in entries
        ]
        return repr((shared, registry.papers(), registry.recipes(), registry.results(), registry.not_countable()))

    before = everything()
    for name in ("densenet_bc_250_24", "lenet5"):
        entry = archzoo.find(name)
        assert spoil(entry.fixed) == spoil(entry.claims) == spoil(entry.aliases) == 0
        for kind in ("networks", "statements", "uncountable", "published_results", "recipes", "without_recipe"):
            assert spoil(getattr(entry.paper, kind)) == 0
        own: tuple[Any, ...] = (entry.options, entry.types, archzoo.names(), registry.papers(), registry.recipes())
        for value in own:
            assert spoil(value)
        for copied in (registry.broken(), registry.results(), registry.not_countable(), registry.recipes_of(name)):
            spoil(copied)
    for _, _, claim in registry.all_claims():
        assert spoil(claim.options) == spoil(claim.to_options) == 0
    for recipe in registry.recipes():
        assert spoil(recipe.optimizer.options) == 0
    for result in registry.results():
        assert spoil(result.options) == 0
    with pytest.raises(RegistrationError, match="is loaded: state all that it says where it is made"):
        archzoo.find("lenet5").paper.prints("lenet5", params("1", "Table 9"))
    with pytest.raises(RegistrationError, match="is loaded"):
        archzoo.find("lenet5").paper.no_recipe("lenet5", why="spoiled")
    assert everything() == before


def spoil(value: Any) -> int:
    """Try to change a container in every way; how many of them worked."""
    ways: list[Callable[[], object]] = [
        lambda: value.clear(),
        lambda: value.append(1),
        lambda: value.__setitem__("spoiled", 1),
        lambda: value.update(spoiled=1),
        lambda: value.setdefault("spoiled", 1),
        lambda: value.pop(),
        lambda: value.__ior__({"spoiled": 1}),
        lambda: value.sort(reverse=True),
    ]
    worked = 0
    for way in ways:
        try:
            way()
        except (AttributeError, TypeError, KeyError, IndexError):
            continue
        worked += 1
    return worked


def test_a_cached_profile_is_not_handed_out() -> None:
    before = profiled("lenet5_textbook").to_json()
    cost = profiled("lenet5_textbook")
    cost.modules[0].params = 1
    cost.modules[0].work.macs = 1
    cost.outputs.clear()
    cost.uncounted_ops["spoiled"] = 1
    cost.rows.clear()
    assert profiled("lenet5_textbook").to_json() == before
    assert {result.verdict for result in archzoo.audit("lenet5_textbook")} <= {"match", "explained"}


def test_equal_values_of_other_types_are_no_option_of_a_cached_profile() -> None:
    assert profiled("lenet5_textbook", num_classes=1).params
    for value in (True, 1.0):
        with pytest.raises(BadOption, match="num_classes must be an integer"):
            profiled("lenet5_textbook", num_classes=value)
    listed, in_tuple = (profiled("fractalnet", (3, 4, 4), widths=widths) for widths in ([4, 4], (4, 4)))
    assert listed.params == in_tuple.params


def test_a_read_only_dict_is_a_dict_but_for_changes() -> None:
    shared = ReadOnlyDict({"widths": [1, [2]], "inner": {"a": 1}})
    assert shared == {"widths": (1, (2,)), "inner": {"a": 1}}
    assert spoil(shared) == spoil(shared["inner"]) == 0
    for copied in (copy.copy(shared), copy.deepcopy(shared), pickle.loads(pickle.dumps(shared))):
        assert copied == shared
        assert type(copied) is ReadOnlyDict
    assert json.loads(json.dumps(shared)) == {"widths": [1, [2]], "inner": {"a": 1}}
    own = dict(shared)
    own["new"] = 1
    assert "new" not in shared


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    before = _loading.SHARED.lock
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with before:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if _loading.SHARED.lock.acquire(blocking=False) else 1)
    done.set()
    thread.join(30)
    assert os.waitpid(child, 0)[1] == 0
