"""The files that parts become, read by other programs."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odc_lightning.inference.table_files import (
    Format,
    features_of,
    features_table,
    write_features,
)
from odc_lightning.inference.table_parts import Parts

FEATURES = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
NAMES = [f"Ausflüge/a, {row}.png" for row in range(10)]


def written(folder: Path, form: Format) -> Path:
    parts = Parts(folder, {"format": form}, 10, 4)
    for number in range(3):
        here = slice(4 * number, 4 * number + 4)
        parts.write(number, features_table(NAMES[here], FEATURES[here]))
    parts.finish(write_features(form))
    return folder


def test_parquet(tmp_path: Path) -> None:
    file = written(tmp_path / "out", "parquet") / "features.parquet"
    table = pq.read_table(file)
    assert pq.ParquetFile(file).num_row_groups == 3
    assert table["path"].to_pylist() == NAMES
    assert np.array_equal(np.array(table["features"].to_pylist(), np.float32), FEATURES)


def test_npy(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", "npy")
    features = np.load(folder / "features.npy", mmap_mode="r")
    assert np.array_equal(features, FEATURES)
    assert features.dtype == np.float32


def test_memmap(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", "memmap")
    about = json.loads((folder / "features.json").read_text())
    features = np.memmap(folder / "features.f32", about["dtype"], "r", shape=tuple(about["shape"]))
    assert np.array_equal(features, FEATURES)
    lines = (folder / "paths.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["path", *(f'"{name}"' for name in NAMES)]


def test_a_slice_of_a_table() -> None:
    table = pa.concat_tables([features_table(NAMES, FEATURES)]).slice(3, 4)
    assert np.array_equal(features_of(table), FEATURES[3:7])
