import importlib.util
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)  # pytest runs one worker a core

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
