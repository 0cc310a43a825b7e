"""The Hub's client is replaced by a folder: what is sent is what comes back."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import archzoo
from archzoo.errors import MissingDependency, WeightsError
from archzoo.weights._hub import from_hub, push

huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def upload_folder(*, repo_id: str, folder_path: str, commit_message: str) -> str:
        shutil.copytree(folder_path, tmp_path / repo_id)
        return f"https://hub/{repo_id}"

    def download(repo_id: str, filename: str, revision: str | None = None) -> str:
        path = tmp_path / repo_id / filename
        if not path.exists():
            raise huggingface_hub.errors.LocalEntryNotFoundError(f"no {filename}\nand more")
        return str(path)

    monkeypatch.setattr(huggingface_hub, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "upload_folder", upload_folder)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return tmp_path


def test_a_network_comes_back_as_it_was_pushed(hub: Path) -> None:
    net = archzoo.build("resnet20", num_classes=4).eval()
    assert push(net, "me/resnet20", "resnet20", num_classes=4) == "https://hub/me/resnet20"
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(from_hub("me/resnet20").eval()(images), net(images))
    assert "Deep Residual Learning" in (hub / "me" / "resnet20" / "README.md").read_text()


def test_what_is_not_there_is_one_line(hub: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"could not download model.safetensors from me/nothing: no model.safetensors$"
    ):
        from_hub("me/nothing")


def test_a_refused_push_is_one_line(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise huggingface_hub.errors.HFValidationError("a wrong name\nand more")

    monkeypatch.setattr(huggingface_hub, "create_repo", refuse)
    with pytest.raises(WeightsError, match=r"could not push to me/resnet20: a wrong name$"):
        push(archzoo.build("resnet20"), "me/resnet20", "resnet20")


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependency, match=r"pip install 'archzoo\[hub\]'"):
        from_hub("me/resnet20")
