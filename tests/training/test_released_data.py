"""Runs on the files of a data set: two processes do as one does, and a run that was killed loses nothing.

The files are made here, in the form of Fashion-MNIST. ``test_trainer.py`` asks the same of the digits.
"""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch.multiprocessing.spawn import ProcessException

import archzoo
from archzoo.recipes import RandomCrop
from archzoo.training import TrainResult, run
from archzoo.training import _checkpoints as checkpoints
from archzoo.training._trainer import Trainer
from tests.networks import EVERY_NET
from tests.processes import run_as_torchrun

pytestmark = [
    pytest.mark.filterwarnings("ignore:archzoo. the .* images have none of"),  # of few images
    pytest.mark.slow,
    pytest.mark.xdist_group("processes"),
]
ITERATIONS, KILLED = 27, 21  # 72 training images in batches of 8: a checkpoint after 9, 18 and 27


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Eighty training and twenty test images, as Debian lays them out."""
    folder = tmp_path / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    draw = numpy.random.default_rng(0)
    for part, count in (("train", 80), ("t10k", 20)):
        labels = numpy.arange(count, dtype=numpy.uint8) % 10
        images = draw.integers(0, 128, (count, 28, 28), dtype=numpy.uint8) + 12 * labels[:, None, None]
        for name, values in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (folder / name).write_bytes(header + values.tobytes())
    return folder.parent


def trained(data: Path, run_dir: Path) -> TrainResult:
    """LeNet-5 on these files, in this process's share of a run."""
    lines: list[str] = []
    result = run(
        "lenet5_textbook",
        data="fashion_mnist",
        recipe="fashion_mnist_lenet5",
        changes={"epochs": 3, "batch_size": 8, "lr": 0.05, "augmentation": (RandomCrop(padding=2),)},
        data_dir=data,
        run_dir=run_dir,
        device="cpu",
        log=lines.append,
    )
    if os.environ.get("RANK", "0") == "0":
        (run_dir / "lines").write_text("\n".join(lines))
    return result


def _train_and_be_killed(rank: int, folder: Path, data: Path) -> None:
    """A run to its end, and another one in which the process that writes is killed."""
    trained(data, folder / "whole")
    step = Trainer.step

    def killed(self: Trainer, batch: Any) -> None:
        step(self, batch)
        if self.progress.iteration == KILLED and rank == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    Trainer.step = killed  # type: ignore[method-assign]
    trained(data, folder / "killed")


def _resume(rank: int, folder: Path, data: Path) -> None:
    trained(data, folder / "killed")


def state(run_dir: Path) -> dict[str, torch.Tensor]:
    return archzoo.load(run_dir / "net.safetensors").state_dict()


def result(run_dir: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run_dir / "result.json").read_text())
    return content


def check_same_run(first: Path, second: Path) -> None:
    """Whether two runs, of any number of processes, had the same images and end alike but for rounding."""
    alone, together = result(first), result(second)
    assert alone["data_origin"] == together["data_origin"]
    assert "(IDX files), sha256 " in alone["data_origin"]
    assert alone["data"] == together["data"]
    assert alone["images"] == together["images"] == {"train": 72, "validation": 8, "test": 20}
    assert alone["test"]["confusion"] == together["test"]["confusion"]
    values = state(second)
    for name, value in state(first).items():
        torch.testing.assert_close(values[name], value, atol=1e-4, rtol=1e-3)


def test_two_processes_train_as_one_and_a_killed_one_resumes_to_the_same_bits(files: Path, tmp_path: Path) -> None:
    alone = trained(files, tmp_path / "alone")
    assert len(alone.history) == 3
    with pytest.raises(ProcessException) as failed:
        run_as_torchrun(_train_and_be_killed, tmp_path, files)
    assert checkpoints.list_checkpoints(tmp_path / "killed"), failed.value
    check_same_run(tmp_path / "alone", tmp_path / "whole")
    assert (result(tmp_path / "alone")["processes"], result(tmp_path / "whole")["processes"]) == (1, 2)
    assert not (tmp_path / "killed" / "result.json").exists()
    run_as_torchrun(_resume, tmp_path, files)
    lines = (tmp_path / "killed" / "lines").read_text()
    [resumed_from] = re.findall(rf"resuming from iteration (\d+) of {ITERATIONS}", lines)
    assert 18 <= int(resumed_from) <= KILLED  # a slow machine writes checkpoints between the epochs, too
    whole, resumed = state(tmp_path / "whole"), state(tmp_path / "killed")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


COMMAND = ("train", "lenet5_textbook", "--data", "fashion_mnist", "--recipe", "fashion_mnist_lenet5")
CHANGES = ("epochs=3", "batch_size=8", "lr=0.05", "augmentation=RandomCrop(padding=2)", "--device", "cpu")


@pytest.mark.skipif(not EVERY_NET, reason="starts three processes that import torch: with EVERY_NET=1")
def test_torchrun_itself_trains_as_one_process(files: Path, tmp_path: Path) -> None:
    trained(files, tmp_path / "alone")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "archzoo"]
    command = [*torchrun, *COMMAND, *CHANGES, "--data-dir", str(files), "--output", str(tmp_path / "torchrun")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "torchrun")["processes"] == 2
    check_same_run(tmp_path / "alone", tmp_path / "torchrun")


@pytest.mark.skipif(not EVERY_NET, reason="starts three processes that import torch: with EVERY_NET=1")
def test_a_row_of_results_that_is_killed_is_resumed_by_its_command(files: Path, tmp_path: Path) -> None:
    """ResNet-20 with random erasing: batch norms, and every random step of the recipe."""
    row = ["reproduce", "random_erasing_fashion_mnist", "resnet20", "epochs=6", "batch_size=8", "--device", "cpu"]

    def start(folder: Path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "archzoo", *row, "--data-dir", str(files), "--output", str(folder)]
        return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)

    def finish(folder: Path) -> str:
        process = start(folder)
        _, log = process.communicate(timeout=300)
        assert process.returncode == 0, log
        return log

    finish(tmp_path / "whole")
    process = start(tmp_path / "killed")
    end = time.monotonic() + 120
    while not checkpoints.list_checkpoints(tmp_path / "killed" / "seed-0") and time.monotonic() < end:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "seed-0" / "result.json").exists()
    assert "resuming from iteration " in finish(tmp_path / "killed")
    whole, resumed = (tmp_path / name / "seed-0" for name in ("whole", "killed"))
    assert all(torch.equal(value, state(resumed)[name]) for name, value in state(whole).items())
    assert result(whole)["test"] == result(resumed)["test"]
