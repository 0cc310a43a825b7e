"""Errors inside of a network: those about the shape, dtype or device of images are explained, and no other."""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrizations, prune
from torch.utils._python_dispatch import TorchDispatchMode

import archzoo
from archzoo.errors import InputError
from archzoo.layers import Net, pooled_classifier, sequence

SMALL, FITTING = torch.zeros(2, 3, 6, 6), torch.zeros(2, 3, 9, 9)
WRONG_CHANNELS = torch.zeros(2, 1, 9, 9)


def small_net() -> Net:
    return Net(sequence(conv=nn.Conv2d(3, 4, 7), norm=nn.BatchNorm2d(4)), pooled_classifier(4, 10))


def hook_that_raises(message: str, kind: type[Exception] = RuntimeError) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        raise kind(message)

    return hook


@pytest.mark.parametrize("images", [SMALL, FITTING, WRONG_CHANNELS], ids=["too small", "fitting", "wrong channels"])
@pytest.mark.parametrize("part", ["features", "features.conv"])
@pytest.mark.parametrize("message", ["size mismatch of my own", "a hook of the user's"])
def test_an_error_of_a_hook_comes_out_as_it_is(part: str, message: str, images: Tensor) -> None:
    net = small_net()
    net.get_submodule(part).register_forward_pre_hook(hook_that_raises(message))
    with pytest.raises(RuntimeError, match=message) as failure:
        net(images)
    assert not isinstance(failure.value, InputError)
    after = small_net()
    after.features.register_forward_hook(hook_that_raises(message, ValueError))
    with pytest.raises(ValueError, match=message):
        after(FITTING)


def test_a_hook_that_uses_torch_on_wrong_shapes_is_not_taken_for_the_network() -> None:
    net = small_net()
    net.features.register_forward_hook(lambda module, given, maps: maps @ torch.zeros(5, 5))
    with pytest.raises(RuntimeError, match="mat1|size|shape") as failure:
        net(FITTING)
    assert not isinstance(failure.value, InputError)


class Failing(TorchDispatchMode):
    """A device on which every convolution fails with one error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "convolution" in func.name():
            raise self.error
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. Set max size of a block"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to allocate"),
        RuntimeError(
            "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported later"
        ),
        RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("Input type (double) and bias type (float) should be the same"),
    ],
    ids=["out of memory", "CPU memory", "illegal access", "two devices", "cuDNN", "dtype"],
)
@pytest.mark.parametrize("images", [SMALL, FITTING], ids=["too small", "fitting"])
def test_an_error_of_a_device_comes_out_as_it_is(error: Exception, images: Tensor) -> None:
    with Failing(error), pytest.raises(type(error)) as failure:
        small_net()(images)
    assert failure.value is error


KINDS: dict[str, tuple[Tensor, str]] = {
    "bytes": (FITTING.byte(), "^expected images of torch.float32, the network's dtype, not torch.uint8: pass images"),
    "integers": (FITTING.long(), "not torch.int64: .*, with the values that the network was trained on$"),
    "truth values": (FITTING > 0, "not torch.bool: "),
    "twice the digits": (FITTING.double(), r"not torch.float64: pass images.to\(torch.float32\)$"),
    "half the digits": (FITTING.half(), "not torch.float16: "),
    "too small, too": (SMALL.double(), "not torch.float64: "),
    "another device": (
        FITTING.to("meta"),
        r"^expected images on cpu, where the network is, not on meta: pass images.to\('cpu'\)$",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_dtype_or_device_are_named_with_what_would_do(kind: str) -> None:
    images, message = KINDS[kind]
    with pytest.raises(InputError, match=message) as failure:
        small_net()(images)
    assert isinstance(failure.value.__cause__, RuntimeError)


def test_the_dtype_of_a_network_of_two_is_not_guessed() -> None:
    net = small_net()
    net.features.double()
    with pytest.raises(RuntimeError, match="same|dtype|type") as failure:
        net(FITTING)
    assert not isinstance(failure.value, InputError)
    with torch.autocast("cpu", torch.bfloat16):  # which casts images of 16 bits
        assert small_net()(FITTING.half()).shape == (2, 10)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 3, 9, 9)), [FITTING[0]], None, "cat.jpg"], ids=["array", "list", "None", "path"]
)
def test_what_is_no_tensor_is_named(images: Any) -> None:
    with pytest.raises(InputError, match=rf"a tensor of images \(N, C, H, W\), not {type(images).__name__}"):
        small_net()(images)


def test_a_type_error_of_a_module_comes_out_as_it_is() -> None:
    net: Any = small_net()
    net.features.conv.forward = lambda maps: maps + None
    with pytest.raises(TypeError, match="unsupported operand"):
        net(FITTING)


def without_batch_norm() -> Net:
    """A network whose layers all take a single image: convolutions do, and flattening its maps gives no logits."""
    return Net(sequence(conv=nn.Conv2d(3, 10, 1)), sequence(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


@pytest.mark.parametrize("shape", [(3, 9, 9), (9, 9), (1, 2, 3, 9, 9), (3,), ()])
def test_what_is_no_batch_is_refused_before_any_layer_runs(shape: tuple[int, ...]) -> None:
    net, images, calls = without_batch_norm(), torch.zeros(shape), []
    assert net.logits(FITTING[0]).shape == (10, 1)
    net.features.register_forward_pre_hook(lambda *_: calls.append(1))
    hint = r": for a single image, pass images\[None\]" if len(shape) == 3 else ""
    message = rf"expected images \(N, C, H, W\), not a tensor of shape {re.escape(str(shape))}{hint}$"
    runs: list[Callable[[Tensor], Any]] = [net, net.forward_features]
    for run in runs:
        with pytest.raises(InputError, match=message):
            run(images)
    assert not calls


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_graphs_are_recorded_past_the_check_of_a_batch() -> None:
    net = without_batch_norm()
    for graph in (fx.symbolic_trace(net), torch.jit.script(net), torch.jit.trace(net, FITTING)):
        assert torch.equal(graph(FITTING), net(FITTING))


@pytest.mark.parametrize(("side", "channels"), [(9, 3), (9, 1)])
def test_images_with_channels_last_are_told_apart_from_those_of_other_channels(side: int, channels: int) -> None:
    net = Net(sequence(conv=nn.Conv2d(channels, 4, 7)), pooled_classifier(4, 10))
    plural = "s" * (channels > 1)
    with pytest.raises(InputError, match=rf"of {channels} channel{plural}, not 9: for images \(N, H, W, C\), pass"):
        net(torch.zeros(2, side, side, channels))
    with pytest.raises(InputError, match=f"expected images of {channels} channel{plural}, not 4$"):
        net(torch.zeros(2, 4, side, side))


CHANGES: dict[str, Callable[[Net], Any]] = {
    "as it is": lambda net: None,
    "double": lambda net: net.double(),
    "in training": lambda net: net.train(),
    "with hooks": lambda net: net.features.register_forward_hook(lambda *_: None),
    "pruned": lambda net: prune.l1_unstructured(net.features.conv, "weight", 1),
    "weight norm": lambda net: parametrizations.weight_norm(net.features.conv),  # type: ignore[arg-type]
    "with what cannot be copied": lambda net: setattr(net.features, "generator", (n for n in range(3))),
    "with a tensor as attribute": lambda net: setattr(net.features, "last", torch.zeros(3)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_shapes_are_explained_for_any_network_with_torchs_error_as_the_cause(change: str) -> None:
    net = small_net()
    CHANGES[change](net)
    dtype = next(net.parameters()).dtype
    for images, message in (
        (SMALL, "images of 6x6 do not fit: the smallest are 7x7"),
        (WRONG_CHANNELS, "expected images of 3 channels, not 1"),
    ):
        with pytest.raises(InputError, match=message) as failure:
            net(images.to(dtype))
        assert isinstance(failure.value.__cause__, (RuntimeError, ValueError))
        assert not isinstance(failure.value.__cause__, InputError)


class Counting(TorchDispatchMode):
    """Counts the bytes of the new tensors on the CPU."""

    taken = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.device.type == "cpu":
            self.taken += out.nbytes
        return out


def test_the_explanation_takes_no_memory_and_runs_no_hook_again() -> None:
    net, calls = small_net(), []
    net.features.register_forward_pre_hook(lambda *_: calls.append(1))
    before = copy.deepcopy(net.state_dict())
    with Counting() as counting, pytest.raises(InputError):
        net(SMALL)
    assert counting.taken == 0
    assert calls == [1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.device.type == "cpu" for parameter in net.parameters())


def test_no_size_is_blamed_where_no_size_fits() -> None:
    net = Net(sequence(conv=nn.Conv2d(3, 4, 1)), sequence(flatten=nn.Flatten(), fc=nn.Linear(7, 2)))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as failure:
        net(FITTING)
    assert not isinstance(failure.value, InputError)


def test_a_head_of_the_users_is_explained_like_ours() -> None:
    class Head(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.flatten(1) @ maps.new_zeros(4, 2)

    net = Net(sequence(conv=nn.Conv2d(3, 4, 7)), Head())
    assert net(torch.zeros(1, 3, 7, 7)).shape == (1, 2)
    with pytest.raises(InputError, match="images of 9x9 do not fit: the smallest are 7x7"):
        net(FITTING)


def test_a_network_of_the_registry_explains_what_it_takes() -> None:
    net = archzoo.build("lenet5_textbook")
    with pytest.raises(InputError, match="do not fit: the smallest are"):
        net(torch.zeros(1, 1, 3, 3))
