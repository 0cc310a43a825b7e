"""torchvision and timm as witnesses: with the same weights, the same numbers and the same gradients.

Needs ``pip install --no-deps torchvision==0.28.0 timm==1.0.31`` (the extra "peers" cannot name torchvision, which asks
for another build of torch); skipped where they are absent.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archzoo
from archzoo.inference import fold_batch_norms
from archzoo.weights import PUBLISHED, PublishedWeights
from archzoo.weights._libraries import names_in
from tests.networks import EVERY_NET
from tests.peers.witnesses import randomize, theirs
from tests.test_inference import norms, with_any_statistics

torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
timm = pytest.importorskip("timm", reason="timm is not installed")

# Ours with the options that make it theirs, and what they call it.
Pair = tuple[str, dict[str, Any], str]
B, BN, SYMMETRIC = {"option": "B"}, {"batch_norm": True}, {"down": "symmetric"}
TORCH = {"padding": "symmetric", "bn_eps": 1e-5}
RELU6 = {"activation": "relu6", **TORCH}
SCALED = {"bn_scale": True}
COUNTED = {"count_include_pad": True}
TORCHVISION: list[Pair] = [
    ("alexnet_one_tower", {}, "alexnet"),
    *(
        (f"vgg_{config}", options, f"vgg{depth}{norm}")
        for config, depth in (("a", 11), ("b", 13), ("d", 16), ("e", 19))
        for options, norm in (({}, ""), (BN, "_bn"))
    ),
    ("googlenet_bn", {"auxiliary": True}, "googlenet"),
    ("inception_v3", {"auxiliary": True, **COUNTED}, "inception_v3"),
    ("resnet18", B, "resnet18"),
    ("resnet34", B, "resnet34"),
    *((f"resnet{depth}_v1_5", {}, f"resnet{depth}") for depth in (50, 101, 152)),
    ("wide_resnet50_2", {}, "wide_resnet50_2"),
    ("resnext50_32x4d", {}, "resnext50_32x4d"),
    ("resnext101_64x4d", {}, "resnext101_64x4d"),
    *((f"densenet{depth}", {}, f"densenet{depth}") for depth in (121, 161, 169, 201)),
    ("squeezenet1_0", {}, "squeezenet1_0"),
    ("squeezenet1_1", {}, "squeezenet1_1"),
    ("mobilenet_v2_x1_0", TORCH, "mobilenet_v2"),
    *((f"shufflenet_v2_x{width}", SYMMETRIC, f"shufflenet_v2_x{width}") for width in ("0_5", "1_0", "1_5", "2_0")),
]
TIMM: list[Pair] = [
    *(pair for pair in TORCHVISION if pair[0].startswith(("vgg", "resne", "wide", "densenet"))),
    *((f"se_resnet{depth}", {}, f"legacy_seresnet{depth}") for depth in (50, 101, 152)),
    *((f"se_resnext{depth}_32x4d", {}, f"legacy_seresnext{depth}_32x4d") for depth in (50, 101)),
    ("senet154", {}, "legacy_senet154"),
    ("xception", TORCH, "legacy_xception"),
    ("inception_v4", SCALED, "inception_v4"),
    ("inception_resnet_v2_released", SCALED, "inception_resnet_v2"),
    ("inception_v3", COUNTED, "inception_v3"),
    ("mobilenet_v1_x1_0", RELU6, "mobilenetv1_100"),
    ("mobilenet_v1", {"width": 1.25, **RELU6}, "mobilenetv1_125"),
    *(
        (f"mobilenet_v2_x{width}", TORCH, f"mobilenetv2_{hundredths}")
        for width, hundredths in (("0_35", "035"), ("0_5", "050"), ("0_75", "075"), ("1_0", "100"), ("1_4", "140"))
    ),
]
PAIRS = [("torchvision", *pair) for pair in TORCHVISION] + [("timm", *pair) for pair in TIMM]
ONE_SIZE = ("vgg", "alexnet", "googlenet")


# One network of each constructor and options of each library: the others have its names, in other numbers.
BY_KIND = {(pair[0], archzoo.find(pair[1]).target, str(pair[2])): pair for pair in PAIRS}
NAMED = PAIRS if EVERY_NET else list(BY_KIND.values())


def logits_and_gradients(net: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """What a network tells, and the gradient of every parameter that this reaches."""
    logits = net(images)
    logits.square().mean().backward()
    gradients = {name: weight.grad for name, weight in net.named_parameters() if weight.grad is not None}
    return logits.detach(), gradients


def near(ours: Tensor, other: Tensor) -> bool:
    return bool((ours - other).norm() <= 1e-5 * other.norm() + 1e-12)


# The smallest of each constructor and options: deeper and wider ones repeat its layers under the same names, which
# test_our_weights_load_into_theirs holds for all. VGG has 133M parameters at least: with EVERY_NET=1. What both
# libraries have is compared with torchvision's, and only named as in timm.
SMALLEST = {
    *("alexnet_one_tower", "googlenet_bn", "resnet18", "resnet50_v1_5", "resnext50_32x4d", "densenet121"),
    *("mobilenet_v1_x1_0", "mobilenet_v2_x1_0", "se_resnet50", "inception_v3"),
    *("squeezenet1_0", "squeezenet1_1", "shufflenet_v2_x0_5"),
}
COMPUTED = (
    PAIRS
    if EVERY_NET
    else [
        (library, *pair)
        for library, *pair in PAIRS
        if pair[0] in SMALLEST and (library == "torchvision" or tuple(pair) not in TORCHVISION)
    ]
)


@pytest.mark.slow
@pytest.mark.parametrize(("library", "ours", "options", "name"), COMPUTED, ids=lambda value: str(value))
def test_with_their_weights_we_compute_the_same(library: str, ours: str, options: dict[str, Any], name: str) -> None:
    net = archzoo.build(ours, device="meta", **options).eval()
    other = theirs(library, name).eval()
    randomize(other)
    names = names_in(library, archzoo.find(ours).family)
    # Every name of ours once, and none beyond; both nets read the same numbers.
    net.load_state_dict(names.to_ours(net, other.state_dict()), assign=True)
    side = 224 if name.startswith(ONE_SIZE) else 75 if name.startswith("inception") else 64
    images = torch.randn(1, 3, side, side)
    seen = images
    if name == "googlenet" and getattr(other, "transform_input", False):
        seen = (images - torch.tensor([0.03, 0.088, 0.188]).view(3, 1, 1)) / torch.tensor([0.458, 0.448, 0.45]).view(
            3, 1, 1
        )
    logits, gradients = logits_and_gradients(net, images)
    expected, their_gradients = logits_and_gradients(other, seen)
    assert near(logits, expected)
    mine = names.to_theirs(net, gradients)
    assert mine.keys() == their_gradients.keys()
    assert all(near(mine[part], gradient) for part, gradient in their_gradients.items())


@pytest.mark.slow
@pytest.mark.parametrize(("library", "ours", "options", "name"), NAMED, ids=lambda value: str(value))
def test_our_weights_load_into_theirs(library: str, ours: str, options: dict[str, Any], name: str) -> None:
    net = archzoo.build(ours, device="meta", **options)
    other = theirs(library, name)
    names = names_in(library, archzoo.find(ours).family)
    shapes = {part: tensor.shape for part, tensor in names.to_theirs(net, net.state_dict()).items()}
    expected: Mapping[str, Tensor] = other.state_dict()
    tracked = {part for part in expected if part.endswith("num_batches_tracked")}
    assert shapes.keys() | tracked == expected.keys()
    assert all(shape == expected[part].shape for part, shape in shapes.items())


def shown(sets: Callable[[PublishedWeights], bool]) -> list[Any]:
    return [
        pytest.param(chosen, id=f"{chosen.network} {chosen.name} {dict(chosen.options)}")
        for chosen in PUBLISHED
        if sets(chosen)
    ]


@pytest.mark.parametrize("chosen", shown(lambda published: published.library == "torchvision"))
def test_what_we_say_of_torchvisions_sets_is_what_torchvision_says(chosen: PublishedWeights) -> None:
    enums = [torchvision.models.get_model_weights(name) for name in torchvision.models.list_models()]
    [weights] = [weights for enum in enums for weights in enum if weights.url == chosen.url]
    assert weights.name == chosen.tag
    assert len(weights.meta["categories"]) == chosen.num_classes
    transform = weights.transforms()
    assert transform.crop_size == [chosen.input_size[1]]
    if chosen.network not in ("googlenet_bn", "inception_v3"):  # they normalize again inside
        assert (tuple(transform.mean), tuple(transform.std)) == (chosen.mean, chosen.std)


def test_torchvisions_googlenet_sees_images_normalized_as_we_say() -> None:
    net = torchvision.models.GoogLeNet(init_weights=False, transform_input=True)
    [chosen] = [published for published in PUBLISHED if published.network == "googlenet_bn"]
    images = torch.rand(2, 3, 8, 8)
    imagenet = torchvision.transforms.functional.normalize(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    ours = torchvision.transforms.functional.normalize(images, chosen.mean, chosen.std)
    assert torch.allclose(net._transform_input(imagenet), ours, atol=1e-6)


@pytest.mark.parametrize("chosen", shown(lambda published: published.library == "timm"))
def test_what_we_say_of_timms_sets_is_what_timm_says(chosen: PublishedWeights) -> None:
    config = timm.models.get_pretrained_cfg(chosen.tag)
    assert config is not None
    assert (config.architecture, config.tag) == tuple(chosen.tag.split("."))
    hub = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    assert chosen.url == (hub if config.hf_hub_id else config.url)
    assert (tuple(config.mean), tuple(config.std)) == (chosen.mean, chosen.std)
    assert (config.num_classes, tuple(config.input_size)) == (chosen.num_classes, chosen.input_size)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *(
            "vit_tiny_patch16_224",
            "swin_tiny_patch4_window7_224",
            "convnext_tiny",
            "efficientnet_b0",
            "hrnet_w18_small",
        ),
        *("mobilenetv3_large_100", "regnety_008", "inception_v4", "res2net50_14w_8s", "dpn68", "levit_128", "nfnet_f0"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_networks_of_every_kind_count_as_torchs_counter_has_it(name: str) -> None:
    net: Any = theirs("timm", name).eval()
    size = net.default_cfg["input_size"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, *size, device="meta"))
    counted = archzoo.profile(net, size)
    assert counted.flops == counter.get_total_flops()
    assert not counted.uncounted_ops


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["test_efficientnet", "test_byobnet"])
def test_batch_norms_with_an_activation_are_folded(name: str) -> None:
    net = with_any_statistics(timm.create_model(name)).double()
    folded = fold_batch_norms(net)
    images = torch.randn(1, 3, 64, 64).double()
    with torch.no_grad():
        torch.testing.assert_close(folded(images), net(images), rtol=1e-8, atol=1e-8)
    assert norms(folded) == 0 < norms(net)
