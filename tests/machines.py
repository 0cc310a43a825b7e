"""A path on two machines, without and with an accelerator: it works on both, and computes the same."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

import archzoo
from archzoo.data import ImageSet, Prepared, Splits, prepare
from archzoo.layers import Net
from archzoo.recipes import RandomCrop, Recipe
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, TrainResult, train
from archzoo.training._logs import no_log
from archzoo.training._trainer import Trainer
from tests.fake_cuda import CPU, CUDA, fake_cuda

SHORT = find_recipe("digits").with_changes(epochs=2, batch_size=4, augmentation=(RandomCrop(padding=2),))


@dataclass(frozen=True)
class Machine:
    """Where a path computes, and a folder for what it writes."""

    device: torch.device
    folder: Path

    def net(self, name: str = "lenet5_textbook", **options: Any) -> Net:
        torch.manual_seed(0)
        return archzoo.build(name, **options).to(self.device)

    def tensor(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(self.device)

    def images(self, channels: int = 1, side: int = 32, count: int = 12) -> ImageSet:
        """Images of ten classes, with their bytes on the device."""
        pixels = self.tensor(count, channels, side, side).mul(255).to(torch.uint8)
        labels = torch.arange(count).to(self.device) % 10
        return ImageSet.from_tensor("noise", pixels, labels, list("abcdefghij"))

    def splits(self) -> Splits:
        return Splits(self.images(), self.images(count=6), self.images(count=6))

    def prepared(self, recipe: Recipe = SHORT) -> Prepared:
        return prepare(recipe.augmentation, recipe.preprocessing, self.images(), 32)

    def train(self, recipe: Recipe = SHORT, net: Net | None = None, **config: Any) -> TrainResult:
        """A run in the folder, on the device of its network."""
        net = self.net() if net is None else net
        prepared, run_config = self.prepared(recipe), RunConfig(**config)
        result = train(net, self.splits(), prepared, recipe, self.folder / "run", run_config, log=no_log)
        assert devices_of(net) == {self.device}
        return result

    def trainer(self, recipe: Recipe, **config: Any) -> Trainer:
        """A trainer whose steps a test makes itself."""
        return Trainer(
            self.net(),
            self.splits(),
            self.prepared(recipe),
            recipe,
            self.folder / "run",
            RunConfig(**config),
            distributed=Distributed(device=self.device),
            description={},
            parameter_groups=None,
            log=no_log,
        )


def devices_of(net: nn.Module) -> set[torch.device]:
    return {tensor.device for tensor in net.state_dict().values()}


def outcome(result: TrainResult) -> Any:
    """What a run computed."""
    ensemble = None if result.ensemble is None else result.ensemble.loss
    losses = [(row["train_loss"], row["validation_loss"]) for row in result.history]
    return result.state, result.test.confusion, result.test.loss, ensemble, losses


def same_on_both(path: Callable[[Machine], Any], folder: Path, tolerance: float = 1e-4) -> None:
    """Compute on a machine without and on one with an accelerator, and compare."""
    expected, computed = (_compute(path, device, folder / device.type) for device in (CPU, CUDA))
    assert len(expected) == len(computed)
    for first, second in zip(expected, computed, strict=True):
        if isinstance(first, Tensor):
            torch.testing.assert_close(second, first, rtol=tolerance, atol=tolerance, equal_nan=True)
        elif isinstance(first, float):
            assert second == pytest.approx(first, rel=tolerance, nan_ok=True)
        else:
            assert second == first


def _compute(path: Callable[[Machine], Any], device: torch.device, folder: Path) -> list[Any]:
    folder.mkdir()
    torch.manual_seed(0)
    with fake_cuda() if device == CUDA else nullcontext():
        leaves, _ = tree_flatten(path(Machine(device, folder)))
        return [leaf.detach().cpu() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
