"""Measure speed and memory in one table, compare it with the committed one, and name what got slower.

    python benchmarks/run.py [--rounds N] [--write] [--threads N] [PATTERN ...]

Each row is a share of what stands beside it, measured in the same run and in turn, so that it means the same on a
quicker machine with the same instructions; the middle of the rounds counts. A row got slower where its share exceeds
the committed one by more than noise: by a twentieth of it, and by four standard errors of both. A row that seems to is
measured again, and the better counts. Exits with 1 where one did. ``--write`` measures rows three times and commits
their middle to benchmarks/committed.json, without a pattern also the shares of the peak. It needs torchvision, as make
test installs it, and pytorchcv, of the extra "benchmarks".
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import augmentation
import inference
import layout
import pictures
import profile_speed
import torch
import training
from peers import torchvision
from torch import nn

import archzoo
from archzoo.files import atomic_write

COMMITTED = Path(__file__).with_name("committed.json")
SHORTEST = 0.05  # seconds of one measurement: what is quicker runs several times
MARGIN = 0.05
LIBRARIES = ("torch", "torchvision", "pytorchcv")
Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """A share of what stands beside it, and the standard error of that."""

    what: str
    against: str
    share: float
    error: float


@dataclass(frozen=True)
class Pair:
    """What is measured: two pieces of work, or two numbers of bytes. ``make`` builds them when their turn comes.

    ``rounds`` limits how often work is repeated that takes long, being many steps with draws of their own.
    """

    what: str
    against: str
    make: Callable[[], tuple[Work, Work] | tuple[float, float]]
    rounds: int = 1000


def pairs() -> Iterator[Pair]:
    """All rows."""
    for name in ("resnet50", "vgg_d", "densenet121", "resnet110"):
        yield Pair(f"count {name}", "FlopCounterMode", partial(_counting, name))
    yield Pair("import archzoo", "import torch", lambda: (_importing("archzoo"), _importing("torch")))
    yield Pair("build vgg_d", "torchvision", _building)
    for name in inference.BARS:
        yield Pair(f"infer {name}, optimized", "torchvision", partial(_inferring, name))
    yield Pair("augment CIFAR", "torchvision", _augmenting)
    yield Pair("read JPEGs, one core", "torchvision", _reading)
    yield Pair("train resnet50_v1_5", "torchvision", _training_resnet)
    for name in ("densenet121", "densenet_bc"):
        for best in (False, True):
            beside = "torchvision, memory_efficient" if best else "torchvision"
            yield Pair(f"train {name}, memory_efficient", beside, partial(_training_densenet, name, best))
            yield Pair(f"peak of {name}, memory_efficient", beside, partial(_peaks, name, best))
    yield Pair("train fractalnet, 4 columns", "all paths computed", _training_fractalnet, 3)
    yield Pair("train fractalnet20, no dropout", "pytorchcv", _beside_pytorchcv, 3)
    yield Pair("train stochastic_depth_110", "constant depth", _training_stochastic, 3)


def _counting(name: str) -> tuple[Work, Work]:
    size = archzoo.find(name).input_size
    net = archzoo.build(name, device="meta").eval()
    return lambda: profile_speed.ours(net, size), lambda: profile_speed.flop_counter_mode(net, size)


def _importing(module: str) -> Work:
    return lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)


def _building() -> tuple[Work, Work]:
    models = torchvision("models")
    return lambda: archzoo.build("vgg_d"), lambda: models.vgg16(weights=None)


def _inferring(name: str) -> tuple[Work, Work]:
    images = torch.randn(8, *archzoo.find(name).input_size)
    forms = inference.contenders(name, alone=False)

    def run(form: str) -> Work:
        def work() -> None:
            with torch.inference_mode():
                forms[form](images)

        return work

    return run("optimized"), run("theirs")


def _augmenting() -> tuple[Work, Work]:
    theirs = augmentation.theirs(count=500)
    if theirs is None:
        raise SystemExit("this row needs torchvision")
    epoch = augmentation.ours("densenet_cifar")
    per_picture = augmentation.IMAGES // 500

    def same_number() -> None:
        for _ in range(per_picture):
            theirs()

    return epoch, same_number


def _reading() -> tuple[Work, Work]:
    folder = tempfile.TemporaryDirectory()
    os.environ["ARCHZOO_CACHE"] = f"{folder.name}/cache"
    root = Path(folder.name) / "photographs"
    pictures.write_photographs(root, 128)
    ours, theirs = pictures.ours(root), pictures.theirs(root)

    def on_one_thread(epoch: Work) -> Work:
        def work() -> None:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            epoch()
            torch.set_num_threads(threads)
            assert folder.name  # the folder lives as long as the work

        return work

    return on_one_thread(ours), on_one_thread(theirs)


def _candidate(name: str, batch: int, side: int, *, last: bool = True, net: nn.Module | None = None) -> Work:
    """A training step of a network by name or given, in the memory format that is its best."""
    form = torch.channels_last if last else torch.contiguous_format
    made = (net or archzoo.build(name)).to(memory_format=form)  # type: ignore[call-overload]
    images = torch.randn(batch, 3, side, side).to(memory_format=form)
    return training.Candidate(name, made, images).step


def _training_resnet() -> tuple[Work, Work]:
    theirs = torchvision("models").resnet50(weights=None)
    return _candidate("resnet50_v1_5", 8, 224), _candidate("theirs", 8, 224, last=False, net=theirs)


def _densenets(name: str, best: bool) -> list[training.Candidate]:
    batch, side = (4, 224) if name == "densenet121" else (32, 32)
    theirs = training.their_densenet(name != "densenet121", memory_efficient=best)
    if theirs is None:
        raise SystemExit("this row needs torchvision")
    nets = archzoo.build(name, memory_efficient=True), theirs
    form = torch.channels_last
    images = torch.randn(batch, 3, side, side).to(memory_format=form)
    return [training.Candidate(name, net.to(memory_format=form), images) for net in nets]  # type: ignore[call-overload]


def _training_densenet(name: str, best: bool) -> tuple[Work, Work]:
    ours, theirs = _densenets(name, best)
    return ours.step, theirs.step


def _peaks(name: str, best: bool) -> tuple[float, float]:
    ours, theirs = _densenets(name, best)
    ours.measure_peak()
    theirs.measure_peak()
    return ours.peak, theirs.peak


@dataclass(frozen=True)
class Steps:
    """Several steps that draw the same each time; what counts is one of them, on average."""

    step: Work
    number: int

    def __call__(self) -> None:
        torch.manual_seed(0)
        for _ in range(self.number):
            self.step()


def _training_fractalnet() -> tuple[Work, Work]:
    options: dict[str, Any] = {"columns": 4, "widths": (16, 32, 64, 128, 128)}
    drawn, whole = (
        _candidate("", 16, 32, last=False, net=archzoo.build("fractalnet", drop_path=rate, **options))
        for rate in (0.15, 0.0)
    )
    return Steps(drawn, 64), Steps(whole, 16)


def _beside_pytorchcv() -> tuple[Work, Work]:
    theirs = training.pytorchcv("fractalnet_cifar10")
    if theirs is None:
        raise SystemExit("this row needs pytorchcv")
    ours = _candidate("", 32, 32, net=archzoo.build("fractalnet20", drop=0.0))
    return Steps(ours, 48), Steps(_candidate("", 32, 32, last=False, net=theirs), 8)


def _training_stochastic() -> tuple[Work, Work]:
    whole = archzoo.build("stochastic_depth", depth=110, survival=1.0)
    return Steps(_candidate("stochastic_depth_110", 32, 32), 16), Steps(_candidate("", 32, 32, net=whole), 4)


def seconds(work: Work) -> float:
    """How long one call takes, from as many as make a measurement."""
    calls, began = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - began < SHORTEST:
        work()
        calls += 1
    return (time.perf_counter() - began) / calls / (work.number if isinstance(work, Steps) else 1)


def measure(pair: Pair, rounds: int) -> Row:
    """The middle share of the rounds, and its standard error."""
    ours, theirs = pair.make()
    if not callable(ours) or not callable(theirs):
        return Row(pair.what, pair.against, float(ours) / float(theirs), 0.0)  # type: ignore[arg-type]
    for work in (ours, theirs):
        (work.step if isinstance(work, Steps) else work)()  # what a first call prepares
    rounds = min(rounds, pair.rounds)
    shares = [seconds(ours) / seconds(theirs) for _ in range(rounds)]
    middle = statistics.median(shares)
    spread = 1.4826 * statistics.median(abs(share - middle) for share in shares)  # a deviation, outliers left aside
    return Row(pair.what, pair.against, middle, 1.2533 * spread / rounds**0.5)


def slower(now: Row, before: Row) -> bool:
    """Whether a row got slower, or larger, by more than noise."""
    noise: float = 4 * (now.error**2 + before.error**2) ** 0.5
    return now.share - before.share > max(MARGIN * before.share, noise)


def committed() -> dict[tuple[str, str], Row]:
    """The rows of the committed table, by what they are and against what."""
    if not COMMITTED.is_file():
        return {}
    rows = [Row(**row) for row in json.loads(COMMITTED.read_text(encoding="utf-8"))["rows"]]
    return {(row.what, row.against): row for row in rows}


def machine() -> dict[str, str]:
    """What the rows were measured on and with."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    cores, instructions = str(os.cpu_count() or 1), torch.backends.cpu.get_cpu_capability()
    return {"processor": f"{processor} with {instructions}", "cores": cores, "Python": platform.python_version()} | {
        name: version(name) for name in LIBRARIES
    }


def write(wanted: list[Pair], rounds: int, *, shares: bool) -> None:
    """Measure rows three times, and commit the middle; what three runs differ by is noise too.

    With ``shares`` also those of the peak that every kind of network reaches. What is not measured stays as it is.
    """
    runs = [[measure(pair, rounds) for pair in wanted] for _ in range(3)]
    table = json.loads(COMMITTED.read_text(encoding="utf-8")) if COMMITTED.is_file() else {}
    rows = committed()
    for three in zip(*runs, strict=True):
        low, middle, high = sorted(three, key=lambda row: row.share)
        between = (high.share - low.share) / 1.6926  # the mean range of three, in standard deviations
        row = Row(middle.what, middle.against, round(middle.share, 4), round(max(middle.error, between), 4))
        rows[row.what, row.against] = row
    known = [(pair.what, pair.against) for pair in pairs()]
    table |= {"machine": machine(), "rows": [asdict(rows[key]) for key in known if key in rows]}
    if shares:
        layouts = {name: layout.compare(name, 3, torch.device("cpu"), half=False) for name in layout.CASES}
        table |= {
            "peak": round(statistics.median(peak for _, _, peak in layouts.values()) / 1e9) * 10**9,
            "shares_of_peak": {name: round(share, 3) for name, (_, share, _) in layouts.items()},
            "channels_last": {
                name: round(t["channels_last"] / t["contiguous"], 2) for name, (t, _, _) in layouts.items()
            },
        }
    with atomic_write(COMMITTED) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Print the table; 1 where something got slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="rows by what they measure, such as 'train *'; all by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="commit what is measured now")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torchvision("models")  # pytorchcv imports it
    wanted = [pair for pair in pairs() if any(fnmatchcase(pair.what, pattern) for pattern in given.patterns or "*")]
    if not wanted:
        parser.error(f"no row is called so; there are {', '.join(dict.fromkeys(pair.what for pair in pairs()))}")
    known, bad = committed(), []
    here, there = machine(), json.loads(COMMITTED.read_text(encoding="utf-8"))["machine"] if known else {}
    changed = [f"{key} {there[key]}, now {value}" for key, value in here.items() if there.get(key, value) != value]
    if given.write:
        if given.patterns and changed:
            parser.error(f"the other rows were measured with {'; '.join(changed)}: measure all rows, without a pattern")
        write(wanted, given.rounds, shares=not given.patterns)
        return 0
    if changed:
        print(f"The committed table was measured with {'; '.join(changed)}: shares may differ for that.\n")
    print("| what | as a share of | now | committed | |\n| --- | --- | --- | --- | --- |")
    for pair in wanted:
        row, before = measure(pair, given.rounds), known.get((pair.what, pair.against))
        if before and slower(row, before):
            row = min(row, measure(pair, given.rounds), key=lambda row: row.share)
        verdict = "new" if before is None else "slower" if slower(row, before) else ""
        bad += [row.what] if verdict == "slower" else []
        was = f"{before.share:.3f}" if before else "-"
        print(f"| {row.what} | {row.against} | {row.share:.3f} | {was} | {verdict} |", flush=True)
    print(f"slower: {', '.join(bad)}" if bad else "nothing got slower by more than noise")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
