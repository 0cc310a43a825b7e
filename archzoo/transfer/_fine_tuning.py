"""Fine-tuning: all of a network is trained, the classifier alone first, early stages at lower rates."""

from pathlib import Path
from typing import Any

from archzoo.data import Prepared, Splits
from archzoo.errors import Stopped
from archzoo.layers import Net
from archzoo.recipes import Recipe
from archzoo.training import Distributed, Log, RunConfig, TrainResult, last_signal, log_to_stderr, train
from archzoo.transfer._freezing import frozen
from archzoo.transfer._layer_rates import parameter_groups


def fine_tune(
    net: Net,
    splits: Splits,
    prepared: Prepared,
    recipe: Recipe,
    run_dir: str | Path,
    config: RunConfig | None = None,
    *,
    head_epochs: int = 0,
    decay: float = 1.0,
    distributed: Distributed | None = None,
    description: dict[str, Any] | None = None,
    log: Log = log_to_stderr,
) -> TrainResult:
    """Fine-tune a network on other images, in place. The learning rate of a stage is ``decay`` times the next one's.

    With ``head_epochs``, the classifier alone is trained first for that many epochs at the recipe's initial rate; that
    run is in ``run_dir``'s folder ``head``. Frozen parts stay frozen. See ``archzoo.training._trainer.train`` for the
    other arguments and errors.
    """
    directory = Path(run_dir)
    parameter_groups(net, recipe.lr, decay)  # refuses a decay before the classifier is trained
    stages = {**({"head_epochs": head_epochs} if head_epochs else {}), **({"decay": decay} if decay != 1 else {})}
    if head_epochs:
        head_recipe = recipe.with_changes(epochs=head_epochs, batch_norm_images=0)
        with frozen(net, "features"):
            train(
                net,
                splits,
                prepared,
                head_recipe,
                directory / "head",
                config,
                distributed=distributed,
                description=description,
                log=log,
            )
        if (number := last_signal()) is not None:
            raise Stopped("stopped after the classifier's epochs; rerun the command to resume", number)
    return train(
        net,
        splits,
        prepared,
        recipe,
        directory,
        config,
        distributed=distributed,
        description={**(description or {}), **stages},
        parameter_groups=parameter_groups(net, recipe.lr, decay),
        log=log,
    )
