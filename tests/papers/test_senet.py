import re
from collections.abc import Callable
from math import floor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archzoo
from archzoo.errors import BadOption
from archzoo.layers import Aggregated, Basic, Bottleneck, Net, SqueezeExcitation, projected
from archzoo.models.senet import Excitation, Excited, Place
from archzoo.papers.senet import TABLE_2
from archzoo.recipes import TRAINING_IMAGES, ReduceOnPlateau
from archzoo.registry import find_recipe
from archzoo.weights._inference import of_state, possible_options

Function = Callable[[Tensor], Tensor]


def block(net: nn.Module, stage: int, number: int) -> Any:
    return net.get_submodule(f"features.conv{stage}_x.block{number}")


def randomized(module: nn.Module) -> Any:
    """Weights of anything, in double precision."""
    module = module.double().eval()
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.5) if tensor.dim() == 1 else tensor.normal_(std=0.2)
    return module


def scaled(maps: Tensor, se: Any, squeeze: Function | None = None, gate: Function = torch.sigmoid) -> Tensor:
    """Eq. 2 to 4 with matrices: z_c the mean of map c, s = gate(W2 relu(W1 z)), and map c times s_c."""
    z = maps.mean((2, 3)) if squeeze is None else squeeze(maps)
    biases = [0 if layer.bias is None else layer.bias for layer in (se.fc1, se.fc2)]
    hidden = (z @ se.fc1.weight[:, :, 0, 0].T + biases[0]).clamp(min=0)
    s = gate(hidden @ se.fc2.weight[:, :, 0, 0].T + biases[1])
    return maps * s[:, :, None, None]


def largest(maps: Tensor) -> Tensor:
    return maps.flatten(2).max(2).values


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("squeeze", "gate", "pooled", "function"),
    [
        ("average", "sigmoid", None, torch.sigmoid),
        ("max", "sigmoid", largest, torch.sigmoid),
        ("average", "tanh", None, torch.tanh),
        ("average", "relu", None, torch.relu),
    ],
)
def test_a_block_scales_each_map_by_the_printed_formula(
    squeeze: Any, gate: Any, pooled: Function | None, function: Function, bias: bool
) -> None:
    se = randomized(Excitation(4, squeeze, gate, bias)(10))
    assert (se.fc1.out_channels, se.fc1.bias is not None) == (2, bias)  # 10 / 4, rounded down
    maps = torch.randn(3, 10, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(se(maps), scaled(maps, se, pooled, function))


def test_without_a_squeeze_each_position_has_scales_of_its_own() -> None:
    """NoSqueeze of Table 16: the FC layers are 1x1 convolutions of the whole maps."""
    se = randomized(Excitation(4, "none")(8))
    maps = torch.randn(1, 8, 3, 2, dtype=torch.float64)
    for row in range(3):
        for column in range(2):
            position = maps[:, :, row : row + 1, column : column + 1]
            torch.testing.assert_close(se(maps)[:, :, row : row + 1, column : column + 1], scaled(position, se))


@pytest.mark.parametrize("made", [Basic(projected), Bottleneck(projected), Aggregated(2, 8)])
def test_any_residual_branch_can_end_in_it(made: Any) -> None:
    plain = randomized(made(8, 8, 2))
    maps = torch.randn(2, 8, 6, 6, dtype=torch.float64)
    branch, shortcut = plain.layers(maps), plain.shortcut(maps)
    plain.layers.add_module("se", se := randomized(SqueezeExcitation(branch.shape[1], 4)))
    torch.testing.assert_close(plain(maps), (scaled(branch, se) + shortcut).relu())


PLACES: dict[Place, Callable[[Tensor, Any, Function], Tensor]] = {
    "standard": lambda maps, plain, se: (se(plain.layers(maps)) + plain.shortcut(maps)).relu(),
    "pre": lambda maps, plain, se: (plain.layers(se(maps)) + plain.shortcut(maps)).relu(),
    "post": lambda maps, plain, se: se((plain.layers(maps) + plain.shortcut(maps)).relu()),
    "identity": lambda maps, plain, se: (plain.layers(maps) + se(plain.shortcut(maps))).relu(),
    "3x3": lambda maps, plain, se: (plain.layers[5:](se(plain.layers[:5](maps))) + plain.shortcut(maps)).relu(),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("inputs", "stride"), [(256, 1), (64, 1), (64, 2)])
def test_each_place_is_that_of_its_figure(place: Place, inputs: int, stride: int) -> None:
    """Fig. 5 and Table 15, with an identity and with projections."""
    excited = randomized(Excited(Bottleneck(projected), Excitation(8), place)(inputs, 64, stride))
    plain = Bottleneck(projected)(inputs, 64, stride).double().eval()
    weights = {name.removeprefix("residual."): tensor for name, tensor in excited.state_dict().items()}
    plain.load_state_dict({name: tensor for name, tensor in weights.items() if "se." not in name})
    [se] = [module for module in excited.modules() if isinstance(module, SqueezeExcitation)]
    assert se.fc1.in_channels == {"pre": inputs, "3x3": 64}.get(place, 256)
    maps = torch.randn(2, inputs, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(excited(maps), PLACES[place](maps, plain, lambda x: scaled(x, se)))


@pytest.mark.parametrize(
    ("name", "place", "groups", "inner"),
    [("se_resnet50", 1, 1, (128, 128)), ("se_resnext50_32x4d", 2, 32, (256, 256)), ("senet154", 2, 64, (256, 512))],
)
def test_the_stride_is_where_the_release_has_it(name: str, place: int, groups: int, inner: tuple[int, int]) -> None:
    """models/*.prototxt of the release, conv3_1 and conv3_2: the first 1x1 of SE-ResNet, and the 3x3 of the others."""
    net = archzoo.build(name, device="meta")
    convs = [block(net, 3, 1).layers.get_submodule(f"conv{i}") for i in (1, 2, 3)]
    assert [conv.stride[0] for conv in convs] == [2 if i == place else 1 for i in (1, 2, 3)]
    assert (convs[0].out_channels, convs[1].out_channels) == inner
    assert [conv.groups for conv in convs] == [1, groups, 1]
    sides = {stage: block(net, stage, 1).shortcut.conv.kernel_size[0] for stage in (2, 3, 4, 5)}
    assert sides == dict.fromkeys((2, 3, 4, 5), 1) | (dict.fromkeys((3, 4, 5), 3) if name == "senet154" else {})
    assert [block(net, stage, 1).shortcut.conv.stride[0] for stage in (2, 3, 4, 5)] == [1, 2, 2, 2]
    assert isinstance(block(net, 3, 2).shortcut, nn.Identity)
    biased = {conv for conv, module in net.named_modules() if isinstance(module, nn.Conv2d) and module.bias is not None}
    assert biased
    assert all(".se.fc" in conv for conv in biased)


@pytest.mark.parametrize(
    ("name", "stem"), [("se_resnet50", ["7x7/2 64"]), ("senet154", ["3x3/2 64", "3x3/1 64", "3x3/1 128"])]
)
def test_the_stems_are_those_of_the_release(name: str, stem: list[str]) -> None:
    features: Any = archzoo.build(name, device="meta").get_submodule("features")
    first = [layer for layer in features if isinstance(layer, nn.Conv2d)]
    assert [f"{c.kernel_size[0]}x{c.kernel_size[1]}/{c.stride[0]} {c.out_channels}" for c in first] == stem
    assert all(layer.padding[0] == layer.kernel_size[0] // 2 for layer in first)


def test_the_first_pooling_rounds_up_as_caffe_does() -> None:
    """Not padded: window p starts at 2p, and the last one is incomplete where the side is even."""
    ceil = archzoo.build("se_resnet50", device="meta").get_submodule("features.pool1")
    padded = archzoo.build("se_resnet50", pool="padded", device="meta").get_submodule("features.pool1")
    for side in (7, 8, 112):
        maps = torch.randn(1, 1, side, side)
        pooled = ceil(maps)
        last = -(-(side - 3) // 2)
        assert pooled.shape[-1] == last + 1
        for p, q in ((0, 0), (last, 0), (last, last)):
            assert pooled[0, 0, p, q] == maps[0, 0, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3].max()
    assert padded(maps).shape == pooled.shape == (1, 1, 56, 56)
    assert padded(maps)[0, 0, 0, 0] == maps[0, 0, :2, :2].max()


def test_blocks_are_in_the_stages_that_are_named() -> None:
    net = archzoo.build("se_resnet50", se_stages=(2, 4), device="meta")
    excited = [
        stage
        for stage in (2, 3, 4, 5)
        if any(isinstance(m, SqueezeExcitation) for m in net.get_submodule(f"features.conv{stage}_x").modules())
    ]
    assert excited == [2, 4]
    assert len([module for module in net.modules() if isinstance(module, SqueezeExcitation)]) == 3 + 6


def test_dropout_of_a_fifth_precedes_the_last_layer_of_senet154_alone() -> None:
    classifier = archzoo.build("senet154", device="meta").classifier
    names = [type(part).__name__ for part in classifier.children()]
    assert names == ["AdaptiveAvgPool2d", "Flatten", "Dropout", "Linear"]
    assert classifier.get_submodule("dropout").p == 0.2
    assert not any(isinstance(module, nn.Dropout) for module in archzoo.build("se_resnet50", device="meta").modules())


def test_weights_start_with_a_variance_of_2_over_the_fan_in() -> None:
    """Sec. 5.1 names He et al. 2015, Eq. 10, also for the FC layers of the blocks; their biases start at zero."""
    layers = block(archzoo.build("se_resnext50_32x4d", num_classes=10), 5, 2).layers
    for layer, fan_in in ((layers.conv1, 2048), (layers.conv2, 9 * 32), (layers.se.fc1, 2048), (layers.se.fc2, 128)):
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    assert not layers.se.fc1.bias.any()
    assert not layers.se.fc2.bias.any()


@torch.no_grad()
def test_blocks_scale_whole_modules_of_bn_inception() -> None:
    """Fig. 2, in each of the ten modules, also of stride 2."""
    net: Any = archzoo.build("se_bn_inception", device="meta")
    modules = [part for name, part in net.features.named_children() if name.startswith("inception")]
    assert [list(module._modules) for module in modules] == [["branches", "se"]] * 10
    first = randomized(archzoo.build("se_bn_inception", num_classes=1).get_submodule("features.inception_3a"))
    maps = torch.randn(1, 192, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(first(maps), scaled(first.branches(maps), first.se))
    assert not any(isinstance(m, nn.Conv2d) and m.bias is not None for module in modules for m in module.branches)


@torch.no_grad()
def test_blocks_scale_what_pointwise_convolutions_of_mobilenet_return() -> None:
    net: Any = archzoo.build("se_mobilenet", num_classes=1)
    blocks = [part for name, part in net.features.named_children() if name.startswith("block")]
    assert [list(block._modules) for block in blocks] == [["depthwise", "pointwise", "se"]] * 13
    first = randomized(blocks[0])
    assert list(first.pointwise._modules) == ["conv", "bn", "relu"]
    maps = torch.randn(1, 32, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(first(maps), scaled(first.pointwise(first.depthwise(maps)), first.se))


@torch.no_grad()
def test_blocks_end_the_branches_of_shufflenet() -> None:
    """Before the sum, or before the ReLU and the concatenation; those of stride 2 return what the pooled maps lack."""
    net: Any = archzoo.build("se_shufflenet", num_classes=1)
    units = [unit for stage in (2, 3, 4) for unit in net.features.get_submodule(f"stage{stage}")]
    blocks = [unit.branch.expand.se.fc1.in_channels for unit in units]
    assert blocks == [216, *[240] * 3, 240, *[480] * 7, 480, *[960] * 3]
    down, unit = randomized(units[0]), randomized(units[1])
    assert [list(made.branch.expand._modules) for made in (down, unit)] == [["conv", "bn", "se"]] * 2

    def branch(made: Any, maps: Tensor) -> Tensor:
        expand = made.branch.expand
        return scaled(expand.bn(expand.conv(made.branch[:-1](maps))), expand.se)

    maps = torch.randn(1, 24, 6, 6, dtype=torch.float64)
    halved = torch.cat([down.pool(maps), branch(down, maps).relu()], 1)
    torch.testing.assert_close(down(maps), halved)
    torch.testing.assert_close(unit(halved), (branch(unit, halved) + halved).relu())


def with_scales_of_one(net: Net) -> Net:
    """A sigmoid of 50 is 1 in single precision."""
    for module in net.modules():
        if isinstance(module, SqueezeExcitation):
            assert module.fc2.bias is not None
            module.fc2.weight.zero_()
            module.fc2.bias.fill_(50.0)
    return net.eval()


INNER = {"reduce": "conv1", "proj": "conv1", "1x1": "conv1", "3x3.conv": "conv2", "double_3x3.conv1": "conv2"}
INNER["double_3x3.conv2"] = "conv3"


def in_release(name: str) -> str:
    """What SE-BN-Inception calls a tensor of BN-Inception, whose figure names the convolutions otherwise."""
    match = re.fullmatch(r"features\.(inception_\w+)\.(\w+)(?:\.(\w+))?\.(conv|bn)\.(\w+)", name)
    if match is None:
        return name
    module, column, layer, kind, tensor = match.groups()
    inner = INNER.get(layer or column) or INNER[f"{column}.{layer}"]
    return f"features.{module}.branches.{column}.{inner}.{kind}.{tensor}"


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("se_bn_inception", "bn_inception_caffe"),
        ("se_mobilenet", "mobilenet_v1_x1_0"),
        ("se_shufflenet", "shufflenet_v1_g3_x1_0"),
    ],
)
def test_with_scales_of_one_it_is_the_network_without_blocks(name: str, plain: str) -> None:
    """In BN-Inception without the biases, which are zero where training starts."""
    without = archzoo.build(plain).eval()
    net = with_scales_of_one(archzoo.build(name))
    state = {in_release(key): tensor for key, tensor in without.state_dict().items()}
    known = net.state_dict()
    if name == "se_bn_inception":
        state = {key: tensor for key, tensor in state.items() if key.startswith("classifier") or key in known}
    misfits = net.load_state_dict(state, strict=False)
    assert not misfits.unexpected_keys
    assert all(".se.fc" in key for key in misfits.missing_keys)
    images = torch.randn(2, 3, 70, 70)
    torch.testing.assert_close(net(images), without(images))


def of_blocks(outputs: list[tuple[int, int]]) -> dict[str, int]:
    """What SE blocks of so many maps of so many pixels a side add, their reduction being 16."""
    return {
        "macs": sum(2 * maps * (maps // 16) for maps, _ in outputs),
        "biases": sum(maps + maps // 16 for maps, _ in outputs),
        "elements": sum(maps * side**2 for maps, side in outputs),
    }


def test_what_is_said_of_the_counts_of_table_3_is_so() -> None:
    """Blocks behind the pointwise convolutions of MobileNet, and at the ends of all or some branches of ShuffleNet."""
    pointwise = [(64, 112), *[(128, 56)] * 2, *[(256, 28)] * 2, *[(512, 14)] * 6, *[(1024, 7)] * 2]
    mobile = of_blocks(pointwise)
    assert round((568_740_352 + mobile["macs"]) / 1e6, 1) == 569.2
    assert round((568_740_352 + mobile["macs"] + mobile["elements"]) / 1e6, 1) == 571.9
    depthwise = [(32, 112), (64, 56), (128, 56), (128, 28), (256, 28), (256, 14), *[(512, 14)] * 5, (512, 7), (1024, 7)]
    others = of_blocks(depthwise)
    assert round((4_231_976 + mobile["macs"] + mobile["biases"]) / 1e6, 1) == 4.7
    assert round((4_231_976 + others["macs"] + others["biases"]) / 1e6, 1) == 4.6
    units = [*[(240, 28)] * 3, *[(480, 14)] * 7, *[(960, 7)] * 3]
    counts = {
        "branches": of_blocks([(216, 28), (240, 14), (480, 7), *units]),
        "stride 1": of_blocks(units),
        "behind": of_blocks([(240, 28), (480, 14), (960, 7), *units]),
    }
    params = {place: 1_864_728 + count["macs"] + count["biases"] for place, count in counts.items()}
    assert params["branches"] == 2_483_533
    assert {place: round(count / 1e6, 2) for place, count in params.items()} == {
        "branches": 2.48,
        "stride 1": 2.44,
        "behind": 2.59,
    }
    added = counts["branches"]["macs"], counts["branches"]["elements"]
    assert [round(count / 1e6, 1) for count in added] == [0.6, 1.6]
    assert round(140 + sum(added) / 1e6) == 142


def test_what_is_said_of_the_other_counts_of_table_2_is_so() -> None:
    """SE-BN-Inception, and SE-VGG-16 with a block behind each ReLU."""
    modules = [(256, 28), (320, 28), *[(576, 14)] * 3, *[(608, 14)] * 2, (1056, 7), *[(1024, 7)] * 2]
    added = of_blocks(modules)
    assert round((2_032_600_064 + added["macs"]) / 1e9, 3) == 2.033
    assert round((2_032_600_064 + added["macs"] + 2 * added["elements"]) / 1e9, 3) == 2.036
    relus = [*[(64, 224)] * 2, *[(128, 112)] * 2, *[(256, 56)] * 3, *[(512, 28)] * 3, *[(512, 14)] * 3]
    vgg = of_blocks(relus)
    assert round((15_470_264_320 + vgg["macs"]) / 1e9, 3) == 15.470
    assert round((15_470_264_320 + vgg["macs"] + vgg["elements"]) / 1e9, 3) == 15.484


BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def operations(depth: int, *, grouped: bool, excited: bool) -> dict[str, int]:
    """What one image costs, layer by layer: multiply-adds, sums, scaled elements, ReLUs, pooling reads and biases."""
    count = {"macs": 147 * 64 * 112**2 + 2048 * 1000, "sums": 0, "scaled": 0, "biases": 1000}
    count |= {"relus": 64 * 112**2, "reads": 9 * 64 * 56**2 + 2048 * 7**2}
    inputs = 64
    for width, side, blocks in zip((64, 128, 256, 512), (56, 28, 14, 7), BLOCKS[depth], strict=True):
        inner, outputs, groups = (2 * width, 4 * width, 32) if grouped else (width, 4 * width, 1)
        for number in range(blocks):
            first = 2 * side if grouped and width > 64 and number == 0 else side
            count["macs"] += inputs * inner * first**2 + (9 * inner**2 // groups + inner * outputs) * side**2
            count["macs"] += inputs * outputs * side**2 if number == 0 else 0
            count["relus"] += inner * first**2 + (inner + outputs) * side**2
            count["sums"] += outputs * side**2
            inputs = outputs
            if excited:
                count["macs"] += 2 * outputs * outputs // 16
                count["relus"] += outputs // 16
                count["biases"] += outputs // 16 + outputs
                count["scaled"] += outputs * side**2
                count["reads"] += outputs * side**2
    return count


def hundredths(operations: float) -> float:
    """In units of the last digit of a table that prints 3.86 GFLOPs."""
    return operations / 10**7


def test_what_is_said_of_other_counts_than_multiply_adds_is_so() -> None:
    """The explanation of Table 2, whose ten rows two rules meet in part or in full, and other tables do not."""
    missing, cut_off = [], []
    for name, (printed, ours) in TABLE_2.items():
        [depth] = re.findall(r"resnex?t(\d+)", name)
        count = operations(int(depth), grouped="resnext" in name, excited=name.startswith("se_"))
        assert f"{count['macs'] / 1e9:.2f}G" == (ours or printed)
        row = round(100 * float(printed.removesuffix("G")))
        missing.append(row - round(hundredths(count["macs"] + count["sums"] + count["scaled"])))
        cut_off.append(row - floor(hundredths(count["macs"] + count["relus"] + count["reads"] + count["biases"])))
    assert sorted(missing) == [0] * 6 + [1] * 4
    assert cut_off == [0] * 10


def test_the_rule_that_meets_table_2_does_not_meet_table_13_nor_vgg_16() -> None:
    """SE in conv4_x alone is printed as 3.86 GFLOPs, and VGG-16 as 15.47."""
    count = operations(50, grouped=False, excited=False)
    in_conv4 = 6 * (2 * 1024 * 64 + 1024 * 14**2)
    assert floor(hundredths(count["macs"] + count["relus"] + count["reads"] + count["biases"] + in_conv4)) == 387
    stages = ((64, 224, 2), (128, 112, 2), (256, 56, 3), (512, 28, 3), (512, 14, 3))
    relus_and_reads = sum(maps * side**2 * (convs + 1) for maps, side, convs in stages)  # a 2x2/2 pooling reads all
    assert floor(hundredths(15_470_264_320)) == 1547
    assert floor(hundredths(15_470_264_320 + relus_and_reads)) == 1548


def test_the_recipe_of_the_mobile_setting_is_that_of_section_5_1() -> None:
    recipe = find_recipe("senet_mobile")
    assert (recipe.lr, recipe.batch_size, recipe.epochs, recipe.optimizer.options["momentum"]) == (0.1, 256, 400, 0.9)
    assert isinstance(recipe.schedule, ReduceOnPlateau)
    assert recipe.schedule.gamma == 0.1


@pytest.mark.parametrize(("name", "lr", "batch"), [("senet_imagenet", 0.6, 1024), ("senet154_imagenet", 1.0, 2048)])
def test_the_rate_is_divided_by_10_every_30_epochs(name: str, lr: float, batch: int) -> None:
    recipe = find_recipe(name)
    assert (recipe.lr, recipe.batch_size, recipe.epochs) == (lr, batch, 100)
    run = recipe.duration(TRAINING_IMAGES["imagenet"])
    for epoch, factor in ((0, 1), (29, 1), (30, 0.1), (60, 0.01), (90, 0.001), (99, 0.001)):
        assert recipe.schedule.factor(epoch * run.per_epoch, run) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("se_resnet", {"reduction": 0}, "reduction must be from 1 to 256, the number of maps, not 0"),
        ("se_resnet", {"reduction": 257}, "reduction must be from 1 to 256, the number of maps, not 257"),
        ("se_resnet", {"se_stages": (1, 2)}, "se_stages must be stages from 2 to 5, not 1, 2"),
        ("se_resnext", {"cardinality": 0}, "cardinality must be at least 1, not 0"),
        ("se_resnext", {"base_width": 0}, "base_width must be at least 1, not 0"),
        ("senet154", {"drop": 1.0}, "drop must be at least 0 and less than 1, not 1.0"),
    ],
)
def test_options_that_make_no_network_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        archzoo.build(name, device="meta", **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("se_resnet", {"depth": 101, "reduction": 16, "bias": True}),
        ("se_resnet", {"depth": 50, "reduction": 8, "bias": False}),
        ("se_resnext", {"depth": 50, "reduction": 16, "cardinality": 32, "base_width": 4}),
        ("senet154", {"reduction": 16}),
    ],
)
def test_shapes_tell_the_options_but_for_the_pooling(name: str, options: dict[str, Any]) -> None:
    net = archzoo.build(name, device="meta", **options)
    possible = possible_options(name, of_state(net.state_dict().values()))
    assert possible == [{**options, "pool": pool} for pool in ("ceil", "padded")]
    others = [other for other in ("se_resnet", "se_resnext", "senet154", "resnet", "resnext") if other != name]
    assert not any(possible_options(other, of_state(net.state_dict().values())) for other in others)


@pytest.mark.parametrize(
    ("name", "reduction"),
    [
        *(("se_resnet", reduction) for reduction in (2, 4, 8, 16, 32)),  # Table 10
        *((name, reduction) for name in ("se_bn_inception", "se_mobilenet", "se_shufflenet") for reduction in (8, 16)),
    ],
)
def test_shapes_leave_the_reduction_of_a_block_possible(name: str, reduction: int) -> None:
    state = archzoo.build(name, reduction=reduction, device="meta").state_dict()
    possible = possible_options(name, of_state(state.values()))
    assert possible is not None
    assert reduction in {options["reduction"] for options in possible}
    others = {"se_bn_inception", "se_mobilenet", "se_shufflenet", "bn_inception", "mobilenet_v1", "shufflenet_v1"} - {
        name
    }
    assert not any(possible_options(other, of_state(state.values())) for other in others)
