"""The traffic of a network, for the command ``profile``."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archzoo.accelerators import ACCELERATORS
from archzoo.cli._arguments import Format, log, show
from archzoo.cli._rows import write_rows
from archzoo.errors import ArchzooError

if TYPE_CHECKING:
    from torch import nn

    from archzoo.profiler import Machine, Traffic

Given = tuple[str, float, float]  # a machine's title, peak FLOP/s and bandwidth in bytes/s


def read_machine(accelerator: str | None, peak: float | None, bandwidth: float | None, precision: str) -> Given | None:
    """The machine that the options state, or None. Raises ArchzooError where they state half of one, or two."""
    if accelerator is not None:
        if peak is not None or bandwidth is not None:
            raise ArchzooError("--accelerator has a peak and a bandwidth: leave out --peak and --bandwidth")
        known = ACCELERATORS[accelerator]
        return known.title, getattr(known, precision), known.bandwidth
    if peak is None and bandwidth is None:
        return None
    if peak is None or bandwidth is None:
        missing = "--peak in FLOP/s" if peak is None else "--bandwidth in bytes/s"
        raise ArchzooError(f"a machine is a peak and a bandwidth: add {missing}")
    return f"{peak:.3g} FLOP/s, {bandwidth:.3g} B/s", peak, bandwidth


def print_traffic(
    name: str,
    net: "nn.Module",
    input_size: Any,
    batch: int,
    given: Given | None,
    precision: str,
    measured_on: str,
    depth: int | None,
    form: Format,
) -> None:
    """Print what each part of a network moves, and the time of all of it."""
    import torch

    from archzoo import profiler

    machine = profiler.Machine(*given[1:]) if given else None
    net = net.to(getattr(torch, precision))
    moved = profiler.traffic(net, input_size, batch=batch)
    seconds = profiler.measure(net, input_size, batch=batch, device=measured_on) if measured_on else None
    if form is Format.json:
        values = {**moved.as_dict(), "model": name}
        if machine is not None:
            values["roofline_seconds"] = moved.seconds(machine)
        show(json.dumps({**values, "measured_seconds": seconds}, indent=1))
        return
    head = ["part", "kind", "macs", "read", "written", "flops_per_byte", *(["least_us"] if machine else [])]
    rows = [
        [part.module or name, part.operator, part.macs, part.read, part.written, f"{part.intensity:.1f}"]
        + ([f"{1e6 * moved.seconds(machine, part.module):.1f}"] if machine else [])
        for part in moved.modules
        if depth is None or part.module.count(".") + bool(part.module) <= depth
    ]
    print(write_rows(head, rows, form), end="")
    for sentence in _sentences(moved, machine, given, seconds, measured_on):
        show(sentence) if form is Format.table else log(sentence)


def _sentences(
    moved: "Traffic", machine: "Machine | None", given: Given | None, seconds: float | None, measured_on: str
) -> Iterator[str]:
    total = moved.read + moved.written
    yield f"batch {moved.batch}: {total / 1e6:,.1f} MB moved, {moved.intensity:.1f} operations for a byte"
    if machine is not None and given is not None:
        least = moved.seconds(machine)
        share = moved.memory_bound(machine)
        yield f"{given[0]}: {1e3 * least:,.3f} ms at least, {share:.0%} of it limited by memory"
        ridge = machine.peak / machine.bandwidth
        yield f"arithmetic limits operators with more than {ridge:.1f} operations for a byte"
    if seconds is not None:
        mfu = f", {moved.utilization(machine, seconds):.1%} of the peak (MFU)" if machine else ""
        yield f"measured on {measured_on}: {1e3 * seconds:,.3f} ms{mfu}"
