from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that a test finds: beside the folder of its images."""
    monkeypatch.setenv("ARCHZOO_CACHE", str(tmp_path / "cache"))
