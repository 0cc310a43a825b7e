"""Memory-efficient DenseNet: dense blocks and transitions whose training memory is linear in their depth.

A plain dense block saves for the backward pass everything that each layer reads: the concatenation of all earlier
feature maps, and the output of batch normalization. This one saves a single tensor, into which each layer writes its
new maps, and the output of each bottleneck's first convolution. All readers of a map share its mean and variance, which
are computed once. The backward pass recomputes batch normalization and ReLU, but no convolution and no statistics.

G. Pleiss et al., "Memory-Efficient Implementation of DenseNets", 2017, arXiv:1707.06990.
"""

from archzoo.layers.memory_efficient._blocks import DenseBlock, Transition

__all__ = ["DenseBlock", "Transition"]
