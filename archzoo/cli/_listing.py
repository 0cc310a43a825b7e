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
from archzoo.cli._arguments import Format, Pattern, log, read_image_size
from archzoo.cli._rows import terminal_width, write_rows
from archzoo.errors import ArchzooError
from archzoo.escaping import one_line
from archzoo.options import hint, in_a_line

MOST, LONGEST = 20, 500  # texts that a file says of itself, and characters of one
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


@cache
def _profile(entry: archzoo.Entry) -> Any:
    """The profile of a network, or None, with a line that says why, where one of another package has none."""
    from archzoo.auditor import profiled

    try:
        return profiled(entry.name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also an exit
        if entry.module.startswith("archzoo."):
            raise
        log(f"{entry.name} cannot be counted: {type(error).__name__}: {in_a_line(error)}")
        return None


COLUMNS: Mapping[str, Callable[[archzoo.Entry], Any]] = {
    "name": lambda entry: entry.name,
    "year": lambda entry: entry.paper.year,
    "params": lambda entry: getattr(_profile(entry), "params", None),
    "macs": lambda entry: getattr(_profile(entry), "macs", None),
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
        entries.sort(key=lambda entry: _order(COLUMNS[sort](entry)))
    if shown == ["name"] and form is Format.table:
        print("\n".join(entry.name for entry in entries))
        return
    rows = [[COLUMNS[column](entry) for column in shown] for entry in entries]
    print(write_rows(shown, rows, form, terminal_width()), end="")


def _order(value: Any) -> tuple[bool, Any]:
    """Unknown values come last."""
    return value is None, 0 if value is None else value


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
        yield lambda entry: _profile(entry) is not None and bool(_profile(entry).params <= most)


def read_count(text: str) -> float:
    """A count such as 5M, 300K or 25,600,000. Raises ArchzooError for anything else."""
    digits, unit = (text[:-1], UNITS[text[-1].lower()]) if text[-1:].lower() in UNITS else (text, 1)
    try:
        return float(digits.replace(",", "").replace("_", "")) * unit
    except ValueError as error:
        raise ArchzooError(f"--max-params must be a count such as 5M or 300K, not {text!r}") from error


def describe_weights(path: str) -> Iterator[str]:
    """What a weights file says about itself, line by line, without the control characters that it may have."""
    return map(one_line, _describe_file(path))


def _describe_file(path: str) -> Iterator[str]:
    from archzoo.weights import describe_file

    file = describe_file(path)
    options = " ".join(f"{name}={value}" for name, value in file.options.items())
    yield f"{path}: {f'{file.network} {options}'.strip() or 'does not say which network it is'}"
    dtypes = Counter(file.dtypes.values())
    kinds = ", ".join(f"{count:,} {dtype}" for dtype, count in dtypes.most_common())
    yield f"  tensors   {len(file.shapes):,} ({kinds}), {sum(map(prod, file.shapes.values())):,} elements"
    for key, (label, describe) in METADATA.items():
        if key in file.metadata:
            try:
                text = describe(file.metadata[key])
            except (KeyError, RecursionError, TypeError, ValueError):
                text = "cannot be read"
            yield f"  {label:<9} {text[:LONGEST]}"
    others = sorted(file.metadata.keys() - {"archzoo", "options", "classes", "prepared", "protocol"})
    if others:
        known = ", ".join(f"{name[:40]}={file.metadata[name][:40]}" for name in others[:MOST])
        yield f"  metadata  {known}{f' and {len(others) - MOST} more' if len(others) > MOST else ''}"


def _describe_classes(text: str) -> str:
    classes = json.loads(text)
    return f"{len(classes):,}: {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}"


def _describe_images(text: str) -> str:
    prepared = json.loads(text)
    return f"{prepared['preprocessing']}, {prepared['side']} pixels"


# What a file that was trained here says beside its network: its name in the output, and how it is shown.
METADATA: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "classes": ("classes", _describe_classes),
    "prepared": ("images", _describe_images),
    "protocol": ("protocol", str),
}
