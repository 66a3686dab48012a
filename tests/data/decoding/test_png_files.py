"""Text and profiles of a PNG file, whatever is in them, do not drop its pixels."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from helpers.raw_images import chunk, png
from odc_lightning.data.decoding.images import Reading, read_rgb
from odc_lightning.data.scan import find_fault

PIXELS = np.arange(48).reshape(4, 4, 3)
BOMB = zlib.compress(bytes(20_000_000), 9)
ODD = {
    "text": chunk(b"zTXt", b"Comment\0\0" + BOMB),
    "international text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
    "profile": chunk(b"iCCP", b"profile\0\0" + BOMB),
    "physical size": chunk(b"pHYs", b"\0"),
    "gamma": chunk(b"gAMA", b""),
    "text of no encoding": chunk(b"iTXt", b"\xff\0\0\0\xff\0\xff\0\xff"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("place", ["before", "after"])
def test_odd_additions(tmp_path: Path, name: str, place: str) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(
        png(PIXELS, before=ODD[name]) if place == "before" else png(PIXELS, after=ODD[name])
    )
    assert [find_fault(file, mode, Reading()) for mode in ("quick", "full")] == [None, None]
    np.testing.assert_array_equal(np.asarray(read_rgb(file, Reading())), PIXELS)


def test_transparency_and_orientation_stay(tmp_path: Path) -> None:
    turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    before = ODD["text"] + chunk(b"tRNS", b"\0\0\0\1\0\2") + chunk(b"eXIf", turned)
    (tmp_path / "x.png").write_bytes(png(PIXELS, before=before))
    rgb = np.asarray(read_rgb(tmp_path / "x.png", Reading()))
    expected = np.rot90(PIXELS, -1).copy()
    expected[0, -1] = 255  # the colour 0, 1, 2 is transparent
    np.testing.assert_array_equal(rgb, expected)


def test_damaged_files_are_still_found(tmp_path: Path) -> None:
    whole = png(PIXELS, before=ODD["gamma"])
    for length in (0, 5, 30, 60, len(whole) - 14):
        (tmp_path / "x.png").write_bytes(whole[:length])
        assert find_fault(tmp_path / "x.png", "quick", Reading()), length
        assert find_fault(tmp_path / "x.png", "full", Reading()), length
