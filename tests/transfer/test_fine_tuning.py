"""Trained networks on other pictures, and what DenseNets use of their layers."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo import cli
from archzoo.data.preprocessing import Prepared
from archzoo.data.splits import Splits
from archzoo.errors import TrainingError
from archzoo.training.engine import RunConfig
from archzoo.training.recipes import find_recipe
from archzoo.transfer import fine_tuning as transfer
from archzoo.transfer.feature_reuse import feature_reuse
from archzoo.transfer.fine_tuning import computed, divided, draw_predictions, extract, fine_tune
from archzoo.transfer.reuse import freeze, new_head

SHORT = find_recipe("digits").with_(length=2)
QUIET: Any = {"say": lambda _: None}


def states(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_an_extractor_is_truly_frozen_and_its_features_computed_once(
    few: Splits, prepared: Prepared, tmp_path: Path
) -> None:
    net = archzoo.build("resnet20", in_channels=1)
    before = states(net.features)
    passes: list[bool] = []
    net.features.register_forward_hook(lambda module, *_: passes.append(module.training))
    outcome = extract(net, few, prepared, SHORT.with_(length=20), tmp_path / "run", **QUIET)
    after = states(net.features)
    assert all(torch.equal(before[name], after[name]) for name in before)  # running statistics too
    assert passes == [False] * (256 // 64 + 1 + 1)
    assert outcome.net is net
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
    with torch.no_grad():
        told = net.eval()(prepared.center_crop(few.test.take(torch.arange(64))))
    assert (told.argmax(1) == few.test.labels).float().mean().item() == pytest.approx(outcome.test.top1)


@pytest.mark.parametrize("name", ["resnet20", "lenet5_textbook", "nin"])
def test_cached_features_are_what_the_frozen_network_computes(name: str, few: Splits, prepared: Prepared) -> None:
    net = archzoo.build(name, in_channels=1).eval()
    fixed, learned = divided(net.classifier)
    maps = computed(nn.Sequential(net.features, *fixed), few.test, prepared, "cpu").take(torch.arange(64))
    head = nn.Sequential(*([nn.Flatten()] if maps[0].shape[1:] == (1, 1) else []), *learned)
    with torch.no_grad():
        expected = net(prepared.center_crop(few.test.take(torch.arange(64))))
        torch.testing.assert_close(head(maps), expected)


def test_the_head_learns_first_and_stages_at_their_own_rates(
    few: Splits, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = archzoo.build("resnet20", in_channels=1)
    before = states(net.features)
    phases: list[bool] = []
    usual = transfer.train

    def watched(net: Any, *args: Any, **named: Any) -> Any:
        outcome = usual(net, *args, **named)
        phases.append(all(torch.equal(before[name], value) for name, value in net.features.state_dict().items()))
        return outcome

    monkeypatch.setattr(transfer, "train", watched)
    fine_tune(net, few, prepared, SHORT, tmp_path / "run", head_epochs=1, decay=0.5, **QUIET)
    assert phases == [True, False]
    assert all(parameter.requires_grad for parameter in net.parameters())
    saved = torch.load(next((tmp_path / "run").glob("checkpoint-*16*.pt")), weights_only=True)
    rates = [group["first_lr"] for group in saved["optimizer"]["param_groups"]]
    assert rates == pytest.approx([SHORT.lr * 0.5**distance for distance in range(len(rates))][::-1])
    assert len(rates) == 5


def test_what_was_frozen_stays_frozen(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    net = archzoo.build("resnet20", in_channels=1)
    freeze(net, "features.conv1", "features.bn1", "features.conv2_x")
    before = states(net)
    fine_tune(net, few, prepared, SHORT, tmp_path / "run", head_epochs=1, **QUIET)
    for name, value in net.state_dict().items():
        kept = name.startswith(("features.conv1", "features.bn1", "features.conv2_x"))
        assert torch.equal(before[name], value) == kept, name


def test_nothing_that_learns_is_refused(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    net = archzoo.build("lenet5_textbook")
    freeze(net)
    with pytest.raises((TrainingError, ValueError), match="frozen|learn"):
        fine_tune(net, few, prepared, SHORT, tmp_path / "run", **QUIET)


def test_predictions_are_drawn(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    draw_predictions(archzoo.build("lenet5_textbook"), few.test, prepared, tmp_path / "grid.png", columns=4, rows=2)
    with image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (4 * 104, 2 * 134)
        assert grid.convert("L").getextrema() == (0, 255)


def test_digits_0_to_4_help_with_5_to_9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of README, with a smaller network."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["archzoo", *words, "--device", "cpu"])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert done.value.code == 0

    command("train", "lenet5_textbook", "--classes", "0-4", "--output", "low", "length=20", "lr=0.1")
    tuning = ["finetune", "lenet5_textbook", "--weights", "low/net.safetensors", "--data", "digits", "batch=32"]
    tuning += ["--classes", "5-9", "augmentation=", "lr=0.02", "length=8"]
    command(*tuning, "--output", "tuned", "--head-epochs", "1")
    command(*tuning, "--output", "frozen", "--freeze")
    low, frozen = (archzoo.load(name + "/net.safetensors") for name in ("low", "frozen"))
    for name, value in low.features.state_dict().items():
        assert torch.equal(value, frozen.features.state_dict()[name])
    assert (tmp_path / "tuned" / "predictions.png").is_file()
    assert frozen(torch.zeros(1, 1, 32, 32)).shape == (1, 5)


def test_feature_reuse_is_the_average_absolute_weight() -> None:
    """DenseNet, Fig. 5: three blocks, of which each has one row more than layers."""
    net = archzoo.build("densenet", depth=40, k=12)
    tables = feature_reuse(net)
    assert [table.shape for table in tables.values()] == [(13, 13)] * 3
    weight = net.get_parameter("features.denseblock2.denselayer3.conv1.weight").detach()
    first = weight.shape[1] - 24
    table = tables["denseblock2"]
    assert table[0, 2].item() == pytest.approx(weight[:, :first].abs().mean().item())
    assert table[2, 2].item() == pytest.approx(weight[:, first + 12 :].abs().mean().item())
    after = net.get_parameter("features.transition2.conv1.weight").detach()
    assert table[12, 12].item() == pytest.approx(after[:, -12:].abs().mean().item())
    last = net.get_parameter("classifier.fc.weight").detach()
    assert tables["denseblock3"][12, 12].item() == pytest.approx(last[:, -12:].abs().mean().item())
    assert all(math.isnan(table[row, column]) == (row > column) for row in range(13) for column in range(13))


def test_feature_reuse_sees_a_layer_that_nobody_reads() -> None:
    net = archzoo.build("densenet_bc", depth=40)
    with torch.no_grad():
        for layer in range(3, 7):
            weight = net.get_parameter(f"features.denseblock1.denselayer{layer}.conv1.weight")
            weight[:, 24 + 12 : 24 + 24] = 0  # what denselayer2 gave
    row = feature_reuse(net)["denseblock1"][2]
    assert not row[2:6].any()
    assert row[6] > 0


def test_feature_reuse_is_of_densenets() -> None:
    with pytest.raises(ValueError, match="this network has no dense blocks"):
        feature_reuse(archzoo.build("resnet20", device="meta"))


def test_a_new_head_is_no_hindrance_to_settings(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    net = archzoo.build("resnet20", in_channels=1, num_classes=3)
    new_head(net, 10)
    outcome = extract(net, few, prepared, SHORT, tmp_path / "run", RunConfig(seed=2), **QUIET)
    assert outcome.result["seed"] == 2
