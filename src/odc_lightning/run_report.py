"""What a finished run leaves in its folder."""

import time
from pathlib import Path

import pytorch_lightning as pl

from odc_lightning import report
from odc_lightning.callbacks import (
    HealthMonitor,
    LabelScores,
    Pretext,
    PseudoLabels,
    Throughput,
    find,
)
from odc_lightning.data import ImageDataModule
from odc_lightning.module import ODCModule
from odc_lightning.report import Scores, Summary


def write_report(
    trainer: pl.Trainer,
    data: ImageDataModule,
    run_dir: Path,
    started: float,
    pretrained: str | None = None,
) -> Summary:
    """Write ``clusters.csv``, ``curves.png`` and ``summary.json``, of what there is.

    Args:
        trainer: after ``fit``.
        data: what it was fitted on.
        run_dir: where ``metrics.csv`` is, if the run has one.
        started: ``time.monotonic()`` of the run's start.
        pretrained: the checkpoint that the network started from, if any.
    """
    module = ODCModule.of(trainer.lightning_module)
    num_clusters = module.num_clusters
    owner = PseudoLabels.find(trainer)  # there is none in supervised training
    if owner is not None:
        names = [data.train_dataset.source.name(index) for index in range(data.num_samples)]
        labels, distances = owner.labels, owner.distances()
        report.write_clusters(run_dir / "clusters.csv", names, labels.cpu(), distances.cpu())
    pretext = Pretext.find(trainer)
    rows = data.batch_size // trainer.world_size * data.num_views
    chance = pretext.chance if pretext else module.head.chance(rows)
    metrics_csv = run_dir / "metrics.csv"
    if metrics_csv.exists():
        report.draw_curves(
            metrics_csv, run_dir / "curves.png", num_clusters, data.num_samples, chance
        )
    monitor, scores = find(trainer, HealthMonitor), find(trainer, LabelScores)
    epochs = monitor.epochs if monitor else []
    switches = bool(epochs) and owner is not None and owner.switch_ratio is not None
    speed = find(trainer, Throughput)
    last = _scores(scores.last if scores else {})
    summary: Summary = {
        "train_loss": epochs[-1].loss if epochs else None,
        "chance_loss": chance,
        "label_switch_ratio_first": epochs[0].switch_ratio if switches else None,
        "label_switch_ratio_last": epochs[-1].switch_ratio if switches else None,
        "knn_top1": last["knn_top1"],
        "nmi": last["nmi"],
        "untrained": _scores(scores.untrained if scores else {}),
        "pretrained": pretrained,
        "num_samples": data.num_samples,
        "num_clusters": num_clusters,
        "targets": pretext.targets if pretext else "clusters" if owner else "classes",
        "images_per_second": speed.images_per_second if speed else None,
        "wall_seconds": time.monotonic() - started,
        "versions": report.package_versions(),
    }
    report.write_summary(run_dir / "summary.json", summary)
    return summary


def _scores(logged: dict[str, float]) -> Scores:
    return {"knn_top1": logged.get("eval/knn_top1"), "nmi": logged.get("eval/nmi")}
