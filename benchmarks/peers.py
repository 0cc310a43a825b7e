"""Networks of other libraries beside ours; torchvision's with a CPU build of torch."""

import importlib
from functools import cache
from typing import Any

import torch
from torch import nn

# torchvision's resnet50 is our resnet50_v1_5; both of ours are compared with it. Its MobileNetV2, timm's MobileNet and
# Xception, and all of pytorchcv pad as torch does, and ours as TensorFlow.
TORCHVISION = {
    "vgg_a": "vgg11",
    "vgg_b": "vgg13",
    "vgg_d": "vgg16",
    "vgg_e": "vgg19",
    "googlenet_bn": "googlenet",
    "alexnet_one_tower": "alexnet",
    "mobilenet_v2_x1_0": "mobilenet_v2",
    "resnet50": "resnet50",
    "resnet50_v1_5": "resnet50",
} | {
    name: name
    for name in (
        *("squeezenet1_0", "squeezenet1_1", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "densenet121", "densenet169"),
        *("densenet201", "inception_v3", "resnext50_32x4d"),
    )
}
TIMM = {
    "resnet101_v1_5": "resnet101",
    "resnet152_v1_5": "resnet152",
    "wide_resnet50_2": "wide_resnet50_2",
    "mobilenet_v1_x1_0": "mobilenetv1_100",
    "xception": "legacy_xception",
    "inception_v4": "inception_v4",
    "inception_resnet_v2_released": "inception_resnet_v2",
    "se_resnet50": "legacy_seresnet50",
}
PYTORCHCV = {"shufflenet_v1_g3_x1_0": "shufflenet_g3_w1"}  # neither of the others has it
PADDED = ("mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "xception")  # as TensorFlow by ours, as torch by the libraries
WITH_AUXILIARY = ("googlenet_bn", "inception_v3")
# Those with depthwise or grouped convolutions, and the later Inceptions.
SEPARABLE = (
    *("mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "shufflenet_v1_g3_x1_0", "shufflenet_v2_x1_0", "xception"),
    *("resnext50_32x4d", "se_resnet50", "inception_v3", "inception_v4", "inception_resnet_v2_released"),
)


@cache
def _lacking_operators() -> Any:
    """The two operators that torchvision's import asks for and no classifier calls. Without this they go again."""
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


def torchvision(part: str) -> Any:
    """A part, such as "models". Its own library is taken where it loads: torch takes operators from one alone."""
    try:
        return importlib.import_module(f"torchvision.{part}")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _lacking_operators()
    return importlib.import_module(f"torchvision.{part}")


def peer(name: str) -> tuple[str, nn.Module] | None:
    """The library that has this network, and its network with random weights; None where no library has it.

    Without auxiliary classifiers. Raises ImportError if the library is not installed.
    """
    made: nn.Module
    if not any(name in library for library in (TORCHVISION, TIMM, PYTORCHCV)):
        return None
    if name in TORCHVISION:
        options = {"aux_logits": False, "init_weights": False} if name in WITH_AUXILIARY else {}
        made = torchvision("models").get_model(TORCHVISION[name], weights=None, **options)
        return "torchvision", made
    torchvision("models")  # both of the others import it
    if name in TIMM:
        return "timm", importlib.import_module("timm").create_model(TIMM[name])
    provider = importlib.import_module("pytorchcv.model_provider")
    return "pytorchcv", provider.get_model(PYTORCHCV[name], pretrained=False)
