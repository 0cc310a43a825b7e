"""What a training step costs in memory and time, ours beside torchvision's, timm's and pytorchcv's in the same run.

    python benchmarks/training.py [densenet|fractalnet|stochastic_depth|depth|peers|loop ...] [--rounds N]
        [--networks NAME ...]

Peaks are of live bytes in PyTorch's own record of every allocation, times medians of interleaved steps, both as shares
of the first row of each table. DenseNets are measured in both memory formats, and the better one counts; their bars are
compared with the median share of each round, which a machine that slows down for a while does not move. "peers" are
networks as they come, ours and the library's, with bars of the same kind; --networks chooses some of them. A library
pads MobileNets and Xception as torch does, and so does the network of ours that has the bar. "loop" is
``archzoo.training.train`` beside a bare loop of PyTorch over the same batches, in images a second. Exits with 1 where a
bar is missed. The libraries are optional; a bar that needs one is then left out.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from memory import peak_of
from peers import PADDED, SEPARABLE, peer, torchvision
from torch import Tensor, nn

import archzoo
from archzoo.data import EpochBatches, ImageSet, Prepared, Splits, load_batches, prepare
from archzoo.profiler import storage_bytes
from archzoo.recipes import Recipe
from archzoo.registry import find_recipe
from archzoo.training import train

NOISE = 1.05  # two measurements of one network differ by as much
BATCHES = {16: 0.6e9, 8: 5e9, 4: inf}  # images of a step of a network beside a library's, up to so many multiply-adds


@dataclass
class Candidate:
    """A network that is trained. Its step draws anew what it drops."""

    name: str
    net: nn.Module
    images: Tensor
    peak: float = 0.0
    seconds: float = 0.0
    rounds: list[float] = field(default_factory=list)  # seconds of each

    def __post_init__(self) -> None:
        self.net.train()
        self.labels = torch.zeros(len(self.images), dtype=torch.int64)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-4, momentum=0.9)

    def step(self) -> None:
        """Forward, backward, update."""
        self.optimizer.zero_grad()
        F.cross_entropy(self.net(self.images), self.labels).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def measure_peak(self) -> None:
        """The peak of live bytes over one step, in MiB."""
        self.step()
        self.optimizer.zero_grad()

        def exist() -> Iterator[Tensor]:
            yield from (*self.net.parameters(), *self.net.buffers(), self.images)
            yield from (state["momentum_buffer"] for state in self.optimizer.state.values())

        with peak_of(exist()) as peak:
            self.step()
        self.peak = peak.bytes / 2**20


def measure(candidates: list[Candidate], rounds: int) -> None:
    """Peaks one by one, then times, interleaved."""
    for candidate in candidates:
        candidate.measure_peak()
    for _ in range(rounds):
        for candidate in candidates:
            began = time.perf_counter()
            candidate.step()
            candidate.rounds.append(time.perf_counter() - began)
    for candidate in candidates:
        candidate.seconds = statistics.median(candidate.rounds)


def both(name: str, net: nn.Module, images: Tensor) -> list[Candidate]:
    """A network in both memory formats."""
    import copy

    last = copy.deepcopy(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    turned = images.to(memory_format=torch.channels_last)
    return [Candidate(name, net, images), Candidate(f"{name}, channels_last", last, turned)]


def table(title: str, candidates: list[Candidate]) -> None:
    """Print a table; the first row is what the others are shares of."""
    first = candidates[0]
    print(f"\n| {title} | peak, MiB | share | step, ms | share |\n| --- | --- | --- | --- | --- |")
    for candidate in candidates:
        shares = f"{candidate.peak / first.peak:.2f}", f"{candidate.seconds / first.seconds:.2f}"
        print(
            f"| {candidate.name} | {candidate.peak:.0f} | {shares[0]} | {candidate.seconds * 1e3:.0f} | {shares[1]} |",
            flush=True,
        )


def bar(words: str, value: float, limit: float) -> int:
    """Say whether a bar is met; 1 where it is missed."""
    print(f"{'met' if value <= limit else 'MISSED'}: {words}: {value:.2f}, at most {limit:.2f}", flush=True)
    return int(value > limit)


def their_densenet(cifar: bool, **options: Any) -> nn.Module | None:
    """DenseNet-121 of torchvision, or the same classes as DenseNet-BC-100-12 for CIFAR."""
    try:
        models = torchvision("models")
    except ImportError:
        return None
    if not cifar:
        made: nn.Module = models.densenet121(weights=None, **options)
        return made
    net = models.DenseNet(12, (16, 16, 16), 24, num_classes=10, **options)
    net.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    net.features.norm0 = net.features.relu0 = net.features.pool0 = nn.Identity()
    return net  # type: ignore[no-any-return]


def pytorchcv(name: str) -> nn.Module | None:
    """A network of pytorchcv, which imports torchvision where it is installed."""
    try:
        torchvision("models")
        from pytorchcv.model_provider import get_model
    except ImportError:
        return None
    made: nn.Module = get_model(name, pretrained=False)
    return made


def densenet(rounds: int) -> int:
    """DenseNet-121 at batch 4 and DenseNet-BC-100-12 at batch 32."""
    missed = 0
    cases = (("densenet121", False, 4, 224, "densenet121"), ("densenet_bc", True, 32, 32, "densenet100_k12_bc_cifar10"))
    for name, cifar, batch, side, other in cases:
        images = torch.randn(batch, 3, side, side)
        groups = {
            "torchvision": their_densenet(cifar),
            "pytorchcv": pytorchcv(other),
            "torchvision, memory_efficient": their_densenet(cifar, memory_efficient=True),
            "ours": archzoo.build(name),
            "ours, memory_efficient": archzoo.build(name, memory_efficient=True),
        }
        made = {key: both(key, net, images) for key, net in groups.items() if net is not None}
        every = [candidate for group in made.values() for candidate in group]
        measure(every, rounds)
        table(f"{name}, batch {batch}", every)
        peaks = {key: min(candidate.peak for candidate in group) for key, group in made.items()}
        fastest = {key: min(group, key=lambda candidate: candidate.seconds) for key, group in made.items()}
        ours, theirs = "ours, memory_efficient", "torchvision, memory_efficient"
        for key in ("torchvision", "pytorchcv"):
            if key in made:
                missed += bar(f"{name}, peak against {key}", peaks[ours] / peaks[key], 0.40)
        if theirs in made:
            missed += bar(f"{name}, peak against its memory_efficient", peaks[ours] / peaks[theirs], 0.75)
            for key in ("torchvision", theirs):
                missed += bar(f"{name}, time against {key}", share(fastest[ours], fastest[key]), 1.0)
    return missed


def share(candidate: Candidate, other: Candidate) -> float:
    """The middle of what one takes of the other's time in each round."""
    return statistics.median(ours / theirs for ours, theirs in zip(candidate.rounds, other.rounds, strict=True))


def depth(rounds: int) -> int:
    """The growth of DenseNet-BC's peak with its depth, k = 12, batch 8.

    Parameters, gradients and momentum grow with the square of the depth in any form, and are left out of the bar.
    """
    print("\n| DenseNet-BC, k = 12, batch 8 | plain, MiB | memory_efficient, MiB | of it maps | maps a layer |")
    print("| --- | --- | --- | --- | --- |")
    shares = []
    for layers in (40, 100, 190, 250):
        peaks = []
        for saving in (False, True):
            net = archzoo.build("densenet_bc", depth=layers, k=12, memory_efficient=saving)
            candidate = Candidate("", net.to(memory_format=torch.channels_last), torch.randn(8, 3, 32, 32))  # type: ignore[call-overload]
            candidate.measure_peak()
            peaks.append(candidate.peak)
        maps = peaks[1] - 3 * storage_bytes(net.parameters()) / 2**20
        shares.append(maps / layers)
        print(f"| {layers} | {peaks[0]:.0f} | {peaks[1]:.0f} | {maps:.0f} | {maps / layers:.3f} |", flush=True)
    return bar("maps a layer, the most against the least", max(shares) / min(shares), 1.25)


def fractalnet(rounds: int) -> int:
    """FractalNets of 4 and 3 columns with the paper's half-local half-global mix, against computing everything."""
    missed = 0
    widths = (16, 32, 64, 128, 128)
    for columns, limit in ((4, 0.60), (3, None)):
        images = torch.randn(16, 3, 32, 32)
        whole = Candidate(
            "all paths", archzoo.build("fractalnet", columns=columns, widths=widths, drop_path=0.0), images
        )
        drawn = Candidate("live paths alone", archzoo.build("fractalnet", columns=columns, widths=widths), images)
        measure_means([whole, drawn], 3 * rounds)
        table(f"fractalnet, {columns} columns, batch 16", [whole, drawn])
        if limit is not None:
            missed += bar(f"{columns} columns, time against all paths", drawn.seconds / whole.seconds, limit)
    theirs = pytorchcv("fractalnet_cifar10")
    if theirs is not None:
        images = torch.randn(32, 3, 32, 32)
        # pytorchcv drops whole maps, which costs next to nothing; the paper single numbers. Alike is ours without.
        every = both("pytorchcv", theirs, images)
        every += both("ours, drop=0", archzoo.build("fractalnet20", drop=0.0), images)
        every.append(Candidate("ours, the paper's dropout", archzoo.build("fractalnet20"), images))
        measure_means(every, 3 * rounds)
        table("fractalnet20, batch 32", every)
        share = min(candidate.seconds for candidate in every[2:4]) / min(candidate.seconds for candidate in every[:2])
        missed += bar("3 columns without dropout, time against pytorchcv", share, 0.55)
    return missed


def measure_means(candidates: list[Candidate], turns: int, steps: int = 4) -> None:
    """Peaks, and seconds a step on average over many draws, the same for all, so many steps of each at a turn.

    Steps with few live paths and with many differ: their mean is what training pays.
    """
    for candidate in candidates:
        candidate.measure_peak()
        candidate.seconds = 0.0
    for turn in range(turns):
        for candidate in candidates:
            torch.manual_seed(turn)
            began = time.perf_counter()
            for _ in range(steps):
                candidate.step()
            candidate.seconds += (time.perf_counter() - began) / (turns * steps)


def stochastic_depth(rounds: int) -> int:
    """ResNet-110 with p_L = 0.5 against constant depth."""
    images = torch.randn(32, 3, 32, 32)
    nets: list[tuple[str, Callable[[], nn.Module]]] = [
        ("constant depth", lambda: archzoo.build("stochastic_depth", depth=110, survival=1.0)),
        ("p_L = 0.5", lambda: archzoo.build("stochastic_depth_110")),
    ]
    pair = [Candidate(name, make(), images) for name, make in nets]
    measure_means(pair, rounds)
    table("stochastic_depth_110, batch 32", pair)
    return bar("time against constant depth", pair[1].seconds / pair[0].seconds, 0.85)


def peers(rounds: int, names: Sequence[str] = SEPARABLE) -> int:
    """Networks with depthwise or grouped convolutions, and Inceptions, beside a library's, both as they come."""
    return sum(beside(name, rounds) for name in names)


def beside(name: str, rounds: int) -> int:
    """One of them; 1 where it is slower than the library's by more than noise."""
    try:
        library, theirs = peer(name) or ("", None)
    except ImportError:
        return 0
    if theirs is None:
        return 0
    size = archzoo.find(name).input_size
    cost = archzoo.profile(archzoo.build(name, device="meta"), size).macs
    images = torch.randn(next(batch for batch, limit in BATCHES.items() if cost <= limit), *size)
    options: dict[str, Any] = {"padding": "symmetric"} if name in PADDED else {}
    candidates = [Candidate(library, theirs, images), Candidate("ours", archzoo.build(name, **options), images)]
    if options:
        candidates.append(Candidate("ours, padded as the release", archzoo.build(name), images))
    measure(candidates, rounds)
    table(f"{name}, batch {len(images)}", candidates)
    return bar(f"{name}, time against {library}", share(candidates[1], candidates[0]), NOISE)


def loop(rounds: int) -> int:
    """ResNet-20 on batches of 32, by the trainer and by a loop of PyTorch that only trains."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (16 * 32, 3, 32, 32), dtype=torch.uint8, generator=generator)
    images = ImageSet.from_tensor("synthetic", pixels, torch.arange(len(pixels)) % 10, list("abcdefghij"))
    recipe = find_recipe("resnet20").with_changes(epochs=1, batch_size=32)
    prepared = prepare(recipe.augmentation, recipe.preprocessing, images, 32)
    rates = []
    for _ in range(rounds + 1):  # the first one warms up
        rates.append((trainer_rate(images, recipe, prepared), bare_rate(images, recipe, prepared)))
    print("\n| resnet20, batch 32 | images a second |\n| --- | --- |")
    for name, measured in zip(("archzoo.training.train", "a bare loop"), zip(*rates[1:], strict=True), strict=True):
        print(f"| {name} | {statistics.median(measured):.0f} |")
    return bar("time of the loop against a bare one", statistics.median(bare / ours for ours, bare in rates[1:]), 1.05)


def trainer_rate(images: ImageSet, recipe: Recipe, prepared: Prepared) -> float:
    """Images a second that the log of a run says."""
    few = images.subset(torch.arange(32))
    with tempfile.TemporaryDirectory() as directory:
        net = archzoo.build("resnet20")
        result = train(net, Splits(images, few, few), prepared, recipe, directory, log=lambda line: None)
    return result.history[-1]["images_per_second"]


def bare_rate(images: ImageSet, recipe: Recipe, prepared: Prepared) -> float:
    """Images a second of a loop over the batches of an epoch, in channels last as those of a run."""
    net = archzoo.build("resnet20").to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    began = time.perf_counter()
    for batch in load_batches(EpochBatches(images, prepared.train, recipe.batch_size, seed=0, epoch=0)):
        optimizer.zero_grad()
        logits = net(batch.images.to(memory_format=torch.channels_last))
        F.cross_entropy(logits, batch.labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return len(images) / (time.perf_counter() - began)


PARTS: dict[str, Callable[[int], int]] = {
    "densenet": densenet,
    "depth": depth,
    "fractalnet": fractalnet,
    "stochastic_depth": stochastic_depth,
    "peers": peers,
    "loop": loop,
}


def main() -> int:
    """Measure what is asked for; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="+", choices=SEPARABLE, default=SEPARABLE, help="those of peers")
    given = parser.parse_args()
    torch.set_num_threads(2)
    parts = PARTS | {"peers": partial(peers, names=given.networks)}
    return int(sum(parts[part](given.rounds) for part in given.parts or parts) > 0)


if __name__ == "__main__":
    sys.exit(main())
