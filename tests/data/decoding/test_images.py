"""Every kind of file becomes an upright 8-bit RGB image with the colours it should have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data.decoding.images import Reading, read_rgb
from odc_lightning.data.files.formats import image_extensions


def saved(image: Image.Image, path: Path, **options: Any) -> Image.Image:
    image.save(path, **options)
    rgb = read_rgb(path)
    assert rgb.mode == "RGB"
    return rgb


def gradient() -> np.ndarray:
    """(20, 30, 3), smooth so that lossy formats keep it."""
    rows, columns = np.mgrid[0:20, 0:30]
    return np.stack([rows * 12, columns * 8, rows * 5 + columns * 3], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("extension", ["png", "bmp", "tiff", "ppm"])
def test_lossless_colour_is_kept(tmp_path: Path, extension: str) -> None:
    pixels = gradient()
    rgb = saved(Image.fromarray(pixels), tmp_path / f"x.{extension}")
    np.testing.assert_array_equal(np.asarray(rgb), pixels)


@pytest.mark.parametrize("extension", ["jpg", "webp"])
def test_lossy_colour_is_near(tmp_path: Path, extension: str) -> None:
    pixels = gradient()
    rgb = saved(Image.fromarray(pixels), tmp_path / f"x.{extension}", quality=95)
    assert np.abs(np.asarray(rgb).astype(int) - pixels).mean() < 6


def test_gray_and_palette(tmp_path: Path) -> None:
    gray = Image.fromarray(gradient()).convert("L")
    rgb = np.asarray(saved(gray, tmp_path / "gray.png"))
    np.testing.assert_array_equal(rgb, np.repeat(np.asarray(gray)[..., None], 3, axis=-1))
    palette = Image.fromarray(gradient()).convert("P")
    rgb = np.asarray(saved(palette, tmp_path / "palette.gif"))
    assert np.abs(rgb.astype(int) - np.asarray(palette.convert("RGB"))).max() == 0


def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 255, 256], [32768, 65279, 65535]], dtype=np.uint16)
    for name in ("x.png", "x.tiff"):
        rgb = np.asarray(saved(Image.fromarray(deep), tmp_path / name))
        np.testing.assert_array_equal(rgb[..., 0], deep >> 8)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = Image.new("RGBA", (2, 1))
    rgba.putpixel((0, 0), (255, 0, 0, 255))
    rgba.putpixel((1, 0), (0, 0, 0, 0))
    rgb = saved(rgba, tmp_path / "rgba.png")
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]

    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 255, 9, 9, 9])
    palette.putpixel((1, 0), 1)
    rgb = saved(palette, tmp_path / "palette.png", transparency=1)
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 255), (255, 255, 255)]

    gray_alpha = Image.new("LA", (1, 1), (0, 128))
    assert saved(gray_alpha, tmp_path / "la.png").getpixel((0, 0)) == (127, 127, 127)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert saved(white, tmp_path / "cmyk.jpg").getpixel((4, 4)) == (255, 255, 255)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), "black")
    image.paste((255, 255, 255), (0, 0, 20, 20))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: left becomes top
    rgb = saved(image, tmp_path / "turned.jpg", exif=exif)
    assert rgb.size == (20, 40)
    top, bottom = np.asarray(rgb)[5].mean(), np.asarray(rgb)[35].mean()
    assert top > 250
    assert bottom < 5


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (4, 4), name) for name in ("red", "blue"))
    rgb = saved(red, tmp_path / "x.gif", save_all=True, append_images=[blue])
    assert rgb.getpixel((1, 1)) == (255, 0, 0)


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), dtype=np.float32)).save(tmp_path / "x.tiff")
    with pytest.raises(ValueError, match="floating-point"):
        read_rgb(tmp_path / "x.tiff", Reading())


def test_extensions_are_those_that_decode() -> None:
    extensions = image_extensions()
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"} <= extensions
    assert not {".pdf", ".mpg", ".h5", ".eps", ".txt"} & extensions


def test_the_name_of_version_0_1_0() -> None:
    from odc_lightning.data import images

    assert images.read_rgb is read_rgb
