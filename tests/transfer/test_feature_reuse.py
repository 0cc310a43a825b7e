"""What DenseNets use of their layers."""

import math

import pytest
import torch

import archzoo
from archzoo.errors import TransferError
from archzoo.transfer import feature_reuse


def test_feature_reuse_is_the_average_absolute_weight() -> None:
    """DenseNet, Fig. 5: three blocks, of which each has one row more than layers."""
    net = archzoo.build("densenet", depth=40, k=12)
    tables = feature_reuse(net)
    assert [table.shape for table in tables.values()] == [(13, 13)] * 3
    weight = net.get_parameter("features.denseblock2.denselayer3.conv1.weight").detach()
    first = weight.shape[1] - 24
    table = tables["denseblock2"]
    assert table[0, 2].item() == pytest.approx(weight[:, :first].abs().mean().item())
    assert table[2, 2].item() == pytest.approx(weight[:, first + 12 :].abs().mean().item())
    after = net.get_parameter("features.transition2.conv1.weight").detach()
    assert table[12, 12].item() == pytest.approx(after[:, -12:].abs().mean().item())
    last = net.get_parameter("classifier.fc.weight").detach()
    assert tables["denseblock3"][12, 12].item() == pytest.approx(last[:, -12:].abs().mean().item())
    assert all(math.isnan(table[row, column]) == (row > column) for row in range(13) for column in range(13))


def test_feature_reuse_sees_a_layer_that_nobody_reads() -> None:
    net = archzoo.build("densenet_bc", depth=40)
    with torch.no_grad():
        for layer in range(3, 7):
            weight = net.get_parameter(f"features.denseblock1.denselayer{layer}.conv1.weight")
            weight[:, 24 + 12 : 24 + 24] = 0  # what denselayer2 gave
    row = feature_reuse(net)["denseblock1"][2]
    assert not row[2:6].any()
    assert row[6] > 0


def test_feature_reuse_is_of_densenets() -> None:
    with pytest.raises(TransferError, match="this network has no dense blocks"):
        feature_reuse(archzoo.build("resnet20", device="meta"))
