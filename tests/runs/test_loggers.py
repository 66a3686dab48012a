"""Real loggers, read back; W&B offline, which needs no account."""

import time
from pathlib import Path

import pytest
import torch
import wandb
from omegaconf import OmegaConf
from pytorch_lightning.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Compose
from helpers.offline_wandb import read_run
from odc_lightning.evaluate import evaluate
from odc_lightning.runs.metrics_csv import MetricsFile, read_metrics, whole_rows
from odc_lightning.runs.wandb_run import BEST
from odc_lightning.train import train

SHORT = (
    *("experiment=odc_digits", "trainer.max_epochs=1", "callbacks.label_scores.knn=false"),
    *("data.subset={num_images: 300}", "algorithm.num_clusters=20", "model.backbone.width=4"),
    *("algorithm.small_clusters.threshold=5", "data.batch_size=32"),
)


@pytest.fixture(autouse=True)
def _artifacts_are_staged_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))


def columns(file: Path) -> set[str]:
    """Of a ``metrics.csv``, without the step."""
    return set(whole_rows(file)[0]) - {"step"}


def test_a_wandb_run(compose_config: Compose, tmp_path: Path) -> None:
    """All that an offline run holds; the next in the same process is a run of its own."""
    offline = ("logger=wandb", "logger.wandb.offline=true")
    train(compose_config(*SHORT, *offline, "trainer.max_epochs=2", "logger.wandb.artifacts=true"))
    assert wandb.run is None
    train(compose_config(*SHORT, *offline, "name=other", "logger.wandb.tags=[mine]", run="two"))
    assert wandb.run is None
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    first = read_run(folder)
    assert (first.run.display_name, first.run.run_group) == ("odc_digits", "")
    assert (first.run.project, first.run.job_type) == ("odc-lightning", "train")
    assert first.exit_code == 0
    config = OmegaConf.to_container(OmegaConf.load(tmp_path / "run" / "config.yaml"))
    del first.config["_wandb"]
    assert first.config == config
    assert first.run.run_id == first.config["logger"]["wandb"]["id"]
    assert set(first.artifacts["odc_lightning"]) >= {"train.py", "callbacks/odc/samples_memory.py"}
    assert first.artifacts[f"config-{first.run.run_id}"] == ["config.yaml"]

    metrics = read_metrics(tmp_path / "run" / "metrics.csv")
    assert first.names == {*columns(tmp_path / "run" / "metrics.csv"), "trainer/global_step"}
    for name, series in metrics.items():
        rows = [row for row in first.history if name in row]
        assert [row["trainer/global_step"] for row in rows] == series.steps.tolist(), name
        assert [row[name] for row in rows] == pytest.approx(series.values, rel=1e-6), name
        kept = {"last": series.values[-1], "max": series.values.max(), "min": series.values.min()}
        summary = first.summary[name]
        if name not in BEST:
            summary = {"last": summary}
        expected = {key: kept[key] for key in {"last", BEST.get(name, "last")}}
        assert summary == pytest.approx(expected, rel=1e-6), name

    (folder,) = (tmp_path / "two" / "wandb").glob("offline-run-*")
    second = read_run(folder)
    assert (second.run.display_name, list(second.run.tags)) == ("other", ["mine"])
    assert second.run.run_id != first.run.run_id
    assert not second.artifacts


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


def test_metrics_and_settings_are_written_as_lightning_does(tmp_path: Path) -> None:
    """Byte by byte, with columns that come later; numbers of tensors too."""
    for logger in (
        MetricsFile(tmp_path / "own", name="", version="", flush_logs_every_n_steps=1),
        CSVLogger(tmp_path / "lightnings", name="", version="", flush_logs_every_n_steps=1),
    ):
        logger.log_hyperparams({"optimizer": {"lr": 0.1}, "names": ["a", "b"]})
        for step in range(3):
            logger.log_metrics({"train/loss": torch.tensor(0.1) * step, "odc/size": 7}, step)
        logger.log_metrics({"eval/nmi": 0.25, "eval/a": float("nan")}, 2)
        logger.log_metrics({"train/loss": 1e-9}, 3)
        logger.finalize("success")
    for name in ("metrics.csv", "hparams.yaml"):
        own, lightnings = (tmp_path / kind / name for kind in ("own", "lightnings"))
        assert own.read_bytes() == lightnings.read_bytes()


def test_a_wandb_run_resumes(compose_config: Compose, tmp_path: Path) -> None:
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
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert read_run(folder).exit_code == 1


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
    (folder,) = (tmp_path / "offline" / "wandb").glob("offline-run-*")
    assert read_run(folder).run.job_type == "evaluate"


def test_tensorboard_has_the_same_figures(compose_config: Compose, tmp_path: Path) -> None:
    train(compose_config(*SHORT, "logger=tensorboard"))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == columns(tmp_path / "run" / "metrics.csv")
    for name, series in read_metrics(tmp_path / "run" / "metrics.csv").items():
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == series.steps.tolist(), name
        assert [scalar.value for scalar in scalars] == pytest.approx(series.values), name
