"""Features and clusters of a run's training images in eval mode, kept in the run's folder."""

import hashlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from odc_lightning.clustering import Assignment
from odc_lightning.data import ImageSource, IndexedDataset, SubsetSource
from odc_lightning.data.loader import choose_num_workers
from odc_lightning.features.digests import describe, digest_weights
from odc_lightning.features.image_features import image_features
from odc_lightning.inference.kept_reference import Kept, read_kept, write_kept
from odc_lightning.inference.network import TrainedNetwork
from odc_lightning.inference.run_clusters import RunClusters
from odc_lightning.metrics.neighbours import nearest_directions
from odc_lightning.utils.arrays import IntArray

log = logging.getLogger(__name__)

FOLDER = "reference"
BATCH = 128
# The number of the run's images from which the usual distance of neighbours is estimated.
MAX_MEASURED = 4096
# The quantile of these distances that has the outlier score 1.
USUAL = 0.95


class Neighbours(NamedTuple):
    """The K images of the run that are nearest to each of B other images.

    Attributes:
        indices: (B, K) int64, nearest first.
        similarities: (B, K) fp32, cosines.
        outlier: (B,) fp32, the distance to the K-th neighbour, divided by the 95 % quantile of the
            same distance among the run's images. Above 1, an image is unlike the training images.
    """

    indices: Tensor
    similarities: Tensor
    outlier: Tensor


class Reference:
    """The run's images and clusters, with which new images are compared.

    Attributes:
        names: names of the run's N images, without those that could not be read.
        labels: (N,) int64, their clusters in the run.
        clusters: centroids in eval mode.
        agreement: share of the run's images whose nearest centroid is that of their own cluster.
        features: (N, D) fp32 of unit length, of the run's images.
    """

    def __init__(
        self,
        names: list[str],
        labels: Tensor,
        clusters: RunClusters,
        agreement: float,
        features: Tensor,
    ) -> None:
        self.names = names
        self.labels = labels
        self.clusters = clusters
        self.agreement = agreement
        self.features = features
        self._usual: dict[int, float] = {}

    @property
    def width(self) -> int:
        """D, the width of the features."""
        return self.clusters.centroids.shape[1]

    def rows_among(self, names: Sequence[str]) -> IntArray:
        """Places (N,) of the images among all ``names`` of the run."""
        places = {name: row for row, name in enumerate(names)}
        return np.array([places[name] for name in self.names])

    def neighbours(self, features: Tensor, k: int) -> Neighbours:
        """Find the nearest images of the run.

        Args:
            features: (B, D) fp32 of unit length, on the CPU.
            k: K, from 1 to N - 1.

        Raises:
            ValueError: K is out of range.
        """
        if not 1 <= k < len(self.names):
            raise ValueError(
                f"neighbours={k} with {len(self.names)} training images; expected 1 to "
                f"{len(self.names) - 1}"
            )
        similarities, indices = nearest_directions(self.features, features, k)
        outlier = _distance(similarities[:, -1]) / self._usual_distance(k)
        return Neighbours(indices, similarities, outlier)

    def _usual_distance(self, k: int) -> float:
        """The 95 % quantile of the distances between the run's images and their K-th neighbour."""
        if k not in self._usual:
            count = min(MAX_MEASURED, len(self.names))
            rows = torch.from_numpy(np.linspace(0, len(self.names) - 1, count).astype(np.int64))
            similarities, indices = nearest_directions(self.features, self.features[rows], k + 1)
            itself = indices == rows.unsqueeze(1)
            # With more than K identical images, an image may be missing from its own neighbours.
            itself[:, -1] |= ~itself.any(dim=1)
            others = similarities[~itself].reshape(count, k)
            usual = float(np.quantile(_distance(others[:, -1]).numpy(), USUAL))
            self._usual[k] = max(usual, 1e-6)  # 0 if all images are identical
        return self._usual[k]


def reference_of(network: TrainedNetwork) -> Reference:
    """The reference of a run: read from its folder, or made and kept there.

    Raises:
        ValueError: the run has no clusters, or none of its images can be read.
    """
    if network.labels is None:
        raise ValueError(
            f"{network.run.folder} has no clusters: its algorithm makes none, or its checkpoint is "
            "from before the first clustering. Features can be extracted (embed); to assign "
            "images, train with algorithm=odc_small"
        )
    folder = network.run.folder / FOLDER
    facts = _facts(network)
    kept = read_kept(folder, facts, network.num_clusters)
    made = _made_now(network, kept)
    if made is not None:
        kept = made
        try:
            write_kept(made, folder, facts)
        except OSError as error:
            message = "cannot write %s (%s); the training images will be read again next time"
            log.warning(message, folder, error)
    assert kept is not None
    centroids, counts = torch.from_numpy(kept.centroids), torch.from_numpy(kept.counts)
    clusters = RunClusters(centroids, counts, _metric(network))
    labels = torch.from_numpy(kept.labels)
    return Reference(kept.names, labels, clusters, kept.agreement, torch.from_numpy(kept.features))


def _made_now(network: TrainedNetwork, kept: Kept | None) -> Kept | None:
    """What has to be made because it is not kept, or because more images can be read today."""
    assert network.labels is not None
    if kept is None:
        return _make(network, network.training_images())
    if len(kept.names) == len(network.labels):
        return None
    try:
        source = network.training_images()
    except ValueError:
        return None
    return None if _names(source) == kept.names else _make(network, source)


def _make(network: TrainedNetwork, source: SubsetSource) -> Kept:
    assert network.labels is not None
    if len(source.source) != len(network.labels):
        raise ValueError(
            f"the run clustered {len(network.labels):,} images, but it names {len(source.source):,}"
            "; expected config, index.csv and checkpoint of the same run"
        )
    labels = network.labels[torch.from_numpy(source.indices)]
    log.info("reading the %s training images of %s, once", f"{len(source):,}", network.run.folder)
    batches = image_features(
        network,
        IndexedDataset(source, network.transform),
        range(len(source)),
        device=network.device,
        batch_size=BATCH,
        num_workers=choose_num_workers(source),
    )
    width: int = network.neck.out_features  # type: ignore[assignment]
    features = torch.empty(len(source), width)
    filled = 0
    for batch in batches:
        features[filled : filled + len(batch)] = batch
        filled += len(batch)
    clusters = RunClusters.of_members(features, labels, network.num_clusters, _metric(network))
    nearest = torch.cat([clusters.assign(rows).labels for rows in features.split(2**14)])
    agreement = float((nearest == labels).float().mean())
    log.info("%.0f %% of them are closest to the centroid of their own cluster", 100 * agreement)
    return Kept(
        _names(source),
        clusters.centroids.numpy(),
        clusters.counts.numpy(),
        features.numpy(),
        labels.numpy(),
        agreement,
    )


def _names(source: ImageSource) -> list[str]:
    return [source.name(index) for index in range(len(source))]


def _metric(network: TrainedNetwork) -> Assignment:
    """The metric by which the run compares features with centroids."""
    algorithm = network.run.config.algorithm
    memory = algorithm.get("samples_memory")
    if memory is not None:
        metric: Assignment = memory.get("assignment", "l2")
        return metric
    return "cosine" if "prototype_clustering" in algorithm else "l2"


def _facts(network: TrainedNetwork) -> dict[str, object]:
    """The facts that a reference depends on."""
    assert network.labels is not None
    return {
        "network": digest_weights(network),
        "labels": hashlib.sha256(network.labels.numpy().tobytes()).hexdigest(),
        "transform": describe(network.transform),
        "metric": _metric(network),
    }


def _distance(similarities: Tensor) -> Tensor:
    """The L2 distances of unit vectors with these cosines."""
    return (2 - 2 * similarities).clamp(min=0).sqrt()
