"""The weights that libraries and others publish for networks of ours, and the options that they need."""

from collections.abc import Mapping
from typing import Any

from archzoo.errors import BadOption
from archzoo.options import shown
from archzoo.registry import Entry, find
from archzoo.weights import _digests
from archzoo.weights._published_by_sources import BY_SOURCES
from archzoo.weights._published_set import PublishedWeights

HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
TORCHVISION = "https://download.pytorch.org/models/"
RELEASES = "https://github.com/rwightman/pytorch-image-models/releases/download/"
HUB = "https://huggingface.co/timm/{}/resolve/main/model.safetensors"


def _torchvision(network: str, file: str, tag: str = "IMAGENET1K_V1", **needs: Any) -> PublishedWeights:
    stem = file.rpartition(".")[0]
    digest = _digests.TORCHVISION.get(file, stem.rpartition("-")[2])
    return PublishedWeights("torchvision", network, tag, TORCHVISION + file, digest, **needs)


def _timm(network: str, tag: str, **needs: Any) -> PublishedWeights:
    return PublishedWeights("timm", network, tag, HUB.format(tag), _digests.TIMM.get(tag, ""), **needs)


def _timm_release(network: str, tag: str, file: str, **needs: Any) -> PublishedWeights:
    """A file that timm has on GitHub alone; its name ends in the first digits of its hash."""
    digits = file.rpartition("-")[2].removesuffix(".pth")
    return PublishedWeights("timm", network, tag, RELEASES + file, digits, **{"options": CEIL, **needs})


B = {"option": "B"}
BN = {"batch_norm": True}
SYMMETRIC = {"down": "symmetric"}
TORCH = {"padding": "symmetric", "bn_eps": 1e-5}
RELU6 = {"activation": "relu6", **TORCH}
RA4 = "ra4_e3600_r224_in1k"
CEIL = {"pool": "ceil"}
INCEPTION = {"mean": HALF[0], "std": HALF[1], "input_size": (3, 299, 299)}
SCALED = {"bn_scale": True}
COUNTED = {"count_include_pad": True}
AUX_LOGITS: dict[str, Any] = {"extra_prefixes": ("AuxLogits.",)}
SIDE_299: dict[str, Any] = {"input_size": (3, 299, 299), "options": COUNTED}

PUBLISHED = (
    _torchvision("alexnet_one_tower", "alexnet-owt-7be5be79.pth"),
    _torchvision("vgg_a", "vgg11-8a719046.pth"),
    _torchvision("vgg_b", "vgg13-19584684.pth"),
    _torchvision("vgg_d", "vgg16-397923af.pth"),
    _torchvision("vgg_e", "vgg19-dcbb9e9d.pth"),
    _torchvision("vgg_a", "vgg11_bn-6002323d.pth", options=BN),
    _torchvision("vgg_b", "vgg13_bn-abd245e5.pth", options=BN),
    _torchvision("vgg_d", "vgg16_bn-6c64b313.pth", options=BN),
    _torchvision("vgg_e", "vgg19_bn-c79401a0.pth", options=BN),
    # Torchvision's network converts ImageNet's normalization to this one before its first layer.
    _torchvision(
        "googlenet_bn", "googlenet-1378be20.pth", mean=HALF[0], std=HALF[1], extra_prefixes=("aux1.", "aux2.")
    ),
    _torchvision(
        "inception_v3", "inception_v3_google-0cc3c7bd.pth", mean=HALF[0], std=HALF[1], **AUX_LOGITS, **SIDE_299
    ),
    _torchvision("mobilenet_v2_x1_0", "mobilenet_v2-b0353104.pth", options=TORCH),
    _torchvision("mobilenet_v2_x1_0", "mobilenet_v2-7ebf99e0.pth", "IMAGENET1K_V2", options=TORCH),
    _torchvision("resnet18", "resnet18-f37072fd.pth", options=B),
    _torchvision("resnet34", "resnet34-b627a593.pth", options=B),
    _torchvision("resnet50_v1_5", "resnet50-0676ba61.pth"),
    _torchvision("resnet50_v1_5", "resnet50-11ad3fa6.pth", "IMAGENET1K_V2"),
    _torchvision("resnet101_v1_5", "resnet101-63fe2227.pth"),
    _torchvision("resnet101_v1_5", "resnet101-cd907fc2.pth", "IMAGENET1K_V2"),
    _torchvision("resnet152_v1_5", "resnet152-394f9c45.pth"),
    _torchvision("resnet152_v1_5", "resnet152-f82ba261.pth", "IMAGENET1K_V2"),
    _torchvision("wide_resnet50_2", "wide_resnet50_2-95faca4d.pth"),
    _torchvision("wide_resnet50_2", "wide_resnet50_2-9ba9bcbe.pth", "IMAGENET1K_V2"),
    _torchvision("resnext50_32x4d", "resnext50_32x4d-7cdf4587.pth"),
    _torchvision("resnext50_32x4d", "resnext50_32x4d-1a0047aa.pth", "IMAGENET1K_V2"),
    _torchvision("resnext101_64x4d", "resnext101_64x4d-173b62eb.pth"),
    _torchvision("densenet121", "densenet121-a639ec97.pth"),
    _torchvision("densenet161", "densenet161-8d451a50.pth"),
    _torchvision("densenet169", "densenet169-b2777c0a.pth"),
    _torchvision("densenet201", "densenet201-c1103571.pth"),
    _torchvision("squeezenet1_0", "squeezenet1_0-b66bff10.pth"),
    _torchvision("squeezenet1_1", "squeezenet1_1-b8a52dc0.pth"),
    _torchvision("shufflenet_v2_x0_5", "shufflenetv2_x0.5-f707e7126e.pth", options=SYMMETRIC),
    _torchvision("shufflenet_v2_x1_0", "shufflenetv2_x1-5666bf0f80.pth", options=SYMMETRIC),
    _torchvision("shufflenet_v2_x1_5", "shufflenetv2_x1_5-3c479a10.pth", options=SYMMETRIC),
    _torchvision("shufflenet_v2_x2_0", "shufflenetv2_x2_0-8be3c8ee.pth", options=SYMMETRIC),
    _timm("vgg_a", "vgg11.tv_in1k"),
    _timm("vgg_b", "vgg13.tv_in1k"),
    _timm("vgg_d", "vgg16.tv_in1k"),
    _timm("vgg_e", "vgg19.tv_in1k"),
    _timm("vgg_a", "vgg11_bn.tv_in1k", options=BN),
    _timm("vgg_b", "vgg13_bn.tv_in1k", options=BN),
    _timm("vgg_d", "vgg16_bn.tv_in1k", options=BN),
    _timm("vgg_e", "vgg19_bn.tv_in1k", options=BN),
    _timm("inception_v3", "inception_v3.tv_in1k", mean=HALF[0], std=HALF[1], **AUX_LOGITS, **SIDE_299),
    _timm("inception_v3", "inception_v3.tf_in1k", mean=HALF[0], std=HALF[1], **SIDE_299),
    _timm("inception_v3", "inception_v3.tf_adv_in1k", mean=HALF[0], std=HALF[1], **SIDE_299),
    _timm("inception_v3", "inception_v3.gluon_in1k", **SIDE_299),
    _timm("mobilenet_v1_x1_0", f"mobilenetv1_100.{RA4}", mean=HALF[0], std=HALF[1], options=RELU6),
    _timm("mobilenet_v1", f"mobilenetv1_125.{RA4}", mean=HALF[0], std=HALF[1], options={"width": 1.25, **RELU6}),
    _timm("mobilenet_v2_x0_5", "mobilenetv2_050.lamb_in1k", options=TORCH),
    _timm("mobilenet_v2_x1_0", "mobilenetv2_100.ra_in1k", options=TORCH),
    _timm("mobilenet_v2_x1_4", "mobilenetv2_140.ra_in1k", options=TORCH),
    _timm("resnet18", "resnet18.a1_in1k", options=B),
    _timm("resnet18", "resnet18.tv_in1k", options=B),
    _timm("resnet34", "resnet34.a1_in1k", options=B),
    _timm("resnet34", "resnet34.tv_in1k", options=B),
    _timm("resnet50_v1_5", "resnet50.a1_in1k"),
    _timm("resnet50_v1_5", "resnet50.tv_in1k"),
    _timm("resnet101_v1_5", "resnet101.a1_in1k"),
    _timm("resnet101_v1_5", "resnet101.tv_in1k"),
    _timm("resnet152_v1_5", "resnet152.a1_in1k"),
    _timm("resnet152_v1_5", "resnet152.tv_in1k"),
    _timm("wide_resnet50_2", "wide_resnet50_2.tv_in1k"),
    _timm("resnext50_32x4d", "resnext50_32x4d.a1_in1k"),
    _timm("resnext50_32x4d", "resnext50_32x4d.tv_in1k"),
    _timm("resnext101_32x4d", "resnext101_32x4d.gluon_in1k"),
    _timm("resnext101_64x4d", "resnext101_64x4d.gluon_in1k"),
    _timm("resnext101_64x4d", "resnext101_64x4d.tv_in1k"),
    _timm_release("se_resnet50", "legacy_seresnet50.in1k", "v0.1-cadene/se_resnet50-ce0d4300.pth"),
    _timm_release("se_resnet101", "legacy_seresnet101.in1k", "v0.1-cadene/se_resnet101-7e38fcc6.pth"),
    _timm_release("se_resnet152", "legacy_seresnet152.in1k", "v0.1-cadene/se_resnet152-d17c99b7.pth"),
    _timm_release(
        "se_resnext50_32x4d", "legacy_seresnext50_32x4d.in1k", "v0.1-weights/legacy_se_resnext50_32x4d-f3651bad.pth"
    ),
    _timm_release(
        "se_resnext101_32x4d", "legacy_seresnext101_32x4d.in1k", "v0.1-weights/legacy_se_resnext101_32x4d-37725eac.pth"
    ),
    _timm_release("senet154", "legacy_senet154.in1k", "v0.1-weights/legacy_senet154-e9eb9fe6.pth"),
    _timm_release(
        "xception", "legacy_xception.tf_in1k", "v0.1-cadene/xception-43020ad28.pth", options=TORCH, **INCEPTION
    ),
    _timm("inception_v4", "inception_v4.tf_in1k", options=SCALED, **INCEPTION),
    _timm("inception_resnet_v2_released", "inception_resnet_v2.tf_in1k", options=SCALED, **INCEPTION),
    _timm("inception_resnet_v2_released", "inception_resnet_v2.tf_ens_adv_in1k", options=SCALED, **INCEPTION),
    _timm("densenet121", "densenet121.tv_in1k"),
    _timm("densenet161", "densenet161.tv_in1k"),
    _timm("densenet169", "densenet169.tv_in1k"),
    _timm("densenet201", "densenet201.tv_in1k"),
    *BY_SOURCES,
)

# Our network that is the libraries' network of this name, and how theirs differs from ours of this name.
ELSEWHERE = {
    "alexnet": ("alexnet_one_tower", "has one tower and no response normalization"),
    "googlenet": ("googlenet_bn", "has batch normalization, and 3x3 for 5x5"),
    "inception_resnet_v2": ("inception_resnet_v2_released", "has another stem, and 10, 20 and 10 modules"),
    "resnet50": ("resnet50_v1_5", "strides in the 3x3"),
    "resnet101": ("resnet101_v1_5", "strides in the 3x3"),
    "resnet152": ("resnet152_v1_5", "strides in the 3x3"),
}


# The libraries that have it, where they are not torchvision and timm.
HAVE_IT = {"inception_resnet_v2": ("timm", "pytorchcv")}

# Options that leave the weights valid: they change no tensor, or only tensors that are replaced or left out.
FREE_OPTIONS = {"num_classes", "in_channels", "drop", "init", "auxiliary"}


def choose(entry: Entry, weights: str, given: Mapping[str, Any]) -> PublishedWeights:
    """The first set called ``weights``, such as "torchvision" or "timm:resnet18.a1_in1k", that fits the given options.

    Raises BadOption if this network has no such set, or the options are those of another network.
    """
    if not isinstance(weights, str):
        raise BadOption(f"weights must be the name of a set, such as 'torchvision', not {shown(weights)}")
    library, _, tag = weights.partition(":")
    of_network = [published for published in PUBLISHED if is_for(published, entry)]
    candidates = [published for published in of_network if published.library == library]
    if not candidates and entry.name in ELSEWHERE and library in HAVE_IT.get(entry.name, ("torchvision", "timm")):
        network, difference = ELSEWHERE[entry.name]
        raise BadOption(f"{entry.name}: {library}'s {entry.name} {difference}: that is {network}")
    tagged = [candidate for candidate in candidates if tag in ("", candidate.tag)]
    if not tagged:
        known = ", ".join(dict.fromkeys(published.name for published in of_network))
        available = f"there are {known}" if known else "there are none"
        raise BadOption(f"{entry.name} has no weights {shown(weights)}; {available}")
    deciding = {name for candidate in candidates for name in candidate.options}
    decided = {name: value for name, value in given.items() if name in deciding}
    fitting = [candidate for candidate in tagged if _agrees(entry, candidate, _fixed(decided))]
    if not fitting:
        needed = " or ".join(dict.fromkeys(spell(_fixed(candidate.options)) for candidate in tagged))
        raise BadOption(f"{entry.name}: the weights of {weights} need {needed}, not {spell(_fixed(decided))}")
    # Of several, the one with as many classes, then the one that needs the fewest options to be set.
    defaults = {name: value for name, value in entry.options.items() if name in deciding}
    return max(fitting, key=lambda candidate: _agreeing(entry, candidate, {**defaults, **decided}))


def _fixed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that weights decide."""
    return {name: value for name, value in options.items() if name not in FREE_OPTIONS}


def is_for(published: PublishedWeights, entry: Entry) -> bool:
    """Whether a set is for this network: it has its name, or is for a network with the options that its name fixes."""
    if published.network == entry.name:
        return True
    other = find(published.network)
    fixed = {**other.fixed, **published.options}
    return (
        bool(entry.fixed)
        and other.constructor is entry.constructor
        and all(fixed.get(name, other.options[name]) == value for name, value in entry.fixed.items())
    )


def _agrees(entry: Entry, candidate: PublishedWeights, wanted: Mapping[str, Any]) -> bool:
    return _agreeing(entry, candidate, wanted)[0] == len(wanted)


def _agreeing(entry: Entry, candidate: PublishedWeights, wanted: Mapping[str, Any]) -> tuple[int, bool]:
    """How many of these options a set has, and whether it has this number of classes."""
    options = {**entry.options, **candidate.options}
    classes = wanted.get("num_classes", entry.options["num_classes"]) == options["num_classes"]
    return sum(options[name] == value for name, value in wanted.items()), classes


def spell(options: Mapping[str, Any]) -> str:
    """Options as they are written in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def required_options(entry: Entry, weights: PublishedWeights, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options to build with: those that the weights need, and those given.

    Raises BadOption for a given option that contradicts the weights; those in FREE_OPTIONS do not. An auxiliary
    classifier needs weights that have it.
    """
    if given.get("auxiliary") and not weights.extra_prefixes:
        raise BadOption(f"{entry.name}: {weights.name} has no auxiliary classifier: build it without auxiliary=True")
    for name, value in given.items():
        needed = weights.options.get(name, entry.options.get(name, value))
        if name not in FREE_OPTIONS and value != needed:
            raise BadOption(f"{entry.name}: {weights.name} has {name}={needed!r}, not {value!r}")
    return {**weights.options, **given}


def normalization(name: str, weights: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel that published weights expect, for images with values from 0 to 1.

    The channels are in the order of the set, ``PublishedWeights.channels``, which is red, green, blue for all but
    OpenMMLab's ResNets and the ONNX models. Raises UnknownName or BadOption if there are no such weights.
    """
    chosen = choose(find(name), weights, {})
    return chosen.mean, chosen.std
