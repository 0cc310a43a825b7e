"""The tensors of a published set, from the cache or from its server."""

from pathlib import Path

from archzoo.errors import WeightsError
from archzoo.weights._archives import cached_member
from archzoo.weights._download import cached_file, remove_unreadable
from archzoo.weights._files import State
from archzoo.weights._published_set import PublishedWeights
from archzoo.weights._reading import read_state


def published_file(chosen: PublishedWeights) -> Path:
    """The file of a published set, in the cache. Raises WeightsError if it cannot be downloaded, read, or differs."""
    if chosen.url.endswith(".zip"):
        return cached_member(chosen.url, chosen.file_name, chosen.sha1)
    path: Path = cached_file(chosen.url, chosen.file_name, chosen.sha256, check=read_state)
    return path


def read_published(chosen: PublishedWeights) -> State:
    """The tensors of a published set under its library's names.

    Raises WeightsError for a file that cannot be downloaded, differs from the published one, or cannot be read. What
    archzoo downloaded and cannot read is removed, so that the next call asks the server again.
    """
    path = published_file(chosen)
    if chosen.url.endswith(".zip"):
        return read_state(path)[0]
    try:
        return read_state(path)[0]
    except WeightsError as error:
        raise (error if chosen.sha256 else remove_unreadable(path, error)) from error
