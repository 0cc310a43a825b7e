"""Pretrained networks on other images: fine-tuning, linear probes, predictions."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo import cli
from archzoo.data import Prepared, Splits
from archzoo.errors import RecipeError, Stopped, TrainingError, TransferError
from archzoo.recipes import ParameterGroup
from archzoo.registry import find_recipe
from archzoo.training import RunConfig, train
from archzoo.training._logs import no_log
from archzoo.transfer import _fine_tuning as fine_tuning
from archzoo.transfer import fine_tune, freeze, linear_probe, replace_classifier
from archzoo.transfer._predictions import draw_predictions
from archzoo.transfer._probing import compute_features, split_classifier

SHORT = find_recipe("digits").with_changes(epochs=2)
QUIET: Any = {"log": no_log}


def states(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


@pytest.mark.slow
def test_a_linear_probe_changes_no_feature_and_computes_them_once(
    few: Splits, prepared: Prepared, tmp_path: Path
) -> None:
    net = archzoo.build("resnet20", in_channels=1)
    before = states(net.features)
    passes: list[bool] = []
    net.features.register_forward_hook(lambda module, *_: passes.append(module.training))
    result = linear_probe(net, few, prepared, SHORT.with_changes(epochs=20), tmp_path / "run", **QUIET)
    after = states(net.features)
    assert all(torch.equal(before[name], after[name]) for name in before)  # running statistics too
    assert passes == [False] * (256 // 64 + 1 + 1)
    assert result.net is net
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    with torch.no_grad():
        logits = net.eval()(prepared.center_crop(few.test.take(torch.arange(64))))
    assert (logits.argmax(1) == few.test.labels).float().mean().item() == pytest.approx(result.test.top1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "lenet5_textbook", "nin"])
def test_cached_features_are_what_the_frozen_network_computes(name: str, few: Splits, prepared: Prepared) -> None:
    net = archzoo.build(name, in_channels=1).eval()
    fixed, trained = split_classifier(net.classifier)
    maps = compute_features(nn.Sequential(net.features, *fixed), few.test, prepared, "cpu").take(torch.arange(64))
    head = nn.Sequential(*([nn.Flatten()] if maps[0].shape[1:] == (1, 1) else []), *trained)
    with torch.no_grad():
        expected = net(prepared.center_crop(few.test.take(torch.arange(64))))
        torch.testing.assert_close(head(maps), expected)


@pytest.mark.slow
def test_the_head_learns_first_and_stages_at_their_own_rates(
    few: Splits, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = archzoo.build("resnet20", in_channels=1)
    before = states(net.features)
    phases: list[bool] = []

    def watched(net: Any, *args: Any, **named: Any) -> Any:
        result = train(net, *args, **named)
        phases.append(all(torch.equal(before[name], value) for name, value in net.features.state_dict().items()))
        return result

    monkeypatch.setattr(fine_tuning, "train", watched)
    fine_tune(net, few, prepared, SHORT, tmp_path / "run", head_epochs=1, decay=0.5, **QUIET)
    assert phases == [True, False]
    assert all(parameter.requires_grad for parameter in net.parameters())
    saved = torch.load(next((tmp_path / "run").glob("checkpoint-*16*.pt")), weights_only=True)
    rates = [group["initial_lr"] for group in saved["optimizer"]["param_groups"]]
    assert rates == pytest.approx([SHORT.lr * 0.5**distance for distance in range(len(rates))][::-1])
    assert len(rates) == 5


def test_other_rates_and_epochs_of_the_head_are_another_run(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    """Else a finished run would be returned as theirs."""
    recipe = SHORT.with_changes(epochs=1)

    def tune(**options: Any) -> None:
        fine_tune(archzoo.build("lenet5_textbook"), few, prepared, recipe, tmp_path / "run", **options, **QUIET)

    tune(decay=0.5)
    tune(decay=0.5)
    for other in (0.9, 1.0):
        with pytest.raises(TrainingError, match=r"run holds another run \(decay was 0.5, and is "):
            tune(decay=other)
    with pytest.raises(TrainingError, match=r"head_epochs was None, and is 1\)"):
        tune(decay=0.5, head_epochs=1)


@pytest.mark.parametrize("decay", [0.0, 2.0, float("nan")])
def test_a_decay_is_refused_before_the_head_is_trained(
    few: Splits, prepared: Prepared, tmp_path: Path, decay: float
) -> None:
    with pytest.raises(TransferError, match=r"decay in \(0, 1\]"):
        fine_tune(archzoo.build("lenet5"), few, prepared, SHORT, tmp_path / "run", head_epochs=1, decay=decay, **QUIET)
    assert not (tmp_path / "run").exists()


def test_a_signal_that_comes_too_late_to_stop_the_epochs_of_the_head_stops_those_after_them(
    few: Splits, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[str] = []
    monkeypatch.setattr(fine_tuning, "train", lambda *args, **_: phases.append(args[4].name))
    monkeypatch.setattr(fine_tuning, "last_signal", lambda: signal.SIGTERM)
    with pytest.raises(Stopped, match="stopped after the classifier's epochs; rerun the command") as stopped:
        fine_tune(archzoo.build("lenet5"), few, prepared, SHORT, tmp_path / "run", head_epochs=1, **QUIET)
    assert (phases, stopped.value.signal) == (["head"], signal.SIGTERM)


@pytest.mark.slow
def test_a_rate_of_zero_is_the_tutorials_fixed_feature_extractor(
    few: Splits, prepared: Prepared, tmp_path: Path
) -> None:
    """No parameter of the features changes. Batch statistics do, which the tutorial leaves in train mode."""
    net = archzoo.build("resnet_cifar", depth=8, in_channels=1)
    before = states(net)
    recipe = SHORT.with_changes(groups=find_recipe("ants_and_bees_frozen").groups)
    fine_tune(net, few, prepared, recipe, tmp_path / "run", **QUIET)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(before[name], value)}
    parameters = {name for name, _ in net.named_parameters()}
    assert changed & parameters == {"classifier.fc.weight", "classifier.fc.bias"}
    assert changed - parameters == {name for name, _ in net.named_buffers()}


@pytest.mark.slow
def test_groups_of_a_recipe_name_the_classifier_of_a_linear_probe_as_in_the_network(
    few: Splits, prepared: Prepared, tmp_path: Path
) -> None:
    recipe = SHORT.with_changes(
        groups=(ParameterGroup("features.*", lr_mult=3), ParameterGroup("classifier.fc.bias", lr_mult=0)),
        batch_norm_images=64,
    )
    net = archzoo.build("resnet_cifar", depth=8, in_channels=1)
    before = states(net)
    linear_probe(net, few, prepared, recipe, tmp_path / "run", **QUIET)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(before[name], value)}
    assert changed == {"classifier.fc.weight"}
    wrong = recipe.with_changes(groups=(ParameterGroup("classifier.bias"),))
    with pytest.raises(RecipeError, match="did you mean 'classifier.fc.bias'"):
        linear_probe(net, few, prepared, wrong, tmp_path / "wrong", **QUIET)


@pytest.mark.slow
def test_what_was_frozen_stays_frozen(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    net = archzoo.build("resnet20", in_channels=1)
    freeze(net, "features.conv1", "features.bn1", "features.conv2_x")
    before = states(net)
    fine_tune(net, few, prepared, SHORT, tmp_path / "run", head_epochs=1, **QUIET)
    for name, value in net.state_dict().items():
        kept = name.startswith(("features.conv1", "features.bn1", "features.conv2_x"))
        assert torch.equal(before[name], value) == kept, name


@pytest.mark.slow
def test_nothing_that_learns_is_refused(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    net = archzoo.build("lenet5_textbook")
    freeze(net)
    with pytest.raises(TrainingError, match="every parameter of the network is frozen"):
        fine_tune(net, few, prepared, SHORT, tmp_path / "run", **QUIET)


@pytest.mark.slow
def test_predictions_are_drawn(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    draw_predictions(archzoo.build("lenet5_textbook"), few.test, prepared, tmp_path / "grid.png", columns=4, rows=2)
    with image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (4 * 104, 2 * 134)
        assert grid.convert("L").getextrema() == (0, 255)


@pytest.mark.slow
def test_digits_0_to_4_help_with_5_to_9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of README, with a smaller network."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["archzoo", *words, "--device", "cpu"])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert done.value.code == 0

    command("train", "lenet5_textbook", "--classes", "0-4", "--output", "low", "epochs=2", "lr=0.1")
    tuning = ["finetune", "lenet5_textbook", "--weights", "low/net.safetensors", "--data", "digits", "batch_size=32"]
    tuning += ["--classes", "5-9", "augmentation=", "lr=0.02", "epochs=2"]
    command(*tuning, "--output", "tuned", "--head-epochs", "1")
    command(*tuning, "--output", "frozen", "--freeze")
    low, frozen = (archzoo.load(name + "/net.safetensors") for name in ("low", "frozen"))
    for name, value in low.features.state_dict().items():
        assert torch.equal(value, frozen.features.state_dict()[name])
    assert (tmp_path / "tuned" / "predictions.png").is_file()
    assert frozen(torch.zeros(1, 1, 32, 32)).shape == (1, 5)


@pytest.mark.slow
def test_a_new_classifier_can_be_probed_with_a_config(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    net = archzoo.build("resnet20", in_channels=1, num_classes=3)
    replace_classifier(net, 10)
    result = linear_probe(net, few, prepared, SHORT, tmp_path / "run", RunConfig(seed=2), **QUIET)
    assert result.result["seed"] == 2
