"""VGG: the columns of Tables 1 and 2, the errors, and how the networks were trained.

The paper on Inception-v3 stands here too: it prints one number about VGG.
"""

from archzoo.claims import depth, params, ratio, weights
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import Dense, PCALighting, RandomCrop, RandomHorizontalFlip, ReduceOnPlateau, Resize, SubtractMean

PAPER = Paper(
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "K. Simonyan, A. Zisserman",
    2014,
    "https://arxiv.org/abs/1409.1556",
    models="archzoo.models.vgg",
)

INCEPTION_V3 = Paper(
    "Rethinking the Inception Architecture for Computer Vision",
    "C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna",
    2015,
    "https://arxiv.org/abs/1512.00567",
    models="archzoo.models.vgg",
)

# Tables 1 and 2: weight layers and parameters of each column, and the name that other libraries give it.
TABLES_1_AND_2 = {
    "A": (11, "133M", ("vgg11",)),
    "A-LRN": (11, "133M", ()),
    "B": (13, "133M", ("vgg13",)),
    "C": (16, "134M", ()),
    "D": (16, "138M", ("vgg16",)),
    "E": (19, "144M", ("vgg19",)),
}
STACK = "features.conv3_2 + features.conv3_3 + features.conv3_4"  # three 3x3 layers of C = 256 maps

PAPER.network("vgg", input_size=(3, 224, 224))
for column, (layers, printed, aliases) in TABLES_1_AND_2.items():
    PAPER.setting(
        f"vgg_{column.lower().replace('-', '_')}",
        params(printed, "Table 2"),
        depth(str(layers), "Table 1"),
        *([weights("27C^2", "Sec. 2.3", at=STACK, unit=256**2)] if column == "E" else []),
        of="vgg",
        aliases=aliases,
        config=column,
    )

INCEPTION_V3.prints(
    "vgg_d",
    ratio(
        "about 3x more",
        "Sec. 1",
        of="params",
        to="alexnet",
        ours="2.3x more",
        why="138.4M to AlexNet's 61.0M; net E has 2.36 times as many",
    ),
)

PAPER.results(
    "Table 3, one training scale of 256",
    TOP_1_AND_5,
    "dense, single scale",
    {
        "vgg_a": (29.6, 10.4),
        "vgg_a_lrn": (29.7, 10.5),
        "vgg_b": (28.7, 9.9),
        "vgg_c": (28.1, 9.4),
        "vgg_d": (27.0, 8.8),
        "vgg_e": (27.3, 9.0),
    },
)
PAPER.results(
    "Table 4, scale jittering",
    TOP_1_AND_5,
    "dense, three scales",
    {"vgg_c": (26.3, 8.2), "vgg_d": (24.8, 7.5), "vgg_e": (24.8, 7.5)},
)
PAPER.results("Table 5", TOP_1_AND_5, "dense and multi-crop", {"vgg_d": (24.4, 7.2), "vgg_e": (24.4, 7.1)})

PAPER.recipe(
    "vgg_imagenet",
    networks=("vgg*",),
    data="imagenet",
    source="Sec. 3.1",
    lr=0.01,
    batch_size=256,
    epochs=74,
    schedule=ReduceOnPlateau(drops=3),
    weight_decay=0.0005,
    augmentation=(Resize(256, 512), RandomCrop(), RandomHorizontalFlip(), PCALighting()),
    preprocessing=SubtractMean("channel"),
    protocol=Dense(),
    paper_result="24.8% top-1, 7.5% top-5 (vgg_d, scale jittering, dense over several scales)",
    unspecified=("patience of the plateau: 5 epochs",),
)

PAPER.not_countable("49C^2, 81% more", "Sec. 2.3", "about a 7x7 layer that no net here has; a test of VGG holds it")
PAPER.not_countable("5x5, 7x7", "Sec. 2.3", "receptive fields of two and three 3x3 layers; a test of VGG holds them")
PAPER.not_countable("74 epochs", "Sec. 3.1", "length of training: 370K iterations of 256 images")
PAPER.not_countable("50 crops per scale, 150 over 3 scales", "Sec. 3.2", "a protocol of testing")
PAPER.not_countable("144M", "Sec. 2.2", "weights of Sermanet et al.'s net, which is not here")
