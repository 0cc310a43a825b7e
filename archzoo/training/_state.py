"""Everything that a checkpoint holds: network, optimizer, averaged weights, snapshots and progress."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.layers import Net
from archzoo.recipes import Recipe
from archzoo.training import _checkpoints as checkpoints
from archzoo.training._averaging import copy_to_cpu, moving_average
from archzoo.training._config import RunConfig
from archzoo.training._distributed import Distributed
from archzoo.training._optimizer import build_optimizer
from archzoo.training._parallel import load_state_dicts, parallelize, state_dicts
from archzoo.training._progress import Progress
from archzoo.training._regularization import regularize


class TrainState:
    """A network in training with its optimizer, on the device and over the processes of a run."""

    def __init__(
        self,
        net: Net,
        recipe: Recipe,
        config: RunConfig,
        distributed: Distributed,
        parameter_groups: Sequence[dict[str, Any]] | None,
    ) -> None:
        self.config, self.distributed = config, distributed
        regularize(net, recipe.regularizers)
        self.net = net.to(distributed.device)
        if config.channels_last and not config.sharded:  # FSDP shards contiguous parameters
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parallel = parallelize(self.net, config, distributed)
        if config.compile:
            self.parallel.compile()  # in place: names and state dicts stay
        self.optimizer = build_optimizer(self.net, recipe, parameter_groups)
        self.averaged = moving_average(self.net, recipe.ema) if recipe.ema else None
        self.scaler = torch.amp.GradScaler(distributed.device.type, enabled=config.precision == "float16")
        self.progress = Progress()
        self.snapshots: list[dict[str, Tensor]] = []
        self.best_state: dict[str, Tensor] | None = None

    @property
    def evaluated_net(self) -> nn.Module:
        """The network that is evaluated: the one with averaged weights, if there is one."""
        return self.net if self.averaged is None else self.averaged.module

    def state_dicts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The full state dicts of the network and its optimizer. All processes take part."""
        self.distributed.broadcast_buffers(self.net)
        return state_dicts(self.parallel, self.optimizer, self.config)

    def take_snapshot(self) -> None:
        """Add the current weights to the ensemble."""
        self.snapshots.append(copy_to_cpu(self.state_dicts()[0]))

    def keep_if_best(self, validation_error: float) -> None:
        """Keep the evaluated weights if this validation error is the lowest one."""
        if validation_error < self.progress.best_error:
            self.progress.best_error = validation_error
            state = self.state_dicts()[0] if self.averaged is None else self.averaged.module.state_dict()
            self.best_state = copy_to_cpu(state)

    def save(self, run_dir: Path) -> None:
        """Write a checkpoint. All processes take part, and the main one writes."""
        net_state, optimizer_state = self.state_dicts()
        if self.distributed.is_main:
            state = {
                "net": net_state,
                "optimizer": optimizer_state,
                "progress": asdict(self.progress),
                "scaler": self.scaler.state_dict(),
                "averaged": None if self.averaged is None else self.averaged.state_dict(),
                "snapshots": self.snapshots,
                "best": self.best_state,
            }
            checkpoints.write(run_dir, self.progress.iteration, state)
        self.distributed.barrier()

    def load_latest(self, run_dir: Path) -> bool:
        """Load the last checkpoint that is not corrupt, and return whether there is one."""
        state = checkpoints.read_latest(run_dir)
        if state is None:
            return False
        load_state_dicts(self.parallel, self.optimizer, self.config, state["net"], state["optimizer"])
        self.progress = Progress(**state["progress"])
        if not self.distributed.is_main:  # the saved sums are those of all processes
            self.progress.sums = [0.0, 0.0, 0.0]
        self.scaler.load_state_dict(state["scaler"])
        self.snapshots, self.best_state = state["snapshots"], state["best"]
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        return True
