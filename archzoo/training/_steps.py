"""One iteration of training: rates, forward and backward passes, and the update."""

import torch
from torch import Tensor, nn

from archzoo.data import Batch, derive_seed
from archzoo.recipes import Duration, Recipe
from archzoo.training._averaging import snapshot_interval
from archzoo.training._condensing import prune
from archzoo.training._losses import main_and_total_loss, main_logits
from archzoo.training._parallel import gradient_sync
from archzoo.training._passes import GraphedPass
from archzoo.training._precision import autocast
from archzoo.training._progress import DeviceSums
from archzoo.training._regularization import limit_filters
from archzoo.training._state import TrainState


def train_step(
    state: TrainState,
    recipe: Recipe,
    duration: Duration,
    batch: Batch,
    sums: DeviceSums,
    graphed: GraphedPass | None = None,
) -> None:
    """One iteration on this process's share of a batch. Adds its loss and errors to ``sums``."""
    config, distributed = state.config, state.distributed
    torch.manual_seed(derive_seed("forward", config.seed, state.progress.iteration, distributed.rank))
    _set_rates(state, recipe, duration)
    prune(state.learned_groups, state.progress.iteration, duration.iterations)
    if not state.parallel.training:
        state.parallel.train()
    if graphed is not None:
        graphed(to_device(state, batch.images), batch.labels.to(distributed.device))
    else:
        _run_in_parts(state, recipe, batch, sums)
    _update(state, recipe, keep_gradients=graphed is not None and graphed.replaces_gradients)
    state.progress.iteration += 1
    state.progress.images += len(batch.labels)
    interval = snapshot_interval(recipe, duration.iterations)
    if interval and state.progress.iteration % interval == 0:
        state.take_snapshot()


def _run_in_parts(state: TrainState, recipe: Recipe, batch: Batch, sums: DeviceSums) -> None:
    parts = split_batch(batch, state.config.accumulate, state.distributed.world_size)
    for number, (images, labels, weight) in enumerate(parts, 1):
        state.path_seed = derive_seed("paths", state.config.seed, state.progress.iteration, number)
        with gradient_sync(state.parallel, state.config, enabled=number == len(parts)):
            moved = to_device(state, images), labels.to(state.distributed.device)
            forward_backward(state, recipe, *moved, batch.global_size, sums, weight)


def split_batch(batch: Batch, accumulate: int, world_size: int) -> list[tuple[Tensor, Tensor, float]]:
    """A process's share of a batch in parts: images, labels, and the factor of their loss.

    Several processes make as many parts each, since those of a sharded network wait for each other in every pass: as
    many as the smallest share has images. Where corrupt images were left out of a share and too few are left, further
    parts are its first image again, whose loss counts nothing.
    """
    if world_size == 1:
        count = min(accumulate, max(len(batch.labels), 1))
    else:
        count = min(accumulate, batch.global_size // world_size)
    filled = min(count, len(batch.labels)) or 1
    parts = zip(batch.images.tensor_split(filled), batch.labels.tensor_split(filled), strict=True)
    first = batch.images[:1], batch.labels[:1], 0.0
    return [(images, labels, 1.0) for images, labels in parts] + [first] * (count - filled)


def forward_backward(
    state: TrainState,
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    global_size: int,
    sums: DeviceSums,
    weight: float = 1.0,
) -> None:
    """Add the gradients of these images, a part of a batch of ``global_size``; their loss and errors to ``sums``.

    With ``weight`` 0 they count nothing.
    """
    # A CUDA graph has no room for casts that are kept from one call to the next.
    with autocast(state.config, state.distributed.device, cache=state.distributed.device.type != "cuda"):
        outputs = state.parallel(images)
        main, total = main_and_total_loss(
            outputs, labels, recipe.loss, label_smoothing=recipe.label_smoothing, reduction="sum"
        )
        if weight:
            sums.add(main, main_logits(outputs), labels)
        # Each process has its share of the batch, and gradients are averaged over the processes.
        scaled = total * (weight * state.distributed.world_size) / global_size
        state.scaler.scale(scaled).backward()  # type: ignore[no-untyped-call]


def _set_rates(state: TrainState, recipe: Recipe, duration: Duration) -> None:
    progress = state.progress
    factor = progress.rate_factor(recipe.schedule, duration, progress.iteration)
    for group in state.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def to_device(state: TrainState, images: Tensor) -> Tensor:
    """Images on the device of a run, in its memory format."""
    moved = images.to(state.distributed.device, non_blocking=True)
    if not state.config.channels_last or moved.dim() != 4:  # the classifier of a linear probe reads vectors
        return moved
    return moved.to(memory_format=torch.channels_last)


def _update(state: TrainState, recipe: Recipe, *, keep_gradients: bool) -> None:
    lasso = [layer for layer in state.learned_groups if layer.lasso]
    if recipe.grad_clip_norm or lasso:
        state.scaler.unscale_(state.optimizer)
    for layer in lasso:
        layer.add_lasso_gradient()
    if recipe.grad_clip_norm:
        nn.utils.clip_grad_norm_(state.net.parameters(), recipe.grad_clip_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if not keep_gradients:
        state.optimizer.zero_grad(set_to_none=True)
    if recipe.filter_limit:
        limit_filters(state.net, recipe.filter_limit)
    if state.averaged is not None:
        state.averaged.update_parameters(state.net)
