"""The page of documentation about what training costs, from the recipes and the profiler's counts."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archzoo
from archzoo.profiler import memory
from archzoo.report.scale import (
    MACHINES,
    Precision,
    TrainingCost,
    largest_batch,
    sent_by_ddp,
    sent_by_fsdp,
    training_cost,
)
from archzoo.report.tables import markdown_row, short

# ResNet-50 v1.5 in training, images a second on one GPU, as NVIDIA's DeepLearningExamples publish it for PyTorch 21.03.
PUBLISHED: tuple[tuple[str, Precision, int], ...] = (
    ("a100", "bfloat16", 2470),
    ("a100", "float32", 938),
    ("v100", "bfloat16", 1200),
    ("v100", "float32", 367),
)
REPRESENTATIVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lenet5", {}),
    ("alexnet", {}),
    ("nin", {}),
    ("vgg_d", {}),
    ("googlenet", {}),
    ("resnet50", {}),
    ("resnet110", {}),
    ("preact_resnet164", {}),
    ("wide_resnet_28_10", {}),
    ("squeezenet1_0", {}),
    ("densenet_bc", {}),
    ("densenet_bc", {"memory_efficient": True}),
    ("densenet121", {}),
    ("densenet121", {"memory_efficient": True}),
    ("fractalnet20", {"drop_path": 0.0}),  # a step that drops nothing, which may come
    ("shufflenet_v2_x1_0", {}),
)
SHEET = {"bfloat16": 1e12, "float32": 1e12, "memory": 1e9, "bandwidth": 1e12, "link": 1e9}  # in the units of the page
BATCHES = (1, 8, 32, 128, 512)
ROOM = MACHINES["h200"].memory


@dataclass(frozen=True)
class Measured:
    """What benchmarks found of a machine: its peak in multiply-adds a second, and shares of it that steps reach."""

    machine: Mapping[str, str]
    peak: float
    shares: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """From the benchmarks' committed table."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(found["machine"], found["peak"], found["shares_of_peak"])

    def share(self, name: str) -> float:
        """The share of a network; of networks of the same paper, in the middle, for one that was not measured."""
        if name in self.shares:
            return self.shares[name]
        module = archzoo.find(name).constructor.__module__
        related = [share for one, share in self.shares.items() if archzoo.find(one).constructor.__module__ == module]
        return statistics.median(related or self.shares.values())


def page(measured: Measured) -> str:
    """The whole page, as Markdown. Takes three minutes, most of them for memory."""
    return "\n".join(parts(measured))


def parts(measured: Measured, held: Sequence[tuple[str, dict[str, Any]]] = REPRESENTATIVES) -> Iterator[str]:
    """The page piece by piece, with the memory of these networks, each a name and options."""
    costs = [training_cost(name) for name in archzoo.names()]
    yield from (_head(), _machines(), *_trained(costs, measured), *_held(held), *_exchanged(costs))


def reached() -> float:
    """The share of the bound that the published training of ResNet-50 reaches in half precision on an A100."""
    machine, precision, images = PUBLISHED[0]
    return images * training_cost("resnet50_v1_5").seconds(MACHINES[machine], precision)


def _head() -> str:
    return """# What training costs, on paper

How long would it take to train every network here by its paper's recipe? All numbers follow from the profiler's
counts: multiply-adds of forward and backward, times the images that the recipe sees. `archzoo scale resnet50 --devices
64` answers for one network.

- A step of *stochastic depth* or *drop-path* runs a part of the network only. Its share is counted exactly for blocks
  with a probability of survival, and drawn 400 times for paths.
- *At least* is a bound for operators that run one after the other: layers with weights take as long as their
  arithmetic at the peak of the data sheet, or as moving what they read and write; every other operator as long as
  moving what it reads and writes. The backward pass moves twice what the forward pass does.
"""


def _machines() -> str:
    head = ["", "bfloat16, TFLOP/s", "float32, TFLOP/s", "memory, GB", "its bandwidth, TB/s", "link, GB/s"]
    rows = ([one.title, *(f"{getattr(one, key) / unit:g}" for key, unit in SHEET.items())] for one in MACHINES.values())
    cost = training_cost("resnet50_v1_5")

    def checked(machine: str, precision: Precision, images: int) -> list[str]:
        most = 1 / cost.seconds(MACHINES[machine], precision)
        return [MACHINES[machine].title, precision, f"{most:,.0f}", f"{images:,}", f"{images / most:.2f}"]

    return f"""## The machines

Dense, without sparsity, as their data sheets have it, float32 in TF32 where there is that, as PyTorch convolves by
default; a link is what one GPU sends to others on its board.

{_table(head, rows)}

How good is the bound? NVIDIA publishes how many images a second ResNet-50 v1.5 trains with on one GPU
(DeepLearningExamples, PyTorch 21.03). The bound is above all of them, and half precision on the A100 reaches
{reached():.2f} of it: that share is what is *expected* of an H200 below. No H200 has been measured here.

{_table(["", "precision", "at most, images/s", "published", "share"], (checked(*one) for one in PUBLISHED))}
"""


def _trained(costs: Sequence[TrainingCost], measured: Measured) -> Iterator[str]:
    h200, expected = MACHINES["h200"], reached()
    told = measured.machine
    yield f"""## All networks, by their papers' recipes

This machine is {told["cores"]} cores of an {told["processor"]} with torch {told["torch"]}: {measured.peak / 1e9:.0f}
billion multiply-adds a second in its fastest convolution, of which a step of training reaches the share that
`benchmarks/layout.py` measured (in italics where that is of other networks of the same paper). The H200's are in
bfloat16. 64 of them share out each batch as the recipe has it: at 256 images that is 4 for each, which in practice
leaves a GPU idle much of the time, and a batch of one cannot be shared at all.
"""
    head = ["network", "images seen", "MACs an image", "run", "operations in all", "of the peak", "this machine, days"]
    head += ["H200, at least, hours", "expected", "64 H200, expected"]
    yield _table(head, (_trained_row(cost, measured, h200, expected) for cost in costs))


def _trained_row(cost: TrainingCost, measured: Measured, machine: Any, expected: float) -> list[str]:
    share = measured.share(cost.network)
    days = cost.macs * cost.images / (share * measured.peak) / 86400
    spelled = f"{share:.0%}" if cost.network in measured.shares else f"*{share:.0%}*"
    return [
        f"`{cost.network}`",
        f"{cost.images / 1e6:,.1f}M",
        short(cost.macs),
        f"{cost.run:.0%}",
        f"{cost.flops:.1e}",
        spelled,
        _three(days),
        _three(cost.hours(machine)),
        _three(cost.hours(machine, share=expected)),
        _three(cost.hours(machine, 64, share=expected)),
    ]


def _held(networks: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    yield f"""
## Memory of one GPU against its batch

Peaks of a training step in float32 with momentum, in GiB, as `archzoo.profiler.memory(..., device="cuda")` follows
them, workspaces of libraries left out; and the largest batch for {ROOM / 1e9:g} GB.
"""
    head = ["network", *map(str, BATCHES), "largest batch"]
    yield _table(head, (held_row(name, **options) for name, options in networks))


def held_row(name: str, **options: Any) -> list[str]:
    """Peaks of memory of a network at some batches, and the largest batch of one H200."""
    net = archzoo.build(name, device="meta", **options)
    size = archzoo.find(name).input_size
    peaks = (memory(net, size, batch=batch, device="cuda").training for batch in BATCHES)
    spelled = f"`{name}`" + "".join(f", `{key}={value}`" for key, value in options.items())
    return [spelled, *(f"{peak / 2**30:.2f}" for peak in peaks), f"{largest_batch(net, size, ROOM):,}"]


def _exchanged(costs: Sequence[TrainingCost]) -> Iterator[str]:
    machine, expected = MACHINES["h200"], reached()
    yield f"""
## What processes exchange in a step

DDP sums gradients around a ring: each of p processes sends 2 (p - 1) / p of their bytes, and batch norm's statistics.
FSDP shares parameters out: the features' are gathered for the forward and again for the backward pass, the classifier's
once, and the sums of gradients are scattered, which is 3 (p - 1) / p and 2 (p - 1) / p of their bytes. All that in
float32; among 8 over the link of a board, {machine.link / 1e9:g} GB/s, among 64 over a network, for each
{machine.network / 1e9:g} GB/s. The last column is how long computing the same step is expected to take on 64, which is
what hides the exchange, or does not.
"""
    head = ["network", "DDP, 8, MB", "ms", "DDP, 64, MB", "ms", "FSDP, 64, MB", "ms", "computing, 64, ms"]
    wanted = dict.fromkeys(name for name, _ in REPRESENTATIVES)
    rows = (_exchanged_row(cost, machine, expected) for cost in costs if cost.network in wanted)
    yield _table(head, rows)


def _exchanged_row(cost: TrainingCost, machine: Any, expected: float) -> list[str]:
    sent = [(sent_by_ddp(cost, 8), machine.link), (sent_by_ddp(cost, 64), machine.network)]
    sent.append((sent_by_fsdp(cost, 64), machine.network))
    cells = [text for moved, rate in sent for text in (f"{moved / 1e6:,.1f}", f"{1e3 * moved / rate:.2f}")]
    computing = cost.hours(machine, 64, share=expected) * 3600 / cost.iterations
    return [f"`{cost.network}`", *cells, f"{1e3 * computing:.2f}"]


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    lines = [markdown_row(head), markdown_row(["---"] * len(head)), *map(markdown_row, rows)]
    return "\n".join(lines) + "\n"


def _three(value: float) -> str:
    """Three digits that count, and no more."""
    return f"{float(f'{value:.3g}'):,.4g}" if value < 1000 else f"{value:,.0f}"
