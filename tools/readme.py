"""The generated tables of the README and the documentation, from the registry, the audit and the benchmarks."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from archzoo.auditor import AuditResult, audit, profiled
from archzoo.errors import ReportError
from archzoo.registry import find, names
from archzoo.report.tables import markdown_table, place, quantity, short
from archzoo.results import Row, rows
from tools import checkpoints
from tools.libraries import ELSEWHERE, VERSIONS

# The networks whose counts stand for those of their paper: one for each input size.
REPRESENTATIVES = (
    *("lenet5", "alexnet", "zfnet", "nin", "nin_imagenet", "alexnet_one_tower", "vgg_d", "googlenet", "dsn"),
    *("all_cnn_c", "highway_cifar", "highway_mnist_16"),
    *("resnet50", "resnet110", "squeezenet1_0", "preact_resnet200", "preact_resnet164", "stochastic_depth_152"),
    *("stochastic_depth_110", "wide_resnet50_2", "wide_resnet_28_10", "resnext50_32x4d", "resnext29_8x64d"),
    *("pyramidnet200_a300", "pyramidnet110_a270"),
    *("condensenet74_c4", "condensenet86"),
    *("bn_inception", "inception_v2", "inception_v3"),
    *("fractalnet34", "fractalnet20", "densenet121", "densenet_bc", "mobilenet_v1_x1_0", "shufflenet_v1_g3_x1_0"),
    *("xception", "inception_v4", "inception_resnet_v1", "inception_resnet_v2", "inception_resnet_v2_released"),
    *("mobilenet_v2_x1_0", "se_resnet50", "shufflenet_v2_x1_0"),
)


def tables(measured: Mapping[str, Any]) -> dict[str, str]:
    """The tables by the names of their markers. ``measured`` is the benchmarks' committed table."""
    results = audit()
    return {
        "benchmarks": benchmarks(measured),
        "networks": networks(results),
        "explained": explained(results),
        "libraries": libraries(),
        "sources": checkpoints.sources(),
        "sets": checkpoints.sets(),
        "results": reached(rows()),
    }


def networks(results: list[AuditResult]) -> str:
    """A row per paper: its networks, what some of them cost, and the verdicts on its networks by any paper.

    Raises ReportError for a paper without a network in REPRESENTATIVES.
    """
    verdicts = {name: Counter(r.verdict for r in claims) for name, claims in groupby(results, lambda r: r.name)}
    rows = []
    for paper, group in groupby(map(find, names()), lambda entry: entry.paper):
        members = [entry.name for entry in group]
        counts = sum((verdicts.get(name, Counter()) for name in members), Counter[str]())
        listed = " ".join(f"`{name}`" for name in members)
        title = paper.title.partition(":")[0]
        rows.append([f"[{title}]({paper.link}), {paper.year}", listed, *_costs(members, title), *_counts(counts)])
    return markdown_table(
        ["paper", "networks", "for example", "parameters", "MACs", "match", "explained", "mismatch"], rows
    )


def _costs(members: Sequence[str], title: str) -> list[str]:
    """The representatives among the networks of a paper, with their parameters and multiply-adds: a line for each."""
    chosen = [name for name in REPRESENTATIVES if name in members]
    if not chosen:
        raise ReportError(f"{title} has no network in REPRESENTATIVES of tools/readme.py: add one of {members}")
    costs = [profiled(name) for name in chosen]
    columns = (
        [f"`{name}`" for name in chosen],
        [short(cost.params) for cost in costs],
        [short(cost.macs) for cost in costs],
    )
    return ["<br>".join(column) for column in columns]


def _counts(counts: Counter[str]) -> list[str]:
    return [str(counts[verdict]) for verdict in ("match", "explained", "mismatch")]


def explained(results: list[AuditResult]) -> str:
    """A row per explained claim: a printed number that no faithful network meets."""
    rows = [
        [f"`{r.name}`", quantity(r), f"{r.printed} ({place(r)})", r.ours_text, r.why]
        for r in results
        if r.verdict == "explained"
    ]
    return markdown_table(["network", "quantity", "printed", "ours", "why"], rows)


def reached(listed: Sequence[Row]) -> str:
    """A row per published error with a recipe, and per run: what was measured, and the verdict."""
    head = ["network", "recipe", "error", "printed", "verdict", "command", "ran"]
    return markdown_table(head, [_result(row) for row in listed])


def _result(row: Row) -> list[str]:
    run, printed = row.measured, row.printed
    options = "".join(f" `{name}={value}`" for name, value in row.options.items())
    expected = "" if printed is None else printed.text
    if run is None:
        return [f"`{row.network}`{options}", f"`{row.recipe.name}`", "", expected, row.verdict, f"`{row.command}`", ""]
    files = " ".join(
        f"[{seed}]({file.removeprefix('docs/')})" for seed, file in zip(run.seeds, run.files, strict=False)
    )
    minutes = ", ".join(f"{seconds / 60:.1f}" for seconds in run.seconds)
    return [
        f"`{row.network}`{options}",
        f"`{row.recipe.name}`",
        f"{_percent(run.error, run.deviation)} of {len(run.seeds)}",
        expected,
        row.verdict,
        f"`{row.command}`",
        f"{run.machine}, {minutes} min, commit {run.commit[:7]}; {files}".rstrip("; "),
    ]


def _percent(mean: float, deviation: float | None) -> str:
    return f"{mean:.2f}%" + ("" if deviation is None else f" +- {deviation:.2f}%")


def libraries() -> str:
    """A row per network: what other libraries have under its name."""
    libraries = [library.rpartition(" ")[0] for library in VERSIONS.split(", ")]
    rows = [
        [row.network, " ".join(f"`{find(name).name}`" for name in row.ours), *(row.text(name) for name in libraries)]
        for row in ELSEWHERE
    ]
    return markdown_table(["network", "here", *libraries], rows)


def benchmarks(measured: Mapping[str, Any]) -> str:
    """A row per committed measurement, below the machine and the versions."""
    machine = measured["machine"]
    versions = ", ".join(f"{name} {machine[name]}" for name in ("torch", "torchvision", "pytorchcv"))
    rows = [[row["what"], row["against"], f"{row['share']:.2f}"] for row in measured["rows"]]
    heading = f"On {machine['cores']} cores of an {machine['processor']}, Python {machine['Python']}, {versions}:"
    return f"{heading}\n\n{markdown_table(['what', 'as a share of', ''], rows)}"


def fill(text: str, tables: Mapping[str, str]) -> str:
    """The text with every table between <!-- name --> and <!-- /name --> replaced.

    Raises ReportError if a marker has no table, or does not come in a pair.
    """
    names = re.findall(r"<!-- (\w+) -->", text)
    if unknown := [name for name in names if name not in tables]:
        raise ReportError(f"no table is called {unknown[0]!r}; there are {', '.join(tables)}")
    for name in names:
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ReportError(f"the text needs the markers {start} and {end}, once each")
        before, after = text.partition(start)[0], text.partition(end)[2]
        text = f"{before}{start}\n\n{tables[name]}\n\n{end}{after}"
    return text
