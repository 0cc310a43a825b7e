from pathlib import Path

import pytest

from archzoo.report.readme import fill

README = Path(__file__).parents[1] / "README.md"


def test_the_tables_of_the_readme_are_what_the_project_prints() -> None:
    text = README.read_text(encoding="utf-8")
    assert fill(text) == text, "run python scripts/readme_tables.py"


def test_a_readme_without_a_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the markers"):
        fill("# archzoo\n")
