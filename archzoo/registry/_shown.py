"""What an entry shows of itself in a notebook."""

from typing import Any

from archzoo import notebook_html as html
from archzoo.escaping import markup
from archzoo.options import in_a_line


def as_html(entry: Any) -> str:
    """Its paper, its options, and what its paper prints about it. Builds nothing."""
    paper = entry.paper
    facts = {
        "network": markup(_or_error(lambda: entry.summary)),
        "paper": html.linked(paper.title, paper.link),
        "authors": markup(f"{paper.authors}, {paper.year}"),
        "input": markup("x".join(map(str, entry.input_size))),
        "options": _or_error(lambda: _options(entry)),
    }
    if entry.aliases:
        facts["also called"] = markup(", ".join(entry.aliases))
    claims = [(claim.quantity, claim.at, claim.printed, claim.where) for claim in entry.claims]
    printed = html.table(("printed", "of", "number", "where"), claims, numbers=("number",)) if claims else ""
    return html.title(entry.name) + html.facts_table(facts) + printed


def _options(entry: Any) -> str:
    options = {name: f"{name}={value!r}" for name, value in entry.options.items()}
    return ", ".join(
        f"<b>{markup(text)}</b>" if name in entry.fixed else markup(text) for name, text in options.items()
    )


def _or_error(tell: Any) -> str:
    """What a constructor says, or its error: a plugin's may raise anything."""
    try:
        return str(tell())
    except Exception as error:
        return markup(f"cannot be read: {type(error).__name__}: {in_a_line(error)}")
