"""Two processes of which one fails or is signaled, and what several trainings in them leave behind."""

import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.data import Batch, ImageSet, Prepared, Splits, prepare
from archzoo.errors import ArchzooError, DataError, OutputError
from archzoo.layers import Net
from archzoo.recipes import Constant, Cosine, Normalize, Recipe
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, Score, TrainResult, last_signal
from archzoo.training._distributed import join
from archzoo.training._logs import no_log
from archzoo.training._trainer import Trainer
from archzoo.transfer import fine_tune, linear_probe
from tests.processes import run_as_torchrun

RECIPE = find_recipe("digits").with_changes(schedule=Constant(), lr=0.1, batch_size=4, epochs=2, augmentation=())
QUIET: Any = {"log": no_log}


def net(norm: type[nn.Module] = nn.BatchNorm2d) -> Net:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(1, 4, 3), norm(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return Net(features, nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))


def noise(*sizes: int) -> tuple[Splits, Prepared]:
    generator = torch.Generator().manual_seed(7)
    pixels = (torch.randint(0, 256, (size, 1, 8, 8), dtype=torch.uint8, generator=generator) for size in sizes)
    splits = Splits(*(ImageSet.from_tensor("noise", x, torch.arange(len(x)) % 3, [*"abc"]) for x in pixels))
    return splits, prepare((), Normalize(), splits.train, 8)


class Attacked(Trainer):
    """A run in which something happens to the second process in its third step."""

    how = ""

    def step(self, batch: Batch) -> None:
        if (self.distributed.rank, self.progress.iteration) == (1, 2):
            if self.how == "an error":
                raise DataError("cat.png is corrupt")
            if self.how == "SIGTERM":
                os.kill(os.getpid(), signal.SIGTERM)
            if self.how == "NaN":
                batch.images.fill_(float("nan"))
        super().step(batch)

    def finish(self) -> TrainResult:
        if self.how == "a late signal" and self.distributed.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().finish()


def attacked(
    folder: Path, how: str, recipe: Recipe = RECIPE, sizes: tuple[int, ...] = (16, 5, 5), **config: Any
) -> str | TrainResult:
    """A run of the processes that meet for it; the error in words where it ends with one."""
    try:
        with join("cpu") as here:
            return train(folder, how, recipe, sizes, here, RunConfig(**config))
    except (RuntimeError, ValueError) as error:
        return str(error)


def train(
    folder: Path, how: str, recipe: Recipe, sizes: tuple[int, ...], here: Distributed, config: RunConfig
) -> TrainResult:
    splits, prepared = noise(*sizes)
    options: Any = {"description": {}, "parameter_groups": None, **QUIET}
    run = Attacked(net(), splits, prepared, recipe, folder, config, distributed=here, **options)
    run.how = how
    return run.run()


def _attack(rank: int, folder: Path) -> None:
    # What the first process alone can find out, all say, before they read any images.
    with pytest.raises(OutputError, match="nowhere/run cannot be a folder for output"):
        archzoo.training.run("lenet5", data="digits", run_dir="/proc/nowhere/run", device="cpu", **QUIET)
    # An error of one process while it reads images ends the other one, and both count their runs alike.
    data, message = (
        ("/proc/nowhere", "no dataset and no folder") if rank else ("digits", "process 0 of 2 lost another one")
    )
    with pytest.raises(ArchzooError, match=message):
        archzoo.training.run("lenet5", data=data, run_dir=folder / "data", device="cpu", **QUIET)
    for sharded in (False, True):
        _fail_and_stop(rank, folder / f"sharded-{sharded}", sharded=sharded)
    # Both evaluate the same weights, also those that were read from the first one's checkpoint, and sets of one image.
    for name, changes in (("averaged", {"ema": 0.5}), ("snapshots", {"schedule": Cosine(restarts=2)})):
        recipe = RECIPE.with_changes(**changes)
        scores = [attacked(folder / name, "", recipe, (16, 1, 9)) for _ in range(2)]
        first, again = (score for score in scores if isinstance(score, TrainResult))
        assert first.test.loss == again.test.loss
        assert (first.ensemble and first.ensemble.loss) == (again.ensemble and again.ensemble.loss)
    (folder / f"{rank} passed").touch()


def _fail_and_stop(rank: int, folder: Path, **config: Any) -> None:
    # The process that failed goes on, as a script may: the other one does not wait for it.
    ends = [attacked(folder / how, how, **config) for how in ("an error", "NaN")]
    assert str(ends[0]).startswith(("process 0 of 2 lost another one", "cat.png is corrupt")[rank])
    assert str(ends[1]).startswith("loss is NaN or infinite at iteration 3 ")
    # Both stop in the same iteration where one gets the signal, and know of one that comes too late.
    assert str(attacked(folder / "stopped", "SIGTERM", **config)).startswith("stopped at iteration 3;")
    whole, resumed = (attacked(folder / name, "", **config) for name in ("whole", "stopped"))
    assert isinstance(whole, TrainResult)
    assert isinstance(resumed, TrainResult)
    assert all(torch.equal(value, resumed.state[name]) for name, value in whole.state.items())
    assert last_signal() is None
    attacked(folder / "whole", "a late signal", **config)
    assert last_signal() == signal.SIGTERM
    # Fewer images than processes, in the last batch and in the sets that are scored.
    assert isinstance(attacked(folder / "few", "", sizes=(5, 1, 1), **config), TrainResult)


def tuned(how: str, folder: Path, here: Distributed, **config: Any) -> dict[str, Tensor]:
    """The weights after the epochs of the classifier and those of the whole network, or those of a linear probe."""
    splits, prepared = noise(16, 4, 4)
    method: Any = fine_tune if how == "tuned" else linear_probe
    options = {"head_epochs": 1, "decay": 0.5} if how == "tuned" else {}
    given = net(nn.Identity)  # each process would normalize its own share
    place = folder / f"{how}-{here.world_size}-{config}"
    result = method(given, splits, prepared, RECIPE, place, RunConfig(**config), distributed=here, **options, **QUIET)
    assert result.net is given
    assert all(torch.equal(value, result.state[name]) for name, value in given.state_dict().items())
    return dict(given.state_dict())


def _share_scores(rank: int, folder: Path) -> None:
    """A sharded network is evaluated in both processes. One may miss images, and both must agree on the best epoch."""
    counts = torch.eye(3) if rank == 0 else 1 - torch.eye(3)
    splits, prepared = noise(16, 4, 4)
    with (
        patch("archzoo.training._trainer.evaluate", lambda *_, **__: Score(counts, 3, 1.0, "", (*"abc",))),
        join("cpu") as here,
    ):
        options: Any = {"description": {}, "parameter_groups": None, **QUIET}
        config = RunConfig(sharded=True)
        run = Trainer(net(), splits, prepared, RECIPE, folder / "scores", config, distributed=here, **options)
        result = run.run()
    assert {row["validation_error"] for row in result.history} == {0.0}
    assert result.test.top1 == 1.0


def _tune(rank: int, folder: Path) -> None:
    _attack(rank, folder)
    _share_scores(rank, folder)
    for how in ("tuned", "probe"):
        with join("cpu") as here:
            for sharded in (False, True):
                state = tuned(how, folder, here, sharded=sharded)
                torch.save(state, folder / f"{how}-{sharded}-{rank}.pt")


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_two_processes_end_alike_and_train_again(tmp_path: Path) -> None:
    run_as_torchrun(_tune, tmp_path)
    assert {"0 passed", "1 passed"} <= {path.name for path in tmp_path.iterdir()}
    for how in ("tuned", "probe"):
        expected = tuned(how, tmp_path, Distributed())
        assert any(not torch.equal(value, expected[name]) for name, value in net(nn.Identity).state_dict().items())
        for file in tmp_path.glob(f"{how}-*.pt"):
            torch.testing.assert_close(torch.load(file), expected, msg=file.name)
