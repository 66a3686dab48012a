"""Clusters of the frozen network's own features, without neck and without training."""

from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.odc.global_clustering import (
    allocate_features,
    cluster_memory,
    num_samples_to_cluster,
)
from odc_lightning.clustering import centre
from odc_lightning.features.extraction import extract_features
from odc_lightning.memory import ClusterMemory
from odc_lightning.module import ODCModule


class FrozenClusters(NamedTuple):
    """The clusters of N images, equal on all ranks.

    Attributes:
        memory: features (N, D) of unit length, labels and centroids.
        mean: (D,) fp32, which was subtracted from the backbone's features.
    """

    memory: ClusterMemory
    mean: Tensor


def cluster_frozen(
    trainer: pl.Trainer, module: ODCModule, folder: Path, iterations: int, seed: int
) -> FrozenClusters:
    """Cluster the backbone's features, centred and of unit length, by K-Means.

    One pass over the training images, in eval mode and without augmentation.

    Args:
        trainer: with a datamodule.
        module: network; its number of clusters is C.
        folder: of a mapped file, if there is no room for the features elsewhere.
        iterations, seed: of K-Means.
    """
    device, width = trainer.strategy.root_device, module.backbone.num_features
    num_samples = num_samples_to_cluster(trainer, module.num_clusters)
    features, _ = allocate_features(trainer, num_samples, width, folder)
    extract_features(trainer, module, module, "train", features, "First clusters: features")
    mean = centre(features)
    memory = ClusterMemory(
        num_samples, module.num_clusters, width, device=device, features=features
    )
    cluster_memory(trainer, memory, iterations, seed, "auto", "First clusters: K-Means")
    return FrozenClusters(memory, mean.to(device))
