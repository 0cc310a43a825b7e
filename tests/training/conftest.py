"""Small pictures and networks to train."""

from pathlib import Path

import pytest
import torch

from archzoo.training.data import Splits, digits, split
from archzoo.training.preprocessing import Prepared, prepare


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def few() -> Splits:
    """Digits in 32x32: 256 to learn from, 64 to choose with, 64 for the test."""
    rest, test = digits(32)
    whole = split(rest, test, 0.1, 0)
    return Splits(
        whole.train.subset(torch.arange(256)),
        whole.validation.subset(torch.arange(64)),
        whole.test.subset(torch.arange(64)),
    )


@pytest.fixture(scope="session")
def prepared(few: Splits) -> Prepared:
    return prepare(("pad 2 and crop",), "mean and deviation by channel", few.train, 32)
