"""The benchmark of folders of photographs runs, and what it reads is what it says."""

from pathlib import Path

from benchmarks.tables import Table
from PIL import Image

from benchmarks import photos


def test_every_way_has_a_row() -> None:
    (table,) = photos.measure(quick=True)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == [
        *(photos.NONE, photos.RAM, photos.DISK),
        photos.TORCHVISION,
    ]
    assert all(float(cell or 0) > 0 for row in table.rows for cell in row[1:])


def test_names_of_a_few_files(tmp_path: Path) -> None:
    photos.write_photos(tmp_path / "x", photos.Photos("", 5, 2, (40, 30)))
    files = sorted((tmp_path / "x").iterdir())
    assert [Image.open(file).size for file in files] == [(40, 30)] * 5
    assert len({file.stat().st_ino for file in files}) == 2
