"""A pretrained network on other images: new classifiers, frozen parts, features, fine-tuning.

>>> from archzoo.transfer import run
>>> result = run("resnet18", weights="torchvision", data="photos")

``run`` takes names; ``fine_tune`` and ``linear_probe`` take a network and images. Nothing here imports PyTorch before
it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archzoo.transfer.features import capture, extract_features, feature_maps
    from archzoo.transfer.fine_tuning import fine_tune
    from archzoo.transfer.freezing import freeze, frozen, unfreeze
    from archzoo.transfer.head import replace_classifier
    from archzoo.transfer.layer_rates import parameter_groups
    from archzoo.transfer.probing import linear_probe
    from archzoo.transfer.runs import run

_MODULES = {
    "capture": "features",
    "extract_features": "features",
    "feature_maps": "features",
    "fine_tune": "fine_tuning",
    "freeze": "freezing",
    "frozen": "freezing",
    "linear_probe": "probing",
    "parameter_groups": "layer_rates",
    "replace_classifier": "head",
    "run": "runs",
    "unfreeze": "freezing",
}

__all__ = [
    "capture",
    "extract_features",
    "feature_maps",
    "fine_tune",
    "freeze",
    "frozen",
    "linear_probe",
    "parameter_groups",
    "replace_classifier",
    "run",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
