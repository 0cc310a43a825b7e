import gc
import importlib.util
import itertools
import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import pytest
import torch

from archzoo.data import Prepared, Splits, prepare
from archzoo.data._digits import load_digits
from archzoo.data._splits import split
from archzoo.recipes import Normalize, RandomCrop
from tests.shell import Shell, call

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before the first import of triton, which reads it
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as for a command that a shell starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
CACHE_NUMBERS = itertools.count()
torch.set_num_threads(1)  # pytest runs one worker a core
# A network is thousands of small objects that stay: looking through them for cycles took a quarter of building one.
gc.set_threshold(100_000, 50, 100)

if importlib.util.find_spec("torchvision"):
    # There is no torchvision for a CPU build of torch. Its import asks for two operators that its own library would
    # define; witnesses that import it never call them.
    _TORCHVISION = torch.library.Library("torchvision", "DEF")
    for _operator in ("nms", "qnms"):
        _TORCHVISION.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest with which pytest-xdist scatters what belongs to one process: nets would be built ten times."""
    grouped = session.config.getoption("loadgroup", False) and session.config.pluginmanager.hasplugin("xdist")
    if grouped and any(item.get_closest_marker("xdist_group") and "@" not in item.nodeid for item in session.items):
        raise pytest.UsageError(f"pytest {pytest.__version__} breaks --dist loadgroup: take that of constraints.txt")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def _temporary_cache(_caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache for each test. Few write to it, so its folder is not made here: that takes longer than most tests."""
    monkeypatch.setenv("ARCHZOO_CACHE", str(_caches / str(next(CACHE_NUMBERS))))


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line within this process."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return call(capsys, monkeypatch, *arguments)

    return run


@pytest.fixture(scope="session")
def few() -> Splits:
    """Digits in 32x32: 256 to learn from, 64 to choose with, 64 for the test."""
    rest, test = load_digits(32)
    whole = split(rest, test, 0.1, 0)
    return Splits(
        whole.train.subset(torch.arange(256)),
        whole.validation.subset(torch.arange(64)),
        whole.test.subset(torch.arange(64)),
    )


@pytest.fixture(scope="session")
def prepared(few: Splits) -> Prepared:
    return prepare((RandomCrop(padding=2),), Normalize(), few.train, 32)
