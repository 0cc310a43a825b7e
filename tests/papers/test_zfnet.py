from typing import Any

import pytest
from torch import nn

import archzoo
from archzoo.layers import Net, ResponseNorm
from archzoo.registry import results


def build(**options: Any) -> Net:
    net: Net = archzoo.build("zfnet", device="meta", **options)
    return net


def test_pooling_comes_before_the_normalization() -> None:
    parts = list(build().features._modules)
    assert parts[:8] == ["conv1", "relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2"]
    assert sum(isinstance(layer, ResponseNorm) for layer in build().modules()) == 2


def test_the_first_kernels_are_7x7_and_5x5_both_with_a_stride_of_2() -> None:
    convs = [layer for layer in build().features.children() if isinstance(layer, nn.Conv2d)]
    assert [conv.kernel_size for conv in convs] == [(7, 7), (5, 5), (3, 3), (3, 3), (3, 3)]
    assert [conv.stride for conv in convs] == [(2, 2), (2, 2), (1, 1), (1, 1), (1, 1)]
    assert [conv.out_channels for conv in convs] == [96, 256, 384, 384, 256]


def test_dropout_follows_the_two_hidden_linear_layers() -> None:
    parts = ["flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]
    assert list(build().classifier._modules) == parts
    assert [layer.p for layer in build().modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.slow
def test_weights_start_at_a_deviation_of_one_hundredth_and_biases_at_zero() -> None:
    for name, value in archzoo.build("zfnet", num_classes=10).named_parameters():
        expected = 0.01 if name.endswith("weight") else 0
        assert value.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(value.mean().item()) < 0.001, name


def test_every_connection_is_dense() -> None:
    assert {layer.groups for layer in build().modules() if isinstance(layer, nn.Conv2d)} == {1}


def test_net_b_has_512_1024_and_512_maps() -> None:
    features = build(widths=(512, 1024, 512)).features
    assert [features.get_submodule(f"conv{n}").out_channels for n in (3, 4, 5)] == [512, 1024, 512]
    assert archzoo.profile(build(widths=(512, 1024, 512)), (3, 224, 224)).at("features.pool5").output == (512, 6, 6)


def test_the_wider_network_has_results_of_its_own() -> None:
    # Table 2: variant (b) has 37.5 and 16.0 on the validation set.
    wider = {result.data: result.error for result in results("zfnet") if result.options}
    assert wider == {"imagenet top-1": 37.5, "imagenet top-5": 16.0}


def test_three_widths_are_wanted() -> None:
    with pytest.raises(archzoo.BadOption, match="widths must be three"):
        build(widths=(512, 1024))
