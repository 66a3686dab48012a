"""The command with Hydra's other launchers, whose jobs are in other processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from hydra.core.global_hydra import GlobalHydra

from helpers.command import SMALL, end, environment, wait_for
from helpers.processes import run_python
from odc_lightning.sweeps.jobs import FAILED
from odc_lightning.train import main

TINY = (*SMALL, "data.subset={num_images: 100}", "algorithm.num_clusters=10", "debug=fast")


class Sees(pl.Callback):
    """Notes when a job was at work, in which process, and which GPUs it saw."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        note = {"sees": os.environ.get("CUDA_VISIBLE_DEVICES"), "process": os.getpid()}
        (self.folder / "sees.json").write_text(json.dumps(note))


def joblib(folder: Path, *settings: str, **more: Any) -> subprocess.CompletedProcess[str]:
    words = ("-m", "odc_lightning.train", "-m", "hydra/launcher=joblib")
    command = (*words, f"hydra.sweep.dir={folder}", *settings)
    return run_python(*command, cwd=folder, environment={**environment(), **more})


@pytest.mark.long
def test_each_process_of_joblib_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    """GPUs that are none, with names that real ones may have; and jobs with two are refused."""
    done = joblib(
        tmp_path,
        *(*TINY, "trainer.accelerator=auto", "trainer.devices=1,2", "seed=0,1"),
        "+callbacks.sees._target_=sweeps.test_launchers.Sees",
        "+callbacks.sees.folder=${run_dir}",
        CUDA_VISIBLE_DEVICES="6,7",
    )
    assert done.returncode == 1, done.stdout + done.stderr
    notes = [json.loads((tmp_path / job / "sees.json").read_text()) for job in "01"]
    assert {note["sees"] for note in notes} <= {"6", "7"}
    same_process = len({note["process"] for note in notes}) == 1
    assert (len({note["sees"] for note in notes}) == 1) == same_process
    assert "Joblib.Parallel(n_jobs=2," in done.stdout  # and not one for each core
    for job in "23":
        told = (tmp_path / job / FAILED).read_text()
        assert told.startswith("a multirun (-m) with 2 devices; expected one device per job.")
    assert "2 of 4 finished, 2 failed" in done.stdout


def test_jobs_of_joblib_read_images_in_processes_of_their_own(tmp_path: Path) -> None:
    """Which the processes of joblib would start in a way of joblib's."""
    words = [word for word in TINY if not word.startswith("data.num_workers")]
    done = joblib(tmp_path, *words, "data.num_workers=1", "seed=0,1", "hydra.launcher.n_jobs=2")
    assert "2 of 2 finished" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("all_of_them", [False, True])
def test_processes_of_joblib_end_with_their_job_if_the_command_was_killed(
    tmp_path: Path, all_of_them: bool
) -> None:
    """Killed alone, or told to stop together with them; they would wait for five minutes."""
    words = ("-m", "odc_lightning.train", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    long = (*SMALL, "trainer.max_epochs=1000" if all_of_them else "trainer.max_epochs=20")
    process = subprocess.Popen(
        [sys.executable, *words, f"hydra.sweep.dir={tmp_path}", *long, "seed=0,1,2,3"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    at_work = [tmp_path / job / "checkpoints" / "last.ckpt" for job in "01"]
    try:
        wait_for(lambda: all(file.is_file() for file in at_work), process)
        if all_of_them:
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.kill()
    finally:
        end(process, 120)  # as soon as nobody can write to it any more
    assert not (tmp_path / "3").exists()


def test_more_jobs_than_gpus_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    settings = ("trainer.accelerator=auto", "seed=0,1,2", "hydra.launcher.n_jobs=3")
    words = ["-m", "hydra/launcher=joblib", f"hydra.sweep.dir={tmp_path}", *TINY, *settings]
    monkeypatch.setattr(sys, "argv", ["train", *words])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit, match=r"^error: hydra\.launcher\.n_jobs=3 with 2 GPU\(s\)"):
        main()
    assert not (tmp_path / "0").exists()
