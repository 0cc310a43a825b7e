"""ShuffleNet V2: the columns of Table 5 with their cost and size, quotes of ResNet and SENet, errors, and training."""

from archzoo.claims import Claim, macs, params, size
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import Bytes, ColorJitter, LinearDecay, RandomHorizontalFlip, RandomResizedCrop, SingleCrop

PAPER = Paper(
    "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
    "N. Ma, X. Zhang, H.-T. Zheng, J. Sun",
    2018,
    "https://arxiv.org/abs/1807.11164",
    models="archzoo.models.shufflenet_v2",
)

# Table 5: "FLOPs", which are multiply-adds, and "# of weights" by width.
TABLE_5: dict[float, tuple[Claim, Claim]] = {
    0.5: (
        macs(
            "41M",
            "Table 5",
            ours="40M",
            why="40,476,448 in convolutions and the linear layer; the 50,176 additions of the global pooling make it "
            "40.53",
        ),
        params("1.4M", "Table 5"),
    ),
    1.0: (macs("146M", "Table 5"), params("2.3M", "Table 5")),
    1.5: (macs("299M", "Table 5"), params("3.5M", "Table 5")),
    2.0: (macs("591M", "Table 5"), params("7.4M", "Table 5")),
}

# Table 5: the side of what each layer returns, and its channels by width.
SIDES = {"conv1": 112, "maxpool": 56, "stage2": 28, "stage3": 14, "stage4": 7, "conv5": 7}
CHANNELS = {
    0.5: (24, 24, 48, 96, 192, 1024),
    1.0: (24, 24, 116, 232, 464, 1024),
    1.5: (24, 24, 176, 352, 704, 1024),
    2.0: (24, 24, 244, 488, 976, 2048),
}

PAPER.network("shufflenet_v2", input_size=(3, 224, 224))
for width, claims in TABLE_5.items():
    PAPER.setting(
        f"shufflenet_v2_x{str(width).replace('.', '_')}",
        *claims,
        *(
            size(f"{side}x{side}x{channels}", "Table 5", at=f"features.{layer}")
            for (layer, side), channels in zip(SIDES.items(), CHANNELS[width], strict=True)
        ),
        size("1x1", "Table 5", at="classifier.pool"),
        size("1000", "Table 5", at="classifier.fc"),
        of="shufflenet_v2",
        width=width,
    )

PAPER.prints(
    "resnet50", macs("3.8G", "Table 6", ours="3.86G", why="quoted from ResNet, where it is cut off and not rounded")
)
PAPER.prints("senet154", macs("20.7G", "Table 6"))

PAPER.results(
    "Table 8",
    ("imagenet top-1",),
    "single crop",
    {
        "shufflenet_v2_x0_5": (39.7,),
        "shufflenet_v2_x1_0": (30.6,),
        "shufflenet_v2_x1_5": (27.4,),
        "shufflenet_v2_x2_0": (25.1,),
    },
)

PAPER.results(
    "the authors' release",
    TOP_1_AND_5,
    "single crop",
    {
        "shufflenet_v2_x0_5": (38.9, 17.4),
        "shufflenet_v2_x1_0": (30.6, 11.1),
        "shufflenet_v2_x1_5": (27.4, 9.4),
        "shufflenet_v2_x2_0": (25.0, 7.6),
    },
)

# megvii-model/ShuffleNet-Series, ShuffleNetV2/train.py and utils.py.
PAPER.recipe(
    "shufflenet_v2_imagenet",
    networks=("shufflenet_v2*",),
    data="imagenet",
    source="the released code, ShuffleNetV2/train.py",
    lr=0.5,
    batch_size=1024,
    iterations=300_000,
    schedule=LinearDecay(),
    weight_decay=0.00004,
    decay_scope="weights",
    label_smoothing=0.1,
    batch_norm_images=1_280_000,
    augmentation=(RandomResizedCrop(), ColorJitter(), RandomHorizontalFlip()),
    preprocessing=Bytes("BGR"),
    protocol=SingleCrop(224, resize=256, interpolation="opencv_bilinear"),
    paper_result="30.6% top-1 (x1_0), 39.7% (x0_5; 38.9% of the released weights)",
)

PAPER.not_countable("2.3G", "Table 6", "multiply-adds of ShuffleNet v2-50, a net that is not here")
PAPER.not_countable("12.7G", "Table 6", "multiply-adds of SE-ShuffleNet v2-164, a net that is not here")
PAPER.not_countable("597M", "Table 8", "multiply-adds of ShuffleNet v2 2x with SE, a net that is not here")
PAPER.not_countable("equal FLOPs", "Tables 1 and 2", "of single layers; a test of ShuffleNet V2 holds them")
PAPER.not_countable("417 batches/s on a GPU, 57.0 images/s on ARM", "Table 8", "speeds of one machine")
