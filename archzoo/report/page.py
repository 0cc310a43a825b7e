"""All networks on one page: a file of HTML that needs nothing else, no network either."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import archzoo
from archzoo.auditor import Finding, audit, profiled
from archzoo.profiler import Profile
from archzoo.recipes import describe
from archzoo.registry import Entry, recipes_of
from archzoo.report.diagram import diagram
from archzoo.report.results import DATA, Result, results
from archzoo.report.tables import place, quantity, short, summary

DRAWN = 6_000  # the bytes of a diagram that is opened two levels deep; a larger one is drawn one level deep
FILES = Path(__file__).parent
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
TOLD: tuple[str, ...] = ("optimizer", "lr", "schedule", "weight_decay", "batch_size", "epochs", "iterations")
TOLD += ("augmentation", "preprocessing", "regularizers", "protocol")
TOLD += ("paper_result", "source", "unspecified", "unconfirmed")


@dataclass(frozen=True)
class Network:
    """What the page tells about one network."""

    entry: Entry
    cost: Profile
    findings: Sequence[Finding]
    results: Sequence[Result]
    drawing: str

    @property
    def name(self) -> str:
        """Its registered name."""
        return self.entry.name

    @property
    def verdicts(self) -> Counter[str]:
        """How many claims there are of each verdict."""
        return Counter(finding.verdict for finding in self.findings)


def page(pattern: str = "*") -> str:
    """HTML of the networks of these names: a table, a chart, and a section each. Takes half a minute for all.

    Raises ArchzooError where no network has such a name.
    """
    findings = audit(pattern)
    networks = [_network(name, findings) for name in archzoo.names(pattern)]
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>archzoo</title>\n<style>{_file('page.css')}{_diagram_rules()}</style></head>\n<body>\n",
            _head(networks, findings),
            _chart(),
            _table(networks),
            "<h2>Network by network</h2>\n",
            *map(_section, networks),
            f'<script type="application/json" id="data">{_data(networks)}</script>\n',
            f"<script>{_file('page.js')}</script>\n</body></html>\n",
        ]
    )


def _network(name: str, findings: Iterable[Finding]) -> Network:
    entry = archzoo.find(name)
    net = archzoo.build(name, device="meta")
    cost = profiled(name)

    def drawn(depth: int) -> str:
        return diagram(net, entry.input_size, depth=depth, title=f"Diagram of {name}", style=False, counted=cost)

    drawing = drawn(2)
    if len(drawing) > DRAWN:
        drawing = drawn(1)
    mine = [finding for finding in findings if finding.name == name]
    return Network(entry, cost, mine, results(name), drawing)


def _file(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def _diagram_rules() -> str:
    from archzoo.report.diagram import STYLE

    return STYLE


def _head(networks: Sequence[Network], findings: Sequence[Finding]) -> str:
    papers = len({network.entry.paper.title for network in networks})
    return (
        "<header><h1>archzoo</h1>\n"
        f"<p>{len(networks)} networks of {papers} papers, each written by hand exactly as its paper describes it, and "
        f"every number that the papers print held against what was built: {summary(findings)}.</p>\n"
        '<p class="soft">A multiply-add is one multiplication and one addition, counted for one image of the given '
        "size. An explained claim is a printed number that a faithful network cannot meet, with the reason.</p>"
        "</header>\n"
    )


def _chart() -> str:
    options = "".join(f'<option value="{escape(key)}">{escape(words)}</option>' for key, words in DATA.items())
    return (
        '<h2>Cost against published error</h2>\n<div class="controls">\n'
        '<label>Cost <select id="cost"><option value="params">parameters</option>'
        '<option value="macs">multiply-adds</option></select></label>\n'
        f'<label>Error on <select id="errors">{options}</select></label></div>\n'
        '<svg id="chart" viewBox="0 0 900 460" role="group" aria-label="Cost against published error"></svg>\n'
    )


VERDICTS = ("match", "explained", "mismatch")
COLUMNS = (
    ("network", ""),
    ("year", "n"),
    ("input", "less"),
    ("parameters", "n"),
    ("multiply-adds", "n"),
    ("depth", "n less"),
    ("sees", "n less"),
    ("match", "n"),
    ("explained", "n"),
    ("mismatch", "n less"),
)


def _table(networks: Sequence[Network]) -> str:
    heads = "".join(f'<th class="{kind}" scope="col"><button>{name}</button></th>' for name, kind in COLUMNS)
    verdicts = "".join(f'<option value="{one}">{one}</option>' for one in VERDICTS)
    anything = '<option value="">anything</option>'
    return (
        '<h2>Networks</h2>\n<div class="controls">'
        '<label>Find <input id="search" type="search" placeholder="densenet 2017" autocomplete="off"></label>'
        f'<label>With a claim that is <select id="verdict">{anything}{verdicts}</select></label>'
        '<span id="shown" class="soft" role="status"></span></div>\n'
        f'<div class="wide"><table id="networks"><thead><tr>{heads}</tr></thead>\n<tbody>\n'
        + "".join(map(_row, networks))
        + "</tbody></table></div>\n"
    )


def _row(network: Network) -> str:
    entry, cost, verdicts = network.entry, network.cost, network.verdicts
    field = cost.at("features").field
    cells: list[tuple[Any, str, str]] = [
        (entry.paper.year, "", "n"),
        ("x".join(map(str, entry.input_size)), "", "less"),
        (short(cost.params), str(cost.params), "n"),
        (short(cost.macs), str(cost.macs), "n"),
        (cost.depth, "", "n less"),
        (max(field.size) if field else "", "", "n less"),
        *((verdicts[one] or "", str(verdicts[one]), f"n {one}") for one in ("match", "explained")),
        (verdicts["mismatch"] or "", str(verdicts["mismatch"]), "n mismatch less"),
    ]
    name = escape(network.name)
    words = f"{network.name} {entry.paper.title} {entry.paper.authors} {entry.paper.year}".lower()
    told = " ".join(f'data-{one}="{verdicts[one]}"' for one in VERDICTS)
    tds = "".join(
        f'<td class="{kind}"{_attribute("data-v", value)}>{escape(str(text))}</td>' for text, value, kind in cells
    )
    link = f'<td><a href="#net-{name}">{name}</a></td>'
    return f'<tr data-name="{name}" data-text="{escape(words)}" {told}>{link}{tds}</tr>\n'


def _attribute(name: str, value: str) -> str:
    return f' {name}="{escape(value)}"' if value else ""


def _section(network: Network) -> str:
    entry = network.entry
    name, paper = escape(network.name), entry.paper
    fixed = {option: value for option, value in entry.options.items() if option not in ("in_channels", "num_classes")}
    call = ", ".join(
        [repr(network.name), *(f"{key}={value!r}" for key, value in fixed.items() if key not in entry.fixed)]
    )
    return (
        f'<details class="net" id="net-{name}"><summary>{name} <span>{escape(entry.summary)}</span></summary>\n'
        f'<p><a href="{escape(paper.link)}">{escape(paper.title)}</a>, {escape(paper.authors)}, {paper.year}. '
        f'<code>archzoo.build({escape(call)})</code></p>\n<div class="parts"><div>{network.drawing}</div><div>\n'
        f"{_claims(network)}{_errors(network)}{_layers(network)}{_recipe(network)}</div></div></details>\n"
    )


def _claims(network: Network) -> str:
    if not network.findings:
        return "<p>No paper prints a number about this network that a count can meet.</p>\n"
    rows = [
        [
            (f'<span class="{finding.verdict}">{finding.verdict}</span>', ""),
            (escape(quantity(finding)), ""),
            (escape(finding.printed), "n"),
            (escape(finding.ours), "n"),
            (escape(f"{place(finding)}: {finding.why}" if finding.why else place(finding)), ""),
        ]
        for finding in network.findings
    ]
    return "<h3>What is printed about it</h3>\n" + _html_table(["", "of", "printed n", "ours n", "where"], rows)


def _errors(network: Network) -> str:
    if not network.results:
        return ""
    rows = [
        [(escape(DATA[one.data]), ""), (f"{one.error:g}%", "n"), (escape(one.protocol), ""), (escape(_where(one)), "")]
        for one in network.results
    ]
    return "<h3>Published error</h3>\n" + _html_table(["data", "error n", "protocol", "where"], rows)


def _where(result: Result) -> str:
    setting = ", ".join(f"{key}={value}" for key, value in result.options.items())
    return result.where + (f", {setting}" if setting else "") + ("" if result.confirmed else " (unconfirmed)")


def _layers(network: Network) -> str:
    rows = [
        [
            (escape(row.name.removeprefix("features.").removeprefix("classifier.")), ""),
            ("x".join(map(str, row.output or ())), ""),
            (f"{row.params:,}", "n"),
            (f"{row.macs:,}", "n"),
        ]
        for row in network.cost.rows
        if row.level == 2 and (row.params or row.macs or "pool" in row.name)
    ]
    return "<h3>Layers</h3>\n" + _html_table(["part", "maps", "parameters n", "multiply-adds n"], rows)


def _recipe(network: Network) -> str:
    published = recipes_of(network.name)
    if not published:
        why = network.entry.paper.without_recipe[network.name]
        return f"<h3>How it was trained</h3>\n<p>No recipe is published: {escape(why)}.</p>\n"
    values = describe(published[0])
    rows = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(values[key])}</dd>"
        for key in TOLD
        if values[key] not in ("-", "0.0")
    )
    return f"<h3>How it was trained</h3>\n<dl>{rows}</dl>\n"


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """A table; a head that ends in " n" is of a column of numbers."""
    top = "".join(
        f"<th{_attribute('class', 'n' if head.endswith(' n') else '')}>{head.removesuffix(' n')}</th>" for head in heads
    )
    body = "".join(
        "<tr>" + "".join(f"<td{_attribute('class', kind)}>{text}</td>" for text, kind in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _data(networks: Sequence[Network]) -> str:
    """What the chart draws, as JSON that no markup can end."""
    nets = {one.name: {"params": one.cost.params, "macs": one.cost.macs} for one in networks}
    errors = [
        {"name": one.name, "data": told.data, "error": told.error, "where": _where(told), "label": one.name}
        for one in networks
        for told in _best(one.results)
    ]
    return json.dumps({"nets": nets, "errors": errors}, separators=(",", ":")).replace("<", "\\u003c")


def _best(told: Iterable[Result]) -> list[Result]:
    """For each data set, the lowest error of the network as it stands on the page: without options of its own."""
    best: dict[str, Result] = {}
    for one in told:
        if not one.options and (one.data not in best or one.error < best[one.data].error):
            best[one.data] = one
    return list(best.values())
