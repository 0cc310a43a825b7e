"""Caches that were damaged, and processes that were killed: an error says what, and what to do."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archzoo.data import EpochBatches, ImageSet, Pipeline, load_batches, watched_workers
from archzoo.data import _cache as cache
from archzoo.data._conversion import Conversion
from archzoo.data._packing import EncodedImage, packed
from archzoo.errors import DataError

CLASSES = ("even", "odd")


def cached_noise() -> ImageSet:
    pixels = torch.randint(0, 256, (6, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = [cache.DecodedImage(image, number % 2) for number, image in enumerate(pixels)]
    return cache.cached("noise", "key", CLASSES, 3, lambda: images)


def packed_bytes() -> Any:
    images = [EncodedImage(bytes([number] * 100), number % 2, f"image {number}") for number in range(6)]
    return packed("bytes", "key", CLASSES, Conversion(3), lambda: images, shorter_side=None, on_corrupt="error")


def flip(file: Path, place: int) -> None:
    """Change one bit, and keep the length and the times of the file."""
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("name", ["pixels.u8", "index.safetensors", "about.json"])
def test_one_flipped_bit_in_a_cache_is_noticed(name: str) -> None:
    cached_noise()
    folder = cache.folder_of("noise", "key")
    file = folder / name
    place = file.read_bytes().index(b"even") if name == "about.json" else -1
    flip(file, place)
    with pytest.raises(DataError, match=rf"the cache {folder} is corrupt \({name} was changed\): delete it to decode"):
        cached_noise()


@pytest.mark.parametrize(("name", "place"), [("images.bin", 250), ("index.safetensors", -1), ("about.json", 12)])
def test_one_flipped_bit_in_packed_images_is_noticed(name: str, place: int) -> None:
    packed_bytes()
    folder = cache.folder_of("bytes", "packed key None")
    flip(folder / name, place)
    with pytest.raises(DataError, match="image 2|is corrupt") as caught:
        [packed_bytes().source.find(number) for number in range(6)]
    assert str(folder) in str(caught.value)
    assert "delete" in str(caught.value)


def test_small_sets_are_in_memory_whatever_becomes_of_the_cache() -> None:
    images = cached_noise()
    before = images.take(torch.arange(6))
    folder = cache.folder_of("noise", "key")
    os.truncate(folder / "pixels.u8", 0)
    shutil.rmtree(folder)
    assert isinstance(before, Tensor)
    assert torch.equal(images.take(torch.arange(6)), before)  # type: ignore[arg-type]


def test_a_cache_without_room_says_where_and_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ARCHZOO_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"could not write the cache of noise in .*file.cache: Not a directory; make room"
    ):
        cached_noise()


class Fatal(ImageSet):
    """Images whose preparation kills its process, or fails in it, but not in the one that trains."""

    how = ""

    def transform(self, indices: Tensor, pipeline: Pipeline, numbers: Tensor | None = None) -> Any:
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise DataError("cat.png is corrupt or not an image")


def test_a_worker_ends_with_the_process_that_trains_even_where_that_has_ended_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[dict[str, Any]] = []

    def start(*_: Any, **settings: Any) -> list[Any]:
        started.append(settings)
        return []

    parents: list[int] = []
    monkeypatch.setattr("archzoo.data._loading.DataLoader", start)
    monkeypatch.setattr("archzoo.data._workers.end_with_parent", parents.append)
    monkeypatch.setattr("archzoo.data._workers.obey_parent_alone", lambda: None)
    assert not list(load_batches(EpochBatches(cached_noise(), Pipeline(()), 2, 0, 0), workers=1))
    started[0]["worker_init_fn"](0)
    assert parents == [os.getpid()]


class Signaled(ImageSet):
    """Images of which each preparation brings SIGTERM of a batch system to its process."""

    def transform(self, indices: Tensor, pipeline: Pipeline, numbers: Tensor | None = None) -> Any:
        subprocess.run(["kill", "-TERM", str(os.getpid())], check=True)
        return super().transform(indices, pipeline, numbers)


@pytest.mark.skipif(sys.platform != "linux", reason="who sent a signal is known on Linux only")
def test_a_worker_works_on_where_a_batch_system_stops_all_processes_of_a_job() -> None:
    images = cached_noise()
    signaled = Signaled(**{name: getattr(images, name) for name in images.__dataclass_fields__})
    batches = EpochBatches(signaled, Pipeline(()), 2, 0, 0)
    with watched_workers():
        assert len(list(load_batches(batches, workers=1))) == len(batches) == 3
    loaded = load_batches(batches, workers=1)
    next(loaded)
    workers = multiprocessing.active_children()
    for worker in workers:
        for _ in range(100):  # one that comes while another one waits to be read is lost
            worker.terminate()  # the word of its parent
            worker.join(0.1)
            if not worker.is_alive():
                break
        assert worker.exitcode == 0
    assert len(workers) == 1
    loaded.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("killed", r"process \d+, which prepared images, was killed, perhaps as memory ran out: use fewer"),
        ("failed", r"^cat.png is corrupt or not an image$"),
    ],
)
def test_a_worker_that_is_killed_or_fails_is_one_line(how: str, message: str) -> None:
    images = cached_noise()
    fatal = Fatal(**{name: getattr(images, name) for name in images.__dataclass_fields__})
    object.__setattr__(fatal, "how", how)
    with pytest.raises(DataError, match=message) as caught, watched_workers():
        list(load_batches(EpochBatches(fatal, Pipeline(()), 2, 0, 0), workers=1))
    assert "\n" not in str(caught.value)
