"""The memory of a network over time."""

from matplotlib.figure import Figure

from archzoo.errors import ReportError
from archzoo.profiler import MemoryProfile
from archzoo.report.figures._style import COLORS, INK, canvas, plot_text


def memory_over_time(memory: MemoryProfile, phase: str = "inference", name: str = "") -> Figure:
    """Bytes allocated after each operator of "inference", or of "training": forward, backward and optimizer step.

    ``memory`` comes from archzoo.profiler.memory. Raises ReportError for another phase.
    """
    if phase not in ("inference", "training"):
        raise ReportError(f"phase must be 'inference' or 'training', not {phase!r}")
    samples = [sample for sample in memory.timeline if (sample.phase == "inference") == (phase == "inference")]
    with canvas(9, 3.6) as (figure, axis):
        start = 0
        for color, part in enumerate(dict.fromkeys(sample.phase for sample in samples)):
            allocated = [sample.allocated / 2**20 for sample in samples if sample.phase == part]
            operators = range(start, start + len(allocated))
            axis.fill_between(operators, allocated, step="mid", alpha=0.25, color=COLORS[color])
            axis.plot(operators, allocated, drawstyle="steps-mid", linewidth=1.1, color=COLORS[color], label=part)
            start += len(allocated)
        constant = (memory.parameters + memory.buffers) / 2**20
        axis.axhline(constant, color=INK, linewidth=0.8, linestyle=":")
        axis.annotate(
            "parameters and buffers", (start, constant), (-4, 4), textcoords="offset points", ha="right", fontsize=8
        )
        axis.set_ylim(0)
        axis.set_xlabel("operator")
        axis.set_ylabel("MiB allocated")
        axis.set_title(plot_text(f"{name or memory.model}, batch {memory.batch}: memory of {phase}"))
        if phase == "training":
            axis.legend()
    return figure
