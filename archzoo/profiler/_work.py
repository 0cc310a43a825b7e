"""Operation counts of a forward pass."""

from dataclasses import dataclass

Counts = dict[str, int]  # by primitive: the attributes of Work


@dataclass
class Work:
    """Exact operation counts; every counting convention is a weighted sum of these.

    ``macs`` are multiply-adds, ``backward_macs`` those of the gradients, ``padding_macs`` those of ``macs`` that read
    a zero of a convolution's padding. ``biased`` counts outputs with a bias added, ``neurons`` outputs of layers with
    weights, ``layers`` the calls of such layers. The rest are elements: inputs of batch normalization and of other
    normalizations (``_affine``: of those with scale and shift), outputs of average pooling, inputs and outputs of
    adaptive average pooling, reads by pooling windows, and outputs of elementwise arithmetic or inputs of reductions.
    ``fft`` estimates the operations of Fourier transforms by 5 n log2(n).

    What follows is a part of these, where conventions differ: batch norm by the statistics of the batch itself
    (``batch_norm_measured``), group norm among the other normalizations, outputs of interpolation and of
    ``grid_sample``, multiply-adds of transposed convolutions, and what they would be if each output read a kernel. The
    three behind them are operations of modules, by thop's formulas: average pooling, ``Upsample``, and what Softmax,
    PReLU and recurrent layers do beside products. The last three are inputs of ReLUs, reads by windows of average
    pooling, and outputs of linear layers with a bias.
    """

    macs: int = 0
    backward_macs: int = 0
    biased: int = 0
    neurons: int = 0
    layers: int = 0
    batch_norm: int = 0
    batch_norm_affine: int = 0
    layer_norm: int = 0
    layer_norm_affine: int = 0
    avg_pooled: int = 0
    adaptive_inputs: int = 0
    adaptive_outputs: int = 0
    pool_reads: int = 0
    elementwise: int = 0
    fft: int = 0
    batch_norm_measured: int = 0
    group_norm: int = 0
    group_norm_affine: int = 0
    nearest_2d: int = 0
    bilinear_2d: int = 0
    grid_sampled: int = 0
    transposed_macs: int = 0
    transposed_by_output: int = 0
    pooling_modules: int = 0
    upsampling_modules: int = 0
    activation_modules: int = 0
    padding_macs: int = 0
    relu_inputs: int = 0
    average_reads: int = 0
    linear_biased: int = 0

    @property
    def flops(self) -> int:
        """2 x ``macs``."""
        return 2 * self.macs

    @property
    def connections(self) -> int:
        """Multiply-adds plus one connection per unit with a bias (LeCun et al. 1998)."""
        return self.macs + self.biased

    @property
    def norm(self) -> int:
        """Elements normalized."""
        return self.batch_norm + self.layer_norm

    @property
    def other_ops(self) -> int:
        """Elements normalized, read by pooling windows or computed elementwise, and operations of FFTs."""
        return self.norm + self.pool_reads + self.elementwise + self.fft

    def per_sample(self, batch: int) -> "Work":
        """The counts of one sample of a batch; work that does not scale with the batch is shared, rounded up."""
        shares = {name: -(-count // batch) for name, count in self.__dict__.items()}
        return Work(**{**shares, "layers": self.layers})
