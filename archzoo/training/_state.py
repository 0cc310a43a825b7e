"""Everything that a checkpoint holds: network, optimizer, averaged weights, snapshots and progress."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archzoo.errors import CheckpointError
from archzoo.layers import Net
from archzoo.recipes import Recipe
from archzoo.training import _checkpoints as checkpoints
from archzoo.training._averaging import copy_to_cpu, moving_average
from archzoo.training._checkpoint_content import check_content
from archzoo.training._condensing import learned_groups
from archzoo.training._config import RunConfig
from archzoo.training._distributed import Distributed
from archzoo.training._machines import describe_machine
from archzoo.training._optimizer import build_optimizer, placed_groups
from archzoo.training._parallel import (
    full_state,
    load_net,
    load_state_dicts,
    local_part,
    parallelize,
    state_dicts,
    unwrap,
)
from archzoo.training._progress import Progress
from archzoo.training._regularization import regularize
from archzoo.training._run_dir import RunDir
from archzoo.training._writing import writing


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
        self.config, self.distributed, self.given = config, distributed, net
        regularize(net, recipe.regularizers)
        names = {parameter: name for name, parameter in net.named_parameters()}
        # FSDP changes a network for good, and another training may follow.
        self.net = (copy.deepcopy(net) if config.sharded else net).to(distributed.device)
        if config.channels_last and not config.sharded:  # FSDP shards contiguous parameters
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parallel = parallelize(self.net, config, distributed)
        if config.compile:
            self.parallel.compile()  # in place: names and state dicts stay
        groups = None if parameter_groups is None else placed_groups(parameter_groups, names, self.net)
        self.optimizer = build_optimizer(self.net, recipe, groups)
        self.averaged = moving_average(self.net, recipe.ema) if recipe.ema else None
        self.scaler = torch.amp.GradScaler(distributed.device.type, enabled=config.precision == "float16")
        self.learned_groups = learned_groups(self.net)
        self.progress = Progress()
        self.path_seed = 0  # of the paths that a sharded network draws in the next pass
        self.snapshots: list[dict[str, Tensor]] = []
        self.best_state: dict[str, Tensor] | None = None

    @property
    def evaluated_net(self) -> nn.Module:
        """The network that is evaluated: the one with averaged weights, if there is one."""
        return self.net if self.averaged is None else self.averaged.module

    def state_dicts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The full state dicts of the network and its optimizer. All processes take part."""
        self.distributed.broadcast_buffers(self.net)
        return state_dicts(self.parallel, self.optimizer)

    def trained(self) -> tuple[Net, dict[str, Any]]:
        """The network as it was given, with the weights at the end of the run, and its full state dict."""
        state, _ = self.state_dicts()
        if self.given is not self.net:
            self.given.load_state_dict(state)
            self.given.to(self.distributed.device)
        return self.given, state

    def is_finite(self) -> bool:
        """Whether this process has no parameter that is NaN or infinite; of a sharded one, its own part."""
        return all(bool(local_part(parameter.detach()).isfinite().all()) for parameter in self.net.parameters())

    def take_snapshot(self) -> None:
        """Add the current weights to the ensemble."""
        self.distributed.broadcast_buffers(self.net)
        self.snapshots.append(copy_to_cpu(full_state(self.net)))

    def keep_if_best(self, validation_error: float) -> None:
        """Keep the evaluated weights if this validation error is the lowest one."""
        if validation_error < self.progress.best_error:
            self.progress.best_error = validation_error
            self.distributed.broadcast_buffers(self.evaluated_net)
            self.best_state = copy_to_cpu(full_state(self.evaluated_net))

    def load_best(self) -> None:
        """Load the weights of the best epoch, where they are kept, into the network that is evaluated."""
        if self.best_state is not None:
            load_net(self.evaluated_net, self.best_state)

    def save(self, run_dir: RunDir) -> None:
        """Write a checkpoint. All processes take part, and the main one writes."""
        net_state, optimizer_state = self.state_dicts()
        if self.distributed.is_main:
            state = {
                "run": run_dir.run,
                "machine": describe_machine(self.distributed),
                "net": net_state,
                "optimizer": optimizer_state,
                "progress": asdict(self.progress),
                "scaler": self.scaler.state_dict(),
                "averaged": None if self.averaged is None else self.averaged.state_dict(),
                "snapshots": self.snapshots,
                "best": self.best_state,
            }
            run_dir.check()
            checkpoints.write(run_dir.path, self.progress.iteration, state)
        self.distributed.barrier()

    def load_latest(self, run_dir: RunDir) -> dict[str, Any] | None:
        """Load the last checkpoint that all processes can use; return the machine that wrote it, None without one.

        A checkpoint that cannot be used is named in a warning, and put aside once an earlier one is loaded. Raises
        CheckpointError if there are some and none can be used: starting over would hide that.
        """
        names = [path.name for path in checkpoints.list_checkpoints(run_dir.path)]
        unusable: list[Path] = []
        for name in self.distributed.gather(names)[0]:
            path = run_dir.path / name
            machine, reason = self._try_to_load(path, run_dir.run)
            reason = next(filter(None, self.distributed.gather(reason)), "")
            if not reason:
                self._put_aside(unusable)
                return machine
            unusable.append(path)
            if self.distributed.is_main:
                warnings.warn(f"archzoo: {path} cannot be used: {reason}; trying the one before it", stacklevel=2)
        if unusable:
            raise CheckpointError(
                f"no checkpoint in {run_dir.path} can be used ({reason}): delete them to start over, or choose another "
                f"directory"
            )
        return None

    def _put_aside(self, unusable: Sequence[Path]) -> None:
        """Rename checkpoints, so that they take no good one's place among those that are kept."""
        for path in unusable if self.distributed.is_main else ():
            with writing(path):
                path.rename(f"{path}.unusable")

    def _try_to_load(self, path: Path, run: str) -> tuple[dict[str, Any], str]:
        """Load a checkpoint. Returns the machine that wrote it and "", or the reason why it cannot be used."""
        try:
            state = checkpoints.read(path)
            check_content(state, path, run, unwrap(self.parallel).state_dict(), self.optimizer)
            self._load(state)
        except CheckpointError as error:
            return {}, str(error)
        except Exception as error:  # torch's loading raises nearly anything where the content is wrong
            return {}, f"its content does not fit ({type(error).__name__})"
        return state["machine"], ""

    def _load(self, state: dict[str, Any]) -> None:
        load_state_dicts(self.parallel, self.optimizer, state["net"], state["optimizer"])
        self.progress = Progress(**state["progress"])
        if not self.distributed.is_main:  # the saved sums are those of all processes
            self.progress.sums = [0.0, 0.0, 0.0]
        self.scaler.load_state_dict(state["scaler"])
        self.snapshots, self.best_state = state["snapshots"], state["best"]
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
