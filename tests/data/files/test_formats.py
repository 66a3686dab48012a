"""Formats that are decoded, with a plug-in that is made up."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from odc_lightning.data import image_folder, scan_images
from odc_lightning.data.decoding.images import Reading
from odc_lightning.data.files.formats import ADVICE, image_extensions, register_plugins
from odc_lightning.inference.inputs import image_batches


def test_each_extension_is_an_image_or_has_advice_but_not_both() -> None:
    extensions = image_extensions()
    assert {".jpg", ".mpo", ".png", ".tif", ".webp"} <= extensions
    decoded = {".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"}
    assert not (ADVICE.keys() - decoded) & extensions


def test_the_pictures_of_an_mpo_are_read_as_the_first(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "stereo.MPO", format="MPO", save_all=True, append_images=[blue])
    source = image_folder(str(tmp_path))
    assert source.names == ["stereo.MPO"]
    r, g, b = source.load(0).getpixel((4, 4))  # type: ignore[misc]
    assert r > 200
    assert max(g, b) < 60


@pytest.fixture
def heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module `pillow_heif` whose HEIC files are PPM files behind four bytes."""
    from PIL.PpmImagePlugin import PpmImageFile

    class HeifFile(PpmImageFile):
        format = "HEIF"

        def _open(self) -> None:
            assert self.fp is not None
            self.fp.seek(4)
            super()._open()

    def register_heif_opener() -> None:
        Image.register_open("HEIF", HeifFile, lambda start: start.startswith(b"heic"))
        Image.register_extension("HEIF", ".heic")

    module = ModuleType("pillow_heif")
    module.register_heif_opener = register_heif_opener  # type: ignore[attr-defined]
    for known in ("ID", "OPEN", "EXTENSION"):
        monkeypatch.setattr(Image, known, getattr(Image, known).copy())
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    Image.init()


def test_an_installed_plugin_is_used(tmp_path: Path, heif: None) -> None:
    Image.new("RGB", (4, 4), "green").save(tmp_path / "x.ppm")
    (tmp_path / "photo.HEIC").write_bytes(b"heic" + (tmp_path / "x.ppm").read_bytes())
    (tmp_path / "x.ppm").unlink()
    register_plugins()
    source = image_folder(str(tmp_path))
    assert source.names == ["photo.HEIC"]
    assert str(source.passed_over) == ""
    assert source.load(0).getpixel((1, 1)) == (0, 128, 0)


def test_advice_reaches_lists_and_single_files(tmp_path: Path) -> None:
    for name in ("x.ORF", "x.jpg"):
        (tmp_path / name).write_bytes(b"not read")
    faults = dict(scan_images([tmp_path / "x.ORF", tmp_path / "x.jpg"]))
    advice = "not an image that Pillow can read (raw photographs, export them as JPEG or TIFF)"
    assert list(faults.values()) == [advice, "not an image that Pillow can read"]
    with pytest.raises(ValueError, match=r"cannot read the image .* \(raw photographs, export"):
        next(image_batches(tmp_path / "x.ORF", lambda image: torch.zeros(3, 4, 4), 1, Reading()))


def test_the_plugin_itself(tmp_path: Path) -> None:
    plugin = pytest.importorskip("pillow_heif")
    register_plugins()
    image = Image.new("RGB", (32, 32), (200, 40, 40))
    image.save(tmp_path / "photo.heic")
    assert plugin.is_supported(tmp_path / "photo.heic")
    r, g, b = image_folder(str(tmp_path)).load(0).getpixel((9, 9))  # type: ignore[misc]
    assert abs(r - 200) < 20
    assert max(abs(g - 40), abs(b - 40)) < 20
