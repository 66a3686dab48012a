"""Jobs of a multirun: marked, counted, continued; the command's exit code says how it went."""

import json
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from filelock import FileLock, Timeout
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from helpers.command import SMALL
from helpers.equal_runs import assert_equal_runs
from helpers.run_folders import SUMMARY
from odc_lightning.runs.resume import differences, finished_before
from odc_lightning.sweeps.jobs import FAILED, Job, lock_of, mark_failed, table
from odc_lightning.train import main

TINY = (*SMALL, "data.subset={num_images: 100}", "algorithm.num_clusters=10", "debug=fast")


def sweep(monkeypatch: pytest.MonkeyPatch, folder: Path, *settings: str) -> None:
    """The command, in this process."""
    arguments = ["train", "-m", f"hydra.sweep.dir={folder}", *TINY, *settings]
    monkeypatch.setattr(sys, "argv", arguments)
    GlobalHydra.instance().clear()
    main()


def test_a_failed_job_is_marked_and_the_rest_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep(monkeypatch, tmp_path, "algorithm.num_clusters=90,10")
    assert ended.value.code == 1
    told = (tmp_path / "0" / FAILED).read_text()
    assert "90" in told.partition("\n")[0]
    assert "Traceback" in told
    assert not (tmp_path / "0" / "summary.json").exists()
    assert (tmp_path / "1" / "summary.json").is_file()
    printed = capsys.readouterr()
    assert "error: job 0: " in printed.err
    assert "Traceback" not in printed.err
    lines = printed.out.splitlines()
    assert "   1  finished  algorithm.num_clusters=10" in lines
    assert any(line.startswith("   0  failed    algorithm.num_clusters=90  (") for line in lines)
    assert "1 of 2 finished, 1 failed" in lines


class Cut(pl.Callback):
    """Ends the whole command after some steps of seed 1, as a signal would."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.seed == 1 and trainer.global_step == int(os.environ.get("CUT_AT", "-1")):
            raise SystemExit(143)


def test_the_same_command_resumes_where_a_sweep_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three jobs the first has finished, the second is cut in its second epoch."""
    settings = (
        *("train.resume=auto", "seed=0,1,2"),
        *("+callbacks.cut._target_=tests.sweeps.test_jobs.Cut", "+callbacks.cut.seed=${seed}"),
    )
    sweep(monkeypatch, tmp_path / "whole", *settings, "seed=1")
    run = tmp_path / "cut"
    monkeypatch.setenv("CUT_AT", "5")
    with pytest.raises(SystemExit) as ended:
        sweep(monkeypatch, run, *settings)
    monkeypatch.delenv("CUT_AT")
    assert ended.value.code == 143
    assert (run / "1" / "checkpoints" / "last.ckpt").is_file()
    assert not (run / "1" / "summary.json").exists()
    assert not (run / "2").exists()
    (run / "1" / "summary.json").write_text('{"cut off')  # as a crash of the machine may leave it
    first = (run / "0" / "summary.json").stat().st_mtime_ns
    capsys.readouterr()
    sweep(monkeypatch, run, *settings)
    assert capsys.readouterr().out.count("already finished: ") == 1
    assert (run / "0" / "summary.json").stat().st_mtime_ns == first
    assert_equal_runs(tmp_path / "whole" / "0", run / "1")
    assert (run / "2" / "summary.json").is_file()
    with pytest.raises(SystemExit):
        sweep(monkeypatch, run, *settings, "optimizer.lr=0.5")
    for number in "012":
        assert "settings (optimizer.lr: 0.06, now 0.5)" in (run / number / FAILED).read_text()
    sweep(monkeypatch, run, *settings)
    assert not list(run.glob(f"*/{FAILED}"))


def test_the_table_says_what_sets_jobs_apart(tmp_path: Path) -> None:
    jobs = [Job(n, ["data=digits", f"seed={n}"], tmp_path / str(n)) for n in range(3)]
    for job in jobs:
        job.folder.mkdir()
    mark_failed(jobs[0].folder, ValueError("no such seed\nat all"))
    (jobs[2].folder / "summary.json").touch()
    assert table(jobs).splitlines() == [
        "   0  failed    seed=0  (no such seed)",
        "   1  stopped   seed=1",
        "   2  finished  seed=2",
        "1 of 3 finished, 1 failed, 1 stopped",
    ]
    assert table(jobs[2:]).startswith("   2  finished  data=digits seed=2\n")


def test_differences() -> None:
    before = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": 0}
    now = {"a": 1, "b": {"c": [1, 3], "d": None, "f": 2}}
    assert differences(before, before) == []
    assert differences(before, now) == [
        "b.c: [1, 2], now [1, 3]",
        "b.f: None, now 2",
        "e: 0, now None",
    ]


def test_a_moved_folder_and_another_machine_are_no_other_settings(tmp_path: Path) -> None:
    before = {"run_dir": "/elsewhere/run", "seed": 0, "model": {"pretrained": "a"}}
    before |= {"scratch": "/elsewhere/run/x", "data": {"num_workers": 1}, "ckpt_path": None}
    before |= {"trainer": {"devices": 1, "max_epochs": 2}, "logger": {}, "train": {}}
    OmegaConf.save(OmegaConf.create(before), tmp_path / "config.yaml")
    now: dict[str, Any] = {**before, "run_dir": str(tmp_path), "scratch": f"{tmp_path}/x"}
    now |= {"data": {"num_workers": 4}, "trainer": {"devices": "auto", "max_epochs": 2}}
    now |= {"ckpt_path": "b", "train": {"resume": "auto"}}
    assert finished_before(OmegaConf.create(now)) is None  # and not finished
    (tmp_path / "summary.json").write_text('{"num_samples": 3}')
    assert finished_before(OmegaConf.create(now)) is None  # and not whole
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    assert finished_before(OmegaConf.create(now)) == SUMMARY
    with pytest.raises(ValueError, match="seed: 0, now 1"):
        finished_before(OmegaConf.create({**now, "seed": 1}))
    with pytest.raises(ValueError, match=r"model\.pretrained: a, now b"):
        finished_before(OmegaConf.create({**now, "model": {"pretrained": "b"}}))


def hold(folder: Path, taken: Any) -> None:
    with lock_of(folder, 0):
        taken.put(True)
        time.sleep(60)


def test_a_folder_is_one_owners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another one says once that it waits, until the owner ends or dies."""
    folder = tmp_path / "new" / "job"
    context = multiprocessing.get_context("fork")
    taken = context.SimpleQueue()
    owner = context.Process(target=hold, args=(folder, taken))
    owner.start()
    taken.get()
    threading.Timer(1.5, owner.kill).start()  # it is asked for twice in that time
    with lock_of(folder, 3):
        owner.join()
        with pytest.raises(Timeout):  # in this process too
            FileLock(folder / ".lock").acquire(blocking=False)
    assert capsys.readouterr().out == f"job 3: waiting for another process in {folder}\n"
    with lock_of(folder, 4):
        assert capsys.readouterr().out == ""
