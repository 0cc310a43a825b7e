"""Batch-norm statistics that are estimated anew after training, against torch's own cumulative average."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.data import EpochBatches, Prepared, Splits, load_batches
from archzoo.errors import RecipeError
from archzoo.recipes import Constant
from archzoo.registry import find_recipe
from archzoo.training import Distributed, TrainResult, train
from archzoo.training._batch_norms import estimate_batch_norms
from archzoo.training._logs import no_log
from archzoo.transfer import freeze
from tests.processes import run_two

RECIPE = find_recipe("digits").with_changes(epochs=1, schedule=Constant(), batch_size=64, batch_norm_images=400)


def small_net() -> nn.Sequential:
    """Drop-out, and two batch norms of 2-d and of 1-d, whose second depends on how the first normalizes."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, 5),
        nn.Dropout(0.5),
        nn.BatchNorm1d(5),
    )


def statistics(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.named_buffers() if "running" in name}


def by_torch(net: nn.Sequential, batches: list[Tensor]) -> dict[str, Tensor]:
    """momentum=None of torch.nn.BatchNorm is a cumulative average."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
        elif not isinstance(module, nn.Sequential):
            module.eval()
    for batch in batches:
        net(batch)
    return statistics(net)


def test_statistics_are_the_averages_that_torch_accumulates() -> None:
    batches = [1 + 3 * torch.randn(7, 3, 8, 8) for _ in range(4)]
    net = small_net()
    net[1].train(False)
    assert estimate_batch_norms(net, batches, Distributed()) == 4
    for name, value in by_torch(small_net(), batches).items():
        torch.testing.assert_close(statistics(net)[name], value, msg=name)
    assert net[0].training
    assert not net[1].training


def test_frozen_batch_norms_keep_their_statistics() -> None:
    net, batches = small_net(), [torch.randn(7, 3, 8, 8)]
    freeze(net, "1")
    before = statistics(net)
    estimate_batch_norms(net, batches, Distributed())
    after = statistics(net)
    assert [torch.equal(before[name], after[name]) for name in before] == [True, True, False, False]
    freeze(net)
    assert estimate_batch_norms(net, batches, Distributed()) == 0
    assert all(torch.equal(after[name], value) for name, value in statistics(net).items())


def uneven_batches() -> list[Tensor]:
    """Batches of which the second process has fewer images, none of one, and nobody any of another."""
    torch.manual_seed(0)
    return [1 + 3 * torch.randn(count, 3, 8, 8) for count in (7, 7, 2, 0, 7)]


def _estimate_a_share(rank: int, folder: Path) -> None:
    """One of two processes: it has every second image, and the first has both of two."""
    batches = uneven_batches()
    shares = [batch[rank::2] if len(batch) > 2 else batch[: len(batch) * (1 - rank)] for batch in batches]
    net = small_net()
    estimate_batch_norms(net, shares, Distributed(rank, 2))
    torch.save(statistics(net), folder / f"{rank}.pt")


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_two_processes_estimate_what_one_does(tmp_path: Path) -> None:
    run_two(_estimate_a_share, tmp_path)
    batches = [batch for batch in uneven_batches() if len(batch)]
    whole = by_torch(small_net(), batches)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, value in whole.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, msg=name)


@pytest.mark.slow
def test_a_run_estimates_before_the_test_and_keeps_what_it_did(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    def run(name: str, **changes: Any) -> TrainResult:
        torch.manual_seed(0)
        net = archzoo.build("resnet_cifar", depth=8, in_channels=1)
        return train(net, few, prepared, RECIPE.with_changes(**changes), tmp_path / name, log=no_log)

    result, again, without = run("first"), run("second"), run("without", batch_norm_images=0)
    assert all(torch.equal(result.state[name], value) for name, value in again.state.items())
    assert (result.result["batch_norm_batches"], without.result["batch_norm_batches"]) == (6, 0)  # 400 // 64
    assert result.test.to_dict() != without.test.to_dict()
    batches = [
        batch for epoch in (1, 2) for batch in load_batches(EpochBatches(few.train, prepared.train, 64, 0, epoch))
    ]
    expected = without.net
    estimate_batch_norms(expected, [batch.images for batch in batches][:6], Distributed())
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(result.state[name], value, msg=name)


def test_a_network_without_batch_norm_is_refused(few: Splits, prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="batch_norm_images is for networks with batch norm, and this one has none"):
        train(archzoo.build("lenet5_textbook"), few, prepared, RECIPE, tmp_path / "run", log=no_log)
