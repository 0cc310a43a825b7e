"""What other libraries call networks, options and values of recipes."""

import ast
import re
from typing import Any

import pytest

import archzoo
from archzoo.errors import BadOption, RecipeError, UnknownName
from archzoo.registry import find_recipe

# Names of torchvision, timm and pytorchcv, and the parameters that these libraries publish for them.
PUBLISHED = {
    "vgg11_bn": 132_868_840,
    "vgg16_bn": 138_365_992,
    "timm/vgg19_bn.tv_in1k": 143_678_248,
    "torchvision.models.alexnet": 61_100_840,
    "googlenet.tv_in1k": 6_624_904,
    "torchvision.models.resnet18": 11_689_512,
    "tv_resnet34": 21_797_672,
    "timm/resnet50.a1_in1k": 25_557_032,
    "squeezenet_v1_1": 1_235_496,
    "timm/inception_v3.tf_in1k": 23_834_568,
    "mobilenet_wd2": 1_331_592,
    "mobilenetv1_100": 4_231_976,
    "MobileNet_v1_0.5_160": 1_331_592,
    "torchvision.models.mobilenet_v2": 3_504_872,
    "mobilenetv2_140": 6_108_776,
    "mobilenet_v2_1.4_224": 6_108_776,
    "pyramidnet110_a48_cifar10": 1_772_706,
    "pyramidnet272_a200_bn_cifar10": 26_210_842,
    "legacy_seresnet50": 28_088_024,
    "timm/legacy_seresnet152.in1k": 66_821_848,
    "timm/seresnext50_32x4d.racm_in1k": 27_559_896,
    "legacy_senet154": 115_088_984,
    "legacy_xception": 22_855_952,
    "timm/inception_v4.tf_in1k": 42_679_816,
    "timm/inception_resnet_v2.tf_ens_adv_in1k": 55_843_464,
    "shufflenetv2_wd2": 1_366_792,
    "torchvision.models.shufflenet_v2_x1_0": 2_278_604,
    "densenet121-bc": 7_978_856,
    "condensenet74_c8_g8": 2_935_416,
    "resnet20_cifar10": 272_474,  # with projections: option B has 2,752 parameters more than the paper's
    "preresnet164bn_cifar10": 1_703_258,
    "wrn28_10_cifar10": 36_479_194,
    "densenet100_k12_bc_cifar10": 769_162,
}
OPTION_B = {"resnet20_cifar10": 2_752}


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_name_of_another_library_leads_to_the_network_with_its_parameters(name: str) -> None:
    with pytest.raises(UnknownName) as refused:
        archzoo.find(name)
    match = re.search(r"(?:here it is|did you mean) (\w+)(?: with (.*?))?\??$", str(refused.value))
    assert match, refused.value
    options = dict(part.split("=") for part in (match[2] or "").split(", ") if part)
    given: dict[str, Any] = {key: ast.literal_eval(value) for key, value in options.items()}
    net = archzoo.build(match[1], device="meta", **given)
    assert sum(parameter.numel() for parameter in net.parameters()) == PUBLISHED[name] - OPTION_B.get(name, 0)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet50d", "resnet50_v1_5"),
        ("resnet18d", "resnet18"),
        ("seresnet50b", "se_resnet50"),
        ("timm/seresnet50.a1_in1k", "se_resnet50"),
        ("senet52", "se_resnet50"),
        ("wide_resnet101_2", "50_2"),
        ("preact_resnet18", "preact_resnet110"),
        ("resnet50v2", "preact_resnet200"),
        ("xception41", "xception"),
        ("inception_next_tiny", "inception_v3"),
        ("mobilenetv1_100h", "conv_mobilenet"),
        ("mobilenetv2_110d", "mobilenet_v2"),
        ("mobilenetv2_w1", "mobilenet_v2"),
        ("mobilenetb_w1", "mobilenet_v1"),
        ("mobilenetv3_large_100", "of 2018"),
        ("shufflenet_g3_w1", "shufflenet_v1_g1_x1_0"),
    ],
)
def test_a_network_that_is_not_here_is_never_said_to_be_another(name: str, nearest: str) -> None:
    with pytest.raises(UnknownName) as refused:
        archzoo.find(name)
    assert nearest in str(refused.value)
    assert "did you mean" not in str(refused.value)
    assert "here it is" not in str(refused.value)


def test_a_pattern_is_no_name_and_aliases_are_matched_where_no_name_is() -> None:
    with pytest.raises(UnknownName, match=r"one network is wanted, and 'vgg_\[ab\]' is a pattern: .* vgg_a, vgg_b"):
        archzoo.find("vgg_[ab]")
    assert archzoo.names("VGG1*") == ["vgg_a", "vgg_b", "vgg_d", "vgg_e"]
    assert "wide_resnet_28_10" in archzoo.names("WRN-28-*")


@pytest.mark.parametrize(
    ("network", "option", "hint"),
    [
        ("densenet121", "growth_rate", "did you mean 'k'?"),
        ("wide_resnet", "widen_factor", "did you mean 'k'?"),
        ("densenet121", "drop_rate", "did you mean 'drop'?"),
        ("resnet20", "in_chans", "did you mean 'in_channels'?"),
        ("resnet20", "n_classes", "did you mean 'num_classes'?"),
        ("shufflenet_v2", "width_mult", "did you mean 'width'?"),
        ("googlenet", "aux_logits", "did you mean 'auxiliary'?"),
        ("vgg", "bn", "did you mean 'batch_norm'?"),
        ("resnet20", "pretrained", "pretrained weights are weights='torchvision'"),
        ("resnet20", "Depth", "did you mean 'depth'?"),
        ("resnet50", "zero_init_residual", "networks are as their papers describe them"),
        ("resnet50", "features_only", "archzoo.build(...).backbone"),
    ],
)
def test_an_option_of_another_library_leads_to_ours(network: str, option: str, hint: str) -> None:
    with pytest.raises(BadOption) as refused:
        archzoo.find(network).build(**{option: 1})
    assert f"{network} has no option {option!r}: {hint}" in str(refused.value)


@pytest.mark.parametrize(
    ("value", "ours"),
    [("lrr", "lr"), ("learning_rate", "lr"), ("bs", "batch_size"), ("num_epochs", "epochs"), ("wd", "weight_decay")],
)
def test_a_value_of_a_recipe_under_another_name_leads_to_ours(value: str, ours: str) -> None:
    with pytest.raises(RecipeError, match=f"a recipe has no {value!r}: did you mean {ours!r}"):
        find_recipe("resnet20", "cifar10").with_changes(**{value: 1})
