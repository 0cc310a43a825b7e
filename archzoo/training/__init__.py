"""Training by the papers' recipes: ``run`` takes names, ``train`` takes a network and images.

>>> from archzoo.training import run
>>> result = run("resnet20", data="cifar10")

Nothing here imports PyTorch before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archzoo.training.config import RunConfig
    from archzoo.training.evaluation import evaluate
    from archzoo.training.result import TrainResult
    from archzoo.training.runs import run
    from archzoo.training.trainer import train

__all__ = ["RunConfig", "TrainResult", "evaluate", "run", "train"]

_MODULES = {
    "RunConfig": "config",
    "TrainResult": "result",
    "evaluate": "evaluation",
    "run": "runs",
    "train": "trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
