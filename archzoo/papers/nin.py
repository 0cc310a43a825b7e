"""Network in Network: the size of the released network, the errors, and how each network was trained.

The paper itself prints no widths and no size; the network for ImageNet is a release of its first author alone.

The author trained with cuda-convnet, whose parameters are read as follows. The gradient is multiplied by ``coeff`` and
by ``epsW``, and the decay by ``epsW`` alone: so lr = coeff x epsW, and weight_decay = wc / coeff.
"""

from archzoo.claims import megabytes, ratio
from archzoo.paper import Paper
from archzoo.recipes import (
    CenterCrop,
    MultiStep,
    ParameterGroup,
    RandomCrop,
    RandomHorizontalFlip,
    Rescale,
    Resize,
    StepDecay,
    SubtractMean,
    ZCAWhitening,
)

PAPER = Paper(
    "Network In Network",
    "M. Lin, Q. Chen, S. Yan",
    2013,
    "https://arxiv.org/abs/1312.4400",
    models="archzoo.models.nin",
)

CARD = "the author's model card"

PAPER.network("nin", input_size=(3, 32, 32))
PAPER.network("nin_cifar100", input_size=(3, 32, 32))
PAPER.network("nin_svhn", input_size=(3, 32, 32))
PAPER.network("nin_mnist", input_size=(1, 28, 28))
PAPER.network(
    "nin_imagenet",
    megabytes("29MB", CARD, counting="MB = 2^20"),
    ratio("one eighth", CARD, of="bytes", to="alexnet"),
    input_size=(3, 224, 224),
)
PAPER.prints(
    "alexnet",
    megabytes("about 230MB", CARD, counting="MB = 2^20", ours="233MB", why="rounded to tens: 60,965,224 parameters"),
)

# Each data set has a network of its own in the author's release.
PAPER.results("Table 1", ("cifar10", "cifar10+"), "single crop", {"nin": (10.41, 8.81)})
PAPER.results("Table 2", ("cifar100",), "single crop", {"nin_cifar100": (35.68,)})
PAPER.results("Table 3", ("svhn",), "single crop", {"nin_svhn": (2.35,)})
PAPER.results("Table 4", ("mnist",), "single crop", {"nin_mnist": (0.47,)})
PAPER.results(CARD, ("imagenet top-1",), "single crop", {"nin_imagenet": (40.64,)})

# In all of the author's parameters, cuda-convnet's and Caffe's: biases learn twice as fast and are not decayed.
BIASES = ParameterGroup("*.bias", lr_mult=2.0, decay_mult=0.0)
# With the same parameters for CIFAR-10, SVHN and MNIST, the last layer learns at a tenth of the rate.
SMALL_LAST_LAYER = (BIASES, ParameterGroup("classifier.cccp6.*", lr_mult=0.1))
BIASES_FALL_TOO = "lr: the author's README lowers the rate of the weights alone; here that of the biases falls with it"
# 200, 230 and 260 epochs of CIFAR-10 (the author's README) in iterations.
ITERATIONS = {"iterations": 101_400, "schedule": MultiStep((78_000, 89_700), unit="iterations")}
LENGTH = "iterations, schedule: not printed; those of CIFAR-10"

PAPER.recipe(
    "nin_cifar10",
    networks=("nin",),
    data="cifar10",
    source="Sec. 4.1 and 4.2, and the author's parameters and README",
    lr=0.1,
    batch_size=128,
    epochs=260,
    schedule=MultiStep((200, 230)),
    weight_decay=0.0001,
    groups=SMALL_LAST_LAYER,
    preprocessing=ZCAWhitening(),
    validation="10,000 of the 50,000, to choose the receptive field and the weight decay",
    paper_result="10.41% (8.81% with augmentation) on CIFAR-10",
    unspecified=(BIASES_FALL_TOO,),
)
PAPER.recipe(
    "nin_cifar100",
    networks=("nin_cifar100",),
    data="cifar100",
    source="Sec. 4.3, and the author's parameters",
    lr=0.02,
    batch_size=128,
    **ITERATIONS,
    weight_decay=0.0005,
    groups=(BIASES,),
    preprocessing=ZCAWhitening(),
    paper_result="35.68% on CIFAR-100",
    unspecified=(LENGTH, BIASES_FALL_TOO),
)
PAPER.recipe(
    "nin_svhn",
    networks=("nin_svhn",),
    data="svhn",
    source="Sec. 4.4, and the author's parameters",
    lr=0.1,
    batch_size=128,
    **ITERATIONS,
    weight_decay=0.0001,
    groups=SMALL_LAST_LAYER,
    validation="400 images of each class of the training set and 200 of the extra set",
    paper_result="2.35% on SVHN",
    unspecified=(
        LENGTH,
        BIASES_FALL_TOO,
        "preprocessing: local contrast normalization in the paper, for which there is no type; here mean and deviation",
    ),
)
PAPER.recipe(
    "nin_mnist",
    networks=("nin_mnist",),
    data="mnist",
    source="Sec. 4.5, and the author's parameters",
    lr=0.1,
    batch_size=128,
    **ITERATIONS,
    weight_decay=0.0001,
    groups=SMALL_LAST_LAYER,
    preprocessing=Rescale(),
    paper_result="0.47% on MNIST",
    unspecified=(
        LENGTH,
        BIASES_FALL_TOO,
        "preprocessing: the author's README refers to Maxout's code, which maps bytes to values from 0 to 1",
    ),
)
PAPER.recipe(
    "nin_imagenet_release",
    networks=("nin_imagenet",),
    data="imagenet",
    source="the author's released solver and definition",
    lr=0.01,
    batch_size=64,
    iterations=450_000,
    schedule=StepDecay(200_000, gamma=0.1, unit="iterations"),
    weight_decay=0.0005,
    groups=(BIASES,),
    augmentation=(Resize(256), CenterCrop(256), RandomCrop(), RandomHorizontalFlip()),
    preprocessing=SubtractMean("pixel"),
    paper_result="59.36% top-1 accuracy (single crop)",
    unspecified=(
        "augmentation: the size of the images that are cropped, here the central 256x256 of a shorter side of 256",
    ),
)

PAPER.not_countable(
    "no parameter to optimize",
    "Sec. 3.2",
    "words on global average pooling, no number; a test of Network in Network holds it",
)
PAPER.not_countable("4-5 days to train on a GTX Titan", CARD, "a clock time")
