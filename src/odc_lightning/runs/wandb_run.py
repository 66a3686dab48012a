"""The run in Weights & Biases: its group, its summary and its artifacts."""

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
# Whether the smallest or the largest value of a metric is best. The run's summary keeps the best
# and the last value of these metrics, and the last value of all others.
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
    """The key of a metric's best value in a run's summary; of its last value if none is best."""
    return f"{metric}.{BEST[metric]}" if metric in BEST else metric


class WandbRun(WandbLogger):
    """Lightning's W&B logger, with the best values of the metrics in `BEST` in its summary."""

    def __init__(self, *args: Any, artifacts: bool = False, **settings: Any) -> None:
        """Take the arguments of `WandbLogger`, which passes unknown ones to ``wandb.init``.

        Args:
            args: see `WandbLogger`.
            artifacts: upload the code of this package and the resolved config as artifacts.
            settings: see `WandbLogger`.
        """
        super().__init__(*args, **settings)
        self._artifacts = artifacts
        self._is_defined = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, on rank 0; it starts on first access."""
        run = super().experiment
        if not self._is_defined:
            self._is_defined = True
            for name, best in BEST.items():
                run.define_metric(name, step_metric=STEP, step_sync=True, summary=f"{best},last")
        return run

    @rank_zero_only
    def log_hyperparams(self, params: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Log the nested config, and the artifacts if they are switched on."""
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
    """The config with group and job type of the W&B run filled in where they are null.

    Args:
        config: of the command.
        job_type: ``train`` or ``evaluate``.
    """
    if OmegaConf.select(config, "logger.wandb") is None:
        return config
    config = config.copy()
    config.logger.wandb.group = config.logger.wandb.group or sweep_name()
    config.logger.wandb.job_type = config.logger.wandb.job_type or job_type
    return config


def sweep_name() -> str | None:
    """The name of a multirun's folder, which its jobs share; None for a single run.

    The run's name is not part of it, since each job of a sweep over experiments has another.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).name
