"""Files are there whole, or as they were."""

import os
import resource
import stat
import threading
from pathlib import Path

import pytest

from archzoo.errors import OutputError
from archzoo.files import atomic_write, check_folder, check_writable, is_stream, write_text


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


def test_missing_folders_are_made_and_a_check_leaves_none(tmp_path: Path) -> None:
    target = tmp_path / "new" / "er" / "table.csv"
    check_writable(target)
    check_folder(target.parent)
    assert list(tmp_path.iterdir()) == []
    write_text(target, "all")
    assert target.read_text() == "all"


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    file, link, dangling = tmp_path / "elsewhere" / "file", tmp_path / "link", tmp_path / "dangling"
    file.write_text("old")
    link.symlink_to(file)
    dangling.symlink_to(tmp_path / "elsewhere" / "none")
    for target in (link, dangling):
        check_writable(target)
        write_text(target, "new")
        assert target.is_symlink()
        assert target.read_text() == "new"
    assert file.read_text() == "new"
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2


def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(pipe, "all")
    reader.join(timeout=10)
    assert received == ["all"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_through_and_stays_what_it_is(tmp_path: Path) -> None:
    """By links, so that a failure replaces these, and not the devices."""
    for name in ("null", "full"):
        link = tmp_path / name
        link.symlink_to(f"/dev/{name}")
        check_writable(link)
        assert is_stream(link)
        if name == "full":
            with pytest.raises(OSError, match="No space left on device"):
                write_text(link, "all")
        else:
            write_text(link, "all")
        assert link.is_symlink()
        assert stat.S_ISCHR(link.stat().st_mode)


def test_an_open_file_is_added_to(tmp_path: Path) -> None:
    """As a shell's ``>> table.csv`` and ``--output /dev/stdout`` ask for."""
    with (tmp_path / "table.csv").open("ab", buffering=0) as file:
        file.write(b"before, ")
        write_text(Path(f"/dev/fd/{file.fileno()}"), "all")
    assert (tmp_path / "table.csv").read_text() == "before, all"


def test_a_new_file_has_the_mode_of_the_umask_and_another_one_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        for name, mode in (("new", 0o640), ("old", 0o604)):
            target = tmp_path / name
            if name == "old":
                target.touch()
                target.chmod(mode)
            with atomic_write(target) as partial:
                partial.unlink()
                os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))  # as safetensors makes its files
            assert stat.S_IMODE(target.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_what_cannot_be_written_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for target, reason in {
        tmp_path / "folder": "it is a folder",
        tmp_path / "file" / "table.csv": "file is a file",
        tmp_path / "loop": "Too many levels of symbolic links",
        Path("/proc/none/table.csv"): "No such file or directory",
    }.items():
        with pytest.raises(OutputError, match=f"cannot be written: .*{reason}"):
            check_writable(target)
    for folder in (tmp_path / "file", Path("/proc/none")):
        with pytest.raises(OutputError, match="cannot be a folder for output"):
            check_folder(folder)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder", "loop"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_and_a_folder_that_are_read_only_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o400)
    (tmp_path / "folder").mkdir(0o500)
    for target in (tmp_path / "file", tmp_path / "folder" / "table.csv"):
        with pytest.raises(OutputError, match="read-only|Permission denied"):
            check_writable(target)


def test_a_file_that_grows_too_large_leaves_the_old_one(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the same call of the system fails."""
    target = tmp_path / "table.csv"
    target.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_text(target, "x" * 2**21)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
