from pathlib import Path

import numpy as np
from PIL import Image

from helpers.made_up_run import write_images
from odc_lightning.data import ArraySource, FileSource
from odc_lightning.reporting.cluster_page.thumbnails import choose_side, write_all
from odc_lightning.reporting.figures.thumbnails import placeholder, thumbnail


def test_a_thumbnail_is_the_middle_square() -> None:
    pixels = np.zeros((1, 10, 30, 3), dtype=np.uint8)
    pixels[:, :, 10:20] = 255
    made = thumbnail(ArraySource(pixels, "x"), 0, 64)
    assert made.problem is None
    assert np.asarray(made.picture)[:, 8:-8].min() > 240


def test_side_by_number_and_size() -> None:
    class Many(ArraySource):
        def __init__(self, number: int, height: int) -> None:
            super().__init__(np.zeros((1, height, 400), dtype=np.uint8), "x")
            self.number = number

        def __len__(self) -> int:
            return self.number

        def load(self, index: int) -> Image.Image:
            return super().load(0)

    assert [choose_side(Many(n, 300)) for n in (100, 50_000, 400_000, 1_281_167)] == [
        160,
        128,
        96,
        64,
    ]
    assert choose_side(Many(100, 8)) == 64
    assert choose_side(Many(100, 100)) == 96


def test_every_image_is_in_its_place_on_its_sheet_and_clusters_have_faces(tmp_path: Path) -> None:
    shades = np.arange(130, dtype=np.uint8)
    pixels = np.broadcast_to(shades[:, None, None], (130, 8, 8)).copy()
    order = np.random.default_rng(0).permutation(130)
    pictures = write_all(
        ArraySource(pixels, "x"), order, np.array([0, 120, 120, 129, 130]), tmp_path, 64
    )
    sheets = [Image.open(tmp_path / "sheets" / f"{n}.jpg").convert("L") for n in (0, 1)]
    assert [sheet.size for sheet in sheets] == [(640, 640), (640, 192)]
    for position, index in enumerate(order):
        cell = position % 100
        at = (cell % 10 * 64 + 32, cell // 10 * 64 + 32)
        value = sheets[position // 100].getpixel(at)
        assert isinstance(value, int | float)
        assert abs(value - int(index)) <= 2
        assert abs(int(pictures.signatures[index].mean()) - int(index)) <= 1
    faces = sorted(path.name for path in (tmp_path / "faces").iterdir())
    assert faces == ["0.jpg", "2.jpg", "3.jpg"]
    face = Image.open(tmp_path / "faces" / "2.jpg").convert("L")
    expected = order[120:124].tolist()
    shown = [face.getpixel(at) for at in ((32, 32), (96, 32), (32, 96), (96, 96))]
    assert np.abs(np.array(shown, dtype=float) - expected).max() <= 2


def test_the_faces_of_a_cluster_differ_if_its_images_do(tmp_path: Path) -> None:
    shades = np.array([10, 10, 12, 60, 60, 120, 121, 200, 240, 30, 30], dtype=np.uint8)
    pixels = np.broadcast_to(shades[:, None, None], (11, 8, 8)).copy()
    write_all(ArraySource(pixels, "x"), np.arange(11), np.array([0, 9, 11]), tmp_path, 64)
    for cluster, expected in ((0, [10, 60, 120, 200]), (1, [30, 30, 30, 30])):
        face = Image.open(tmp_path / "faces" / f"{cluster}.jpg").convert("L")
        shown = [face.getpixel(at) for at in ((32, 32), (96, 32), (32, 96), (96, 96))]
        assert np.abs(np.array(shown, dtype=float) - expected).max() <= 2


def test_damaged_and_missing_files_have_placeholders_and_are_told(tmp_path: Path) -> None:
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    write_images(tmp_path, names)
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff no image")
    (tmp_path / "c.jpg").unlink()
    source = FileSource(tmp_path, names)
    pictures = write_all(source, np.arange(4), np.array([0, 4]), tmp_path / "out", 64)
    assert [problem.number for problem in pictures.problems] == [1, 2]
    assert all("cannot decode" in problem.reason for problem in pictures.problems)
    sheet = Image.open(tmp_path / "out" / "sheets" / "0.jpg")
    expected = np.asarray(placeholder(64), dtype=float)
    assert np.abs(np.asarray(sheet, dtype=float)[:64, 64:128] - expected).mean() < 6
