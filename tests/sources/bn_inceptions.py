"""BN-Inception of pretrained-models.pytorch, written anew from Caffe's definition, with its names."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Maps of 1x1, 3x3 reduced, 3x3, double 3x3 reduced, double 3x3, and of the projection: 0 where there is none.
MODULES = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


class CadeneBNInception(nn.Module):
    """Every convolution has a bias, and beside it a batch norm of its name with "_bn"."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.add("conv1_7x7_s2", 3, 64, 7, 2)
        self.add("conv2_3x3_reduce", 64, 64, 1)
        self.add("conv2_3x3", 64, 192, 3)
        inputs = 192
        for module, (one, reduced, three, double_reduced, double, proj) in MODULES.items():
            name, stride = f"inception_{module}", 1 if proj else 2
            if one:
                self.add(f"{name}_1x1", inputs, one, 1)
            self.add(f"{name}_3x3_reduce", inputs, reduced, 1)
            self.add(f"{name}_3x3", reduced, three, 3, stride)
            self.add(f"{name}_double_3x3_reduce", inputs, double_reduced, 1)
            self.add(f"{name}_double_3x3_1", double_reduced, double, 3)
            self.add(f"{name}_double_3x3_2", double, double, 3, stride)
            if proj:
                self.add(f"{name}_pool_proj", inputs, proj, 1)
            inputs = one + three + double + (proj or inputs)
        self.last_linear = nn.Linear(inputs, num_classes)

    def add(self, name: str, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        self.add_module(name, nn.Conv2d(inputs, outputs, side, stride, side // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs))

    def run(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self.get_submodule(f"{name}_bn")(self.get_submodule(name)(x)).relu()
        return x

    def pooled(self, x: Tensor, name: str, proj: int) -> Tensor:
        if not proj:
            return F.max_pool2d(x, 3, 2, ceil_mode=True)
        last = name.endswith("5b")
        maps = F.max_pool2d(x, 3, 1, 1) if last else F.avg_pool2d(x, 3, 1, 1)
        return self.run(maps, f"{name}_pool_proj")

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.run(x, "conv1_7x7_s2"), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.run(x, "conv2_3x3_reduce", "conv2_3x3"), 3, 2, ceil_mode=True)
        for module, (one, *_, proj) in MODULES.items():
            name = f"inception_{module}"
            branches = [self.run(x, f"{name}_1x1")] if one else []
            branches.append(self.run(x, f"{name}_3x3_reduce", f"{name}_3x3"))
            double = (f"{name}_double_3x3{part}" for part in ("_reduce", "_1", "_2"))
            branches.append(self.run(x, *double))
            x = torch.cat([*branches, self.pooled(x, name, proj)], 1)
        out: Tensor = self.last_linear(x.mean((2, 3)))
        return out
