"""Training by the papers' recipes: ``run`` takes names, ``train`` takes a network and images.

>>> from archzoo.training import run
>>> result = run("resnet20", data="cifar10")

Nothing here imports PyTorch before it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archzoo.training._choosing import choose_recipe
    from archzoo.training._config import RunConfig
    from archzoo.training._distributed import Distributed
    from archzoo.training._environment import read_environment
    from archzoo.training._evaluation import evaluate, predict
    from archzoo.training._launching import is_launched, launch, report_error
    from archzoo.training._logs import Log, log_to_stderr
    from archzoo.training._optimizer import check_groups
    from archzoo.training._precision import prefers_channels_last
    from archzoo.training._protocols import single_crop
    from archzoo.training._result import TrainResult
    from archzoo.training._runs import Job, Setup, default_run_dir, run
    from archzoo.training._scores import Score, mean_and_deviation
    from archzoo.training._stopping import last_signal
    from archzoo.training._trained import Trained, describe_training, load_trained, match_classes
    from archzoo.training._trainer import train

__all__ = [
    "Distributed",
    "Job",
    "Log",
    "RunConfig",
    "Score",
    "Setup",
    "TrainResult",
    "Trained",
    "check_groups",
    "choose_recipe",
    "default_run_dir",
    "describe_training",
    "evaluate",
    "is_launched",
    "last_signal",
    "launch",
    "load_trained",
    "log_to_stderr",
    "match_classes",
    "mean_and_deviation",
    "predict",
    "prefers_channels_last",
    "read_environment",
    "report_error",
    "run",
    "single_crop",
    "train",
]

_MODULES = {
    "Distributed": "_distributed",
    "Job": "_runs",
    "Log": "_logs",
    "RunConfig": "_config",
    "Score": "_scores",
    "Setup": "_runs",
    "TrainResult": "_result",
    "Trained": "_trained",
    "check_groups": "_optimizer",
    "choose_recipe": "_choosing",
    "default_run_dir": "_runs",
    "describe_training": "_trained",
    "evaluate": "_evaluation",
    "is_launched": "_launching",
    "last_signal": "_stopping",
    "launch": "_launching",
    "load_trained": "_trained",
    "log_to_stderr": "_logs",
    "match_classes": "_trained",
    "mean_and_deviation": "_scores",
    "predict": "_evaluation",
    "prefers_channels_last": "_precision",
    "read_environment": "_environment",
    "report_error": "_launching",
    "run": "_runs",
    "single_crop": "_protocols",
    "train": "_trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
