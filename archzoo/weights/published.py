"""Which weights other libraries publish for networks of ours, and what each of them needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archzoo.errors import BadOption
from archzoo.registry import Entry

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
TORCHVISION = "https://download.pytorch.org/models/"
HUB = "https://huggingface.co/timm/{}/resolve/main/model.safetensors"


@dataclass(frozen=True)
class Published:
    """A set of weights: whose, for which of our networks, under which tag, where, and what it needs to be right.

    ``digest`` is the SHA-256 of the file, or as much of its beginning as its publisher prints. ``options`` are those of
    our network that make it theirs; ``mean`` and ``std`` normalize images of values from 0 to 1. ``leaves_out`` begins
    the names of tensors that the file has beyond this network.
    """

    library: str
    network: str
    tag: str
    url: str
    digest: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    input_size: tuple[int, int, int] = (3, 224, 224)
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    labels: str = "imagenet-1k"
    classes: int = 1000
    leaves_out: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How it is asked for: torchvision:IMAGENET1K_V1."""
        return f"{self.library}:{self.tag}"

    @property
    def file(self) -> str:
        """What the file is called in the cache."""
        return self.url.rpartition("/")[2] if self.library == "torchvision" else f"{self.tag}.safetensors"


def _torchvision(network: str, file: str, tag: str = "IMAGENET1K_V1", **needs: Any) -> Published:
    stem = file.rpartition(".")[0]
    return Published("torchvision", network, tag, TORCHVISION + file, stem.rpartition("-")[2], **needs)


def _timm(network: str, tag: str, **needs: Any) -> Published:
    return Published("timm", network, tag, HUB.format(tag), **needs)


B = {"option": "B"}
BN = {"batch_norm": True}
SYMMETRIC = {"down": "symmetric"}

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
    # Its network turns ImageNet's normalization into this one before its first layer.
    _torchvision("googlenet_bn", "googlenet-1378be20.pth", mean=HALF[0], std=HALF[1], leaves_out=("aux1.", "aux2.")),
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
    _timm("densenet121", "densenet121.tv_in1k"),
    _timm("densenet161", "densenet161.tv_in1k"),
    _timm("densenet169", "densenet169.tv_in1k"),
    _timm("densenet201", "densenet201.tv_in1k"),
)

# Why a library's network of that name is not ours, and where its weights belong.
ELSEWHERE = {
    "alexnet": ("alexnet_one_tower", "has one tower and no response normalization"),
    "googlenet": ("googlenet_bn", "has batch normalization, and 3x3 for 5x5"),
    "resnet50": ("resnet50_v1_5", "strides in the 3x3"),
    "resnet101": ("resnet101_v1_5", "strides in the 3x3"),
    "resnet152": ("resnet152_v1_5", "strides in the 3x3"),
}


def choose(entry: Entry, asked: str, given: Mapping[str, Any]) -> Published:
    """The set that "torchvision" or "timm:resnet18.a1_in1k" stands for, which these options do not contradict.

    Raises BadOption where there is none for this network, or an option of another network was given.
    """
    library, _, tag = asked.partition(":")
    sets = [one for one in PUBLISHED if one.library == library and one.network == entry.name]
    if not sets and entry.name in ELSEWHERE:
        right, why = ELSEWHERE[entry.name]
        raise BadOption(f"{entry.name}: {library}'s {entry.name} {why}: that is {right}")
    tagged = [one for one in sets if tag in ("", one.tag)]
    if not tagged:
        known = ", ".join(dict.fromkeys(one.name for one in PUBLISHED if one.network == entry.name))
        raise BadOption(f"{entry.name} has no weights {asked!r}; {f'there are {known}' if known else 'there are none'}")
    telling = {name for one in sets for name in one.options}
    asked_for = {name: value for name, value in given.items() if name in telling}
    for one in tagged:
        if all({**entry.options, **one.options}[name] == value for name, value in asked_for.items()):
            return one
    needed = " or ".join(", ".join(f"{name}={value!r}" for name, value in one.options.items()) for one in tagged)
    found = ", ".join(f"{name}={value!r}" for name, value in asked_for.items())
    raise BadOption(f"{entry.name}: the weights of {asked} need {needed}, not {found}")


def needs(entry: Entry, chosen: Published, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options with which to build: the set's own, and those that were given. Raises BadOption for a contradiction.

    ``num_classes``, ``in_channels``, ``auxiliary`` and what changes no tensor may be others than the set's.
    """
    free = {"num_classes", "in_channels", "drop", "init", "auxiliary"}
    for name, value in given.items():
        right = chosen.options.get(name, entry.options.get(name, value))
        if name not in free and value != right:
            raise BadOption(f"{entry.name}: {chosen.name} has {name}={right!r}, not {value!r}")
    return {**chosen.options, **given}
