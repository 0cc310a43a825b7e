"""What the paper says: see ``archzoo.models.nin`` for what it builds."""

from archzoo.claims import megabytes, ratio
from archzoo.paper import CIFAR_AND_SVHN, Paper
from archzoo.recipes import ReduceOnPlateau, ZCAWhitening

PAPER = Paper(
    "Network In Network",
    "M. Lin, Q. Chen, S. Yan",
    2013,
    "https://arxiv.org/abs/1312.4400",
    models="archzoo.models.nin",
)

PAPER.network("nin", input_size=(3, 32, 32))
PAPER.network(
    "nin_imagenet",
    megabytes("29MB", "the author's model card", counting="MB = 2^20"),
    ratio("one eighth", "the author's model card", of="bytes", to="alexnet"),
    input_size=(3, 224, 224),
)
PAPER.not_countable(
    "no parameter to optimize",
    "Sec. 3.2",
    "words on global average pooling, no number; a test of Network in Network holds it",
)

PAPER.results("Tables 1 to 3", CIFAR_AND_SVHN, "single crop", {"nin": (10.41, 8.81, 35.68, None, 2.35)})

PAPER.recipe(
    "nin_cifar10",
    networks=("nin",),
    data="cifar10",
    source="Sec. 4.1, and the authors' parameters",
    lr=0.1,
    batch_size=128,
    epochs=230,
    schedule=ReduceOnPlateau(drops=2),
    weight_decay=1e-05,
    preprocessing=ZCAWhitening(),
    validation="10,000 of the 50,000, to choose the receptive field and the weight decay",
    paper_result="10.41% (8.81% with augmentation) on CIFAR-10",
    unspecified=("length: not printed", "patience of the plateau: 5 epochs"),
)

PAPER.no_recipe("nin_imagenet", why="TODO")
