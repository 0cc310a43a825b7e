"""The command line within this process, for tests: no interpreter has to start."""

import sys
from typing import Protocol

import pytest

from archzoo import cli


class Shell(Protocol):
    """Runs ``archzoo`` with these arguments: exit code, standard output, standard error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Run ``archzoo`` with these arguments: exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["archzoo", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    out, err = capsys.readouterr()
    code = done.value.code
    return (code if isinstance(code, int) else 0), out, err
