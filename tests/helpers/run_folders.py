"""Folders of runs as a training leaves them, with numbers that a test chooses."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

Values = Mapping[str, Sequence[float]]
PER_STEP = ("train/loss", "odc/label_switch_ratio", "odc/cluster_size_max", "odc/cluster_size_min")
# What somebody may have called a run.
HOSTILE = "</script><script>window.hacked = 1</script> \"'&{{ 7 * 7 }} \u2028 <img src=x onerror=1>"


# The keys that every command relies on; a test may add others.
CONFIG = {
    "name": "odc",
    "seed": 0,
    "model": {
        "backbone": {"_target_": "odc_lightning.models.ConvNet"},
        "neck": {"_target_": "odc_lightning.models.NoNeck", "_partial_": True},
    },
    "data": {
        "_target_": "odc_lightning.data.ImageDataModule",
        "root": None,
        "image_size": 28,
        "train": {"_target_": "odc_lightning.data.image_folder", "_partial_": True, "root": "x"},
        "eval_transform": {"_target_": "torchvision.transforms.v2.PILToTensor"},
    },
    "algorithm": {"num_clusters": 10},
    "trainer": {"max_epochs": 2},
}


SUMMARY = {
    "train_loss": 1.0,
    "chance_loss": math.log(10),
    "label_switch_ratio_first": 0.9,
    "label_switch_ratio_last": 0.2,
    "knn_top1": None,
    "nmi": None,
    "untrained": {"knn_top1": 0.5, "nmi": 0.25},
    "pretrained": None,
    "steps": 100,
    "kept_epoch": None,
    "kept_criterion": None,
    "start_criterion": None,
    "num_samples": 1437,
    "num_clusters": 10,
    "targets": "clusters",
    "images_per_second": 100.0,
    "wall_seconds": 61.0,
    "versions": {"python": "3.11.7", "faiss": None},
}


def write_config(file: Path, **others: Any) -> None:
    """The smallest ``config.yaml`` that a run may have; ``others`` are at the top level."""
    file.write_text(OmegaConf.to_yaml(OmegaConf.create({**CONFIG, **others})), encoding="utf-8")


def write_run(
    folder: Path,
    config: Mapping[str, Any] | None = None,
    metrics: Values | None = None,
    steps_per_epoch: int = 2,
    finished: bool = True,
    **summary: Any,
) -> Path:
    """Write ``config.yaml``, ``metrics.csv`` and, of a finished run, ``summary.json``.

    Args:
        folder: of the run.
        config: over a small default one; keys may have dots.
        metrics: values of each metric: those of `PER_STEP` a step each, the others an epoch each.
        steps_per_epoch: how many steps an epoch has.
        finished: whether there is a summary.
        summary: over the default one.
    """
    folder.mkdir(parents=True)
    whole = OmegaConf.create(
        {
            "name": "odc",
            "seed": 0,
            "run_dir": str(folder),
            "data": {"name": "digits", "batch_size": 32, "seed": "${seed}"},
            "model": {"backbone": {"_target_": "odc_lightning.models.ConvNet"}},
            "algorithm": {"num_clusters": 10, "samples_memory": {"scratch_dir": "${run_dir}"}},
            "optimizer": {"lr": 0.06},
            "trainer": {"max_epochs": 2, "accelerator": "cpu"},
        }
    )
    for key, value in (config or {}).items():
        OmegaConf.update(whole, key, value)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(whole, resolve=True), encoding="utf-8")
    _write_metrics(folder / "metrics.csv", metrics or {}, steps_per_epoch)
    if finished:
        content = {**SUMMARY, "num_clusters": whole.algorithm.num_clusters, **summary}
        (folder / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _write_metrics(path: Path, metrics: Values, steps_per_epoch: int) -> None:
    names = list(metrics)
    lines = [",".join(["step", "epoch", *names])]
    for place, name in enumerate(names):
        for i, value in enumerate(metrics[name]):
            step = i if name in PER_STEP else (i + 1) * steps_per_epoch - 1
            cells = ["" if place != other else str(value) for other in range(len(names))]
            lines.append(",".join([str(step), str(step // steps_per_epoch), *cells]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
