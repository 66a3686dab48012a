"""The run's own images as the trained network sees them: made once, kept in the run's folder."""

import csv
import hashlib
import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from odc_lightning.clustering import Assignment
from odc_lightning.data import IndexedDataset
from odc_lightning.data.datamodule import choose_num_workers
from odc_lightning.features.digests import describe, digest_weights
from odc_lightning.features.image_features import image_features
from odc_lightning.inference.network import TrainedNetwork
from odc_lightning.inference.run_clusters import RunClusters
from odc_lightning.utils.arrays import FloatArray
from odc_lightning.utils.whole_files import whole_folder

log = logging.getLogger(__name__)

FOLDER = "reference"
BATCH = 128
# So many of the run's images tell how far apart neighbours usually are.
MAX_MEASURED = 4096
# An image is as far from its neighbours as this share of the run's images at most: score 1.
USUAL = 0.95


class Neighbours(NamedTuple):
    """The K nearest of the run's images to each of B others.

    Attributes:
        indices: (B, K) int64, the nearest first.
        similarities: (B, K) fp32, cosines.
        outlier: (B,) fp32, the distance to the K-th neighbour over that which 95 % of the run's
            images keep to their own: above 1 the image is unlike what the network was trained on.
    """

    indices: Tensor
    similarities: Tensor
    outlier: Tensor


class Reference:
    """What new images are compared with.

    Attributes:
        names: of the N images of the run.
        labels: (N,) int64, their clusters in the run.
        clusters: centroids in eval mode.
        agreement: the share of the run's images whose nearest centroid is that of their cluster.
        index: faiss's, of their features of unit length, by inner product.
    """

    def __init__(
        self, names: list[str], labels: Tensor, clusters: RunClusters, agreement: float, index: Any
    ) -> None:
        self.names = names
        self.labels = labels
        self.clusters = clusters
        self.agreement = agreement
        self.index = index
        self._usual: dict[int, float] = {}

    @property
    def width(self) -> int:
        """D."""
        return self.clusters.centroids.shape[1]

    def neighbours(self, features: Tensor, k: int) -> Neighbours:
        """The nearest images of the run.

        Args:
            features: (B, D) fp32 of unit length, on the CPU.
            k: K, from 1 to N - 1.

        Raises:
            ValueError: for another K.
        """
        if not 1 <= k < len(self.names):
            raise ValueError(
                f"neighbours={k} of {len(self.names)} images; expected 1 to {len(self.names) - 1}"
            )
        similarities, indices = self.index.search(features.numpy(), k)
        outlier = _distance(similarities[:, -1]) / self._usual_distance(k)
        return Neighbours(
            torch.from_numpy(indices), torch.from_numpy(similarities), torch.from_numpy(outlier)
        )

    def _usual_distance(self, k: int) -> float:
        """What 95 % of the run's images keep to their K-th neighbour among the others."""
        if k not in self._usual:
            count = min(MAX_MEASURED, len(self.names))
            rows = np.linspace(0, len(self.names) - 1, count).astype(np.int64)
            own = np.stack([self.index.reconstruct(int(row)) for row in rows])
            similarities, indices = self.index.search(own, k + 1)
            itself = indices == rows[:, None]
            # With more than K twins it may not be among those found.
            itself[:, -1] |= ~itself.any(axis=1)
            others = similarities[~itself].reshape(count, k)
            usual = float(np.quantile(_distance(others[:, -1]), USUAL))
            self._usual[k] = max(usual, 1e-6)  # of nothing but twins
        return self._usual[k]


def reference_of(network: TrainedNetwork) -> Reference:
    """Read what is kept, or make and keep it.

    Raises:
        ValueError: the run has no clusters, or its images are not there.
    """
    if network.labels is None:
        raise ValueError(
            f"{network.run.folder} has no clusters: its algorithm makes none, or its checkpoint is "
            "of a moment before the first. embed works; to assign, train with algorithm=odc_small"
        )
    folder = network.run.folder / FOLDER
    facts = _facts(network)
    kept = _read(folder, facts, network)
    if kept is not None:
        return kept
    made = _make(network)
    try:
        _keep(made, folder, facts)
    except OSError as error:
        log.warning("not kept for the next time, %s cannot be written: %s", folder, error)
    return made


def _make(network: TrainedNetwork) -> Reference:
    source = network.training_images()
    assert network.labels is not None
    if len(source) != len(network.labels):
        raise ValueError(
            f"the run knows the clusters of {len(network.labels):,} images, and there are "
            f"{len(source):,} now; restore them, or say where they are with images=FOLDER"
        )
    log.info("looking at the %s images of %s, once", f"{len(source):,}", network.run.folder)
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
    names = [source.name(index) for index in range(len(source))]
    clusters = RunClusters.of_members(
        features, network.labels, network.num_clusters, _metric(network)
    )
    nearest = torch.cat([clusters.assign(rows).labels for rows in features.split(2**14)])
    agreement = float((nearest == network.labels).float().mean())
    log.info("%.0f %% of them are nearest to the centroid of their own cluster", 100 * agreement)
    import faiss

    index = faiss.IndexFlatIP(features.shape[1])
    index.add(features.numpy())
    return Reference(names, network.labels, clusters, agreement, index)


def _metric(network: TrainedNetwork) -> Assignment:
    """How the run itself compares features with centroids."""
    algorithm = network.run.config.algorithm
    memory = algorithm.get("samples_memory")
    if memory is not None:
        metric: Assignment = memory.get("assignment", "l2")
        return metric
    return "cosine" if "prototype_clustering" in algorithm else "l2"


def _facts(network: TrainedNetwork) -> dict[str, object]:
    """What a reference depends on."""
    assert network.labels is not None
    return {
        "network": digest_weights(network),
        "labels": hashlib.sha256(network.labels.numpy().tobytes()).hexdigest(),
        "transform": describe(network.transform),
        "metric": _metric(network),
    }


def _read(folder: Path, facts: dict[str, object], network: TrainedNetwork) -> Reference | None:
    try:
        kept = json.loads((folder / "facts.json").read_text("utf-8"))
        if {key: kept[key] for key in facts} != facts:
            return None
        with np.load(folder / "clusters.npz") as arrays:
            centroids, counts = (torch.from_numpy(arrays[key]) for key in ("centroids", "counts"))
        with (folder / "images.csv").open(
            newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            names = [row["path"] for row in csv.DictReader(file)]
        import faiss

        index = faiss.read_index(str(folder / "index.faiss"))
    except (OSError, KeyError, ValueError, RuntimeError):  # damaged is as good as not there
        return None
    assert network.labels is not None
    clusters = RunClusters(centroids, counts, _metric(network))
    return Reference(names, network.labels, clusters, kept["agreement"], index)


def _keep(made: Reference, folder: Path, facts: dict[str, object]) -> None:
    import faiss

    with whole_folder(folder, replace=True) as unfinished:
        np.savez(
            unfinished / "clusters.npz",
            centroids=made.clusters.centroids.numpy(),
            counts=made.clusters.counts.numpy(),
        )
        with (unfinished / "images.csv").open(
            "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            writer = csv.writer(file)
            writer.writerow(("path", "cluster"))
            writer.writerows(zip(made.names, made.labels.tolist(), strict=True))
        try:
            faiss.write_index(made.index, str(unfinished / "index.faiss"))
        except RuntimeError as error:  # faiss's word for a full disk
            raise OSError(str(error)) from error
        text = json.dumps({**facts, "agreement": made.agreement}, indent=2)
        (unfinished / "facts.json").write_text(f"{text}\n", encoding="utf-8")


def _distance(similarities: FloatArray) -> FloatArray:
    """L2 distances of unit vectors, from their cosines."""
    return np.sqrt(np.clip(2 - 2 * similarities, 0, None))
