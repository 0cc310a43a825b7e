"""Training and inference on one GPU, every row in one run of less than eight minutes.

    python benchmarks/gpu.py [--device cuda|cpu] [--budget SECONDS] [--write] [ROW ...]

Each row runs in a process of its own, for at most its share of the budget, and prints what it measured beside the
images a second that it has to reach on an H200. Without ``--device`` the GPU is taken. On the CPU all rows run in
miniature: that shows that the script works, and its numbers mean nothing. ``--write`` commits the table to
benchmarks/gpu.json, with the name of the GPU and the versions. Exits with 1 where a bar is missed or a row fails.
"""

import argparse
import contextlib
import gc
import io
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peers import peer
from torch import Tensor

import archzoo
from archzoo.data import EpochBatches, ImageSet, Splits, prepare
from archzoo.files import write_text
from archzoo.inference import AcceleratedNetwork, optimize
from archzoo.profiler import memory
from archzoo.recipes import Normalize, RandomCrop, RandomErasing, RandomHorizontalFlip
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, train
from archzoo.weights import save

COMMITTED = Path(__file__).with_name("gpu.json")


@dataclass(frozen=True)
class Measured:
    """One number: what it is, its unit, and the least and the most that it may be; None where there is no bar."""

    what: str
    value: float
    unit: str = "images/s"
    bar: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the bar, if there is one, is reached."""
        return (self.bar is None or self.value >= self.bar) and (self.most is None or self.value <= self.most)


@dataclass(frozen=True)
class Bench:
    """What a row runs on: a device, in full or in miniature."""

    device: torch.device

    @property
    def small(self) -> bool:
        """Whether all is in miniature."""
        return self.device.type == "cpu"

    @property
    def precision(self) -> Any:
        """bfloat16, or float32 where that is emulated."""
        return "float32" if self.small else "bfloat16"

    def synchronize(self) -> None:
        """Wait for the device."""
        if not self.small:
            torch.cuda.synchronize()

    def seconds(self, step: Callable[[], object], steps: int = 10) -> float:
        """The median time of a step over three rounds, after a warm-up."""
        steps = 1 if self.small else steps
        rounds = []
        for round_number in range(4):
            self.synchronize()
            began = time.perf_counter()
            for _ in range(steps):
                step()
            self.synchronize()
            if round_number:
                rounds.append((time.perf_counter() - began) / steps)
        return statistics.median(rounds)


def synthetic(count: int, side: int, classes: int = 10) -> ImageSet:
    """Random images in memory."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return ImageSet.from_tensor("synthetic", images, labels, [str(number) for number in range(classes)])


def trained(bench: Bench, name: str, images: ImageSet, batch: int, epochs: int, **config: Any) -> tuple[Any, list[str]]:
    """The history of a run by the network's recipe, and what it logged."""
    few = images.subset(torch.arange(min(500, len(images))))
    splits = Splits(train=images, validation=few, test=few)
    recipe = find_recipe(name).with_changes(epochs=epochs, batch_size=batch, lr=1e-3)
    side = archzoo.find(name).input_size[1]
    lines: list[str] = []
    torch.manual_seed(0)  # runs that are compared begin with the same weights
    with tempfile.TemporaryDirectory() as directory:
        result = train(
            archzoo.build(name, num_classes=len(images.classes)),
            splits,
            prepare(recipe.augmentation, recipe.preprocessing, images, side),
            recipe,
            directory,
            RunConfig(**{"precision": bench.precision, **config}),
            distributed=Distributed(device=bench.device),
            log=lines.append,
        )
    return result.history, lines


def loop(bench: Bench, name: str, batch: int, bar: float, share: float = 1.0, **config: Any) -> Iterator[Measured]:
    """Images a second of ``archzoo.training.train`` on 45,000 images of 32x32: the best epoch after the first."""
    count = 2 * batch if bench.small else int(45_000 * share)
    history, lines = trained(bench, name, synthetic(count, 32), batch, 2 if bench.small else 3, **config)
    forms = "".join(f", {key}={value}" for key, value in config.items())
    yield Measured(f"train {name}, batch {batch}{forms}", max(row["images_per_second"] for row in history[1:]), bar=bar)
    for line in lines:
        if "graph" in line:
            print(f"  {name}: {line}", file=sys.stderr, flush=True)


def step_of(
    bench: Bench, name: str, batch: int, *, half: bool = True, fused: bool | None = True, **options: Any
) -> Callable[[], None]:
    """A bare step of torch: no loop, one batch that is on the device. ``half`` is bfloat16 and channels_last."""
    memory_format = torch.channels_last if half else torch.contiguous_format
    net = archzoo.build(name, **options).to(bench.device).to(memory_format=memory_format).train()  # type: ignore[call-overload]
    images = torch.randn(batch, *archzoo.find(name).input_size, device=bench.device).to(memory_format=memory_format)
    labels = torch.zeros(batch, dtype=torch.int64, device=bench.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, fused=fused)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=half and not bench.small):
            loss = F.cross_entropy(net(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def large_images(bench: Bench) -> Iterator[Measured]:
    """ResNet-50 at batch 256 from memory, as a share of the bare step."""
    batch, side = (2, 64) if bench.small else (256, 224)
    with cudnn_benchmark():
        bare = batch / bench.seconds(step_of(bench, "resnet50_v1_5", batch))
    yield Measured("bare step of resnet50_v1_5", bare)
    images = synthetic(4 * batch if bench.small else 40 * batch, side, 1000)
    history, _ = trained(bench, "resnet50_v1_5", images, batch, 2, workers=0 if bench.small else 14)
    best = max(row["images_per_second"] for row in history)
    yield Measured("train resnet50_v1_5 from memory, share of the bare step", best / bare, "of it", 0.95)


@contextlib.contextmanager
def cudnn_benchmark() -> Iterator[None]:
    """Let cuDNN choose its fastest algorithms, as the loop does."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def folder(bench: Bench) -> Iterator[Measured]:
    """A folder of JPEGs of 500x400 through the command, end to end."""
    import numpy as np
    from PIL import Image

    count, batch = (24, 8) if bench.small else (6000, 256)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as directory:
        for split, images in (("train", count), ("val", 16)):
            for number in range(images):
                path = Path(directory, split, "ab"[number % 2], f"{number}.jpg")
                path.parent.mkdir(parents=True, exist_ok=True)
                image = Image.fromarray(np.roll(pixels, number, 0)).resize((500, 400), Image.Resampling.BICUBIC)
                image.save(path, quality=85)
        output = Path(directory, "run")
        command = [sys.executable, "-m", "archzoo", "train", "resnet18" if bench.small else "resnet50_v1_5"]
        command += ["--data", directory, "epochs=1" if bench.small else "epochs=2", f"batch_size={batch}", "lr=0.01"]
        command += ["--precision", bench.precision, "--workers", "0" if bench.small else "14"]
        command += ["--device", bench.device.type, "--output", str(output)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    yield Measured(f"train from {count:,} JPEGs", max(row["images_per_second"] for row in rows))


def device_bits(bench: Bench) -> Iterator[Measured]:
    """Augmentation on the device gives the bits of the CPU: the share of equal images."""
    images = synthetic(2_000, 32)
    steps = (RandomCrop(padding=4), RandomHorizontalFlip(), RandomErasing())
    prepared = prepare(steps, Normalize(), images, 32)
    on_cpu = EpochBatches(images, prepared.train, 500, 0, 0)
    on_device = EpochBatches(images.to(bench.device), prepared.to(bench.device).train, 500, 0, 0)
    equal: list[Tensor] = []
    for step in range(4):
        theirs = on_device[step].images.cpu()
        equal.append((theirs == on_cpu[step].images).flatten(1).all(1))
    yield Measured("images augmented to the same bits", float(torch.cat(equal).float().mean()), "of all", 1.0)


def graph_bits(bench: Bench) -> Iterator[Measured]:
    """Steps that are replayed end where the same steps as they are end, and a rerun ends in the same bits."""
    images = synthetic(512, 32)
    losses = [
        trained(bench, "resnet20", images, 64, 2, cuda_graph=None if graph else False, deterministic=True)[0]
        for graph in (True, False, True)
    ]
    last = [history[-1]["train_loss"] for history in losses]
    yield Measured("replayed steps end as plain ones", float(math.isclose(*last[:2], rel_tol=1e-6)), "is true", 1.0)
    yield Measured("a rerun ends in the same loss", float(last[0] == last[2]), "is true", 1.0)


def stochastic(bench: Bench) -> Iterator[Measured]:
    """What a dropped block or path saves."""
    cases: list[tuple[str, dict[str, Any]]] = [
        ("stochastic_depth_110", {"survival": 1.0}),
        ("fractalnet20", {"drop_path": 0.0}),
    ]
    for name, everything in cases:
        batch = 2 if bench.small else 128
        images = torch.randn(batch, 3, 32, 32, device=bench.device)
        times = []
        for options in (dict[str, Any](), everything):
            net = archzoo.build(name, **options).to(bench.device).train()

            def step(net: Any = net, images: Tensor = images) -> None:
                net(images).sum().backward()

            times.append(bench.seconds(step, 20))
        yield Measured(f"{name}, time of a drawn step", times[0] / times[1], "of all parts")


def transferred(bench: Bench) -> Iterator[Measured]:
    """``finetune --freeze`` and ``finetune`` of the command run to their end."""
    with tempfile.TemporaryDirectory() as directory:
        net = archzoo.build("resnet20", in_channels=1)
        weights = Path(directory, "net.safetensors")
        save(net, weights, "resnet20", in_channels=1)
        for more in (["--freeze"], []):
            command = [sys.executable, "-m", "archzoo", "finetune", "resnet20", "--weights", str(weights), "epochs=1"]
            command += [
                "--data",
                "digits",
                "--device",
                bench.device.type,
                "--output",
                str(Path(directory, *more, "run")),
            ]
            done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stderr[-2000:], file=sys.stderr)
            yield Measured(f"finetune {' '.join(more)}".strip(), float(not done.returncode), "ends well", 1.0)


def inference_rows(bench: Bench, name: str) -> Iterator[Measured]:
    """``optimize`` in bfloat16 beside torchvision's plain network, both channels_last: the rate and the latency."""
    dtype = torch.float32 if bench.small else torch.bfloat16
    ours = optimize(archzoo.build(name).eval(), device=bench.device, dtype=dtype)
    made = peer(name)
    assert made is not None
    theirs = made[1].eval().to(bench.device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for batch in (2 if bench.small else 256, 1):
        side = 64 if bench.small else 224
        images = torch.randn(batch, 3, side, side, device=bench.device, dtype=dtype)
        images = images.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            times = [bench.seconds(partial(net, images), 20 if batch > 1 else 100) for net in (ours, theirs)]
        if batch > 1:
            yield Measured(f"infer {name}, batch {batch}", batch / times[0])
            yield Measured(f"infer {name}, batch {batch}", times[1] / times[0], "of torchvision's rate", 1.5)
        else:
            yield Measured(f"latency of {name}", 1000 * times[0], "ms")
            yield Measured(f"latency of {name}, torchvision's", times[1] / times[0], "times ours", 4.0)
        if isinstance(ours, AcceleratedNetwork):
            choice = next(reversed(ours.choices.values()))
            forms = ", ".join(f"{form} {1000 * seconds:.2f} ms" for form, seconds in choice.seconds.items())
            print(f"  {name}, batch {batch}: {choice.name}, of {forms}", file=sys.stderr, flush=True)
    if isinstance(ours, AcceleratedNetwork):
        yield from released(bench, ours)


def released(bench: Bench, net: AcceleratedNetwork) -> Iterator[Measured]:
    """The memory of graphs goes back: what stays reserved is the weights and what compilers keep."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved(bench.device)
    net.release()
    torch.cuda.empty_cache()
    yield Measured("memory reserved after release()", torch.cuda.memory_reserved(bench.device) / before, "of before")


def peak_of(bench: Bench, step: Callable[[], object]) -> float:
    """Bytes of the second call of a step, as torch counts them; on the CPU, none."""
    step()
    if bench.small:
        step()
        return math.nan
    torch.cuda.reset_peak_memory_stats()
    step()
    return float(torch.cuda.max_memory_allocated())


def efficient_densenet(bench: Bench) -> Iterator[Measured]:
    """The memory-efficient densenet121 beside the plain one, at batch 128 in bfloat16 and channels_last."""
    name, batch = ("densenet_bc", 2) if bench.small else ("densenet121", 128)
    options: dict[str, Any] = {"depth": 22} if bench.small else {}
    times, peaks = [], []
    with cudnn_benchmark():
        for memory_efficient in (False, True):
            step = step_of(bench, name, batch, memory_efficient=memory_efficient, **options)
            times.append(bench.seconds(step, 5))
            peaks.append(peak_of(bench, step))
            del step
            free(bench)
    yield Measured(f"{name}, memory_efficient, time", times[1] / times[0], "of the plain one", most=1.15)
    ratio = 0.0 if bench.small else peaks[1] / peaks[0]
    yield Measured(f"{name}, memory_efficient, memory", ratio, "of the plain one", most=0.35)


def free(bench: Bench) -> None:
    """Return all memory to the device, that of cuBLAS too."""
    gc.collect()
    if not bench.small:
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()


MEMORY_CASES: tuple[tuple[str, int, bool], ...] = (  # a network, its batch, whether in bfloat16 and channels_last
    *((name, 32, False) for name in ("resnet18", "resnet50", "densenet121", "googlenet")),
    *((name, 64, False) for name in ("densenet_bc", "shufflenet_v2_x1_0", "preact_resnet164")),
    ("vgg_d", 16, False),
    *((name, 64, True) for name in ("resnet50", "densenet121", "vgg_d", "squeezenet1_1", "wide_resnet_28_10")),
)


def predicted_memory(bench: Bench) -> Iterator[Measured]:
    """``memory(device="cuda")`` against ``max_memory_allocated``, and the draws of a stochastic network."""
    for name, batch, half in (("resnet20", 2, False), ("resnet20", 2, True)) if bench.small else MEMORY_CASES:
        net, size = archzoo.build(name, device="meta"), archzoo.find(name).input_size
        autocast = torch.bfloat16 if half else None
        profile = memory(net, size, batch=batch, device="cuda", autocast=autocast, channels_last=half)
        peaks = {"training": peak_of(bench, step_of(bench, name, batch, half=half, fused=None))}
        free(bench)
        peaks["inference"] = peak_of(bench, inference_of(bench, name, batch, half=half))
        free(bench)
        for phase, peak in peaks.items():
            ratio = 1.0 if bench.small else getattr(profile, phase) / peak
            kind = "bfloat16" if half else "float32"
            yield Measured(f"{name}, batch {batch}, {kind}: memory in {phase}", ratio, "of measured", 0.98, 1.02)
    name, batch, steps = "fractalnet20", 2 if bench.small else 64, 1 if bench.small else 128
    size = archzoo.find(name).input_size
    expected, worst = (
        memory(archzoo.build(name, device="meta"), size, batch=batch, device="cuda", draw=draw).training
        for draw in ("expected", "worst")
    )
    step = step_of(bench, name, batch, half=False, fused=None)
    drawn = [peak_of(bench, step) for _ in range(steps)]
    mean = 1.0 if bench.small else expected / statistics.mean(drawn)
    yield Measured(f"{name}, batch {batch}: expected memory in training", mean, "of measured", 0.95, 1.05)
    most = 1.0 if bench.small else worst / max(drawn)
    yield Measured(f"{name}, batch {batch}: worst memory in training", most, f"of {2 * steps} draws", 0.98)


def inference_of(bench: Bench, name: str, batch: int, *, half: bool) -> Callable[[], object]:
    """A forward pass in eval mode over one batch that is on the device."""
    memory_format = torch.channels_last if half else torch.contiguous_format
    net = archzoo.build(name).to(bench.device).to(memory_format=memory_format).eval()  # type: ignore[call-overload]
    images = torch.randn(batch, *archzoo.find(name).input_size, device=bench.device).to(memory_format=memory_format)

    def infer() -> object:
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=half and not bench.small):
            return net(images)

    return infer


ROWS: dict[str, tuple[int, Callable[[Bench], Iterator[Measured]]]] = {
    "device-bits": (20, device_bits),
    "graph-bits": (40, graph_bits),
    "resnet20": (40, partial(loop, name="resnet20", batch=128, bar=50_000)),
    "resnet110": (50, partial(loop, name="resnet110", batch=128, bar=10_000, share=0.5)),
    "densenet": (60, partial(loop, name="densenet_bc", batch=64, bar=4_500, share=0.25)),
    "wide": (60, partial(loop, name="wide_resnet_28_10", batch=128, bar=9_500, share=0.5)),
    "compiled": (60, partial(loop, name="resnet20", batch=128, bar=0, compile=True)),
    "eager": (40, partial(loop, name="resnet20", batch=128, bar=0, cuda_graph=False)),
    "resnet50": (90, large_images),
    "folder": (80, folder),
    "stochastic": (40, stochastic),
    "finetune": (60, transferred),
    "infer-resnet50": (120, partial(inference_rows, name="resnet50_v1_5")),
    "infer-densenet121": (200, partial(inference_rows, name="densenet121")),
    "infer-googlenet": (120, partial(inference_rows, name="googlenet_bn")),
    "infer-squeezenet": (90, partial(inference_rows, name="squeezenet1_1")),
    "efficient": (60, efficient_densenet),
    "memory": (150, predicted_memory),
}


def run_row(name: str, device: str) -> list[Measured]:
    """Run one row in this process."""
    return list(ROWS[name][1](Bench(torch.device(device))))


def in_process(name: str, device: str, limit: float) -> list[Measured]:
    """Run one row in a process of its own; nothing where it fails or takes longer than ``limit`` seconds."""
    command = [sys.executable, __file__, "--device", device, "--json", name]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        print(f"FAILED: {name} took more than {limit:.0f} s", flush=True)
        return []
    if done.returncode:
        print(f"FAILED: {name}", flush=True)
        return []
    return [Measured(**row) for row in json.loads(done.stdout)]


def main() -> int:
    """Read the command line and run what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else None)
    parser.add_argument("--budget", type=float, default=470, help="seconds of the whole run")
    parser.add_argument("--write", action="store_true", help=f"commit the table to {COMMITTED.name}")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.device is None:
        parser.error("there is no GPU: try the rows in miniature with --device cpu")
    if unknown := set(arguments.rows) - ROWS.keys():
        parser.error(f"no row is called {', '.join(sorted(unknown))}: there are {', '.join(ROWS)}")
    chosen = arguments.rows or list(ROWS)
    if arguments.json:
        with contextlib.redirect_stdout(io.StringIO()):
            measured = run_row(chosen[0], arguments.device)
        print(json.dumps([asdict(row) for row in measured]))
        return 0
    return report(chosen, arguments)


def report(chosen: list[str], arguments: argparse.Namespace) -> int:
    """Run the rows one after the other, and print their table. Returns 1 where a bar is missed or a row fails."""
    began, table, failed = time.monotonic(), [], 0
    print("| what | measured | | at least | at most | |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in chosen:
        left = arguments.budget - (time.monotonic() - began)
        measured = in_process(name, arguments.device, min(left, ROWS[name][0])) if left > 10 else []
        failed += not measured
        for row in measured:
            table.append(row)
            bar = "" if not row.bar else f"{row.bar:,g}"
            most = "" if row.most is None else f"{row.most:,g}"
            verdict = (
                "" if not (row.bar or row.most) or arguments.device == "cpu" else "met" if row.is_met else "MISSED"
            )
            value = f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:.3f}"
            print(f"| {row.what} | {value} | {row.unit} | {bar} | {most} | {verdict} |", flush=True)
    if arguments.write and arguments.device != "cpu":
        machine = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}
        rows = [asdict(row) for row in table]
        write_text(COMMITTED, json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    missed = [row for row in table if not row.is_met] if arguments.device != "cpu" else []
    return int(bool(failed or missed))


if __name__ == "__main__":
    sys.exit(main())
