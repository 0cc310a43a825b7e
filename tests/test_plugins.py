"""Networks of other packages that raise, exit, or are no networks: each is reported by name, and stops no other."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import archzoo
from archzoo.auditor import differences
from archzoo.claims import params
from archzoo.errors import RegistrationError, WeightsError
from archzoo.paper import Paper
from archzoo.profiler import OPTIMIZERS
from archzoo.registry import _loading
from archzoo.report.page import page
from archzoo.training import load_trained
from archzoo.weights import PUBLISHED
from tests.shell import Shell

MODULE = "archzoo_test_plugin"


class Point:
    """An entry point of another package."""

    def __init__(self, name: str, paper: Paper) -> None:
        self.name = self.value = name
        self.paper = paper

    def load(self) -> Paper:
        return self.paper


class Exits(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise SystemExit(3)


def plain(in_channels: int = 3, num_classes: int = 10) -> nn.Module:
    """A network that is a plain module, without parts that are called features and classifier."""
    return nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def divides(in_channels: int = 3, num_classes: int = 10) -> Any:
    return in_channels / 0


def leaves(in_channels: int = 3, num_classes: int = 10) -> Any:
    sys.exit(3)


def ends(in_channels: int = 3, num_classes: int = 10) -> Any:
    raise GeneratorExit


def repeats(in_channels: int = 3, num_classes: int = 10) -> Any:
    return repeats(in_channels)


def nothing(in_channels: int = 3, num_classes: int = 10) -> Any:
    """No network."""


def exits(in_channels: int = 3, num_classes: int = 10) -> Any:
    return Exits()


def unknown(in_channels: "Unknown" = 3, num_classes: int = 10) -> Any:  # type: ignore[name-defined]  # noqa: F821
    return plain()


# By constructor: what is said where it is built.
BROKEN = {
    "divides": "raised ZeroDivisionError: division by zero",
    "leaves": "raised SystemExit: 3",
    "ends": "raised GeneratorExit",
    "repeats": "raised RecursionError",
    "nothing": "makes a NoneType, not a torch.nn.Module",
    "unknown": "the types of its options cannot be read: NameError",
    "missing": "has no function 'missing'",
    "number": "has no function 'number'",
}


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType(MODULE)
    for function in (plain, divides, leaves, ends, repeats, nothing, exits, unknown):
        setattr(module, function.__name__, function)
    vars(module)["number"] = 5
    monkeypatch.setitem(sys.modules, MODULE, module)
    points = []
    for name in ("plain", "exits", *BROKEN):
        paper = Paper(f"About {name}", "T. Ester", 2020, "https://example.org", models=MODULE)
        paper.network(name if name != "plain" else "plain_module", params("1.0M", "Table 1"), input_size=(3, 8, 8))
        points.append(Point(name, paper))
    vars(module)["plain_module"] = plain
    lost = Paper("Lost", "T. Ester", 2020, "https://example.org", models="no_such_module_at_all")
    lost.network("lost", params("1.0M", "Table 1"), input_size=(3, 8, 8))
    points.append(Point("lost", lost))
    monkeypatch.setattr(_loading, "plugins", lambda: points)
    _loading.forget()
    yield
    _loading.forget()


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_constructor_of_another_package_does_is_said_with_its_name(name: str) -> None:
    with pytest.raises((RegistrationError, archzoo.BadOption), match=BROKEN[name]) as error:
        archzoo.build(name)
    assert MODULE in str(error.value) or name in str(error.value)


def test_a_module_that_is_not_there_is_said() -> None:
    with pytest.raises(RegistrationError, match="no_such_module_at_all, .*cannot be imported: ModuleNotFoundError"):
        archzoo.build("lost")


def test_an_error_of_our_own_constructors_is_not_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    from archzoo.models import lenet

    def fails(*_: Any, **__: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(lenet, "Net", fails)
    with pytest.raises(KeyError, match="a bug"):
        archzoo.build("lenet5")


def test_an_audit_judges_all_others() -> None:
    verdicts = {result.name: result for name in ("exits", "lost", *BROKEN) for result in archzoo.audit(name)}
    assert {result.verdict for result in verdicts.values()} == {"mismatch"}
    assert "SystemExit" in verdicts["exits"].why
    assert len(verdicts) == len(BROKEN) + 2
    (unread,) = differences("lost")
    assert unread.sentences[0].startswith("What differs cannot be read: RegistrationError")
    (count,) = archzoo.audit("plain_module")
    assert count.ours == 4 * 3 * 9 + 4 + 4 * 10 + 10


def test_what_all_share_cannot_be_changed() -> None:
    paper = archzoo.find("resnet50").paper
    for name, value in (("title", "another"), ("networks", ()), ("_complete", False)):
        with pytest.raises(RegistrationError, match="is loaded"):
            setattr(paper, name, value)
    shared: tuple[Any, ...] = (PUBLISHED[0].options, OPTIMIZERS)
    for values in shared:
        with pytest.raises(TypeError):
            values["another"] = 1


def test_the_size_of_a_plain_module_is_that_of_its_paper() -> None:
    assert archzoo.profile("plain_module").params == 4 * 3 * 9 + 4 + 4 * 10 + 10
    assert archzoo.profile("plain_module", in_channels=1).input_size == (1, 8, 8)


def test_a_list_has_the_others(shell: Shell) -> None:
    code, out, err = shell("list", "*l*", "--columns", "name,params", "--format", "csv", "--since", "2020")
    assert code == 0
    assert f"plain_module,{4 * 3 * 9 + 4 + 4 * 10 + 10}" in out
    assert "leaves," in out
    assert "leaves cannot be counted" in err
    code, out, _ = shell("list", "*", "--since", "2020", "--until", "2020", "--sort", "params")
    assert (code, out.split()[0]) == (0, "plain_module")
    code, out, _ = shell("list", "*", "--since", "2020", "--until", "2020", "--max-params", "1M")
    assert (code, out.split()) == (0, ["plain_module"])


def test_the_page_has_the_others() -> None:
    with pytest.warns(UserWarning, match="leaves is not on the page: RegistrationError"):
        html = page("*l*_*ule") + page("[pl]*[se]")
    assert 'id="net-plain_module"' in html
    assert 'id="net-leaves"' not in html


def refusal(path: Path) -> str:
    """The message with which a file of a trained network is refused, or nothing."""
    try:
        load_trained(path)
    except archzoo.ArchzooError as error:
        return str(error)
    return ""


HOSTILE = "\x1b[2J\x9b31m\u202e"
METADATA = {
    "classes": ("[", "5", "[1, 2]", "[" * 100_000, "9" * 5000, '{"a": 1}', json.dumps([HOSTILE])),
    "prepared": ("[", "[1]", "{}", "5", '{"image_size": 7, "frame": []}', json.dumps({"preprocessing": HOSTILE})),
    "protocol": (HOSTILE, "", "x" * 100_000),
    HOSTILE: (HOSTILE,),
}


@pytest.mark.parametrize("key", METADATA)
def test_what_a_file_says_of_itself_acts_on_no_terminal(key: str, shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    torch.manual_seed(0)
    state = archzoo.build("lenet5").state_dict()
    for value in METADATA[key]:
        save_file(state, path, {"archzoo": "lenet5", "options": "{}", key: value})
        code, out, _ = shell("info", str(path))
        assert code == 0
        assert all(line.isprintable() and len(line) < 2000 for line in out.splitlines())
        assert value[:2] == '["' or key in ("protocol", HOSTILE) or "cannot be read" in out
        message = refusal(path)
        assert message.isprintable()
        assert bool(message) != (key == HOSTILE or value == json.dumps([HOSTILE]))


def test_classes_that_are_no_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(archzoo.build("lenet5").state_dict(), path, {"archzoo": "lenet5", "options": "{}", "classes": "[1, 2]"})
    with pytest.raises(WeightsError, match="classes in its metadata cannot be read: it is no list of texts"):
        load_trained(path)
