"""What a run tells people, and how it stops."""

import os
import signal
import sys
import threading
from itertools import pairwise
from typing import Any

import pytest
import torch

import archzoo
from archzoo.data import Splits
from archzoo.recipes import Duration, spell_seconds
from archzoo.registry import find_recipe
from archzoo.training import Distributed, RunConfig, Score, log_to_stderr
from archzoo.training._reporting import Pulse, introduce
from archzoo.training._stopping import last_signal, on_stop_signal, share_signal


def test_a_run_says_what_it_starts(few: Splits, tmp_path: "os.PathLike[str]") -> None:
    recipe = find_recipe("resnet20", "digits").with_changes(epochs=1, batch_size=32)
    net = archzoo.build("resnet20", device="meta")
    lines = list(introduce("resnet20", net, few, recipe, RunConfig(), torch.device("cpu"), tmp_path))  # type: ignore[arg-type]
    assert lines == [
        "resnet20: 269,722 parameters, on cpu in float32",
        "digits: 256 training, 64 validation, 64 test images",
        "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        f"recipe digits: 1 epoch, 8 steps of 32 images, {recipe.optimizer.name} at lr {recipe.lr:g}",
        f"writing to {tmp_path}",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_without_a_terminal_there_is_a_line_every_half_a_minute_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """100 iterations of 4 seconds: after 40 seconds, 10 are done and 90 are left, which take 360 seconds."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    now, lines = [0.0], list[tuple[float, str]]()
    pulse = Pulse(lambda line: lines.append((now[0], line)), Duration(100, 50), lambda: now[0])
    pulse.start(0)
    for iteration in range(1, 101):
        now[0] += 4
        pulse.train(iteration, lambda: 1.5)
    if terminal:
        assert lines == []
        return
    times = [0.0, *(time for time, _ in lines)]
    assert max(after - before for before, after in pairwise(times)) <= 30
    assert (40, "epoch 1 of 2, iteration 10 of 100: loss 1.5000, 6 min left") in lines
    pulse.evaluate("digits", 5, 10)
    now[0] += 21
    pulse.evaluate("digits", 6, 10)
    assert lines[-1][1] == "evaluating digits: 6 of 10"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (4.04e-8, "40.4 ns"),
        (0.0485, "48.5 ms"),
        (1, "1 s"),
        (59.4, "59.4 s"),
        (59.6, "1 min"),
        (252, "4 min 12 s"),
        (3599.7, "1 h"),
        (7980, "2 h 13 min"),
        (200_000, "2 days 8 h"),
    ],
)
def test_a_time_has_the_units_that_fit(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_request_and_its_handler_is_restored(number: signal.Signals) -> None:
    before, requests = signal.getsignal(number), list[int]()
    with on_stop_signal(requests.append):
        os.kill(os.getpid(), number)
        assert requests == [number]
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once_except_in_a_process_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[int] = []
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "0")  # what a scheduler has left
    with on_stop_signal(requests.append):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with on_stop_signal(requests.append):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
    assert requests == [signal.SIGINT] * 4


def test_a_signal_that_python_does_not_handle_is_left_to_who_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program around Python may have a handler, which Python could not set back: training would fail at its end."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGINT else signal.SIG_DFL)
    handled: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: handled.append(number))
    with on_stop_signal(lambda number: None):
        pass
    assert sorted(handled) == sorted(2 * [signal.SIGTERM, signal.SIGHUP])


def test_a_signal_in_the_last_moments_of_one_process_is_known_to_all() -> None:
    class Second(Distributed):
        def gather(self, value: Any) -> list[Any]:
            return [None, signal.SIGTERM] if value is None else [value, None]

    with on_stop_signal(lambda number: None):
        pass
    share_signal(Second())
    assert last_signal() == signal.SIGTERM
    thread = threading.Thread(target=lambda: on_stop_signal(lambda number: None).__enter__())
    thread.start()
    thread.join()
    assert last_signal() is None  # of another training: it has nothing to stop


def test_a_log_that_nobody_reads_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
        for _ in range(2):
            log_to_stderr("epoch 1 of 2")
    monkeypatch.undo()


def test_under_nohup_a_closed_terminal_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before, requests = signal.signal(signal.SIGHUP, signal.SIG_IGN), list[int]()
    try:
        with on_stop_signal(requests.append):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert requests == []


@pytest.mark.parametrize(
    ("classes", "text"), [(3, "66.67% top-1 accuracy"), (6, "66.67% top-1, 83.33% top-5 accuracy")]
)
def test_top_five_of_few_classes_are_not_said(classes: int, text: str) -> None:
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    confusion[0, 0], confusion[0, 1] = 4, 2
    score = Score(confusion, 5, 6.0, "single crop", tuple(map(str, range(classes))))
    assert str(score) == f"{text} on 6 images, single crop, loss 1.0000"
    assert score.to_dict()["top5"] == (None if classes == 3 else 5 / 6)
    assert (score + score).to_dict()["top1"] == score.top1
    assert (score + score).images == 12
