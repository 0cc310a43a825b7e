"""How an image of any of Pillow's modes becomes bytes of one or three channels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archzoo.data._formats import load_pillow
from archzoo.errors import DataError, ValueRangeError

MODES = {1: "L", 3: "RGB"}
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of TIFF
WHITE_IS_ZERO = 0  # of PHOTOMETRIC, which Pillow reads as it is in more than 8 bits
# The largest values that are usual in files whose type does not say it: the first that holds all values is white.
USUAL = {"I": (255.0, 65_535.0, 2.0**31 - 1), "F": (1.0, 255.0, 65_535.0)}
GIVE_RANGE = "give the values of black and of white, value_range=(LOW, HIGH) or --value-range LOW,HIGH"


@dataclass(frozen=True)
class Conversion:
    """What becomes of transparency, of more than 8 bits, and of colors.

    Attributes:
        channels: 1 or 3. Colors become gray by ITU-R 601; gray values are repeated in three channels.
        background: The color below transparent pixels, as Pillow names it: ``white``, ``#808080``.
        value_range: The values that become 0 and 255 in images of more than 8 bits; those outside are cut off. None
            takes the range of the file's type, where it has one.
        white: The value that becomes 255 in images whose type has no range, by mode: one for the whole dataset. Of
            another mode, such an image is an error.

    Raises:
        DataError: For other channels, an unknown color, or a range that is empty.
    """

    channels: int = 3
    background: str = "white"
    value_range: tuple[float, float] | None = None
    white: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_channels(self.channels)
        if self.value_range is not None:
            _check_range(self.value_range)
        if self.background != "white":
            _check_color(self.background)


def check_channels(channels: int) -> None:
    """Raise DataError unless there are 1 or 3."""
    if channels not in MODES:
        raise DataError(f"images are read with 1 or 3 channels, not {channels}")


def _check_range(given: Any) -> None:
    numbers = (
        given if isinstance(given, tuple | list) and all(isinstance(value, int | float) for value in given) else ()
    )
    if len(numbers) != 2 or not -math.inf < numbers[0] < numbers[1] < math.inf:
        text = " and ".join(f"{value:g}" for value in numbers) or repr(given)
        raise DataError(f"value_range must be two finite numbers, the lower first, not {text}")


def _check_color(color: str) -> None:
    load_pillow()
    from PIL import ImageColor

    try:
        is_opaque = isinstance(color, str) and len(ImageColor.getrgb(color)) == 3
    except ValueError:
        is_opaque = False
    if not is_opaque:
        raise DataError(f"background must be a color, such as white or #808080, not {color!r}")


@dataclass(frozen=True)
class Depth:
    """What the file of an image of more than 8 bits says of its values.

    Attributes:
        white: The largest that its type has; None for integers of 32 bits and for floating point.
        is_inverted: Whether 0 is white.
    """

    white: float | None
    is_inverted: bool = False


def depth_of(image: Any) -> Depth | None:
    """What a Pillow image, as it was opened, says of its values; None of an image of 8 bits."""
    if not is_deep(image.mode):
        return None
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    is_inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    if image.mode.startswith("I;16"):
        return Depth(2.0 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1, is_inverted)
    return Depth(65_535.0 if image.mode == "I" and image.format in ("PNG", "PPM") else None, is_inverted)


def is_deep(mode: str) -> bool:
    """Whether values have more than 8 bits: of 16 or 32 bits, or floating point. Pillow cuts them off at 255."""
    return mode in USUAL or mode.startswith("I;16")


def usual_white(mode: str, largest: float) -> float | None:
    """The largest value of the first usual range that holds the values up to ``largest``; None where none does."""
    return next((white for white in USUAL[mode] if largest <= white), None)


def convert(image: Any, conversion: Conversion, depth: Depth | None) -> Any:
    """A Pillow image, of which the file said this of its depth, in the mode L or RGB.

    Raises ValueRangeError where values of more than 8 bits lie outside of the range, or the range is unknown, and
    ValueError where some are not finite.
    """
    if depth is not None:
        image = _scale(image, conversion, depth)
    elif image.mode == "LAB":
        image = _from_lab(image)
    if image.has_transparency_data:
        image = _lay_on(image, conversion.background)
    return image.convert(MODES[conversion.channels])


def values_of(image: Any) -> Any:
    """The values of a deep image, a NumPy array of float64 (height, width). Raises ValueError for NaN and infinity."""
    import numpy as np

    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("some of its values are not finite")
    return values


def _scale(image: Any, conversion: Conversion, depth: Depth) -> Any:
    """A deep image in 8 bits: L, or LA where one value is declared to be transparent."""
    import numpy as np

    values = values_of(image)
    low, high = conversion.value_range or _range_of(image.mode, values.min(), values.max(), conversion, depth)
    scaled = np.rint((values - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)
    gray = load_pillow().fromarray(255 - scaled if depth.is_inverted else scaled)
    transparent = image.info.get("transparency")
    if transparent is not None:
        gray.putalpha(load_pillow().fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


def _range_of(mode: str, lowest: float, largest: float, conversion: Conversion, depth: Depth) -> tuple[float, float]:
    white = depth.white or dict(conversion.white).get(mode)
    if white is None or lowest < 0 or largest > white:
        expected = "and its type has no range" if white is None else f"not from 0 to {white:,.0f}"
        raise ValueRangeError(f"has values from {lowest:,g} to {largest:,g}, {expected}: {GIVE_RANGE}")
    return 0.0, white


def _lay_on(image: Any, background: str) -> Any:
    """A transparent image on a background of one color."""
    straight = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, image.mode)).convert("RGBA")
    ground = load_pillow().new("RGBA", image.size, background)
    ground.alpha_composite(straight)
    return ground.convert("RGB")


def _from_lab(image: Any) -> Any:
    """CIE L*a*b* in sRGB, which Pillow converts by profiles alone."""
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
