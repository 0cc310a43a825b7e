"""What timm, Cadene and pytorchcv call the tensors of Xception, Inception-v4 and the released Inception-ResNet-v2."""

import re

from archzoo.weights._names_of_libraries import CONV_OR_NORM, TENSOR, WEIGHT, place_of
from archzoo.weights._tensor_names import Rule, TensorNames

# The number of each branch of a module, by our names of both; it is the same in all stages.
PLACES = {
    "mixed_4a": {"3x3": 0, "7x7": 1},
    "mixed_5b": {"1x1": 0, "5x5": 1, "double_3x3": 2, "pool": 3},
    "reduction_a": {"3x3": 0, "double_3x3": 1},
    "reduction_b": {"3x3": 0, "7x7": 1, "narrow_3x3": 1, "double_3x3": 2},
    "inception": {"1x1": 0, "3x3": 1, "7x7": 1, "double_3x3": 2, "double_7x7": 2, "pool": 3},
}
MODULE = r"(mixed_4a|mixed_5b|reduction_[ab])"
BLOCK = r"inception_([abc])\.block(\d+)\."
LAST_LINEAR = (rf"classifier\.fc\.{WEIGHT}", r"last_linear.\1")
CONV = rf"(\w+)\.conv(\d)\.{CONV_OR_NORM}"  # a branch and its layer
FORK = rf"(3x3|double_3x3)\.conv(\d)\.(1x3|3x1)\.{CONV_OR_NORM}"  # a branch and its last layers, side by side


def _timm_branch(module: str, branch: str, number: str) -> str:
    """Layers of a branch are numbered, a pooling included, unless it has one alone."""
    alone = branch == "1x1" or (module, branch) == ("reduction_a", "3x3")
    layer = "" if alone else ".1" if branch == "pool" else f".{int(number) - 1}"
    return f"branch{PLACES[module][branch]}{layer}"


def _timm_v4_module(match: re.Match[str]) -> str:
    place = {"mixed_4a": 4, "reduction_a": 10, "reduction_b": 18}[match[1]]
    return f"features.{place}.{_timm_branch(match[1], match[2], match[3])}.{match[4]}"


def _timm_v4_block(match: re.Match[str]) -> str:
    stage, block, branch, number, tensor = match.group(1, 2, 3, 4, 5)
    place = {"a": 5, "b": 10, "c": 18}[stage] + int(block)
    name = _timm_branch("inception", branch, number)
    if stage == "c" and branch in ("3x3", "double_3x3"):
        name = name.replace(".", "_")
    return f"features.{place}.{name}.{tensor}"


def _timm_v4_fork(match: re.Match[str]) -> str:
    _, block, branch, number, kernel, tensor = match.group(1, 2, 3, 4, 5, 6)
    letter = {"1x3": "a", "3x1": "b"}[kernel]
    return f"features.{18 + int(block)}.branch{PLACES['inception'][branch]}_{int(number) - 1}{letter}.{tensor}"


TIMM_INCEPTION_V4 = TensorNames(
    rules=[
        *((rf"features\.conv{number}\.{CONV_OR_NORM}", rf"features.{number - 1}.\1") for number in (1, 2, 3)),
        (rf"features\.mixed_3a\.3x3\.conv1\.{CONV_OR_NORM}", r"features.3.conv.\1"),
        (rf"features\.mixed_5a\.3x3\.conv1\.{CONV_OR_NORM}", r"features.5.conv.\1"),
        (rf"features\.{MODULE}\.{CONV}", _timm_v4_module),
        (rf"features\.{BLOCK}{CONV}", _timm_v4_block),
        (rf"features\.{BLOCK}{FORK}", _timm_v4_fork),
        LAST_LINEAR,
    ]
)


def _timm_residual(match: re.Match[str]) -> str:
    """The name of a residual module: the last of the third stage stands alone."""
    stage, block = match[1], int(match[2])
    if stage == "c" and block == 10:
        return "block8"
    name = {"a": "repeat", "b": "repeat_1", "c": "repeat_2"}[stage]
    return f"{name}.{block - 1}"


def _timm_resnet_block(match: re.Match[str]) -> str:
    return f"{_timm_residual(match)}.{_timm_branch('inception', match[3], match[4])}.{match[5]}"


def _timm_resnet_linear(match: re.Match[str]) -> str:
    return f"{_timm_residual(match)}.conv2d.{match[3]}"


def _timm_resnet_module(match: re.Match[str]) -> str:
    name = {"mixed_5b": "mixed_5b", "reduction_a": "mixed_6a", "reduction_b": "mixed_7a"}[match[1]]
    return f"{name}.{_timm_branch(match[1], match[2], match[3])}.{match[4]}"


TIMM_INCEPTION_RESNET_V2 = TensorNames(
    rules=[
        *(
            (rf"features\.conv{ours}\.{CONV_OR_NORM}", rf"conv2d_{theirs}.\1")
            for ours, theirs in ((1, "1a"), (2, "2a"), (3, "2b"), (4, "3b"), (5, "4a"), ("", "7b"))
        ),
        (rf"features\.{MODULE}\.{CONV}", _timm_resnet_module),
        (rf"features\.{BLOCK}layers\.branches\.{CONV}", _timm_resnet_block),
        (rf"features\.{BLOCK}layers\.linear\.{WEIGHT}", _timm_resnet_linear),
        (rf"classifier\.fc\.{WEIGHT}", r"classif.\1"),
    ]
)
# Cadene's networks, which timm took over, call the classifier otherwise.
CADENE_INCEPTION_RESNET_V2 = TensorNames(rules=[*TIMM_INCEPTION_RESNET_V2.rules[:-1], LAST_LINEAR])


def _timm_separable(match: re.Match[str]) -> str:
    """Layers of a module are numbered, ReLUs included. The first module begins without one."""
    block, number, part, tensor = int(match[1]) - 1, int(match[2]), match[3], match[4]
    place = 3 * (number - 1) + (block > 1)
    layer = {"depthwise": f"{place}.conv1", "pointwise": f"{place}.pointwise", "bn": f"{place + 1}"}[part]
    return f"block{block}.rep.{layer}.{tensor}"


def _timm_shortcut(match: re.Match[str]) -> str:
    return f"block{int(match[1]) - 1}.{'skip' if match[2] == 'conv' else 'skipbn'}.{match[3]}"


TIMM_XCEPTION = TensorNames(
    rules=[
        (rf"features\.conv(\d)\.(conv|bn)\.{TENSOR}", r"\2\1.\3"),
        (rf"features\.block(\d+)\.layers\.sep(\d)\.(\w+)\.{TENSOR}", _timm_separable),
        (rf"features\.block(\d+)\.shortcut\.(conv|bn)\.{TENSOR}", _timm_shortcut),
        *(
            (rf"features\.sep{number}\.{ours}\.{TENSOR}", rf"{theirs}.\1")
            for number in (1, 2)
            for ours, theirs in (
                ("depthwise", f"conv{number + 2}.conv1"),
                ("pointwise", f"conv{number + 2}.pointwise"),
                ("bn", f"bn{number + 2}"),
            )
        ),
        (rf"classifier\.fc\.{WEIGHT}", r"fc.\1"),
    ]
)


CADENE_XCEPTION = TensorNames(rules=[*TIMM_XCEPTION.rules[:-1], LAST_LINEAR], older=[(r"fc\.(.+)", r"last_linear.\1")])


def _pytorchcv_branch(module: str, branch: str, number: str) -> str:
    """A branch, and its convolution: alone where it is a 1x1 or follows a pooling, else one of a list."""
    layer = "conv" if branch in ("1x1", "pool") else f"conv_list.conv{number}"
    return f"branches.branch{PLACES[module][branch] + 1}.{layer}"


def _pytorchcv_module(match: re.Match[str]) -> str:
    theirs = {"mixed_4a": "init_block.block2", "mixed_5b": "init_block.block"}
    theirs |= {"reduction_a": "stage2.unit1", "reduction_b": "stage3.unit1"}
    return f"features.{theirs[match[1]]}.{_pytorchcv_branch(match[1], match[2], match[3])}.{match[4]}"


def _pytorchcv_unit(match: re.Match[str]) -> str:
    """The name of a module of a stage, in which a reduction may come first."""
    stage = "abc".index(match[1]) + 1
    return f"features.stage{stage}.unit{int(match[2]) + (stage > 1)}"


def _pytorchcv_block(match: re.Match[str]) -> str:
    return f"{_pytorchcv_unit(match)}.{_pytorchcv_branch('inception', match[3], match[4])}.{match[5]}"


def _pytorchcv_fork(match: re.Match[str]) -> str:
    return f"{_pytorchcv_unit(match)}.branches.branch{PLACES['inception'][match[3]] + 1}.conv{match[5]}.{match[6]}"


def _pytorchcv_linear(match: re.Match[str]) -> str:
    return f"{_pytorchcv_unit(match)}.conv.{match[3]}"


PYTORCHCV_MODULES: list[Rule] = [
    (rf"features\.conv(\d)\.{CONV_OR_NORM}", r"features.init_block.conv\1.\2"),
    (rf"features\.{MODULE}\.{CONV}", _pytorchcv_module),
    (rf"classifier\.fc\.{WEIGHT}", r"output.fc.\1"),
]
PYTORCHCV_INCEPTION_V4 = TensorNames(
    rules=[
        *PYTORCHCV_MODULES,
        (rf"features\.mixed_3a\.3x3\.conv1\.{CONV_OR_NORM}", r"features.init_block.block1.branches.branch2.conv.\1"),
        (rf"features\.mixed_5a\.3x3\.conv1\.{CONV_OR_NORM}", r"features.init_block.block3.branches.branch1.conv.\1"),
        (rf"features\.{BLOCK}{CONV}", _pytorchcv_block),
        (rf"features\.{BLOCK}{FORK}", _pytorchcv_fork),
    ]
)
PYTORCHCV_INCEPTION_RESNET_V2 = TensorNames(
    rules=[
        *PYTORCHCV_MODULES,
        (rf"features\.{BLOCK}layers\.branches\.{CONV}", _pytorchcv_block),
        (rf"features\.{BLOCK}layers\.linear\.{WEIGHT}", _pytorchcv_linear),
        (rf"features\.conv\.{CONV_OR_NORM}", r"features.final_conv.\1"),
    ]
)
SEPARABLE = {"depthwise": "conv.dw_conv", "pointwise": "conv.pw_conv", "bn": "bn"}


def _pytorchcv_separable(match: re.Match[str]) -> str:
    stage, unit = place_of(int(match[1]) - 1, (1, 1, 9, 1))
    return f"features.stage{stage + 1}.unit{unit + 1}.body.block{match[2]}.{SEPARABLE[match[3]]}.{match[4]}"


def _pytorchcv_shortcut(match: re.Match[str]) -> str:
    stage, unit = place_of(int(match[1]) - 1, (1, 1, 9, 1))
    return f"features.stage{stage + 1}.unit{unit + 1}.identity_conv.{match[2]}"


PYTORCHCV_XCEPTION = TensorNames(
    rules=[
        (rf"features\.conv(\d)\.{CONV_OR_NORM}", r"features.init_block.conv\1.\2"),
        (rf"features\.block(\d+)\.layers\.sep(\d)\.(\w+)\.{TENSOR}", _pytorchcv_separable),
        (rf"features\.block(\d+)\.shortcut\.{CONV_OR_NORM}", _pytorchcv_shortcut),
        *(
            (rf"features\.sep(\d)\.{ours}\.{TENSOR}", rf"features.final_block.conv\1.{theirs}.\2")
            for ours, theirs in SEPARABLE.items()
        ),
        (rf"classifier\.fc\.{WEIGHT}", r"output.\1"),
    ]
)
