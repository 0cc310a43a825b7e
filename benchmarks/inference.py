"""Evaluation: ours, ours optimized in several ways, and torchvision's, timm's or pytorchcv's network as it comes.

    python benchmarks/inference.py [--threads N] [--rounds N] [--ours [--results FILE]] [--engines] [--float32]
        [NAME ...]

All are measured in one run, in turn, on 8 images of the paper's size, 32 for CIFAR. Medians count, as ratios to the
library's network, or to ours where neither has it: seconds depend on the machine. The last column is the optimized
network's share of the peak: of the multiply-adds a second of a 3x3 convolution of 256 maps in channels_last beside it.
--engines adds onnxruntime and OpenVINO, where they are installed, in the same run. Exits with 1 if a network misses its
bar, or is slower optimized than as it comes.

Names may be patterns. --ours measures only our network as it comes and optimized, for all of them with "--ours '*'":
with fewer images where a batch has more than 20 billion multiply-adds, and for a few seconds each. One that seems
slower is measured again with more rounds. With --results, what was measured is appended to a file of JSON lines, and
what stands there already is not measured again: an interrupted run goes on.
"""

import argparse
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from math import inf, nan
from pathlib import Path

import torch
from peers import SEPARABLE, peer
from result_lines import ResultLines
from torch import Tensor, nn

import archzoo
from archzoo.inference import Engine, optimize

SHORTEST = 0.05  # seconds of one measurement: quick networks run several times
NOISE = 1.05  # two measurements of one network differ by as much
MOST_MACS = 20e9  # of a batch, with --ours
LONGEST = 3.0  # seconds that the rounds of one network take, with --ours
AGAIN = 4  # times the rounds for a network that seems slower
BARS = {
    "resnet50": 0.70,
    "resnet50_v1_5": 0.62,
    "densenet121": 0.50,
    "vgg_d": 0.80,
    "googlenet_bn": 0.45,
    "squeezenet1_1": 0.38,
}
ENGINES: tuple[Engine, ...] = ("onnxruntime", "openvino")
OTHERS = ("alexnet", "googlenet", "densenet_bc", "fractalnet20", *SEPARABLE)
Run = Callable[[Tensor], object]


def contenders(name: str, *, alone: bool, engines: bool = False, half: bool = True) -> dict[str, Run]:
    """What is measured: the library's network, ours, and ours in faster forms; or ours and the first of these."""
    net = archzoo.build(name).eval()
    if alone:
        return {"ours": net, "optimized": optimize(net)} | (with_engines(net) if engines else {})
    try:
        library = peer(name)
    except ImportError:  # of timm or pytorchcv, which are optional
        library = None
    theirs: dict[str, Run] = {} if library is None else {"theirs": library[1].eval()}
    return (
        theirs
        | {
            "ours": net,
            "optimized": optimize(net),
            "frozen": optimize(net, compile="freeze"),
        }
        | ({"bfloat16": optimize(net, dtype=torch.bfloat16)} if half else {})
        | (with_engines(net) if engines else {})
    )


def with_engines(net: nn.Module) -> dict[str, Run]:
    """A network in the engines that are installed."""
    return {engine: optimize(net, engine=engine) for engine in ENGINES if importlib.util.find_spec(engine)}


def seconds(run: Run, images: Tensor) -> float:
    """How long one call takes, from as many as make a measurement."""
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < SHORTEST:
        run(images)
        calls += 1
    return (time.perf_counter() - start) / calls


def medians(runs: Mapping[str, tuple[Run, Tensor]], rounds: int, longest: float = inf) -> dict[str, float]:
    """Median seconds of each, measured in turn after a call to warm up, for ``longest`` seconds or one round more."""
    for run, images in runs.values():
        run(images)
    began = time.perf_counter()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, images) in runs.items():
            times[name].append(seconds(run, images))
        if time.perf_counter() - began > longest:
            break
    return {name: statistics.median(measured) for name, measured in times.items()}


def compare(
    name: str, rounds: int, *, alone: bool, engines: bool = False, half: bool = True
) -> tuple[dict[str, float], float]:
    """Median seconds of each contender, and the optimized network's share of the peak."""
    size = archzoo.find(name).input_size
    macs = archzoo.profile(archzoo.build(name, device="meta"), size).macs
    images = torch.randn(batch_of(size[1], macs, MOST_MACS if alone else inf), *size)
    convolution = nn.Conv2d(256, 256, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.randn(8, 256, 28, 28).to(memory_format=torch.channels_last)
    runs = {what: (run, images) for what, run in contenders(name, alone=alone, engines=engines, half=half).items()} | {
        "peak": (convolution, maps)
    }
    with torch.inference_mode():
        times = medians(runs, rounds, LONGEST if alone else inf)
        if alone and times["optimized"] > NOISE * times["ours"]:
            times = medians(runs, AGAIN * rounds, AGAIN * LONGEST)
    rate = archzoo.profile(convolution, (256, 28, 28)).macs * len(maps) / times.pop("peak")
    return times, macs * len(images) / times["optimized"] / rate


def batch_of(side: int, macs: int, most: float) -> int:
    """8 images, or 32 small ones; fewer where they have more than ``most`` multiply-adds."""
    batch = 8 if side > 64 else 32
    while batch > 1 and batch * macs > most:
        batch //= 2
    return batch


def main() -> int:
    """Print a line for each network; how many bars were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*BARS, *OTHERS])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--ours", action="store_true", help="no libraries, and only the plain and the optimized form")
    parser.add_argument("--engines", action="store_true", help="also onnxruntime and OpenVINO")
    parser.add_argument("--results", type=Path, help="with --ours: a file of JSON lines to append to and go on from")
    parser.add_argument("--float32", action="store_true", help="no bfloat16, which is slow where it is emulated")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    warnings.filterwarnings("ignore", "this processor has no bfloat16 instructions")
    columns = {"optimized": 11, "frozen": 8, "bfloat16": 10, "onnxruntime": 13, "openvino": 10}
    header = "".join(f"{column:>{width}}" for column, width in columns.items())
    print(f"{'':24}{'theirs ms':>10}{'ours ms':>9}{'ours':>7}{header}{'peak':>6}")
    results = ResultLines(given.results, ("name",))
    missed = {str(name): bool(line["missed"]) for (name,), line in results.lines.items()}
    for name in [name for pattern in given.names for name in archzoo.names(pattern)]:
        if name in missed:
            continue
        times, share = compare(name, given.rounds, alone=given.ours, engines=given.engines, half=not given.float32)
        unit = times.get("theirs", times["ours"])
        ratio = {what: seconds / unit for what, seconds in times.items()}
        is_slow = "theirs" in times and ratio["optimized"] > BARS.get(name, 1.0)
        missed[name] = is_slow or ratio["optimized"] > NOISE * ratio["ours"]
        theirs = f"{1000 * times['theirs']:10.1f}" if "theirs" in times else f"{'':10}"
        shares = "".join(f"{ratio.get(column, nan):{width}.2f}" for column, width in columns.items())
        verdict = "  missed" if missed[name] else ""
        ours = f"{1000 * times['ours']:9.1f}{ratio['ours']:7.2f}"
        print(f"{name:24}{theirs}{ours}{shares}{share:6.0%}{verdict}", flush=True)
        results.add({"name": name, "missed": missed[name], "seconds": times})
    bad = [name for name, is_missed in missed.items() if is_missed]
    print(f"{len(missed)} networks, {len(bad)} miss their bar{': ' if bad else ''}{', '.join(bad)}")
    return len(bad)


if __name__ == "__main__":
    raise SystemExit(min(main(), 1))
