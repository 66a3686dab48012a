"""Whole runs of DeepCluster-v2 on real digits: they learn, continue exactly, and ranks agree."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import Compose
from helpers.paths import TESTS
from helpers.processes import run_python
from odc_lightning.callbacks import PrototypeClustering
from odc_lightning.train import train

OPTIONS = (
    *("data=digits", "algorithm=deepcluster_v2", "algorithm.num_clusters=40", "scheduler=constant"),
    *("model.neck.hidden_features=256", "trainer.accelerator=cpu"),
    *("model.backbone.width=8", "callbacks.label_scores.knn=false"),
)
SMALL = (*OPTIONS, "data.subset={num_images: 400}", "data.batch_size=64")


def state(run_dir: Path) -> dict[str, Tensor]:
    """Weights and clustering of a run's last checkpoint."""
    saved = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    return {**saved["state_dict"], **saved["callbacks"][PrototypeClustering().state_key]}


def assert_same_training(one: Path, other: Path) -> None:
    left, right = state(one), state(other)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


@pytest.mark.renders
def test_the_loss_falls_below_that_of_chance(compose_config: Compose, tmp_path: Path) -> None:
    summary: Any = train(compose_config(*OPTIONS, "trainer.max_epochs=6"))
    assert summary["train_loss"] < 0.75 * math.log(40)
    assert summary["num_clusters"] == 40
    assert summary["label_switch_ratio_last"] is None
    banks = state(tmp_path / "run")["banks"]
    torch.testing.assert_close(banks.norm(dim=2), torch.ones(2, 1437))
    assert not torch.equal(banks[0], banks[1])
    assert len((tmp_path / "run" / "clusters.csv").read_text().splitlines()) == 1 + 1437


@pytest.mark.parametrize("every", ["epoch", "8 steps"])
def test_a_continued_run_is_the_uninterrupted_run(
    compose_config: Compose, tmp_path: Path, every: str
) -> None:
    # An epoch has 6 steps: the 8th is in the middle of the second.
    in_the_middle = ["+callbacks.checkpoint.every_n_train_steps=8"] if every != "epoch" else []
    options = (*SMALL, *in_the_middle)
    train(compose_config(*options, "trainer.max_epochs=3", run="whole"))
    train(compose_config(*options, "trainer.max_epochs=2", run="part"))
    last = tmp_path / "part" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == (8 if in_the_middle else 12)
    train(compose_config(*options, "trainer.max_epochs=3", f"ckpt_path={last}", run="rest"))
    assert_same_training(tmp_path / "whole", tmp_path / "rest")


@pytest.mark.long
@pytest.mark.ddp
def test_two_processes_agree(tmp_path: Path) -> None:
    """The real command; N is odd and the last batch is kept, so an image is there twice."""
    command = [
        *("-m", "odc_lightning.train", *OPTIONS),
        *("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=2"),
        "data.num_workers=0",
        *("data.drop_last=false", "+callbacks.dump._target_=helpers.ddp_probe.DumpPrototypes"),
        *(f"+callbacks.dump.folder={tmp_path}", f"hydra.run.dir={tmp_path}/run"),
    ]
    path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    done = run_python(*command, cwd=tmp_path, environment={"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    zero, one = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert zero.keys() == one.keys()
    for name, tensor in zero.items():
        assert torch.equal(tensor, one[name]), name
    assert zero["banks"].shape == (2, 1437, 128)
    assert (zero["banks"][0] != zero["banks"][1]).any(dim=1).all()  # all images were written
    assert int(zero["epoch"]) == 1
