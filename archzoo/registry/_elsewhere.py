"""What other libraries call a network: its name and options here, or why it is not here."""

import re
from collections.abc import Mapping

VGG = {"11": "vgg_a", "13": "vgg_b", "16": "vgg_d", "19": "vgg_e"}
MOBILENET = {"w1": "x1_0", "w3d4": "x0_75", "wd2": "x0_5", "wd4": "x0_25"}  # of pytorchcv
HUNDREDTHS = {"035": "x0_35", "050": "x0_5", "05": "x0_5", "075": "x0_75", "100": "x1_0", "10": "x1_0"}
HUNDREDTHS |= {"025": "x0_25", "13": "x1_3", "14": "x1_4", "140": "x1_4"}
TORCH = "padding='symmetric', bn_eps=1e-05"
SCALED = "bn_scale=True"
SHUFFLENET = {"wd2": "x0_5", "w1": "x1_0", "w3d2": "x1_5", "w2": "x2_0"}
# What follows a name that is ours: the data, in pytorchcv's names.
DATA = r"(?:cifar10|cifar100|svhn|cub|imagenet|in1k|in22k)"

# What follows the depth of ResNets with another stem, block or pooling: resnet50d, resnet26t, resnetaa50.
SUFFIX = r"(c|d|s|t|ts|e|se|vd|aa|blur|cbam|w\d+)"

# Names without case and punctuation (see ``plain``), and what they are here, with options behind commas.
RENAMED: tuple[tuple[str, str], ...] = (
    (r"vgg(?P<vgg>11|13|16|19)bn", "{vgg} with batch_norm=True"),
    (r"bnvgg(?P<vgg>11|13|16|19)b?", "{vgg} with batch_norm=True"),
    (r"(?P<basic>resnet|plain)cifar(?P<depth>20|32|44|56|110)", "{basic}{depth}"),
    (r"densenetbc(?P<depth>\d+)k(?P<k>\d+)", "densenet_bc with depth={depth}, k={k}"),
    (r"densenet(?P<depth>\d+)k(?P<k>\d+)bc", "densenet_bc with depth={depth}, k={k}"),
    (r"densenet(?P<depth>\d+)k(?P<k>\d+)", "densenet with depth={depth}, k={k}"),
    (r"(?P<name>densenet(?:121|161|169|201|264))bc", "{name}"),
    (r"(?:wrn|wideresnet)d?(?P<depth>16|22|28|40)w?k?(?P<k>\d+)", "wide_resnet with depth={depth}, k={k}"),
    (r"(?:preresnet|preactresnet|resnetv2)(?P<depth>110|164|1001)(?:bn)?", "preact_resnet{depth}"),
    (r"(?:preresnet|resnetv2)200b?", "preact_resnet200"),
    (r"condensenet74c(?P<c>[48])g(?P=c)", "condensenet74_c{c}"),
    (r"tvresnet(?P<depth>18|34)", "resnet{depth} with option='B'"),
    (r"tvresnet(?P<depth>50|101|152)", "resnet{depth}_v1_5"),
    (r"resnet(?P<depth>50|101|152)b", "resnet{depth}_v1_5"),
    (r"mobilenet(?P<mobile>w1|w3d4|wd2|wd4)", f"mobilenet_v1_{{mobile}} with {TORCH}"),
    (r"mobilenetv1100", f"mobilenet_v1 with activation='relu6', {TORCH}"),
    (r"mobilenetv1125", f"mobilenet_v1 with width=1.25, activation='relu6', {TORCH}"),
    (r"mobilenetv2(?P<hundredths>035|050|075|100|140)", f"mobilenet_v2_{{hundredths}} with {TORCH}"),
    (
        r"mobilenetv1(?P<hundredths>10|075|05|050|025)(224|192|160|128)",
        "mobilenet_v1_{hundredths} with activation='relu6'",
    ),
    (r"mobilenetv2(?P<hundredths>14|13|10|075|05|050|035)(224|192|160|128|96)", "mobilenet_v2_{hundredths}"),
    (r"pyramidnet(?P<depth>\d+)a(?P<alpha>\d+)bn", "pyramidnet{depth}_a{alpha}"),
    (r"legacyseresnet(?P<depth>50|101|152)", "se_resnet{depth}"),
    (r"legacyseresnext(?P<depth>50|101)32x4d", "se_resnext{depth}_32x4d"),
    (r"legacysenet154", "senet154"),
    (r"legacyxception", f"xception with {TORCH}"),
    (r"squeezenetv(?P<minor>10|11)", "squeezenet{minor}"),
    (r"shufflenetv2(?P<width>wd2|w1|w3d2|w2)", "shufflenet_v2_{width} with down='symmetric'"),
    (r"inception|googlelenet", "googlenet"),
    (r"lenet", "lenet5"),
)

# The same for names that say that they are torchvision's or timm's: torchvision.models.resnet18, resnet50.a1_in1k.
QUALIFIED: tuple[tuple[str, str], ...] = (
    (r"alexnet", "alexnet_one_tower"),
    (r"googlenet", "googlenet_bn"),
    (r"inceptionv4", f"inception_v4 with {SCALED}"),
    (r"(ensadv)?inceptionresnetv2", f"inception_resnet_v2_released with {SCALED}"),
    (r"inceptionv3", "inception_v3 with count_include_pad=True"),
    (r"mobilenetv2", f"mobilenet_v2 with {TORCH}"),
    (r"resnet(?P<depth>18|34)", "resnet{depth} with option='B'"),
    (r"resnet(?P<depth>50|101|152)", "resnet{depth}_v1_5"),
    (r"shufflenetv2x(?P<ones>\d)(?P<tenths>\d)", "shufflenet_v2_x{ones}_{tenths} with down='symmetric'"),
    (r"seresnext(?P<depth>50|101)32x4d", "se_resnext{depth}_32x4d with pool='padded'"),
)

# Names that are ours, and of other networks where they say that they are torchvision's or timm's.
OTHERS: tuple[tuple[str, str], ...] = (
    (
        r"seresnet(50|101|152)",
        "timm's SE-ResNets stride in the 3x3 and pad the first pooling, and are not here: the nearest are se_resnet50, "
        "101 and 152, its legacy_seresnet50, 101 and 152",
    ),
)

# Families that are not here, and what is nearest to them.
ABSENT: tuple[tuple[str, str], ...] = (
    (
        rf"resnet(18|34){SUFFIX}.*",
        "ResNets with another stem or block are not here: the nearest are resnet18 and resnet34",
    ),
    (
        rf"(e?se|eca|sk|gc|legacyse|re|ha|dia)resnet.*|resnet(aa|blur|rs|d|v1)\d+.*|resnet\d{{2,3}}{SUFFIX}.*|"
        r"resne[sx]t.*|(legacy)?seresnext.*|senet\d+",
        "ResNets with another stem or block are not here: the nearest are resnet50 and resnet50_v1_5, of ResNeXts "
        "resnext50_32x4d, of those with squeeze-and-excitation se_resnet50 and se_resnext50_32x4d",
    ),
    (
        r"(preactresnet|preresnet|resnetv2)\d+.*|resnet\d+v2",
        "of the pre-activation ResNets, there are preact_resnet110, preact_resnet164, preact_resnet200 and "
        "preact_resnet1001",
    ),
    (r"wideresnet\d+.*|wrn\d+.*", "of the wide ResNets on ImageNet, there are wide_resnet18, 34 and 50_2"),
    (r"densenetblur.*", "the nearest is densenet121"),
    (
        r"(bn)?inception.*|xception.*",
        "of the Inception networks, there are googlenet, googlenet_bn, bn_inception, inception_v2, inception_v3, "
        "inception_v4, inception_resnet_v1, inception_resnet_v2, inception_resnet_v2_released and xception",
    ),
    (
        r"mobilenetv?2.*|mobilenetv?1.*|mobilenetb.*",
        "of the MobileNets, there are mobilenet_v1, conv_mobilenet and mobilenet_v2, with width and padding as options",
    ),
    (
        r"shufflenetg\d.*",
        "of the ShuffleNets of groups, there are shufflenet_v1_g1_x1_0 to g8_x2_0: pytorchcv's is another function, "
        "with the pooled maps last",
    ),
    (
        r"(tf|mobile|efficient|convne|mnas|reg|ghost|nas|dpn|vov|dark|hrnet|dla|vit|deit|swin|maxvit|coat|cait|beit|"
        r"xcit|mixer|resmlp|repvgg|rexnet|nfnet|csp|unet|fcn|deeplab|yolo).*",
        "it is not among the networks here, the last of which are of 2018; archzoo.names() lists all",
    ),
)


def advice(name: str, plain: str, spellings: Mapping[str, str]) -> str:
    """What to build for a name of another library, or why it is not here; nothing for a name that none is known by.

    ``plain`` is the name without case and punctuation, ``spellings`` are the names that are ours.
    """
    base = re.split(r"[/:]|models\.", name.lower())[-1].partition(".")[0]  # without a hub's owner and timm's tag
    base = re.sub(r"[^a-z0-9]", "", base)
    without_data = re.sub(DATA + "$", "", base)
    for written, table in ((base, QUALIFIED if base != plain else ()), *((each, RENAMED) for each in (plain, base))):
        if ours := _renamed(written, table):
            return f"here it is {ours}"
    if base != plain and (other := next((why for pattern, why in OTHERS if re.fullmatch(pattern, base)), "")):
        return other
    for written in (base, without_data):
        if ours := spellings.get(written, "") or _renamed(written, RENAMED):
            return f"did you mean {ours}?"
    return next((why for pattern, why in ABSENT if re.fullmatch(pattern, base)), "")


def _renamed(name: str, table: tuple[tuple[str, str], ...]) -> str:
    matches = ((re.fullmatch(pattern, name), ours) for pattern, ours in table)
    return next((_filled(ours, match) for match, ours in matches if match is not None), "")


def _filled(ours: str, match: re.Match[str]) -> str:
    values = match.groupdict()
    if "vgg" in values:
        values["vgg"] = VGG[values["vgg"]]
    if "mobile" in values:
        values["mobile"] = MOBILENET[values["mobile"]]
    if "hundredths" in values:
        values["hundredths"] = HUNDREDTHS[values["hundredths"]]
    if "width" in values:
        values["width"] = SHUFFLENET[values["width"]]
    if "minor" in values:
        values["minor"] = "_".join(values["minor"])
    return ours.format(**values)
