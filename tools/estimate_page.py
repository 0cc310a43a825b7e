"""docs/estimate.md: the cost of training by the papers' recipes, from the profiler's counts."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import archzoo
from archzoo.accelerators import ACCELERATORS, Accelerator
from archzoo.estimate import (
    Precision,
    TrainingCost,
    estimate,
    largest_batch,
    sent_by_ddp,
    sent_by_fsdp,
)
from archzoo.profiler import memory
from archzoo.registry import recipes_of
from archzoo.report.tables import markdown_table, short

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
UNITS = {"bfloat16": 1e12, "float32": 1e12, "memory": 1e9, "bandwidth": 1e12, "link": 1e9}
BATCHES = (1, 8, 32, 128, 512)
CAPACITY = ACCELERATORS["h200"].memory


@dataclass(frozen=True)
class Measured:
    """Benchmark results of a machine: its peak in multiply-adds per second, and the utilization of training steps."""

    machine: Mapping[str, str]
    peak: float
    shares: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """Read the benchmarks' committed table."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(values["machine"], values["peak"], values["shares_of_peak"])

    def share(self, name: str) -> float:
        """The utilization of a network, or the median of its paper's networks (or of all) if it was not measured."""
        if name in self.shares:
            return self.shares[name]
        module = archzoo.find(name).module
        related = [share for other, share in self.shares.items() if archzoo.find(other).module == module]
        return statistics.median(related or self.shares.values())


def page(measured: Measured) -> str:
    """The page as Markdown. Takes three minutes, mostly for memory."""
    return "\n".join(parts(measured, archzoo.names()))


def parts(
    measured: Measured,
    names: Sequence[str],
    memory_of: Sequence[tuple[str, dict[str, Any]]] = REPRESENTATIVES,
) -> Iterator[str]:
    """The sections of the page on these networks, with the memory of some, each a name and options."""
    costs = [estimate(name) for name in names if recipes_of(name)]
    yield from (_head(), _machines(), *_trained(costs, measured), *_memory(memory_of), *_exchanged(costs))


def reached() -> float:
    """The utilization of the published training of ResNet-50 in half precision on an A100."""
    accelerator, precision, images = PUBLISHED[0]
    return images * estimate("resnet50_v1_5").seconds(ACCELERATORS[accelerator], precision)


def _head() -> str:
    return """# Training cost estimates

How long would it take to train every network by its paper's recipe? All numbers follow from the profiler's counts:
multiply-adds of forward and backward, times the images that the recipe processes. For a single network, run
`archzoo estimate resnet50 --devices 64`.

- A step with *stochastic depth* or *drop-path* runs only part of the network. That share is exact for blocks with a
  survival probability, and sampled 400 times for drop-path.
- *At least* is a lower bound for operators that run one after the other. Layers with weights take the maximum of their
  arithmetic, at the peak of the data sheet, and their memory traffic; every other operator takes its memory traffic.
  The backward pass moves twice as many bytes as the forward pass.
"""


def _machines() -> str:
    head = ["", "bfloat16, TFLOP/s", "float32, TFLOP/s", "memory, GB", "bandwidth, TB/s", "link, GB/s"]
    rows = (
        [sheet.title, *(f"{getattr(sheet, key) / unit:g}" for key, unit in UNITS.items())]
        for sheet in ACCELERATORS.values()
    )
    cost = estimate("resnet50_v1_5")

    def checked(accelerator: str, precision: Precision, images: int) -> list[str]:
        most = 1 / cost.seconds(ACCELERATORS[accelerator], precision)
        return [ACCELERATORS[accelerator].title, precision, f"{most:,.0f}", f"{images:,}", f"{images / most:.2f}"]

    published_head = ["", "precision", "at most, images/s", "published", "utilization"]
    return f"""## Accelerators

Peaks of the data sheets, without sparsity; float32 is in TF32 where available, PyTorch's default for convolutions. A
link is what one GPU sends to others on its board.

{_table(head, rows)}

How tight is the bound? NVIDIA publishes the training throughput of ResNet-50 v1.5 on one GPU (DeepLearningExamples,
PyTorch 21.03). All of its numbers are below the bound; half precision on the A100 reaches a utilization of
{reached():.2f}, which is what is *expected* of an H200 below. No H200 has been measured here.

{_table(published_head, (checked(*published) for published in PUBLISHED))}
"""


def _trained(costs: Sequence[TrainingCost], measured: Measured) -> Iterator[str]:
    h200, expected = ACCELERATORS["h200"], reached()
    machine = measured.machine
    yield f"""## All networks, by their papers' recipes

*This machine* is {machine["cores"]} cores of an {machine["processor"]} with torch {machine["torch"]}. Its fastest
convolution computes {measured.peak / 1e9:.0f} billion multiply-adds per second; the utilization of training steps was
measured by `benchmarks/layout.py` (in italics: that of other networks of the same paper). The H200 computes in
bfloat16. 64 of them split each batch of the recipe: 256 images are 4 per GPU, which in practice leaves a GPU idle much
of the time, and a batch of one cannot be split at all.
"""
    head = ["network", "images", "MACs per image", "active", "operations", "utilization", "this machine, days"]
    head += ["H200, at least, hours", "expected", "64 H200, expected"]
    yield _table(head, (_trained_row(cost, measured, h200, expected) for cost in costs))
    others = [f"`{name}`" for name in archzoo.names() if not recipes_of(name)]
    yield f"\nNo recipe is published for {' and '.join(others)}.\n"


def _trained_row(cost: TrainingCost, measured: Measured, accelerator: Accelerator, expected: float) -> list[str]:
    share = measured.share(cost.network)
    days = cost.macs * cost.images / (share * measured.peak) / 86400
    spelled = f"{share:.0%}" if cost.network in measured.shares else f"*{share:.0%}*"
    return [
        f"`{cost.network}`",
        f"{cost.images / 1e6:,.1f}M",
        short(cost.macs),
        f"{cost.active_share:.0%}",
        f"{cost.flops:.1e}",
        spelled,
        _three(days),
        _three(cost.hours(accelerator)),
        _three(cost.hours(accelerator, utilization=expected)),
        _three(cost.hours(accelerator, 64, utilization=expected)),
    ]


def _memory(networks: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    yield f"""
## Memory of one GPU by batch size

Peaks of a training step in float32 with momentum, in GiB, from `archzoo.profiler.memory(..., device="cuda")`, without
the workspaces of libraries; and the largest batch for {CAPACITY / 1e9:g} GB.
"""
    head = ["network", *map(str, BATCHES), "largest batch"]
    yield _table(head, (memory_row(name, **options) for name, options in networks))


def memory_row(name: str, **options: Any) -> list[str]:
    """Memory peaks of a network at several batch sizes, and the largest batch of one H200."""
    net = archzoo.build(name, device="meta", **options)
    size = archzoo.find(name).input_size
    peaks = (memory(net, size, batch=batch, device="cuda").training for batch in BATCHES)
    spelled = f"`{name}`" + "".join(f", `{key}={value}`" for key, value in options.items())
    return [spelled, *(f"{peak / 2**30:.2f}" for peak in peaks), f"{largest_batch(net, size, CAPACITY):,}"]


def _exchanged(costs: Sequence[TrainingCost]) -> Iterator[str]:
    accelerator, expected = ACCELERATORS["h200"], reached()
    yield f"""
## Communication per step

DDP all-reduces gradients in a ring: each of p processes sends 2 (p - 1) / p of their bytes, and batch norm's
statistics. FSDP shards parameters: those of the features are gathered for the forward and again for the backward pass,
those of the classifier once, and gradients are reduce-scattered: 3 (p - 1) / p and 2 (p - 1) / p of their bytes. All in
float32: 8 processes over the links of a board at {accelerator.link / 1e9:g} GB/s, 64 over a network at
{accelerator.network / 1e9:g} GB/s each. The last column is the expected computing time of the same step on 64, which
may or may not hide the communication.
"""
    head = ["network", "DDP, 8, MB", "ms", "DDP, 64, MB", "ms", "FSDP, 64, MB", "ms", "computing, 64, ms"]
    shown = dict.fromkeys(name for name, _ in REPRESENTATIVES)
    rows = (_exchanged_row(cost, accelerator, expected) for cost in costs if cost.network in shown)
    yield _table(head, rows)


def _exchanged_row(cost: TrainingCost, accelerator: Accelerator, expected: float) -> list[str]:
    sent = [(sent_by_ddp(cost, 8), accelerator.link), (sent_by_ddp(cost, 64), accelerator.network)]
    sent.append((sent_by_fsdp(cost, 64), accelerator.network))
    cells = [text for moved, rate in sent for text in (f"{moved / 1e6:,.1f}", f"{1e3 * moved / rate:.2f}")]
    computing = cost.hours(accelerator, 64, utilization=expected) * 3600 / cost.iterations
    return [f"`{cost.network}`", *cells, f"{1e3 * computing:.2f}"]


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    return markdown_table(head, rows) + "\n"


def _three(value: float) -> str:
    """A number with three significant digits."""
    return f"{float(f'{value:.3g}'):,.4g}" if value < 1000 else f"{value:,.0f}"
