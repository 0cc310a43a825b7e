"""``archzoo train`` and ``archzoo finetune`` as a person at a shell meets them."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

import archzoo
from archzoo import cli, training, transfer
from archzoo.cli._training import finetune, read_classes, read_seeds, read_settings, sort_changes, train
from archzoo.errors import ArchzooError, BadOption, Stopped, TrainingError, TransferError
from archzoo.recipes import MultiCrop144, Recipe, SubtractMean, defaults_of
from archzoo.registry import find_recipe
from archzoo.training import TrainResult
from archzoo.training._trainer import Trainer
from archzoo.weights import save

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "nadam", "rprop", "asgd")
RUNS = ("lenet5_textbook-digits", "library")  # the directory of a run that names none, and another
Shell = Callable[..., tuple[int, str, str]]
QUICK = ("epochs=1", "batch_size=64", "augmentation=")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """The command line within this process, in a directory of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archzoo", *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        code = done.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    return call


def test_no_option_of_a_network_is_called_as_a_value_of_a_recipe() -> None:
    """Else ``key=value`` could not tell which of them is meant."""
    values = {field.name for field in fields(Recipe)}.union(*map(defaults_of, OPTIMIZERS))
    assert not [name for name in archzoo.names() if values & archzoo.find(name).options.keys()]


def test_changes_go_to_the_network_or_to_the_recipe() -> None:
    entry, recipe = archzoo.find("densenet_bc"), find_recipe("densenet_bc")
    options, values = sort_changes(entry, recipe, ["depth=40", "lr=0.05", "k=12", "batch_size=32", "momentum=0.8"])
    assert options == ["depth=40", "k=12"]
    assert values == {"lr": "0.05", "batch_size": "32", "momentum": "0.8"}


def test_options_of_another_optimizer_are_values_of_the_recipe_that_has_it() -> None:
    entry, recipe = archzoo.find("densenet_bc"), find_recipe("densenet_bc")
    for optimizer in ("adamw", "AdamW(amsgrad=True)"):
        _, values = sort_changes(entry, recipe, ["betas=0.9,0.95", f"optimizer={optimizer}"])
        assert values == {"betas": "0.9,0.95", "optimizer": optimizer}
    with pytest.raises(BadOption, match="neither densenet_bc nor recipe densenet_cifar has 'betas'"):
        sort_changes(entry, recipe, ["betas=0.9,0.95"])


def test_lists_of_numbers_are_read() -> None:
    assert read_seeds("0,7") == [0, 7]
    assert read_classes("0-2,5") == [0, 1, 2, 5]
    for text in ("5-2", "1-2-3", "1,0-2", "-1", "", "0-1000000000000"):
        with pytest.raises(ArchzooError, match="--classes must be different numbers such as 0-4 or 1,3,5, not "):
            read_classes(text)


def test_a_run_writes_a_network_its_recipe_and_its_result(shell: Shell, tmp_path: Path) -> None:
    code, out, err = shell("train", "lenet5_textbook", *QUICK, "lr=0.02", "--output", "run")
    assert (code, out) == (0, "")
    assert "wrote net.safetensors, result.json and log.csv to run" in err
    assert archzoo.load(tmp_path / "run" / "net.safetensors").state_dict().keys() == (
        archzoo.build("lenet5_textbook").state_dict().keys()
    )
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["recipe"]["lr"] == 0.02
    assert result["network"] == "lenet5_textbook"
    assert 0 <= result["test"]["top1"] <= 1
    assert {"protocol", "seed", "versions"} <= result.keys() | result["test"].keys()


@pytest.mark.slow
def test_a_network_starts_from_layers_of_another_one(shell: Shell, tmp_path: Path) -> None:
    other = archzoo.build("lenet5_textbook", num_classes=3)
    save(other, tmp_path / "other.safetensors", "lenet5_textbook", num_classes=3)
    init = ("--init-from", "other.safetensors", "--init-layers", "features.*, classifier.F6")
    code, _, err = shell("train", "lenet5_textbook", *QUICK, *init, "--output", "run")
    assert code == 0, err
    assert "layers start from other.safetensors: features.C1, " in err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["init_from"], result["init_layers"]) == ("other.safetensors", ["features.*", "classifier.F6"])


@pytest.mark.slow
def test_a_few_images_per_class_are_trained_on_and_all_others_tested(shell: Shell, tmp_path: Path) -> None:
    few = (*QUICK, "batch_size=10", "--data", "digits", "--per-class", "3")
    code, _, err = shell("train", "lenet5_textbook", *few, "--output", "run", "--seed", "0,1")
    assert code == 0, err
    weights = "run/seed-0/net.safetensors"
    assert shell("finetune", "lenet5_textbook", *few, "--weights", weights, "--freeze", "--output", "tuned")[0] == 0
    folders = [tmp_path / name for name in ("run/seed-0", "run/seed-1", "tuned")]
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    assert [result["images"] for result in results] == [{"train": 30, "validation": 144, "test": 359}] * 3
    assert [result["per_class"] for result in results] == [3] * 3
    assert results[0]["data"]["train"] != results[1]["data"]["train"]  # the seed draws them


@pytest.mark.slow
def test_several_seeds_are_several_runs_and_a_mean(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("train", "lenet5_textbook", *QUICK, "--seed", "0,1", "--output", "runs")
    assert code == 0
    assert out.startswith("lenet5_textbook\ttop-1\t")
    assert out.rstrip().endswith("of 2 runs")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"seed-0", "seed-1"}


@pytest.mark.slow
def test_a_signal_that_comes_too_late_to_stop_a_run_stops_those_after_it(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has done its iterations is tested and written; rerunning the command starts with the next one."""
    finish, command = Trainer.finish, ("train", "lenet5_textbook", *QUICK, "--seed", "0,1,2", "--output", "runs")

    def signaled(self: Trainer) -> TrainResult:
        if self.path.name == "seed-1":
            os.kill(os.getpid(), signal.SIGTERM)
        return finish(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "finish", signaled)
        code, out, err = shell(*command)
    assert (code, out) == (143, "")
    assert err.endswith("archzoo: stopped after a run; rerun the command for the others\n")
    assert sorted(path.parent.name for path in tmp_path.glob("runs/*/net.safetensors")) == ["seed-0", "seed-1"]
    code, out, err = shell(*command)
    assert code == 0, err
    assert out.endswith("of 3 runs\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_run_exits_as_the_signal_would(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def stopped(*args: object, **kwargs: object) -> None:
        raise Stopped("stopped at iteration 7; rerun the command to resume", number)

    monkeypatch.setattr(training, "run", stopped)
    code, _, err = shell("train", "lenet5_textbook")
    assert (code, err) == (128 + number, "archzoo: stopped at iteration 7; rerun the command to resume\n")


def test_train_and_finetune_share_the_options_of_a_run() -> None:
    options = [set(inspect.signature(command).parameters) for command in (train, finetune)]
    assert set(inspect.signature(read_settings).parameters) <= options[0] & options[1]
    assert options[0] - options[1] == {"init_from", "init_layers", "fsdp"}
    assert options[1] - options[0] == {"freeze", "head_epochs", "decay"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": {"num_classes": 20}}, "the network has 20 classes, and digits has 10"),
        ({"options": {"num_classes": 5}}, "the network has 5 classes, and digits has 10"),
        (
            {"changes": {"preprocessing": SubtractMean("pixel"), "protocol": MultiCrop144()}},
            "the mean is by pixel, of one size and place",
        ),
        ({"weights": "net.safetensors", "options": {"adapt_input": "mean"}}, "has no option 'adapt_input'"),
        ({"run_dir": "net.safetensors"}, "net.safetensors cannot be a folder for output: net.safetensors is a file"),
    ],
)
def test_what_would_fail_at_the_end_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(archzoo.build("lenet5_textbook"), "net.safetensors", "lenet5_textbook")
    monkeypatch.setattr(Trainer, "step", None)
    with pytest.raises(archzoo.ArchzooError, match=re.escape(message)):
        training.run("lenet5_textbook", **{"run_dir": "run"} | settings)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_finetuning_without_pillow_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(archzoo.build("lenet5_textbook"), "net.safetensors", "lenet5_textbook")
    monkeypatch.setattr(Trainer, "step", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(archzoo.ArchzooError, match="Pillow is not installed"):
        transfer.run("lenet5_textbook", weights="net.safetensors", data="digits", run_dir="run")


@pytest.mark.slow
def test_other_weights_in_a_file_of_the_same_name_are_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a finished run would be returned as theirs."""
    monkeypatch.chdir(tmp_path)
    file = Path("net.safetensors")
    shared: Any = {"data": "digits", "device": "cpu", "changes": {"epochs": 1, "batch_size": 512, "augmentation": ()}}
    color = {"options": {"in_channels": 3}}

    def run(directory: str, **given: Any) -> None:
        archzoo.training.run("lenet5_textbook", run_dir=directory, **shared, **given)

    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        save(archzoo.build("lenet5_textbook"), file, "lenet5_textbook")
        with pytest.raises(TrainingError, match=r"\(weights_digest was .*, and is ") if seed else nullcontext():
            run("weights", weights=str(file))
        with pytest.raises(TrainingError, match=r"\(init_digest was .*, and is ") if seed else nullcontext():
            run("layers", init_from=file)
    with pytest.raises(TransferError, match=r"has no layer 'nothing\*'"):
        run("pattern", init_from=file, init_layers="nothing*")  # a text is one pattern, and not its letters
    run("color", weights=file, adapt_input="sum", **color)
    with pytest.raises(TrainingError, match=r"\(adapt_input was sum, and is mean\)"):
        run("color", weights=file, adapt_input="mean", **color)


@pytest.mark.slow
def test_gray_weights_are_adapted_to_color(shell: Shell, tmp_path: Path) -> None:
    save(archzoo.build("lenet5_textbook"), tmp_path / "net.safetensors", "lenet5_textbook")
    command = ("finetune", "lenet5_textbook", "--weights", "net.safetensors", "--data", "digits", "in_channels=3")
    code, _, err = shell(*command, *QUICK, "--freeze")
    assert (code, "adapt_input='mean'" in err) == (2, True)
    assert shell(*command, *QUICK, "--freeze", "--adapt-input", "mean", "--output", "run")[0] == 0
    assert archzoo.load(tmp_path / "run" / "net.safetensors").state_dict()["features.C1.weight"].shape[1] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "resnet21"), "resnet20"),
        (("train", "resnet20", "rate=1"), "neither resnet20 nor recipe digits has 'rate'"),
        (("train", "resnet20", "lr=fast"), "lr must be a number, such as 0.05, not 'fast'"),
        (("train", "resnet20", "augmentation=miror"), "augmentation has no miror: choose from CenterCrop"),
        (("train", "resnet20", "optimizer=lbfgs"), "optimizer lbfgs cannot be used: its step evaluates the loss"),
        (("train", "resnet20", "--data", "nowhere/at/all"), "nowhere/at/all"),
        (("train", "resnet20", "--recipe", "densenets"), "no recipe is called 'densenets', and no network is called"),
        (("train", "resnet20", "--seed", "one"), "--seed must be a number, or several with commas between, not 'one'"),
        (("train", "resnet20", "--seed", "1,1"), "--seed must be different numbers, not '1,1'"),
        (
            ("train", "resnet20", "--classes", "a-b"),
            "--classes must be different numbers such as 0-4 or 1,3,5, not 'a-b'",
        ),
        (("train", "resnet20", "--classes", "8-12"), "classes"),
        (
            ("train", "resnet20", "--value-range", "0-9"),
            "--value-range must be two numbers with a comma between",
        ),
        (("train", "resnet20", "--background", "pale"), "background must be a color, such as white or #808080, not"),
        (("train", "resnet20", "--nproc", "0"), "--nproc must be an integer from 1 to 64, not 0"),
        (("train", "resnet20", "--fsdp"), "start several with --nproc 2"),
        (("train", "resnet20", "--precision", "float16"), "bfloat16"),
        (("train", "resnet20", "--device", "gpu"), "cannot train on device 'gpu'; available: cpu"),
        (("train", "resnet20", "--device", "cuda:99"), "cannot train on device 'cuda:99'"),
        (("train", "resnet20", "--device", "meta"), "cannot train on device 'meta'"),
        (("train", "resnet20", "batch_size=5000"), "images of digits, not 5000"),
        (("train", "resnet20", "--per-class", "500"), "per_class must be at most the 1"),
        (("train", "resnet20", "per_class=5"), "write --per-class"),
        (("train", "resnet20", "--init-layers", "classifier.*"), "give its weights file as init_from"),
        (("train", "resnet20", "--trained-as", "resnet20"), "trained_as is for pretrained weights: give weights too"),
        (("train", "resnet20", "--init-from", "gone.safetensors"), "there is no file gone.safetensors"),
        (("train", "googlenet_bn", "--data", "photos"), "no recipe is published for googlenet_bn"),
        (("finetune", "resnet20", "--weights", "gone.safetensors", "--data", "digits"), "gone.safetensors"),
        (
            ("finetune", "resnet20", "--weights", "x", "--data", "digits", "--freeze", "--decay", "0.5"),
            "freeze trains the classifier alone",
        ),
    ],
)
def test_bad_input_is_one_line_of_error_and_nothing_is_written(
    shell: Shell, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = shell(*arguments)
    assert code in {1, 2}
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_the_same_run_is_one_call_of_the_library(shell: Shell, tmp_path: Path) -> None:
    assert shell("train", "lenet5_textbook", *QUICK, "--device", "cpu")[0] == 0
    lines: list[str] = []
    result = training.run(
        "LeNet5-textbook",
        changes={"epochs": 1, "batch_size": 64, "augmentation": ()},
        run_dir=tmp_path / "runs" / "library",
        device="cpu",
        log=lines.append,
    )
    states = [archzoo.load(tmp_path / "runs" / run / "net.safetensors").state_dict() for run in RUNS]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert all(torch.equal(value, states[1][name]) for name, value in result.state.items())
    runs = [json.loads((tmp_path / "runs" / run / "run.json").read_text()) for run in RUNS]
    assert runs[0] == runs[1]
    assert lines[0] == "data: 10 classes, 1,294 train, 144 validation, 359 test images"
    assert lines[-1] == f"wrote net.safetensors, result.json and log.csv to {tmp_path / 'runs' / 'library'}"


@pytest.mark.slow
def test_importing_training_and_transfer_brings_no_torch() -> None:
    code = (
        "import sys, archzoo.training, archzoo.transfer; print('torch' in sys.modules)\n"
        "print([name for room in (archzoo.training, archzoo.transfer) for name in room.__all__"
        " if not callable(getattr(room, name))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "[]"]
