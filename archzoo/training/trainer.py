"""Training by a recipe, in one process or many: goes on where it was killed, and ends with the same bits."""

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archzoo.data.augmentation import derive_seed
from archzoo.data.loading import Batch, EpochBatches, check_batch_size, load_batches
from archzoo.data.preprocessing import Prepared
from archzoo.data.splits import Splits
from archzoo.errors import Stopped, TrainingError
from archzoo.layers import Net
from archzoo.training import checkpoints
from archzoo.training.distributed import Distributed
from archzoo.training.engine import (
    RunConfig,
    averaged_over,
    check,
    cycle_of,
    load_states,
    optimizer_of,
    precise,
    resolved,
    states,
    unsynced,
    wrapped,
)
from archzoo.training.evaluation import Score, evaluate
from archzoo.training.logs import Log, differences, versions, write_whole
from archzoo.training.recipes import Recipe
from archzoo.training.regularization import limit_filters, regularize
from archzoo.training.schedules import rate_factor

AUXILIARY = 0.3  # the weight of an auxiliary classifier's loss (GoogLeNet, Sec. 5)
LOOK = 20  # iterations between two looks at the loss and at signals where looking waits for an accelerator


@dataclass
class Progress:
    """Where a run is: all that a checkpoint has beside the network and the optimizer."""

    iteration: int = 0
    loss: float = 0.0  # of this epoch so far: sums over pictures
    wrong: float = 0.0
    seen: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf


@dataclass(frozen=True)
class TrainResult:
    """A finished run: the network, what each epoch gave, and the score on the test set, which was read once.

    ``state`` is the network's state dict, whole also where its parameters were shared out among processes.
    """

    net: Net
    state: dict[str, Tensor]
    history: list[dict[str, float]]
    test: Score
    ensemble: Score | None
    result: dict[str, Any]


def train(
    net: Net,
    splits: Splits,
    prepared: Prepared,
    recipe: Recipe,
    folder: str | Path,
    settings: RunConfig | None = None,
    *,
    processes: Distributed | None = None,
    about: dict[str, Any] | None = None,
    groups: Sequence[dict[str, Any]] | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> TrainResult:
    """Train a network in place by a recipe, and test it.

    ``folder`` gets the run's description, its logs, checkpoints and the result. Where it has checkpoints of the same
    run, training goes on from the last one that is whole, to the same bits; a folder of another run is refused.
    ``about`` describes the network for that, ``groups`` are the optimizer's, each
    with its own first rate, all parameters that learn by default.

    Raises TrainingError for settings that do not go together and a loss that is no number, Stopped after SIGTERM,
    CheckpointError where the disk is full.
    """
    run = Run(
        net,
        splits,
        prepared,
        recipe,
        Path(folder),
        settings or RunConfig(),
        processes or Distributed(),
        about or {},
        groups,
        say,
    )
    return run.to_the_end()


class Run:
    """One run of training: the parts that ``train`` calls in order."""

    def __init__(
        self,
        net: Net,
        splits: Splits,
        prepared: Prepared,
        recipe: Recipe,
        folder: Path,
        settings: RunConfig,
        processes: Distributed,
        about: dict[str, Any],
        groups: Sequence[dict[str, Any]] | None,
        say: Callable[[str], None],
    ) -> None:
        check(recipe, settings, processes)
        check_batch_size(recipe.batch, splits.train, processes.world)
        self.splits, self.prepared, self.recipe = splits, prepared, recipe
        self.folder, self.processes, self.say = folder, processes, say
        self.asked, self.settings = settings, resolved(settings, processes.device)
        self.length = recipe.run(len(splits.train))
        self.progress = Progress()
        self.stop = False
        self.snapshots: list[dict[str, Tensor]] = []
        self.best_state: dict[str, Tensor] | None = None

        regularize(net, recipe.regularizers)
        self.net = net.to(processes.device)
        if self.settings.channels_last and not settings.sharded:  # FSDP's shards are of contiguous parameters
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.wrapped = wrapped(self.net, settings, processes)
        self.optimizer = optimizer_of(self.net, recipe, groups)
        self.averaged = averaged_over(self.net, recipe.ema) if recipe.ema else None
        half = self.settings.precision == "float16"
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=half)
        self._claim(about)
        self.log = Log(folder, settings.tensorboard) if processes.first else None

    def to_the_end(self) -> TrainResult:
        """All that is left of the run."""
        with self.listening():
            self.resume()
            while not self.over:
                self.epoch()
            return self.finish()

    def _claim(self, about: dict[str, Any]) -> None:
        """Describe the run in its folder, or refuse a folder that describes another."""
        ours = {
            **about,
            "recipe": self.recipe.as_dict(),
            "settings": {**asdict(self.asked), "workers": None, "tensorboard": None},
            "data": {name: part.digest() for name, part in vars(self.splits).items()},
        }
        described = self.folder / "run.json"
        if odd := differences(described, json.loads(json.dumps(ours))):
            raise TrainingError(f"{self.folder} has another run ({'; '.join(odd[:3])}): choose another folder")
        self.processes.wait()  # all have looked before the first writes
        if self.processes.first and not described.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(described, json.dumps(ours, indent=1))

    # Going on

    def resume(self) -> None:
        """Go on from the last whole checkpoint, if there is any."""
        state = checkpoints.read_latest(self.folder)
        if state is None:
            return
        load_states(self.wrapped, self.optimizer, self.settings, state["net"], state["optimizer"])
        self.progress = Progress(**state["progress"])
        if not self.processes.first:  # the sums so far are of all processes
            self.progress.loss = self.progress.wrong = self.progress.seen = 0.0
        self.scaler.load_state_dict(state["scaler"])
        self.snapshots, self.best_state = state["snapshots"], state["best"]
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        if self.processes.first:
            self.say(f"going on from iteration {self.progress.iteration:,} of {self.length.iterations:,}")

    def save(self) -> None:
        """Write a checkpoint of everything. All processes take part, the first one writes."""
        net, optimizer = self._states()
        if self.processes.first:
            state = {
                "net": net,
                "optimizer": optimizer,
                "progress": asdict(self.progress),
                "scaler": self.scaler.state_dict(),
                "averaged": None if self.averaged is None else self.averaged.state_dict(),
                "snapshots": self.snapshots,
                "best": self.best_state,
            }
            checkpoints.write(self.folder, self.progress.iteration, state)
        self.processes.wait()

    def _states(self) -> tuple[dict[str, Any], dict[str, Any]]:
        self.processes.same_buffers(self.net)
        return states(self.wrapped, self.optimizer, self.settings)

    # Training

    @property
    def over(self) -> bool:
        """Whether all iterations are done."""
        return self.progress.iteration >= self.length.iterations

    def epoch(self) -> None:
        """Train to the end of the epoch, judge the validation pictures, log, and write a checkpoint."""
        number, start = divmod(self.progress.iteration, self.length.per_epoch)
        order = EpochBatches(
            self.splits.train,
            self.prepared.train,
            self.recipe.batch,
            self.settings.seed,
            number,
            self.processes.rank,
            self.processes.world,
        )
        self.splits.train.check_file()
        end = min(len(order), self.length.iterations - number * self.length.per_epoch)
        began = time.perf_counter()
        with self._bar(number, start, end) as bar:
            for step, batch in zip(range(start, end), load_batches(order, start, self.settings.workers), strict=False):
                self.step(batch)
                bar.update()
                if step + 1 == end or self.processes.device.type == "cpu" or step % LOOK == 0:
                    self._look(began, last=step + 1 == end)
        self._end_of_epoch(number, time.perf_counter() - began)
        stop = torch.tensor(float(self.stop), device=self.processes.device)
        if self.processes.total(stop) and not self.over:
            raise self._stopped()

    def step(self, batch: Batch) -> None:
        """One iteration on this process's share of a batch."""
        iteration, world, device = self.progress.iteration, self.processes.world, self.processes.device
        torch.manual_seed(derive_seed("forward", self.settings.seed, iteration, self.processes.rank))
        factor = rate_factor(self.recipe.schedule, iteration, self.length, self._errors())
        for group in self.optimizer.param_groups:
            group["lr"] = group["first_lr"] * factor
        self.wrapped.train()
        many = min(self.settings.accumulate, max(len(batch.labels), 1))
        parts = list(zip(batch.images.chunk(many), batch.labels.chunk(many), strict=True))
        for number, (images, labels) in enumerate(parts, 1):
            with unsynced(self.wrapped, self.settings, number < len(parts)), precise(self.settings, device):
                loss = self._loss(self._placed(images), labels.to(device))
                # Each process has its share of the batch, and gradients are averaged over the processes.
                self.scaler.scale(loss * world / batch.global_size).backward()  # type: ignore[no-untyped-call]
        self._update()
        self.progress.iteration += 1
        self.progress.seen += len(batch.labels)
        cycle = cycle_of(self.recipe, self.length.iterations)
        if cycle and self.progress.iteration % cycle == 0:
            self.processes.same_buffers(self.net)
            self.snapshots.append(copied(self._states()[0]))

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The sum over the pictures; of auxiliary classifiers with their weight."""
        told = self.wrapped(images)
        main, *others = told if isinstance(told, tuple) else (told,)
        smoothing = self.recipe.label_smoothing
        loss = F.cross_entropy(main, labels, reduction="sum", label_smoothing=smoothing)
        with torch.no_grad():
            self._count(loss.detach(), (main.argmax(1) != labels).sum())
        for one in others:
            loss = loss + AUXILIARY * F.cross_entropy(one, labels, reduction="sum", label_smoothing=smoothing)
        return loss

    def _count(self, loss: Tensor, wrong: Tensor) -> None:
        """Sums stay on the device until somebody looks."""
        pending = torch.stack([loss.double(), wrong.double()])
        self._pending = pending if self._pending is None else self._pending + pending

    _pending: Tensor | None = None

    def _look(self, began: float, *, last: bool) -> None:
        """Add up what is pending; end with an error where the loss is no number, or where we were asked to stop."""
        loss, wrong = (0.0, 0.0) if self._pending is None else self._pending.tolist()
        self._pending = None
        self.progress.loss += loss
        self.progress.wrong += wrong
        flags = torch.tensor([not math.isfinite(loss), self.stop], dtype=torch.float32, device=self.processes.device)
        lost, stop = self.processes.total(flags).tolist()
        if lost:
            kept = checkpoints.found(self.folder)
            good = f"the last good checkpoint is {kept[0]}" if kept else "no checkpoint was written yet"
            rate = self.optimizer.param_groups[-1]["lr"]
            raise TrainingError(
                f"the loss is no number any more at iteration {self.progress.iteration:,} (rate {rate:g}): {good}. A "
                f"lower rate may help, such as lr={self.recipe.lr / 10:g}"
            )
        if stop and not last:
            self.progress.seconds += time.perf_counter() - began
            self.progress.loss, self.progress.wrong, self.progress.seen = self._sums()
            self.save()
            raise self._stopped()

    def _stopped(self) -> Stopped:
        return Stopped(f"stopped at iteration {self.progress.iteration:,}: the same command goes on from there")

    def _sums(self) -> list[float]:
        """Loss, wrong answers and pictures of this epoch so far, over all processes."""
        own = [self.progress.loss, self.progress.wrong, self.progress.seen]
        sums: list[float] = self.processes.total(
            torch.tensor(own, dtype=torch.float64, device=self.processes.device)
        ).tolist()
        return sums

    def _update(self) -> None:
        if self.recipe.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.recipe.filter_limit:
            limit_filters(self.net, self.recipe.filter_limit)
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)

    def _placed(self, images: Tensor) -> Tensor:
        placed = images.to(self.processes.device, non_blocking=True)
        if not self.settings.channels_last or placed.dim() != 4:  # a classifier alone reads vectors
            return placed
        return placed.to(memory_format=torch.channels_last)

    def _errors(self) -> list[float]:
        return [row["validation_error"] for row in self.progress.history]

    # Looking back

    def _end_of_epoch(self, number: int, seconds: float) -> None:
        progress = self.progress
        loss, wrong, seen = self._sums()
        validation = self._judge([self.judged], self.splits.validation, "single view")
        row = {
            "epoch": number + 1,
            "iteration": progress.iteration,
            "lr": self.optimizer.param_groups[-1]["lr"],
            "train_loss": loss / seen,
            "train_error": wrong / seen,
            "validation_loss": validation.loss,
            "validation_error": 1 - validation.top1,
            "seconds": progress.seconds + seconds,
            "images_per_second": seen / (progress.seconds + seconds),
        }
        self.progress = Progress(progress.iteration, history=[*progress.history, row], best=progress.best)
        if self.recipe.tested == "best" and row["validation_error"] < progress.best:
            self.progress.best = row["validation_error"]
            self.best_state = copied(self._judged_state())
        self.save()
        if self.log is not None:
            self.log.write(self.progress.history)
            self.say(
                f"epoch {number + 1} of {math.ceil(self.length.iterations / self.length.per_epoch)}: "
                f"loss {row['train_loss']:.4f}, error {row['train_error']:.2%}, "
                f"validation error {row['validation_error']:.2%}, rate {row['lr']:g}, "
                f"{row['images_per_second']:,.0f} images/s"
            )

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated: the averaged one where there is one."""
        return self.net if self.averaged is None else self.averaged.module

    def _judged_state(self) -> dict[str, Tensor]:
        return self._states()[0] if self.averaged is None else dict(self.averaged.module.state_dict())

    def _judge(self, nets: Sequence[nn.Module], pictures: Any, protocol: str) -> Score:
        """A score that all processes agree on. A sharded network runs in all of them at once, on all pictures."""
        self.processes.same_buffers(self.net)
        sharded = self.settings.sharded
        return evaluate(
            nets,
            pictures,
            self.prepared,
            protocol=protocol,
            batch=max(self.recipe.batch, 32),
            processes=Distributed(device=self.processes.device) if sharded else self.processes,
        )

    def finish(self) -> TrainResult:
        """Test what the recipe says is to be tested, once, and write the result."""
        tested = self.judged
        if self.best_state is not None:
            tested.load_state_dict(self.best_state)
        test = self._judge([tested], self.splits.test, self.recipe.protocol)
        ensemble = None
        if len(self.snapshots) > 1:
            ensemble = self._judge(self._members(), self.splits.test, self.recipe.protocol)
        result = {
            "test": test.as_dict(),
            "ensemble": None if ensemble is None else ensemble.as_dict(),
            "tested": "best validation" if self.best_state is not None else "last epoch",
            "seed": self.settings.seed,
            "epochs": len(self.progress.history),
            "processes": self.processes.world,
            "precision": self.settings.precision,
            "channels_last": self.settings.channels_last,
            "versions": versions(),
            **json.loads((self.folder / "run.json").read_text()),
        }
        if self.processes.first:
            write_whole(self.folder / "result.json", json.dumps(result, indent=1))
            self.say(f"test: {test}")
            if ensemble is not None:
                self.say(f"test, ensemble of {len(self.snapshots)} snapshots: {ensemble}")
        self.processes.wait()
        if tested is not self.net and isinstance(tested, Net):
            self.net.load_state_dict(tested.state_dict())
        self.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as it was given
        return TrainResult(self.net, self._states()[0], self.progress.history, test, ensemble, result)

    def _members(self) -> list[nn.Module]:
        """The networks of the snapshots."""
        import copy

        members: list[nn.Module] = []
        for state in self.snapshots:
            member = copy.deepcopy(self.net)
            member.load_state_dict(state)
            members.append(member)
        return members

    # The terminal

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGTERM asks for a stop behind the next iteration. Only a main thread can listen."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            self.stop = True

        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            if self.log is not None:
                self.log.close()

    @contextmanager
    def _bar(self, number: int, start: int, end: int) -> Iterator[Any]:
        """A bar for people at a terminal, in the first process."""
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise TrainingError(
                "progress is shown by tqdm, which is not installed: pip install 'archzoo[train]'"
            ) from error
        off = None if self.processes.first else True  # None: only at a terminal
        with tqdm(total=end, initial=start, desc=f"epoch {number + 1}", disable=off, leave=False) as bar:
            yield bar


def copied(state: dict[str, Any]) -> dict[str, Tensor]:
    """The values of a state dict as they are now, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}
