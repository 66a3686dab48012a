"""The run in Weights & Biases: its group, what its summary keeps, and what is kept beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_fabric.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import WandbLogger

import odc_lightning

STEP = "trainer/global_step"  # Lightning's name for the x-axis
# Which end of a metric is the good one. The summary keeps the best value beside the last; of all
# other metrics it has the last alone.
BEST = {
    "train/loss": "min",
    "train/accuracy": "max",
    "eval/knn_top1": "max",
    "eval/nmi": "max",
    "eval/online_probe_top1": "max",
    "eval/pretext_loss": "min",
    "eval/pretext_accuracy": "max",
}


def summary_key(metric: str) -> str:
    """What W&B calls a metric's best value in a run's summary, or its last where none is best."""
    return f"{metric}.{BEST[metric]}" if metric in BEST else metric


class WandbRun(WandbLogger):
    """Lightning's W&B logger, whose summary keeps the best values of what can be good or bad."""

    def __init__(self, *args: Any, artifacts: bool = False, **settings: Any) -> None:
        """As `WandbLogger`, which hands to ``wandb.init`` what it does not know.

        Args:
            args: see `WandbLogger`.
            artifacts: keep the code of this package and the resolved config as artifacts.
            settings: see `WandbLogger`.
        """
        super().__init__(*args, **settings)
        self._artifacts = artifacts
        self._is_defined = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, on rank 0; it begins when it is first asked for."""
        run = super().experiment
        if not self._is_defined:
            self._is_defined = True
            for name, best in BEST.items():
                run.define_metric(name, step_metric=STEP, step_sync=True, summary=f"{best},last")
        return run

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Give the run its config, nested as it is, and the artifacts if they are asked for."""
        super().log_hyperparams(dict(params))
        if self._artifacts:
            self._keep_artifacts(params)

    def _keep_artifacts(self, params: Mapping[str, Any]) -> None:
        import wandb

        run = self.experiment
        run.log_code(str(Path(odc_lightning.__file__).parent), name="odc_lightning")
        artifact = wandb.Artifact(f"config-{run.id}", type="config")
        with artifact.new_file("config.yaml") as file:
            file.write(OmegaConf.to_yaml(OmegaConf.create(dict(params))))
        run.log_artifact(artifact)


def with_wandb_group(config: DictConfig, job_type: str) -> DictConfig:
    """The config with group and job type of the W&B run, if there is one, where they are null.

    Args:
        config: of the command.
        job_type: what the command does.
    """
    if OmegaConf.select(config, "logger.wandb") is None:
        return config
    config = config.copy()
    config.logger.wandb.group = config.logger.wandb.group or sweep_name()
    config.logger.wandb.job_type = config.logger.wandb.job_type or job_type
    return config


def sweep_name() -> str | None:
    """What all jobs of a multirun share, the name of its folder; None for a single run.

    The name of the run is no part of it: a sweep over experiments has one for each.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).name
