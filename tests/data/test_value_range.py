"""The range of values of a data set is measured on few of its images, or on none."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import ArraySource, FileSource, value_range
from odc_lightning.data.decoding.images import MAX_PIXELS, Reading, reading_of
from odc_lightning.data.value_range import measure_range


def test_formats_of_eight_bits_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_range, "open_image", None)  # cannot be called
    names = [f"{number}.{kind}" for number in range(9) for kind in ("jpg", "JPEG", "webp", "gif")]
    assert measure_range(FileSource(tmp_path, names), MAX_PIXELS) is None
    in_memory = ArraySource(np.zeros((3, 4, 4), np.uint8), "x")
    assert measure_range(in_memory, MAX_PIXELS) is None


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Path]:
    """The files with which a function of the module is called."""
    files: list[Path] = []
    function = getattr(value_range, name)

    def call(path: Path, max_pixels: int) -> object:
        files.append(path)
        return function(path, max_pixels)

    monkeypatch.setattr(value_range, name, call)
    return files


def test_few_of_many_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / "0.png")
    names = [f"{number}.png" for number in range(5000)]
    for name in names[1:]:
        os.link(tmp_path / "0.png", tmp_path / name)
    opened, decoded = counted(monkeypatch, "open_image"), counted(monkeypatch, "measure_values")
    measured = measure_range(FileSource(tmp_path, names), MAX_PIXELS)
    assert measured is not None
    assert measured == ((0, 1024), 1000, 1000, 64)
    assert (len(opened), len(decoded)) == (1024, 64)
    assert {tmp_path / "0.png", tmp_path / "4999.png"} <= set(decoded)


def test_the_extremes_of_all_images_count_and_damaged_ones_do_not(tmp_path: Path) -> None:
    for number, value in enumerate((5, 300, 900)):
        Image.fromarray(np.full((2, 2), value, np.uint16)).save(tmp_path / f"{number}.png")
    Image.fromarray(np.full((2, 2), -7, np.int32)).save(tmp_path / "3.tif")
    (tmp_path / "4.png").write_bytes(b"no image")
    Image.fromarray(np.full((90, 90), 60000, np.uint16)).save(tmp_path / "5.png")  # too large
    source = FileSource(tmp_path, sorted(path.name for path in tmp_path.iterdir()))
    assert measure_range(source, 100) == ((-8, 1024), -7, 900, 4)


def test_settings_of_a_config() -> None:
    assert reading_of({}) == Reading("16bit", MAX_PIXELS)
    assert reading_of({"value_range": None, "max_pixels": 5}) == Reading(None, 5)
    assert reading_of({"value_range": [-1, 0.5]}) == Reading((-1.0, 0.5), MAX_PIXELS)
    for wrong in (0, -1, 1.5, True, "many", None):
        with pytest.raises(ValueError, match="max_pixels"):
            reading_of({"max_pixels": wrong})
