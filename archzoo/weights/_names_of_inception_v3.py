"""The names that others give to the tensors of BN-Inception and Inception-v3."""

import re

from archzoo.weights._names_of_libraries import CONV_OR_NORM, TENSOR, WEIGHT
from archzoo.weights._tensor_names import TensorNames

MIXED = r"features\.mixed_(\d)(\w)\."
SIDES = {"1x3": "a", "3x1": "b"}
BRANCHES = {"double_3x3": "3x3dbl", "double_7x7": "7x7dbl", "pool": "_pool"}
STEM = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3"}  # kernels, which stand in their names


def _mixed(match: re.Match[str]) -> str:
    """A convolution of a module: numbered, unless its branch has no other."""
    stage, letter, branch, number, side, tensor = match.groups()
    module = f"{stage}{letter}"
    alone = branch in ("1x1", "pool") or (module, branch) == ("6a", "3x3")
    name = "7x7x3" if (module, branch) == ("7a", "7x7") else BRANCHES.get(branch, branch)
    place = "" if alone else f"_{number}{SIDES.get(side, '')}"
    return f"Mixed_{module}.branch{name}{place}.{tensor}"


# Of torchvision and timm.
INCEPTION_V3 = TensorNames(
    rules=[
        (rf"features\.conv_(\d\w)\.{CONV_OR_NORM}", lambda match: f"Conv2d_{match[1]}_{STEM[match[1]]}.{match[2]}"),
        (rf"{MIXED}(\w+)\.conv(\d)(?:\.(1x3|3x1))?\.{CONV_OR_NORM}", _mixed),
        (rf"classifier\.aux_6e\.conv1\.{CONV_OR_NORM}", r"AuxLogits.conv0.\1"),
        (rf"classifier\.aux_6e\.conv2\.{CONV_OR_NORM}", r"AuxLogits.conv1.\1"),
        (rf"classifier\.aux_6e\.fc\.{WEIGHT}", r"AuxLogits.fc.\1"),
        (rf"classifier\.fc\.{WEIGHT}", r"fc.\1"),
    ]
)
PLACES = {"1x1": 1, "3x3": 2, "5x5": 2, "7x7": 2, "double_3x3": 3, "double_7x7": 3, "pool": 4}
REDUCED = {"3x3": 1, "7x7": 2, "double_3x3": 2}  # the branches of a module that halves the resolution


def _pytorchcv_mixed(match: re.Match[str]) -> str:
    stage, letter, branch, number, side, tensor = match.groups()
    reduces = f"{stage}{letter}" in ("6a", "7a")
    unit = "abcdef".index(letter) + (stage != "5")
    layer = "conv" if branch in ("1x1", "pool") else f"conv{side}" if side else f"conv_list.conv{number}"
    place = (REDUCED if reduces else PLACES)[branch]
    return f"features.stage{int(stage) - 4}.unit{unit}.branches.branch{place}.{layer}.{tensor}"


def _pytorchcv_stem(match: re.Match[str]) -> str:
    return f"features.init_block.conv{list(STEM).index(match[1]) + 1}.{match[2]}"


PYTORCHCV_INCEPTION_V3 = TensorNames(
    rules=[
        (rf"features\.conv_(\d\w)\.{CONV_OR_NORM}", _pytorchcv_stem),
        (rf"{MIXED}(\w+)\.conv(\d)(?:\.(1x3|3x1))?\.{CONV_OR_NORM}", _pytorchcv_mixed),
        (rf"classifier\.fc\.{WEIGHT}", r"output.fc.\1"),
    ]
)
# A convolution of a module of BN-Inception: "3a", "double_3x3", "conv2".
COLUMN = rf"features\.inception_(\w+)\.(1x1|3x3|double_3x3|pool)(?:\.(reduce|proj|conv\d?))?\.(conv|bn)\.{TENSOR}"
CADENE_COLUMNS = {"reduce": "_reduce", "proj": "_proj", "conv1": "_1", "conv2": "_2"}


def _cadene_column(match: re.Match[str]) -> str:
    module, branch, layer, kind, tensor = match.groups()
    norm = "_bn" if kind == "bn" else ""
    return f"inception_{module}_{branch}{CADENE_COLUMNS.get(layer, '')}{norm}.{tensor}"


def _cadene_stem(match: re.Match[str]) -> str:
    name = {"conv1": "conv1_7x7_s2", "conv2_reduce": "conv2_3x3_reduce", "conv2": "conv2_3x3"}[match[1]]
    return f"{name}{'_bn' if match[2] == 'bn' else ''}.{match[3]}"


# Of pretrained-models.pytorch, after Caffe.
CADENE_BN_INCEPTION = TensorNames(
    rules=[
        (rf"features\.(conv1|conv2_reduce|conv2)\.(conv|bn)\.{TENSOR}", _cadene_stem),
        (COLUMN, _cadene_column),
        (rf"classifier\.fc\.{WEIGHT}", r"last_linear.\1"),
    ]
)
PYTORCHCV_COLUMNS = {"reduce": "1", "conv": "2", "conv1": "2", "conv2": "3"}


def _pytorchcv_column(match: re.Match[str]) -> str:
    """A stage of theirs begins with the module that halves the resolution."""
    module, branch, layer, kind, tensor = match.groups()
    reduces = module in ("3c", "4e")
    stage = int(module[0]) - 2 + reduces
    unit = 1 if reduces else "abcd".index(module[1]) + 1 + (stage > 1)
    place = (REDUCED if reduces else PLACES)[branch]
    inner = "" if branch == "1x1" else f".conv{PYTORCHCV_COLUMNS.get(layer, '')}"
    return f"features.stage{stage}.unit{unit}.branches.branch{place}{inner}.{kind}.{tensor}"


PYTORCHCV_BN_INCEPTION = TensorNames(
    rules=[
        (rf"features\.conv1\.{CONV_OR_NORM}", r"features.init_block.conv1.\1"),
        (rf"features\.conv2_reduce\.{CONV_OR_NORM}", r"features.init_block.conv2.conv1.\1"),
        (rf"features\.conv2\.{CONV_OR_NORM}", r"features.init_block.conv2.conv2.\1"),
        (COLUMN, _pytorchcv_column),
        (rf"classifier\.fc\.{WEIGHT}", r"output.\1"),
    ]
)
