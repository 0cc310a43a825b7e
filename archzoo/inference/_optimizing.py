"""``optimize``: one call for everything that makes a network faster."""

import copy
import warnings
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_map_only, tree_unflatten

from archzoo.errors import BadOption, DeviceError
from archzoo.inference._accelerated import accelerated
from archzoo.inference._engines import Engine, EngineNetwork
from archzoo.inference._folding import fold_batch_norms
from archzoo.inference._fused_forward import FusedForward, has_bfloat16_instructions
from archzoo.inference._response_norm import BandedNorm
from archzoo.inference._structure import replace_modules
from archzoo.inference._verifying import TOLERANCE, Rewrite, Sample, error_of_rewrite, sample_of
from archzoo.layers import ResponseNorm, device_of
from archzoo.options import shown
from archzoo.restoring import process_restored

Compile = Literal["freeze", "inductor"]


def optimize(
    model: nn.Module,
    *,
    memory_format: torch.memory_format = torch.channels_last,
    dtype: torch.dtype | None = None,
    compile: Compile | None = None,  # noqa: A002
    engine: Engine | None = None,
    device: str | torch.device | None = None,
) -> nn.Module:
    """A new module that computes what ``model`` computes in eval mode, faster. The model is unchanged.

    Modules keep their names. Folded batch norms are identities, and no parameter requires a gradient. What is folded is
    compared with the original on a random image; where it differs, a warning says so, and nothing is folded.

    On the CPU, images (N, C, H, W) with channels_last run in oneDNN's fused operators: a convolution with the addition
    and the ReLU that follow it, weights packed once, fewer copies. That is chosen by what the network is, not measured.
    Hooks, gradients, autocast, compilers and other types get the modules as they are. The packed weights take as much
    memory again as those of the convolutions.

    Args:
        model: Any network.
        memory_format: That of the convolution weights. channels_last is as fast or faster for every network of archzoo.
        dtype: What the network computes in; images of any floating type are converted. torch.bfloat16 takes about half
            the time on processors with bfloat16 instructions, and gives logits of two or three digits. On others it is
            slower than float32, and a warning says so.
        compile: "freeze" traces and freezes a graph for each new shape of images. "inductor" is torch.compile, which
            needs a C++ compiler. Both make the first call slow.
        engine: "onnxruntime" (extra "onnx") or "openvino" (extra "openvino") runs the network on the CPU, with as many
            threads as torch. It is built at the first images of each size and compared with the network.
        device: Where to put the copy. On "cuda", several forms of the network are measured at the first images of each
            shape, also compiled by inductor where Triton is installed, which takes up to a minute: the original, the
            folded one, cuDNN's fused convolutions, each as it is and in a CUDA graph. The fastest is kept for the eight
            shapes used last; ``release()`` of the returned network gives the memory of the graphs back.

    Raises BadOption for options that do not exist or do not go together, MissingDependency without the extra of an
    engine, and DeviceError for a device that this machine lacks.
    """
    check(dtype, compile, engine, device)
    if not isinstance(model, nn.Module):
        raise BadOption(f"expected a torch.nn.Module, not {type(model).__name__}")
    if memory_format not in (torch.channels_last, torch.channels_last_3d, torch.contiguous_format):
        formats = "torch.channels_last, torch.channels_last_3d or torch.contiguous_format"
        raise BadOption(f"memory_format must be {formats}, not {shown(memory_format)}")
    if engine is not None:
        return EngineNetwork(model, engine, dtype)
    model = copy.deepcopy(model)  # which runs on an image, and its forward may change it
    with process_restored():
        return optimized_copy(model if device is None else model.to(device), memory_format, dtype, compile, device)


def optimized_copy(
    model: nn.Module,
    memory_format: torch.memory_format,
    dtype: torch.dtype | None,
    compile: Compile | None,  # noqa: A002
    device: str | torch.device | None,
) -> nn.Module:
    """What ``optimize`` returns, from a copy of the model that nothing else uses."""
    sample = sample_of(model)
    optimized, fold = folded(model, sample)
    prepare(optimized, memory_format)
    where = device_of(optimized).type
    if compile is None and where == "cuda" and device is not None:
        if dtype is not None:
            model, optimized = model.to(dtype), optimized.to(dtype)
        plain = model.eval().requires_grad_(False)
        return with_dtype(accelerated(plain, optimized, inductor=has_triton()), dtype)
    if compile is None and memory_format == torch.channels_last and where == "cpu":
        fuse(optimized, model, fold, sample)
    if dtype == torch.bfloat16 and where == "cpu" and not has_bfloat16_instructions():
        warnings.warn("this processor has no bfloat16 instructions: float32 is faster", stacklevel=3)
    with_dtype(optimized, dtype)
    if compile == "inductor":
        return cast(nn.Module, torch.compile(optimized))
    return Frozen(optimized) if compile == "freeze" else optimized


def check(dtype: Any, compile: Any, engine: Any, device: Any) -> None:  # noqa: A002
    """Raise BadOption or DeviceError for what ``optimize`` cannot do."""
    if compile not in (None, *get_args(Compile)):
        raise BadOption(f"compile must be 'freeze', 'inductor' or None, not {shown(compile)}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise BadOption(f"dtype must be a floating type, such as torch.bfloat16, not {shown(dtype)}")
    if device is not None:
        check_device(device)
    if engine is not None and compile is not None:
        raise BadOption(f"an engine compiles by itself: compile must be None, not {compile!r}")
    if engine is not None and device is not None and torch.device(device).type != "cpu":
        raise BadOption(f"{engine} runs on the CPU: device must be None or 'cpu', not {str(device)!r}")


def check_device(device: str | torch.device) -> None:
    """Raise DeviceError for a device that this machine lacks."""
    try:
        kind = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"there is no device {shown(device)}: 'cuda' and 'cpu' are two") from error
    if kind.type == "cuda" and (not torch.cuda.is_available() or (kind.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"this machine has no device {kind}: torch sees {torch.cuda.device_count()} CUDA devices")


def has_triton() -> bool:
    """Whether inductor can compile for CUDA."""
    from importlib.util import find_spec

    return find_spec("triton") is not None


def folded(model: nn.Module, sample: Sample | None) -> tuple[nn.Module, Rewrite]:
    """A copy in eval mode, and what makes it: folding of batch norms, unless that changes what the model computes."""
    optimized = fold_batch_norms(model).requires_grad_(False)
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        error = error_of_rewrite(fold_batch_norms, model, optimized, sample)
        if not error <= TOLERANCE:
            warnings.warn(
                f"folding changes the network by {error:.0e} on a random image: nothing is folded", stacklevel=4
            )
            return unfolded(model).requires_grad_(False), unfolded
    return optimized, fold_batch_norms


def unfolded(model: nn.Module) -> nn.Module:
    """A copy in eval mode."""
    return copy.deepcopy(model).eval()


def prepare(optimized: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """Change layers and the order of weights in place, which needs no check."""
    norms = [module for module in optimized.modules() if isinstance(module, ResponseNorm)]
    replace_modules(optimized, {norm: BandedNorm(norm).eval() for norm in norms})
    order_weights(optimized, memory_format)
    return optimized


def fuse(optimized: nn.Module, model: nn.Module, fold: Rewrite, sample: Sample | None) -> None:
    """Run a network, which ``fold`` has made of a model, by fused operators, unless that changes what it computes."""

    def fused(net: nn.Module) -> nn.Module:
        other = prepare(fold(net).requires_grad_(False), torch.channels_last)
        other.forward = FusedForward(other)
        return other

    optimized.forward = FusedForward(optimized)
    error = error_of_rewrite(fused, model, optimized, sample)
    optimized.forward = FusedForward(optimized)  # without weights that are packed for the size of the sample
    if not error <= TOLERANCE:
        del optimized.forward
        warnings.warn(f"fusing changes what the network computes by {error:.0e}: nothing is fused", stacklevel=4)


def order_weights(net: nn.Module, memory_format: torch.memory_format) -> None:
    """Put the weights of convolutions in a memory format; channels_last of three dimensions is a format of its own."""
    formats = {4: memory_format, 5: memory_format}
    if memory_format is torch.channels_last or memory_format is torch.channels_last_3d:
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}

    def order(tensor: Tensor) -> Tensor:
        return tensor.to(memory_format=formats[tensor.dim()]) if tensor.dim() in formats else tensor

    net._apply(order)  # type: ignore[no-untyped-call]


def with_dtype(net: nn.Module, dtype: torch.dtype | None) -> nn.Module:
    """The network in another type. A hook, because a wrapping module would change the names of the parts."""
    if dtype is not None:
        net.to(dtype).register_forward_pre_hook(Cast(dtype), with_kwargs=True)
    return net


class Cast:
    """A forward pre-hook that converts floating-point inputs to the dtype of the network."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, net: nn.Module, args: Any, kwargs: Any) -> Any:
        return tree_map_only(Tensor, self.convert, (args, kwargs))

    def convert(self, tensor: Tensor) -> Tensor:
        """A tensor in the dtype of the network, unless it holds integers."""
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor


class Frozen(nn.Module):
    """A network that runs frozen graphs, traced at the first inputs of each shape, dtype and device.

    Inputs are tensors, by position or by keyword. Other values beside them are part of the graph.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.graphs: dict[Any, torch.jit.ScriptModule] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        leaves, spec = tree_flatten((args, kwargs))
        tensors = tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
        described = [_described(leaf) for leaf in leaves]
        if not tensors or None in described:
            return self.net(*args, **kwargs)
        key = (str(spec), *described)
        if key not in self.graphs:
            self.net(*args, **kwargs)  # raises InputError for images that do not fit, which tracing would not
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated, but the only way to freeze without a C++ compiler
                call = Call(self.net, leaves, spec).eval()
                traced = torch.jit.trace(call, tensors, check_trace=False)  # type: ignore[no-untyped-call]
                self.graphs[key] = torch.jit.freeze(traced)
        return self.graphs[key](*tensors)


class Call(nn.Module):
    """One way to call a network: its tensors in order, all other values as they were."""

    def __init__(self, net: nn.Module, leaves: list[Any], spec: TreeSpec) -> None:
        super().__init__()
        self.net, self.spec = net, spec
        self.values = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self.places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def forward(self, *tensors: Tensor) -> Any:
        leaves = list(self.values)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = tree_unflatten(leaves, self.spec)
        return self.net(*args, **kwargs)


def _described(leaf: Any) -> tuple[Any, ...] | None:
    """What a graph depends on: the shape, type and device of a tensor, a plain value; None for anything else."""
    if isinstance(leaf, Tensor):
        return leaf.shape, leaf.dtype, leaf.device
    return (type(leaf), leaf) if leaf is None or isinstance(leaf, bool | int | float | str) else None
