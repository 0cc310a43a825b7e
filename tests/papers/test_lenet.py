import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import archzoo
from archzoo import registry
from archzoo.layers import Conv2d, Linear, Net
from archzoo.models.lenet import TABLE_I, RadialBasis, ScaledTanh, SparseConv, Subsampling, digit_codes
from archzoo.recipes import Duration


def test_table_i_has_sixty_links_and_every_input_feeds_ten_maps() -> None:
    assert [len(column) for column in TABLE_I] == [3] * 6 + [4] * 9 + [6]
    assert [sum(i in column for column in TABLE_I) for i in range(6)] == [10] * 6


def test_each_map_of_c3_reads_the_inputs_of_its_column_and_no_other() -> None:
    c3 = archzoo.build("lenet5").get_submodule("features.C3")
    for source in range(6):
        maps = torch.zeros(1, 6, 14, 14)
        quiet = c3(maps)
        maps[:, source] = torch.randn(14, 14)
        changed = (c3(maps) != quiet).flatten(2).any(2)[0]
        assert changed.tolist() == [source in column for column in TABLE_I]


def test_c3_is_a_dense_convolution_with_the_missing_links_at_zero() -> None:
    c3 = SparseConv(TABLE_I).double()
    convs: list[Any] = list(c3.convs)
    for conv in convs:
        nn.init.normal_(conv.weight)
        nn.init.normal_(conv.bias)
    dense = nn.Conv2d(6, 16, 5).double()
    assert dense.bias is not None
    kernels = [kernel for conv in convs for kernel in conv.weight]
    with torch.no_grad():
        dense.weight.zero_()
        for row, (kernel, column) in enumerate(zip(kernels, TABLE_I, strict=True)):
            for link, source in zip(kernel, column, strict=True):
                dense.weight[row, source] = link
        dense.bias.copy_(torch.cat([conv.bias for conv in convs]))
    maps = torch.randn(2, 6, 14, 14, dtype=torch.float64)
    torch.testing.assert_close(c3(maps), dense(maps))


def test_subsampling_is_a_sum_of_four_times_a_coefficient_plus_a_bias() -> None:
    layer = Subsampling(2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([2.0, -1.0]))
        layer.bias.copy_(torch.tensor([0.5, 3.0]))
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [0.0, 5.0]]]])
    assert layer(maps).flatten().tolist() == [2 * 10 + 0.5, -6 + 3.0]


def test_the_squashing_function_keeps_one_and_minus_one() -> None:
    values = ScaledTanh()(torch.tensor([1.0, -1.0, 0.0, 100.0]))
    torch.testing.assert_close(values, torch.tensor([1.0, -1.0, 0.0, 1.7159]), atol=1e-4, rtol=0)


def test_the_output_is_minus_the_squared_distance_to_fixed_codes() -> None:
    codes = digit_codes(10)
    layer = RadialBasis(codes).double()
    x = torch.randn(3, 84, dtype=torch.float64)
    expected = -torch.stack([(x - torch.tensor(code)).square().sum(1) for code in codes], dim=1)
    torch.testing.assert_close(layer(x), expected)
    assert not list(layer.parameters())
    assert "codes" in layer.state_dict()


def test_a_perfect_drawing_of_a_digit_is_read_as_that_digit_at_no_distance() -> None:
    codes = torch.tensor(digit_codes(10))
    logits = RadialBasis(digit_codes(10))(codes)
    assert logits.argmax(1).tolist() == list(range(10))
    assert logits.diagonal().abs().max() < 1e-3


def test_the_codes_are_ten_different_bitmaps_of_7_by_12_in_plus_and_minus_one() -> None:
    codes = torch.tensor(digit_codes(10))
    assert codes.shape == (10, 7 * 12)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    assert len({tuple(code.tolist()) for code in codes}) == 10


def test_every_layer_up_to_f6_is_squashed_and_the_order_is_the_papers() -> None:
    net = archzoo.build("lenet5")
    assert list(net.features._modules) == ["C1", "f1", "S2", "f2", "C3", "f3", "S4", "f4", "C5", "f5"]
    assert list(net.classifier._modules) == ["flatten", "F6", "f6", "output"]


def test_weights_start_within_2_4_over_fan_in() -> None:
    net: Net = archzoo.build("lenet5")
    for layer in net.modules():
        if isinstance(layer, Conv2d | Linear | Subsampling):
            fan_in = 4 if isinstance(layer, Subsampling) else layer.weight[0].numel()
            values = torch.cat([parameter.flatten() for parameter in layer.parameters()])
            assert values.abs().max() <= 2.4 / fan_in
            assert values.abs().max() > 2.4 / fan_in / 10


def test_the_textbook_net_has_61706_parameters_in_five_layers() -> None:
    # 6 x 25 + 6, 16 x 150 + 16, 400 x 120 + 120, 120 x 84 + 84, 84 x 10 + 10
    assert 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
    counted = archzoo.profile(archzoo.build("lenet5_textbook"), (1, 32, 32))
    assert (counted.params, counted.depth) == (61_706, 5)


def test_there_are_codes_for_ten_classes_only() -> None:
    assert archzoo.build("lenet5", num_classes=4)(torch.zeros(1, 1, 32, 32)).shape == (1, 4)
    with pytest.raises(archzoo.BadOption, match="at most 10, not 26"):
        archzoo.build("lenet5", num_classes=26)


def test_cross_entropy_with_a_rubbish_class_is_the_papers_loss() -> None:
    """Eq. 9: the mean of y_D + log(exp(-j) + sum_i exp(-y_i)), where y are the penalties of Eq. 7."""
    j = 70.0
    layer = RadialBasis(digit_codes(10), j).double()
    x, digits = torch.randn(4, 84, dtype=torch.float64), torch.tensor([3, 0, 9, 5])
    penalties = torch.stack([(x - torch.tensor(code)).square().sum(1) for code in digit_codes(10)], dim=1)
    losses = [y[digit] + (math.exp(-j) + y.neg().exp().sum()).log() for y, digit in zip(penalties, digits, strict=True)]
    torch.testing.assert_close(F.cross_entropy(layer.train()(x), digits), torch.stack(losses).mean())
    torch.testing.assert_close(layer.eval()(x), -penalties)


def test_without_a_rubbish_class_the_constant_is_infinite() -> None:
    x, digits = torch.randn(4, 84), torch.tensor([3, 0, 9, 5])
    losses = [F.cross_entropy(RadialBasis(digit_codes(10), j).train()(x), digits) for j in (None, 1e6)]
    torch.testing.assert_close(losses[0], losses[1])


def test_a_finite_constant_pulls_f6_to_the_code_and_an_infinite_one_does_not() -> None:
    """A direction that all codes are at right angles to adds the same to every penalty, and cancels between classes."""
    codes = torch.tensor(digit_codes(10)).double()
    ones = torch.ones(84, 1, dtype=torch.float64)
    away = (ones - codes.T @ torch.linalg.lstsq(codes.T, ones).solution).T
    pulls = []
    for j in (None, 1.0):
        x = (codes[:1] + away).requires_grad_()
        F.cross_entropy(RadialBasis(digit_codes(10), j).double().train()(x), torch.tensor([0])).backward()
        assert x.grad is not None
        pulls.append((x.grad @ away.T).item())
    assert pulls[0] == pytest.approx(0, abs=1e-9)
    assert pulls[1] > 1


@pytest.mark.parametrize("penalty", [0.0, -3.0])
def test_a_rubbish_penalty_that_is_not_positive_is_refused(penalty: float) -> None:
    """Sec. II-C: the constant j is positive."""
    with pytest.raises(archzoo.BadOption, match="rubbish_penalty must be None or more than 0"):
        archzoo.build("lenet5", rubbish_penalty=penalty)


def test_the_learning_rate_falls_as_in_section_iii() -> None:
    """Sec. III-B: 0.0005 for two passes, 0.0002 and 0.0001 for three each, 0.00005 for four, 0.00001 for the rest."""
    recipe = registry.find_recipe("lenet5_mnist")
    rates = [recipe.lr * recipe.schedule.factor(epoch, Duration(20, 1)) for epoch in range(20)]
    assert rates == pytest.approx([5e-4] * 2 + [2e-4] * 3 + [1e-4] * 3 + [5e-5] * 4 + [1e-5] * 8)


def test_nothing_about_lenet_is_quoted_from_memory() -> None:
    assert all(claim.confirmed for _, _, claim in registry.all_claims("lenet5"))
    assert {result.error: result.confirmed for result in registry.results("lenet5")} == {0.95: True, 0.8: True}
