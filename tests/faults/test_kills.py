"""Processes that are stopped or killed anywhere, and go on as if nothing had happened."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from faults.command import TWO_RANKS, end, run_to_the_end, start, wait_for
from faults.equal import assert_equal_runs, checkpoint

LONG = ("trainer.max_epochs=12",)
STEPS = 12 * 9
OFTEN = ("callbacks.checkpoint.every_n_train_steps=4",)
AGAIN = ("train.resume=auto",)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_at_any_moment(tmp_path: Path, seed: int) -> None:
    """SIGKILL, also while a checkpoint is written, until the run gets through."""
    run_to_the_end(tmp_path / "whole", *LONG, *OFTEN)
    moments = random.Random(seed)
    run = tmp_path / "killed"
    for _ in range(6):
        process = start(run, *LONG, *OFTEN, *AGAIN)
        first = run / "checkpoints" / "last.ckpt"
        wait_for(first.is_file, process)
        time.sleep(moments.uniform(0, 2))
        os.killpg(process.pid, signal.SIGKILL)
        end(process, 30)
    run_to_the_end(run, *LONG, *OFTEN, *AGAIN)
    assert_equal_runs(tmp_path / "whole", run)


@pytest.mark.long
@pytest.mark.ddp
@pytest.mark.parametrize("only_rank_zero", [True, False])
def test_two_ranks_stop_after_the_same_step_and_go_on(tmp_path: Path, only_rank_zero: bool) -> None:
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
    victim = process.pid if dies == 0 else child_of(process.pid)
    os.kill(victim, signal.SIGKILL)
    code, printed = end(process, 30)
    assert code != 0
    # Whoever notices first: the rank itself, or Lightning's watch over its child.
    said = rf"rank {1 - dies} has lost another rank|terminated with code -9"
    assert re.search(said, printed), printed
    assert "Traceback" not in printed
    assert not alive(child_of(process.pid, or_zero=True))


def child_of(parent: int, or_zero: bool = False) -> int:
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
    assert or_zero
    return 0


def alive(process: int) -> bool:
    return process > 0 and Path(f"/proc/{process}").exists()
