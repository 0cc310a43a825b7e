"""HTML for notebooks: what objects show of themselves as the last value of a cell. Imports no torch.

Colors are those of the notebook's own theme, but for verdicts. Every text is escaped.
"""

from collections.abc import Mapping, Sequence

from archzoo.escaping import link, markup

CELL = "text-align:left;vertical-align:top;padding:2px 8px"
NUMBER = "text-align:right;vertical-align:top;padding:2px 8px;white-space:nowrap"
# Of verdicts: dark enough for a light page, light enough for a dark one.
COLORS = {"match": "#2e8540", "explained": "#b26b00", "mismatch": "#d1242f"}


def title(name: str, *facts: str) -> str:
    """A line with the name in bold, and what is known of it behind it."""
    rest = ", ".join(markup(fact) for fact in facts if fact)
    return f"<p><b>{markup(name)}</b>{f': {rest}' if rest else ''}</p>"


def linked(text: str, url: str) -> str:
    """A text with a link, or alone where the address is no web page's."""
    return f'<a href="{markup(url)}" target="_blank" rel="noopener">{markup(text)}</a>' if link(url) else markup(text)


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{markup(text)}</p>"


def facts_table(facts: Mapping[str, str]) -> str:
    """A table of names and what they are, given as HTML."""
    rows = "".join(
        f'<tr><th style="{CELL}">{markup(name)}</th><td style="{CELL}">{value}</td></tr>'
        for name, value in facts.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> str:
    """A table of plain texts. Columns named in ``numbers`` are aligned to the right, and verdicts are colored.

    Columns without a text are left out.
    """
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    heads, rows = [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]
    styles = [NUMBER if head in numbers else CELL for head in heads]
    top = "".join(f'<th style="{style}">{markup(head)}</th>' for head, style in zip(heads, styles, strict=True))
    body = "".join(
        "<tr>" + "".join(map(_cell, row, styles)) + "</tr>"  # a row has a cell for each head
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str, style: str) -> str:
    color = f";color:{COLORS[text]};font-weight:bold" if text in COLORS else ""
    return f'<td style="{style}{color}">{markup(text)}</td>'
