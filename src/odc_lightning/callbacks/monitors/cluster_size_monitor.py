"""Monitor of the balance of cluster sizes."""

from typing import Any

import pytorch_lightning as pl
import torch

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.odc.small_clusters import SmallClusters
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.metrics import cluster_entropy
from odc_lightning.utils.logged_steps import is_logged


class ClusterSizeMonitor(pl.Callback):
    """Log sizes, entropy, empty clusters and splits in logged steps, if there are clusters."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Log the state from which the next step starts, after `SmallClusters` has run."""
        owner = PseudoLabels.find(trainer)
        if owner is None or not is_logged(trainer):
            return
        counts = owner.counts
        pl_module.log("odc/cluster_size_min", counts.min().float())
        pl_module.log("odc/cluster_size_max", counts.max().float())
        pl_module.log("odc/cluster_entropy", cluster_entropy(counts))
        pl_module.log("odc/empty_clusters", (counts == 0).sum().float())
        small_clusters = find(trainer, SmallClusters)
        if small_clusters is not None:
            # Created on the device: copying a number to it would make the host wait.
            splits = counts.new_full((), small_clusters.num_splits, dtype=torch.float32)
            pl_module.log("odc/small_clusters_split", splits)
