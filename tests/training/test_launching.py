"""Several processes of one command: they end together, with one error and its code. The processes are small scripts."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from archzoo.training import _launching as launching
from archzoo.training._launching import Launched, forwarding

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes end with their launcher on Linux only")

# Each process runs the line of its rank.
SCRIPT = """
import json, os, signal, sys, time
def fail(message, code):
    report = json.dumps({"message": message, "code": code, "time": time.monotonic()}).encode()
    os.write(int(os.environ["ARCHZOO_ERRORS"]), report)
    sys.exit(code)
exec(sys.argv[1 + int(os.environ["RANK"])])
"""


def launched(*lines: str) -> Launched:
    return Launched(len(lines), list(lines), command=(sys.executable, "-S", "-c", SCRIPT))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "GRACE", 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "code", "error"),
    [
        (("pass", "pass"), 0, ""),
        (("time.sleep(60)", "fail('no such image', 2)"), 2, "archzoo: no such image\n"),
        (("fail('no room', 2)", "time.sleep(0.1); fail('connection lost', 1)"), 2, "archzoo: no room\n"),
        (("fail('Traceback of a bug', 1)", "time.sleep(60)"), 1, "Traceback of a bug\n"),
        (("sys.exit(143)", "sys.exit(143)"), 143, ""),
        # What a killed process did to the others is no news.
        (("time.sleep(0.1); fail('lost', 1)", "os.kill(os.getpid(), 9)"), 137, "process 1 was ended by SIGKILL"),
        (("time.sleep(60)", "os.kill(os.getpid(), 9)"), 137, "process 1 was ended by SIGKILL"),
        (("time.sleep(60)", "sys.exit(143)"), 143, ""),
        (("os.kill(os.getpid(), signal.SIGBUS)", "time.sleep(60)"), 135, "process 0 was ended by SIGBUS"),
        (("fail('bad', 2)", "time.sleep(0.1); os.abort()"), 2, "archzoo: bad\n"),
    ],
)  # fmt: skip
def test_the_first_error_is_shown_once_and_gives_the_code(
    lines: tuple[str, ...], code: int, error: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with launched(*lines) as processes:
        assert processes.wait() == code
        assert all(process.poll() is not None for process in processes.ranks)
    shown = capfd.readouterr().err
    assert (shown.startswith(f"archzoo: {error}") or shown == error) if error else not shown
    assert shown.count("\n") == bool(error)


@pytest.mark.slow
def test_sigterm_reaches_every_process_and_gives_143(capfd: pytest.CaptureFixture[str]) -> None:
    stops = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print('ready', flush=True); time.sleep(60)"
    with launched(stops, "time.sleep(60)") as processes:  # the second one has no handler yet
        end = time.monotonic() + 20
        while "ready" not in capfd.readouterr().out and time.monotonic() < end:
            time.sleep(0.02)
        processes.stop(signal.SIGTERM)
        assert processes.wait() == 143
    assert capfd.readouterr().err == "archzoo: stopped; rerun the command to resume\n"


SLEEPS = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); print('ready', flush=True); time.sleep(60)"
LOSES_IT = SLEEPS.replace("sys.exit(143)", "fail('Traceback: connection lost', 1)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "lines", "code"),
    [
        ([signal.SIGINT], (SLEEPS, SLEEPS), 130),
        ([signal.SIGHUP], (SLEEPS, SLEEPS), 129),
        ([signal.SIGTERM], (SLEEPS, LOSES_IT), 143),  # one stops before it meets the other
        ([signal.SIGINT, signal.SIGINT], ("print('ready', flush=True); time.sleep(60)",) * 2, None),
    ],
)
def test_signals_of_a_terminal_stop_every_process_with_a_checkpoint(
    numbers: list[int], lines: tuple[str, ...], code: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """The launcher gets them alone: its processes ignore them, and get SIGTERM."""
    with pytest.raises(KeyboardInterrupt) if code is None else nullcontext(), launched(*lines) as processes:
        end, out = time.monotonic() + 20, ""
        while out.count("ready") < len(lines) and time.monotonic() < end:
            out += capfd.readouterr().out
            time.sleep(0.02)
        for process in processes.ranks:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGHUP)
        with forwarding(processes):
            for number in numbers:
                os.kill(os.getpid(), number)
            assert processes.wait() == code
    assert all(process.poll() is not None for process in processes.ranks)
    assert "Traceback" not in capfd.readouterr().err


def test_processes_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    code = (
        "from archzoo.training._launching import Launched\n"
        f"with Launched(2, ['-c', 'import time; time.sleep(60)'], command=({sys.executable!r}, '-S')) as launched:\n"
        "    print(*(process.pid for process in launched.ranks), flush=True)\n"
        "    launched.wait()\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    pids = launcher.stdout.readline().split()
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    launcher.stdout.close()
    end = time.monotonic() + 10
    while any(map(runs, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert len(pids) == 2
    assert not any(map(runs, pids))


def runs(pid: str) -> bool:
    """Whether there is such a process that has not ended: one that nobody has waited for yet is in state Z."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
