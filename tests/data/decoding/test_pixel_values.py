"""Numbers of more than 8 bits keep their values, whatever file they are in."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.raw_images import png, tiff
from odc_lightning.data.decoding import pixel_values
from odc_lightning.data.decoding.images import Reading, measure_values, read_rgb, to_rgb
from odc_lightning.data.decoding.pixel_values import grey_levels, rounded_range


@pytest.mark.parametrize(
    ("low", "high", "integers", "expected"),
    [
        (0, 4095, True, (0, 4096)),
        (300, 4000, True, (0, 4096)),
        (0, 4096, True, (0, 8192)),
        (0, 65535, True, (0, 65536)),
        (0, 1000, True, (0, 1024)),
        (60, 160, True, (0, 256)),  # as in a file of 8 bits
        (0, 3, True, (0, 256)),
        (0, 0, True, (0, 256)),
        (-1000, 3000, True, (-1024, 4096)),
        (-128, 127, True, (-128, 128)),
        (0, 2**32 - 1, True, (0, 2**32)),
        (0.0, 1.0, False, (0, 1)),
        (0.01, 0.98, False, (0, 1)),
        (-1.0, 1.0, False, (-1, 1)),
        (-1000.0, 3000.5, False, (-1024, 4096)),
        (0.0, 0.0, False, (0, 1)),
        (28000, 31000, True, (27648, 31744)),  # a thermal camera: not the 23 greys of 0 to 32768
        (0.5, 0.53, False, (0.5, 0.53125)),
        (1000, 1000, True, (0, 1024)),
    ],
)
def test_a_range_is_rounded_outwards(
    low: float, high: float, integers: bool, expected: tuple[float, float]
) -> None:
    assert rounded_range(low, high, integers) == expected


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.int32, np.float32])
def test_integers_keep_their_upper_eight_bits(bits: int, kind: type) -> None:
    values = np.arange(2**bits)
    np.testing.assert_array_equal(
        grey_levels(values.astype(kind), (0, 2**bits)), values >> (bits - 8)
    )


def test_values_beyond_the_range_are_clipped() -> None:
    values = np.array([-np.inf, -1025, -1024, 0, 3071, 1e9, np.inf, np.nan])
    assert grey_levels(values, (-1024, 3072)).tolist() == [0, 0, 0, 64, 255, 255, 255, 0]
    assert grey_levels(np.array([0, 99, 100, 65535], np.uint16), (100, 200)).tolist() == [
        *(0, 0, 0, 255)
    ]


def whole_range(kind: str) -> np.ndarray:
    """(4, 8) values of a type, from its smallest to its largest."""
    if kind[1] == "f":
        return np.linspace(-1, 1, 32).reshape(4, 8).astype(kind)
    limits = np.iinfo(kind)
    return np.linspace(limits.min, limits.max, 32).round().reshape(4, 8).astype(kind)


@pytest.mark.parametrize("kind", ["<u2", ">u2", "<i2", ">i2", "<u4", "<i4", ">i4", "|i1", "<f4"])
def test_tiff_files_of_every_type(tmp_path: Path, kind: str) -> None:
    values = whole_range(kind)
    (tmp_path / "x.tif").write_bytes(tiff(values))
    measured = measure_values(tmp_path / "x.tif")
    assert measured == (float(values.min()), float(values.max()), kind[1] != "f")
    grey = np.asarray(read_rgb(tmp_path / "x.tif"))[..., 0].ravel()
    np.testing.assert_allclose(grey, np.linspace(0, 255.9, 32), atol=1.5)
    half = Reading((0, float(values.max())))
    below_zero = np.asarray(read_rgb(tmp_path / "x.tif", half))[..., 0][values <= 0]
    assert not below_zero.any()


@pytest.mark.parametrize("kind", ["|u1", "<u2", "<f4"])
def test_negatives_in_tiff_files_are_inverted(tmp_path: Path, kind: str) -> None:
    """Files whose smallest value is white."""
    content, photometric = tiff(whole_range(kind)), struct.Struct("<HHII")
    positive, negative = (photometric.pack(262, 4, 1, value) for value in (1, 0))
    assert content.count(positive) == 1
    (tmp_path / "x.tif").write_bytes(content)
    (tmp_path / "y.tif").write_bytes(content.replace(positive, negative))
    grey, inverted = (np.asarray(read_rgb(tmp_path / name)) for name in ("x.tif", "y.tif"))
    np.testing.assert_array_equal(inverted, 255 - grey)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_files_of_16_bits(tmp_path: Path, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (9, 7, channels))
    alpha = values[..., -1:] if channels in (2, 4) else None
    if alpha is not None:
        alpha[:] = 65535  # opaque
    (tmp_path / "x.png").write_bytes(png(values, bits=16))
    colours = values[..., : 3 if channels > 2 else 1]
    expected = np.broadcast_to(colours >> 4, (9, 7, 3))
    np.testing.assert_array_equal(np.asarray(read_rgb(tmp_path / "x.png")), expected)
    upper = np.asarray(read_rgb(tmp_path / "x.png", Reading("16bit")))
    np.testing.assert_array_equal(upper, np.broadcast_to(colours >> 8, (9, 7, 3)))
    with pytest.raises(ValueError, match=r"data.value_range=\[low,high\]"):
        read_rgb(tmp_path / "x.png", Reading(None))
    if alpha is not None:
        alpha[:] = 0  # transparent, which is white
        (tmp_path / "y.png").write_bytes(png(values, bits=16))
        assert np.asarray(read_rgb(tmp_path / "y.png")).min() == 255


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
@pytest.mark.parametrize("deflated", [False, True])
def test_tiff_colours_of_16_bits(tmp_path: Path, kind: str, deflated: bool) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (9, 7, 3)).astype(kind)
    (tmp_path / "x.tif").write_bytes(tiff(values, deflated=deflated))
    expected = (values >> 4).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(read_rgb(tmp_path / "x.tif")), expected)


def test_large_images_are_converted_in_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 60000, (50, 40)).astype(np.uint16)
    turned = Image.Exif()
    turned[0x112] = 5
    rgba = Image.fromarray(rng.integers(0, 256, (50, 40, 4)).astype(np.uint8))
    palette = rgba.convert("RGB").quantize(8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    rgba.save(tmp_path / "rgba.png", exif=turned)
    palette.save(tmp_path / "palette.png", transparency=3)
    rgba.convert("CMYK").save(tmp_path / "cmyk.jpg", exif=turned)
    rgba.convert("RGB").convert("LAB").save(tmp_path / "lab.tif")
    rgba.convert("1").save(tmp_path / "bits.png")
    whole = {path: np.asarray(read_rgb(path)) for path in tmp_path.iterdir()}
    monkeypatch.setattr(pixel_values, "_STRIP", 7 * 40)
    for path, pixels in whole.items():
        np.testing.assert_array_equal(np.asarray(read_rgb(path)), pixels)


def test_pillow_images_are_read_by_the_same_range() -> None:
    values = np.array([[0, 16, 4095]], np.uint16)
    opened = Image.open(io.BytesIO(png(values[..., None], bits=16)))
    for image in (Image.fromarray(values), opened):
        assert np.asarray(to_rgb(image, Reading((0, 4096))))[0, :, 0].tolist() == [0, 1, 255]
