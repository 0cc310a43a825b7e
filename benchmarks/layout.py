"""Which layout and which precision train fastest, network by network, and what share of the peak a step reaches.

    python benchmarks/layout.py [--rounds N] [--threads N] [--device cpu|cuda] [--no-bfloat16] [NAME ...]

A step is forward, backward and update on random images of the paper's size. Times are medians of steps taken in turn,
as shares of float32 with contiguous maps. The last column is the share of the peak that the loop's own choice reaches:
of the multiply-adds a second of a 3x3 convolution of 256 maps in channels_last, measured beside it. A network that
draws what it runs (stochastic depth, drop-path) is measured running everything. Exits with 1 where the choice takes
more than a tenth longer than the fastest in float32.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import archzoo
from archzoo.training import prefers_channels_last

NOISE = 1.10
CASES = {
    "lenet5": 256,
    "lenet5_textbook": 256,
    "alexnet": 16,
    "zfnet": 16,
    "nin": 64,
    "vgg_a": 4,
    "vgg_d": 4,
    "googlenet": 8,
    "googlenet_bn": 8,
    "resnet18": 8,
    "resnet50": 8,
    "resnet20": 128,
    "resnet110": 32,
    "preact_resnet164": 16,
    "stochastic_depth_110": 32,
    "wide_resnet_16_4": 32,
    "wide_resnet_28_10": 8,
    "squeezenet1_0": 8,
    "densenet": 16,
    "densenet_bc": 16,
    "densenet121": 8,
    "fractalnet20": 16,
    "fractalnet34": 4,
    "shufflenet_v2_x0_5": 16,
    "shufflenet_v2_x1_0": 16,
    "shufflenet_v2_x2_0": 8,
}
EVERYTHING: dict[str, dict[str, Any]] = {
    "stochastic_depth_110": {"survival": 1.0},
    "fractalnet20": {"drop_path": 0.0},
    "fractalnet34": {"drop_path": 0.0},
}
Step = Callable[[], None]


def step_of(name: str, batch: int, device: torch.device, *, last: bool, half: bool = False) -> Step:
    """A step of training in one layout and precision."""
    options = EVERYTHING.get(name, {})
    form = torch.channels_last if last else torch.contiguous_format
    net = archzoo.build(name, **options).to(device).to(memory_format=form).train()  # type: ignore[call-overload]
    images = torch.randn(batch, *archzoo.find(name).input_size, device=device).to(memory_format=form)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
            loss = F.cross_entropy(net(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def peak_of(device: torch.device) -> tuple[Step, int]:
    """A convolution that is as fast as they are, and its multiply-adds."""
    convolution = nn.Conv2d(256, 256, 3, padding=1).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.randn(8, 256, 28, 28, device=device).to(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            convolution(maps)

    return run, archzoo.profile(convolution, (256, 28, 28)).macs * len(maps)


def seconds(step: Step, device: torch.device) -> float:
    """How long one step takes, from as many as take a twentieth of a second."""
    steps, began = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - began < 0.05:
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        steps += 1
    return (time.perf_counter() - began) / steps


def compare(
    name: str, rounds: int, device: torch.device, *, half: bool = True
) -> tuple[dict[str, float], float, float]:
    """Median seconds of each way, the share of the peak that the loop's choice reaches, the peak in MACs a second.

    Without ``half`` bfloat16 is left out: a machine without instructions for it takes ten times as long.
    """
    batch = CASES.get(name, 8)
    peak, peak_macs = peak_of(device)
    ways: dict[str, Step] = {
        "contiguous": step_of(name, batch, device, last=False),
        "channels_last": step_of(name, batch, device, last=True),
        "peak": peak,
    }
    if half:
        ways["bfloat16"] = step_of(name, batch, device, last=True, half=True)
    for step in ways.values():
        step()
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, step in ways.items():
            times[way].append(seconds(step, device))
    middle = {way: statistics.median(taken) for way, taken in times.items()}
    rate = peak_macs / middle.pop("peak")
    net = archzoo.build(name, device="meta", **EVERYTHING.get(name, {}))
    cost = archzoo.profile(net, archzoo.find(name).input_size)
    chosen = "channels_last" if prefers_channels_last(device, "float32") else "contiguous"
    middle["chosen"] = middle[chosen]
    return middle, (cost.macs + cost.backward_macs) * batch / middle["chosen"] / rate, rate


def main() -> int:
    """Print a line for each network; 1 where a choice is not the fastest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*CASES])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-bfloat16", action="store_true", help="leave it out where it is known to lose")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| network | batch | contiguous, ms | channels_last | bfloat16 | chosen | of the peak |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    missed = 0
    for name in given.names:
        times, share, _ = compare(name, given.rounds, torch.device(given.device), half=not given.no_bfloat16)
        unit = times["contiguous"]
        ratio = {way: taken / unit for way, taken in times.items()}
        bad = times["chosen"] > NOISE * min(times["contiguous"], times["channels_last"])
        missed += bad
        cells = [f"`{name}`", str(CASES.get(name, 8)), f"{1000 * unit:.0f}"]
        cells += [f"{ratio[way]:.2f}" if way in ratio else "-" for way in ("channels_last", "bfloat16", "chosen")]
        print(f"| {' | '.join(cells)} | {share:.0%} |{' missed' if bad else ''}", flush=True)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
