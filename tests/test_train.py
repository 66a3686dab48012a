"""Whole runs on real digits, a few epochs each, in this process."""

import csv
import json
import logging
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from conftest import Compose
from odc_lightning.callbacks import SamplesMemory
from odc_lightning.callbacks.monitors import forecast, time_left
from odc_lightning.cli.command import refuse_ranks_in_multirun
from odc_lightning.data import ImageSource, digits
from odc_lightning.train import train

SHORT = ("experiment=odc_digits", "trainer.max_epochs=2")
FEW = (
    *(*SHORT, "data.subset={num_images: 400}", "algorithm.num_clusters=20", "data.batch_size=32"),
    *("algorithm.small_clusters.threshold=5", "model.backbone.width=8"),
)
METRICS = {
    "train/loss",
    "train/feature_rank",
    "odc/label_switch_ratio",
    "odc/cluster_size_min",
    "odc/cluster_size_max",
    "odc/cluster_entropy",
    "odc/empty_clusters",
    "odc/small_clusters_split",
    "odc/centroid_drift",
    "odc/nmi_previous_epoch",
    "eval/knn_top1",
    "eval/nmi",
}


def checkpoint(run_dir: Path) -> dict[str, Any]:
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same_training(one: Path, other: Path) -> None:
    """Equal weights, memories and optimisers, bit for bit."""
    a, b = checkpoint(one), checkpoint(other)
    key = SamplesMemory().state_key
    for tensors in (a["state_dict"], a["callbacks"][key]):
        assert tensors
    for left, right in (
        (a["state_dict"], b["state_dict"]),
        (a["callbacks"][key], b["callbacks"][key]),
    ):
        assert left.keys() == right.keys()
        for name in left:
            assert torch.equal(left[name], right[name]), name


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.renders
def test_the_run_folder(
    compose_config: Compose,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecast, "MEASURED_SECONDS", 0.0)
    monkeypatch.setattr(time_left, "WORTH_SAYING", 0.0)
    with caplog.at_level(logging.INFO, logger="odc_lightning"):
        summary: Any = train(compose_config(*SHORT))
    run = tmp_path / "run"
    assert summary == json.loads((run / "summary.json").read_text())
    assert (summary["num_samples"], summary["num_clusters"]) == (1437, 50)
    for scores in (summary, summary["untrained"]):
        assert 0.8 < scores["knn_top1"] <= 1
        assert 0.2 < scores["nmi"] < 1
    assert summary["train_loss"] is not None

    rows = read_csv(run / "metrics.csv")
    assert set(rows[0]) == {*METRICS, "step", "epoch"}
    for name in METRICS:
        assert any(row[name] for row in rows), name
    logged = [float(row["odc/label_switch_ratio"]) for row in rows if row["odc/label_switch_ratio"]]
    assert len(logged) == 22
    assert summary["label_switch_ratio_first"] == pytest.approx(np.mean(logged[:11]))
    assert summary["label_switch_ratio_last"] == pytest.approx(np.mean(logged[11:]))
    assert rows[0]["eval/nmi"] == str(summary["untrained"]["nmi"])

    state = checkpoint(run)["callbacks"][SamplesMemory().state_key]
    clusters, index = read_csv(run / "clusters.csv"), read_csv(run / "index.csv")
    assert [int(row["cluster"]) for row in clusters] == state["labels"].tolist()
    assert [row["path"] for row in clusters] == [row["path"] for row in index]
    sample = clusters[100]
    gap = state["features"][100] - state["centroids"][int(sample["cluster"])]
    assert float(sample["distance"]) == pytest.approx(float(gap.norm()), abs=1e-5)

    assert (run / "curves.png").stat().st_size > 10_000
    config = OmegaConf.load(run / "config.yaml")
    assert config.algorithm.num_clusters == 50
    printed = capsys.readouterr().out
    assert str(run) in printed
    assert "untrained network" in printed
    assert printed.count("epoch 2/2") == 1
    page, other = printed.splitlines()[-2:]
    assert shlex.split(page)[-4:] == ["odc", "clusters", str(run), "serve=true"]
    assert shlex.split(other)[-4:] == ["odc", "assign", str(run), "FOLDER"]
    lines = [message for message in caplog.messages if "of training left" in message]
    # 11 steps an epoch; it is said after 8. Scores before training tell of those after epochs.
    assert re.match(
        r"about [\d.]+ (seconds|minutes) of training left: 14 steps of [\d.]+ s", lines[0]
    )
    assert all(line.startswith("now about ") for line in lines[1:])


def test_labels_are_never_trained_on(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(compose_config(*FEW, run="true"))

    def poisoned(split: Literal["train", "val"]) -> ImageSource:
        source = digits(split)
        source.labels = np.random.default_rng(0).integers(0, 10, len(source))
        return source

    monkeypatch.setattr("odc_lightning.data.digits", poisoned)
    summary: Any = train(compose_config(*FEW, run="poisoned"))
    assert summary["knn_top1"] < 0.3  # the scores saw the noise
    assert_same_training(tmp_path / "true", tmp_path / "poisoned")


def test_looking_on_changes_nothing(compose_config: Compose, tmp_path: Path) -> None:
    watched = ("callbacks=[online_probe,cluster_media]", "callbacks.cluster_media.every_n_epochs=1")
    train(compose_config(*FEW, *watched, run="watched"))
    none = compose_config(*FEW, "callbacks=none", run="alone")
    OmegaConf.update(
        none,
        "callbacks.checkpoint",
        {
            "_target_": "pytorch_lightning.callbacks.ModelCheckpoint",
            "dirpath": str(tmp_path / "alone" / "checkpoints"),
            "save_top_k": 0,
            "save_last": True,
        },
        force_add=True,
    )
    train(none)
    assert_same_training(tmp_path / "watched", tmp_path / "alone")


def test_the_same_seed_trains_the_same_with_any_number_of_workers(
    compose_config: Compose, tmp_path: Path
) -> None:
    for workers in (0, 2):
        train(compose_config(*FEW, f"data.num_workers={workers}", run=str(workers)))
    train(compose_config(*FEW, "seed=1", run="other"))
    assert_same_training(tmp_path / "0", tmp_path / "2")
    with pytest.raises(AssertionError):
        assert_same_training(tmp_path / "0", tmp_path / "other")


def test_a_run_that_diverges_stops(compose_config: Compose, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) at step \d+ of epoch 0"):
        train(compose_config(*FEW, "optimizer.lr=1e6", "trainer.max_epochs=1"))
    assert len(list((tmp_path / "run" / "not_finite").iterdir())) == 1


def test_epochs_that_are_shorter_than_the_logging_interval(compose_config: Compose) -> None:
    exact: Any = train(compose_config(*FEW, run="each"))
    rare: Any = train(compose_config(*FEW, "trainer.log_every_n_steps=15", run="rare"))
    for name in ("train_loss", "label_switch_ratio_first", "label_switch_ratio_last"):
        assert rare[name] == exact[name]


def test_a_missing_setting_is_named(compose_config: Compose) -> None:
    with pytest.raises(ValueError, match=r"no value for data\.root; add data\.root="):
        train(compose_config("data=image_folder"))


def test_several_ranks_in_a_multirun_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    two = pl.Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False)
    refuse_ranks_in_multirun(two)  # no multirun
    multirun = SimpleNamespace(mode=RunMode.MULTIRUN)
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: multirun)
    with pytest.raises(ValueError, match=r"2 devices.*trainer\.devices=1"):
        refuse_ranks_in_multirun(two)
    refuse_ranks_in_multirun(pl.Trainer(accelerator="cpu", devices=1, logger=False))


@pytest.mark.parametrize(
    "setting",
    ["trainer.limit_train_batches=3", "trainer.accumulate_grad_batches=2", "data.drop_last=false"],
)
def test_other_ways_to_walk_through_the_data(compose_config: Compose, setting: str) -> None:
    summary: Any = train(compose_config(*FEW, setting))
    assert summary["train_loss"] is not None


def test_without_small_clusters_and_reweighting(compose_config: Compose) -> None:
    config = compose_config(*FEW, "~algorithm.small_clusters", "~algorithm.loss_reweighting")
    assert train(config) is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.num_clusters=1", r"Try algorithm\.num_clusters=11"),
        ("algorithm.num_clusters=2000", r"Try algorithm\.num_clusters=11"),
        ("algorithm.small_clusters.threshold=40", "Try algorithm.num_clusters="),
        ("algorithm.samples_memory.momentum=0", r"\(0, 1\]"),
        ("algorithm.samples_memory.assignment=hamming", "expected l2 or dot or cosine"),
        ("algorithm.centroid_refresh.every_n_steps=0", r"every_n_steps=0; expected 1 or more"),
        ("data.batch_size=4096", "batch_size"),
        ("~algorithm.samples_memory", "algorithm.samples_memory"),
        ("~algorithm.kmeans_bootstrap", "algorithm.kmeans_bootstrap"),
    ],
)
def test_bad_input_ends_before_training(
    compose_config: Compose, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(Exception, match=message):
        train(compose_config(*SHORT, override))
    assert not (tmp_path / "run" / "checkpoints").exists()
