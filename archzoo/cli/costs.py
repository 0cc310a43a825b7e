"""Verbs about what networks cost: count one, or compare two."""

import json
from enum import Enum
from typing import Annotated, Any

import typer

from archzoo import find
from archzoo.cli.arguments import (
    Format,
    Name,
    Options,
    build_target,
    complete_name,
    console,
    log,
    read_options,
    read_sizes,
)

Target = Annotated[
    str,
    typer.Argument(help="A network, or module:callable that gives a torch.nn.Module.", autocompletion=complete_name),
]
Size = Annotated[str, typer.Option("--input", help="Input, such as 3x224x224; the paper's by default.")]


def profile(
    target: Target,
    options: Options = None,
    *,
    size: Size = "",
    batch: Annotated[int, typer.Option(min=1, help="Inputs that run together; counts are for one of them.")] = 1,
    depth: Annotated[int | None, typer.Option(min=0, help="Levels of nested parts to show; all by default.")] = None,
    sort: Annotated[str, typer.Option(help="The column by which to sort, the largest first.")] = "",
    columns: Annotated[str, typer.Option(help="Columns, with commas between; an unknown one lists all.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How to print the counts.")] = Format.table,
    conventions: Annotated[bool, typer.Option("--conventions", help="The cost as other tools count it.")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="Peaks of memory in inference and training.")] = False,
    optimizer: Annotated[str, typer.Option(help="Whose state --memory counts: sgd, adam, ...")] = "sgd",
    summary: Annotated[bool, typer.Option("--summary", help="torchinfo's familiar summary instead.")] = False,
) -> None:
    """Count what a network costs, part by part: parameters, multiply-adds, receptive fields, memory."""
    net, usual = build_target(target, options or [])
    given = read_sizes(size, usual)
    from archzoo.profiler import CONVENTIONS
    from archzoo.profiler import memory as follow
    from archzoo.profiler import profile as count
    from archzoo.report.costs import USUAL, profile_table, write_profile
    from archzoo.report.costs import summary as torchinfos

    if summary:
        print(torchinfos(net, given, depth or 3))
        return
    counted = count(net, given, batch=batch)
    counted.model = target
    if memory:
        told = follow(net, given, batch=batch, optimizer=optimizer)
        print(json.dumps(told.as_dict(), indent=1) if form is Format.json else told)
    elif conventions:
        print("\n".join(counted.explain(convention) for convention in CONVENTIONS))
    elif form is Format.table:
        console().print(profile_table(counted, _columns(columns) or USUAL, depth, sort))
    else:
        print(write_profile(counted, form.value, _columns(columns) or USUAL, depth, sort), end="")
    for operator, times in counted.unknown.items():
        log(f"not counted: {operator}, {times} times; the multiply-adds are a lower bound")


def _columns(text: str) -> list[str]:
    return [column.strip() for column in text.split(",") if column.strip()]


def compare(
    first: Annotated[str, typer.Argument(help="A network; options behind commas: resnet18,option=B.")],
    second: Annotated[str, typer.Argument(help="Another one, or a .safetensors file.")],
    *,
    size: Size = "",
    form: Annotated[Format, typer.Option("--format", help="How to print the differences.")] = Format.table,
) -> None:
    """Tell where two networks differ, part by part, and what that costs."""
    from archzoo.profiler import compare as hold
    from archzoo.profiler import compare_shapes, shapes_in
    from archzoo.report.costs import comparison_table, write_comparison

    net, usual = _with_options(first)
    if second.endswith(".safetensors"):
        found = compare_shapes(net, shapes_in(second), (first, second))
    else:
        other, others_usual = _with_options(second)
        sizes = read_sizes(size, usual), read_sizes(size, others_usual)
        found = hold(net, other, *sizes, names=(first, second))
    if form is Format.table:
        console().print(comparison_table(found))
        print("\n".join(["", *found.totals()]))
    else:
        print(write_comparison(found, form.value), end="")


def _with_options(text: str) -> Any:
    name, *options = text.split(",")
    return build_target(name if ":" in name else find(name).name, options)


class Accelerator(str, Enum):
    """Machines by their data sheets."""

    h200 = "h200"
    h100 = "h100"
    a100 = "a100"
    v100 = "v100"


class Multiplied(str, Enum):
    """What numbers are multiplied in."""

    bfloat16 = "bfloat16"
    float32 = "float32"


def scale(
    name: Name,
    changes: Options = None,
    *,
    recipe: Annotated[str, typer.Option(help="A recipe by name; the network's own by default.")] = "",
    machine: Annotated[Accelerator, typer.Option(help="Whose data sheet counts.")] = Accelerator.h200,
    devices: Annotated[int, typer.Option(min=1, help="How many of them share each batch.")] = 1,
    precision: Annotated[Multiplied, typer.Option(help="The precision of multiplications.")] = Multiplied.bfloat16,
    share: Annotated[float, typer.Option(help="The share of the bound that is reached, above 0 and at most 1.")] = 1.0,
) -> None:
    """Tell on paper what training by a recipe costs; key=value changes an option of the network or of the recipe."""
    from archzoo.cli.training import sort_changes
    from archzoo.recipes import read_changes
    from archzoo.registry import find_recipe
    from archzoo.report.scale import MACHINES, summary, training_cost

    entry = find(name)
    published = find_recipe(recipe or entry.name)
    options, values = sort_changes(entry, published, changes or [])
    changed = published.with_changes(**read_changes(published, values))
    cost = training_cost(entry.name, changed, **read_options(entry, options))
    print(summary(cost, MACHINES[machine.value], devices, precision.value, share))
