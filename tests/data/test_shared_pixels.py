"""Room for pixels that several processes fill and read."""

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import shared_pixels
from odc_lightning.data.decoding.copies import as_copy, full_size
from odc_lightning.data.shared_pixels import Pixels

SIZES = np.array([[4, 3], [1, 1], [7, 5]])
FULL = np.array([[4, 3], [1, 1], [70, 50]])  # the last one is a copy


def image(index: int) -> Image.Image:
    width, height = SIZES[index].tolist()
    values = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
    full_width, full_height = FULL[index].tolist()
    return as_copy(Image.fromarray(values), (full_width, full_height))


@pytest.fixture(params=["in memory", "in a file"])
def pixels(request: pytest.FixtureRequest, tmp_path: Path) -> Pixels:
    return Pixels(SIZES, FULL, None if request.param == "in memory" else tmp_path / "folder")


def test_what_is_put_is_there(pixels: Pixels, tmp_path: Path) -> None:
    assert [pixels.get(index) for index in range(3)] == [None] * 3
    for index in (2, 0):
        pixels.put(index, image(index))
    assert pixels.get(1) is None
    for index in (0, 2):
        found = pixels.get(index)
        assert found is not None
        assert found.tobytes() == image(index).tobytes()
        assert full_size(found) == full_size(image(index))
        found.putpixel((0, 0), (1, 2, 3))  # a copy
    again = pixels.get(0)
    assert again is not None
    assert again.tobytes() == image(0).tobytes()
    assert not any(tmp_path.rglob("*.tmp"))  # the file has no name


def test_an_image_of_another_size_is_not_kept(pixels: Pixels) -> None:
    pixels.put(0, image(2))
    pixels.put(2, image(2).copy())  # of the size of the copy, but no copy
    assert pixels.get(0) is pixels.get(2) is None


def test_a_forked_process_fills_it(pixels: Pixels) -> None:
    child = multiprocessing.get_context("fork").Process(target=pixels.put, args=(2, image(2)))
    child.start()
    child.join()
    found = pixels.get(2)
    assert found is not None
    assert found.tobytes() == image(2).tobytes()


def test_a_spawned_process_shares_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_pixels, "forks", lambda: False)
    pixels = Pixels(SIZES, FULL, tmp_path)
    child = multiprocessing.get_context("spawn").Process(target=pixels.put, args=(0, image(0)))
    child.start()
    child.join()
    found = pixels.get(0)
    assert found is not None
    assert found.tobytes() == image(0).tobytes()
    assert len(list(tmp_path.iterdir())) == 1
    del pixels
    assert not any(tmp_path.iterdir())


def test_what_is_in_memory_stays_there() -> None:
    pixels = Pixels(SIZES, FULL, None)
    pixels.put(0, image(0))
    elsewhere = pickle.loads(pickle.dumps(pixels))
    elsewhere.put(0, image(0))
    assert elsewhere.get(0) is None


def test_a_disk_without_room(tmp_path: Path) -> None:
    huge = np.array([[2**20, 2**30]])
    with pytest.raises(OSError, match=r"space|large"):
        Pixels(huge, huge, tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_start_method_is_not_fixed_by_asking() -> None:
    chosen = multiprocessing.get_start_method(allow_none=True)
    assert isinstance(shared_pixels.forks(), bool)
    assert multiprocessing.get_start_method(allow_none=True) == chosen
