"""Files are there whole, or as they were."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from archzoo.files import atomic_write


def test_what_is_written_takes_the_place_of_what_was(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")
    with atomic_write(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
        assert partial.suffix == ".csv"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("old", [None, "old"])
def test_behind_a_failure_all_is_as_it_was(tmp_path: Path, old: str | None) -> None:
    target = tmp_path / "table.csv"
    if old:
        target.write_text(old)
    before = {path: path.read_text() for path in tmp_path.iterdir()}

    def stopped() -> None:
        with atomic_write(target) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/null", path)])
def test_a_file_takes_the_place_of_a_file_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "table.csv")
    with pytest.raises(OSError, match="something else than a file"), atomic_write(tmp_path / "table.csv") as partial:
        partial.write_text("all")
    assert not (tmp_path / "table.csv").is_file()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "none" / "table.csv") as partial:
        partial.write_text("all")
