"""The pictures of a real run, in its folder and in both loggers."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Compose
from helpers.offline_wandb import read_run
from odc_lightning.callbacks import ClusterMedia
from odc_lightning.callbacks.monitors.cluster_media import GALLERY, SHEET
from odc_lightning.runs.metrics_csv import read_metrics
from odc_lightning.train import train


def test_pictures_of_a_run(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))
    config = compose_config(
        "experiment=odc_digits",
        "trainer.max_epochs=3",
        *("data.subset={num_images: 300}", "algorithm.num_clusters=20", "data.batch_size=25"),
        *("algorithm.small_clusters.threshold=5", "model.backbone.width=4"),
        "callbacks=cluster_media",
        "callbacks.label_scores.knn=false",
        "callbacks.cluster_media.every_n_epochs=2",
        "logger=[wandb,tensorboard]",
        "logger.wandb.offline=true",
    )
    train(config)
    run = tmp_path / "run"
    sheets = sorted((run / "contact_sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["epoch_0002.png", "epoch_0003.png"]
    ends = read_metrics(run / "metrics.csv")["odc/centroid_drift"].steps[1:].tolist()

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    names = events.Tags()["images"]
    assert {name.partition("/image")[0] for name in names} == {SHEET, GALLERY}
    assert [image.step for image in events.Images(SHEET)] == ends

    (folder,) = (run / "wandb").glob("offline-run-*")
    tracked = read_run(folder)
    assert [row["trainer/global_step"] for row in tracked.history if SHEET in row] == ends
    galleries = [row[GALLERY] for row in tracked.history if GALLERY in row]
    assert [gallery["count"] for gallery in galleries] == [12, 12]
    assert all("images, mean distance" in caption for caption in galleries[0]["captions"])
    (kept, _) = (row[SHEET]["filenames"] for row in tracked.history if SHEET in row)
    with Image.open(sheets[0]) as ours, Image.open(folder / "files" / kept[0]) as theirs:
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    assert OmegaConf.load(run / "config.yaml").callbacks.cluster_media.every_n_epochs == 2


def test_a_setting_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="every_n_epochs must be at least 1, got 0"):
        ClusterMedia("folder", 0)
