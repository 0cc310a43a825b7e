"""Commands about costs: profile a network, compare two, estimate a training."""

import json
from enum import Enum
from typing import Annotated, Any

import typer

import archzoo
from archzoo.accelerators import ACCELERATORS
from archzoo.cli._arguments import (
    Changes,
    Format,
    Name,
    Options,
    build_target,
    complete_name,
    log,
    print_table,
    read_options,
    read_sizes,
    show,
)
from archzoo.cli._rows import terminal_width
from archzoo.cli._traffic import print_traffic, read_machine
from archzoo.errors import ArchzooError

Target = Annotated[
    str,
    typer.Argument(
        help="A network, a weights file, or module:callable that returns a torch.nn.Module.",
        autocompletion=complete_name,
    ),
]
Size = Annotated[str, typer.Option("--input", help="Input size, such as 3x224x224, or 224; the paper's by default.")]


class Accelerator(str, Enum):
    """Accelerators with a data sheet."""

    h200 = "h200"
    h100 = "h100"
    a100 = "a100"
    v100 = "v100"


class Precision(str, Enum):
    """The precision of multiplications."""

    bfloat16 = "bfloat16"
    float32 = "float32"


def profile(
    target: Target,
    options: Options = None,
    *,
    size: Size = "",
    batch: Annotated[int, typer.Option(min=1, help="Inputs that run together; counts are for one of them.")] = 1,
    depth: Annotated[int | None, typer.Option(min=0, help="Levels of nested modules to show; all by default.")] = None,
    sort: Annotated[str, typer.Option(help="Sort by this column, in descending order.")] = "",
    columns: Annotated[str, typer.Option(help="Columns, separated by commas; an unknown one lists all.")] = "",
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
    conventions: Annotated[bool, typer.Option("--conventions", help="Print the cost as other tools count it.")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Print the peak memory of inference and training.")] = False,
    optimizer: Annotated[str, typer.Option(help="The optimizer for --memory: sgd, adam, ...")] = "sgd",
    summary: Annotated[bool, typer.Option("--summary", help="Print torchinfo's summary.")] = False,
    traffic: Annotated[bool, typer.Option("--traffic", help="Print the bytes that are read and written.")] = False,
    accelerator: Annotated[
        Accelerator | None, typer.Option("--accelerator", help="With --traffic: the least time on this accelerator.")
    ] = None,
    peak: Annotated[float | None, typer.Option(help="With --traffic: a machine's peak, in FLOP/s.")] = None,
    bandwidth: Annotated[float | None, typer.Option(help="With --traffic: its bandwidth, in bytes/s.")] = None,
    precision: Annotated[Precision, typer.Option(help="The precision of --traffic.")] = Precision.float32,
    measured_on: Annotated[
        str, typer.Option("--measure", help="With --traffic: measure a pass on this device, cpu or cuda.")
    ] = "",
) -> None:
    """Count the cost of a network by module: parameters, multiply-adds, receptive fields, memory, traffic."""
    machine = read_machine(accelerator and accelerator.value, peak, bandwidth, precision.value)
    if not traffic and (machine or measured_on or precision is not Precision.float32):
        raise ArchzooError("--accelerator, --peak, --bandwidth, --precision and --measure go with --traffic")
    net, default_size = build_target(target, options or [])
    input_size = read_sizes(size, default_size)
    from archzoo import profiler
    from archzoo.report import tables

    if traffic:
        print_traffic(target, net, input_size, batch, machine, precision.value, measured_on, depth, form)
        return
    if summary:
        show(tables.torchinfo_summary(net, input_size, depth or 3))
        return
    counted = profiler.profile(net, input_size, batch=batch)
    counted.model = target
    shown = _columns(columns) or profiler.DEFAULT_COLUMNS
    if memory:
        usage = profiler.memory(net, input_size, batch=batch, optimizer=optimizer)
        show(json.dumps(usage.as_dict(), indent=1) if form is Format.json else str(usage))
    elif conventions:
        show("\n".join(counted.explain(convention) for convention in profiler.CONVENTIONS))
    elif form is Format.table:
        width = terminal_width()
        fitted = width and tables.fit_profile(counted, shown, depth, sort, width)
        table, left_out = fitted or (tables.profile_table(counted, shown, depth, sort), [])
        print_table(table)
        if left_out:
            log(f"left out, for a wider terminal or --columns: {', '.join(left_out)}")
    else:
        print(tables.write_profile(counted, form.value, shown, depth, sort), end="")
    for note in counted.notes() if form is Format.table else counted.notes()[:-1]:
        log(note)


def _columns(text: str) -> list[str]:
    return [column.strip() for column in text.split(",") if column.strip()]


def compare(
    first: Annotated[str, typer.Argument(help="A network; options after commas: resnet18,option=B.")],
    second: Annotated[str, typer.Argument(help="Another network, or a .safetensors file.")],
    *,
    size: Size = "",
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
) -> None:
    """Print the differences between two networks, part by part, and their costs."""
    from archzoo import profiler
    from archzoo.report import tables

    net, default_size = _with_options(first)
    if second.endswith(".safetensors"):
        comparison = profiler.compare_shapes(net, profiler.shapes_in(second), (first, second))
    else:
        other, other_default_size = _with_options(second)
        sizes = read_sizes(size, default_size), read_sizes(size, other_default_size)
        comparison = profiler.compare(net, other, *sizes, names=(first, second))
    if form is Format.table:
        print_table(tables.comparison_table(comparison), wraps=True)
        show("\n".join(["", *comparison.totals()]))
    else:
        print(tables.write_comparison(comparison, form.value), end="")


def _with_options(text: str) -> Any:
    name, *options = text.split(",")
    return build_target(name if ":" in name else archzoo.find(name).name, options)


def estimate(
    name: Name,
    changes: Changes = None,
    *,
    recipe: Annotated[str, typer.Option(help="A recipe by name; the network's own by default.")] = "",
    accelerator: Annotated[
        Accelerator, typer.Option("--accelerator", help="The accelerator, by its data sheet.")
    ] = Accelerator.h200,
    devices: Annotated[int, typer.Option(min=1, help="The number of accelerators that split each batch.")] = 1,
    precision: Annotated[Precision, typer.Option(help="The precision of multiplications.")] = Precision.bfloat16,
    utilization: Annotated[float, typer.Option(help="The utilization: above 0 and at most 1, the bound.")] = 1.0,
) -> None:
    """Estimate the training cost of a recipe."""
    import archzoo.estimate
    from archzoo.cli._training import sort_changes
    from archzoo.recipes import read_changes
    from archzoo.registry import find_recipe

    entry = archzoo.find(name)
    published = find_recipe(recipe or entry.name)
    options, values = sort_changes(entry, published, changes or [])
    changed = published.with_changes(**read_changes(published, values))
    cost = archzoo.estimate.estimate(entry.name, changed, **read_options(entry, options))
    machine = ACCELERATORS[accelerator.value]
    print(archzoo.estimate.summary(cost, machine, devices, precision.value, utilization))
