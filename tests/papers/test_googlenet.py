from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.layers import Inception, Net, ResponseNorm, without_auxiliary
from archzoo.models.googlenet import (
    TABLE_1,
    Columns,
    Logits,
    inception,
    naive_inception,
)
from archzoo.recipes import ParameterGroup, RandomResizedCrop, StepDecay, SubtractMean
from archzoo.registry import all_claims, find_recipe
from archzoo.training._losses import training_loss
from tests.networks import EVERY_NET

BOTH = pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])


def build(name: str, **options: Any) -> Net:
    net: Net = archzoo.build(name, device="meta", **options)
    return net


def layers(net: nn.Module) -> list[str]:
    """The parts by name, without the batch normalization and the ReLU of a convolution."""
    return [name for name, _ in net.named_children() if not name.endswith(("_relu", "_bn"))]


@BOTH
def test_the_parts_stand_in_the_order_of_fig_3(name: str) -> None:
    order = "conv1 pool1 lrn1 conv2_reduce conv2 lrn2 pool2 3a 3b pool3 4a 4b 4c 4d 4e pool4 5a 5b"
    expected = order if name == "googlenet" else order.replace("lrn1 ", "").replace("lrn2 ", "")
    assert " ".join(layers(build(name).features)).replace("inception_", "") == expected


def test_every_convolution_has_a_bias_and_a_relu_behind_it() -> None:
    parts = [module for module in build("googlenet", auxiliary=True).modules() if not list(module.children())]
    convs = [i for i, module in enumerate(parts) if isinstance(module, nn.Conv2d)]
    assert len(convs) == 3 + 9 * 6 + 2
    assert all(isinstance(parts[i + 1], nn.ReLU) for i in convs)
    assert all(parts[i].bias is not None for i in convs)


def test_the_batch_normalized_net_has_conv_bn_relu_without_a_bias_and_3x3_for_5x5() -> None:
    net = build("googlenet_bn", auxiliary=True)
    parts = [module for module in net.modules() if not list(module.children())]
    convs = [i for i, module in enumerate(parts) if isinstance(module, nn.Conv2d)]
    assert all(parts[i].bias is None for i in convs)
    assert {parts[i + 1].eps for i in convs} == {0.001}
    assert all(isinstance(parts[i + 1], nn.BatchNorm2d) and isinstance(parts[i + 2], nn.ReLU) for i in convs)
    assert {conv.kernel_size for conv in convolutions(net, "5x5.conv")} == {(3, 3)}
    assert not [module for module in net.modules() if isinstance(module, ResponseNorm)]
    features: Any = net.features
    classifier: Any = net.classifier
    assert (features.pool4.kernel_size, classifier.drop.p) == (2, 0.2)


def convolutions(net: nn.Module, end: str) -> list[Any]:
    return [module for name, module in net.named_modules() if name.endswith(end)]


def test_the_5x5_branch_is_5x5() -> None:
    net = build("googlenet")
    assert {conv.kernel_size for conv in convolutions(net, "5x5.conv")} == {(5, 5)}
    assert {conv.kernel_size for conv in convolutions(net, "3x3.conv")} == {(3, 3)}
    for end in ("1x1.conv", "3x3.reduce", "5x5.reduce", "pool.proj"):
        assert [conv.kernel_size for conv in convolutions(net, end)] == [(1, 1)] * 9


def test_a_branch_reduces_before_its_convolution_and_pools_before_its_projection() -> None:
    module = build("googlenet").get_submodule("features.inception_3a")
    assert {name: layers(branch) for name, branch in module.named_children()} == {
        "1x1": ["conv"],
        "3x3": ["reduce", "conv"],
        "5x5": ["reduce", "conv"],
        "pool": ["max", "proj"],
    }


def test_pooling_keeps_the_last_incomplete_window() -> None:
    pools = [build("googlenet").features.get_submodule(f"pool{i}") for i in (1, 2, 3, 4)]
    for pool, side in zip(pools, (112, 56, 28, 14), strict=True):
        assert isinstance(pool, nn.MaxPool2d)
        assert (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 0)
        maps = torch.zeros(1, 1, side, side)
        maps[..., -1, -1] = 1.0  # seen only by a window that reaches beyond the edge
        assert pool(maps)[0, 0, -1, -1] == 1.0
        assert pool(maps).shape[-1] == side // 2


def test_response_normalization_is_that_of_the_port_with_public_weights() -> None:
    norm = build("googlenet").get_submodule("features.lrn1")
    maps = 100 * torch.randn(2, 64, 3, 3)
    # torch divides alpha by n, as the port's framework does
    torch.testing.assert_close(norm(maps), F.local_response_norm(maps, 5, alpha=1e-4, beta=0.75, k=1.0))


def test_27_layers_are_22_and_five_poolings() -> None:
    net = build("googlenet")
    pools = [name for part in net.children() for name, _ in part.named_children() if name.startswith("pool")]
    assert archzoo.profile(net, (3, 224, 224)).depth + len(pools) == 27


def test_dropout_stands_before_the_linear_layer() -> None:
    classifier: Any = build("googlenet").classifier
    assert list(classifier._modules) == ["pool", "flatten", "drop", "linear"]
    assert classifier.drop.p == 0.4


def test_a_module_concatenates_its_branches_in_the_order_of_the_table() -> None:
    module = inception(4, Columns(1, 2, 3, 2, 5, 7))
    maps = torch.randn(2, 4, 6, 6)
    out = module(maps)
    assert out.shape == (2, 1 + 3 + 5 + 7, 6, 6)
    parts = out.split([1, 3, 5, 7], dim=1)
    for part, name in zip(parts, ("1x1", "3x3", "5x5", "pool"), strict=True):
        assert torch.equal(part, module.get_submodule(name)(maps))


def test_the_naive_module_hands_on_all_it_reads_and_costs_more_than_the_reducing_one() -> None:
    naive = naive_inception(192, 64, 128, 32)
    reducing = inception(192, TABLE_1[3]["a"])
    maps = torch.randn(1, 192, 7, 7)
    out = naive(maps)
    assert out.shape[1] == 64 + 128 + 32 + 192
    assert torch.equal(out[:, -192:], F.max_pool2d(maps, 3, stride=1, padding=1))
    assert weights(naive) == 192 * (64 + 9 * 128 + 25 * 32)
    assert weights(reducing) == 192 * (64 + 96 + 16 + 32) + 9 * 96 * 128 + 25 * 16 * 32
    assert isinstance(naive, Inception)


def weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() == 4)


@pytest.mark.parametrize(
    "module",
    [naive_inception(64, 32, 32, 32), inception(64, Columns(32, 32, 32, 32, 32, 32))],
    ids=["naive", "reducing"],
)
def test_a_module_by_itself_is_ready_for_use(module: Inception) -> None:
    for name, conv in module.named_modules():
        if isinstance(conv, nn.Conv2d):
            fan_in = conv.in_channels * conv.kernel_size[0] ** 2
            assert conv.weight.std().item() == pytest.approx(fan_in**-0.5, rel=0.1), name
            assert conv.bias is not None
            assert (conv.bias == 0.2).all()


def test_auxiliary_classifiers_are_those_of_sec_5() -> None:
    classifier: Any = build("googlenet", auxiliary=True).classifier
    for head, inputs in ((classifier.aux_4a, 512), (classifier.aux_4d, 528)):
        assert list(head._modules) == ["pool", "conv", "conv_relu", "flatten", "fc", "fc_relu", "drop", "linear"]
        assert head.pool(torch.empty(1, inputs, 14, 14, device="meta")).shape == (1, inputs, 4, 4)
        assert (head.pool.kernel_size, head.pool.stride) == (5, 3)
        assert (head.conv.in_channels, head.conv.out_channels, head.conv.kernel_size) == (inputs, 128, (1, 1))
        assert (head.fc.in_features, head.fc.out_features, head.drop.p) == (2048, 1024, 0.7)
        params = sum(parameter.numel() for parameter in head.parameters())
        assert params == (inputs + 1) * 128 + (2048 + 1) * 1024 + (1024 + 1) * 1000


@pytest.mark.slow
@BOTH
def test_auxiliary_classifiers_run_in_training_only(name: str) -> None:
    net, images = build(name, auxiliary=True, num_classes=7), torch.empty(2, 3, 224, 224, device="meta")
    logits = net(images)
    assert isinstance(logits, Logits)
    assert [tuple(output.shape) for output in logits] == [(2, 7)] * 3
    plain = net.eval()(images)
    assert isinstance(plain, Tensor)
    assert plain.shape == (2, 7)
    assert archzoo.profile(net, (3, 224, 224)).macs == archzoo.profile(build(name, num_classes=7), (3, 224, 224)).macs


def test_an_image_that_auxiliary_classifiers_cannot_take_is_refused_in_training() -> None:
    net, images = build("googlenet", auxiliary=True), torch.empty(2, 3, 192, 192, device="meta")
    with pytest.raises(ValueError, match=r"14x14 to 16x16, not 12x12: train on images of 224x224"):
        net(images)
    assert net.eval()(images).shape == (2, 1000)


def test_each_auxiliary_classifier_reads_its_own_module() -> None:
    net = build("googlenet", auxiliary=True)
    seen: dict[str, Any] = {}
    for name in ("features.inception_4a", "features.inception_4d", "classifier.aux_4a", "classifier.aux_4d"):
        net.get_submodule(name).register_forward_hook(
            lambda _, inputs, out, name=name: seen.update({name: (inputs[0], out)})
        )
    net(torch.empty(2, 3, 224, 224, device="meta"))
    assert seen["classifier.aux_4a"][0] is seen["features.inception_4a"][1]
    assert seen["classifier.aux_4d"][0] is seen["features.inception_4d"][1]


def test_the_loss_of_an_auxiliary_classifier_counts_three_tenths() -> None:
    logits = Logits(*torch.randn(3, 4, 5, dtype=torch.float64))
    labels = torch.tensor([0, 1, 2, 4])
    main, first, second = (F.cross_entropy(output, labels) for output in logits)
    torch.testing.assert_close(training_loss(logits, labels), main + 0.3 * first + 0.3 * second)
    torch.testing.assert_close(training_loss(logits.main, labels), main)


@pytest.mark.slow
def test_one_step_of_training_reaches_every_parameter() -> None:
    net = archzoo.build("googlenet", auxiliary=True, num_classes=3)
    training_loss(net(torch.randn(2, 3, 224, 224)), torch.tensor([0, 2])).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())


@BOTH
def test_the_cut_net_computes_the_same_without_a_trace_of_auxiliary_classifiers(name: str) -> None:
    torch.manual_seed(0)
    net = archzoo.build(name, auxiliary=True, num_classes=3).eval()
    cut = without_auxiliary(net)
    images = torch.randn(1, 3, 64, 64)
    assert not cut.training
    assert torch.equal(cut(images), net(images))
    assert isinstance(cut.train()(torch.randn(2, 3, 64, 64)), Tensor)
    plain = build(name, num_classes=3)
    assert list(cut.state_dict()) == list(plain.state_dict())
    assert str(cut) == str(plain)
    kept = {part for part in net.state_dict() if ".aux_" not in part}
    assert kept == set(plain.state_dict())


@pytest.mark.skipif(not EVERY_NET, reason="with EVERY_NET=1: in evaluation mode it is the plain network")
def test_with_auxiliary_classifiers_it_compiles_and_exports_in_evaluation_mode() -> None:
    net = archzoo.build("googlenet", auxiliary=True, num_classes=3).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = net(images)
        compiled = torch.compile(net, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(images), expected)
        torch.testing.assert_close(torch.export.export(net, (images,)).module()(images), expected)


def test_weights_start_as_in_caffes_replication() -> None:
    """models/bvlc_googlenet/train_val.prototxt: every weight_filler is "xavier"; 61 biases are 0.2, and 3 are 0."""
    torch.manual_seed(0)
    net = archzoo.build("googlenet", auxiliary=True)
    conv2, linear = net.get_parameter("features.conv2.weight"), net.get_parameter("classifier.linear.weight")
    assert conv2.std().item() == pytest.approx((1 / (9 * 64)) ** 0.5, rel=0.01)
    assert linear.std().item() == pytest.approx((1 / 1024) ** 0.5, rel=0.01)
    biases = {name: value for name, value in net.named_parameters() if name.endswith("bias")}
    assert len(biases) == 61 + 3
    zero = {name for name, value in biases.items() if not value.any()}
    assert zero == {f"classifier.{name}.bias" for name in ("linear", "aux_4a.linear", "aux_4d.linear")}
    assert all((value == 0.2).all() for name, value in biases.items() if name not in zero)


def test_the_batch_normalized_net_starts_as_torchvisions() -> None:
    torch.manual_seed(0)
    net = archzoo.build("googlenet_bn")
    assert net.get_parameter("features.conv2.weight").std().item() == pytest.approx(0.01, rel=0.01)


def test_about_100_building_blocks_are_the_boxes_of_fig_3() -> None:
    """Fig. 3 draws input, convolutions, poolings, normalizations, concatenations, linear layers and softmaxes."""
    net = build("googlenet", auxiliary=True)
    kinds = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, ResponseNorm, Inception)
    boxes = sum(isinstance(module, kinds) for module in net.modules()) + 3 + 1  # three softmaxes, and the input
    assert round(boxes, -1) == 100


def test_the_depths_of_table_1_add_up_to_22() -> None:
    """Sec. 5: 22 layers with parameters. A module is two of them, whatever runs side by side in it."""
    profile = archzoo.profile(build("googlenet"), (3, 224, 224))
    parts = [stats for stats in profile.modules if stats.name.count(".") == 1]
    assert sum(stats.depth for stats in parts) == 22
    assert {stats.depth for stats in parts if stats.kind == "Inception"} == {2}
    assert profile.at("features.inception_3a.1x1").depth == 1


def test_the_recipe_is_that_of_sec_6() -> None:
    recipe = find_recipe("googlenet")
    assert recipe.optimizer.options["momentum"] == 0.9
    assert recipe.schedule == StepDecay(8, gamma=0.96)  # 4% every 8 epochs
    assert recipe.ema > 0  # Polyak averaging
    assert recipe.preprocessing == SubtractMean("channel")  # Sec. 5: mean subtraction, and no division
    assert recipe.augmentation[0] == RandomResizedCrop(scale=(0.08, 1), ratio=(3 / 4, 4 / 3))
    assert any("Polyak" in value for value in recipe.unspecified)
    assert any("photometric" in value for value in recipe.unspecified)


def test_the_replication_is_trained_as_its_solver_says() -> None:
    """bvlc_googlenet: quick_solver.prototxt, and lr_mult and decay_mult of every bias."""
    recipe = find_recipe("googlenet_caffe")
    assert (recipe.lr, recipe.batch_size, recipe.iterations, recipe.weight_decay) == (0.01, 32, 2_400_000, 0.0002)
    run = recipe.duration(1_281_167)
    assert run.iterations / run.per_epoch == pytest.approx(60, abs=0.1)  # readme.md: 60 epochs
    assert recipe.schedule.factor(1_200_000, run) == pytest.approx(0.5**0.5)
    assert recipe.groups == (ParameterGroup("*.bias", lr_mult=2, decay_mult=0),)


def test_numbers_of_another_source_do_not_stand_under_the_paper() -> None:
    sources = {paper.title for paper, entry, _ in all_claims("googlenet_bn")}
    assert sources == {"TorchVision: PyTorch's Computer Vision library"}
