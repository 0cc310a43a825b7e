"""The section of one network: its diagram, claims, published and measured errors, layers and recipe."""

from archzoo.escaping import markup
from archzoo.paper import DATA
from archzoo.recipes import describe
from archzoo.registry import recipes_of
from archzoo.report import tables
from archzoo.report.page._html import anchor, html_table
from archzoo.report.page._network import Network, place

SHOWN: tuple[str, ...] = ("optimizer", "lr", "schedule", "weight_decay", "batch_size", "epochs", "iterations")
SHOWN += ("augmentation", "preprocessing", "regularizers", "protocol")
SHOWN += ("paper_result", "source", "unspecified", "unconfirmed")


def section(network: Network) -> str:
    """The section of a network, which opens on request."""
    entry = network.entry
    name, paper = markup(network.name), entry.paper
    fixed = {option: value for option, value in entry.options.items() if option not in ("in_channels", "num_classes")}
    call = ", ".join(
        [repr(network.name), *(f"{key}={value!r}" for key, value in fixed.items() if key not in entry.fixed)]
    )
    return (
        f'<details class="net" id="net-{name}"><summary>{name} '
        f"<span>{paper.year}. {markup(entry.summary)}</span></summary>\n"
        f"<p>{anchor(paper.link, paper.title)}, {markup(f'{paper.authors}, {paper.year}')}. "
        f'<code>archzoo.build({markup(call)})</code></p>\n<div class="parts"><div>{network.drawing}</div><div>\n'
        f"{_claims(network)}{_differences(network)}{_errors(network)}{_measured(network)}{_layers(network)}{_recipe(network)}"
        "</div></div></details>\n"
    )


def _claims(network: Network) -> str:
    if not network.claims:
        return "<p>No paper prints a number about this network that a count can meet.</p>\n"
    rows = []
    for claim in network.claims:
        where = tables.place(claim)
        rows.append(
            [
                f'<span class="{claim.verdict}">{claim.verdict}</span>',
                markup(tables.quantity(claim)),
                markup(claim.printed),
                markup(claim.ours_text),
                markup(f"{where}: {claim.why}" if claim.why else where),
            ]
        )
    return "<h3>What is printed about it</h3>\n" + html_table(
        ["", "of", "printed n", "ours n", "where"], rows, "claims"
    )


def _differences(network: Network) -> str:
    """Of a setting, where they are: they are those of its constructor."""
    entry = network.entry
    if not entry.differences:
        return ""
    items = "".join(f"<li>{markup(sentence)}</li>" for sentence in entry.differences)
    shown = f"<ul>{items}</ul>" if entry.name == entry.family else f"<p>As {markup(entry.family)} does.</p>"
    return f"<h3>Differs from the release</h3>\n{shown}\n"


def _errors(network: Network) -> str:
    if not network.results:
        return ""
    rows = [
        [
            markup(DATA[result.data]),
            f"{result.error:g}%",
            markup(result.protocol),
            markup(place(result)),
        ]
        for result in network.results
    ]
    return "<h3>Published error</h3>\n" + html_table(["data", "error n", "protocol", "where"], rows)


def _measured(network: Network) -> str:
    """What was trained here: the rows of ``archzoo results`` that are not empty."""
    rows = []
    for result in network.measured:
        if (run := result.measured) is not None:
            deviation = "" if run.deviation is None else f" +- {run.deviation:.2f}%"
            printed = "" if result.printed is None else result.printed.text
            error = f"{run.error:.2f}%{deviation} of {len(run.seeds)}"
            rows.append([*map(markup, (error, printed, result.verdict)), f"<code>{markup(run.command)}</code>"])
    if not rows:
        return ""
    return "<h3>Measured here</h3>\n" + html_table(["error n", "printed n", "verdict", "command"], rows)


def _layers(network: Network) -> str:
    rows = [
        [
            markup(stats.name.removeprefix("features.").removeprefix("classifier.")),
            "x".join(map(str, stats.output or ())),
            f"{stats.params:,}",
            f"{stats.macs:,}",
        ]
        for stats in network.cost.modules
        if stats.level == 2 and (stats.params or stats.macs or "pool" in stats.name)
    ]
    return "<h3>Layers</h3>\n" + html_table(["part", "maps", "parameters n", "multiply-adds n"], rows)


def _recipe(network: Network) -> str:
    published = recipes_of(network.name)
    if not published:
        why = network.entry.paper.without_recipe.get(network.name, "its paper's file states none")
        return f"<h3>How it was trained</h3>\n<p>No recipe is published: {markup(why)}.</p>\n"
    values = describe(published[0])
    rows = "".join(
        f"<dt>{markup(key.replace('_', ' '))}</dt><dd>{markup(values[key])}</dd>"
        for key in SHOWN
        if values[key] not in ("-", "0.0")
    )
    return f"<h3>How it was trained</h3>\n<dl>{rows}</dl>\n"
