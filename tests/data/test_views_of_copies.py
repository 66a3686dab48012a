"""Views of smaller copies show what views of the full images show."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms import v2

from helpers.paths import CONF
from odc_lightning.data import resize_and_center_crop
from odc_lightning.data.dataset import Transform
from odc_lightning.data.decoding.copies import as_copy, full_size
from odc_lightning.data.decoding.images import Reading, read_rgb
from odc_lightning.data.views_of_copies import (
    EnoughFor,
    first_step,
    needed_scale,
    on_copies,
    resized,
)
from odc_lightning.utils.seeds import seeded

SIDE = 40
SHIPPED = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))
PHOTOS = [Image.fromarray(photo) for photo in load_sample_images().images]


def shipped(name: str) -> Transform:
    sizes = (f"+data.image_size={SIDE}", f"+data.view_size={SIDE}")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = (f"+augmentation@data.transform={name}", "+data.flip=0.5", "+data.crop=[0.3, 1.0]")
        config = compose(overrides=[*chosen, *sizes])
    transform: Transform = instantiate(config.data.transform)
    return transform


def drawn(transform: Transform, image: Image.Image, seed: int) -> tuple[Tensor, Tensor]:
    """A view, and what is drawn after it."""
    with seeded(seed):
        return transform(image), torch.rand(3)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_view_of_a_copy_is_that_of_the_image(name: str) -> None:
    transform = shipped(name)
    enough = EnoughFor(transform)
    of_copies = on_copies(transform)
    for photo in PHOTOS:
        size = enough(*photo.size)
        copy = as_copy(photo.resize(size, Image.Resampling.LANCZOS), photo.size)
        is_256 = name in ("imagenet_jigsaw", "voc07_eval")  # whatever the network takes
        assert (size == photo.size) == is_256
        for seed in range(8):
            expected, after = drawn(transform, photo, seed)
            found, after_too = drawn(of_copies, copy, seed)
            other, _ = drawn(transform, photo, seed + 100)
            assert torch.equal(after, after_too)
            assert found.shape == expected.shape
            difference = float((found - expected).abs().mean())
            assert difference < 0.04 * float(expected.std())
            if isinstance(first_step(transform), v2.RandomResizedCrop):
                assert difference < 0.5 * float((other - expected).abs().mean())


@pytest.mark.parametrize("name", SHIPPED)
def test_an_image_that_is_no_copy_has_the_same_bits(name: str) -> None:
    transform = shipped(name)
    for seed in range(4):
        expected, _ = drawn(transform, PHOTOS[0], seed)
        assert torch.equal(drawn(on_copies(transform), PHOTOS[0], seed)[0], expected)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
    size=st.integers(4, 256),
    least=st.floats(0.01, 1),
    ratio=st.floats(1, 2),
    seed=st.integers(0, 2**32),
)
def test_no_crop_of_a_copy_is_enlarged(
    sides: tuple[int, int], size: int, least: float, ratio: float, seed: int
) -> None:
    crop = v2.RandomResizedCrop(size, (least, 1.0), (1 / ratio, ratio))
    width, height = EnoughFor(crop)(*sides)
    assert width <= sides[0]
    assert height <= sides[1]
    if (width, height) == sides:
        return
    with seeded(seed):
        params = crop.make_params([torch.empty((1, sides[1], sides[0]), device="meta")])
    # torchvision rounds the sides of the crop in the image.
    assert (params["width"] + 0.5) * width / sides[0] >= size - 1e-6
    assert (params["height"] + 0.5) * height / sides[1] >= size - 1e-6


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(4, 900), st.integers(4, 900)),
    size=st.one_of(st.integers(2, 300), st.tuples(st.integers(2, 300), st.integers(2, 300))),
)
def test_a_new_size_is_torchvisions(sides: tuple[int, int], size: int | tuple[int, int]) -> None:
    resize = v2.Resize(size)
    new = resized(resize, sides)
    assert new == resize(Image.new("L", sides)).size
    scale = needed_scale(resize, *sides)
    assert scale * sides[0] >= new[0] - 1
    assert scale * sides[1] >= new[1] - 1


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomCrop(16),
        v2.Compose([v2.ColorJitter(0.4), v2.RandomResizedCrop(16)]),
        v2.Resize(None, max_size=20),
        v2.Resize(16, max_size=20),
        v2.RandomResizedCrop(16, interpolation=v2.InterpolationMode.NEAREST_EXACT),
        lambda image: image,
    ],
)
def test_other_transforms_need_the_whole_image(transform: Transform) -> None:
    assert EnoughFor(v2.Resize(16), transform)(640, 480) == (640, 480)
    assert EnoughFor(transform)(640, 480) == (640, 480)


def test_what_needs_most_decides() -> None:
    small, large = v2.Resize(16), resize_and_center_crop(70)  # which resizes to 80
    assert EnoughFor(small)(640, 480) == (27, 20)
    assert EnoughFor(small, large)(640, 480) == (134, 100)
    assert EnoughFor(small, large, shorter_side=160)(640, 480) == (214, 160)
    assert EnoughFor(small, shorter_side=400)(640, 480) == (640, 480)  # would save little
    assert EnoughFor(v2.RandomResizedCrop(60, (0.25, 1), (0.5, 2)))(800, 800) == (213, 213)


def test_a_panorama_keeps_its_shorter_side() -> None:
    assert EnoughFor(v2.RandomResizedCrop(50))(8000, 200) == (2500, 63)
    assert EnoughFor(v2.RandomResizedCrop(50))(8000, 800) == (807, 81)


def saved(photo: Image.Image, path: Path, **options: object) -> Path:
    photo.save(path, **options)  # type: ignore[arg-type]
    return path


class TestReading:
    """`read_rgb` with the size of a copy."""

    ENOUGH = Reading(size_of_copy=EnoughFor(v2.Resize(64)))

    @pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
    @pytest.mark.parametrize("orientation", [1, 3, 6])
    def test_a_copy_is_the_image_at_that_size(
        self, tmp_path: Path, suffix: str, orientation: int
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = saved(PHOTOS[1], tmp_path / f"x.{suffix}", exif=exif)
        whole = read_rgb(file, Reading())
        copy = read_rgb(file, self.ENOUGH)
        assert copy.size == ((80, 120) if orientation == 6 else (120, 80))
        assert full_size(copy) == whole.size
        assert full_size(whole) == whole.size
        expected = np.asarray(whole.resize(copy.size, Image.Resampling.LANCZOS), dtype=float)
        assert np.abs(np.asarray(copy, dtype=float) - expected).mean() < 3

    def test_a_jpeg_is_decoded_at_a_fraction(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = saved(PHOTOS[0], tmp_path / "x.jpg")
        decoded: list[tuple[int, int]] = []
        resize = Image.Image.resize

        def noted(image: Image.Image, *arguments: object, **options: object) -> Image.Image:
            decoded.append(image.size)
            return resize(image, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Image.Image, "resize", noted)
        read_rgb(file, self.ENOUGH)
        assert decoded == [(320, 214)]

    @pytest.mark.parametrize("size", [(1600, 1200), (1601, 1197), (1594, 1193)])
    @pytest.mark.parametrize("orientation", [1, 4, 6])
    def test_blocks_of_a_jpeg_reach_beyond_the_image(
        self, tmp_path: Path, size: tuple[int, int], orientation: int
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = saved(PHOTOS[0].resize(size), tmp_path / "x.jpg", exif=exif, quality=95)
        whole, copy = read_rgb(file, Reading()), read_rgb(file, self.ENOUGH)
        expected = np.asarray(whole.resize(copy.size, Image.Resampling.LANCZOS), dtype=float)
        difference = np.abs(np.asarray(copy, dtype=float) - expected).mean(axis=2)
        assert difference.mean() < 1.5
        quarter = copy.height // 4, copy.width // 4
        assert difference[-quarter[0] :, -quarter[1] :].mean() < 2 * difference.mean() + 0.5

    @pytest.mark.parametrize("orientation", [1, 6])
    def test_an_orientation_that_is_met_late(self, tmp_path: Path, orientation: int) -> None:
        xmp = f'<x:xmpmeta tiff:Orientation="{orientation}"/>'.encode()
        photo = PHOTOS[0].resize((600, 300))
        photo.save(tmp_path / "x.tif", tiffinfo={700: xmp})
        buffer = BytesIO()
        photo.save(buffer, "PNG")
        content = buffer.getvalue()
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
        chunk = struct.pack(">I", len(text)) + b"iTXt" + text
        chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
        (tmp_path / "x.png").write_bytes(content[:-12] + chunk + content[-12:])
        upright = (300, 600) if orientation == 6 else (600, 300)
        for name in ("x.tif", "x.png"):
            whole, copy = (read_rgb(tmp_path / name, how) for how in (Reading(), self.ENOUGH))
            assert whole.size == full_size(copy) == upright
            assert copy.size == ((80, 160) if orientation == 6 else (160, 80))
            expected = np.asarray(whole.resize(copy.size, Image.Resampling.LANCZOS), dtype=float)
            assert np.abs(np.asarray(copy, dtype=float) - expected).mean() < 1

    def test_a_text_of_a_file_is_no_mark(self, tmp_path: Path) -> None:
        texts = PngInfo()
        for key in ("full_size", "_full_size"):
            texts.add_text(key, "1, 2, 3")
        file = saved(PHOTOS[0].resize((50, 40)), tmp_path / "x.png", pnginfo=texts)
        assert full_size(read_rgb(file, self.ENOUGH)) == (50, 40)

    def test_values_of_sixteen_bits(self, tmp_path: Path) -> None:
        values = np.linspace(0, 65535, 300 * 200).reshape(200, 300).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / "x.png")
        copy = read_rgb(tmp_path / "x.png", self.ENOUGH)
        assert copy.size == (120, 80)
        column = np.asarray(copy)[:, 0, 0]
        assert column[0] <= 2
        assert column[-1] >= 253

    def test_a_small_image_is_read_as_ever(self, tmp_path: Path) -> None:
        file = saved(PHOTOS[0].resize((80, 60)), tmp_path / "x.jpg")
        assert read_rgb(file, self.ENOUGH).tobytes() == read_rgb(file, Reading()).tobytes()


def test_marks_of_copies() -> None:
    image = Image.new("RGB", (8, 6))
    assert full_size(as_copy(image.copy(), (8, 6))) == (8, 6)
    assert full_size(as_copy(image.copy(), (80, 60))) == (80, 60)
    buffer = BytesIO()
    as_copy(image, (80, 60)).save(buffer, "PNG")  # the mark does not go into files
    assert full_size(Image.open(buffer)) == (8, 6)
