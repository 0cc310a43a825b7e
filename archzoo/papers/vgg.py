"""VGG: the columns of Tables 1 and 2, the errors, and how the networks were trained."""

from archzoo.claims import depth, params, weights
from archzoo.paper import TOP_1_AND_5, Paper
from archzoo.recipes import (
    Dense,
    Optimizer,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    ReduceOnPlateau,
    Resize,
    SubtractMean,
)

PAPER = Paper(
    "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    "K. Simonyan, A. Zisserman",
    2014,
    "https://arxiv.org/abs/1409.1556",
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

# Table 3 at one test scale, Table 4 at three: by the shorter sides of training images.
TABLE_3 = {
    "S = 256": {
        "vgg_a": (29.6, 10.4),
        "vgg_a_lrn": (29.7, 10.5),
        "vgg_b": (28.7, 9.9),
        "vgg_c": (28.1, 9.4),
        "vgg_d": (27.0, 8.8),
        "vgg_e": (27.3, 9.0),
    },
    "S = 384": {"vgg_c": (28.1, 9.3), "vgg_d": (26.8, 8.7), "vgg_e": (26.9, 8.7)},
    "scale jittering": {"vgg_c": (27.3, 8.8), "vgg_d": (25.6, 8.1), "vgg_e": (25.5, 8.0)},
}
TABLE_4 = {
    "S = 256": {"vgg_b": (28.2, 9.6), "vgg_c": (27.7, 9.2), "vgg_d": (26.6, 8.6), "vgg_e": (26.9, 8.7)},
    "S = 384": {"vgg_c": (27.8, 9.2), "vgg_d": (26.5, 8.6), "vgg_e": (26.7, 8.6)},
    "scale jittering": {"vgg_c": (26.3, 8.2), "vgg_d": (24.8, 7.5), "vgg_e": (24.8, 7.5)},
}
for sides, errors in TABLE_3.items():
    PAPER.results(f"Table 3, {sides}", TOP_1_AND_5, "dense, single scale", errors)
for sides, errors in TABLE_4.items():
    PAPER.results(f"Table 4, {sides}", TOP_1_AND_5, "dense, three scales", errors)
PAPER.results("Table 5", TOP_1_AND_5, "multi-crop", {"vgg_d": (24.6, 7.5), "vgg_e": (24.6, 7.4)})
PAPER.results("Table 5", TOP_1_AND_5, "dense and multi-crop", {"vgg_d": (24.4, 7.2), "vgg_e": (24.4, 7.1)})

# Sec. 3.1: every net is trained at S = 256 first; C, D and E go on at 384, and from there with scale jittering.
DEEPER = ("vgg_c", "vgg_d", "vgg_e")
PATIENCE = "patience of the plateau: 5 epochs"
STAGES = {
    "vgg_imagenet": {
        "networks": ("vgg", "vgg_a", "vgg_a_lrn", "vgg_b", *DEEPER),
        "source": "Sec. 3.1, S = 256; nets deeper than A start from some of its layers (--init-from)",
        "lr": 0.01,
        "augmentation": (Resize(256), RandomCrop(), RandomHorizontalFlip(), PCALighting()),
        "protocol": Dense((256,)),
        "paper_result": "27.0% top-1, 8.8% top-5 (vgg_d)",
        "unspecified": (PATIENCE,),
    },
    "vgg_imagenet_384": {
        "networks": DEEPER,
        "source": "Sec. 3.1, S = 384; starts from the weights of vgg_imagenet (--weights)",
        "lr": 0.001,
        "augmentation": (Resize(384), RandomCrop(), RandomHorizontalFlip(), PCALighting()),
        "protocol": Dense((384,)),
        "paper_result": "26.8% top-1, 8.7% top-5 (vgg_d)",
        "unspecified": (PATIENCE, "length and number of drops: those of S = 256"),
    },
    "vgg_imagenet_multi_scale": {
        "networks": DEEPER,
        "source": "Sec. 3.1, S from 256 to 512; starts from the weights of vgg_imagenet_384 (--weights)",
        "lr": 0.001,
        "augmentation": (Resize(256, 512), RandomCrop(), RandomHorizontalFlip(), PCALighting()),
        "protocol": Dense(),
        "paper_result": "24.8% top-1, 7.5% top-5 (vgg_d)",
        "unspecified": (PATIENCE, "lr: that of S = 384", "length and number of drops: those of S = 256"),
    },
}
for name, values in STAGES.items():
    PAPER.recipe(
        name,
        data="imagenet",
        batch_size=256,
        epochs=74,
        schedule=ReduceOnPlateau(drops=3),
        optimizer=Optimizer(
            "caffe_sgd", {"momentum": 0.9}
        ),  # "derived from the publicly available C++ Caffe" (Sec. 3.3)
        weight_decay=0.0005,
        preprocessing=SubtractMean("channel"),
        **values,
    )

PAPER.not_countable("49C^2, 81% more", "Sec. 2.3", "about a 7x7 layer that no net here has; a test of VGG holds it")
PAPER.not_countable("5x5, 7x7", "Sec. 2.3", "receptive fields of two and three 3x3 layers; a test of VGG holds them")
PAPER.not_countable("74 epochs", "Sec. 3.1", "length of training: 370K iterations of 256 images")
PAPER.not_countable("50 crops per scale, 150 over 3 scales", "Sec. 3.2", "a protocol of testing")
PAPER.not_countable("144M", "Sec. 2.2", "weights of Sermanet et al.'s net, which is not here")
