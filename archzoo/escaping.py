"""Text that others wrote, such as a name in a file or a plugin's reason, as each format shows it. Imports no torch.

No format gets control characters, marks that reorder text, or characters that no one can see: each is shown as its
code, a backslash and hexadecimal digits. Joiners of words in Persian and Indic scripts (U+200C, U+200D) stay.
"""

import html
import json
import re
from typing import Any
from urllib.parse import urlsplit

BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that reorder text
    "\u200b\u2028\u2029\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # unseen, and line breaks
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # no characters, which neither UTF-8 nor XML can hold
)
LATEX = {character: rf"\{character}" for character in "&%$#_{}"}
LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": "$<$", ">": "$>$"}
LATEX |= {"|": r"\textbar{}", "`": r"\textasciigrave{}"}
FORMULA = re.compile("\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]")  # with the wide forms, which spreadsheets read alike
# Code between backticks, or a character with a meaning; an underscore within a word has none.
MARKDOWN = re.compile(r"(?<![\\`])(`[^`\\]+`)(?!`)|[\\`*\[\]<>$~&]|(?<![^\W_])_|_(?![^\W_])")
NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?%?")


def one_line(text: str, most: int = 0) -> str:
    """A text in one line, with line breaks and tabs as spaces; ``most`` characters of it if that is not 0."""
    if most:
        text = shortened(text, most)
    line = UNSEEN.sub(_code, BREAKS.sub(" ", text))
    return shortened(line, most) if most else line


def printable(text: str) -> str:
    """A text of several lines for a terminal."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    return "\n".join(UNSEEN.sub(_code, line) for line in lines)


def shortened(text: str, most: int) -> str:
    """The first and the last characters of a longer text, ``most`` in all."""
    if len(text) <= most:
        return text
    start = (most - 5) * 2 // 3
    return f"{text[:start]} ... {text[len(text) - (most - 5 - start) :]}"


def markup(text: str) -> str:
    """A text for HTML, SVG and XML, between tags and within the quotes of an attribute."""
    return html.escape(one_line(text))


def link(url: str) -> str:
    """An address to link to, or nothing: only http and https are linked, never a script or a file."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    plain = re.fullmatch(r"[^\s\"'<>\\`{}|^]+", url) and not UNSEEN.search(url)
    return url if plain and parts.scheme in ("http", "https") and parts.hostname else ""


def markdown(text: str) -> str:
    """A text for Markdown in which nothing is emphasized or linked; what is between backticks stays code.

    The ``|`` stays as it is: a row of a table escapes it in all of its cells.
    """
    return MARKDOWN.sub(lambda match: match[1] or _escaped(match[0]), one_line(text))


def markdown_link(text: str, url: str) -> str:
    """A link in Markdown, or its text alone where the address must not be linked."""
    return f"[{markdown(text)}](<{url}>)" if link(url) else markdown(text)


def latex(text: str) -> str:
    """A text for LaTeX."""
    return "".join(LATEX.get(character, character) for character in one_line(text))


def csv_cell(text: str) -> str:
    """A text for CSV. An apostrophe before it keeps a spreadsheet from computing it as a formula."""
    text = one_line(text)
    formula = FORMULA.match(text) and len(text.strip()) > 1 and not NUMBER.fullmatch(text)
    return f"'{text}" if formula else text


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that a terminal can show, compact without an indent."""
    return UNSEEN.sub(
        lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1],
        json.dumps(value, indent=indent, separators=(",", ": " if indent else ":"), ensure_ascii=False),
    )


def _escaped(character: str) -> str:
    return "&amp;" if character == "&" else f"\\{character}"


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"
