"""Training by a recipe, in one process or several. A run that was killed resumes, and its weights are bit-identical."""

import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.data import (
    Batch,
    EpochBatches,
    ImageSet,
    Prepared,
    Splits,
    check_batch_size,
    load_batches,
    watched_workers,
)
from archzoo.errors import DataError, Stopped, TrainingError, is_out_of_memory
from archzoo.layers import Net, device_of
from archzoo.recipes import Protocol, Recipe, SingleCrop, spell_seconds
from archzoo.training import _checkpoints as checkpoints
from archzoo.training._averaging import ensemble_members
from archzoo.training._batch_norms import check_has_batch_norm, estimate_batch_norms
from archzoo.training._checking import check_classes
from archzoo.training._config import RunConfig, check_config, why_no_graph
from archzoo.training._distributed import Distributed
from archzoo.training._evaluation import evaluate
from archzoo.training._exclusive import generators_kept, one_at_a_time
from archzoo.training._logs import HistoryWriter, Log, log_to_stderr
from archzoo.training._machines import describe_differences, describe_machine
from archzoo.training._passes import GraphedPass
from archzoo.training._placing import place
from archzoo.training._precision import gpu_kernels, resolve
from archzoo.training._progress import DeviceSums, Progress, Row, progress_bar
from archzoo.training._reporting import Pulse, introduce
from archzoo.training._result import TrainResult, describe_result, write_result
from archzoo.training._run_dir import RunDir, claimed, describe_run
from archzoo.training._scores import Score
from archzoo.training._sharded_steps import check_steps
from archzoo.training._shared_paths import shared_paths
from archzoo.training._state import TrainState
from archzoo.training._steps import forward_backward, to_device, train_step
from archzoo.training._stopping import on_stop_signal, share_signal
from archzoo.training._utilization import Utilization

CHECK_INTERVAL = 20  # iterations between two checks of the loss and of signals, on an accelerator


def train(
    net: Net,
    splits: Splits,
    prepared: Prepared,
    recipe: Recipe,
    run_dir: str | Path,
    config: RunConfig | None = None,
    *,
    distributed: Distributed | None = None,
    description: dict[str, Any] | None = None,
    parameter_groups: Sequence[dict[str, Any]] | None = None,
    log: Log = log_to_stderr,
) -> TrainResult:
    """Train a network in place by a recipe, and test it.

    Args:
        net: The network; its logits have one column for each class of ``splits``.
        splits: Images to train, to validate after each epoch, and to test once at the end.
        prepared: Augmentation and preprocessing, from ``archzoo.data._preprocessing.prepare``.
        recipe: The recipe.
        run_dir: Where run.json, log.csv, log.jsonl, checkpoints and result.json are written. If it holds checkpoints
            of the same run, training resumes from the last one, to bit-identical weights.
        config: Seed, precision and the like.
        distributed: This process, from ``archzoo.training._distributed.join``; by default a single process on the
            device of the network.
        description: What else identifies the run, in plain types.
        parameter_groups: The optimizer's, each with its own ``lr``; all parameters that require gradients by default.
        log: Called with each line for people.

    Raises:
        TrainingError: For a config that does not fit, a run directory of another run or in use by another process, a
            file of it that cannot be written, or a loss or weights that are NaN or infinite.
        Stopped: After SIGTERM, SIGINT or SIGHUP, with the state saved.
        CheckpointError: If a checkpoint cannot be written, or none of those in the run directory can be used.
    """
    trainer = Trainer(
        net,
        splits,
        prepared,
        recipe,
        Path(run_dir),
        config or RunConfig(),
        distributed=distributed or Distributed(device=device_of(net)),
        description=description or {},
        parameter_groups=parameter_groups,
        log=log,
    )
    return trainer.run()


class Trainer:
    """One training run. ``train`` makes one and runs it to its end."""

    run_dir: RunDir  # while it is trained in

    def __init__(
        self,
        net: Net,
        splits: Splits,
        prepared: Prepared,
        recipe: Recipe,
        run_dir: Path,
        config: RunConfig,
        *,
        distributed: Distributed,
        description: dict[str, Any],
        parameter_groups: Sequence[dict[str, Any]] | None,
        log: Log,
    ) -> None:
        check_config(config, recipe, distributed)
        if config.sharded:
            check_steps(recipe, distributed)
        check_batch_size(recipe.batch_size, splits.train, distributed.world_size)
        if recipe.batch_norm_images:
            check_has_batch_norm(net)
        check_classes(net, splits.test, prepared, recipe.protocol)
        self.splits, self.prepared, self.recipe = splits, prepared, recipe
        self.path, self.distributed, self.log = run_dir, distributed, log
        self.config = resolve(config, distributed.device)
        self.duration = recipe.duration(len(splits.train))
        self.sums = DeviceSums(distributed.device)
        self.stop_signal = 0
        self.pulse = Pulse(log, self.duration)
        self.state = TrainState(net, recipe, self.config, distributed, parameter_groups)
        self.placed = place(splits, prepared, self.config, distributed.device)
        self.graphed = self._graphed()
        self.utilization = Utilization(net, self.config, distributed)
        self.description = describe_run(recipe, config, splits, description)
        self.history: HistoryWriter | None = None
        self.introduction = introduce(
            description.get("network", type(net).__name__),
            net,
            splits,
            recipe,
            self.config,
            distributed.device,
            run_dir,
        )

    def run(self) -> TrainResult:
        """Resume, train all remaining epochs, and test."""
        with one_at_a_time(), generators_kept(self.distributed.device):
            result = self._run()
        share_signal(self.distributed)
        return result

    def _run(self) -> TrainResult:
        with (
            on_stop_signal(self._request_stop),
            gpu_kernels(self.config, self.distributed.device),
            claimed(self.path, self.description, self.distributed) as self.run_dir,
            self._writing_history(),
            shared_paths(self.state.net, lambda: self.state.path_seed) if self.config.sharded else nullcontext(),
        ):
            try:
                with watched_workers():  # their end is told by a signal, wherever this process is
                    return self._train_and_test()
            except DataError as error:
                if self.stop_signal:  # it was sent to all processes, and ended those that prepare batches
                    message = "stopped; rerun the command to resume from the last checkpoint"
                    raise Stopped(message, self.stop_signal) from error
                raise
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                raise TrainingError(
                    f"there is not enough memory on {self.distributed.device} for batches of "
                    f"{self.recipe.batch_size:,} images: give a larger accumulate, such as "
                    f"{2 * self.config.accumulate}, or a smaller batch_size"
                ) from error

    def _train_and_test(self) -> TrainResult:
        self._introduce()
        self.resume()
        self.pulse.start(self.progress.iteration)
        while not self.is_done:
            self.train_epoch()
        return self.finish()

    @contextmanager
    def _writing_history(self) -> Iterator[None]:
        if self.distributed.is_main:
            self.history = HistoryWriter(self.path, self.config.tensorboard)
        try:
            yield
        finally:
            if self.history is not None:
                self.history.close()

    def _graphed(self) -> GraphedPass | None:
        """The pass that is captured in a CUDA graph, or None where that is not possible or not wanted."""
        if self.config.cuda_graph is False or why_no_graph(self.config, self.distributed):
            return None

        def whole_batch(images: Tensor, labels: Tensor) -> None:
            forward_backward(self.state, self.recipe, images, labels, self.recipe.batch_size, self.sums)

        return GraphedPass(whole_batch, list(self.state.net.parameters()), self.log)

    def _introduce(self) -> None:
        if self.distributed.is_main:
            for line in self.introduction:
                self.log(line)

    def _request_stop(self, number: int) -> None:
        self.stop_signal = number

    @property
    def progress(self) -> Progress:
        """Where the run is."""
        return self.state.progress

    @property
    def is_done(self) -> bool:
        """Whether all iterations are done."""
        return self.progress.iteration >= self.duration.iterations

    def resume(self) -> None:
        """Load the last checkpoint that can be used, if there is one, and say where bits may differ from then on."""
        machine = self.state.load_latest(self.run_dir)
        if machine is None or not self.distributed.is_main:
            return
        self.log(f"resuming from iteration {self.progress.iteration:,} of {self.duration.iterations:,}")
        different = describe_differences(machine, describe_machine(self.distributed))
        if different and not self.is_done:
            self.log(f"the last bits will differ from those of an uninterrupted run: it had {different}")

    # Training

    def train_epoch(self) -> None:
        """Train to the end of the epoch, validate, log, and write a checkpoint."""
        epoch, start = divmod(self.progress.iteration, self.duration.per_epoch)
        batches = self._batches(epoch)
        self.splits.train.check_file()
        end = min(len(batches), self.duration.iterations - epoch * self.duration.per_epoch)
        began = time.perf_counter()
        with progress_bar(epoch + 1, start, end, shown=self.distributed.is_main) as bar:
            loaded = load_batches(batches, start, self.config.workers, self.distributed.device)
            for index, batch in zip(range(start, end), loaded, strict=False):
                self.step(batch)
                bar.update()
                is_last = index + 1 == end
                if is_last or self.distributed.device.type == "cpu" or index % CHECK_INTERVAL == 0:
                    self._check(began, is_last=is_last)
        self._end_epoch(epoch, time.perf_counter() - began)
        stop = torch.tensor(float(self.stop_signal > 0), device=self.distributed.device)
        if self.distributed.all_reduce(stop) and not self.is_done:
            raise self._stopped()

    def _batches(self, epoch: int) -> EpochBatches:
        return EpochBatches(
            self.placed.train,
            self.placed.prepared.train,
            self.recipe.batch_size,
            self.config.seed,
            epoch,
            self.distributed.rank,
            self.distributed.world_size,
        )

    def step(self, batch: Batch) -> None:
        """One iteration on this process's share of a batch."""
        self.utilization.count(batch.images)
        train_step(self.state, self.recipe, self.duration, batch, self.sums, self.graphed)

    def _check(self, began: float, *, is_last: bool) -> None:
        """Read the sums from the device. Raises where the loss is not finite, or where a stop was requested."""
        loss, errors = self.sums.take()
        self.progress.loss += loss
        self.progress.errors += errors
        self.pulse.train(self.progress.iteration, lambda: self.progress.loss / max(self.progress.images, 1))
        if self.distributed.is_orphan:
            self._request_stop(signal.SIGTERM)
        flags = [not math.isfinite(loss), self.stop_signal > 0]
        reduced = torch.tensor(flags, dtype=torch.float32, device=self.distributed.device)
        diverged, stop = self.distributed.all_reduce(reduced).tolist()
        if diverged:
            raise self._diverged()
        if stop and not is_last:
            self.progress.seconds += time.perf_counter() - began
            self.progress.sums = self._reduced_sums()
            self._check_finite()
            self.state.save(self.run_dir)
            raise self._stopped()

    def _check_finite(self, validation_loss: float = 0.0) -> None:
        """Raise before a checkpoint is written from which no run can go on: the last update is in no loss yet."""
        flags = [not self.state.is_finite(), not math.isfinite(validation_loss)]
        reduced = torch.tensor(flags, dtype=torch.float32, device=self.distributed.device)
        weights, validation = self.distributed.all_reduce(reduced).tolist()
        if weights or validation:
            raise self._diverged("the weights are" if weights else "the validation loss is")

    def _diverged(self, what: str = "loss is") -> TrainingError:
        kept = checkpoints.list_checkpoints(self.path)
        last = f"the last good checkpoint is {kept[0]}" if kept else "no checkpoint was written yet"
        return TrainingError(
            f"{what} NaN or infinite at iteration {self.progress.iteration:,} "
            f"(lr {self._lr():g}): {last}; try a lower learning rate, such as "
            f"lr={self.recipe.lr / 10:g}"
        )

    def _lr(self) -> float:
        """The recipe's rate in the last iteration, without the factors of parameter groups."""
        last = self.progress.iteration - 1
        return self.recipe.lr * self.progress.rate_factor(self.recipe.schedule, self.duration, last)

    def _stopped(self) -> Stopped:
        return Stopped(
            f"stopped at iteration {self.progress.iteration:,}; rerun the command to resume",
            self.stop_signal or signal.SIGTERM,
        )

    def _reduced_sums(self) -> list[float]:
        """Loss, errors and images of this epoch so far, over all processes."""
        own = torch.tensor(self.progress.sums, dtype=torch.float64, device=self.distributed.device)
        reduced: list[float] = self.distributed.all_reduce(own).tolist()
        return reduced

    # Evaluation

    def _end_epoch(self, epoch: int, seconds: float) -> None:
        row = self._row(epoch, seconds)
        self._check_finite(row["validation_loss"])
        self.state.progress = self.progress.next_epoch(row)
        if self.recipe.select == "best":
            self.state.keep_if_best(row["validation_error"])
        self.state.save(self.run_dir)
        self._write_history()
        if self.distributed.is_main:
            left = "" if self.is_done else f", {spell_seconds(self.pulse.left(self.progress.iteration))} left"
            self.pulse.note()
            self.log(
                f"epoch {epoch + 1} of {math.ceil(self.duration.iterations / self.duration.per_epoch)}: "
                f"loss {row['train_loss']:.4f}, error {row['train_error']:.2%}, "
                f"validation error {row['validation_error']:.2%}, lr {row['lr']:g}, "
                f"{row['images_per_second']:,.0f} images/s" + (f", MFU {row['mfu']:.1%}" if "mfu" in row else "") + left
            )

    def _write_history(self) -> None:
        if self.history is not None:
            self.run_dir.check()
            self.history.write(self.progress.history)

    def _row(self, epoch: int, seconds: float) -> Row:
        progress = self.progress
        loss, errors, images = self._reduced_sums()
        validation = self._evaluate([self.state.evaluated_net], self.placed.validation, SingleCrop())
        return {
            "epoch": epoch + 1,
            "iteration": progress.iteration,
            "lr": self._lr(),
            "train_loss": loss / images,
            "train_error": errors / images,
            "validation_loss": validation.loss,
            "validation_error": 1 - validation.top1,
            "seconds": progress.seconds + seconds,
            "images_per_second": images / (progress.seconds + seconds),
            **self.utilization.describe(images / (progress.seconds + seconds)),
        }

    def _evaluate(self, nets: Sequence[nn.Module], images: ImageSet, protocol: Protocol) -> Score:
        """A score that all processes agree on. A sharded network runs in all of them, on all images."""
        for net in nets:
            self.distributed.broadcast_buffers(net)
        score = evaluate(
            nets,
            images,
            self.placed.prepared if images is self.placed.validation else self.prepared,
            protocol=protocol,
            batch_size=max(self.recipe.batch_size, 32),
            distributed=Distributed(device=self.distributed.device) if self.config.sharded else self.distributed,
            workers=self.config.workers,
            progress=lambda done, total: self.pulse.evaluate(images.name, done, total),
        )
        # An image that is gone by now may be left out in one process alone.
        return self.distributed.share(score) if self.config.sharded else score

    def finish(self) -> TrainResult:
        """Evaluate the test set once, and write the result."""
        state, net = self.state, self.state.evaluated_net
        self._write_history()  # a run may have been killed after its last checkpoint
        state.load_best()
        batches = self._estimate_batch_norms(net)
        test = self._evaluate([net], self.splits.test, self.recipe.protocol)
        ensemble = None
        if len(state.snapshots) > 1:
            members = ensemble_members(state.net, state.snapshots)
            for member in members:
                self._estimate_batch_norms(member)
            ensemble = self._evaluate(members, self.splits.test, self.recipe.protocol)
        result = describe_result(self.description, test, ensemble, self._result_values(batches))
        if self.distributed.is_main:
            self.run_dir.check()
            write_result(self.path, result)
            self.log(f"test: {test}")
            if ensemble is not None:
                self.log(f"test, ensemble of {len(state.snapshots)} snapshots: {ensemble}")
        self.distributed.barrier()
        if net is not state.net:
            state.net.load_state_dict(net.state_dict())
        state.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as it was given
        return TrainResult(*state.trained(), self.progress.history, test, ensemble, result)

    def _estimate_batch_norms(self, net: nn.Module) -> int:
        """Estimate the statistics of batch norms anew from the recipe's number of images; return that of batches."""
        count = self.recipe.batch_norm_images
        return estimate_batch_norms(net, self._further_batches(count), self.distributed) if count else 0

    def _further_batches(self, images: int) -> Iterator[Tensor]:
        """This process's shares of the batches of training images that would come next."""
        left, epoch = max(images // self.recipe.batch_size, 1), len(self.progress.history)
        while left:
            for batch in islice(load_batches(self._batches(epoch), 0, self.config.workers), left):
                # As many parts in every process, some perhaps without an image: their statistics are added up.
                least = self.recipe.batch_size // self.distributed.world_size
                parts = min(self.config.accumulate, least if self.distributed.world_size > 1 else len(batch.images))
                yield from (to_device(self.state, part) for part in batch.images.tensor_split(parts))
                left -= 1
            epoch += 1

    def _result_values(self, batch_norm_batches: int) -> dict[str, Any]:
        return {
            "batch_norm_batches": batch_norm_batches,
            "selected": "best validation" if self.state.best_state is not None else "last epoch",
            "seed": self.config.seed,
            "epochs": len(self.progress.history),
            "processes": self.distributed.world_size,
            "precision": self.config.precision,
            "channels_last": self.config.channels_last,
            "data_origin": self.splits.train.origin or None,
            "images": {name: len(images) for name, images in vars(self.splits).items()},
        }
