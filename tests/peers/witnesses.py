"""Networks of other libraries, without a download, and weights to compare them with."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn


def installed(library: str) -> Any:
    """The library; the test is skipped where it is not installed. Warnings of its import are its own."""
    name = {"torchvision": "torchvision", "timm": "timm", "pytorchcv": "pytorchcv.model_provider"}[library]
    return pytest.importorskip(name, reason=f"{library} is not installed")


def names_in(library: str) -> list[str]:
    """All names of networks that a library has."""
    module = installed(library)
    if library == "pytorchcv":
        return list(module._models)
    return list(module.list_models() if library == "timm" else module.models.list_models())


def theirs(library: str, name: str) -> nn.Module:
    """Their network on paper."""
    module = installed(library)
    with torch.device("meta"):
        if library == "timm":
            return module.create_model(name, pretrained=False)
        if library == "pytorchcv":
            return module.get_model(name)
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        return module.models.get_model(name, weights=None, **options)


def randomize(net: nn.Module) -> None:
    """Weights that keep maps near one in size, and batch statistics of anything."""
    net.to_empty(device="cpu")
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            elif isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                assert module.num_batches_tracked is not None
                module.weight.uniform_(0.5, 1.0)
                module.running_var.uniform_(0.5, 2.0)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.num_batches_tracked.zero_()
            elif isinstance(index := module._buffers.get("index"), Tensor):
                # Of a layer of pytorchcv's CondenseNet, which selects maps.
                index.copy_(torch.randperm(len(index)))
