"""The training loss: cross-entropy or squared hinge, of auxiliary classifiers with their weight."""

from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from archzoo.errors import TrainingError

Outputs = Tensor | tuple[Tensor, ...]
Loss = Literal["cross_entropy", "squared_hinge"]


def training_loss(
    outputs: Outputs,
    labels: Tensor,
    *,
    loss: Loss = "cross_entropy",
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The loss of a network's outputs in training mode.

    ``outputs`` are logits (N, num_classes), or a named tuple of the main and the auxiliary logits. Its
    ``auxiliary_weight`` scales the loss of each auxiliary classifier: 0.3 in GoogLeNet (Sec. 5). Raises TrainingError
    for a tuple without one.
    """
    return main_and_total_loss(outputs, labels, loss, label_smoothing=label_smoothing, reduction=reduction)[1]


def main_and_total_loss(
    outputs: Outputs, labels: Tensor, loss: Loss = "cross_entropy", *, label_smoothing: float, reduction: str
) -> tuple[Tensor, Tensor]:
    """The loss of the main classifier, and the one that training minimizes: ``training_loss``."""
    function = squared_hinge if loss == "squared_hinge" else partial(F.cross_entropy, label_smoothing=label_smoothing)
    main, *auxiliary = (
        function(logits, labels, reduction=reduction)
        for logits in ((outputs,) if isinstance(outputs, Tensor) else outputs)
    )
    return (main, main + _auxiliary_weight(outputs) * sum(auxiliary)) if auxiliary else (main, main)


def squared_hinge(logits: Tensor, labels: Tensor, *, reduction: str = "mean") -> Tensor:
    """The squared hinge loss of each class against all others, added over the classes (Deeply-Supervised Nets, Sec. 2).

    The sum over classes of max(0, 1 - y s)^2, for logits s (N, num_classes) and y = 1 for the class in ``labels`` (N,)
    and -1 for others. ``reduction`` is over the images.
    """
    signs = 2 * F.one_hot(labels, logits.shape[1]) - 1
    of_images = (1 - signs * logits).clamp(min=0).square().sum(1)
    return of_images.mean() if reduction == "mean" else of_images.sum()


def _auxiliary_weight(outputs: Outputs) -> float:
    weight = getattr(outputs, "auxiliary_weight", None)
    if weight is None:
        raise TrainingError(
            f"the network returned {type(outputs).__name__} in training mode, which has no auxiliary_weight: return "
            f"logits, or a named tuple with a property auxiliary_weight"
        )
    return float(weight)


def main_logits(outputs: Outputs) -> Tensor:
    """The logits of the main classifier."""
    return outputs if isinstance(outputs, Tensor) else outputs[0]
