"""The command ``list``, and what a weights file holds. Imports torch for columns alone that need it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import prod
from typing import Annotated, Any

import typer

import archzoo
from archzoo import registry
from archzoo.cli._arguments import Format, Pattern, read_image_size
from archzoo.cli._rows import terminal_width, write_rows
from archzoo.errors import ArchzooError
from archzoo.options import hint

UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}


@cache
def _weights() -> Mapping[str, list[str]]:
    """The libraries that publish weights of each network."""
    from archzoo.weights import PUBLISHED

    libraries: dict[str, list[str]] = {}
    for published in PUBLISHED:
        known = libraries.setdefault(published.network, [])
        known += [published.library] if published.library not in known else []
    return libraries


def _profile(entry: archzoo.Entry) -> Any:
    from archzoo.auditor import profiled

    return profiled(entry.name)


COLUMNS: Mapping[str, Callable[[archzoo.Entry], Any]] = {
    "name": lambda entry: entry.name,
    "year": lambda entry: entry.paper.year,
    "params": lambda entry: _profile(entry).params,
    "macs": lambda entry: _profile(entry).macs,
    "input": lambda entry: list(entry.input_size),
    "weights": lambda entry: _weights().get(entry.name, []),
    "recipes": lambda entry: [recipe.name for recipe in registry.recipes_of(entry.name)],
    "aliases": lambda entry: list(entry.aliases),
    "paper": lambda entry: entry.paper.title,
}
USUAL = ("name", "year", "params", "input", "weights")


def list_networks(
    pattern: Pattern = "*",
    *,
    columns: Annotated[str, typer.Option(help=f"Of {', '.join(COLUMNS)}, with commas between.")] = "",
    long: Annotated[bool, typer.Option("--long", "-l", help=f"The columns {', '.join(USUAL)}.")] = False,
    since: Annotated[int, typer.Option(help="Papers of this year and later.")] = 0,
    until: Annotated[int, typer.Option(help="Papers of this year and earlier.")] = 9999,
    weights: Annotated[
        str, typer.Option(help="With published weights of this source: torchvision, timm, pytorchcv, ...")
    ] = "",
    size: Annotated[str, typer.Option("--input", help="With this input size, such as 3x32x32 or 32.")] = "",
    max_params: Annotated[str, typer.Option(help="With at most so many parameters: 5M, 300K.")] = "",
    sort: Annotated[str, typer.Option(help="Sort by this column.")] = "",
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
) -> None:
    """List the networks, oldest paper first: their names, or columns of what is known about them."""
    shown = [column.strip() for column in columns.split(",") if column.strip()]
    shown = shown or (list(USUAL) if long or form is not Format.table else ["name"])
    for column in [*shown, *filter(None, [sort])]:
        if column not in COLUMNS:
            raise ArchzooError(f"no column is called {column!r}{hint(column, COLUMNS)}; there are {', '.join(COLUMNS)}")
    entries = [archzoo.find(name) for name in archzoo.names(pattern) or [archzoo.find(pattern).name]]
    tests = list(_filters(since, until, weights, size, max_params))
    entries = [entry for entry in entries if all(test(entry) for test in tests)]
    if not entries:
        raise ArchzooError(f"no network that {pattern!r} matches is left by these filters")
    if sort:
        entries.sort(key=COLUMNS[sort])
    if shown == ["name"] and form is Format.table:
        print("\n".join(entry.name for entry in entries))
        return
    rows = [[COLUMNS[column](entry) for column in shown] for entry in entries]
    print(write_rows(shown, rows, form, terminal_width()), end="")


def _filters(
    since: int, until: int, weights: str, size: str, max_params: str
) -> Iterator[Callable[[archzoo.Entry], bool]]:
    """The tests that a network must pass, cheap ones first."""
    yield lambda entry: since <= entry.paper.year <= until
    if size:
        yield lambda entry: read_image_size(size, entry.input_size) == entry.input_size
    if weights:
        libraries = {library for known in _weights().values() for library in known}
        if weights not in libraries:
            raise ArchzooError(f"--weights must be {' or '.join(sorted(libraries))}, not {weights!r}")
        yield lambda entry: weights in _weights().get(entry.name, [])
    if max_params:
        most = read_count(max_params)
        yield lambda entry: bool(_profile(entry).params <= most)


def read_count(text: str) -> float:
    """A count such as 5M, 300K or 25,600,000. Raises ArchzooError for anything else."""
    digits, unit = (text[:-1], UNITS[text[-1].lower()]) if text[-1:].lower() in UNITS else (text, 1)
    try:
        return float(digits.replace(",", "").replace("_", "")) * unit
    except ValueError as error:
        raise ArchzooError(f"--max-params must be a count such as 5M or 300K, not {text!r}") from error


def describe_weights(path: str) -> Iterator[str]:
    """What a weights file says about itself, line by line."""
    from archzoo.weights import describe_file

    file = describe_file(path)
    options = " ".join(f"{name}={value}" for name, value in file.options.items())
    yield f"{path}: {f'{file.network} {options}'.strip() or 'does not say which network it is'}"
    dtypes = Counter(file.dtypes.values())
    kinds = ", ".join(f"{count:,} {dtype}" for dtype, count in dtypes.most_common())
    yield f"  tensors   {len(file.shapes):,} ({kinds}), {sum(map(prod, file.shapes.values())):,} elements"
    if "classes" in file.metadata:
        classes = json.loads(file.metadata["classes"])
        yield f"  classes   {len(classes):,}: {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}"
    if "prepared" in file.metadata:
        prepared = json.loads(file.metadata["prepared"])
        yield f"  images    {prepared['preprocessing']}, {prepared['side']} pixels"
    if "protocol" in file.metadata:
        yield f"  protocol  {file.metadata['protocol']}"
    others = sorted(file.metadata.keys() - {"archzoo", "options", "classes", "prepared", "protocol"})
    if others:
        yield f"  metadata  {', '.join(f'{name}={file.metadata[name][:40]}' for name in others)}"
