"""Sets of encoded images, which are decoded as they are used: what a view of them needs, and no more."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from archzoo.data._augmentation import Pipeline
from archzoo.data._conversion import Conversion
from archzoo.data._dataset import ImageSet
from archzoo.data._decoding import decode
from archzoo.data._files import CHANGED, EncodedImages, read, spread
from archzoo.data._images import Images
from archzoo.data._reading import OnCorrupt, read_or_skip
from archzoo.data._views import ViewOf, views_of
from archzoo.errors import DataError

SAMPLED = 64  # images whose bytes are part of a digest


@dataclass(frozen=True, kw_only=True)
class EncodedImageSet(ImageSet):
    """Images that stay encoded; ``pixels`` and ``sizes`` are empty, and ``offsets`` are their numbers in ``source``.

    Attributes:
        source: Where their bytes come from.
        conversion: How they become bytes.
        on_corrupt: Whether a corrupt image raises DataError, or is left out of the batch that it is in.
    """

    source: EncodedImages
    conversion: Conversion
    on_corrupt: OnCorrupt = "error"

    @classmethod
    def of(
        cls,
        name: str,
        source: EncodedImages,
        labels: Tensor,
        classes: tuple[str, ...],
        conversion: Conversion,
        on_corrupt: OnCorrupt,
    ) -> "EncodedImageSet":
        """All images of a source."""
        pixels, sizes = torch.empty(0, dtype=torch.uint8), torch.empty(0, 2, dtype=torch.long)
        numbers = torch.arange(len(labels))
        places = (pixels, numbers, sizes, labels)
        return cls(
            name, *places, classes, conversion.channels, source=source, conversion=conversion, on_corrupt=on_corrupt
        )

    @property
    def is_encoded(self) -> bool:
        return True

    @cached_property
    def size(self) -> tuple[int, int] | None:
        return None

    def take(self, indices: Tensor) -> Images:
        """The images at these indices, as bytes, decoded in full. Raises DataError where one is corrupt."""
        images, kept = self.transform(indices, Pipeline())
        if len(kept) < len(indices):
            raise DataError(f"{len(indices) - len(kept)} of these images of {self.name} are corrupt")
        return images

    def transform(self, indices: Tensor, pipeline: Pipeline, numbers: Tensor | None = None) -> tuple[Images, Tensor]:
        """As for decoded images; a crop or a resize at the front of the pipeline is known before images are decoded.

        With ``on_corrupt="skip"``, corrupt images are left out. Raises DataError where one is corrupt otherwise.
        """
        numbers = pipeline.check_numbers(indices, numbers)
        front = pipeline.steps[0].draws if pipeline.steps else 0
        views = views_of(pipeline.steps[0], numbers[:, :front]) if pipeline.steps else None
        decoded = [
            self._decode(number, None if views is None else views.by_image[place])
            for place, number in enumerate(self.offsets[indices].tolist())
        ]
        images = [image for image in decoded if image is not None]
        kept = torch.tensor([image is not None for image in decoded], dtype=torch.bool)
        if not images:
            return [], indices[kept]
        if views is None:
            return pipeline.transform(images, numbers[kept]), indices[kept]
        rest = Pipeline(pipeline.steps[1:])
        return rest.transform(torch.stack(images) if views.same_size else images, numbers[kept, front:]), indices[kept]

    def _decode(self, number: int, view_of: ViewOf | None) -> Tensor | None:
        return read_or_skip(partial(self._read, number, view_of), partial(self.source.name, number), self.on_corrupt)

    def _read(self, number: int, view_of: ViewOf | None) -> Tensor:
        data = self.source.find(number)
        if data is None:
            raise OSError(f"it {CHANGED}")
        return decode(data, self.conversion, view_of)

    def readable(self) -> "EncodedImageSet":
        if self.on_corrupt == "error":
            return self
        can_be_read = [self._decode(number, None) is not None for number in self.offsets.tolist()]
        return self.subset(torch.nonzero(torch.tensor(can_be_read)).flatten())

    def subset(self, indices: Tensor) -> "EncodedImageSet":
        return replace(self, offsets=self.offsets[indices], labels=self.labels[indices].clone())

    def check_file(self) -> None:
        self.source.check()

    def digest(self) -> str:
        """Sixteen hex digits that change with the names, lengths, order and classes of the images.

        The bytes of 64 images are part of it, so that a copy of the images elsewhere has the same digest.
        """
        plain = Conversion(self.channels)
        conversion = "" if self.conversion == plain else f" {self.conversion}"
        digest = hashlib.sha256(f"{self.name} {self.classes} {self.channels}{conversion}".encode())
        names = self.source.names
        for tensor in (names.text, names.ends, self.source.lengths, self.offsets, self.labels):
            digest.update(tensor.contiguous().numpy().tobytes())
        for place in spread(len(self), SAMPLED):
            digest.update(read(self.source, int(self.offsets[place])))
        return digest.hexdigest()[:16]
