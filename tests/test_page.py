"""The page, in a real browser: sorted, filtered, opened by hand and by keyboard, and no request leaves it."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import archzoo
from archzoo.auditor import profiled
from archzoo.escaping import markup
from archzoo.paper import DATA
from archzoo.profiler import profile
from archzoo.registry import results
from archzoo.report._papers import name_and_year, short_name
from archzoo.report.page import page
from archzoo.report.page._network import Network
from archzoo.report.page._overview import row
from archzoo.report.page._sections import section
from archzoo.results import read_measured
from tests.networks import EVERY_NET

# The page is made once, for all of these tests.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("profiles")]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


# DenseNets, LeNets, ResNets and VGGs; with EVERY_NET=1 every network.
PATTERN = "*" if EVERY_NET else "[dlrv]*"
NAMES = archzoo.names(PATTERN)


@pytest.fixture(scope="session")
def html() -> str:
    return page(PATTERN)


@pytest.fixture(scope="session")
def file(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "zoo.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("no Chromium is installed: scripts/install_browser.sh does that on Debian")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Any]:
    """The page in a tab of its own; behind the test, nothing was complained of and nothing asked for."""
    tab = browser.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    yield tab
    tab.close()
    assert complaints == []
    assert {url.partition("#")[0] for url in asked} == {file.as_uri()}


def shown(tab: Any) -> list[str]:
    names: list[str] = tab.eval_on_selector_all(
        "#networks tbody tr", "rows => rows.filter(row => !row.hidden).map(row => row.dataset.name)"
    )
    return names


def test_it_is_one_file_of_nine_and_a_half_kilobytes_a_network_with_all_networks_of_the_pattern(html: str) -> None:
    assert len(html.encode()) < 9_500 * len(NAMES)
    assert re.findall(r'<tr data-name="(\w+)"', html) == NAMES
    assert re.findall(r'<details class="net" id="net-(\w+)"', html) == NAMES
    assert not re.search(r'(?:src|href)="(?!#|https://(?:doi|arxiv|www|proceedings|papers)\b)', html)


def test_what_was_trained_here_is_in_the_section_of_its_network(html: str) -> None:
    runs = read_measured()
    sections = dict(re.findall(r'(?s)<details class="net" id="net-(\w+)">(.*?)</details>', html))
    assert {name for name, text in sections.items() if "<h3>Measured here</h3>" in text} == (
        {run.network for run in runs} & set(NAMES)
    )
    for run in runs:
        if run.network in NAMES:
            assert f"<td>{run.error:.2f}%" in sections[run.network]
            assert markup(run.command) in sections[run.network]


def test_every_element_is_closed(html: str) -> None:
    open_now: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "input", "br"}:
                open_now.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_now.pop() == tag

    Reader().feed(html)
    assert open_now == []


def test_what_comes_from_a_registered_name_is_escaped() -> None:
    entry = archzoo.find("lenet5_textbook")
    evil = '<img src=x onerror="alert(1)">'
    paper = replace(entry.paper, title=evil, authors=evil)
    fields: dict[str, Any] = {"paper": paper, "input_size": (1, 32, 32), "summary": evil, "differences": (evil,)}
    fields |= {"options": {evil: evil}, "fixed": {}, "family": "lenet5_textbook"}
    cost = profile(archzoo.build("lenet5_textbook", device="meta"), (1, 32, 32))
    evil_name: Any = SimpleNamespace(name=evil, **fields)
    registered_name: Any = SimpleNamespace(name="lenet5_textbook", **fields)
    written = row(Network(evil_name, cost, (), (), ""))
    # The section's recipe is of a registered name.
    written += section(Network(registered_name, cost, (), (), ""))
    registered_name.family = evil  # of a setting
    written += section(Network(registered_name, cost, (), (), ""))
    assert "&lt;img" in written
    assert "<img" not in written


def test_a_column_sorts_both_ways(opened: Any) -> None:
    button = opened.locator("#networks th button", has_text="parameters")
    cost = {name: profiled(name).params for name in NAMES}
    button.click()
    assert [cost[name] for name in shown(opened)] == sorted(cost.values())
    assert opened.locator("th[aria-sort=ascending]").inner_text().startswith("parameters")
    button.press("Enter")
    assert [cost[name] for name in shown(opened)] == sorted(cost.values(), reverse=True)


def test_words_and_verdicts_filter_table_chart_and_sections(opened: Any) -> None:
    opened.fill("#search", "densenet 2017")
    assert shown(opened) == archzoo.names("densenet*")
    assert opened.locator("#shown").inner_text() == f"{len(archzoo.names('densenet*'))} of {len(NAMES)} networks"
    points = opened.eval_on_selector_all("#chart g[data-name]", "points => points.map(point => point.dataset.name)")
    assert points
    assert all(name.startswith("densenet") for name in points)
    assert not opened.locator("#net-resnet50").is_visible()
    opened.select_option("#verdict", "explained")
    explained = {claim.name for claim in archzoo.audit("densenet*") if claim.verdict == "explained"}
    assert set(shown(opened)) == explained
    opened.fill("#search", "nothing is called so")
    assert shown(opened) == []
    assert "No published error" in opened.locator("#chart").text_content()


def test_a_network_opens_by_click_and_by_keyboard_with_its_counts(opened: Any) -> None:
    opened.click("#networks a[href='#net-resnet50']")
    details = opened.locator("#net-resnet50")
    assert details.evaluate("details => details.open")
    assert "25,557,032" in details.inner_text()
    assert "cut off, not rounded" in details.inner_text()
    assert details.locator("svg").is_visible()
    opened.locator("#net-vgg_d summary").focus()
    opened.keyboard.press("Enter")
    assert opened.locator("#net-vgg_d").evaluate("details => details.open")


def test_points_and_rows_are_linked(opened: Any) -> None:
    point = opened.locator("#chart g[data-name=densenet121]")
    point.focus()
    assert opened.locator("#networks tr.on").get_attribute("data-name") == "densenet121"
    opened.keyboard.press("Enter")
    assert opened.locator("#net-densenet121").evaluate("details => details.open")
    opened.hover("#networks tr[data-name=resnet50] td:first-child")
    assert opened.locator("#chart g.on").first.get_attribute("data-name") == "resnet50"


def errors_by_name(data: str, protocol: str) -> dict[str, float]:
    """The lowest published error of each network with its default options."""
    errors: dict[str, float] = {}
    for result in results(data=data):
        if result.protocol == protocol and not result.options and result.name in NAMES:
            errors[result.name] = min(result.error, errors.get(result.name, 100.0))
    return errors


def test_a_chart_has_the_errors_of_one_test_protocol(opened: Any) -> None:
    def points() -> dict[str, float]:
        labels = opened.eval_on_selector_all("#chart g", "points => points.map(point => point.ariaLabel)")
        return {
            name: float(error) for name, error in (re.findall(r"^(\w+),.*\): (\S+)%", label)[0] for label in labels)
        }

    for data in DATA:
        opened.select_option("#errors", data)
        published = {result.protocol for result in results(data=data) if result.name in NAMES and not result.options}
        offered = opened.eval_on_selector_all("#protocol option", "options => options.map(option => option.value)")
        assert set(offered) == published
        for protocol in offered:
            opened.select_option("#protocol", protocol)
            assert points() == errors_by_name(data, protocol)
    opened.select_option("#errors", "imagenet top-1")
    opened.select_option("#protocol", "single crop")
    assert points()["resnet50"] == 23.3  # the best of Table 2 and Tables 10 to 16 of SENet, and of the release
    opened.select_option("#protocol", "dense, several scales")
    assert points()["resnet50"] == 20.74  # Table 4 of ResNet


def test_colors_and_shapes_are_those_of_papers_in_the_legend(opened: Any) -> None:
    def drawn(selector: str) -> set[tuple[str, ...]]:
        marks = opened.eval_on_selector_all(
            selector,
            "all => all.map(mark => [mark.className.baseVal, mark.getAttribute('d').replace(/[-0-9. ]/g, '')])",
        )
        return {tuple(mark) for mark in marks}

    assert drawn("#chart path") == drawn("#legend path")
    texts = opened.eval_on_selector_all("#legend li:has(svg)", "all => all.map(item => item.textContent)")
    networks = errors_by_name("imagenet top-1", "single crop")
    assert set(texts) == {name_and_year(archzoo.find(name).paper) for name in networks}
    assert {"VGG (2014)", "ResNet (2015)", "DenseNet (2017)"} <= set(texts)


def test_every_paper_has_a_short_name() -> None:
    papers = {archzoo.find(name).paper.title: archzoo.find(name).paper for name in archzoo.names()}
    names = {title: short_name(paper) for title, paper in papers.items()}
    assert not [name for name in names.values() if name in names]
    assert names["Deep Residual Learning for Image Recognition"] == "ResNet"


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_no_table_is_cut_at_the_right_edge(opened: Any, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 800})
    opened.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    cut = """all => all.filter(table => table.scrollWidth > table.clientWidth + 1).map(table => table.innerText)"""
    assert opened.eval_on_selector_all(".wide", cut) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_its_text_can_be_read_in_light_and_dark(browser: Any, file: Path, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    ink, back = (
        tab.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g).slice(0, 3).map(Number)")
        for name in ("color", "backgroundColor")
    )
    assert contrast(ink, back) > 7  # WCAG's AAA
    assert (sum(back) < 200) == (scheme == "dark")
    context.close()


def contrast(first: list[int], second: list[int]) -> float:
    """The ratio of two luminances (WCAG 2)."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: list[int]) -> float:
    linear = [(part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4) for part in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
