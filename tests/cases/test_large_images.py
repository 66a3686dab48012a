"""Images that are too large for the memory are refused, with the key that admits them."""

import ctypes
import multiprocessing
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from PIL import Image

from conftest import Compose, compose_command
from helpers.raw_images import black_square, chunk, png
from odc_lightning import load
from odc_lightning.assign import assign
from odc_lightning.cli.odc import translated
from odc_lightning.data.decoding.images import MAX_PIXELS, Reading, open_image, read_rgb
from odc_lightning.data.scan import find_fault
from odc_lightning.runs.images import build_images

REFUSED = r"1,600 pixels, more than data.max_pixels=1000; set data.max_pixels=1600 or more"


def white(folder: Path, side: int = 40) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), "white").save(folder / "large.png")
    return folder / "large.png"


def test_small_files_of_many_pixels_are_not_decoded(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(black_square(13_370))
    assert bomb.stat().st_size < 25_000
    for mode in ("quick", "full"):
        fault = find_fault(bomb, mode, Reading()) or ""
        assert "178,756,900 pixels, more than data.max_pixels=120000000" in fault


def test_a_scan_of_182_megapixels_is_admitted_by_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # restored afterwards
    scan = tmp_path / "scan.png"
    scan.write_bytes(black_square(13_491))
    assert "data.max_pixels=182007081" in (find_fault(scan, "quick", Reading()) or "")
    assert find_fault(scan, "quick", Reading(max_pixels=182_007_081)) is None


def test_pillows_own_limit_is_raised_only_if_it_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = white(tmp_path)
    before = Image.MAX_IMAGE_PIXELS
    assert read_rgb(file, Reading()).size == (40, 40)
    assert before == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=r"1,600 pixels, more than data\.max_pixels=150"):
        read_rgb(file, Reading(max_pixels=150))
    assert read_rgb(file, Reading(max_pixels=1600)).getpixel((39, 39)) == (255, 255, 255)


@pytest.mark.parametrize("scan", ["quick", "full"])
def test_training(scan: str, compose_config: Compose, tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{number}.png")
    white(tmp_path)
    settings = ("data.image_size=16", "data.batch_size=2", f"data.scan={scan}")
    words = translated("train", [str(tmp_path), "model.pretrained=null", *settings])

    def accepted(*more: str) -> int:
        data = instantiate(compose_config(*words, *more).data)
        data.setup("fit")
        return len(data.train_dataset.source)

    with pytest.raises(ValueError, match=rf"large.png: {REFUSED}"):
        accepted("data.max_pixels=1000")
    assert accepted("data.max_pixels=1000", "data.on_error=skip") == 4
    assert accepted("data.max_pixels=1600") == 5


def test_page_new_images_and_load(photos_run: Path, tmp_path: Path) -> None:
    large = white(tmp_path / "new")
    words = (f"run='{photos_run}'", f"root='{large.parent}'", "num_workers=0")
    model = load(photos_run, device="cpu", max_pixels=1000)
    with pytest.raises(ValueError, match=rf"large.png: {REFUSED}"):
        model.embed([large])
    assert load(photos_run, device="cpu", max_pixels=1600).embed([large]).shape[0] == 1
    data = model.run.config.data
    data.max_pixels = 200
    with pytest.raises(ValueError, match=r"256 pixels, more than data\.max_pixels=200"):
        build_images(data).load(0)
    assert model.run.config.data.max_pixels == MAX_PIXELS  # for new images, too, unless given
    with pytest.raises(ValueError, match=r"data\.max_pixels=0; expected an integer"):
        assign(compose_command("assign", *words, "data.max_pixels=0"))


def measure(file: Path, answers: Any) -> None:
    """In a process of its own: the outcome of reading an image, and the mebibytes it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = "read"
    try:
        read_rgb(file, Reading())
    except ValueError:
        outcome = "refused"
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    answers.put((outcome, used / 1024))


def mebibytes_to_read(file: Path) -> tuple[str, float]:
    context = multiprocessing.get_context("fork")  # its peak starts at what it has now
    ctypes.CDLL(None).malloc_trim(0)  # free memory of earlier tests would be used, uncounted
    answers = context.SimpleQueue()
    process = context.Process(target=measure, args=(file, answers))
    process.start()
    process.join()
    found: tuple[str, float] = answers.get()
    return found


def test_memory(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(black_square(13_370))
    outcome, used = mebibytes_to_read(tmp_path / "bomb.png")
    assert outcome == "refused"
    assert used < 20
    # Two bits to a byte and four, and a strip; formerly sixteen bytes with a transparent colour.
    transparent = chunk(b"tRNS", b"\0\0")
    (tmp_path / "large.png").write_bytes(black_square(6000, before=transparent))
    outcome, used = mebibytes_to_read(tmp_path / "large.png")
    assert outcome == "read"
    assert 2 < used * 2**20 / 6000**2 < 7


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(128) + b"DICM" + bytes(100))
    assert "a DICOM file" in (find_fault(tmp_path / "x", "quick", Reading()) or "")
    (tmp_path / "x").write_bytes(b"II*\0" + bytes(100))
    assert "32-bit numbers in one channel" in (find_fault(tmp_path / "x", "quick", Reading()) or "")
    (tmp_path / "x").write_bytes(png(np.zeros((2, 2, 3))))
    with open_image(tmp_path / "x") as image:
        assert image.size == (2, 2)
