"""Targets in configs of earlier runs, whose modules have moved since."""

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

import odc_lightning
from odc_lightning.evaluation import KNN
from odc_lightning.runs.metrics_csv import MetricsFile


@pytest.mark.parametrize(
    ("target", "now"),
    [
        ("command.OutputFolder", "cli.output_folder.OutputFolder"),
        ("jobs.Jobs", "sweeps.jobs.Jobs"),
        ("loggers.MetricsFile", "runs.metrics_csv.MetricsFile"),
        ("wandb_run.WandbRun", "runs.wandb_run.WandbRun"),
        *((f"protocols.{name}", f"evaluation.{name}") for name in ("KNN", "SVM", "Linear")),
        *((f"protocols.{name}", f"evaluation.{name}") for name in ("LowShot", "SemiSupervised")),
        ("protocols.Clustering", "evaluation.Clustering"),
    ],
)
def test_the_old_name_is_the_new_class(target: str, now: str) -> None:
    assert get_class(f"odc_lightning.{target}") is get_class(f"odc_lightning.{now}")


def test_hydra_builds_them(tmp_path: object) -> None:
    old = {"_target_": "odc_lightning.loggers.MetricsFile", "save_dir": str(tmp_path)}
    assert isinstance(instantiate(OmegaConf.create(old)), MetricsFile)
    knn = instantiate(OmegaConf.create({"_target_": "odc_lightning.protocols.KNN", "k": [1]}))
    assert isinstance(knn, KNN)


def test_nothing_else_is_made_up() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_module'"):
        _ = odc_lightning.no_such_module
