"""Damaged files that are left out do not decide about the settings."""

import math
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from PIL import Image

from conftest import Compose
from odc_lightning.cli.odc import translated
from odc_lightning.config.automatic import with_automatic_settings

DAMAGED = {
    "page": b"<html>404</html>",
    "empty": b"",
    "cut": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
}


def write(folder: Path, good: int, bad: int, content: bytes, side: int = 32) -> list[str]:
    """The words of the training of a folder."""
    folder.mkdir()
    for number in range(good):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"img_{number:03d}.png")
    for number in range(bad):
        (folder / f"bad_{number:03d}.png").write_bytes(content)
    return [
        *translated("train", [str(folder), "model.pretrained=null"]),
        "data.on_error=skip",
        "data.num_workers=0",
    ]


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize(("good", "bad"), [(24, 76), (60, 40)])
def test_choices_follow_the_images_that_are_used(
    good: int,
    bad: int,
    kind: str,
    tmp_path: Path,
    compose_config: Compose,
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = write(tmp_path / "photos", good, bad, DAMAGED[kind])
    config, lines = with_automatic_settings(compose_config(*words))
    assert config.algorithm.num_clusters == round(2 * math.sqrt(good))
    assert config.data.batch_size == 16
    assert config.data.image_size == 32
    assert sum(f"for {good} images" in line for line in lines) == 4
    assert "cannot be read" not in caplog.text  # the data module says it, once
    data = instantiate(config.data)
    data.setup("fit")
    assert data.num_samples == good
    assert caplog.text.count(f"{bad} of {good + bad} images cannot be read and are left out") == 1
    most = "These are most of the images: check that their download or copy is complete."
    assert (most in caplog.text) == (bad > good)


def test_the_part_that_is_used(tmp_path: Path, compose_config: Compose) -> None:
    """A subset of large and damaged images."""
    words = write(tmp_path / "photos", 50, 50, b"")
    config, _ = with_automatic_settings(compose_config(*words, "data.subset={num_images: 40}"))
    data = instantiate(config.data)
    data.setup("fit")
    assert data.num_samples < 40
    assert config.algorithm.num_clusters == round(2 * math.sqrt(data.num_samples))


def test_nothing_but_damaged_files(tmp_path: Path, compose_config: Compose) -> None:
    words = write(tmp_path / "photos", 0, 12, b"<html>404</html>")
    with pytest.raises(ValueError, match="no images that can be read: all 12 are damaged"):
        with_automatic_settings(compose_config(*words))
    config, _ = with_automatic_settings(compose_config(*words, "data.on_error=raise"))
    with pytest.raises(ValueError, match=r"(?s)12 of 12 images .*\nThese are most of the images"):
        instantiate(config.data).setup("fit")
