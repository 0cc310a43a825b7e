"""A pretrained network on other images: new classifiers, frozen parts, features, fine-tuning.

>>> from archzoo.transfer import run
>>> result = run("resnet18", weights="torchvision", data="photos")

``run`` takes names; ``fine_tune`` and ``linear_probe`` take a network and images. Nothing here imports PyTorch before
it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archzoo.transfer._feature_reuse import feature_reuse
    from archzoo.transfer._features import capture, extract_features, feature_maps
    from archzoo.transfer._fine_tuning import fine_tune
    from archzoo.transfer._freezing import freeze, frozen, unfreeze
    from archzoo.transfer._head import replace_classifier
    from archzoo.transfer._layer_rates import parameter_groups
    from archzoo.transfer._predictions import draw_predictions, predictions
    from archzoo.transfer._probing import linear_probe
    from archzoo.transfer._runs import check_method, run

_MODULES = {
    "capture": "_features",
    "check_method": "_runs",
    "draw_predictions": "_predictions",
    "extract_features": "_features",
    "feature_maps": "_features",
    "feature_reuse": "_feature_reuse",
    "fine_tune": "_fine_tuning",
    "freeze": "_freezing",
    "frozen": "_freezing",
    "linear_probe": "_probing",
    "parameter_groups": "_layer_rates",
    "predictions": "_predictions",
    "replace_classifier": "_head",
    "run": "_runs",
    "unfreeze": "_freezing",
}

__all__ = [
    "capture",
    "check_method",
    "draw_predictions",
    "extract_features",
    "feature_maps",
    "feature_reuse",
    "fine_tune",
    "freeze",
    "frozen",
    "linear_probe",
    "parameter_groups",
    "predictions",
    "replace_classifier",
    "run",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
