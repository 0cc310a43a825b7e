"""The command that tells whether a network fits into the memory of a device."""

import json
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from archzoo import UnknownName, find
from archzoo.cli._arguments import Options, build_target, complete_name, is_weights_file, read_sizes, show
from archzoo.cli._costs import Size
from archzoo.errors import ArchzooError

if TYPE_CHECKING:
    from torch import nn


class Device(str, Enum):
    """Devices whose memory is modeled."""

    cuda = "cuda"
    cpu = "cpu"


class Precision(str, Enum):
    """The precision of autocast; float32 is none."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class FitFormat(str, Enum):
    """Output formats."""

    text = "text"
    json = "json"


def fits(
    target: Annotated[
        str,
        typer.Argument(
            help="A network, a weights file, or module:callable or file.py:callable that returns a torch.nn.Module.",
            autocompletion=complete_name,
        ),
    ],
    options: Options = None,
    *,
    memory: Annotated[str, typer.Option("--memory", help="The memory of the device, such as 24GiB.")] = "",
    batch: Annotated[int | None, typer.Option(min=1, help="Inputs that run together; the most that fit.")] = None,
    size: Size = "",
    precision: Annotated[Precision, typer.Option(help="The precision of autocast.")] = Precision.float32,
    optimizer: Annotated[str, typer.Option(help="The optimizer: sgd, adam, ...")] = "sgd",
    device: Annotated[Device, typer.Option(help="The device whose allocator is modeled.")] = Device.cuda,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Maps in channels_last.")] = False,
    context: Annotated[str, typer.Option(help="What CUDA takes for itself; 512MiB by default.")] = "",
    max_memory: Annotated[
        str, typer.Option("--max-memory", help="In place of --memory: what PyTorch may take, or else exit with 1.")
    ] = "",
    inference: Annotated[bool, typer.Option("--inference", help="Exit by inference, not by training.")] = False,
    savings: Annotated[bool, typer.Option("--savings/--no-savings", help="Try what would save memory.")] = True,
    form: Annotated[FitFormat, typer.Option("--format", help="Output format.")] = FitFormat.text,
) -> None:
    """Tell whether training and inference fit into a memory, with which batch, and what would save.

    With --max-memory, exits with 1 if the training step of --batch does not fit, or with --inference the forward pass.
    """
    if bool(memory) == bool(max_memory):
        raise ArchzooError("give --memory of the device, such as 24GiB, or --max-memory for an exit code, one of them")
    if max_memory and batch is None:
        raise ArchzooError("--max-memory is about one batch: add --batch")
    net, default_size = build_target(target, options or [])
    input_size = read_sizes(size, default_size)
    from archzoo import profiler

    fit = profiler.fits(
        net,
        input_size,
        memory or max_memory,
        batch=batch,
        precision=precision.value,
        optimizer=optimizer,
        device=device.value,
        channels_last=channels_last,
        context=context or (0 if max_memory else None),
        variants=_memory_efficient(target, options or []) if savings else None,
        savings=savings,
    )
    fit = replace(fit, model=target)
    show(json.dumps(fit.as_dict(), indent=1) if form is FitFormat.json else str(fit))
    need = fit.inference if inference else fit.training
    if max_memory and not need.fits:
        raise typer.Exit(1)


def _memory_efficient(target: str, options: list[str]) -> "dict[str, nn.Module]":
    """The memory-efficient form of a network that has one and is not built so."""
    if ":" in target or is_weights_file(target) or any(option.startswith("memory_efficient=") for option in options):
        return {}
    try:
        has_option = "memory_efficient" in find(target).options
    except UnknownName:
        return {}
    if not has_option:
        return {}
    return {"memory_efficient=True": build_target(target, [*options, "memory_efficient=True"])[0]}
