"""Which files are read as images: those with a suffix of a format that Pillow decodes."""

from typing import Any

from archzoo.errors import MissingDependency

# Formats that Pillow names but does not decode by itself: scientific data, vector graphics, films.
NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
ALSO_DECODED = {"MPO"}  # stereo photographs, which the reader of JPEGs opens


def load_pillow() -> Any:
    """Pillow's module Image. Raises MissingDependency where it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency(
            "reading images needs Pillow, which is not installed: pip install 'archzoo[images]'"
        ) from error
    return Image


def image_suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of all formats that Pillow decodes here, those of its plugins among them.

    Raises MissingDependency where Pillow is not installed.
    """
    pillow = load_pillow()
    pillow.init()
    decoded = (pillow.OPEN.keys() - NOT_DECODED) | ALSO_DECODED
    return frozenset(suffix for suffix, kind in pillow.registered_extensions().items() if kind in decoded)
