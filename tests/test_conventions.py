"""Each convention against the tool that it speaks of: equal to the last unit."""

import copy
import io
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import archzoo
from archzoo import layers
from archzoo.errors import ProfileError
from archzoo.profiler import CONVENTIONS
from tests.networks import EVERY_NET

# One of every family, small enough for the tools that need real tensors.
NAMES = (
    "lenet5_textbook",
    "alexnet",
    "nin",
    "googlenet_bn",
    "resnet18",
    "resnet20",
    "wide_resnet_16_4",
    "squeezenet1_1",
    *(("preact_resnet110", "densenet_100_12") if EVERY_NET else ()),  # what the others have, a hundred times
    "densenet121",
    "fractalnet20",
    "shufflenet_v2_x0_5",
)


def torchs(net: nn.Module, size: tuple[int, ...]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, *size, device="meta"))
    return counter.get_total_flops()


def ptflops(net: nn.Module, size: tuple[int, ...]) -> int:
    module = pytest.importorskip("ptflops")
    counted, _ = module.get_model_complexity_info(
        net, size, print_per_layer_stat=False, as_strings=False, backend="aten", ost=io.StringIO()
    )
    return int(counted)


def thop(net: nn.Module, size: tuple[int, ...]) -> int:
    thop = pytest.importorskip("thop")
    from thop.vision import basic_hooks

    # It goes by exact class, and does not know subclasses of torch's layers.
    known = {layers.Conv2d: basic_hooks.count_convNd, layers.Linear: basic_hooks.count_linear}
    real = copy.deepcopy(net).to_empty(device="cpu")
    counted, _ = thop.profile(real, (torch.zeros(1, *size),), custom_ops=known, verbose=False)
    return int(counted)


def fvcore(net: nn.Module, size: tuple[int, ...]) -> int:
    analysis = pytest.importorskip("fvcore.nn").FlopCountAnalysis
    real = copy.deepcopy(net).to_empty(device="cpu")
    counter = analysis(real, torch.zeros(1, *size))
    return int(counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def condensenets(net: nn.Module, size: tuple[int, ...]) -> int:
    """The counter of CondenseNet's authors, written anew: it goes by the name of the class, and knows these alone."""
    total = 0

    def count(layer: Any, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        x, kind = inputs[0], type(layer).__name__
        if kind == "Conv2d":
            area = layer.kernel_size[0] * layer.kernel_size[1] * out.shape[2] * out.shape[3]
            total += layer.in_channels * layer.out_channels * area // layer.groups
        elif kind == "Linear":
            total += len(x) * (layer.weight.numel() + layer.bias.numel())
        elif kind == "AvgPool2d":
            total += out.numel() * layer.kernel_size**2
        elif kind in ("ReLU", "AdaptiveAvgPool2d"):
            total += x.numel()
        elif kind not in ("BatchNorm2d", "Dropout", "ChannelShuffle", "Select", "Flatten"):
            raise TypeError(f"unknown layer type: {kind}")

    with ExitStack() as hooks, torch.no_grad():
        for layer in net.modules():
            if not layer._modules:
                hooks.callback(layer.register_forward_hook(count).remove)
        net(torch.empty(1, *size, device="meta"))
    return total


TOOLS = {"torch": torchs, "ptflops": ptflops, "thop": thop, "fvcore": fvcore, "condensenet": condensenets}
# What the counter of CondenseNet's authors knows.
COUNTED = ("condensenet50", "condensenet_light94", "condensenet74_c8", "densenet_bc")


def test_every_convention_but_the_papers_has_a_witness() -> None:
    """XLA's numbers are in tests/test_padding.py: it counts compiled programs of jax, which is not installed."""
    assert CONVENTIONS.keys() - {"papers", "xla"} == TOOLS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_condensenets_convention_is_what_its_counter_counts(name: str) -> None:
    test_a_convention_is_what_the_tool_counts("condensenet", name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "condensenet"])
def test_a_convention_is_what_the_tool_counts(tool: str, name: str) -> None:
    net = archzoo.build(name, device="meta").eval()
    size = archzoo.find(name).input_size
    assert archzoo.profile(net, size).under(tool) == TOOLS[tool](net, size)


KINDS = (
    *("conv", "norm", "group", "avg", "max", "relu", "adaptive", "transposed", "instance", "measured", "groups"),
    *("prelu", "softmax", "lrn", "nearest", "bilinear"),
)


@st.composite
def stacks(draw: st.DrawFn) -> nn.Sequential:
    """Layers that the tools count differently, in any order."""
    made: list[nn.Module] = []
    channels = 4
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=6)):
        affine = draw(st.booleans())
        if kind == "conv":
            made.append(nn.Conv2d(channels, 8, 3, padding=1, groups=draw(st.sampled_from([1, 2])), bias=affine))
            channels = 8
        elif kind == "norm":
            made.append(nn.BatchNorm2d(channels, affine=affine))
        elif kind == "group":
            made.append(nn.LayerNorm([1, 1], elementwise_affine=affine))
            made.insert(-1, nn.AdaptiveAvgPool2d(1))
        elif kind == "transposed":
            made.append(nn.ConvTranspose2d(channels, 8, 3, 2, 1, bias=affine))
            channels = 8
        elif kind in ("instance", "measured"):
            if any(isinstance(layer, nn.LayerNorm) for layer in made):
                continue  # of maps with one position, no statistics can be measured
            norm = nn.BatchNorm2d(channels, affine=affine, track_running_stats=False)
            made.append(norm if kind == "measured" else nn.InstanceNorm2d(channels, affine=affine))
        elif kind == "groups":
            made.append(nn.GroupNorm(2, channels, affine=affine))
        else:
            made.append(
                {
                    "prelu": nn.PReLU(),
                    "softmax": nn.Softmax(1 if affine else -1),
                    "lrn": nn.LocalResponseNorm(3),
                    "nearest": nn.Upsample(size=(6, 6)),
                    "bilinear": nn.Upsample(size=(6, 6), mode="bilinear"),
                    "avg": nn.AvgPool2d(3, 1, 1),
                    "max": nn.MaxPool2d(3, 1, 1),
                    "relu": nn.ReLU(),
                    "adaptive": nn.AdaptiveAvgPool2d((2, 2)),
                }[kind]
            )
    return nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3, bias=draw(st.booleans())))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tool", TOOLS)
@settings(max_examples=15, deadline=None)
@given(net=stacks())
def test_random_stacks_count_the_same(tool: str, net: nn.Sequential) -> None:
    net = net.to("meta").eval()
    try:
        counted = TOOLS[tool](net, (4, 6, 6))
    except (AttributeError, TypeError):  # of CondenseNet's counter, for other layers and a linear one without a bias
        assert tool == "condensenet"
        return
    assert archzoo.profile(net, (4, 6, 6)).under(tool) == counted


E = 8 * 6 * 6  # elements of the maps
DIFFERENT: dict[str, tuple[nn.Module, int, int]] = {  # a layer on 8 x 6 x 6, and what fvcore and thop count for it
    "ConvTranspose2d": (nn.ConvTranspose2d(8, 4, 3, 2, 1), E * 4 * 9, 4 * 11 * 11 * 8 * 9),
    "grouped ConvTranspose2d": (nn.ConvTranspose2d(8, 4, 2, groups=2), E * 2 * 4, 4 * 7 * 7 * 4 * 4),
    "GroupNorm": (nn.GroupNorm(2, 8), 5 * E, 0),
    "InstanceNorm2d": (nn.InstanceNorm2d(8), 4 * E, 2 * E),
    "affine InstanceNorm2d": (nn.InstanceNorm2d(8, affine=True), 5 * E, 4 * E),
    "BatchNorm2d without statistics": (nn.BatchNorm2d(8, track_running_stats=False), 5 * E, 4 * E),
    "Softmax": (nn.Softmax(1), 0, 36 * (3 * 8 - 1)),
    "PReLU": (nn.PReLU(8), 0, E),
    "LocalResponseNorm": (nn.LocalResponseNorm(3), 0, 0),
    "nearest": (nn.Upsample(scale_factor=2), 4 * E, 4 * E),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), 4 * 4 * E, 11 * 4 * E),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), 0, 259 * 4 * E),
    "adaptive pooling that does not divide": (nn.AdaptiveAvgPool2d(4), E, int(((6 / 4) ** 2 + 1) * 8 * 16)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layer", DIFFERENT)
def test_layers_that_tools_count_differently(layer: str) -> None:
    net, by_fvcore, by_thop = DIFFERENT[layer]
    counted = archzoo.profile(nn.Sequential(net), (8, 6, 6))
    assert (counted.under("fvcore"), counted.under("thop")) == (by_fvcore, by_thop)
    assert fvcore(nn.Sequential(net).eval(), (8, 6, 6)) == by_fvcore
    assert thop(nn.Sequential(net).eval(), (8, 6, 6)) == by_thop


# Beside the products: for each gate an activation and two biases; the states of GRU and LSTM take 4 more operations.
RECURRENT: list[tuple[Any, dict[str, Any], int, int]] = [  # gates, and more operations for each unit
    (nn.RNN, {}, 1, 0),
    (nn.RNN, {"bias": False, "num_layers": 3}, 1, 0),
    (nn.GRU, {"bidirectional": True, "num_layers": 2}, 3, 4),
    (nn.GRU, {"bias": False}, 3, 4),
    (nn.LSTM, {"num_layers": 2}, 4, 4),
    (nn.LSTM, {"bias": False, "bidirectional": True}, 4, 4),
]


@pytest.mark.parametrize(("layer", "options", "gates", "more"), RECURRENT)
def test_thop_counts_what_recurrent_layers_do_beside_products(
    layer: Any, options: dict[str, Any], gates: int, more: int
) -> None:
    net = layer(5, 7, batch_first=True, **options).eval()
    directions, layers_of_it = 1 + net.bidirectional, net.num_layers
    products = 7 * gates * directions * (5 + 7 + (layers_of_it - 1) * (7 * directions + 7))
    others = 7 * (gates * (3 if net.bias else 1) + more) * directions * layers_of_it
    counted = archzoo.profile(net, (11, 5))
    assert counted.macs == 11 * products
    assert counted.under("thop") == 11 * (products + others) == thop(net, (11, 5))


@pytest.mark.parametrize(("cell", "gates", "more"), [(nn.RNNCell, 1, 0), (nn.GRUCell, 3, 4), (nn.LSTMCell, 4, 4)])
def test_thop_counts_cells_as_layers_of_one_step(cell: Any, gates: int, more: int) -> None:
    counted = archzoo.profile(cell(5, 7), (5,))
    assert counted.under("thop") == 7 * (gates * (5 + 7 + 3) + more)


def test_a_convention_explains_itself_in_words() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    counted = archzoo.profile(net, (3, 5, 5))
    macs, elements = 25 * 4 * 3, 25 * 4
    assert counted.under("fvcore") == macs + 2 * elements
    assert f"{macs} multiply-adds" in counted.explain("fvcore")
    assert f"{elements} batch-norm elements" in counted.explain("fvcore")
    assert counted.explain("ptflops").startswith(f'ptflops: {macs + elements} "MACs" = {macs} multiply-adds')


def test_an_unknown_convention_is_refused_with_those_there_are() -> None:
    counted = archzoo.profile(nn.Conv2d(3, 4, 1), (3, 5, 5))
    with pytest.raises(ProfileError, match="no convention is called 'mine'; there are papers, torch, fvcore"):
        counted.under("mine")
