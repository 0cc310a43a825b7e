"""What the images of a dataset are like, by the headers of a sample: what is said of them, and what white is."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import BinaryIO

from archzoo.data._conversion import GIVE_RANGE, Conversion, Depth, depth_of, usual_white, values_of
from archzoo.data._files import FolderFiles, spread
from archzoo.data._formats import load_pillow
from archzoo.data._left_out import counted
from archzoo.errors import DataError

SAMPLED = 500  # as many as are decoded for means and deviations
DECODED = 50  # images of 16 bits whose values are looked at
GRAY_MODES = {"1", "L", "LA", "La"}
BRIGHT = 0.25  # the largest value of dark images is less than this share of white

Open = Callable[[int], BinaryIO]  # the number of an image to an open file


@dataclass(frozen=True)
class _Header:
    number: int
    mode: str
    is_transparent: bool
    has_frames: bool
    depth: Depth | None

    @property
    def white(self) -> float | None:
        """The largest value of the type of a deep image, where it has one."""
        return None if self.depth is None else self.depth.white

    @property
    def is_gray(self) -> bool:
        return self.mode in GRAY_MODES or self.depth is not None


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        conversion: With the value of white in the modes whose type has no range.
        notes: What happens to the images, with the options that change it.
        warning: What is probably wrong; empty where nothing is.
    """

    conversion: Conversion
    notes: tuple[str, ...] = ()
    warning: str = ""


def survey(name: str, count: int, open_image: Open, conversion: Conversion) -> Survey:
    """Look at the headers of 500 images, evenly spread, and at the values of those whose type has no range.

    Corrupt images are passed over. Raises DataError where there is no usual range for the values.
    """
    headers = [header for number in spread(count, SAMPLED) for header in _read_header(open_image, number)]
    notes = _colors(headers, conversion)
    if conversion.value_range is not None:
        low, high = conversion.value_range
        return Survey(conversion, (*notes, *_deep(headers, f"from {low:,g} to {high:,g}")))
    white = {mode: _find_white(name, mode, headers, open_image) for mode in ("I", "F")}
    known = tuple((mode, value) for mode, value in white.items() if value is not None)
    whites = {header.white or white.get(header.mode) for header in headers if header.depth is not None}
    notes += _deep(headers, f"from 0 to {' or '.join(f'{value:,g}' for value in sorted(filter(None, whites)))}")
    return Survey(replace(conversion, white=known), notes, _warn_of_dark(name, headers, open_image))


def survey_files(name: str, folders: Sequence[FolderFiles], conversion: Conversion) -> Survey:
    """The survey of the files of several folders together, so that white is the same in all of them."""
    ends = list(accumulate(len(files.names) for files in folders))

    def open_image(number: int) -> BinaryIO:
        place = bisect_right(ends, number)
        return open(folders[place].name(number - (ends[place - 1] if place else 0)), "rb")

    return survey(name, ends[-1], open_image, conversion)


def _read_header(open_image: Open, number: int) -> Iterable[_Header]:
    try:
        with open_image(number) as file, load_pillow().open(file) as image:
            has_frames = image.format != "MPO" and bool(getattr(image, "is_animated", False))
            return [_Header(number, image.mode, image.has_transparency_data, has_frames, depth_of(image))]
    except Exception:  # Pillow's readers raise nearly anything for a corrupt file, which is named as it is used
        return []


def _colors(headers: Sequence[_Header], conversion: Conversion) -> tuple[str, ...]:
    gray = sum(header.is_gray for header in headers)
    transparent = sum(header.is_transparent for header in headers)
    said = {
        f"have transparency: they are laid on {conversion.background} (background=, --background)": transparent,
        "have several frames or pages: the first is read": sum(header.has_frames for header in headers),
    }
    if conversion.channels == 1:
        said["are in color: they become gray (in_channels=3 keeps the colors)"] = len(headers) - gray
    else:
        said["are gray: their values are repeated in three channels (in_channels=1 keeps one)"] = gray
    return tuple(_of(count, headers, what) for what, count in said.items() if count)


def _deep(headers: Sequence[_Header], values: str) -> tuple[str, ...]:
    deep = sum(header.depth is not None for header in headers)
    what = f"have more than 8 bits: values {values} are scaled (value_range=, --value-range)"
    return (_of(deep, headers, what),) if deep else ()


def _of(count: int, headers: Sequence[_Header], what: str) -> str:
    return f"{count:,} of {counted(len(headers), 'sampled image')} {what}"


def _find_white(name: str, mode: str, headers: Sequence[_Header], open_image: Open) -> float | None:
    """The usual white of the images of a mode whose type has no range; None where there are none."""
    numbers = [header.number for header in headers if header.mode == mode and header.white is None]
    extremes = _extremes(numbers, open_image)
    if extremes is None:
        return None
    low, high = extremes
    white = usual_white(mode, high)
    if low < 0 or white is None:
        raise DataError(
            f"images of {name} have values from {low:,g} to {high:,g}, which no usual range has: {GIVE_RANGE}"
        )
    return white


def _warn_of_dark(name: str, headers: Sequence[_Header], open_image: Open) -> str:
    """A warning where images of 16 bits use few of them, as those of cameras with 12 bits do."""
    declared = [header for header in headers if header.white is not None]
    numbers = [declared[place].number for place in spread(len(declared), DECODED)]
    extremes = _extremes(numbers, open_image)
    if extremes is None or extremes[1] >= BRIGHT * min(header.white or 0 for header in declared):
        return ""
    bits = max(int(extremes[1]).bit_length(), 1)
    return (
        f"archzoo: no value of {counted(len(numbers), 'image')} of 16 bits of {name} is more than {extremes[1]:,g}, so "
        f"they are dark: value_range=(0, {2**bits - 1}) or --value-range 0,{2**bits - 1} makes them bright"
    )


def _extremes(numbers: Sequence[int], open_image: Open) -> tuple[float, float] | None:
    """The smallest and the largest value of these images; None where none can be read."""
    lows, highs = [], []
    for number in numbers:
        try:
            with open_image(number) as file, load_pillow().open(file) as image:
                values = values_of(image)
        except Exception:  # as above
            continue
        lows.append(float(values.min()))
        highs.append(float(values.max()))
    return (min(lows), max(highs)) if lows else None
