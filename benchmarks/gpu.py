"""Training, inference and memory on one GPU, every row in one run of less than eight minutes.

    python benchmarks/gpu.py [--device cuda|cpu] [--budget SECONDS] [--write] [ROW ...]

Each row runs in a process of its own. At first all of them run at once: they import, compile and make their data, and
those that measure no time finish. Then the others measure, one after the other. Each has a share of the seconds that
are left; a row that fails or takes longer is printed with the reason, beside what it had measured. Bars are those of an
H200.

Without ``--device`` the GPU is taken. On the CPU all rows run in miniature, two at a time: that shows that the script
works, and its numbers mean nothing. ``--write`` commits the table to benchmarks/gpu.json, with the name of the GPU and
the versions. Exits with 1 where a bar is missed or a row fails.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from gpu_bench import Bench, Measured, Measurements, guarded
from gpu_inference import inference
from gpu_memory import efficient_densenet, fitting, predicted_memory
from gpu_training import (
    device_bits,
    folder,
    graph_bits,
    large_images,
    loop,
    paths,
    pictures,
    resumed,
    stochastic,
    transferred,
)

from archzoo.files import write_text

COMMITTED = Path(__file__).with_name("gpu.json")
TOGETHER = 0.5  # of the budget: for what all rows do at once
COMPILERS = "4"  # processes of inductor for each row


@dataclass(frozen=True)
class Row:
    """What a row measures, and what its share of the time is in: seconds on a GPU, and with another row on two cores.

    ``alone`` says whether other work would change what it measures.
    """

    measure: Callable[[Bench], Measurements]
    seconds: int
    cpu_seconds: int = 20
    alone: bool = True


ROWS: dict[str, Row] = {
    "device-bits": Row(device_bits, 20, alone=False),
    "graph-bits": Row(graph_bits, 60, 30, alone=False),
    "resume": Row(resumed, 90, 80, alone=False),
    "paths": Row(paths, 120, 40, alone=False),
    "finetune": Row(transferred, 90, 100, alone=False),
    "memory": Row(predicted_memory, 200, 60, alone=False),
    "fits": Row(fitting, 200, 30, alone=False),
    "resnet20": Row(partial(loop, name="resnet20", batch=128, bar=50_000), 15),
    "resnet110": Row(partial(loop, name="resnet110", batch=128, bar=10_000, share=0.5), 20),
    "densenet": Row(partial(loop, name="densenet_bc", batch=64, bar=4_500, share=0.25), 20),
    "wide": Row(partial(loop, name="wide_resnet_28_10", batch=128, bar=9_500, share=0.5), 20),
    "eager": Row(partial(loop, name="resnet20", batch=128, share=0.5, cuda_graph=False), 15),
    "compiled": Row(partial(loop, name="resnet20", batch=128, compile=True), 35, 90),
    "resnet50": Row(large_images, 40, 40),
    "folder": Row(folder, 30, 40),
    "pictures": Row(pictures, 25, 30),
    "stochastic": Row(stochastic, 15),
    "infer-resnet50": Row(partial(inference, name="resnet50_v1_5"), 20, 40),
    "infer-densenet121": Row(partial(inference, name="densenet121"), 30, 40),
    "infer-googlenet": Row(partial(inference, name="googlenet_bn"), 20, 40),
    "infer-squeezenet": Row(partial(inference, name="squeezenet1_1"), 15, 40),
    "efficient": Row(efficient_densenet, 20, 30),
}


# The process of a row


def run_row(name: str, device: str) -> None:
    """Print a line of JSON once the row is prepared, and after a line of input one for each number."""
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what else is printed, by any library
    measurements = ROWS[name].measure(Bench(torch.device(device)))

    def prepared() -> None:
        print(json.dumps("prepared"), file=results)
        if not sys.stdin.readline():
            sys.exit("the run is over")

    def measured() -> Iterator[Measured]:
        for value in measurements:
            if value is None:
                prepared()
            else:
                yield value

    for value in guarded(name, measured()):
        print(json.dumps(asdict(value)), file=results)


class Process:
    """A row that runs. ``end`` is when it has to be done."""

    def __init__(self, name: str, device: str, seconds: float) -> None:
        self.name, self.end = name, time.monotonic() + seconds
        command = [sys.executable, __file__, "--device", device, "--row", name]
        environment = {"TORCHINDUCTOR_COMPILE_THREADS": COMPILERS} | os.environ
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self.measured: list[Measured] = []
        self.prepared, self.problem = threading.Event(), ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            values = json.loads(line)
            if values == "prepared":
                self.prepared.set()
            else:
                self.measured.append(Measured(**values))
        self.process.wait()

    def go(self) -> None:
        """Let it measure, as soon as it is prepared."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    @property
    def is_running(self) -> bool:
        """Whether it has neither ended nor been stopped; stops it where its time is over."""
        if self.reader.is_alive() and time.monotonic() > self.end:
            self.stop("out of time")
        return self.reader.is_alive()

    def stop(self, problem: str) -> None:
        """End it, and what it has started."""
        self.problem = problem
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.reader.join(10)

    def results(self) -> list[Measured]:
        """What it has measured, and what ended it."""
        code = self.process.poll()
        problem = self.problem or (f"ended with {code}" if code else "" if self.measured else "nothing was measured")
        return [*self.measured, *([Measured(self.name, None, problem=problem)] if problem else [])]


# The whole run


class Run:
    """Processes of all rows, and the table."""

    def __init__(self, names: list[str], device: str, budget: float) -> None:
        self.device, self.on_cpu = device, torch.device(device).type == "cpu"
        self.end = time.monotonic() + budget
        self.left = list(names)  # rows that are not done
        self.table: list[Measured] = []
        self.processes: list[Process] = []

    def share(self, name: str, seconds: float) -> float:
        """The part of these seconds that a row has, beside the others that are left."""
        weights = {row: ROWS[row].cpu_seconds if self.on_cpu else ROWS[row].seconds for row in self.left}
        return seconds * weights[name] / sum(weights.values())

    def run(self) -> None:
        """Run all rows."""
        print("| what | measured | | at least | at most | |\n| --- | --- | --- | --- | --- | --- |", flush=True)
        waiting = self.together()
        for process in waiting:
            process.end = time.monotonic() + self.share(process.name, self.end - time.monotonic())
            process.go()
            while process.is_running:
                time.sleep(0.05)
            self.done(process)

    def together(self) -> list[Process]:
        """Start all rows, and finish those that need not be alone. Returns the others."""
        began, budget = time.monotonic(), self.end - time.monotonic()
        limit, jobs = budget * TOGETHER, 2 if self.on_cpu else len(self.left)
        to_start, running, waiting = list(self.left), list[Process](), list[Process]()
        while to_start or running:
            while to_start and len(running) < jobs:
                name = to_start.pop(0)
                seconds = jobs * self.share(name, self.end - time.monotonic()) if self.on_cpu else budget
                running.append(Process(name, self.device, seconds))
                self.processes.append(running[-1])
                if self.on_cpu or not ROWS[name].alone:
                    running[-1].go()
            time.sleep(0.05)
            is_late = not self.on_cpu and time.monotonic() > began + limit
            for process in list(running):
                waits = not self.on_cpu and ROWS[process.name].alone
                if waits and process.is_running and (process.prepared.is_set() or is_late):
                    waiting.append(process)
                elif process.is_running and not is_late:
                    continue
                else:
                    if process.is_running:
                        process.stop("out of time")
                    self.done(process)
                running.remove(process)
        return sorted(waiting, key=lambda process: list(ROWS).index(process.name))

    def stop(self) -> None:
        """End all rows."""
        for process in self.processes:
            if process.is_running:
                process.stop("the run is over")

    def done(self, process: Process) -> None:
        """Print what a row has measured."""
        self.left.remove(process.name)
        for measured in process.results():
            self.table.append(measured)
            print(as_row(measured, judged=not self.on_cpu), flush=True)


def as_row(measured: Measured, *, judged: bool) -> str:
    """A number as a row of the table."""
    if measured.value is None:
        return f"| {measured.what} | | | | | FAILED: {measured.problem} |"
    value = f"{measured.value:,.0f}" if abs(measured.value) >= 100 else f"{measured.value:.3f}"
    least, most = ("" if bar is None else f"{bar:,g}" for bar in (measured.at_least, measured.at_most))
    verdict = ("met" if measured.is_met else "MISSED") if judged and measured.has_bar else ""
    return f"| {measured.what} | {value} | {measured.unit} | {least} | {most} | {verdict} |"


def commit(table: list[Measured]) -> None:
    """Write the table to the committed file."""
    machine = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}
    rows = [asdict(measured) for measured in table]
    for row in rows:
        if row["value"] is not None and math.isnan(row["value"]):
            row["value"] = None  # JSON has no NaN
    write_text(COMMITTED, json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


def main() -> int:
    """Read the command line and run what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else None)
    parser.add_argument("--budget", type=float, default=450, help="seconds of the whole run")
    parser.add_argument("--write", action="store_true", help=f"commit the table to {COMMITTED.name}")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.device is None:
        parser.error("there is no GPU: try the rows in miniature with --device cpu")
    if unknown := set(arguments.rows) - ROWS.keys():
        parser.error(f"no row is called {', '.join(sorted(unknown))}: there are {', '.join(ROWS)}")
    if arguments.row:
        run_row(arguments.row, arguments.device)
        return 0
    run, began = Run(arguments.rows or list(ROWS), arguments.device, arguments.budget), time.monotonic()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        run.run()
    finally:
        run.stop()
    print(f"\n{len(run.table)} numbers in {time.monotonic() - began:.0f} s")
    if arguments.write and not run.on_cpu:
        commit(run.table)
    bad = [row for row in run.table if row.value is None or (row.has_bar and not row.is_met and not run.on_cpu)]
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
