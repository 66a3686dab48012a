"""A run's folder for the frozen network: its features and their clusters, without a training."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from odc_lightning.checkpoints import DurableCheckpointIO
from odc_lightning.memory import ClusterMemory
from odc_lightning.runs.csv_files import write_clusters, write_index_table
from odc_lightning.runs.summary import Summary, package_versions, write_summary
from odc_lightning.utils.whole_files import whole_file


def frozen_config(config: DictConfig, folder: Path) -> DictConfig:
    """The config of the frozen network's run, from that of the training, both resolved.

    Args:
        config: of the training.
        folder: of the frozen network's run.
    """
    frozen = config.copy()
    OmegaConf.set_struct(frozen, False)
    frozen.name = f"{config.name}-start"
    frozen.run_dir = str(folder)
    frozen.model.neck = {"_target_": "odc_lightning.models.CenteringNeck", "_partial_": True}
    frozen.model.dense = False
    frozen.algorithm = {
        "num_clusters": config.algorithm.num_clusters,
        "samples_memory": {"_target_": "odc_lightning.callbacks.SamplesMemory"},  # l2, as K-Means
    }
    frozen.trainer.max_epochs = 0
    return frozen


def write_frozen_run(
    config: DictConfig,
    backbone: dict[str, Tensor],
    mean: Tensor,
    memory: ClusterMemory,
    names: Sequence[str],
    nmi: float | None,
    seconds: float,
) -> None:
    """Write the folder, so that all commands work on it as on that of a training.

    Args:
        config: see `frozen_config`.
        backbone: weights by name.
        mean: (D,) that the neck subtracts.
        memory: features (N, D) and clusters.
        names: of the N images.
        nmi: of clusters and labels; None without labels.
        seconds: since the command started.
    """
    folder = Path(config.run_dir)
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped before its first step
    folder.mkdir(parents=True)
    records = folder.parent / ".hydra"
    if records.is_dir():  # they have the folder in which relative paths start
        shutil.copytree(records, folder / ".hydra")
    with whole_file(folder / "config.yaml") as unfinished:
        OmegaConf.save(config, unfinished)
    write_index_table(folder / "index.csv", names)
    distances = memory.distances().cpu()
    write_clusters(folder / "clusters.csv", names, memory.labels.cpu(), distances)
    weights = {f"backbone.{name}": value for name, value in backbone.items()}
    content = {
        "epoch": 0,
        "global_step": 0,
        "state_dict": {**weights, "neck.mean": mean},
        "callbacks": {"SamplesMemory": memory.state_dict()},
    }
    DurableCheckpointIO().save_checkpoint(content, folder / "checkpoints" / "last.ckpt")
    write_summary(folder / "summary.json", _summary(config, memory, nmi, seconds))


def _summary(
    config: DictConfig, memory: ClusterMemory, nmi: float | None, seconds: float
) -> Summary:
    """The summary of a run of no steps."""
    return {
        "steps": 0,
        "train_loss": None,
        "chance_loss": math.log(memory.num_clusters),
        "label_switch_ratio_first": None,
        "label_switch_ratio_last": None,
        "knn_top1": None,
        "nmi": nmi,
        "untrained": {"knn_top1": None, "nmi": None},
        "pretrained": config.model.pretrained,
        "kept_epoch": None,
        "kept_criterion": None,
        "start_criterion": None,
        "num_samples": memory.num_samples,
        "num_clusters": memory.num_clusters,
        "targets": "clusters",
        "images_per_second": None,
        "wall_seconds": seconds,
        "versions": package_versions(),
    }
