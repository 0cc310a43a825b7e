"""How long counting a network takes, side by side with the other profilers.

    python benchmarks/profile_speed.py [--markdown] [--without fvcore] [PATTERN ...]

All are measured in one run, in turn, on one core, each in the best way that it has: on meta tensors where it works
there, else on the CPU with real ones (fvcore). The fastest of a few repeats counts. Ratios, not milliseconds, are to be
compared: milliseconds depend on the machine. "empty mode" counts nothing, but sees every operator and module: whoever
counts operators and modules and leaves their shapes to PyTorch takes at least this. The tools are those of the extra
"test"; one that is absent or fails shows as "-". Exits with 1 if a tool was ahead of us on any network.
"""

import argparse
import contextlib
import copy
import gc
import io
import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from peers import torchvision
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import archzoo

Size = tuple[int, ...]
Work = Callable[[nn.Module, Size], object]
NO_TOOLS = ("ours", "plain forward", "empty mode")
REPEATS = 2
LONG = 1.0  # seconds: noise is small beside it


def ours(net: nn.Module, size: Size) -> object:
    """Counts, backward work, depth and the tape of receptive fields."""
    return archzoo.profile(net, size)


def forward(net: nn.Module, size: Size) -> object:
    """Nothing counted: what any pass on meta tensors takes."""
    with torch.no_grad():
        return net(torch.empty(1, *size, device="meta"))


class EmptyMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operators."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as the counting mode: saves two frames a call

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return operator(*args, **(kwargs or {}))


def empty_mode(net: nn.Module, size: Size) -> object:
    """Nothing counted, by a mode that sees every operator and hooks that see every module."""
    hooks = (
        register_module_forward_pre_hook(lambda module, args: None),
        register_module_forward_hook(lambda module, args, out: None),
    )
    try:
        with EmptyMode():  # type: ignore[no-untyped-call]
            return forward(net, size)
    finally:
        for hook in hooks:
            hook.remove()


def flop_counter_mode(net: nn.Module, size: Size) -> object:
    """torch.utils.flop_counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, *size, device="meta"))
    return counter.get_total_flops()


def torchinfo(net: nn.Module, size: Size) -> object:
    """Its summary."""
    from torchinfo import summary

    return summary(net, (1, *size), device="meta", verbose=0)


def ptflops(net: nn.Module, size: Size) -> object:
    """Its aten backend."""
    from ptflops import get_model_complexity_info

    return get_model_complexity_info(net, size, False, False, backend="aten", ost=io.StringIO())


def thop(net: nn.Module, size: Size) -> object:
    """Its profile."""
    from thop import profile

    return profile(net, (torch.empty(1, *size, device="meta"),), verbose=False)


def fvcore(net: nn.Module, size: Size) -> object:
    """Its count of everything, from a trace on the CPU."""
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(net, torch.zeros(1, *size))
    return counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


TOOLS: dict[str, Work] = {
    "ours": ours,
    "plain forward": forward,
    "empty mode": empty_mode,
    "FlopCounterMode": flop_counter_mode,
    "torchinfo": torchinfo,
    "ptflops": ptflops,
    "thop": thop,
    "fvcore": fvcore,
}


def seconds(work: Work, net: nn.Module, size: Size) -> float:
    """The fastest of three calls in a row, or of one that takes long; infinitely long where it fails."""
    fastest = float("inf")
    for _ in range(3):
        try:
            gc.collect()  # nobody pays for what another left behind
            with contextlib.redirect_stdout(io.StringIO()):
                start = time.perf_counter()
                work(net, size)
                fastest = min(fastest, time.perf_counter() - start)
        except Exception:  # a tool that cannot count a network is not compared on it
            return float("inf")
        if fastest > LONG:
            break
    return fastest


def compare(name: str) -> dict[str, float]:
    """The fastest call of each tool, in seconds."""
    size = archzoo.find(name).input_size
    net = archzoo.build(name, device="meta").eval()
    nets = {tool: net if tool == "ours" else copy.deepcopy(net) for tool in TOOLS}
    if "fvcore" in nets:
        nets["fvcore"] = nets["fvcore"].to_empty(device="cpu")
    fastest = dict.fromkeys(TOOLS, float("inf"))
    for repeat in range(REPEATS):
        for tool, work in TOOLS.items():
            if repeat == 0 or fastest[tool] < LONG:
                fastest[tool] = min(fastest[tool], seconds(work, nets[tool], size))
    return fastest


def line(cells: list[str], markdown: bool) -> str:
    """One line of the table."""
    return f"| {' | '.join(cells)} |" if markdown else f"{cells[0]:26}" + "".join(f"{cell:>16}" for cell in cells[1:])


def main(patterns: list[str], markdown: bool) -> int:
    """Print a line for each network: our milliseconds, and how many times as long the others take."""
    torch.set_num_threads(1)
    logging.disable()
    with contextlib.suppress(ImportError):
        torchvision("models")  # ptflops imports torchvision where it is installed
    others = [tool for tool in TOOLS if tool != "ours"]
    print(line(["", "ours, ms", *others], markdown))
    if markdown:
        print(line(["---"] * (len(others) + 2), markdown))
    whole, behind = dict.fromkeys(TOOLS, 0.0), 0
    for name in [name for pattern in patterns for name in archzoo.names(pattern)]:
        times = compare(name)
        ratios = [times[tool] / times["ours"] for tool in others]
        cells = [f"{ratio:.1f}x" if ratio < float("inf") else "-" for ratio in ratios]
        print(line([name, f"{1000 * times['ours']:.1f}", *cells], markdown), flush=True)
        whole = {tool: whole[tool] + times[tool] for tool in TOOLS}
        behind += any(times[tool] < times["ours"] for tool in TOOLS if tool not in NO_TOOLS)
    cells = [f"{whole[tool] / whole['ours']:.1f}x" if whole[tool] < float("inf") else "-" for tool in others]
    print(line(["all", f"{1000 * whole['ours']:.1f}", *cells], markdown))
    return behind


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"], metavar="PATTERN")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--without", default="", help="tools that are left out, with commas between")
    options = parser.parse_intermixed_args()
    warnings.simplefilter("ignore")
    for tool in filter(None, options.without.split(",")):
        del TOOLS[tool]
    sys.exit(1 if main(options.patterns, options.markdown) else 0)
