"""Whether ``archzoo fits`` is right: its verdicts against the peaks of real runs on the CPU.

    python benchmarks/fits.py [NAME ...]

For each network and batch, the peaks of inference and of a training step are measured, as in ``benchmarks/memory.py``.
A memory of DOUBT more than that must fit, and one of DOUBT less must not. Exits with 1 if a verdict is wrong.
"""

import sys

import torch
from memory import measured  # benchmarks/memory.py, beside this file

import archzoo
from archzoo.profiler import fits

DOUBT = 0.02
BATCHES = (2, 4, 8)
NETWORKS = (
    *("lenet5", "nin", "resnet20", "preact_resnet110", "wide_resnet_16_4", "densenet_40_12", "squeezenet1_1"),
    *("shufflenet_v2_x0_5", "resnet18", "googlenet_bn"),
)


def main(names: list[str]) -> int:
    """Print a line for each network, batch and phase; how many verdicts are wrong."""
    wrong = 0
    print(f"{'':22}{'batch':>6}{'phase':>11}{'measured MiB':>14}{'predicted':>11}{'2% more':>9}{'2% less':>9}")
    for name in names or NETWORKS:
        size = archzoo.find(name).input_size
        for batch in BATCHES:
            net = archzoo.build(name)
            peaks = dict(zip(("inference", "training"), measured(net, torch.randn(batch, *size)), strict=True))
            for phase, peak in peaks.items():
                needs = [
                    getattr(fits(net, size, round(peak * share), batch=batch, device="cpu", savings=False), phase)
                    for share in (1 + DOUBT, 1 - DOUBT)
                ]
                wrong += not needs[0].fits or needs[1].fits
                verdicts = "".join(f"{'yes' if need.fits else 'no':>9}" for need in needs)
                predicted = needs[0].allocated / 2**20
                print(f"{name:22}{batch:6}{phase:>11}{peak / 2**20:14.2f}{predicted:11.2f}{verdicts}", flush=True)
    print(f"{wrong} wrong verdicts")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
