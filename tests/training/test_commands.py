"""``archzoo train`` and ``archzoo finetune`` as a person at a shell meets them."""

import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import archzoo
from archzoo import cli
from archzoo.cli.training import read_classes, read_seeds, sort_changes
from archzoo.training.recipes import Recipe

Shell = Callable[..., tuple[int, str, str]]
QUICK = ("length=1", "unit=epochs", "batch=64", "augmentation=")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """The command line within this process, in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archzoo", *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        code = done.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    return call


@pytest.mark.parametrize("name", archzoo.names())
def test_no_option_of_a_network_is_called_as_a_value_of_a_recipe(name: str) -> None:
    """Else ``key=value`` could not tell which of them is meant."""
    assert not {one.name for one in fields(Recipe)} & archzoo.find(name).options.keys()


def test_changes_go_to_the_network_or_to_the_recipe() -> None:
    options, values = sort_changes(archzoo.find("densenet_bc"), ["depth=40", "lr=0.05", "k=12", "batch=32"])
    assert options == ["depth=40", "k=12"]
    assert values == {"lr": "0.05", "batch": "32"}


def test_lists_of_numbers_are_read() -> None:
    assert read_seeds("0,7") == [0, 7]
    assert read_classes("0-2,5") == [0, 1, 2, 5]


def test_a_run_writes_a_network_its_recipe_and_its_result(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell("train", "lenet5_textbook", *QUICK, "lr=0.02", "--output", "run")
    assert (code, out) == (0, "")
    assert "wrote run/net.safetensors" in err
    assert archzoo.load(tmp_path / "run" / "net.safetensors").state_dict().keys() == (
        archzoo.build("lenet5_textbook").state_dict().keys()
    )
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["recipe"]["lr"] == 0.02
    assert result["network"] == "lenet5_textbook"
    assert 0 <= result["test"]["top1"] <= 1
    assert {"protocol", "seed", "versions"} <= result.keys() | result["test"].keys()


def test_several_seeds_are_several_runs_and_a_mean(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("train", "lenet5_textbook", *QUICK, "--seed", "0,1", "--output", "runs")
    assert code == 0
    assert out.startswith("lenet5_textbook\ttop-1\t")
    assert out.rstrip().endswith("of 2 runs")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"seed-0", "seed-1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "resnet21"), "resnet20"),
        (("train", "resnet20", "rate=1"), "rate"),
        (("train", "resnet20", "lr=fast"), "lr"),
        (("train", "resnet20", "augmentation=spin"), "no augmentation 'spin'; there are"),
        (("train", "resnet20", "--data", "nowhere/at/all"), "nowhere/at/all"),
        (("train", "resnet20", "--recipe", "densenets"), "no recipe is called 'densenets', and no network is called"),
        (("train", "resnet20", "--seed", "one"), "--seed must be a number, or several with commas between, not 'one'"),
        (("train", "resnet20", "--classes", "a-b"), "--classes are numbers such as 0-4 or 1,3,5, not 'a-b'"),
        (("train", "resnet20", "--classes", "8-12"), "classes"),
        (("train", "resnet20", "--nproc", "0"), "--nproc must be at least 1, not 0"),
        (("train", "resnet20", "--fsdp"), "several, --nproc 2"),
        (("train", "resnet20", "--precision", "float16"), "bfloat16"),
        (("train", "resnet20", "--device", "gpu"), "there is no device 'gpu' to train on; there is cpu"),
        (("train", "resnet20", "--device", "cuda:99"), "there is no device 'cuda:99'"),
        (("train", "resnet20", "--device", "meta"), "there is no device 'meta'"),
        (("train", "resnet20", "batch=5000"), "a batch of 5000 is more than the"),
        (("finetune", "resnet20", "--weights", "gone.safetensors", "--data", "digits"), "gone.safetensors"),
        (("finetune", "resnet20", "--weights", "x", "--data", "digits", "--freeze", "--decay", "0.5"), "--freeze"),
    ],
)
def test_bad_input_is_answered_in_one_line_and_nothing_is_written(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = shell(*arguments)
    assert code in {1, 2}
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "runs").exists()
