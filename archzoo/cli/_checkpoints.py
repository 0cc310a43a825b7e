"""Commands for weights: list, save, convert, export."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from archzoo import find
from archzoo.cli._arguments import Name, Options, TrainedAs, log, read_options
from archzoo.files import check_writable

weights = typer.Typer(no_args_is_help=True, help="List, save and convert pretrained weights.")


@weights.command("list")
def list_() -> None:
    """List the published sets of weights: network, set, options, URL, data, what its authors print, images, hash.

    Images are those of a network's input: the order of their channels, and what is subtracted from and divides values
    from 0 to 1. The hash is a SHA-256, or its first digits, or the SHA-1 of a file that is published in an archive.
    """
    from archzoo.weights import PUBLISHED

    for published in PUBLISHED:
        options = " ".join(f"{name}={value}" for name, value in published.options.items())
        numbers = [" ".join(f"{value:.4g}" for value in values) for values in (published.mean, published.std)]
        images = f"{published.channels}, mean {numbers[0]}, deviation {numbers[1]}"
        known = (
            f"sha256:{published.sha256}" if published.sha256 else f"sha1:{published.sha1}" if published.sha1 else "-"
        )
        named = [published.network, published.name, options or "-", published.url]
        print("\t".join([*named, published.labels, published.printed or "-", images, known]))


@weights.command()
def save(
    name: Name,
    target: Annotated[Path, typer.Argument(help="A .safetensors file.")],
    options: Options = None,
    *,
    source: Annotated[
        str, typer.Option("--weights", help="A source such as torchvision or akamaster, one of its sets, or a file.")
    ],
    trained_as: TrainedAs = "",
) -> None:
    """Write pretrained weights to a safetensors file, from which archzoo.load rebuilds the network."""
    import archzoo.weights
    from archzoo.weights import build_pretrained

    entry = find(name)
    given = read_options(entry, options or [])
    check_writable(target)
    net = build_pretrained(entry, source, given, trained_as=trained_as or None, new_head=False)
    described = archzoo.weights.described_options(entry, source, given)
    archzoo.weights.save(net, target, entry.name, **described)
    log(f"wrote {target}")


@weights.command()
def convert(
    name: Name,
    source: Annotated[Path, typer.Argument(help="A weights file, with the tensor names of any of these libraries.")],
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    options: Options = None,
    *,
    to: Annotated[
        str, typer.Option(help="Whose tensor names to write: archzoo, torchvision, pytorchcv, akamaster, ...")
    ],
    trained_as: TrainedAs = "",
) -> None:
    """Rename the tensors of a weights file to the names of another library, or of archzoo."""
    import archzoo.weights

    entry = find(name)
    given = read_options(entry, options or [])
    check_writable(target)
    archzoo.weights.convert(source, target, entry.name, to, trained_as=trained_as or None, **given)
    log(f"wrote {target}")


class Runtime(str, Enum):
    """The format of an exported network."""

    onnx = "onnx"
    pt2 = "pt2"


def export(
    name: Name,
    options: Options = None,
    *,
    to: Annotated[Runtime, typer.Option(help="The format: ONNX, or torch.export's .pt2.")],
    weights: Annotated[
        str, typer.Option(help="A source such as torchvision or akamaster, one of its sets, or a file.")
    ] = "",
    trained_as: TrainedAs = "",
    output: Annotated[Path | None, typer.Option(help="The file to write; NAME.onnx or NAME.pt2 by default.")] = None,
) -> None:
    """Export a network for any batch size, and check its output against the original."""
    import archzoo.exporting
    from archzoo.weights import build_pretrained

    entry = find(name)
    given = read_options(entry, options or [])
    size = (given.get("in_channels", entry.input_size[0]), *entry.input_size[1:])
    target = output or Path(f"{entry.name}.{to.value}")
    check_writable(target)
    if weights:
        net = build_pretrained(entry, weights, given, trained_as=trained_as or None, new_head=False)
    else:
        net = archzoo.build(entry.name, **given)
    error = archzoo.exporting.export(net, target, to.value, size)
    log(f"wrote {target}, relative error {error:.1e}")
