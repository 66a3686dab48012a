"""New images in a run's clusters: the real command, stopped and started again."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from conftest import compose_command, write_photos
from odc_lightning import load
from odc_lightning.assign import assign


def test_the_table(
    photos_run: Path, new_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = (f"run='{photos_run}'", f"root='{new_photos}'", "neighbours=3", "num_workers=0")
    config = compose_command("assign", *overrides, f"out='{tmp_path / 'out'}'")
    folder = assign(config)
    table = pq.read_table(folder / "assigned.parquet")
    names = table["path"].to_pylist()
    on_disk = (path.relative_to(new_photos).as_posix() for path in new_photos.rglob("*.png"))
    assert names == sorted(on_disk)

    model = load(photos_run)
    files = [new_photos / name for name in names]
    found = model.assign(files)
    near = model.reference.neighbours(model.embed(files), 3)
    assert table["cluster"].to_pylist() == found.labels.tolist()
    assert table["second"].to_pylist() == found.second.tolist()
    for column, expected in (
        ("distance", found.distances),
        ("margin", found.margin),
        ("outlier", near.outlier),
        ("similarity_1", near.similarities[:, 0]),
    ):
        torch.testing.assert_close(torch.tensor(table[column].to_pylist()), expected)
    third = [model.reference.names[row] for row in near.indices[:, 2].tolist()]
    assert table["neighbour_3"].to_pylist() == third
    with (folder / "assigned.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == names
    assert [int(row["cluster"]) for row in rows] == found.labels.tolist()
    assert float(rows[5]["outlier"]) == pytest.approx(float(near.outlier[5]), rel=1e-4)

    # A second time there is nothing to do; with another image there is another result.
    monkeypatch.setattr(
        "odc_lightning.inference.image_table.image_features", None
    )  # cannot be called
    assert assign(config) == folder
    other = tmp_path / "other"
    write_photos(other, "val", 3)
    with pytest.raises(ValueError, match="differs in images and rows; choose"):
        assign(compose_command("assign", *overrides, f"root='{other}'", f"out='{folder}'"))


def test_damaged_images(photos_run: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "new", "val", 4)
    (tmp_path / "new" / "damaged.png").write_bytes(b"no image")
    overrides = [f"run='{photos_run}'", f"root='{tmp_path / 'new'}'", "num_workers=0"]
    overrides.append(f"out='{tmp_path / 'out'}'")
    with pytest.raises(ValueError, match=r"damaged.png: .*\n.*data.on_error=skip"):
        assign(compose_command("assign", *overrides))
    folder = assign(compose_command("assign", *overrides, "data.on_error=skip"))
    assert len(pq.read_table(folder / "assigned.parquet")) == 4


def test_killed_it_resumes(
    photos_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGKILL in the middle: the same command ends in what an uninterrupted one makes."""
    new = tmp_path / "new photos"
    new.mkdir()
    for number in range(400):
        shade = (number % 256, number // 2, 255 - number % 256)
        Image.new("RGB", (16, 16), shade).save(new / f"{number:04d}.png")
    words = [sys.executable, "-m", "odc_lightning.assign", f"run='{photos_run}'"]
    words += [f"root='{new}'", "num_workers=0", "batch_size=4", "part_size=4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [*words, "out=killed"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    )
    while not (out / "unfinished" / "000003.parquet").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "assigned.csv").exists()
    kept = sorted((out / "unfinished").glob("*.parquet"))
    assert len(kept) < 95  # of 100
    config = compose_command("assign", *words[3:], f"out='{out}'")
    with caplog.at_level("INFO"):
        assert assign(config) == out
    assert f"resuming after {4 * len(kept):,} of 400 images" in caplog.text
    assert not (out / "unfinished").exists()
    config.out = str(tmp_path / "whole")
    resumed, whole = (
        pq.read_table(folder / "assigned.parquet") for folder in (out, assign(config))
    )
    for column in ("path", "cluster", "neighbour_1"):
        assert resumed[column].equals(whole[column])
    for column in ("distance", "outlier"):  # which another number of threads rounds otherwise
        there, here = (torch.tensor(table[column].to_pylist()) for table in (whole, resumed))
        torch.testing.assert_close(there, here, atol=1e-3, rtol=1e-3)
