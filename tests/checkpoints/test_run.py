"""From a checkpoint to the run that it is of, its config, and the clusters of its images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.run_folders import write_config
from odc_lightning.checkpoints import TrainingRun
from odc_lightning.runs.csv_files import write_index_table


def write_run(folder: Path) -> Path:
    """Four images in the clusters 2, 0, 1, 2."""
    checkpoint = folder / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    write_config(folder / "config.yaml", name="mine")
    write_index_table(folder / "index.csv", ["a/1.jpg", "a/2.jpg", "b,3.jpg", 'c"4.jpg'])
    labels = torch.tensor([2, 0, 1, 2])
    torch.save({"callbacks": {"SamplesMemory": {"labels": labels}}}, checkpoint)
    return checkpoint


def test_the_run_of_a_checkpoint(tmp_path: Path) -> None:
    checkpoint = write_run(tmp_path / "run")
    run = TrainingRun.of(checkpoint)
    assert run is not None
    assert run.config.name == "mine"
    assert run.folder == (tmp_path / "run").resolve()


def test_a_checkpoint_beside_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_run(tmp_path / "run").parent)
    run = TrainingRun.of(Path("last.ckpt"))
    assert run is not None
    assert run.folder == (tmp_path / "run").resolve()


def test_a_checkpoint_elsewhere_has_no_run(tmp_path: Path) -> None:
    checkpoint = write_run(tmp_path / "run")
    moved = tmp_path / "last.ckpt"
    moved.write_bytes(checkpoint.read_bytes())
    assert TrainingRun.of(moved) is None
    (tmp_path / "run" / "config.yaml").unlink()
    assert TrainingRun.of(checkpoint) is None


def test_clusters_are_found_by_name(tmp_path: Path) -> None:
    run = TrainingRun.of(write_run(tmp_path / "run"))
    assert run is not None
    found = run.clusters(['c"4.jpg', "a/2.jpg", "b,3.jpg"])
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]
    assert run.clusters(["a/2.jpg", "other.jpg"]) is None


def test_a_run_without_clusters(tmp_path: Path) -> None:
    checkpoint = write_run(tmp_path / "run")
    run = TrainingRun.of(checkpoint)
    assert run is not None
    torch.save({"callbacks": {"ModelCheckpoint": {}}}, checkpoint)
    assert run.clusters(["a/1.jpg"]) is None
    torch.save({"state_dict": {}}, checkpoint)
    assert run.clusters(["a/1.jpg"]) is None
