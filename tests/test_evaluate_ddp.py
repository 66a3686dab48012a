"""Two processes measure what one does."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from helpers.processes import run_python
from odc_lightning.runs.results import read_results


def evaluate(folder: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        *("-m", "odc_lightning.evaluate", *options),
        *("checkpoint=untrained", "data=digits", "model=convnet", "model.backbone.width=4"),
        *(
            "protocol=[linear,knn]",
            "protocol.linear.max_epochs=5",
            "protocol.linear.batch_size=128",
        ),
        *("trainer.accelerator=cpu", "data.num_workers=0"),
        *(f"features_dir={folder / name}-features", f"hydra.run.dir={folder / name}"),
    ]
    return run_python(*command, cwd=folder)


@pytest.mark.ddp
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    alone = evaluate(tmp_path, "alone")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    both = evaluate(tmp_path, "both", "trainer.devices=2", "trainer.strategy=ddp")
    assert both.returncode == 0, both.stdout + both.stderr
    assert both.stdout.count("Nearest neighbours") == 1  # rank 0 alone reports
    one, two = (read_results(tmp_path / name / "results.json") for name in ("alone", "both"))
    assert [s.setting for s in one.scores] == [s.setting for s in two.scores]
    for ours, theirs in zip(one.scores, two.scores, strict=True):
        # kNN sees equal features; the probes' batches are dealt to two, each with its statistics
        tolerance = 0.0 if ours.protocol == "knn" else 0.03
        assert theirs.value == pytest.approx(ours.value, abs=tolerance), ours
    files = {
        name: sorted((tmp_path / f"{name}-features").glob("*/conv2.npy"), key=size)
        for name in ("alone", "both")
    }
    assert len(files["alone"]) == len(files["both"]) == 2
    for ours_file, their_file in zip(files["alone"], files["both"], strict=True):
        np.testing.assert_allclose(np.load(ours_file), np.load(their_file), rtol=1e-4, atol=1e-5)


def size(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.ddp
def test_several_ranks_in_a_multirun_are_refused(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "sweep", "-m", "seed=0,1", "trainer.devices=2")
    assert done.returncode != 0
    assert "a multirun (-m) with 2 devices" in done.stderr
