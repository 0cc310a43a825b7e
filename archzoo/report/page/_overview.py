"""The top of the page: head, chart and the table of networks."""

from collections.abc import Iterable, Sequence
from typing import Any

from archzoo.auditor import AuditResult
from archzoo.claims import UNCONFIRMED
from archzoo.escaping import json_text, markup
from archzoo.paper import DATA, Result
from archzoo.report._papers import name_and_year
from archzoo.report.page._html import attribute
from archzoo.report.page._network import Network, place
from archzoo.report.tables import short, summary

VERDICTS = ("match", "explained", "mismatch")
COLUMNS = (
    ("network", ""),
    ("year", "n"),
    ("input", "less"),
    ("parameters", "n"),
    ("multiply-adds", "n"),
    ("depth", "n less"),
    ("receptive field", "n less"),
    ("match", "n"),
    ("explained", "n"),
    ("mismatch", "n less"),
)


def head(networks: Sequence[Network], audited: Sequence[AuditResult]) -> str:
    """The title and what the page shows."""
    papers = len({network.entry.paper.title for network in networks})
    return (
        "<header><h1>archzoo</h1>\n"
        f"<p>{len(networks)} networks of {papers} papers, each written by hand exactly as its paper describes it, and "
        f"every number that the papers print checked against the networks: {summary(audited)}.</p>\n"
        '<p class="soft">A multiply-add is one multiplication and one addition, counted for one image of the given '
        "size. An explained claim is a printed number that a faithful network cannot meet, with the reason. "
        f"An unconfirmed number was {UNCONFIRMED}.</p>"
        "</header>\n"
    )


def chart() -> str:
    """The chart of cost against published error, which the script draws."""
    options = "".join(f'<option value="{markup(key)}">{markup(title)}</option>' for key, title in DATA.items())
    return (
        '<h2>Cost against published error</h2>\n<div class="controls">\n'
        '<label>Cost <select id="cost"><option value="params">parameters</option>'
        '<option value="macs">multiply-adds</option></select></label>\n'
        f'<label>Error on <select id="errors">{options}</select></label>\n'
        '<label>Test protocol <select id="protocol"></select></label></div>\n'
        '<svg id="chart" viewBox="0 0 900 460" role="group" aria-label="Cost against published error"></svg>\n'
        '<ul id="legend" class="soft" aria-label="Papers"></ul>\n'
    )


def table(networks: Sequence[Network]) -> str:
    """The table of networks, which the script sorts and filters."""
    heads = "".join(f'<th class="{kind}" scope="col"><button>{name}</button></th>' for name, kind in COLUMNS)
    verdicts = "".join(f'<option value="{verdict}">{verdict}</option>' for verdict in VERDICTS)
    anything = '<option value="">anything</option>'
    return (
        '<h2>Networks</h2>\n<div class="controls">'
        '<label>Find <input id="search" type="search" placeholder="densenet 2017" autocomplete="off"></label>'
        f'<label>With a claim that is <select id="verdict">{anything}{verdicts}</select></label>'
        '<span id="shown" class="soft" role="status"></span></div>\n'
        f'<div class="wide"><table id="networks"><thead><tr>{heads}</tr></thead>\n<tbody>\n'
        + "".join(map(row, networks))
        + "</tbody></table></div>\n"
    )


def row(network: Network) -> str:
    """A row of the table of networks."""
    entry, cost, verdicts = network.entry, network.cost, network.verdicts
    field = next((stats.receptive_field for stats in cost.modules if stats.name == "features"), None)
    cells: list[tuple[Any, str, str]] = [
        (entry.paper.year, "", "n"),
        ("x".join(map(str, entry.input_size)), "", "less"),
        (short(cost.params), str(cost.params), "n"),
        (short(cost.macs), str(cost.macs), "n"),
        (cost.depth, "", "n less"),
        (max(field.size) if field else "", "", "n less"),
        *((verdicts[verdict] or "", str(verdicts[verdict]), f"n {verdict}") for verdict in ("match", "explained")),
        (verdicts["mismatch"] or "", str(verdicts["mismatch"]), "n mismatch less"),
    ]
    name = markup(network.name)
    words = f"{network.name} {entry.paper.title} {entry.paper.authors} {entry.paper.year}".lower()
    counts = " ".join(f'data-{verdict}="{verdicts[verdict]}"' for verdict in VERDICTS)
    tds = "".join(
        f'<td class="{kind}"{attribute("data-v", value)}>{markup(str(text))}</td>' for text, value, kind in cells
    )
    link = f'<td><a href="#net-{name}">{name}</a></td>'
    return f'<tr data-name="{name}" data-text="{markup(words)}" {counts}>{link}{tds}</tr>\n'


def data(networks: Sequence[Network]) -> str:
    """The data of the chart, as JSON that no tag can end."""
    papers = {network.entry.paper.title: network.entry.paper for network in networks}
    in_order = sorted(papers.values(), key=lambda paper: (paper.year, paper.title))
    numbers = {paper.title: number for number, paper in enumerate(in_order)}
    nets = {
        network.name: {
            "params": network.cost.params,
            "macs": network.cost.macs,
            "paper": numbers[network.entry.paper.title],
        }
        for network in networks
    }
    errors: dict[str, dict[str, list[tuple[str, float, str]]]] = {}
    for network in networks:
        for best in _best(network.results):
            by_protocol = errors.setdefault(best.data, {})
            by_protocol.setdefault(best.protocol, []).append((network.name, best.error, place(best)))
    titles = [name_and_year(paper) for paper in in_order]
    return json_text({"nets": nets, "papers": titles, "errors": errors}).replace("<", "\\u003c")


def _best(results: Iterable[Result]) -> list[Result]:
    """The lowest error on each dataset by each test protocol, of the network with its default options."""
    best: dict[tuple[str, str], Result] = {}
    for result in results:
        test = result.data, result.protocol
        if not result.options and (test not in best or result.error < best[test].error):
            best[test] = result
    return list(best.values())
