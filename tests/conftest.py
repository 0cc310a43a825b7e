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


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
