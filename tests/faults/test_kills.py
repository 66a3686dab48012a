"""Processes that are stopped or killed anywhere, and go on as if nothing had happened."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from helpers.command import TWO_RANKS, end, run_to_the_end, start, wait_for
from helpers.equal_runs import assert_equal_runs, assert_same, checkpoint, losses

LONG = ("trainer.max_epochs=12",)
STEPS = 12 * 9
OFTEN = ("callbacks.checkpoint.every_n_train_steps=4",)
AGAIN = ("train.resume=auto",)
GUARD = ("data.held_back=0.1", "callbacks.keep_best.final_kmeans=true")


@pytest.mark.long
@pytest.mark.parametrize(("seed", "more"), [(0, ()), (1, ()), (2, GUARD), (3, GUARD)])
def test_killed_again_and_again_at_any_moment(
    tmp_path: Path, seed: int, more: tuple[str, ...]
) -> None:
    """SIGKILL, also while a checkpoint is written, until the run gets through."""
    settings = (*LONG, *OFTEN, *more)
    run_to_the_end(tmp_path / "whole", *settings)
    moments = random.Random(seed)
    run = tmp_path / "killed"
    last = run / "checkpoints" / "last.ckpt"

    def saved() -> int:
        return last.stat().st_mtime_ns if last.is_file() else 0

    for _ in range(6):
        former = saved()
        process = start(run, *settings, *AGAIN)
        # A checkpoint takes some milliseconds, a step about as many.
        wait_for(lambda former=former: saved() > former, process)  # type: ignore[misc]
        time.sleep(moments.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        end(process, 30)
    run_to_the_end(run, *settings, *AGAIN)
    assert_equal_runs(tmp_path / "whole", run)
    best = [folder / "checkpoints" / "best.ckpt" for folder in (tmp_path / "whole", run)]
    assert [file.is_file() for file in best] == [bool(more)] * 2
    if more:
        whole, killed = (torch.load(file, weights_only=True) for file in best)
        assert_same(whole, killed, "best.ckpt")


@pytest.mark.long
@pytest.mark.ddp
@pytest.mark.parametrize("only_rank_zero", [True, False])
def test_two_ranks_stop_after_the_same_step_and_resume(
    tmp_path: Path, only_rank_zero: bool
) -> None:
    run_to_the_end(tmp_path / "whole", *LONG, *TWO_RANKS)
    run = tmp_path / "stopped"
    process = start(run, *LONG, *TWO_RANKS)
    wait_for((run / "checkpoints" / "last.ckpt").is_file, process)
    if only_rank_zero:
        process.send_signal(signal.SIGTERM)
    else:
        os.killpg(process.pid, signal.SIGTERM)
    code, printed = end(process, 60)
    assert code == 143, printed
    assert "SIGTERM: stopped after step" in printed
    assert 0 < checkpoint(run)["global_step"] < STEPS
    run_to_the_end(run, *LONG, *TWO_RANKS, *AGAIN)
    assert_equal_runs(tmp_path / "whole", run)


@pytest.mark.long
@pytest.mark.ddp
@pytest.mark.parametrize("dies", [0, 1])
def test_when_a_rank_dies_the_other_stops_within_half_a_minute(tmp_path: Path, dies: int) -> None:
    process = start(tmp_path / "run", "trainer.max_epochs=1000", *TWO_RANKS, *OFTEN)
    wait_for((tmp_path / "run" / "checkpoints" / "last.ckpt").is_file, process)
    child = child_of(process.pid)
    os.kill(process.pid if dies == 0 else child, signal.SIGKILL)
    wait_for_death(child)
    code, printed = end(process, 30)
    assert code != 0
    # Whoever notices first: the rank itself, or Lightning's watch over its child.
    said = rf"rank {1 - dies} has lost another rank|terminated with code -9"
    assert re.search(said, printed), printed
    assert "Traceback" not in printed


@pytest.mark.long
def test_slurm_starts_the_job_again_after_its_signal(tmp_path: Path) -> None:
    """As SLURM calls it, with a scontrol that only notes what it was asked for."""
    asked, programs = tmp_path / "asked", tmp_path / "bin"
    programs.mkdir()
    (programs / "scontrol").write_text(f"#!/bin/sh\necho $* >> {asked}\n")
    (programs / "scontrol").chmod(0o755)
    job = {"JOB_ID": "17", "JOB_NAME": "odc", "NTASKS": "1", "PROCID": "0", "LOCALID": "0"}
    slurm = {f"SLURM_{name}": value for name, value in job.items()}
    slurm |= {"SLURM_NODELIST": "localhost", "PATH": f"{programs}:{os.environ['PATH']}"}
    run_to_the_end(tmp_path / "whole", *LONG)
    run = tmp_path / "stopped"
    process = start(run, *LONG, *AGAIN, more=slurm)
    wait_for((run / "checkpoints" / "last.ckpt").is_file, process)
    process.send_signal(signal.SIGUSR1)
    code, printed = end(process, 60)
    assert code == 128 + signal.SIGUSR1, printed
    assert asked.read_text() == "requeue 17\n"
    assert 0 < checkpoint(run)["global_step"] < STEPS
    run_to_the_end(run, *LONG, *AGAIN)
    assert_equal_runs(tmp_path / "whole", run)


@pytest.mark.long
@pytest.mark.ddp
@pytest.mark.parametrize("fewer", [True, False])
def test_with_another_number_of_ranks_it_resumes(tmp_path: Path, fewer: bool) -> None:
    """Bit for bit up to there, and beyond it with the same schedule and nearly the same losses.

    The order of the images is that of any number of ranks (`tests/data/test_sampler.py`).
    """
    before, after = (TWO_RANKS, ()) if fewer else ((), TWO_RANKS)
    whole, run = tmp_path / "whole", tmp_path / "changed"
    short = ("trainer.max_epochs=4",)
    run_to_the_end(whole, *short, *before)
    run_to_the_end(run, "trainer.max_epochs=2", *before)
    run_to_the_end(run, *short, *after, *AGAIN)
    one, other = checkpoint(whole), checkpoint(run)
    assert one["global_step"] == other["global_step"] == 4 * 9
    assert one["lr_schedulers"] == other["lr_schedulers"]
    # Up to there bit for bit, beyond it nearly.
    same = [row for row in losses(whole) if int(row[0]) < 18]
    assert losses(run)[: len(same)] == same
    last = [float(losses(each)[-1][1]) for each in (whole, run)]
    assert last[0] == pytest.approx(last[1], abs=0.7)


def wait_for_death(process: int) -> None:
    """Until there is no such process, or nothing is left of it but its exit code."""
    deadline = time.monotonic() + 30
    status = Path(f"/proc/{process}/status")
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def child_of(parent: int) -> int:
    """The process that another one has started with its own command line."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status, words = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in status and "odc_lightning.train" in words:
            return int(folder.name)
    raise AssertionError(f"process {parent} has started no other")
