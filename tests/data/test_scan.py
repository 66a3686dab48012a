"""The scan finds every damaged file that its mode promises to find, and no healthy one."""

import logging
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import FileSource, scan_images
from odc_lightning.data.scan import ScanMode, without_problems

FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}


def encoded(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


@pytest.mark.parametrize("mode", ["quick", "full"])
def test_healthy_files_pass(tmp_path: Path, mode: ScanMode) -> None:
    files = {f"x.{extension}": encoded(kind) for extension, kind in FORMATS.items()}
    jpeg = files["x.jpg"]
    thumbnail = BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, "JPEG")
    files |= {
        "progressive.jpg": encoded("JPEG", progressive=True),
        "padded.jpg": jpeg + bytes(1000),
        "motion_photo.jpg": jpeg + b"a video of some kind" * 1000,
        "thumbnail.jpg": encoded("JPEG", exif=b"Exif\0\0" + thumbnail.getvalue()),
        "padded.png": files["x.png"] + bytes(100),
        "padded.gif": files["x.gif"] + bytes(100),
        "wrong_name.png": jpeg,
    }
    assert scan_images(write(tmp_path, files), mode) == []


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("keep", [0.15, 0.5, 0.98])
@pytest.mark.parametrize("mode", ["quick", "full"])
def test_truncated_files_are_found(
    tmp_path: Path, extension: str, keep: float, mode: ScanMode
) -> None:
    whole = encoded(FORMATS[extension])
    paths = write(
        tmp_path, {f"x.{extension}": whole, f"cut.{extension}": whole[: int(len(whole) * keep)]}
    )
    assert [path.name for path, _ in scan_images(paths, mode)] == [f"cut.{extension}"]


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp"])
@pytest.mark.parametrize("missing", [1, 2, 5])
def test_even_a_few_missing_bytes_are_found(tmp_path: Path, extension: str, missing: int) -> None:
    paths = write(tmp_path, {f"cut.{extension}": encoded(FORMATS[extension])[:-missing]})
    assert len(scan_images(paths)) == 1


def test_what_is_no_image(tmp_path: Path) -> None:
    files = {"empty.jpg": b"", "text.png": b"hello", "zeros.jpg": bytes(5000)}
    paths = [*write(tmp_path, files), tmp_path / "missing.jpg"]
    found = {path.name: reason for path, reason in scan_images(paths)}
    assert set(found) == {"empty.jpg", "text.png", "zeros.jpg", "missing.jpg"}
    assert "0 bytes" in found["empty.jpg"]
    assert "not an image" in found["text.png"]
    assert "No such file" in found["missing.jpg"]


def test_only_full_decodes_what_has_its_end(tmp_path: Path) -> None:
    png = bytearray(encoded("PNG"))
    png[len(png) // 2] ^= 0xFF  # the checksum of the pixels no longer holds
    paths = write(tmp_path, {"flipped.png": bytes(png)})
    assert scan_images(paths, "none") == []
    assert scan_images(paths, "quick") == []
    assert len(scan_images(paths, "full")) == 1


def test_order_is_kept_over_many_files(tmp_path: Path) -> None:
    good = encoded("JPEG")
    files = {f"{i:04}.jpg": b"" if i % 7 == 0 else good for i in range(600)}
    found = [path.name for path, _ in scan_images(write(tmp_path, files))]
    assert found == [name for name, content in files.items() if not content]


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="expected quick, full or none"):
        scan_images([], "fast")  # type: ignore[arg-type]


def damaged_source(folder: Path, count: int) -> FileSource:
    files = {f"bad{i:02}.jpg": b"" for i in range(count)} | {"good.jpg": encoded("JPEG")}
    write(folder, files)
    return FileSource(folder, sorted(files), np.arange(count + 1))


def problems_of(source: FileSource) -> list[tuple[Path, str]]:
    return scan_images([source.path(i) for i in range(len(source))])


def test_raise_lists_twenty_and_counts_all(tmp_path: Path) -> None:
    source = damaged_source(tmp_path, 25)
    with pytest.raises(ValueError, match="25 of 26 images cannot be read") as caught:
        without_problems(source, problems_of(source), "raise")
    assert "bad19.jpg" in str(caught.value)
    assert "bad20.jpg" not in str(caught.value)
    assert "and 5 more" in str(caught.value)


def test_skip_logs_ten_and_keeps_the_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = damaged_source(tmp_path, 12)
    with caplog.at_level(logging.WARNING):
        kept = without_problems(source, problems_of(source), "skip")
    assert [kept.name(i) for i in range(len(kept))] == ["good.jpg"]
    assert kept.labels is not None
    assert kept.labels.tolist() == [12]
    assert "12 of 13" in caplog.text
    assert "bad09.jpg" in caplog.text
    assert "bad10.jpg" not in caplog.text
