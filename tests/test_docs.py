"""The documentation is built without a warning: every page is reached, and every link within it leads somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from sphinx.cmd.build import build_main

import archzoo
from tests.networks import EVERY_NET
from tests.test_layout import PUBLIC

ROOT = Path(__file__).parents[1]
# What has pages of its own, or no user: models and papers are on the pages of the papers.
WITHOUT_REFERENCE = {
    "cli",
    "files",
    "models",
    "notebook_html",
    "restoring",
    "options",
    "papers",
    "processes",
    "ranges",
    "report",
    "wrappers",
}


@pytest.mark.slow
@pytest.mark.skipif(not EVERY_NET, reason="half a minute: with EVERY_NET=1")
@pytest.mark.xdist_group("profiles")  # in the process that has the profiles
@pytest.mark.filterwarnings("ignore")
def test_it_is_built_without_a_warning_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    assert build_main(["-q", "-W", "--keep-going", str(ROOT / "docs"), str(tmp_path)]) == 0
    pages = {page: page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")}
    anchors = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    for page, text in pages.items():
        for link in re.findall(r'\b(?:href|src)="([^"]*)"', text):
            if link.startswith(("http:", "https:", "data:", "mailto:")):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            assert target.exists(), f"{page.relative_to(tmp_path)} links to {link}"
            if anchor and target in anchors:
                assert anchor in anchors[target], f"{page.relative_to(tmp_path)} links to {link}"
    whole = "".join(pages.values())
    assert not [name for name in archzoo.names() if name not in whole]


def test_every_public_module_is_in_the_reference() -> None:
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md")]
    listed = [name for page in pages for name in re.findall(r"automodule:: (\S+)", page)]
    assert sorted(listed) == sorted(PUBLIC - {f"archzoo.{name}" for name in WITHOUT_REFERENCE})
