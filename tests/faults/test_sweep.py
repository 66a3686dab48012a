"""A sweep that is killed, or whose jobs are preempted, and goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import SMALL, end, environment, wait_for
from helpers.equal_runs import assert_equal_runs, checkpoint

FOUR = ("trainer.max_epochs=4", "train.resume=auto")
EIGHT = (*FOUR, "optimizer.lr=0.03,0.06", "seed=0,1,2,3")


def start(folder: Path, *settings: str) -> subprocess.Popen[str]:
    words = ("-m", "odc_lightning.train", "-m", f"hydra.sweep.dir={folder}")
    return subprocess.Popen(
        [sys.executable, *words, *SMALL, *settings],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def to_the_end(folder: Path, *settings: str) -> str:
    code, printed = end(start(folder, *settings), 900)
    assert code == 0, printed
    return printed


def finished(folder: Path) -> list[str]:
    return sorted(file.parent.name for file in folder.glob("*/summary.json"))


@pytest.mark.long
@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")])
def test_eight_jobs_killed_in_the_middle_and_continued(
    tmp_path: Path, launcher: tuple[str, ...]
) -> None:
    to_the_end(tmp_path / "whole", *EIGHT)
    run = tmp_path / "killed"
    process = start(run, *EIGHT, *launcher)
    wait_for((run / "3" / "checkpoints" / "last.ckpt").is_file, process)
    os.killpg(process.pid, signal.SIGKILL)
    end(process, 30)
    before = finished(run)
    assert 1 <= len(before) < 8
    times = {job: (run / job / "summary.json").stat().st_mtime_ns for job in before}
    printed = to_the_end(run, *EIGHT, *launcher)
    assert "8 of 8 finished" in printed
    assert printed.count("already finished: ") == len(before)
    for job in map(str, range(8)):
        assert_equal_runs(tmp_path / "whole" / job, run / job)
    for job, time in times.items():
        assert (run / job / "summary.json").stat().st_mtime_ns == time


@pytest.mark.long
def test_a_job_that_submitit_preempts_resumes(tmp_path: Path) -> None:
    """With submitit's own processes on this machine, and the signal that SLURM would send."""
    two = (*FOUR, "seed=0,1", "trainer.max_epochs=12")
    to_the_end(tmp_path / "whole", *two)
    run = tmp_path / "preempted"
    process = start(run, *two, "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=15")
    last = run / "1" / "checkpoints" / "last.ckpt"
    wait_for(last.is_file, process)
    task = task_of(run / "1")
    os.kill(task, signal.SIGUSR2)
    wait_for(lambda: not Path(f"/proc/{task}").exists(), process)
    assert 0 < checkpoint(run / "1")["global_step"] < 12 * 9
    code, printed = end(process, 600)
    assert code == 0, printed
    for job in "01":
        assert_equal_runs(tmp_path / "whole" / job, run / job)


def task_of(folder: Path) -> int:
    """The process that holds the lock of a job's folder."""
    lock = (folder / ".lock").stat()
    for file in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            opened = file.stat()
        except OSError:  # closed by now, or of another user
            continue
        if (opened.st_dev, opened.st_ino) == (lock.st_dev, lock.st_ino):
            return int(file.parts[2])
    raise AssertionError(f"no process is at work in {folder}")
