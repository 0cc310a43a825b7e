"""Networks of torchvision, timm and pytorchcv beside ours: those that are the same, and those that only look so."""

from typing import Any

import pytest

import archzoo
from archzoo.comparison import compare
from tests.networks import EVERY_NET
from tests.peers.witnesses import theirs

# The library, its name, ours with its options, and where it differs: "" where it is the same.
Pair = tuple[str, str, str, dict[str, Any], str]
TORCH = {"padding": "symmetric", "bn_eps": 1e-5}
QUICK: list[Pair] = [
    ("torchvision", "resnet18", "resnet18", {"option": "B"}, ""),
    ("torchvision", "squeezenet1_1", "squeezenet1_1", {}, ""),
    ("torchvision", "shufflenet_v2_x0_5", "shufflenet_v2_x0_5", {"down": "symmetric"}, ""),
    ("torchvision", "shufflenet_v2_x0_5", "shufflenet_v2_x0_5", {}, "bias"),
    ("torchvision", "resnet18", "resnet18", {}, "layer"),
]
LONG: list[Pair] = [
    ("torchvision", "resnet50", "resnet50_v1_5", {}, ""),
    ("torchvision", "resnet50", "resnet50", {}, "stride"),
    ("torchvision", "googlenet", "googlenet_bn", {}, ""),
    ("torchvision", "inception_v3", "inception_v3", {"count_include_pad": True, "drop": 0.5}, ""),
    ("torchvision", "inception_v3", "inception_v3", {"drop": 0.5}, "count include pad"),
    ("pytorchcv", "bninception", "bn_inception_caffe", {}, ""),
    ("torchvision", "densenet121", "densenet121", {}, ""),
    ("torchvision", "wide_resnet50_2", "wide_resnet50_2", {}, ""),
    ("torchvision", "resnext50_32x4d", "resnext50_32x4d", {}, ""),
    ("torchvision", "mobilenet_v2", "mobilenet_v2_x1_0", TORCH, ""),
    ("torchvision", "mobilenet_v2", "mobilenet_v2_x1_0", {}, "padding"),
    ("timm", "mobilenetv1_100", "mobilenet_v1_x1_0", {"activation": "relu6", **TORCH}, "dropout"),
    ("timm", "resnet34", "resnet34", {"option": "B"}, ""),
    ("timm", "densenet121", "densenet121", {}, ""),
    ("timm", "legacy_seresnet50", "se_resnet50", {}, "dropout"),
    ("timm", "seresnet50", "se_resnet50", {"pool": "padded"}, "stride"),
    ("timm", "seresnext50_32x4d", "se_resnext50_32x4d", {"pool": "padded"}, ""),
    ("timm", "legacy_xception", "xception", TORCH, "dropout"),
    ("timm", "legacy_xception", "xception", {}, "eps"),
    ("timm", "inception_v4", "inception_v4", {"bn_scale": True}, "dropout"),
    ("timm", "inception_resnet_v2", "inception_resnet_v2_released", {"bn_scale": True}, "dropout"),
    ("pytorchcv", "resnet20_cifar10", "resnet20", {"option": "B"}, ""),
    ("pytorchcv", "resnet50", "resnet50", {}, ""),
    ("pytorchcv", "densenet40_k12_bc_cifar10", "densenet_bc", {"depth": 40}, ""),
    ("pytorchcv", "wrn16_10_cifar10", "wide_resnet", {"depth": 16, "k": 10}, ""),
    ("pytorchcv", "pyramidnet110_a48_cifar10", "pyramidnet110_a48", {}, ""),
    ("pytorchcv", "pyramidnet101_a360", "pyramidnet101_a360", {}, ""),
    ("pytorchcv", "seresnext50_32x4d", "se_resnext50_32x4d", {"pool": "padded"}, ""),
    ("pytorchcv", "seresnet50", "se_resnet50", {}, "pad"),
    ("pytorchcv", "mobilenet_wd4", "mobilenet_v1_x0_25", TORCH, "dropout"),
    ("pytorchcv", "mobilenetv2_w1", "mobilenet_v2_x1_0", TORCH, "groups"),  # 1x1 before the depthwise one
    ("pytorchcv", "shufflenet_g3_w1", "shufflenet_v1_g3_x1_0", {}, "order"),  # of the concatenation
    ("pytorchcv", "shufflenetv2b_wd2", "shufflenet_v2_x0_5", {"down": "symmetric"}, ""),
    ("pytorchcv", "shufflenetv2_wd2", "shufflenet_v2_x0_5", {"down": "symmetric"}, "padding"),  # of the first pooling
]


@pytest.mark.slow
@pytest.mark.parametrize(("library", "name", "ours", "options", "reason"), QUICK + (LONG if EVERY_NET else []))
def test_a_network_of_another_library_gets_the_right_verdict(
    library: str, name: str, ours: str, options: dict[str, Any], reason: str
) -> None:
    size = (3, 32, 32) if "cifar" in name else (3, 224, 224) if library == "pytorchcv" else (3, 75, 75)
    comparison = compare(theirs(library, name), archzoo.build(ours, device="meta", **options), size)
    assert comparison.equal == (not reason), comparison
    assert not reason or str(comparison.difference).startswith(reason), comparison
