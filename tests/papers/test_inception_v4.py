from collections import Counter
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archzoo
from archzoo.auditor import profiled
from archzoo.comparison import compare
from archzoo.errors import BadOption, InputError, WeightsError
from archzoo.inference import fold_batch_norms
from archzoo.layers import Inception, InceptionLayers, InceptionLogits, batch_norm, sequence, without_auxiliary
from archzoo.models.inception_v4 import AVERAGE, ScaledResidual, initialize_v4, residual
from archzoo.recipes import TRAINING_IMAGES
from archzoo.registry import find_recipe
from archzoo.report.tables._worksheet import worksheet_rows
from archzoo.weights._inference import of_state, possible_options
from archzoo.weights._libraries import names_in
from archzoo.weights._published import choose
from tests import networks

RESIDUAL = ("inception_resnet_v1", "inception_resnet_v2", "inception_resnet_v2_released")
EVERY = ("inception_v4", *RESIDUAL)
WITH_AUXILIARY = {"inception_v4": 1024, "inception_resnet_v2_released": 1088}  # the maps that it reads
with_auxiliary = pytest.mark.parametrize("name", WITH_AUXILIARY)
LAYERS = InceptionLayers(scale=False)


@cache
def build(name: str, **options: Any) -> Any:
    return archzoo.build(name, device="meta", **options)


def drawn(module: nn.Module) -> Any:
    """A module with weights and statistics of any value, in evaluation mode and double precision."""
    for name, tensor in module.double().state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 2) if name.endswith("running_var") else tensor.normal_(std=0.5)
    return module.eval()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("inception_v4", (4, 7, 3)),
        ("inception_resnet_v1", (5, 10, 5)),
        ("inception_resnet_v2", (5, 10, 5)),
        ("inception_resnet_v2_released", (10, 20, 10)),
    ],
)
def test_modules_of_three_stages(name: str, counts: tuple[int, int, int]) -> None:
    """Fig. 9 and 15, and the authors' code."""
    features = build(name).features
    stages = [features.get_submodule(f"inception_{letter}") for letter in "abc"]
    assert tuple(map(len, stages)) == counts
    kinds = {type(block) for stage in stages for block in stage}
    assert kinds == ({Inception} if name == "inception_v4" else {ScaledResidual})


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_a_residual_is_scaled_before_the_sum_and_a_relu_follows_it(scale: float) -> None:
    """Fig. 20: ReLU(x + scale * F(x)), where F ends in a 1x1 convolution with a bias."""
    block = residual(LAYERS, 6, {"1x1": (("1x1", 4),), "3x3": (("1x1", 4), ("3x3", 5))}, scale)
    assert block.layers.get_submodule("linear").out_channels == 6
    assert list(block.layers._modules) == ["branches", "linear"]
    drawn(block)
    x = torch.randn(2, 6, 5, 5, dtype=torch.double)
    before = x.clone()
    branches = torch.cat([branch(x) for branch in block.layers.get_submodule("branches").children()], 1)
    linear = block.layers.get_submodule("linear")
    assert isinstance(linear.weight, Tensor)
    assert isinstance(linear.bias, Tensor)
    up = torch.einsum("nihw,oi->nohw", branches, linear.weight[:, :, 0, 0]) + linear.bias[:, None, None]
    torch.testing.assert_close(block(x), (x + scale * up).clamp(min=0))
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", RESIDUAL)
def test_the_factors_are_those_of_the_code_and_the_last_released_module_has_none(name: str) -> None:
    net = build(name)
    for letter, scale in zip("abc", (0.17, 0.1, 0.2), strict=True):
        *others, last = net.features.get_submodule(f"inception_{letter}")
        assert {(block.scale, type(block.activation)) for block in others} == {(scale, nn.ReLU)}
        released = name.endswith("released") and letter == "c"
        assert (last.scale, type(last.activation)) == ((1.0, nn.Identity) if released else (scale, nn.ReLU))
    other = build(name, residual_scales=(0.3, 0.2, 0.1))
    assert [other.features.get_submodule(f"inception_{letter}.block1").scale for letter in "abc"] == [0.3, 0.2, 0.1]


@pytest.mark.parametrize("name", EVERY)
def test_every_convolution_has_a_shift_and_a_relu_but_the_linear_ones(name: str) -> None:
    """The authors' code: batch normalization without a scale, epsilon 0.001; a bias only where none follows."""
    net = build(name)
    for path, part in net.named_modules():
        if path.endswith(".linear"):
            assert part.kernel_size == (1, 1)
            assert part.bias is not None
        elif isinstance(part, nn.Conv2d):
            assert part.bias is None
            assert list(net.get_submodule(path.removesuffix(".conv"))._modules) == ["conv", "bn", "relu"]
        elif isinstance(part, nn.BatchNorm2d):
            given = [name for name, tensor in part._parameters.items() if tensor is not None]
            assert (given, part.eps) == (["bias"], 0.001)
    scaled = [part for part in build(name, bn_scale=True).modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(part.weight is not None for part in scaled)


def test_a_batch_norm_without_a_scale_normalizes_and_shifts() -> None:
    norm = drawn(batch_norm(3, 0.25, scale=False))
    maps = torch.randn(2, 3, 4, 4, dtype=torch.double)
    mean, variance, shift = (tensor[:, None, None] for tensor in (norm.running_mean, norm.running_var, norm.bias))
    torch.testing.assert_close(norm(maps), (maps - mean) / (variance + 0.25).sqrt() + shift)
    assert list(norm.state_dict()) == ["bias", "running_mean", "running_var", "num_batches_tracked"]
    trained = norm.train()(maps)
    moments = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(trained, (maps - moments[0]) / (moments[1] + 0.25).sqrt() + shift)
    trained.sum().backward()
    assert norm.bias.grad is not None


def test_a_batch_norm_without_a_scale_folds() -> None:
    unit = drawn(LAYERS.conv(3, "1x7", 4))
    folded = fold_batch_norms(unit)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    maps = torch.randn(1, 3, 8, 8, dtype=torch.double)
    torch.testing.assert_close(folded(maps), unit(maps))
    before = drawn(nn.Sequential(batch_norm(3, scale=False), nn.ReLU(), nn.Conv2d(3, 2, 1)))
    torch.testing.assert_close(fold_batch_norms(before)(maps), before(maps))


def test_poolings_and_strides_are_without_padding_and_all_else_keeps_the_size() -> None:
    """V in the figures: each stride, and three layers of the stems besides."""
    for name in EVERY:
        unpadded: set[str] = set()
        for path, part in build(name).features.named_modules():
            if isinstance(part, nn.Conv2d):
                sides: Any = part.padding
                kept = tuple(2 * side + 1 for side in sides) == part.kernel_size
                assert kept or part.padding == (0, 0)
                assert kept != (part.stride == (2, 2)) or (not kept and part.stride == (1, 1))
                if not kept and part.stride == (1, 1):
                    unpadded.add(path.removesuffix(".conv"))
            elif isinstance(part, nn.MaxPool2d):
                assert (part.kernel_size, part.stride, part.padding, part.ceil_mode) == (3, 2, 0, False)
        figure_3 = {"conv2", "mixed_4a.3x3.conv2", "mixed_4a.7x7.conv4"}
        assert unpadded == (figure_3 if name in ("inception_v4", "inception_resnet_v2") else {"conv2", "conv5"})


def test_average_pooling_leaves_the_padding_out_of_the_mean() -> None:
    pool, maps = LAYERS.layer(2, AVERAGE)
    assert maps == 2
    assert torch.equal(pool(torch.ones(1, 2, 4, 4)), torch.ones(1, 2, 4, 4))


def test_inception_c_ends_in_two_convolutions_of_the_same_maps() -> None:
    """Fig. 6: 1x3 and 3x1, side by side."""
    fork, maps = LAYERS.layer(4, ("1x3 | 3x1", 3))
    assert maps == 6
    drawn(fork)
    x = torch.randn(1, 4, 5, 5, dtype=torch.double)
    expected = []
    for name, padding in (("1x3", (1, 1, 0, 0)), ("3x1", (0, 0, 1, 1))):
        unit: Any = fork.get_submodule(name)
        expected.append(unit.bn(F.conv2d(F.pad(x, padding), unit.conv.weight)).relu())
    torch.testing.assert_close(fork(x), torch.cat(expected, 1))


@pytest.mark.slow
def test_layers_and_costs_beside_each_other() -> None:
    """Sec. 3.2: Inception-ResNet-v2 "matches" the cost of Inception-v4, which has "a larger number of layers"."""
    v4, drawn_v2, released = (profiled(name) for name in ("inception_v4", "inception_resnet_v2", RESIDUAL[2]))
    assert drawn_v2.macs / v4.macs == pytest.approx(0.76, abs=0.005)
    assert released.macs / v4.macs == pytest.approx(1.07, abs=0.005)
    assert [profile.at("").layers for profile in (v4, drawn_v2, released)] == [150, 133, 245]


def test_with_scales_the_networks_have_the_parameters_of_other_libraries() -> None:
    """What pytorchcv states of its inceptionv4 and inceptionresnetv2."""
    published = {"inception_v4": 42_679_816, "inception_resnet_v2_released": 55_843_464}
    for name, expected in published.items():
        assert sum(p.numel() for p in build(name, bn_scale=True).parameters()) == expected


def test_the_drawn_and_the_released_network_differ_first_in_their_stems() -> None:
    """One has a convolution beside the first pooling, the other the pooling alone."""
    as_drawn, released = (networks.build(name, device="meta") for name in RESIDUAL[1:])
    comparison = compare(as_drawn, released, (3, 75, 75))
    assert not comparison.equal
    assert "mixed_3a" in str(comparison)


def test_convolutions_of_inception_v4_start_with_a_variance_of_two_by_their_inputs() -> None:
    """slim's variance_scaling_initializer: a deviation of sqrt(1.3 x 2 / n), cut at twice that."""
    conv = nn.Conv2d(64, 128, (1, 7), bias=False)
    initialize_v4(conv)
    inputs = 64 * 7
    assert conv.weight.abs().max() <= 2 * (2.6 / inputs) ** 0.5
    assert conv.weight.var().item() * inputs == pytest.approx(2, rel=0.05)
    linear = nn.Linear(100, 200)
    initialize_v4(linear)
    assert linear.weight.abs().max() <= (6 / 300) ** 0.5
    assert linear.bias.count_nonzero() == 0


def test_a_worksheet_counts_one_vector_of_a_batch_norm_without_a_scale() -> None:
    net = sequence(features=LAYERS.conv(3, "3x3 V", 5), classifier=batch_norm(5))
    rows = {row.name: row for row in worksheet_rows(net, archzoo.profile(net, (3, 8, 8)))}
    assert rows["features.bn"].description == "batch normalization without scale"
    assert (rows["features.bn"].params, rows["features.bn"].how[0]) == (5, "1x5")
    assert (rows["classifier"].description, rows["classifier"].how[0]) == ("batch normalization", "2x5")


def test_dropout_keeps_four_fifths() -> None:
    for name in EVERY:
        assert list(build(name).classifier._modules) == ["pool", "flatten", "drop", "fc"]
        assert build(name).classifier.drop.p == 0.2
    with pytest.raises(BadOption, match="drop must be at least 0 and less than 1, not -1"):
        build("inception_v4", drop=-1.0)
    with pytest.raises(BadOption, match="bn_eps must be at least 0, not -1"):
        build("inception_resnet_v1", bn_eps=-1.0)
    with pytest.raises(BadOption, match=r"residual_scales must be a tuple of 3 numbers, not \(0.1, 0.2\)"):
        build("inception_resnet_v1", residual_scales=(0.1, 0.2))


def test_the_recipe_is_what_section_4_prints() -> None:
    recipe = find_recipe("inception_v4_imagenet")
    run = recipe.duration(TRAINING_IMAGES["imagenet"])
    assert [recipe.schedule.factor(epoch * run.per_epoch, run) for epoch in (1, 2, 4)] == pytest.approx(
        [1, 0.94, 0.94**2]
    )
    options = recipe.optimizer.options
    assert (recipe.lr, recipe.optimizer.name, options["alpha"], options["eps"]) == (
        0.045,
        "tensorflow_rmsprop",
        0.9,
        1.0,
    )


@with_auxiliary
def test_the_auxiliary_classifier_of_the_release_reads_the_second_stage(name: str) -> None:
    """AuxLogits of TF-slim: 5x5/3 pooling of 17x17, 128 maps, 768 of all 5x5, and a linear layer; shifts alone."""
    head = build(name, auxiliary=True).classifier.aux_b
    layers = [part for part in head.modules() if not list(part.children())]
    kinds = [type(part).__name__ for part in layers]
    unit = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds == ["AvgPool2d", *unit, *unit, "AdaptiveAvgPool2d", "Flatten", "Linear"]
    assert (head.pool.kernel_size, head.pool.stride, head.pool.padding) == (5, 3, 0)
    inputs = WITH_AUXILIARY[name]
    params = sum(parameter.numel() for parameter in head.parameters())
    assert params == inputs * 128 + 128 + 25 * 128 * 768 + 768 + (768 + 1) * 1000
    seen: dict[str, Any] = {}
    net: Any = networks.build(name, auxiliary=True, device="meta")
    net.features.inception_b.register_forward_hook(lambda _, __, out: seen.update(stage=out))
    net.classifier.aux_b.register_forward_hook(lambda _, maps, __: seen.update(read=maps[0]))
    net(torch.empty(2, 3, 299, 299, device="meta"))
    assert seen["read"] is seen["stage"]
    assert net.classifier.aux_b.pool(seen["read"]).shape[2:] == (5, 5)


@pytest.mark.slow
@with_auxiliary
def test_the_auxiliary_classifier_runs_in_training_only(name: str) -> None:
    net = networks.build(name, auxiliary=True, num_classes=7, device="meta")
    images = torch.empty(2, 3, 299, 299, device="meta")
    logits = net(images)
    assert isinstance(logits, InceptionLogits)
    assert [tuple(output.shape) for output in logits] == [(2, 7)] * 2
    assert logits.auxiliary_weight == 0.4  # train_image_classifier.py of TF-slim
    with pytest.raises(InputError, match="takes maps of 17x17 or more, not 12x12: train on larger images"):
        net(torch.empty(2, 3, 224, 224, device="meta"))
    assert net.eval()(images).shape == (2, 7)
    plain = networks.build(name, num_classes=7, device="meta")
    assert list(without_auxiliary(net).state_dict()) == list(plain.state_dict())


@with_auxiliary
def test_layers_of_the_auxiliary_classifier_start_as_all_others(name: str) -> None:
    """The arg scopes of TF-slim: variance scaling of convolutions in Inception-v4, else Glorot's distribution."""
    torch.manual_seed(0)
    net: Any = networks.build(name, auxiliary=True)
    head = net.classifier.aux_b
    fan_in, fan_out = 25 * 128, 25 * 768
    variance = 2 / fan_in if name == "inception_v4" else 2 / (fan_in + fan_out)
    assert head.conv2.conv.weight.var().item() == pytest.approx(variance, rel=0.02)
    assert head.fc.weight.var().item() == pytest.approx(2 / (768 + 1000), rel=0.02)


@pytest.mark.parametrize(
    ("library", "name"),
    [
        *(("timm", name) for name in WITH_AUXILIARY),
        *(("cadene", name) for name in WITH_AUXILIARY),
        *(("pytorchcv", name) for name in (*WITH_AUXILIARY, "inception_v3")),
    ],
)
def test_a_library_without_an_auxiliary_classifier_has_names_for_the_other_tensors(library: str, name: str) -> None:
    names = names_in(library, name)
    whole, plain = build(name, auxiliary=True), build(name)
    assert any("aux" in tensor for tensor in whole.state_dict())
    assert names.of(whole) == names.of(plain)
    with pytest.raises(WeightsError, match="have no classifier.aux_.*: they have no auxiliary classifier"):
        names.to_theirs(whole, whole.state_dict())


def maps_of(branch: nn.Module) -> int:
    """The maps that a branch returns."""
    inputs = next(part.in_channels for part in branch.modules() if isinstance(part, nn.Conv2d))
    return int(branch(torch.empty(1, inputs, 3, 3, device="meta")).shape[1])


def test_every_branch_of_a_module_returns_what_its_figure_prints() -> None:
    """The last convolutions of the branches, module by module."""
    net = build("inception_v4")
    blocks = {letter: net.features.get_submodule(f"inception_{letter}.block1") for letter in "abc"}
    returned = {letter: [maps_of(branch) for branch in block] for letter, block in blocks.items()}
    assert returned == {"a": [96] * 4, "b": [384, 256, 256, 128], "c": [256, 512, 512, 256]}
    kernels = Counter(
        part.kernel_size for part in net.features.inception_b.block1.modules() if isinstance(part, nn.Conv2d)
    )
    assert kernels == {(1, 1): 4, (1, 7): 3, (7, 1): 3}


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_checkpoint_shows_whether_its_batch_norms_have_scales(name: str) -> None:
    for scale in (False, True):
        for auxiliary in (False, True) if name in WITH_AUXILIARY else (None,):
            options = {"bn_scale": scale} if auxiliary is None else {"bn_scale": scale, "auxiliary": auxiliary}
            state = build(name, **options).state_dict()
            assert possible_options(name, of_state(state.values())) == [options]


def test_weights_of_the_released_network_are_not_of_the_drawn_one() -> None:
    """timm's and pytorchcv's are the released one; torchvision has neither."""
    for library in ("timm", "pytorchcv"):
        with pytest.raises(BadOption, match="has another stem, .*: that is inception_resnet_v2_released"):
            choose(archzoo.find("inception_resnet_v2"), library, {})
    for name in ("inception_resnet_v2", "xception"):
        with pytest.raises(BadOption, match=f"{name} has no weights 'torchvision'"):
            choose(archzoo.find(name), "torchvision", {})
    released = choose(archzoo.find("inception_resnet_v2_released"), "timm", {})
    assert (released.tag, released.input_size) == ("inception_resnet_v2.tf_in1k", (3, 299, 299))


@pytest.mark.parametrize(
    ("name", "weights", "options"),
    [
        *((name, library, {"bn_scale": True}) for name in WITH_AUXILIARY for library in ("timm", "pytorchcv")),
        ("inception_v3", "timm:inception_v3.tf_in1k", {"count_include_pad": True}),
        ("inception_v3", "pytorchcv", {"count_include_pad": True}),
    ],
)
def test_weights_without_an_auxiliary_classifier_are_refused_before_the_download(
    name: str, weights: str, options: dict[str, Any]
) -> None:
    with pytest.raises(BadOption, match=f"{name}: .* has no auxiliary classifier: build it without auxiliary=True"):
        archzoo.build(name, weights=weights, auxiliary=True, **options)


@pytest.mark.parametrize("name", ["inception_v3", "inception_v4", "inception_resnet_v2_released", "xception"])
def test_pytorchcvs_weights_are_for_images_of_299_pixels(name: str) -> None:
    """As its classes say: in_size=(299, 299)."""
    assert choose(archzoo.find(name), "pytorchcv", {}).input_size == (3, 299, 299)


@pytest.mark.parametrize("name", ["inception_v4", "inception_resnet_v2_released"])
def test_cadenes_names_are_timms_but_for_the_classifier(name: str) -> None:
    """Its networks are those that timm took over: pretrainedmodels/models/inceptionv4.py and inceptionresnetv2.py."""
    net = build(name, bn_scale=True)
    cadene, timm = (names_in(source, name).of(net) for source in ("cadene", "timm"))
    assert {cadene[part] for part in ("classifier.fc.weight", "classifier.fc.bias")} == {
        "last_linear.weight",
        "last_linear.bias",
    }
    assert all(cadene[part] == timm[part] for part in cadene if not part.startswith("classifier."))
