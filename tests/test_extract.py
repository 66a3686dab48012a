"""Features of a run's layers as files."""

import csv
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from conftest import Compose, compose_command
from odc_lightning import load
from odc_lightning.extract import extract


@pytest.fixture
def compose_extraction(photos_run: Path, tmp_path: Path) -> Compose:
    always = (f"run='{photos_run}'", f"out='{tmp_path / 'out'}'", "num_workers=0")
    return partial(compose_command, "extract", *always)


def test_the_runs_own_images(
    compose_extraction: Compose, photos_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = extract(compose_extraction("batch_size=16", "part_size=32"))
    table = pq.read_table(folder / "features.parquet")
    model = load(photos_run)
    names = table["path"].to_pylist()
    assert names == model.run.image_names()
    root = Path(model.run.config.data.root)
    expected = model.embed([root / name for name in names])
    features = torch.tensor(table["features"].to_pylist())
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)
    assert "200 x 128 features of embedding" in capsys.readouterr().out
    assert pq.ParquetFile(folder / "features.parquet").num_row_groups == 7


def test_a_layer_of_other_images(
    compose_extraction: Compose, photos_run: Path, new_photos: Path
) -> None:
    other = ("data=image_folder", f"data.root='{new_photos}'")
    folder = extract(compose_extraction("layer=conv3", "format=npy", *other))
    features = np.load(folder / "features.npy", mmap_mode="r")
    lines = (folder / "paths.csv").read_text(encoding="utf-8").splitlines()
    files = sorted(new_photos.rglob("*.png"), key=lambda path: path.as_posix())
    assert len(lines) == 71
    expected = load(photos_run).embed(files, "conv3")
    assert np.allclose(features, expected, atol=1e-5)


def test_for_viewers(compose_extraction: Compose, photos_run: Path, new_photos: Path) -> None:
    config = compose_extraction("format=atlas", "part_size=64")
    table = pq.read_table(extract(config) / "embedding.parquet")
    with (photos_run / "clusters.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert table["path"].to_pylist() == [row["path"] for row in rows]
    assert table["cluster"].to_pylist() == [row["cluster"] for row in rows]
    own = Path(load(photos_run).run.config.data.root) / rows[70]["path"]
    with Image.open(own) as image, Image.open(BytesIO(table["image"][70].as_py())) as picture:
        difference = np.asarray(picture.resize(image.size), float) - np.asarray(image)
    assert np.abs(difference).mean() < 20
    config.out += " of others"
    other = ("data=image_folder", f"data.root='{new_photos}'", f"out='{config.out}'")
    folder = extract(compose_extraction("format=projector", "layer=pooled", *other))
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 70
    assert not any("\t" in line for line in lines)  # no cluster
    assert 'tensor_name: "pooled"' in (folder / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("layer=conv9", "no such layer"),
        ("format=hdf5", "expected one of parquet, npy, memmap, projector, atlas"),
        ("part_size=0", "part_size=0; expected an integer, 1 or more"),
        ("run=nowhere", "run=nowhere does not exist"),
    ],
)
def test_what_is_refused(
    compose_extraction: Compose, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        extract(compose_extraction(override))
    assert not (tmp_path / "out").exists()
