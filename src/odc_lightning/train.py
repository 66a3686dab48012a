"""Train: ``python -m odc_lightning.train experiment=quickstart``.

Read `train` top to bottom: seed, data, network, trainer with callbacks and loggers, fit, report.
"""

import os
import sys
import time
import traceback
import warnings
from pathlib import Path

import hydra
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from odc_lightning import report
from odc_lightning.callbacks import LabelScores, SamplesMemory, Throughput
from odc_lightning.config import CONFIG_DIR, build_module, build_trainer
from odc_lightning.data import ImageDataModule
from odc_lightning.report import Scores, Series, Summary

# Said of every run, and nothing that its user could act on.
IRRELEVANT_WARNINGS = (
    "Experiment logs directory .* exists and is not empty",  # it holds Hydra's files already
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def train(config: DictConfig) -> Summary | None:
    """Run one training and leave its results in ``config.run_dir``.

    Returns:
        The summary, on rank 0 alone.
    """
    started = time.monotonic()
    for message in IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message)
    run_dir = Path(config.run_dir)
    resolved = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    pl.seed_everything(config.seed, workers=True)
    data: ImageDataModule = instantiate(config.data)
    module = build_module(config)
    trainer = build_trainer(config)
    failed = True
    try:
        if trainer.is_global_zero:
            run_dir.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(resolved, run_dir / "config.yaml")
        for logger in trainer.loggers:
            logger.log_hyperparams(OmegaConf.to_container(resolved))  # type: ignore[arg-type]
        trainer.fit(module, datamodule=data, ckpt_path=config.ckpt_path)
        failed = False
        if not trainer.is_global_zero:
            return None
        summary = write_report(trainer, data, run_dir, started)
        print()
        print(report.closing_lines(summary, run_dir))
        return summary
    finally:
        finish_wandb(failed)


def write_report(
    trainer: pl.Trainer, data: ImageDataModule, run_dir: Path, started: float
) -> Summary:
    """Write ``clusters.csv``, ``curves.png`` and ``summary.json``."""
    memory = SamplesMemory.of(trainer).memory
    names = [data.train_dataset.source.name(index) for index in range(data.num_samples)]
    report.write_clusters(
        run_dir / "clusters.csv", names, memory.labels.cpu(), memory.distances().cpu()
    )
    metrics_csv = run_dir / "metrics.csv"
    metrics = report.read_metrics(metrics_csv) if metrics_csv.exists() else {}
    if metrics:
        report.draw_curves(
            metrics_csv, run_dir / "curves.png", memory.num_clusters, data.num_samples
        )
    losses = _epoch_means(metrics, "train/loss")
    ratios = _epoch_means(metrics, "odc/label_switch_ratio")
    scores = next((c for c in _callbacks(trainer) if isinstance(c, LabelScores)), None)
    speed = next((c for c in _callbacks(trainer) if isinstance(c, Throughput)), None)
    last = _scores(scores.last if scores else {})
    summary: Summary = {
        "train_loss": losses[-1] if losses else None,
        "label_switch_ratio_first": ratios[0] if ratios else None,
        "label_switch_ratio_last": ratios[-1] if ratios else None,
        "knn_top1": last["knn_top1"],
        "nmi": last["nmi"],
        "untrained": _scores(scores.untrained if scores else {}),
        "num_samples": data.num_samples,
        "num_clusters": memory.num_clusters,
        "images_per_second": speed.images_per_second if speed else None,
        "wall_seconds": time.monotonic() - started,
        "versions": report.package_versions(),
    }
    report.write_summary(run_dir / "summary.json", summary)
    return summary


def finish_wandb(failed: bool) -> None:
    """End the W&B run if there is one, so that the next job of a multirun starts its own."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def _callbacks(trainer: pl.Trainer) -> list[pl.Callback]:
    return trainer.callbacks  # type: ignore[attr-defined]


def _epoch_means(metrics: dict[str, Series], name: str) -> list[float]:
    """Means of a metric over what was logged in each epoch; empty if it was not logged."""
    return list(report.epoch_means(metrics[name]).values()) if name in metrics else []


def _scores(logged: dict[str, float]) -> Scores:
    return {"knn_top1": logged.get("eval/knn_top1"), "nmi": logged.get("eval/nmi")}


@hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name="train")
def main(config: DictConfig) -> None:
    """Command line entry; input that the package refuses is told without a traceback."""
    try:
        train(config)
    except Exception as error:
        # Hydra wraps what a constructor raises, and stops a multirun by itself.
        refusal = error.__cause__ if isinstance(error, InstantiationException) else error
        single = HydraConfig.get().mode is RunMode.RUN
        if "HYDRA_FULL_ERROR" in os.environ or not (single and _is_refusal(refusal)):
            raise
        sys.exit(f"error: {refusal}")


def _is_refusal(error: BaseException | None) -> bool:
    """Whether this package raised the error itself, with a message for the user."""
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith(("odc_lightning", "__main__"))


if __name__ == "__main__":
    main()
