import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)  # pytest runs one worker a core


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
