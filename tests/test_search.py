"""Searches: refused early, pruned, killed and continued; what they find is what is there."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import pytorch_lightning as pl
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from optuna.trial import TrialState

from helpers.command import SMALL, end, environment, wait_for
from helpers.equal_runs import assert_equal_runs
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.search import main
from odc_lightning.sweeps.pruning import PRUNED, Pruning

TINY = (*SMALL, "data.subset={num_images: 100}", "algorithm.num_clusters=10", "debug=fast")
QUOTED = ",".join('"' + setting.replace('"', '\\"') + '"' for setting in TINY)
SPACE = "space={optimizer.lr: {low: 0.01, high: 0.3, log: true}, seed: {low: 0, high: 9}}"
SEARCH = (f"overrides=[{QUOTED}]", SPACE, "objective=eval/nmi")


def search(monkeypatch: pytest.MonkeyPatch, folder: Path, *settings: str) -> None:
    """The command, in this process; Hydra would merge two values of one key."""
    words = {word.partition("=")[0]: word for word in (*SEARCH, *settings)}
    monkeypatch.setattr(sys, "argv", ["search", f"hydra.run.dir={folder}", *words.values()])
    GlobalHydra.instance().clear()
    main()


def study_of(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}")


def last_of(folder: Path, metric: str) -> float:
    with (folder / "metrics.csv").open(newline="") as file:
        return [float(row[metric]) for row in csv.DictReader(file) if row[metric]][-1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("n_trials=0", "n_trials=0; expected an integer, 1 or more"),
        ("direction=up", "direction=up; expected maximize or minimize"),
        ("space={}", "space={}; expected for each key"),
        ("space={no.such: {low: 1, high: 2}}", "do not make a valid training.*no.such"),
        ("space={optimizer.lr: {low: -1, high: 2}}", "optimizer.lr=-1; expected a number"),
        ('overrides=["data=imagenet"]', "no value for data.root"),
    ],
)
def test_refused_before_the_first_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        search(monkeypatch, tmp_path, setting)
    assert not (tmp_path / "trials").exists()


def test_another_search_in_the_same_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = pytest.raises(SystemExit, match="another search is running in")
    with FileLock(tmp_path / ".lock"), refused:
        search(monkeypatch, tmp_path)
    assert not (tmp_path / "trials").exists()


class Cut(pl.Callback):
    """Ends the whole command at a step of a trial, as a signal would."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        place = f"{Path(trainer.default_root_dir).name} {trainer.global_step}"
        if place == os.environ.get("CUT_AT"):
            raise SystemExit(143)


def test_a_search_resumes_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = QUOTED + ',"+callbacks.cut._target_=tests.test_search.Cut"'
    settings = (f"overrides=[{cut}]", "n_trials=3")
    search(monkeypatch, tmp_path / "whole", *settings)
    run = tmp_path / "cut"
    monkeypatch.setenv("CUT_AT", "0001 5")
    with pytest.raises(SystemExit) as ended:
        search(monkeypatch, run, *settings)
    assert ended.value.code == 143
    states = [trial.state for trial in study_of(run).trials]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING]
    monkeypatch.delenv("CUT_AT")
    search(monkeypatch, run, *settings)
    whole, other = (study_of(folder).trials for folder in (tmp_path / "whole", run))
    assert len(whole) == len(other) == 3
    for one, two in zip(whole, other, strict=True):
        assert (one.params, one.value, one.state) == (two.params, two.value, two.state)
        folder = f"trials/{one.number:04}"
        assert_equal_runs(tmp_path / "whole" / folder, run / folder)
        assert one.value == last_of(run / folder, "eval/nmi")
        lr = OmegaConf.load(run / folder / "config.yaml").optimizer.lr
        assert lr == one.params["optimizer.lr"]
    assert len({trial.params["optimizer.lr"] for trial in whole}) == 3
    best = OmegaConf.load(run / "best.yaml")
    assert best.value == max(trial.value or 0.0 for trial in whole)
    assert f"optimizer.lr={study_of(run).best_params['optimizer.lr']}" in best.overrides
    printed = capsys.readouterr().out
    assert printed.count("   0  finished") == 2
    with pytest.raises(SystemExit, match=r"was started with .*eval/nmi.*, not .*eval/other"):
        search(monkeypatch, run, *settings, "objective=eval/other")


def test_a_failed_trial_is_marked_and_the_rest_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = "space={algorithm.num_clusters: {choices: [90, 91, 10]}}"
    with pytest.raises(SystemExit) as ended:
        search(monkeypatch, tmp_path, space, "n_trials=4")
    assert ended.value.code == 1
    trials = study_of(tmp_path).trials
    assert len(trials) == 4
    for trial in trials:
        failed = trial.params["algorithm.num_clusters"] > 10
        assert trial.state is (TrialState.FAIL if failed else TrialState.COMPLETE)
        assert (tmp_path / f"trials/{trial.number:04}/failed.txt").exists() == failed


def test_an_objective_that_is_not_there_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"objective=eval/no is in no row of .*0000/metrics\.csv"):
        search(monkeypatch, tmp_path, "objective=eval/no")
    assert [trial.state for trial in study_of(tmp_path).trials] == [TrialState.FAIL]


class Objective(pl.Callback):
    """Logs values, one an epoch."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("score", self.values[trainer.current_epoch])


def trained(study: optuna.Study, *values: float) -> optuna.Trial:
    """A trial whose run logs these values, as far as it goes."""
    trial = study.ask()
    fit(trial, *values)
    return trial


def fit(trial: optuna.Trial, *values: float, ckpt_path: Path | None = None) -> pl.Trainer:
    """Train as a trial of a search does, from the start or from a checkpoint."""
    callbacks = [Objective(*values), Pruning(trial, "score")]
    trainer = tiny_trainer(callbacks, max_epochs=len(values))
    trainer.fit(tiny_module(4), Labelled(8, 8), ckpt_path=ckpt_path)
    return trainer


class Labelled(TinyData):
    """Any labels."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return {**batch, "target": batch["index"] % 4}


def test_a_run_that_falls_behind_is_ended_by_the_pruner() -> None:
    """The median of those before, epoch by epoch; the last epoch is always a finished run's."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for values in ((0.1, 0.5, 0.6, 0.7), (0.1, 0.3, 0.4, 0.5)):
        study.tell(trained(study, *values), values[-1])
    behind = trained(study, 0.0, 0.2, 0.9, 0.9)  # the first epoch does not count
    assert study.trials[-1].intermediate_values == pytest.approx({0: 0.0, 1: 0.2})
    assert behind.user_attrs == {PRUNED: 1}
    ahead = trained(study, 0.0, 0.45, 0.6, 0.1)
    expected = {0: 0.0, 1: 0.45, 2: 0.6, 3: 0.1}
    assert study.trials[-1].intermediate_values == pytest.approx(expected)
    assert ahead.user_attrs == {}


@pytest.mark.parametrize("saved", [1, 2])
def test_a_pruned_run_that_is_killed_just_then_is_still_pruned(tmp_path: Path, saved: int) -> None:
    """Killed before the checkpoint of the epoch that it was pruned after is written, or later."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.tell(trained(study, 0.1, 0.5, 0.6, 0.7), 0.7)
    trial, values, file = study.ask(), (0.0, 0.2, 0.9, 0.9), tmp_path / "last.ckpt"
    if saved == 1:
        fit(trial, *values[:1]).save_checkpoint(file)
    pruned = fit(trial, *values)
    if saved == 2:
        pruned.save_checkpoint(file)
    assert trial.user_attrs == {PRUNED: 1}
    assert fit(trial, *values, ckpt_path=file).global_step == 2  # one step an epoch


@pytest.mark.long
def test_a_search_that_is_killed_resumes(tmp_path: Path) -> None:
    def command(folder: Path) -> list[str]:
        words = ("-m", "odc_lightning.search", f"hydra.run.dir={folder}")
        return [sys.executable, *words, *SEARCH, "n_trials=4"]

    def start(folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(folder),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    code, printed = end(start(tmp_path / "whole"), 600)
    assert code == 0, printed
    run = tmp_path / "killed"
    for number in (0, 2):
        process = start(run)
        wait_for((run / f"trials/{number:04}/checkpoints/last.ckpt").is_file, process)
        os.killpg(process.pid, signal.SIGKILL)
        end(process, 30)
    code, printed = end(start(run), 600)
    assert code == 0, printed
    whole, other = (study_of(folder).trials for folder in (tmp_path / "whole", run))
    for one, two in zip(whole, other, strict=True):
        assert (one.params, one.value, one.state) == (two.params, two.value, two.state)
