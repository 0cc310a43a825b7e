"""Batches are the same whatever the number of processes, workers and images per step."""

from itertools import count

import pytest
import torch
from torch import Tensor

from archzoo.data import EpochBatches, Prepared, Splits, load_batches
from archzoo.data._loading import copy_ahead
from archzoo.errors import DataError
from tests.fake_cuda import FakeStream, fake_cuda


def test_augmentation_depends_on_seed_epoch_and_image_alone(few: Splits, prepared: Prepared) -> None:
    def images_of(batch_size: int, seed: int, epoch: int, rank: int = 0, world_size: int = 1) -> dict[int, Tensor]:
        batches = EpochBatches(few.train, prepared.train, batch_size, seed, epoch, rank, world_size)
        images: dict[int, Tensor] = {}
        for step in range(len(batches)):
            own = batches.indices(step)[rank::world_size].tolist()
            images |= dict(zip(own, batches[step].images, strict=True))
        return images

    reference = images_of(32, 1, 2)
    assert len(reference) == 256
    for same in (images_of(64, 1, 2), images_of(32, 1, 2, 0, 3), images_of(32, 1, 2, 2, 3)):
        assert all(torch.equal(reference[index], image) for index, image in same.items())
    for other in (images_of(32, 2, 2), images_of(32, 1, 3)):
        assert sum(not torch.equal(reference[index], image) for index, image in other.items()) > 200


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_processes_share_the_same_global_batches(few: Splits, prepared: Prepared, world_size: int) -> None:
    single = EpochBatches(few.train, prepared.train, 20, seed=3, epoch=1)
    shares = [EpochBatches(few.train, prepared.train, 20, 3, 1, rank, world_size) for rank in range(world_size)]
    assert len(single) == 256 // 20
    for step in range(len(single)):
        labels = torch.cat([share[step].labels for share in shares])
        assert labels.sort().values.tolist() == single[step].labels.sort().values.tolist()
        assert len(labels) == 20
        assert {share[step].global_size for share in shares} == {20}


def test_worker_processes_change_nothing(few: Splits, prepared: Prepared) -> None:
    epoch = EpochBatches(few.train, prepared.train, 64, 0, 0)
    single, parallel = list(load_batches(epoch, 1)), list(load_batches(epoch, 1, workers=2))
    assert len(single) == len(parallel) == 3
    assert all(torch.equal(left.images, right.images) for left, right in zip(single, parallel, strict=True))


def test_an_epoch_has_every_image_once_in_another_order_each_time(few: Splits, prepared: Prepared) -> None:
    first, second = (EpochBatches(few.train, prepared.train, 32, 0, epoch).order for epoch in (0, 1))
    assert first.sort().values.tolist() == list(range(256)) == second.sort().values.tolist()
    assert (first == second).sum() < 20


def test_batch_sizes_that_do_not_fit_raise_errors_that_say_what_does(few: Splits, prepared: Prepared) -> None:
    with pytest.raises(DataError, match="batch_size must be at most the 256 images of digits, not 257"):
        EpochBatches(few.train, prepared.train, 257, 0, 0)
    with pytest.raises(DataError, match="batch_size must be at least the 4 processes, not 3"):
        EpochBatches(few.train, prepared.train, 3, 0, 0, world_size=4)


def test_a_batch_is_used_as_soon_as_its_own_copy_has_arrived(
    few: Splits, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is on its way by then, and is not waited for."""
    copies, waits = count(1), list[int]()
    monkeypatch.setattr(FakeStream, "record_event", lambda stream: next(copies))
    monkeypatch.setattr(FakeStream, "wait_event", lambda stream, event: waits.append(event))
    epoch = EpochBatches(few.train, prepared.train, 64, seed=0, epoch=0)
    with fake_cuda() as device:
        batches = copy_ahead(map(epoch.__getitem__, range(3)), device)
        for number, batch in enumerate(batches):
            assert waits == list(range(1, number + 2))
            assert batch.images.device == device
            assert torch.equal(batch.images.cpu(), epoch[number].images)
    assert next(copies) == 4
