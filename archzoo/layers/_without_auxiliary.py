"""A network without the auxiliary classifiers that only helped to train it."""

from archzoo.layers._modules import sequence
from archzoo.layers._net import Net


def without_auxiliary(net: Net) -> Net:
    """The network without its auxiliary classifiers, which only help to train it; shares its parameters.

    Auxiliary classifiers are the parts of the classifier whose names start with ``aux_`` (GoogLeNet, Sec. 5).
    """
    kept = {name: part for name, part in net.classifier.named_children() if not name.startswith("aux_")}
    cut = Net(sequence(**dict(net.features.named_children())), sequence(**kept)).train(net.training)
    return cut.named(net.name, {k: v for k, v in net.options.items() if k != "auxiliary"}, net.input_size)
