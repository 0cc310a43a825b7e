"""The files of data sets as they were released, by the MD5 of their content: whose they are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from archzoo.errors import DataError

# Of IDX files decompressed, since gzip's result depends on who compressed. Those of CIFAR's Python version and of SVHN
# are torchvision's. Fashion-MNIST's are of its release, in which training and test images overlap no more
# (github.com/zalandoresearch/fashion-mnist/issues/44).
RELEASED: Mapping[str, frozenset[str]] = {
    "mnist": frozenset(
        {
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        }
    ),
    "fashion_mnist": frozenset(
        {
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        }
    ),
    "cifar10": frozenset(
        {
            "c99cafc152244af753f735de768cd75f",
            "d4bba439e000b95fd0a9bffe97cbabec",
            "54ebc095f3ab1f0389bbae665268c751",
            "634d18415352ddfa80567beed471001a",
            "482c414d41f54cd18b22e5b47cb7c3cb",
            "40351d587109b95175f43aff81a1287e",
        }
    ),
    "cifar100": frozenset({"16019d7e3df5f24257cddd939b257f8d", "f0ef6b0ae62326f3e7ffdfab6717acfc"}),
    "svhn": frozenset(
        {"e26dedcc434d2e4c54c9b2d4a06d8373", "eb5a983be6a315427106f1b164d9cef3", "a93ce644f1a588dc4d68dda5feec44a7"}
    ),
}


def check_owner(name: str, folder: Path, md5s: Iterable[str]) -> None:
    """Raise DataError where a file is one of another data set: MNIST and Fashion-MNIST name their files alike."""
    for other, released in RELEASED.items():
        if other != name and not released.isdisjoint(md5s):
            raise DataError(f"the files in {folder} are those of {other}, not of {name}: use --data {other}")


def is_released(md5s: Iterable[str]) -> bool:
    """Whether all of these are released files."""
    known = frozenset[str]().union(*RELEASED.values())
    return known.issuperset(md5s)
