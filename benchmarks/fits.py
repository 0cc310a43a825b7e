"""Whether ``archzoo fits`` is right: its verdicts against the peaks of real runs on the CPU.

    python benchmarks/fits.py [--threads N] [NAME ...]

For each network and batch, the peaks of inference and of a training step are measured, as in ``benchmarks/memory.py``.
A memory of DOUBT more than a peak must fit, and one of DOUBT less must not. ``fits`` is asked once for each batch, with
DOUBT more than the training step takes. A CPU's allocator takes exactly what is asked for, so that the other verdicts
follow from the bytes that it tells. Exits with 1 if a verdict is wrong.
"""

import argparse
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
    wrong = count = 0
    head = f"{'':22}{'batch':>6}{'phase':>11}{'measured MiB':>14}{'predicted':>11}{'off':>8}"
    print(f"{head}{'2% more':>9}{'2% less':>9}")
    for name in names:
        size = archzoo.find(name).input_size
        for batch in BATCHES:
            net = archzoo.build(name)
            peaks = dict(zip(("inference", "training"), measured(net, torch.randn(batch, *size)), strict=True))
            room = round(peaks["training"] * (1 + DOUBT))
            fit = fits(net, size, room, batch=batch, device="cpu", savings=False)
            is_consistent = (
                fit.training.fits == (fit.training.largest_batch >= batch) == (fit.training.allocated <= room)
            )
            wrong += not is_consistent
            for phase, peak in peaks.items():
                predicted = getattr(fit, phase).allocated
                more, less = (predicted <= peak * share for share in (1 + DOUBT, 1 - DOUBT))
                wrong += (not more) + less
                count += 2
                verdicts = "".join(f"{'yes' if verdict else 'no':>9}" for verdict in (more, less))
                megabytes = f"{peak / 2**20:14.2f}{predicted / 2**20:11.2f}{predicted / peak - 1:8.2%}"
                print(f"{name:22}{batch:6}{phase:>11}{megabytes}{verdicts}", flush=True)
    print(f"{wrong} of {count} verdicts are wrong, with {torch.get_num_threads()} threads")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sys.exit(1 if main(list(arguments.names)) else 0)
