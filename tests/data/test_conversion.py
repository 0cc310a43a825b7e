"""Images of every mode become the bytes that hand calculation gives, or an error that names the file."""

import io
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from archzoo.data import Splits, describe, image_suffixes, load, read_image
from archzoo.data import _hub as hub
from archzoo.data import _survey as surveying
from archzoo.data._conversion import Conversion
from archzoo.data._decoding import decode
from archzoo.data._reading import read_pixels
from archzoo.errors import DataError, ValueRangeError

Image = pytest.importorskip("PIL.Image")
LEVELS = np.arange(256).reshape(16, 16)  # of 8 bits


def encoded(image: Any, form: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def pixels_of(image: Any, channels: int = 3, **settings: Any) -> torch.Tensor:
    """What becomes of an image in memory, (H, W, channels)."""
    return read_pixels(image, Conversion(channels, **settings))


def fill(root: Path, write: Callable[[Path, int], None], suffix: str, count: int = 10) -> Path:
    """A folder of two classes with so many images each."""
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            write(root / name / f"{number:02}.{suffix}", number)
    return root


def images_of(splits: Splits) -> list[torch.Tensor]:
    return [image for part in vars(splits).values() for image in part.take(torch.arange(len(part)))]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "TIFF, big-endian", "PPM", "JPEG2000"])
def test_sixteen_bits_are_scaled_as_the_standard_expansion_of_eight_is_undone(form: str) -> None:
    """8 bits become 16 as v * 257, from 0 to 65,535."""
    kind = ">u2" if "big" in form else "<u2"
    data = encoded(Image.fromarray((LEVELS * 257).astype(kind)), form.split(",")[0])
    for channels in (1, 3):
        image = decode(data, Conversion(channels))
        assert image.shape == (channels, 16, 16)
        assert (image == torch.from_numpy(LEVELS)).all()


def test_a_ramp_of_all_values_of_16_bits_has_the_mean_of_the_middle() -> None:
    ramp = Image.fromarray(np.arange(65_536, dtype=np.uint16).reshape(256, 256))
    assert decode(encoded(ramp, "PNG"), Conversion(1)).double().mean() == pytest.approx(127.5, abs=0.01)


def tiff(bits: int, photometric: int, samples: bytes, width: int) -> bytes:
    """A TIFF of one row, by hand: bits per sample, and what its values mean."""
    entries = [
        *((256, 3, width), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric)),
        *((273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, len(samples))),
    ]
    body = samples + b"\0" * (len(samples) % 2)
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in entries
    )
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + b"\0\0\0\0"


def test_twelve_bits_are_scaled_as_the_file_says() -> None:
    """Two values of 12 bits in three bytes: 4095 and 0."""
    assert decode(tiff(12, 1, b"\xff\xf0\x00", 2), Conversion(1)).flatten().tolist() == [255, 0]


def test_zero_is_white_where_a_file_of_16_bits_says_so() -> None:
    assert decode(tiff(16, 0, struct.pack("<3H", 0, 65_535, 257), 3), Conversion(1)).flatten().tolist() == [255, 0, 254]


@pytest.mark.parametrize(
    ("kind", "white"),
    [
        (np.float32, 1),
        (np.float32, 255),
        (np.float32, 65_535),
        (np.int32, 255),
        (np.int32, 65_535),
        (np.int32, 2**31 - 1),
    ],
)
def test_32_bits_take_the_usual_range_of_the_whole_dataset(tmp_path: Path, kind: Any, white: int) -> None:
    """Image k of ten has values up to k tenths of white: dark images stay dark."""

    def write(path: Path, number: int) -> None:
        values = np.linspace(0, white * (number + 1) / 10, 64).reshape(8, 8)
        Image.fromarray(values.astype(kind)).save(path)

    splits = load(fill(tmp_path / "cells", write, "tif"), channels=1)
    brightest = sorted({int(image.max()) for image in images_of(splits)})
    expected = [round(255 * (number + 1) / 10) for number in range(10)]
    assert all(abs(ours - exact) <= 1 for ours, exact in zip(brightest, expected, strict=True))
    assert f"data: 20 of 20 sampled images have more than 8 bits: values from 0 to {white:,g} are" in "\n".join(
        describe(splits)
    )


def test_dark_images_of_16_bits_are_warned_of_and_brightened_on_request(tmp_path: Path) -> None:
    """A camera of 12 bits: 4,095 is white."""
    values = np.array([[0, 4095], [1365, 2730]], dtype=np.uint16).repeat(4, 0).repeat(4, 1)
    root = fill(tmp_path / "stars", lambda path, number: Image.fromarray(values).save(path), "png")
    with pytest.warns(UserWarning, match=r"more than 4,095, so they are dark: value_range=\(0, 4095\)"):
        dark = images_of(load(root))
    assert {int(image.max()) for image in dark} == {16}  # 4095 / 257 = 15.9
    bright = images_of(load(root, value_range=(0, 4095)))
    assert {tuple(image[0].unique().tolist()) for image in bright} == {(0, 85, 170, 255)}


def test_values_that_no_usual_range_has_need_one(tmp_path: Path) -> None:
    """As of computed tomography, from -100 on."""
    values = (np.array([[-100, 155, 0, 1000]]).repeat(4, 0)).astype(np.int32)
    root = fill(tmp_path / "scans", lambda path, number: Image.fromarray(values).save(path), "tif")
    with pytest.raises(DataError, match=r"scans have values from -100 to 1,000.*value_range=\(LOW, HIGH\)"):
        load(root)
    row = images_of(load(root, value_range=(-100, 155), channels=1))[0][0, 0]
    assert row.tolist() == [0, 255, 100, 255]  # 1,000 is cut off, as asked


def test_an_image_outside_of_the_range_is_named_even_where_corrupt_ones_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, number: int) -> None:
        Image.fromarray(np.full((8, 8), 300 if path.stem == "07" else 200, dtype=np.int32)).save(path)

    root = fill(tmp_path / "cells", write, "tif")
    monkeypatch.setattr(surveying, "SAMPLED", 2)  # the first and the last, which take 255 for white
    with pytest.raises(DataError, match=r"07\.tif has values from 300 to 300, not from 0 to 255: give"):
        load(root, on_corrupt="skip")
    with pytest.raises(ValueRangeError, match="its type has no range"):
        read_pixels(root / "ant" / "07.tif", Conversion(1))


def test_a_value_that_is_no_number_is_corrupt(tmp_path: Path) -> None:
    values = np.full((8, 8), 0.5, dtype=np.float32)
    values[3, 3] = np.nan
    Image.fromarray(values).save(tmp_path / "nan.tif")
    with pytest.raises(ValueError, match="not finite"):
        read_pixels(tmp_path / "nan.tif", Conversion(1))


def test_one_picture_alone_has_the_range_that_is_given(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.2, dtype=np.float32)).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif", (1, 4, 4), value_range=(0, 1))
    assert image.unique().item() == pytest.approx(51 / 255)
    with pytest.raises(DataError, match="from 0.2 to 0.2, and its type has no range: give the values"):
        read_image(tmp_path / "a.tif", (1, 4, 4))


def palette(alpha: bytes) -> Any:
    image = Image.new("P", (1, 1), 1)
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.info["transparency"] = alpha
    return image


def keyed(mode: str, color: Any) -> Any:
    """An image whose only color is declared to be transparent."""
    image = Image.new(mode, (1, 1), color)
    image.info["transparency"] = color
    return image


TRANSPARENT = {
    "RGBA": Image.new("RGBA", (1, 1), (0, 0, 0, 0)),
    "LA": Image.new("LA", (1, 1), (0, 0)),
    "PA": palette(b"\xff\x00").convert("PA"),
    "RGBa": Image.new("RGBa", (1, 1), (0, 0, 0, 0)),
    "La": Image.new("La", (1, 1), (0, 0)),
    "palette with alphas": palette(b"\xff\x00"),
    "palette with a transparent color": keyed("P", 1),
    "RGB with a transparent color": keyed("RGB", (7, 8, 9)),
    "L with a transparent value": keyed("L", 7),
    "16 bits with a transparent value": keyed("I;16", 700),
}


@pytest.mark.parametrize("image", TRANSPARENT.values(), ids=TRANSPARENT.keys())
def test_what_is_transparent_is_laid_on_the_background(image: Any) -> None:
    assert pixels_of(image).flatten().tolist() == [255] * 3
    assert pixels_of(image, 1).flatten().tolist() == [255]
    assert pixels_of(image, background="#102030").flatten().tolist() == [16, 32, 48]


def test_half_transparent_black_on_white_is_half_gray_and_opaque_colors_stay() -> None:
    assert pixels_of(Image.new("RGBA", (1, 1), (0, 0, 0, 128)))[0, 0].tolist() == [127] * 3  # 255 * 127 / 255
    for color in ((1, 2, 3), (254, 0, 130)):
        assert pixels_of(Image.new("RGBA", (1, 1), (*color, 255)))[0, 0].tolist() == list(color)


OTHER_MODES = {
    "1": (Image.new("1", (1, 1), 1), [255] * 3),
    "CMYK": (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), [255, 0, 0]),
    "YCbCr": (Image.new("YCbCr", (1, 1), (255, 128, 128)), [255] * 3),
    "HSV": (Image.new("HSV", (1, 1), (0, 255, 255)), [255, 0, 0]),
    "LAB, white": (Image.new("LAB", (1, 1), (255, 128, 128)), [255] * 3),
    "LAB, black": (Image.new("LAB", (1, 1), (0, 128, 128)), [0] * 3),
    "LAB, red": (Image.new("LAB", (1, 1), (138, 209, 198)), [255, 0, 0]),  # L* 54.3, a* 80.8, b* 69.9 below D50
}


@pytest.mark.parametrize(("image", "color"), OTHER_MODES.values(), ids=OTHER_MODES.keys())
def test_other_modes_have_the_colors_that_they_mean(image: Any, color: list[int]) -> None:
    """Colors of L*a*b* come from a table that Little CMS interpolates."""
    near = 6 if image.mode == "LAB" else 0
    assert pixels_of(image)[0, 0].tolist() == pytest.approx(color, abs=near)
    gray = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    assert pixels_of(image, 1).item() == pytest.approx(gray, abs=near + 0.5)


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "1", "CMYK"])
def test_every_mode_is_turned_upright(mode: str, tmp_path: Path) -> None:
    """Orientation 6: the first row is the right side."""
    image = Image.new("L", (3, 2))
    image.putpixel((0, 0), 255)
    image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "turned.tif", tiffinfo={274: 6})
    pixels = read_pixels(tmp_path / "turned.tif", Conversion(1))[..., 0]
    assert pixels.tolist() == [[0, 255], [0, 0], [0, 0]]


def test_all_formats_that_pillow_decodes_are_read_and_nothing_else(tmp_path: Path) -> None:
    suffixes = image_suffixes()
    assert {
        ".jpg",
        ".jfif",
        ".jpe",
        ".png",
        ".apng",
        ".pgm",
        ".pbm",
        ".pnm",
        ".webp",
        ".jp2",
        ".tga",
        ".mpo",
    } <= suffixes
    assert not {".pdf", ".mpg", ".h5", ".eps", ".svg", ".txt", ".npy", ""} & suffixes
    written = []
    for suffix in sorted(suffixes & {".jfif", ".pgm", ".avif", ".jp2", ".tga", ".pcx", ".qoi", ".dib", ".mpo", ".ico"}):
        for name in ("ant", "bee"):
            (tmp_path / "d" / name).mkdir(parents=True, exist_ok=True)
            written.append(tmp_path / "d" / name / f"picture{suffix.upper() if name == 'bee' else suffix}")
            Image.new("RGB", (16, 16), (200, 40, 10)).save(written[-1])
    images = images_of(load(tmp_path / "d", validation=0.2))
    assert len(images) == len(written) >= 16
    assert all((image.float().mean((1, 2)) - torch.tensor([200.0, 40.0, 10.0])).abs().max() < 100 for image in images)


def test_what_happens_to_transparency_frames_and_colors_is_said(tmp_path: Path) -> None:
    def write(path: Path, number: int) -> None:
        if number == 0:
            Image.new("RGBA", (8, 8)).save(path)
        elif number == 1:
            frames = [Image.new("L", (8, 8), level) for level in (0, 100)]
            frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
        else:
            Image.new("L" if number < 4 else "RGB", (8, 8)).save(path)

    root = fill(tmp_path / "d", write, "png")
    color, gray = ("\n".join(describe(load(root, channels=channels))) for channels in (3, 1))
    for text in (color, gray):
        assert "2 of 20 sampled images have transparency: they are laid on white (background=, --background)" in text
        assert "2 of 20 sampled images have several frames or pages: the first is read" in text
    assert "4 of 20 sampled images are gray: their values are repeated in three channels (in_channels=1" in color
    assert "16 of 20 sampled images are in color: they become gray (in_channels=3 keeps the colors)" in gray
    assert "laid on black" in "\n".join(describe(load(root, background="black")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"background": "rgb(1,2"}, "background must be a color, such as white or #808080, not 'rgb"),
        ({"background": "#ffffff00"}, "background must be a color"),
        ({"value_range": (5, 5)}, "value_range must be two finite numbers, the lower first, not 5 and 5"),
        ({"value_range": (0, float("inf"))}, "value_range must be two finite numbers"),
        ({"value_range": (float("nan"), 1)}, "value_range must be two finite numbers"),
        ({"channels": 2}, "images are read with 1 or 3 channels, not 2"),
    ],
)
def test_conversions_that_cannot_be_are_refused_before_anything_is_read(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, **arguments)


def test_another_conversion_is_another_dataset(tmp_path: Path) -> None:
    """Of small images, which the cache keeps decoded, and of larger ones, encoded again."""

    def write(side: int, path: Path, number: int) -> None:
        Image.new("RGBA", (side, side)).save(path)

    cases: list[tuple[int, dict[str, Any]]] = [(8, {}), (90, {"shorter_side": 70})]
    for side, settings in cases:
        root = fill(tmp_path / f"d{side}", partial(write, side), "png")
        splits = [load(root, **settings, background=color) for color in ("white", "black")]
        assert [int(image.max()) for part in splits for image in images_of(part)[:1]] == [255, 0]
        assert splits[0].train.digest() != splits[1].train.digest()
        assert {image.shape[0] for image in images_of(load(root, **settings, channels=1))} == {1}
        Image.new("RGB", (side, side), (200, 0, 0)).save(root / "ant" / "00.png")
        assert images_of(load(root, **settings, channels=1))[0].shape[0] == 1
        assert any(
            image[0].float().mean() > image[1].float().mean() + 99 for image in images_of(load(root, **settings))
        )


class Rows(list[dict[str, Any]]):
    """Rows as the hub's library gives them."""

    features: Mapping[str, Any] = MappingProxyType({"image": None, "label": SimpleNamespace(names=["cat", "dog"])})


def test_transparent_images_of_the_hub_are_laid_on_the_background_and_it_is_said_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(Image.new("RGBA", (8, 8)), "PNG")
    rows = Rows({"image": {"bytes": data}, "label": number % 2} for number in range(20))
    monkeypatch.setattr(hub, "_load_rows", lambda *_: rows)
    for background, level in (("white", 255), ("white", 255), ("black", 0)):
        splits = load("hub:someone/icons", background=background)
        assert {int(image.max()) for image in images_of(splits)} == {level}
        said = f"20 of 20 sampled images have transparency: they are laid on {background} ("
        assert any(said in line for line in describe(splits))
