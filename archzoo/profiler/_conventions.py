"""Counting conventions of papers and other tools, as weighted sums of the primitive counts.

Each convention gives exactly what the tool reports for convolutional networks built of torch's own modules; the tests
compare them with the tools themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from archzoo.errors import ProfileError
from archzoo.profiler._work import Work

PRIMITIVES = {
    "macs": "multiply-adds of convolutions and matrix products",
    "padding_macs": "multiply-adds by padding",
    "biased": "outputs that have a bias added",
    "batch_norm": "batch-norm elements",
    "batch_norm_affine": "batch-norm elements with scale and shift",
    "batch_norm_measured": "batch-norm elements normalized by statistics of the batch",
    "layer_norm": "elements of other normalizations",
    "layer_norm_affine": "elements of other normalizations with scale and shift",
    "group_norm": "elements of group normalization",
    "group_norm_affine": "elements of group normalization with scale and shift",
    "adaptive_inputs": "inputs of adaptive average pooling",
    "nearest_2d": "outputs of nearest-neighbor interpolation",
    "bilinear_2d": "outputs of bilinear interpolation",
    "grid_sampled": "outputs of grid_sample",
    "transposed_macs": "multiply-adds of transposed convolutions",
    "transposed_by_output": "multiply-adds of transposed convolutions if each output read a kernel",
    "pooling_modules": "operations of average pooling modules",
    "upsampling_modules": "operations of Upsample modules",
    "activation_modules": "operations of Softmax, PReLU and recurrent modules",
    "relu_inputs": "inputs of ReLUs",
    "average_reads": "reads by average pooling",
    "linear_biased": "outputs of linear layers that have a bias added",
}


@dataclass(frozen=True)
class Convention:
    """A counting convention: the unit of its number, and the weight of each primitive count."""

    name: str
    unit: str
    weights: Mapping[str, int]
    remark: str = ""

    def count(self, work: Work) -> int:
        """The cost under this convention."""
        return sum(weight * getattr(work, primitive) for primitive, weight in self.weights.items())

    def explain(self, work: Work) -> str:
        """The cost under this convention, with every term of the sum."""
        terms = [
            (weight, getattr(work, primitive), PRIMITIVES[primitive]) for primitive, weight in self.weights.items()
        ]
        parts = [_term(weight, count, words) for weight, count, words in terms if count]
        remark = f" ({self.remark})" if self.remark else ""
        return (
            f"{self.name}: {self.count(work):,} {self.unit} = {''.join(parts).removeprefix(' + ') or 'nothing'}{remark}"
        )


def _term(weight: int, count: int, words: str) -> str:
    factor = f"{abs(weight)} x " if abs(weight) != 1 else ""
    return f" {'+' if weight > 0 else '-'} {factor}{count:,} {words}"


def _convention(name: str, unit: str, remark: str = "", **weights: int) -> Convention:
    return Convention(name, unit, MappingProxyType(weights), remark)


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        convention.name: convention
        for convention in (
            _convention("papers", "multiply-adds", "most papers call them FLOPs", macs=1),
            _convention("torch", "FLOPs", "torch.utils.flop_counter: two for each multiply-add", macs=2),
            _convention(
                "fvcore",
                '"flops"',
                "a batch norm in evaluation as one multiply-add for its scale and one for its shift",
                macs=1,
                batch_norm=1,
                batch_norm_affine=1,
                batch_norm_measured=3,
                layer_norm=4,
                layer_norm_affine=1,
                adaptive_inputs=1,
                nearest_2d=1,
                bilinear_2d=4,
                grid_sampled=4,
            ),
            _convention(
                "xla",
                "flops",
                "the convolutions and dots of HloCostAnalysis; its elementwise work depends on how XLA compiles",
                macs=2,
                padding_macs=-2,
            ),
            _convention("ptflops", '"MACs"', "its aten backend", macs=1, biased=1),
            _convention(
                "thop",
                '"MACs"',
                "module by module: what is called as a function it does not see",
                macs=1,
                batch_norm=2,
                batch_norm_affine=2,
                layer_norm=2,
                layer_norm_affine=2,
                group_norm=-2,
                group_norm_affine=-2,
                transposed_macs=-1,
                transposed_by_output=1,
                pooling_modules=1,
                upsampling_modules=1,
                activation_modules=1,
            ),
            _convention(
                "condensenet",
                '"FLOPs"',
                "the counter of CondenseNet's authors; a network with other layers it refuses",
                macs=1,
                relu_inputs=1,
                average_reads=1,
                adaptive_inputs=1,
                linear_biased=1,
            ),
        )
    }
)


def find_convention(name: str) -> Convention:
    """The convention of this name. Raises ProfileError for another one."""
    if name not in CONVENTIONS:
        raise ProfileError(f"no convention is called {name!r}; there are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]
