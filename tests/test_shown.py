"""Text that others wrote is shown as text: in each format, and as that format's own reader sees it."""

import csv
import io
import json
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.table import Table
from torch import nn

import archzoo
from archzoo import escaping
from archzoo.auditor import AuditResult, Differences
from archzoo.claims import params
from archzoo.escaping import csv_cell, json_text, latex, link, markdown, markdown_link, markup, one_line, printable
from archzoo.paper import Paper
from archzoo.profiler import profile
from archzoo.registry import _loading as loading
from archzoo.report import page, tables
from archzoo.report.diagram import Box, Series, draw
from archzoo.weights._hub import _card
from tests.shell import Shell

HOSTILE = (
    '</script><script>alert(1)</script><img src=x onerror="alert(2)">]]> " onload=\'alert(3)\' & |a|b| `code` '
    "[x](javascript:alert(4)) ![i](http://t/p.gif) *b* _i_ ~~s~~ $m$ \x1b]0;t\x07\x1b[2J\x9b31m\n\n# h"
    "\r\u2028x\u202ey\ufeff\U000e0041\ud800 \\input{/etc/passwd} \\\\[2pt] ^ ~ # % {} end"
)
UNSAFE = [
    *(chr(code) for code in (*range(32), *range(127, 160), 0x61C, *range(0x200E, 0x2010), *range(0x2028, 0x202F))),
    *(chr(code) for code in (*range(0x2066, 0x206A), 0xFEFF, 0xFFFE, 0xFFFF, 0xD800, 0xDFFF, 0xE0001, 0xE007F)),
]


@pytest.mark.parametrize("show", [one_line, markup, markdown, latex, csv_cell, json_text], ids=lambda f: f.__name__)
def test_no_format_gets_a_character_that_acts_on_its_reader(show: Any) -> None:
    shown = show(HOSTILE + "".join(UNSAFE))
    assert [character for character in UNSAFE if character in shown] == []
    shown.encode()


def test_what_people_write_stays_as_it_is() -> None:
    text = "Zürich 中文 العربية می‌خواهم 👩‍💻 “quoted” 3 < 4"
    assert one_line(text) == printable(text) == csv_cell(text) == text


def test_lines_stay_lines_on_a_terminal_and_become_spaces_elsewhere() -> None:
    assert printable("a\r\nb\n\tc\x1b") == "a\nb\n c\\u001b"
    assert one_line("a\r\nb\n\tc\x1b") == "a b c\\u001b"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|'/c calc'!A0", "'+cmd|'/c calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\t=1", "' =1"),
        ("\r\n@a", "' @a"),
        ("＝1", "'＝1"),  # noqa: RUF001
        *((text, text) for text in ("-", "-3.5", "+1e-5", "-1,234", "-12%", "3x3", "a=b", "", "−1")),  # noqa: RUF001
    ],
)
def test_a_spreadsheet_computes_nothing(text: str, cell: str) -> None:
    assert csv_cell(text) == cell


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"50% of $x_1$ & {a}", r"50\% of \$x\_1\$ \& \{a\}"),
        ("a\\b^c~d|`<>", r"a\textbackslash{}b\textasciicircum{}c\textasciitilde{}d\textbar{}\textasciigrave{}$<$$>$"),
        ("a\n\nb#", r"a b\#"),
    ],
)
def test_latex_has_no_commands(text: str, escaped: str) -> None:
    assert latex(text) == escaped


def test_a_row_of_latex_is_no_argument_of_the_one_before_it() -> None:
    from archzoo.report.tables._text import latex_row

    assert latex_row(["[2pt]", "a"]) == r"{}[2pt] & a \\"
    assert latex_row(["*", "a"]) == r"{}* & a \\"


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://arxiv.org/abs/1512.03385", True),
        ("http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf", True),
        *(
            (url, False)
            for url in (
                *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://a/b"),
                *(
                    "vbscript:x",
                    "//evil.org",
                    "/a",
                    "",
                    "https://",
                    "https:///a",
                    " https://a",
                    "https://a b",
                    "http://[x",
                ),
                *('https://a/"onclick="x', "https://a/<b>", "https://a\x00", "https://a/\u202e", "java\nscript:x"),
            )
        ),
    ],
)
def test_only_web_pages_are_linked(url: str, linked: bool) -> None:
    assert link(url) == (url if linked else "")
    assert markdown_link("a", url) == (f"[a](<{url}>)" if linked else "a")


def tokens(source: str) -> list[Any]:
    markdown_it = pytest.importorskip("markdown_it")
    found = markdown_it.MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(source)
    return [child for token in found for child in (token, *(token.children or []))]


@pytest.mark.parametrize("text", [HOSTILE, "`a", "``x`", "a`b`c", r"\`x`", "a_b_c _d_", "<b>", "a\\|b|", "&lt;", "$x$"])
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    found = tokens(tables.markdown_table(["a", "b"], [[markdown(text), "second"]]))
    kinds = {token.type for token in found}
    assert kinds.isdisjoint({"html_inline", "html_block", "link_open", "image", "em_open", "strong_open", "s_open"})
    cells = [token.content for token in found if token.type == "inline"]
    assert len(cells) == 4
    assert cells[3] == "second"
    shown = "".join(token.content for token in found if token.type in ("text", "text_special", "code_inline"))
    assert shown.replace("`", "").endswith("second")
    assert [word for word in one_line(text).replace("`", " ").split() if word not in shown.replace("`", " ")] == []


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markup_is_text_between_tags_and_within_quotes() -> None:
    tags = Tags()
    tags.feed(f"<p title=\"{markup(HOSTILE)}\" lang='{markup(HOSTILE)}'>{markup(HOSTILE)}</p>")
    ((tag, attributes),) = tags.found
    assert tag == "p"
    assert attributes == {"title": one_line(HOSTILE), "lang": one_line(HOSTILE)}
    assert tags.text == one_line(HOSTILE)
    assert ElementTree.fromstring(f"<p>{markup(HOSTILE)}</p>").text == one_line(HOSTILE)


def result(**changes: Any) -> AuditResult:
    texts = ("paper", "where", "printed", "why", "at", "counting", "setting", "to")
    values: dict[str, Any] = dict.fromkeys(texts, HOSTILE)
    return AuditResult(**{**values, "name": "lenet5", "quantity": "params", "ours": 5, "verdict": "match", **changes})


def test_an_audit_is_safe_in_every_format() -> None:
    results, differences = [result(), result(why="=HYPERLINK(1)")], [Differences(("lenet5",), HOSTILE, (HOSTILE,))]
    texts = {
        form: tables.write_audit(results, form, differences) for form in ("table", "markdown", "latex", "csv", "json")
    }
    assert all(not set(text) & (set(UNSAFE) - {"\n"}) for text in texts.values())
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [row["why"] for row in rows] == [one_line(HOSTILE), "'=HYPERLINK(1)", one_line(HOSTILE)]
    assert json.loads(texts["json"])[0]["why"] == HOSTILE.encode("utf-16", "surrogatepass").decode(
        "utf-16", "surrogatepass"
    )
    assert len([line for line in texts["markdown"].splitlines() if line.startswith("| match")]) == 2
    assert "\\input" not in texts["latex"]
    assert all(token.type not in ("html_inline", "link_open", "image") for token in tokens(texts["markdown"]))
    assert len(texts["table"].splitlines()) == len(tables.write_audit([result(why="a")] * 2, "table").splitlines()) + 3


def test_names_of_modules_are_text_in_profiles_and_diagrams() -> None:
    name = HOSTILE.replace(".", "")
    net = nn.Sequential()
    net.add_module(name, type(name.encode(errors="ignore").decode(), (nn.Linear,), {})(2, 3))
    counted = profile(net, (2,))
    assert not set(str(counted)) & (set(UNSAFE) - {"\n"})
    tags = Tags()
    tags.feed(counted._repr_html_())
    assert {tag for tag, _ in tags.found} <= {"table", "tr", "th", "td", "p", "div", "style"}
    for form in ("csv", "markdown"):
        assert not set(tables.write_profile(counted, form)) & (set(UNSAFE) - {"\n"})
    table: Table = tables.profile_table(counted)
    assert not set(tables.as_plain_text(table)) & (set(UNSAFE) - {"\n"})
    drawing = draw(Series((Box(name, HOSTILE, "conv", (HOSTILE,), (1, 2, 3), 5, 5, (HOSTILE,)),)), HOSTILE)
    root = ElementTree.fromstring(drawing)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg",
        "title",
        "style",
        "rect",
        "g",
        "text",
        "path",
    }
    assert not set(drawing) & (set(UNSAFE) - {"\n"})


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Paper:
    """The paper of another package, hostile in all of its texts."""
    paper = Paper(HOSTILE, HOSTILE, 1999, "javascript:alert(document.domain)", models="archzoo.models.lenet")
    paper.network("lenet5", params("60,000", HOSTILE), input_size=(1, 32, 32))
    paper.not_countable(HOSTILE, HOSTILE, HOSTILE)
    paper.results(HOSTILE, ("mnist",), HOSTILE, {"lenet5": (0.95,)})
    paper.no_recipe("lenet5", why=HOSTILE)
    registry = loading.Registry()
    registry.add(paper)
    monkeypatch.setattr(loading, "loaded", lambda: registry)
    for module in (archzoo.registry._networks, archzoo.registry._recipes):
        if hasattr(module, "loaded"):
            monkeypatch.setattr(module, "loaded", lambda: registry)
    monkeypatch.setattr("archzoo.results._rows.read_measured", list)  # of recipes that are not in this registry
    return paper


@pytest.mark.slow
def test_a_hostile_plugin_is_text_on_the_page(plugin: Paper) -> None:
    source = page.page("lenet5")
    tags = Tags()
    tags.feed(source)
    assert [tag for tag, _ in tags.found if tag in ("script", "img", "iframe")] == ["script", "script"]
    assert all(not name.startswith("on") for _, attributes in tags.found for name in attributes)
    links = {str(attributes["href"]) for tag, attributes in tags.found if tag == "a"}
    assert links == {"#net-lenet5"}
    assert not set(source) & (set(UNSAFE) - {"\n"})
    data = source.partition('id="data">')[2].partition("</script>")[0]
    protocols = json.loads(data)["errors"].values()
    [(_, _, where)] = [error for by_protocol in protocols for errors in by_protocol.values() for error in errors]
    assert where == HOSTILE.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@pytest.mark.parametrize(
    "command",
    [
        ("info", "lenet5"),
        ("audit", "lenet5"),
        ("audit", "lenet5", "--not-countable"),
        *(("audit", "lenet5", "--format", form) for form in ("csv", "json", "markdown", "latex")),
        ("profile", "lenet5"),
        ("recipe", "lenet5"),
    ],
    ids=" ".join,
)
def test_a_hostile_plugin_is_text_on_the_terminal(command: tuple[str, ...], plugin: Paper, shell: Shell) -> None:
    _, out, err = shell(*command)
    assert out + err
    assert not set(out + err) & (set(UNSAFE) - {"\n"})


def test_a_message_and_a_warning_are_one_line_on_the_terminal(shell: Shell) -> None:
    code, out, err = shell("info", "a\x1b[2J\nb\u202e")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.rstrip("\n").isprintable()


def test_the_card_of_a_network_links_only_to_web_pages(plugin: Paper) -> None:
    card = _card("me/net", "lenet5")
    assert "](" not in card.replace(r"\]", "")
    assert not set(card) & (set(UNSAFE) - {"\n"})
    assert all(
        token.type not in ("html_inline", "html_block", "link_open", "image")
        for token in tokens(card.partition("# ")[2])
    )


@pytest.mark.slow
def test_dollar_signs_in_a_figure_are_no_formula(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from archzoo.report import figures

    rows = [{"epoch": 1.0, "train_loss": 1, "train_error": 1, "validation_loss": 1, "validation_error": 1}]
    name = r"run $\frac$ a$b"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.training_curves({name: rows})
        figures.save(figure, tmp_path / "curves.svg")
    assert name in "".join(ElementTree.parse(tmp_path / "curves.svg").getroot().itertext())


def test_the_escaping_is_fast_for_long_text() -> None:
    assert len(escaping.one_line("\x1b" * 10**6, 500)) == 500
