"""Every example of README and guides runs and prints what stands below it, unless it needs a download or much time.

A ``python`` block is followed by a ``text`` block with its output, if it prints any. In a ``console`` block, commands
follow ``$``, and output follows its command. ``...`` stands for lines that are left out.
"""

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from itertools import pairwise
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
    "photos",
    "mine.nets",
    "resnet20-12fca82f.th",
    "net.py:Net",
    "lenet5_textbook.pt2",
    "inception-v1-12.onnx",
    "--install-completion",
)
LONG = (
    *("archzoo train", "archzoo reproduce", "archzoo export", "archzoo finetune", "archzoo report", "archzoo figures"),
    "torchrun",
    "benchmarks/mutants.py",
    *(
        "archzoo evaluate",
        "archzoo predict",
        "archzoo info run",
    ),  # of a trained network: tests/training/test_trained.py
)
# Commands of a shell, which other tests run where they can be run.
SETUP = ("git ", "cd ", "make ", "pip ", "source ")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def pythons() -> Iterator[tuple[str, str, str]]:
    """The page, the code, and the output of every block of Python."""
    for path in TEXTS:
        blocks = [match.groups() for match in BLOCK.finditer(path.read_text(encoding="utf-8"))]
        for (language, code), (next_language, output) in pairwise([*blocks, ("", "")]):
            if language == "python":
                yield path.stem, code, output if next_language == "text" else ""


def commands() -> Iterator[tuple[str, str]]:
    """Every command of a console block, with its output."""
    for path in TEXTS:
        for language, block in BLOCK.findall(path.read_text(encoding="utf-8")):
            if language == "console":
                assert block.startswith("$ "), f"{path.name}: a console block starts with a command"
                for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                    command, _, output = part.partition("\n")
                    yield command, output


def needs(text: str, *wanted: tuple[str, ...]) -> bool:
    return any(word in text for words in wanted for word in words)


def assert_printed(printed: str, expected: str) -> None:
    """Compare line by line, without spaces at the ends of lines and empty lines at the end."""
    lines = [re.escape(line.rstrip()) for line in expected.rstrip().splitlines()]
    pattern = "\n".join("(?:.*\n?)*?.*" if line == re.escape("...") else line for line in lines)
    actual = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    assert re.fullmatch(pattern, actual), f"printed:\n{actual}\nexpected:\n{expected}"


PYTHON = [pytest.param(code, output, id=page) for page, code, output in pythons() if not needs(code, ELSEWHERE)]
COMMANDS = [(command, output) for command, output in commands() if not command.startswith(SETUP)]
SHELL = [(command, output) for command, output in COMMANDS if not needs(command, ELSEWHERE, LONG)]


@pytest.mark.slow
@pytest.mark.parametrize(("code", "output"), PYTHON)
def test_a_block_of_python_prints_what_stands_below_it(
    code: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {"__name__": "__main__"})
    assert_printed(capsys.readouterr().out, output)


@pytest.mark.slow
@pytest.mark.xdist_group("profiles")  # in the process that has them: several list all networks
@pytest.mark.parametrize(("command", "output"), SHELL)
def test_a_command_prints_what_stands_below_it(
    command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: other tests start the command line itself. A command without output only has to run."""
    program, *arguments = shlex.split(command, comments=True)
    monkeypatch.chdir(tmp_path)
    if program == "archzoo":
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        printed = capsys.readouterr()
        assert done.value.code in (0, None), printed.err
        if output:
            assert_printed(printed.out or printed.err, output)
    else:
        assert program == "python"
        script = ROOT / arguments[0]
        monkeypatch.setattr(sys, "argv", [str(script), *arguments[1:]])
        monkeypatch.syspath_prepend(str(script.parent))
        runpy.run_path(str(script), run_name="__main__")


def test_most_examples_are_among_them() -> None:
    assert len(PYTHON) >= 8
    assert len(SHELL) >= 15
    assert sum(bool(output) for _, output in SHELL) >= 8


def test_every_command_has_an_example() -> None:
    named = {command.split()[1] for command, _ in COMMANDS if command.startswith("archzoo ")}
    registered = {
        command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback
    }
    groups = {group.name for group in cli.app.registered_groups}
    assert registered | groups <= named
