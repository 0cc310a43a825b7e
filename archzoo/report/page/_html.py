"""Fragments of HTML."""

from collections.abc import Sequence
from pathlib import Path

from archzoo.escaping import link, markup

FOLDER = Path(__file__).parent


def asset(name: str) -> str:
    """The text of a style sheet or script of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")


def attribute(name: str, value: str) -> str:
    """An attribute, or nothing for an empty value."""
    return f' {name}="{markup(value)}"' if value else ""


def anchor(url: str, text: str) -> str:
    """A text with a link, or alone where the address is no web page's."""
    return f'<a href="{markup(url)}">{markup(text)}</a>' if link(url) else markup(text)


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """A table of cells of HTML, of a class of its own. A head that ends in " n" belongs to a column of numbers.

    The class of such a column stands at the table, once: at every cell it would be a twentieth of the page.
    """
    numbers = " ".join(f"n{place}" for place, head in enumerate(heads, 1) if head.endswith(" n"))
    top = "".join(
        f"<th{attribute('class', 'n' if head.endswith(' n') else '')}>{head.removesuffix(' n')}</th>" for head in heads
    )
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    opened = f"<table{attribute('class', f'{kind} {numbers}'.strip())}>"
    return f'<div class="wide">{opened}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>\n'
