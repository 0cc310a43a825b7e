"""What is generated, in README and the documentation, is what the project prints today."""

import json
from itertools import islice
from pathlib import Path

import pytest

import archzoo
from archzoo.auditor import Differences
from archzoo.errors import ReportError
from tools.generate import FILLED
from tools.paper_pages import _differences, _page
from tools.readme import fill, tables

ROOT = Path(__file__).parents[1]
MEASURED = json.loads((ROOT / "benchmarks" / "committed.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.xdist_group("profiles")  # in the process that has the profiles
def test_the_tables_are_what_the_project_prints() -> None:
    generated = tables(MEASURED)
    texts = [file.read_text(encoding="utf-8") for file in FILLED]
    for text in texts:
        assert fill(text, generated) == text, "run python -m tools.generate"
    assert all("".join(texts).count(f"<!-- {name} -->") == 1 for name in generated)


def test_every_network_is_in_the_readme_under_its_full_name() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in archzoo.names() if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- a -->", "needs the markers <!-- a --> and <!-- /a -->"),
        ("<!-- a --> <!-- /a --> <!-- a -->", "once each"),
        ("<!-- b --> <!-- /b -->", "no table is called 'b'; there are a"),
    ],
)
def test_a_marker_that_is_wrong_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        fill(text, {"a": "| |"})


def test_a_papers_page_is_titled_by_the_network_and_its_year() -> None:
    entry = archzoo.find("resnet50")
    title, about = list(islice(_page(entry.paper, [entry], [], [], "resnet.svg"), 2))
    assert title == "# ResNet (2015)"
    assert about.startswith("\n**Deep Residual Learning for Image Recognition**, K. He, ")


def test_a_papers_page_lists_the_differences_from_the_release() -> None:
    group = Differences(("nin", "nin_imagenet"), "Network In Network", ("`lr_mult` is 1 in <all> layers.",))
    assert list(_differences([group])) == [
        "\n## Differs from the release\n",
        "- `nin`, `nin_imagenet`:",
        r"  - `lr_mult` is 1 in \<all\> layers.",
    ]
    assert list(_differences([])) == []
