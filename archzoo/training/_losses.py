"""The training loss: cross-entropy, of auxiliary classifiers with their weight."""

import torch.nn.functional as F
from torch import Tensor

from archzoo.errors import TrainingError

Outputs = Tensor | tuple[Tensor, ...]


def training_loss(outputs: Outputs, labels: Tensor, *, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Cross-entropy of a network's outputs in training mode.

    ``outputs`` are logits (N, num_classes), or a named tuple of the main and the auxiliary logits. Its
    ``auxiliary_weight`` scales the loss of each auxiliary classifier: 0.3 in GoogLeNet (Sec. 5). Raises TrainingError
    for a tuple without one.
    """
    return main_and_total_loss(outputs, labels, label_smoothing=label_smoothing, reduction=reduction)[1]


def main_and_total_loss(
    outputs: Outputs, labels: Tensor, *, label_smoothing: float, reduction: str
) -> tuple[Tensor, Tensor]:
    """The loss of the main classifier, and the one that training minimizes: ``training_loss``."""
    main, *auxiliary = (
        F.cross_entropy(logits, labels, reduction=reduction, label_smoothing=label_smoothing)
        for logits in ((outputs,) if isinstance(outputs, Tensor) else outputs)
    )
    return (main, main + _auxiliary_weight(outputs) * sum(auxiliary)) if auxiliary else (main, main)


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
