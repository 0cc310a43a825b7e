"""From operator to rules: what one call of an ATen operator costs.

A multiply-add (MAC) is one multiplication and one addition, of convolutions and matrix products only (``PRODUCTS``).
Normalization, pooling and elementwise arithmetic are in ``OTHER_OPS``, counted separately and never as MACs. Operators
that only move data are in ``MOVES``. An operator in none of these tables is reported by name.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import torch

from archzoo.profiler._operator import Operator
from archzoo.profiler._other_work import ELSEWHERE, ESTIMATES, OTHER_OPS, lists, writes
from archzoo.profiler._products import PRODUCTS, PRODUCTS_ELSEWHERE, attention
from archzoo.profiler._receptive_fields import rule_of
from archzoo.profiler._shapes import SHAPES
from archzoo.profiler._value_readers import VALUE_READERS

__all__ = ["FRESH", "MOVES", "OTHER_OPS", "PRODUCTS", "Operator", "attention", "look_up"]

aten = torch.ops.aten
COMPOSITE = "CompositeImplicitAutograd"


def _packets(names: str) -> set[Any]:
    return {getattr(aten, name) for name in names.split() if hasattr(aten, name)}


# Operators that create tensors without reading one.
FRESH = _packets("""
zeros ones full empty arange linspace logspace eye scalar_tensor empty_strided empty_permuted rand randn randint
randperm empty_like zeros_like ones_like full_like rand_like randn_like randint_like new_empty new_zeros new_ones
new_full new_empty_strided tril_indices triu_indices normal_functional from_file _efficientzerotensor
bartlett_window blackman_window hamming_window hann_window kaiser_window fft_fftfreq fft_rfftfreq
""")
# Operators that move or look up data without arithmetic.
MOVES = _packets("""
embedding cat stack split split_with_sizes unbind clone copy copy_ _to_copy index index_select gather scatter scatter_
index_put index_put_ _index_put_impl _index_put_impl_ _unsafe_index _unsafe_index_put _unsafe_masked_index index_copy
index_copy_ index_fill index_fill_ put put_ take slice_scatter select_scatter diagonal_scatter as_strided_scatter repeat
repeat_interleave roll rot90 flip tril triu tril_ triu_ reflection_pad1d reflection_pad2d
reflection_pad3d replication_pad1d replication_pad2d replication_pad3d fill fill_ zero zero_ lift lift_fresh
lift_fresh_copy _unsafe_view _reshape_alias resize_ resize_as_ set_ channel_shuffle native_channel_shuffle pixel_shuffle
pixel_unshuffle unsafe_split unsafe_split_with_sizes as_strided_ bernoulli bernoulli_ uniform uniform_ normal normal_
random random_ exponential exponential_ cauchy_ log_normal_ geometric_ poisson binomial multinomial nonzero
nonzero_static masked_fill masked_fill_ masked_scatter masked_scatter_ masked_select where _local_scalar_dense squeeze_
unsqueeze_ transpose_ t_ detach_ im2col col2im unfold_copy alias _conj block_diag diag_embed max_unpool2d max_unpool3d
_pack_padded_sequence _pad_packed_sequence _nested_tensor_from_mask_left_aligned unique_consecutive unique_dim _unique
_unique2 unique_dim_consecutive _pin_memory _assert_async _assert_scalar _linalg_check_errors _assert_tensor_metadata
_functional_assert_async _functional_assert_scalar _stack _chunk_cat _lazy_clone _resize_output_ embedding_renorm_
_unsafe_masked_index_put_accumulate to_padded_tensor _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward
_to_dense _to_sparse range resize
_to_sparse_csr _to_sparse_csc _to_sparse_bsr _to_sparse_bsc _coalesced_ sparse_coo_tensor sparse_compressed_tensor
_sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors sparse_mask _convert_indices_from_coo_to_csr
_convert_indices_from_csr_to_coo cauchy log_normal geometric _standard_gamma _sample_dirichlet int_repr
set resize_as _resize_output _coalesced embedding_renorm _reshape_copy
""")


@cache
def look_up(operator: Any) -> Operator:
    """The rules for an operator."""
    schema = operator._schema
    return replace(
        _counting_rules(operator, operator.overloadpacket),
        name=str(operator.overloadpacket),
        shape=SHAPES.get(operator),
        field_rule=rule_of(operator),
        writes=schema.is_mutable and operator not in SHAPES,
        composite=_is_composite(operator),
        values=VALUE_READERS.get(operator.overloadpacket),
        positions=tuple(i for i, argument in enumerate(schema.arguments) if "Tensor" in str(argument.type)),
        outs=frozenset(argument.name for argument in schema.arguments if argument.is_out),
    )


def _is_composite(operator: Any) -> bool:
    """Whether an operator's only kernel calls other operators; operators of Python have no kernel."""
    name, has_kernel_for = operator.name(), torch._C._dispatch_has_kernel_for_dispatch_key
    return torch._C._dispatch_has_kernel(name) and has_kernel_for(name, COMPOSITE) and not has_kernel_for(name, "CPU")


def _counting_rules(operator: Any, packet: Any) -> Operator:
    if packet in PRODUCTS:
        return PRODUCTS[packet]
    if str(packet) in PRODUCTS_ELSEWHERE:
        return PRODUCTS_ELSEWHERE[str(packet)]
    if str(packet) in ELSEWHERE:
        return Operator(other_ops=ELSEWHERE[str(packet)])
    if packet in FRESH:
        return Operator(fresh=True)
    if packet in MOVES or operator.is_view or _asks(operator):
        return Operator()
    if packet in OTHER_OPS:
        return Operator(other_ops=OTHER_OPS[packet], estimate=packet in ESTIMATES)
    if _is_copy_of_view(packet):
        return Operator()
    if operator.name().startswith("aten::_foreach_"):
        return Operator(other_ops=lists)
    pointwise = any(map(_is_pointwise, (packet, _out_of_place(packet))))
    return Operator(other_ops=writes if pointwise else None, known=pointwise)


def _is_pointwise(packet: Any) -> bool:
    return any(torch.Tag.pointwise in getattr(packet, name).tags for name in packet.overloads())


def _out_of_place(packet: Any) -> Any:
    """The operator that returns what an in-place one writes: ``abs`` for ``abs_``, which lacks the tags of that."""
    name = packet.__name__
    return getattr(aten, name.removesuffix("_"), packet) if str(packet).startswith("aten.") else packet


def _is_copy_of_view(packet: Any) -> bool:
    """Whether an operator copies what another views: ``view_copy``."""
    view = getattr(aten, packet.__name__.removesuffix("_copy"), packet)
    return packet.__name__.endswith("_copy") and any(getattr(view, name).is_view for name in view.overloads())


def _asks(operator: Any) -> bool:
    """Whether an operator only asks for a property of a tensor: its size, its device."""
    schema = operator._schema
    return not schema.is_mutable and bool(schema.returns) and not any("Tensor" in str(r.type) for r in schema.returns)
