"""Of the metadata of a photograph the orientation counts; scan and training agree on every file."""

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate

from conftest import Compose
from helpers.raw_images import TURNED, Entry, encoded, exif, red_and_blue
from odc_lightning.cli.odc import translated
from odc_lightning.data.decoding.images import Reading, read_rgb
from odc_lightning.data.scan import find_fault

pytestmark = pytest.mark.filterwarnings("ignore:Tag data larger than file")
UPRIGHT = np.rot90(np.asarray(red_and_blue()), -1)


def place(entry: bytes, values: bytes = b"", lies_at: int = 68) -> bytes:
    """A record with the orientation and a GPS directory of one entry."""
    gps = struct.pack("<H", 1) + entry + bytes(4) + values
    return exif([TURNED, (0x8825, 4, 1, struct.pack("<I", lies_at))], bytes(30) + gps)


ODD = {
    "a longitude of negative fractions": place(
        struct.pack("<HHII", 4, 10, 3, 86), struct.pack("<6i", -122, 1, -25, 1, -9, 1)
    ),
    "a latitude as text": place(struct.pack("<HHII", 2, 2, 8, 86), b"48.1374\0"),
    "a width of no type": exif([(0x100, 7, 4, b"\0\0\0\x30"), TURNED]),
    "a maker beyond the end": exif([(0x10F, 2, 99999, b"\xff\xff\xff\x7f"), TURNED]),
    "a GPS directory beyond the end": exif([TURNED, (0x8825, 4, 1, b"\xff\xff\xff\xff")]),
    "an unknown type": exif([(0x110, 77, 3, b"abcd"), TURNED]),
    "a resolution of 0 / 0": exif([TURNED, (0x11A, 5, 1, struct.pack("<I", 50))], bytes(60)),
    "an endless directory": exif([TURNED])[:-4] + struct.pack("<I", 8),
    "entries without order": exif([(0x8769, 4, 1, b"\1\0\0\0"), TURNED, (0x100, 3, 1, bytes(4))]),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_entries_beside_the_orientation(tmp_path: Path, name: str, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    file = tmp_path / "photo"
    file.write_bytes(encoded(red_and_blue(), kind, exif=ODD[name], **options))
    assert [find_fault(file, mode, Reading()) for mode in ("quick", "full")] == [None, None]
    rgb = np.asarray(read_rgb(file, Reading())).astype(int)
    assert rgb.shape == (48, 32, 3)
    assert np.abs(rgb - UPRIGHT).mean() < 2


@pytest.mark.filterwarnings("ignore")
def test_entries_of_any_kind(tmp_path: Path) -> None:
    """The verdict of the scan is that of loading, for 300 random records."""
    rng = random.Random(0)
    file = tmp_path / "photo"
    for _ in range(100):
        entries: list[Entry] = [
            (
                rng.choice([0x100, 0x10F, 0x11A, 0x128, 0x132, 0x213, 0x8769, 0x8825, 0xA005]),
                rng.choice([*range(14), 16, 99]),
                rng.choice([0, 1, 2, 8, 70000, 2**32 - 1]),
                rng.randbytes(4),
            )
            for _ in range(rng.randint(0, 4))
        ]
        entries.insert(rng.randint(0, len(entries)), TURNED)
        record = exif(entries, rng.randbytes(rng.randint(0, 90)))
        for kind in ("JPEG", "PNG", "WEBP"):
            file.write_bytes(encoded(red_and_blue(), kind, exif=record))
            faults = [find_fault(file, mode, Reading()) for mode in ("quick", "full")]
            assert faults == [None, None], (kind, entries)
            assert read_rgb(file, Reading()).size == (32, 48), (kind, entries)


@pytest.mark.parametrize("scan", ["quick", "full", "none"])
def test_they_are_trained_on(scan: str, compose_config: Compose, tmp_path: Path) -> None:
    for number, record in enumerate(ODD.values()):
        content = encoded(red_and_blue(), "JPEG", exif=record, quality=95)
        (tmp_path / f"{number}.jpg").write_bytes(content)
    settings = ("data.image_size=16", "data.batch_size=4", "data.on_error=skip")
    config = compose_config(
        *translated(
            "train", [str(tmp_path), "model.pretrained=null", *settings, f"data.scan={scan}"]
        )
    )
    data = instantiate(config.data)
    data.setup("fit")
    assert data.num_samples == len(ODD)
    for index in range(len(ODD)):
        assert data.train_dataset.source.load(index).size == (32, 48)
