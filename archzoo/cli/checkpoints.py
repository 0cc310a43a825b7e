"""Verbs about trained weights: which are published, and files of them."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from archzoo import find
from archzoo.cli.arguments import Name, Options, log, read_options

weights = typer.Typer(no_args_is_help=True, help="Trained weights: list, convert and save them.")


class Names(str, Enum):
    """Whose names the tensors of a file have."""

    archzoo = "archzoo"
    torchvision = "torchvision"
    timm = "timm"


@weights.command("list")
def list_() -> None:
    """List the published sets of weights: what each needs, and where it comes from."""
    from archzoo.weights import PUBLISHED

    for one in PUBLISHED:
        options = " ".join(f"{name}={value}" for name, value in one.options.items())
        print("\t".join([one.network, one.name, options or "-", one.url]))


@weights.command()
def save(
    name: Name,
    target: Annotated[Path, typer.Argument(help="A .safetensors file.")],
    options: Options = None,
    *,
    source: Annotated[str, typer.Option("--weights", help="torchvision, timm, one of their sets, or a file.")],
) -> None:
    """Write trained weights to a safetensors file that describes its network: archzoo.load rebuilds it."""
    import archzoo
    from archzoo.weights import described_options
    from archzoo.weights import save as write

    entry = find(name)
    given = read_options(entry, options or [])
    net = archzoo.build(entry.name, weights=source, **given)
    write(net, target, entry.name, **described_options(entry, source, given))
    log(f"wrote {target}")


@weights.command()
def convert(
    name: Name,
    source: Annotated[Path, typer.Argument(help="A file of weights, under anybody's names.")],
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    options: Options = None,
    *,
    to: Annotated[Names, typer.Option(help="Whose names it is to have.")],
) -> None:
    """Write the weights of a file under the names of another library, or under ours."""
    from archzoo.weights import convert as rename

    entry = find(name)
    rename(source, target, entry.name, to.value, **read_options(entry, options or []))
    log(f"wrote {target}")


class Runtime(str, Enum):
    """What a network is exported to."""

    onnx = "onnx"
    pt2 = "pt2"


def export(
    name: Name,
    options: Options = None,
    *,
    to: Annotated[Runtime, typer.Option(help="The format: ONNX, or torch.export's own.")],
    weights: Annotated[str, typer.Option(help="torchvision, timm, one of their sets, or a file.")] = "",
    output: Annotated[Path | None, typer.Option(help="The file to write; NAME.onnx or NAME.pt2 by default.")] = None,
) -> None:
    """Write a network to a file for other runtimes, for any batch, checked against the original."""
    import archzoo
    from archzoo.exporting import export as write

    entry = find(name)
    given = read_options(entry, options or [])
    size = (given.get("in_channels", entry.input_size[0]), *entry.input_size[1:])
    target = output or Path(f"{entry.name}.{to.value}")
    off = write(archzoo.build(entry.name, weights=weights or None, **given), target, to.value, size)
    log(f"wrote {target}, {off:.1e} from the original")
