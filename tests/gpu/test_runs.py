"""Whole runs on a GPU: resumed to the bit, and ended with their best state."""

import csv
from pathlib import Path

import pytest
import torch

import odc_lightning
from conftest import Compose
from helpers.equal_runs import assert_equal_runs, checkpoint
from odc_lightning.train import train

pytestmark = pytest.mark.gpu

SMALL = (
    "data=digits",
    "data.subset={num_images: 300}",
    "data.batch_size=32",
    "data.num_workers=0",
    "model.backbone.width=4",
    "algorithm.num_clusters=12",
    "callbacks.label_scores.knn=false",
    "trainer.accelerator=gpu",
    "trainer.devices=1",
    "trainer.max_epochs=3",
)
STOP = 13  # of 27 steps, in the middle of an epoch


@pytest.mark.parametrize("place", ["device", "ram"])
def test_a_resumed_run_is_the_whole_run(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    settings = (
        *SMALL,
        f"algorithm.samples_memory.place={place}",
        "trainer.deterministic=true",
    )
    stop = (f"+trainer.max_steps={STOP}", f"callbacks.checkpoint.every_n_train_steps={STOP}")
    try:
        train(compose_config(*settings, run="whole"))
        train(compose_config(*settings, *stop, run="stopped"))
        assert checkpoint(tmp_path / "stopped")["global_step"] == STOP
        train(compose_config(*settings, "train.resume=auto", run="stopped"))
    finally:
        torch.use_deterministic_algorithms(False)
    assert_equal_runs(tmp_path / "whole", tmp_path / "stopped")


def test_the_guard_puts_back_what_it_has_kept(compose_config: Compose, tmp_path: Path) -> None:
    """A run that gets worse: it ends with its start, which all commands read."""
    guard = ("data.held_back=0.1", "callbacks.keep_best.min_gain=0", "optimizer.lr=20")
    summary = train(compose_config("experiment=odc_small", *SMALL, *guard))
    assert summary is not None
    assert summary["kept_epoch"] == 0
    assert summary["nmi"] == summary["untrained"]["nmi"]
    content = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    assert not any(weight.is_cuda for weight in content["state_dict"].values())
    (clusters,) = (each for each in content["callbacks"].values() if "centroids" in each)
    with (tmp_path / "run/clusters.csv").open(newline="", encoding="utf-8") as file:
        written = [int(row["cluster"]) for row in csv.DictReader(file)]
    assert written == clusters["labels"].tolist()
    model = odc_lightning.load(tmp_path / "run")
    assert model.device.type == "cuda"
    assert model.labels is not None
    assert model.labels.tolist() == written
