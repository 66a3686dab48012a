"""The clustering of a finished run: images, clusters, features and centroids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.checkpoints import TrainingRun, clustering_states, read_checkpoint
from odc_lightning.clustering import cluster_means
from odc_lightning.data import ImageSource
from odc_lightning.runs.images import images_of_run
from odc_lightning.utils.arrays import IntArray


@dataclass
class ClusteredImages:
    """N images in C clusters.

    Attributes:
        source: the images, in the order of the run; loading a missing one fails.
        labels: (N,) the cluster of each image.
        features: (N, D) of any float type, possibly on disk; read them with `rows`.
        centroids: (C, D) fp32.
    """

    source: ImageSource
    labels: IntArray
    features: Tensor
    centroids: Tensor

    @property
    def num_clusters(self) -> int:
        """C, empty ones included."""
        return len(self.centroids)

    def names(self) -> list[str]:
        """Names of the N images."""
        return [self.source.name(index) for index in range(len(self.source))]

    def rows(self, indices: IntArray) -> Tensor:
        """Features (B, D) fp32 of some images."""
        return self.features[torch.from_numpy(indices)].float()


def read_clusters(run: TrainingRun, data: DictConfig) -> ClusteredImages:
    """The clustering in a run's checkpoint, with the run's images as they are today.

    Args:
        run: to read.
        data: the config of its data; it is instantiated, so check its targets first.

    Raises:
        ValueError: the run keeps no features, or the images are not those it was trained on.
    """
    states = clustering_states(read_checkpoint(run.checkpoint, option=None), run.checkpoint)
    state = _clustering(states, run)
    labels: IntArray = state["labels"].numpy()
    source = images_of_run(data, run.image_names(), len(labels))
    if "features" in state:
        return ClusteredImages(source, labels, state["features"], state["centroids"].float())
    features = normalize(state["banks"].float().mean(dim=0), dim=1)
    centroids = cluster_means(features, state["labels"], int(labels.max()) + 1)
    return ClusteredImages(source, labels, features, centroids)


def _clustering(states: Sequence[dict[str, Any]], run: TrainingRun) -> dict[str, Tensor]:
    """The state of the callback that clusters, with the features it keeps."""
    for needed in ({"labels", "features", "centroids"}, {"labels", "banks"}):
        for state in states:
            if needed <= state.keys():
                return state
    if states:
        raise ValueError(
            f"{run.folder} has clusters but no features of its images, as all runs of DeepCluster; "
            "expected a run of ODC or of DeepCluster-v2. The cluster of every image is in the "
            "run's clusters.csv"
        )
    raise ValueError(
        f"{run.folder} has no clusters in {run.checkpoint.name}; expected a run of ODC or of "
        "DeepCluster-v2 with a checkpoint from after the first clustering"
    )
