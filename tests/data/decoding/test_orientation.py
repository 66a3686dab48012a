"""The orientation of a photograph is read, whatever else its metadata hold."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from helpers.raw_images import TURNED, encoded, exif, red_and_blue, tiff
from odc_lightning.data.decoding.images import Reading, read_rgb, to_rgb
from odc_lightning.data.decoding.orientation import orientation_in_exif


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_all_eight_as_pillow_turns_them(tmp_path: Path, value: int, kind: str) -> None:
    record = Image.Exif()
    record[0x112] = value
    (tmp_path / "x").write_bytes(encoded(red_and_blue(), kind, exif=record))
    with Image.open(tmp_path / "x") as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    np.testing.assert_array_equal(
        np.asarray(read_rgb(tmp_path / "x", Reading())), np.asarray(expected)
    )


@pytest.mark.parametrize(
    ("kind", "number", "value", "expected"),
    [
        (3, 1, struct.pack("<HH", 8, 0), 8),
        (4, 1, struct.pack("<I", 8), 8),
        (1, 1, bytes([8, 0, 0, 0]), 8),
        (3, 2, struct.pack("<HH", 8, 8), 8),
        (3, 1, struct.pack("<HH", 0, 0), None),
        (3, 1, struct.pack("<HH", 9, 0), None),
        (9, 1, struct.pack("<i", -6), None),
        (2, 2, b"6\0\0\0", None),
        (5, 1, struct.pack("<I", 8), None),
        (99, 1, b"\6\0\0\0", None),
        (3, 0, b"\6\0\0\0", None),
    ],
)
def test_values_and_types(kind: int, number: int, value: bytes, expected: int | None) -> None:
    assert orientation_in_exif(exif([(0x112, kind, number, value)])) == expected


def test_records_that_are_cut_or_are_none() -> None:
    record = exif([(0x10E, 2, 4, b"abcd"), TURNED])
    assert orientation_in_exif(record) == 6
    for length in range(len(record) - 5):
        assert orientation_in_exif(record[:length]) is None
    assert orientation_in_exif(b"Exif\0\0Exif\0\0" + record) == 6
    assert orientation_in_exif(b"Exif\0\0MM\0*\xff\xff\xff\xff") is None
    big = b"MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x112, 3, 1, 3, 0) + bytes(4)
    assert orientation_in_exif(big) == 3


@pytest.mark.parametrize("quote", ["'", '"'])
def test_xmp_alone(tmp_path: Path, quote: str) -> None:
    xmp = f"<x:xmpmeta tiff:Orientation={quote}6{quote}/>"
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    jpeg = encoded(red_and_blue(), "JPEG", xmp=xmp.encode())
    for content in (jpeg, encoded(red_and_blue(), "PNG", pnginfo=info)):
        (tmp_path / "x").write_bytes(content)
        assert read_rgb(tmp_path / "x", Reading()).size == (32, 48)


def test_the_profile_of_imagemagick(tmp_path: Path) -> None:
    for record, size in ((exif([TURNED])[6:].hex(), (32, 48)), ("no hex", (48, 32))):
        info = PngImagePlugin.PngInfo()
        info.add_text("Raw profile type exif", f"\nexif\n{len(record) // 2:8}\n{record}\n")
        (tmp_path / "x.png").write_bytes(encoded(red_and_blue(), "PNG", pnginfo=info))
        assert read_rgb(tmp_path / "x.png", Reading()).size == size


def test_tiff_files_with_odd_entries(tmp_path: Path) -> None:
    upright = np.asarray(red_and_blue())
    odd = {
        "xmp as doubles": (700, 12, 1, struct.pack("<I", 8)),
        "xmp as an integer": (700, 4, 1, struct.pack("<I", 8)),
        "an EXIF directory at a negative place": (0x8769, 9, 1, struct.pack("<i", -9)),
        "an EXIF directory beyond the end": (0x8769, 4, 1, b"\xff\xff\xff\xff"),
        "a place as text": (0x8825, 2, 4, b"48.1"),
    }
    for name, entry in odd.items():
        (tmp_path / "x.tif").write_bytes(tiff(upright, [TURNED, entry]))
        rgb = read_rgb(tmp_path / "x.tif", Reading())
        np.testing.assert_array_equal(np.asarray(rgb), np.rot90(upright, -1), name)


def test_an_image_in_memory_is_turned() -> None:
    opened = Image.open(io.BytesIO(encoded(red_and_blue(), "JPEG", exif=exif([TURNED]))))
    assert to_rgb(opened, Reading()).size == (32, 48)
    assert opened.size == (48, 32)
