"""Work other than multiply-adds, by operator: normalization, pooling, interpolation, elementwise arithmetic, FFTs."""

from collections.abc import Callable
from math import log2, prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from archzoo.profiler._padding import record_borders
from archzoo.profiler._work import Counts

aten = torch.ops.aten


def _batch_norm(out: Any, x: Tensor, weight: Tensor | None = None, *rest: Any, **__: Any) -> Counts:
    count = x.numel()
    counts = {"batch_norm": count, "batch_norm_affine": count if weight is not None else 0}
    if any(value is True for value in rest):  # ``training``: the statistics are those of the batch
        counts["batch_norm_measured"] = count
    return counts


def _layer_norm(out: Any, x: Tensor, shape: Any, weight: Tensor | None = None, *_: Any, **__: Any) -> Counts:
    count = x.numel()
    return {"layer_norm": count, "layer_norm_affine": count if weight is not None else 0}


def _group_norm(out: Any, x: Tensor, weight: Tensor | None = None, *_: Any, **__: Any) -> Counts:
    counts = _layer_norm(out, x, None, weight)
    return {**counts, "group_norm": counts["layer_norm"], "group_norm_affine": counts["layer_norm_affine"]}


def _max_pool(out: Any, x: Tensor, kernel: Any, *_: Any, **__: Any) -> Counts:
    return {"pool_reads": out[0].numel() * _area(kernel, x.dim() - 2)}


def _avg_pool(out: Tensor, x: Tensor, kernel: Any, *_: Any, **__: Any) -> Counts:
    count = out.numel()
    reads = count * _area(kernel, x.dim() - 2)
    return {"avg_pooled": count, "pool_reads": reads, "average_reads": reads}


def _area(kernel: Any, sides: int) -> int:
    """The area of a window; torch may give a single side for a square one."""
    area: int = prod(kernel) if len(kernel) > 1 else kernel[0] ** sides
    return area


def _adaptive(out: Tensor, x: Tensor, *_: Any, **__: Any) -> Counts:
    return {"adaptive_inputs": x.numel(), "adaptive_outputs": out.numel(), "pool_reads": x.numel()}


def _mean(out: Tensor, x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Counts:
    # Adaptive pooling to one position is this call of torch's own, with these dimensions in this order.
    return _adaptive(out, x) if keepdim and list(dim or ()) == [-1, -2] else {"elementwise": x.numel()}


def _reads(out: Any, x: Any, *_: Any, **__: Any) -> Counts:
    return {"elementwise": x.numel()}


def _pool_reads(out: Any, x: Tensor, *_: Any, **__: Any) -> Counts:
    return {"pool_reads": x.numel()}


def writes(out: Any, *_: Any, **__: Any) -> Counts:
    """One operation for each element of the (first) result."""
    first = out[0] if isinstance(out, list | tuple) and out else out
    return {"elementwise": first.numel() if isinstance(first, Tensor) else 0}


def _relu(out: Tensor, *_: Any, **__: Any) -> Counts:
    return {"elementwise": out.numel(), "relu_inputs": out.numel()}


def _nearest(out: Tensor, *_: Any, **__: Any) -> Counts:
    return {"elementwise": out.numel(), "nearest_2d": out.numel()}


def _bilinear(out: Tensor, *_: Any, **__: Any) -> Counts:
    return {"elementwise": out.numel(), "bilinear_2d": out.numel()}


def _sampled(out: Tensor, *_: Any, **__: Any) -> Counts:
    return {"elementwise": out.numel(), "grid_sampled": out.numel()}


def _added(out: Any, x: Tensor, dim: Any, index: Any, source: Any = None, *_: Any, **__: Any) -> Counts:
    """Elements that are added to selected positions."""
    return {"elementwise": source.numel() if isinstance(source, Tensor) else index.numel()}


def _bags(out: Any, weight: Tensor, indices: Tensor, *_: Any, **__: Any) -> Counts:
    return {"elementwise": indices.numel() * weight.shape[-1]}


def _distances(out: Tensor, x: Tensor, *_: Any, **__: Any) -> Counts:
    return {"elementwise": out.numel() * x.shape[-1]}


def lists(out: Any, *operands: Any, **__: Any) -> Counts:
    """One operation for each element of all tensors in a list."""
    first = [leaf for leaf in tree_leaves(operands[:1]) if isinstance(leaf, Tensor)]
    return {"elementwise": sum(tensor.numel() for tensor in first)}


def _fft(out: Tensor, x: Tensor, dims: Any, *_: Any, **__: Any) -> Counts:
    """5 n log2(n) operations for n complex numbers, the usual estimate (Cooley and Tukey), and half for real ones."""
    real = not x.is_complex() or not out.is_complex()
    whole = x if x.numel() >= out.numel() else out
    points = prod(whole.shape[dim] for dim in dims)
    return {"fft": round((2.5 if real else 5) * whole.numel() * log2(points))}


def _packets(names: str) -> list[Any]:
    return [getattr(aten, name) for name in names.split() if hasattr(aten, name)]


OTHER_OPS: dict[Any, Callable[..., Counts]] = {}
for _count, _names in (
    (
        _batch_norm,
        """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_no_update
        _batch_norm_with_update cudnn_batch_norm _native_batch_norm_legit_functional
        _batch_norm_with_update_functional""",
    ),
    (_layer_norm, "native_layer_norm _fused_rms_norm"),
    (_group_norm, "native_group_norm"),
    (_max_pool, "max_pool2d_with_indices"),
    (_avg_pool, "avg_pool1d avg_pool2d avg_pool3d"),
    (_adaptive, "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d"),
    (_mean, "mean"),
    (
        _pool_reads,
        """max_pool3d_with_indices max_pool1d_with_indices adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d
        fractional_max_pool3d avg_pool2d_backward avg_pool3d_backward max_pool2d_with_indices_backward
        max_pool3d_with_indices_backward _adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward""",
    ),
    (
        _reads,
        """sum amax amin max min argmax argmin var var_mean std std_mean prod cumsum cumprod norm linalg_vector_norm
        logsumexp any all count_nonzero topk sort argsort _softmax _log_softmax _safe_softmax glu bucketize searchsorted
        aminmax _aminmax nansum median nanmedian mode kthvalue cummax cummin logcumsumexp trace native_norm
        linalg__powsum histc bincount equal isin _masked_softmax _weight_norm_interface renorm renorm_
        cumsum_ cumprod_ native_layer_norm_backward native_group_norm_backward native_batch_norm_backward
        _softmax_backward_data _log_softmax_backward_data embedding_dense_backward mse_loss binary_cross_entropy
        nll_loss_forward nll_loss2d_forward huber_loss smooth_l1_loss soft_margin_loss multi_margin_loss
        multilabel_margin_loss_forward _ctc_loss segment_reduce _cummax_helper
        _cummin_helper _logcumsumexp _is_all_true _is_any_true hash_tensor binary_cross_entropy_with_logits dist
        histogram fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask
        _fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fake_quantize_learnable_per_tensor_affine
        _fake_quantize_learnable_per_channel_affine _fused_moving_avg_obs_fq_helper
        _fused_moving_avg_obs_fq_helper_functional""",
    ),
    (_relu, "relu relu_"),
    (_nearest, "upsample_nearest2d"),
    (_bilinear, "upsample_bilinear2d"),
    (_sampled, "grid_sampler_2d grid_sampler_3d cudnn_grid_sampler"),
    (
        writes,
        """native_dropout _fused_dropout upsample_nearest1d upsample_nearest3d upsample_linear1d upsample_trilinear3d
        upsample_bicubic2d _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
        _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa affine_grid_generator hardswish hardswish_
        mish_ gelu_ prelu _prelu_kernel relu6_ log_sigmoid_forward rrelu_with_noise rrelu_with_noise_
        rrelu_with_noise_functional threshold_ linalg_cross cross _thnn_fused_lstm_cell _thnn_fused_gru_cell
        _add_relu _add_relu_ floor_divide floor_divide_ angle complex polar _conj_physical frexp
        _transform_bias_rescale_qkv""",
    ),
    (
        _added,
        """scatter_add scatter_add_ scatter_reduce scatter_reduce_ index_add index_add_ index_reduce index_reduce_""",
    ),
    (_bags, "_embedding_bag _embedding_bag_forward_only"),
    (_distances, "_cdist_forward _pdist_forward _euclidean_dist"),
    (_fft, "_fft_c2c _fft_r2c _fft_c2r"),
    (record_borders, "constant_pad_nd"),
):
    OTHER_OPS.update(dict.fromkeys(_packets(_names), _count))
# Operators outside of ATen, by the names of their packets.
ELSEWHERE: dict[str, Callable[..., Counts]] = dict.fromkeys(
    ("torchvision.roi_align", "torchvision.roi_pool", "torchvision.ps_roi_align", "torchvision.ps_roi_pool"), writes
)
ESTIMATES = frozenset(_packets("_fft_c2c _fft_r2c _fft_c2r"))
