from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.nn.functional import normalize

from helpers.made_up_run import groups, write_images, write_run
from odc_lightning.checkpoints import TrainingRun
from odc_lightning.runs.clustered_images import ClusteredImages, read_clusters

NAMES = tuple(f"{folder}/{number}.png" for folder in ("a", "b") for number in range(6))


def read(folder: Path) -> ClusteredImages:
    run = TrainingRun.of(folder / "checkpoints" / "last.ckpt")
    assert run is not None
    return read_clusters(run, run.config.data)


def make(tmp_path: Path, names: tuple[str, ...] = NAMES, **more: Any) -> Path:
    features, labels = groups(len(names), 3)
    write_images(tmp_path / "photos", names)
    return write_run(tmp_path / "run", tmp_path / "photos", names, features, labels, **more)


def test_a_run_with_a_samples_memory(tmp_path: Path) -> None:
    features, labels = groups(12, 3)
    clustered = read(make(tmp_path))
    assert clustered.labels.tolist() == labels.tolist()
    assert clustered.num_clusters == 3
    torch.testing.assert_close(clustered.rows(np.array([3, 1])), features[[3, 1]])
    assert [clustered.source.name(index) for index in range(12)] == list(NAMES)
    assert clustered.source.load(0).size == (48, 32)
    assert clustered.source.labels is None


def test_images_are_found_by_name_and_not_by_position(tmp_path: Path) -> None:
    run = make(tmp_path, NAMES)
    before = read(run).source.load(7)
    # one that sorts before all others came, and one has gone
    write_images(tmp_path / "photos", ["0 new.png"])
    (tmp_path / "photos" / NAMES[3]).unlink()
    source = read(run).source
    assert len(source) == 12
    assert source.load(7).tobytes() == before.tobytes()
    assert source.path(3) is None
    with pytest.raises(ValueError, match=r"a/3\.png no longer exists"):
        source.load(3)


def test_labels_of_folders_follow_their_images(tmp_path: Path) -> None:
    run = make(tmp_path)
    config = OmegaConf.load(run / "config.yaml")
    config.data.train.labels_from_folder = True
    OmegaConf.save(config, run / "config.yaml")
    (tmp_path / "photos" / NAMES[0]).unlink()
    source = read(run).source
    assert source.class_names == ["a", "b"]
    assert source.labels is not None
    assert source.labels.tolist() == [-1] + [0] * 5 + [1] * 6


def test_deepcluster_v2_has_banks_of_views(tmp_path: Path) -> None:
    banks = torch.randn(2, 12, 4)
    labels = torch.arange(12) % 3
    clustered = read(make(tmp_path, callbacks={"P": {"banks": banks, "labels": labels}}))
    expected = normalize((banks[0] + banks[1]) / 2, dim=1)
    torch.testing.assert_close(clustered.features, expected)
    torch.testing.assert_close(clustered.centroids[1], expected[1::3].mean(0))


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ({"O": {"labels": torch.zeros(12, dtype=torch.int64)}}, "has clusters but no features"),
        ({"Other": {"x": 1}}, "has no clusters in last.ckpt"),
        ({"SamplesMemory": {}}, "has no clusters in last.ckpt"),
    ],
)
def test_a_run_without_features_is_refused(
    tmp_path: Path, callbacks: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(make(tmp_path, callbacks=callbacks))


def test_other_images_are_refused(tmp_path: Path) -> None:
    run = make(tmp_path)
    index = (run / "index.csv").read_text().splitlines()
    (run / "index.csv").write_text("\n".join(index[:-1]))
    with pytest.raises(ValueError, match="names 11 images, but its checkpoint clusters 12"):
        read(run)
    (run / "index.csv").write_text("\n".join(line.replace(".png", ".gif") for line in index))
    with pytest.raises(ValueError, match=r"none of the run's 12 images was found, .*a/0\.gif"):
        read(run)
    (run / "index.csv").unlink()
    assert len(read(run).source) == 12
    write_images(tmp_path / "photos", ["new.png"])
    with pytest.raises(ValueError, match=r"clustered 12 images, but data has 13"):
        read(run)
