"""Every example of README and guide runs as it stands, but for what needs a download."""

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archzoo import cli

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
# What these ask for is not here: other people's weights, data, modules and machines, or more time than a test has.
ELSEWHERE = (
    'weights="torchvision"',
    "--weights torchvision",
    "--to torchvision",
    "cifar10",
    "DIR",
    "mine.nets",
    "--install-completion",
)
LONG = ("archzoo train", "archzoo finetune", "archzoo report --html", "archzoo figures", "torchrun", "make ")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for path in TEXTS:
        for written, block in re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S):
            if written == language:
                yield path.stem, block


PYTHON = [pytest.param(code, id=name) for name, code in blocks("python") if not any(text in code for text in ELSEWHERE)]
LINES = [line for _, block in blocks("") for line in block.splitlines() if line and not line.startswith("make")]
SHELL = [line for line in LINES if not any(text in line for text in (*ELSEWHERE, *LONG))]


@pytest.mark.parametrize("code", PYTHON)
def test_a_block_of_python_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("line", SHELL)
def test_a_command_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within this process: the command line itself is started by tests of its own."""
    program, *arguments = shlex.split(line, comments=True)
    monkeypatch.chdir(tmp_path)
    if program == "archzoo":
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert done.value.code in (0, None)
    else:
        assert program == "python"
        script = ROOT / arguments[0]
        monkeypatch.setattr(sys, "argv", [str(script), *arguments[1:]])
        monkeypatch.syspath_prepend(str(script.parent))
        runpy.run_path(str(script), run_name="__main__")


def test_most_examples_are_among_them() -> None:
    assert len(PYTHON) >= 4
    assert len(SHELL) >= 8
