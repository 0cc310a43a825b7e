"""A fine-tuning run in one call: from names of a network, weights and data to a network in a directory."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import archzoo
from archzoo.data import OnCorrupt
from archzoo.errors import TransferError
from archzoo.layers import Net
from archzoo.recipes import Recipe
from archzoo.registry import find
from archzoo.training import Job, Log, RunConfig, Setup, TrainResult, choose_recipe, default_run_dir, log_to_stderr
from archzoo.transfer._fine_tuning import fine_tune
from archzoo.transfer._head import replace_classifier
from archzoo.transfer._predictions import draw_predictions, load_pillow
from archzoo.transfer._probing import linear_probe


def run(
    network: str,
    *,
    weights: str | Path,
    data: str | Path,
    freeze: bool = False,
    head_epochs: int = 0,
    decay: float = 1.0,
    recipe: Recipe | str = "fine_tuning",
    changes: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    classes: Sequence[int] | None = None,
    on_corrupt: OnCorrupt = "error",
    run_dir: str | Path | None = None,
    config: RunConfig | None = None,
    device: str | None = None,
    log: Log = log_to_stderr,
    pack: bool = False,
    shorter_side: int | None = None,
    background: str = "white",
    value_range: tuple[float, float] | None = None,
    adapt_input: Literal["sum", "mean"] | None = None,
    trained_as: str | None = None,
    data_dir: str | Path | None = None,
    validation: float = 0.1,
    per_class: int | None = None,
) -> TrainResult:
    """Fine-tune a pretrained network on other images with a new classifier, test it once, and write it to ``run_dir``.

    Rerun the same call to resume a run that was stopped or killed. ``run_dir`` gets predictions.png too, a grid of test
    images; it is ``runs/NETWORK-DATA-tuned`` or ``-frozen`` by default.

    Args:
        network: The name of a network.
        weights: Pretrained weights: a published set or a file.
        data: As in ``archzoo.training.run``, as are all arguments that are not listed here.
        freeze: Train a linear probe: the new classifier alone, on features that stay fixed.
        head_epochs: Epochs of the classifier alone, before the whole network is trained.
        decay: The learning rate of a stage, as a share of the next one's.

    Raises:
        TransferError: If ``freeze`` is given with ``head_epochs`` or ``decay``, or the classifier cannot be replaced.
    """
    check_method(freeze=freeze, head_epochs=head_epochs, decay=decay)
    load_pillow()  # predictions.png is drawn at the end
    job = Job(
        find(network),
        choose_recipe(network, data, recipe).with_changes(**(changes or {})),
        data,
        dict(options or {}),
        weights,
        classes,
        on_corrupt,
        Path(run_dir) if run_dir is not None else default_run_dir(network, data, "-frozen" if freeze else "-tuned"),
        config or RunConfig(),
        device,
        log,
        pack=pack,
        shorter_side=shorter_side,
        background=background,
        value_range=value_range,
        adapt_input=adapt_input,
        trained_as=trained_as,
        data_dir=data_dir,
        validation=validation,
        per_class=per_class,
    )
    method = linear_probe if freeze else partial(fine_tune, head_epochs=head_epochs, decay=decay)
    return job.run(partial(_build, job), method, partial(_draw, job.run_dir))


def check_method(*, freeze: bool, head_epochs: int, decay: float) -> None:
    """Raise TransferError for arguments of fine-tuning that a linear probe does not take."""
    if freeze and (head_epochs or decay != 1):
        raise TransferError("freeze trains the classifier alone: head_epochs and decay are for fine-tuning")


def _build(job: Job, options: dict[str, Any]) -> Net:
    """The pretrained network with a new classifier, also where the number of classes is the same."""
    pretrained = {name: value for name, value in options.items() if name != "num_classes"}
    net = archzoo.build(
        job.entry.name, weights=job.weights, adapt_input=job.adapt_input, trained_as=job.trained_as, **pretrained
    )
    replace_classifier(net, options["num_classes"])
    return net


def _draw(run_dir: Path, net: Net, setup: Setup) -> list[str]:
    draw_predictions(net, setup.splits.test, setup.prepared, run_dir / "predictions.png")
    return ["predictions.png"]
