"""Real loggers, read back; W&B offline, which needs no account."""

import time
from pathlib import Path

import pytest
import wandb
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Compose
from odc_lightning.evaluate import evaluate
from odc_lightning.loggers import MetricsFile, whole_rows
from odc_lightning.train import train

SHORT = ("experiment=odc_digits", "trainer.max_epochs=1", "callbacks.label_scores.knn=false")
NAMES = {"train/loss", "odc/label_switch_ratio", "odc/cluster_entropy", "eval/nmi"}


def test_wandb_offline_is_written_and_finished(compose_config: Compose, tmp_path: Path) -> None:
    for run in ("one", "two"):  # as two jobs of a multirun: each has its own run
        train(compose_config(*SHORT, "logger=wandb", "logger.wandb.offline=true", run=run))
        assert wandb.run is None
        (folder,) = (tmp_path / run / "wandb").glob("offline-run-*")
        (record,) = folder.glob("*.wandb")
        missing = {name.encode() for name in NAMES}
        # W&B's own process may write the end of the file a moment after the run is finished.
        deadline = time.monotonic() + 30
        while missing and time.monotonic() < deadline:
            content = record.read_bytes()
            missing = {name for name in missing if name not in content}
            time.sleep(0.1)
        assert not missing
        assert (tmp_path / run / "metrics.csv").exists()


def test_metrics_of_a_killed_run(tmp_path: Path) -> None:
    """A torn last line is passed over; a run that is refused at its start costs nothing."""
    first = MetricsFile(tmp_path, name="", version="", flush_logs_every_n_steps=1)
    for step in range(5):
        first.log_metrics({"train/loss": 0.5 + step}, step)
    first.log_metrics({"eval/nmi": 0.25}, 4)  # another column: the file is written anew
    file = tmp_path / "metrics.csv"
    content = file.read_bytes()
    with file.open("ab") as torn:
        torn.write(b"0.12,")
    refused = MetricsFile(tmp_path, name="", version="")
    refused.continue_from(3)
    assert refused.experiment is not None
    refused.save()
    assert file.read_bytes() == content + b"0.12,"
    again = MetricsFile(tmp_path, name="", version="")
    again.continue_from(5)
    again.log_metrics({"train/loss": 9.0}, 5)
    again.save()
    rows = [(row["step"], row["train/loss"], row["eval/nmi"]) for row in whole_rows(file)]
    assert rows[3:] == [("3", "3.5", ""), ("4", "4.5", ""), ("4", "", "0.25"), ("5", "9.0", "")]
    anew = MetricsFile(tmp_path, name="", version="")
    anew.log_metrics({"train/loss": 1.0}, 0)
    anew.save()
    assert [row["step"] for row in whole_rows(file)] == ["0"]


def test_a_wandb_run_goes_on(compose_config: Compose, tmp_path: Path) -> None:
    """Under the id that it had; a run from a lone checkpoint is a new one."""
    settings = (*SHORT, "logger=wandb", "logger.wandb.offline=true", "model.backbone.width=4")
    checkpoints = tmp_path / "run" / "checkpoints"

    def ids(run: str) -> list[str]:
        folders = sorted((tmp_path / run / "wandb").glob("offline-run-*"))
        return [folder.name.rpartition("-")[2] for folder in folders]

    train(compose_config(*settings))
    time.sleep(1.1)  # the folder's name has the second in it
    more = (*settings, "trainer.max_epochs=2")
    train(compose_config(*more, "train.resume=auto"))
    first, second = ids("run")
    assert first == second == OmegaConf.load(tmp_path / "run" / "config.yaml").logger.wandb.id
    train(compose_config(*more, f"ckpt_path={checkpoints / 'last.previous.ckpt'}", run="elsewhere"))
    assert ids("elsewhere") == [first]
    lone = (tmp_path / "lone.ckpt").resolve()
    lone.write_bytes((checkpoints / "last.previous.ckpt").read_bytes())
    train(compose_config(*more, f"ckpt_path={lone}", run="new"))
    assert ids("new") != [first]


def test_wandb_is_finished_after_an_error(compose_config: Compose, tmp_path: Path) -> None:
    config = compose_config(
        *SHORT, "logger=wandb", "logger.wandb.offline=true", "algorithm.num_clusters=1000"
    )
    with pytest.raises(ValueError, match="clusters"):
        train(config)
    assert wandb.run is None
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))


def test_an_evaluation_tells_the_loggers_too(compose_evaluation: Compose, tmp_path: Path) -> None:
    options = ("checkpoint=untrained", "data=digits", "model=convnet", "protocol=knn")
    evaluation = evaluate(compose_evaluation(*options, "logger=tensorboard"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    logged = {name: events.Scalars(name)[0].value for name in events.Tags()["scalars"]}
    for score in evaluation.scores:
        assert logged[f"knn/pooled/top1/{score.setting}"] == pytest.approx(score.value)
    evaluate(
        compose_evaluation(*options, "logger=wandb", "logger.wandb.offline=true", run="offline")
    )
    assert wandb.run is None
    assert list((tmp_path / "offline" / "wandb").glob("offline-run-*/*.wandb"))


def test_tensorboard_has_the_same_names(compose_config: Compose, tmp_path: Path) -> None:
    train(compose_config(*SHORT, "logger=tensorboard"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) >= NAMES
    assert len(events.Scalars("train/loss")) == 11
