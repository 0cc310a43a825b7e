import pytest
from torch import nn

import archzoo
from archzoo.layers import Net, ResponseNorm


def build(**options: object) -> Net:
    net: Net = archzoo.build("zfnet", device="meta", **options)
    return net


def test_pooling_comes_before_the_normalisation() -> None:
    parts = list(build().features._modules)
    assert parts[:8] == ["conv1", "relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2"]
    assert sum(isinstance(layer, ResponseNorm) for layer in build().modules()) == 2


def test_the_first_layers_are_7x7_by_2_and_5x5_by_2() -> None:
    features = build().features
    assert (features.conv1.kernel_size, features.conv1.stride, features.conv1.out_channels) == ((7, 7), (2, 2), 96)
    assert (features.conv2.kernel_size, features.conv2.stride, features.conv2.out_channels) == ((5, 5), (2, 2), 256)


def test_every_connection_is_dense() -> None:
    assert {layer.groups for layer in build().modules() if isinstance(layer, nn.Conv2d)} == {1}


def test_net_b_has_512_1024_and_512_maps() -> None:
    features = build(widths=(512, 1024, 512)).features
    assert [features.get_submodule(f"conv{n}").out_channels for n in (3, 4, 5)] == [512, 1024, 512]
    assert archzoo.profile(build(widths=(512, 1024, 512)), (3, 224, 224)).at("features.pool5").output == (512, 6, 6)


def test_three_widths_are_wanted() -> None:
    with pytest.raises(archzoo.BadOption, match="widths must be three"):
        build(widths=(512, 1024))
