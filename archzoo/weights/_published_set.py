"""A published set of weights."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from archzoo.read_only import ReadOnlyDict

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class PublishedWeights:
    """A published set of weights: its library, our network, its tag and URL, and what the network needs for it.

    ``sha256`` is that of the file, or its first digits as far as they are published; of files that are published in a
    zip archive, ``sha1`` is. ``options`` are those of our network that make it the library's. ``input_size`` is
    (channels, height, width) in pixels; ``mean`` and ``std`` normalize images with values from 0 to 1, whose channels
    are in the order ``channels``. ``labels`` are the data, and ``printed`` is the accuracy or error that its authors
    state. ``extra_prefixes`` begin the names of tensors in the file that our network has only with some options.
    """

    library: str
    network: str
    tag: str
    url: str
    sha256: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    input_size: tuple[int, int, int] = (3, 224, 224)
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    labels: str = "imagenet-1k"
    num_classes: int = 1000
    extra_prefixes: tuple[str, ...] = ()
    sha1: str = ""
    channels: str = "RGB"
    printed: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", ReadOnlyDict(self.options))

    @property
    def name(self) -> str:
        """The name to ask for, such as "torchvision:IMAGENET1K_V1"."""
        return f"{self.library}:{self.tag}"

    @property
    def file_name(self) -> str:
        """The name of the file in the cache."""
        if self.url.endswith("/model.safetensors"):
            return f"{self.tag}.safetensors"
        return self.url.rpartition("/")[2].removesuffix(".zip")

    def without_extras(
        self, state: Mapping[str, Tensor], wanted: Collection[str], current: Callable[[str], str]
    ) -> dict[str, Tensor]:
        """The state without extra tensors that are not ``wanted``. ``current`` gives the current name of a tensor."""

        def is_extra(name: str) -> bool:
            return bool(self.extra_prefixes) and name.startswith(self.extra_prefixes) and name not in wanted

        return {name: tensor for name, tensor in state.items() if not is_extra(current(name))}
