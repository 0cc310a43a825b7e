"""Every example of README and guide runs as it stands, but for what needs a download."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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


PYTHON = [pytest.param(code, id=name) for name, code in blocks("python") if not any(one in code for one in ELSEWHERE)]
LINES = [line for _, block in blocks("") for line in block.splitlines() if line and not line.startswith("make")]
SHELL = [line for line in LINES if not any(one in line for one in (*ELSEWHERE, *LONG))]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", PYTHON)
def test_a_block_of_python_runs(code: str, tmp_path: Path) -> None:
    done = run([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", SHELL)
def test_a_command_runs(line: str, tmp_path: Path) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program == "archzoo":
        command = [sys.executable, "-m", "archzoo", *arguments]
    else:
        assert program == "python"
        command = [sys.executable, str(ROOT / arguments[0]), *arguments[1:]]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr


def test_most_examples_are_among_them() -> None:
    assert len(PYTHON) >= 4
    assert len(SHELL) >= 8
