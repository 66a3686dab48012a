"""The files of a run that a report needs: config, clusters, curves, summary."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.lifecycle.keep_best import KeepBest
from odc_lightning.callbacks.monitors.health_monitor import HealthMonitor
from odc_lightning.callbacks.monitors.label_scores import LabelScores
from odc_lightning.callbacks.monitors.throughput import Throughput
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.checkpoints import KEPT, Conversion
from odc_lightning.data import ImageDataModule
from odc_lightning.module import ODCModule
from odc_lightning.reporting.figures import draw_curves
from odc_lightning.runs.csv_files import write_clusters
from odc_lightning.runs.replaced import remove_run
from odc_lightning.runs.summary import Scores, Summary, package_versions, write_summary
from odc_lightning.utils.optional import logged_failure
from odc_lightning.utils.whole_files import whole_file

log = logging.getLogger(__name__)


class RunReport(pl.Callback):
    """Writes the config once the run is accepted, and the results at the end.

    This is a callback because the memory may be in another process than the command
    (``trainer.strategy=ddp_spawn``).
    """

    def __init__(
        self,
        config: DictConfig,
        chosen: Sequence[str] = (),
        start: Conversion | None = None,
        started: float | None = None,
        records: Mapping[str, DictConfig] | None = None,
    ) -> None:
        """Keep the arguments, which are known before training.

        Args:
            config: of the run, resolved.
            chosen: a line about each setting that was chosen automatically or changed on resume.
            start: how the keys of the pretrained weights were mapped, if there are any.
            started: ``time.monotonic()`` of the run's start; None: now.
            records: files to write into ``.hydra``, by name.
        """
        self.config = config
        self.run_dir = Path(config.run_dir)
        self.chosen = chosen
        self.start = start
        self.records = records or {}
        self.pretrained: str | None = OmegaConf.select(config, "model.pretrained")
        self.started = time.monotonic() if started is None else started

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the config, and log how the run starts; a refused run overwrites nothing."""
        if trainer.is_global_zero:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            if OmegaConf.select(self.config, "overwrite") and self.config.ckpt_path is None:
                remove_run(self.run_dir)
            # A resumed run has not finished, but its summary says so.
            (self.run_dir / "summary.json").unlink(missing_ok=True)
            # `KeepBest` writes it again; without `KeepBest` it would hide the trained state.
            (self.run_dir / "checkpoints" / KEPT).unlink(missing_ok=True)
            files = {f".hydra/{name}": record for name, record in self.records.items()}
            for name, record in {"config.yaml": self.config, **files}.items():
                (self.run_dir / name).parent.mkdir(exist_ok=True)
                with whole_file(self.run_dir / name) as unfinished:
                    OmegaConf.save(record, unfinished)
            for line in self.chosen:
                log.info(line)
            if self.start is not None:
                log.info("started from %s %s", self.pretrained, self.start.summary)
                self.start.write_csv(self.run_dir / "pretrained.csv")
        for logger in trainer.loggers:
            logger.log_hyperparams(OmegaConf.to_container(self.config))  # type: ignore[arg-type]

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the results, of the state that `KeepBest` puts back if there is one."""
        keep = find(trainer, KeepBest)
        if keep is not None:
            keep.put_back(trainer, ODCModule.of(pl_module))
        for logger in trainer.loggers:
            logger.save()
        if trainer.is_global_zero and not OmegaConf.select(self.config, "train.only_start"):
            data: ImageDataModule = trainer.datamodule  # type: ignore[attr-defined]
            write_report(trainer, data, self.run_dir, self.started, self.pretrained)


def write_report(
    trainer: pl.Trainer,
    data: ImageDataModule,
    run_dir: Path,
    started: float,
    pretrained: str | None = None,
) -> None:
    """Write ``clusters.csv`` if there are clusters, ``curves.png``, and ``summary.json``.

    Args:
        trainer: after the last step.
        data: that the trainer was fitted on.
        run_dir: folder of ``metrics.csv``, if the run has one.
        started: ``time.monotonic()`` of the run's start.
        pretrained: the checkpoint that the network started from, if any.
    """
    owner = PseudoLabels.find(trainer)  # None in supervised training
    if owner is not None:
        names = [data.train_dataset.source.name(index) for index in range(data.num_samples)]
        labels, distances = owner.labels, owner.distances()
        write_clusters(run_dir / "clusters.csv", names, labels.cpu(), distances.cpu())
    summary = summary_of(trainer, data, started, pretrained)
    metrics_csv = run_dir / "metrics.csv"
    if metrics_csv.exists() and trainer.global_step > 0:
        curves = run_dir / "curves.png"
        with logged_failure(str(curves)):
            draw_curves(
                metrics_csv,
                curves,
                summary["num_clusters"],
                data.num_samples,
                summary["chance_loss"],
            )
    summary["wall_seconds"] = time.monotonic() - started
    write_summary(run_dir / "summary.json", summary)


def summary_of(
    trainer: pl.Trainer, data: ImageDataModule, started: float, pretrained: str | None
) -> Summary:
    """The results of a run, from its callbacks; see `write_report` for the arguments."""
    module = ODCModule.of(trainer.lightning_module)
    owner, pretext = PseudoLabels.find(trainer), Pretext.find(trainer)
    monitor, scores = find(trainer, HealthMonitor), find(trainer, LabelScores)
    keep = find(trainer, KeepBest)
    kept = keep is not None and keep.kept_epoch is not None
    epochs = monitor.epochs if monitor else []
    switches = bool(epochs) and owner is not None and owner.switch_ratio is not None
    speed = find(trainer, Throughput)
    last = _scores(scores.last if scores else {})
    rows = data.batch_size // trainer.world_size * data.num_views
    return {
        "steps": trainer.global_step,
        "train_loss": epochs[-1].loss if epochs else None,
        "chance_loss": pretext.chance if pretext else module.head.chance(rows),
        "label_switch_ratio_first": epochs[0].switch_ratio if switches else None,
        "label_switch_ratio_last": epochs[-1].switch_ratio if switches else None,
        "knn_top1": last["knn_top1"],
        "nmi": last["nmi"],
        "untrained": _scores(scores.untrained if scores else {}),
        "pretrained": pretrained,
        "kept_epoch": keep.kept_epoch if keep else None,
        "kept_criterion": keep.kept_criterion if keep and kept else None,
        "start_criterion": keep.start_criterion if keep and kept else None,
        "num_samples": data.num_samples,
        "num_clusters": module.num_clusters,
        "targets": pretext.targets if pretext else "clusters" if owner else "classes",
        "images_per_second": speed.images_per_second if speed else None,
        "wall_seconds": time.monotonic() - started,
        "versions": package_versions(),
    }


def _scores(logged: dict[str, float]) -> Scores:
    return {"knn_top1": logged.get("eval/knn_top1"), "nmi": logged.get("eval/nmi")}
