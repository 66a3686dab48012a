"""How balanced the clusters are."""

from typing import Any

import pytorch_lightning as pl
import torch

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.odc.small_clusters import SmallClusters
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.metrics import cluster_entropy


class ClusterSizeMonitor(pl.Callback):
    """Log sizes, entropy, empty clusters and splits after each step, where there are clusters."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Runs after the writers, so it sees what the next step starts from."""
        owner = PseudoLabels.find(trainer)
        if owner is None:
            return
        counts = owner.counts
        pl_module.log("odc/cluster_size_min", counts.min().float())
        pl_module.log("odc/cluster_size_max", counts.max().float())
        pl_module.log("odc/cluster_entropy", cluster_entropy(counts))
        pl_module.log("odc/empty_clusters", (counts == 0).sum().float())
        small_clusters = find(trainer, SmallClusters)
        if small_clusters is not None:
            # Filled on the device: to send a number there would make the host wait.
            splits = counts.new_full((), small_clusters.num_splits, dtype=torch.float32)
            pl_module.log("odc/small_clusters_split", splits)
