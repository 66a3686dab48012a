"""The two versions of the memory's step that `benchmarks.memory` compares."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.terms import REFRESH_EVERY
from odc_lightning.clustering import assign, loss_weights, plan_relabelling, two_means
from odc_lightning.memory import ClusterMemory

MOMENTUM = 0.5
THRESHOLD = 20
SEED = 0
BLOCK = 2**16  # samples created at once


class Batch(NamedTuple):
    """Distinct ``indices`` (B,) int64 and their ``features`` (B, D) from the network."""

    indices: Tensor
    features: Tensor


class Version(ABC):
    """The parts of an iteration, each on ``batch``.

    Attributes:
        batches: batches of the next k iterations.
        batch: the current batch.
        features: (N, D) fp32.
        labels: (N,) int64.
        centroids: (C, D) fp32.
    """

    def __init__(self, features: Tensor, labels: Tensor, centroids: Tensor, batch: int) -> None:
        self.features, self.labels, self.centroids = features, labels, centroids
        self.batch_size = batch
        self.draw(0)

    def draw(self, seed: int) -> None:
        """Draw the batches; they are the same in all versions with the same N."""
        generator = torch.Generator().manual_seed(seed)
        num_samples, dim = self.features.shape
        size, device = REFRESH_EVERY * self.batch_size, self.labels.device
        # Unlike torch's permutations, its time does not grow with N.
        chosen = np.random.default_rng(seed).choice(num_samples, size, replace=False)
        indices = torch.from_numpy(chosen).to(device)
        features = torch.randn(size, dim, generator=generator).to(device)
        self.batches = [
            Batch(*pair)
            for pair in zip(
                indices.split(self.batch_size), features.split(self.batch_size), strict=True
            )
        ]
        self.batch = self.batches[0]

    @abstractmethod
    def sizes(self) -> Tensor:
        """Cluster sizes (C,) int64."""

    @abstractmethod
    def update(self) -> None:
        """Eq. 2 and Eq. 3 for the batch."""

    @abstractmethod
    def refresh(self) -> Tensor:
        """Set the centroids (C, D) to the means of their members."""

    @abstractmethod
    def deal_with_small(self) -> Tensor:
        """Relabel until no cluster is small; returns the labels (N,)."""

    @abstractmethod
    def set_labels(self, labels: Tensor) -> None:
        """Replace the labels (N,)."""

    def update_and_count(self) -> Tensor:
        """Do `update`, and return the sizes (C,) after it."""
        self.update()
        return self.sizes()

    def weights(self) -> Tensor:
        """Loss weights (B,)."""
        return loss_weights(self.sizes()[self.labels[self.batch.indices]])

    def any_small(self) -> bool:
        """Whether some cluster is small."""
        return bool((self.sizes() <= THRESHOLD).any())

    def product(self) -> Tensor:
        """Only the similarities (B, C), which no version can avoid."""
        return self.batch.features @ self.centroids.T

    def gather_and_write(self) -> None:
        """Gather B rows of the memory and write them back unchanged."""
        indices = self.batch.indices
        self.features[indices] = self.features[indices]

    def product_and_rows(self) -> None:
        """The work that no step can avoid."""
        self.product()
        self.gather_and_write()

    def iterate(self) -> Tensor:
        """Do k whole iterations, with one refresh."""
        for batch in self.batches:
            self.batch = batch
            self.weights()
            self.update()
            self.any_small()
        return self.refresh()

    def each_batch(self, part: "Callable[[Version], Any]") -> Any:
        """Do one part for each of the k batches; returns the last result."""
        for batch in self.batches:
            self.batch = batch
            result = part(self)
        return result

    def state(self) -> list[Tensor]:
        """The state that two versions must agree on."""
        indices = torch.cat([batch.indices for batch in self.batches])
        return [self.labels, self.sizes(), self.centroids, self.features[indices]]


class Ours(Version):
    """The calls of the callbacks, on a `ClusterMemory`."""

    def __init__(self, memory: ClusterMemory, batch: int) -> None:
        self.memory = memory
        super().__init__(memory.features, memory.labels, memory.centroids, batch)

    def sizes(self) -> Tensor:
        return self.memory.counts

    def update(self) -> None:
        self.memory.write(self.batch.indices, *self.memory.propose(*self.batch))

    def refresh(self) -> Tensor:
        self.memory.set_centroids(self.memory.refreshed_centroids("all"))
        return self.centroids

    def deal_with_small(self) -> Tensor:
        plan = plan_relabelling(
            self.features,
            self.labels,
            self.sizes(),
            self.centroids,
            threshold=THRESHOLD,
            rng=np.random.default_rng(SEED),
        )
        device = self.labels.device
        self.memory.relabel(plan.indices.to(device), plan.labels.to(device))
        return self.labels

    def set_labels(self, labels: Tensor) -> None:
        moved = (self.labels != labels).nonzero().flatten()
        self.memory.relabel(moved, labels[moved])


class Obvious(Version):
    """Features, labels and centroids only; everything else is recomputed when needed."""

    @staticmethod
    def beside(ours: Ours) -> "Obvious":
        """A version that shares our features, since two copies may not fit in memory."""
        return Obvious(ours.features, ours.labels.clone(), ours.centroids.clone(), ours.batch_size)

    def sizes(self) -> Tensor:
        return torch.bincount(self.labels, minlength=len(self.centroids))

    def update(self) -> None:
        indices, features = self.batch
        updated = torch.lerp(self.features[indices], normalize(features, dim=1), MOMENTUM)
        self.features[indices] = updated
        self.labels[indices] = assign(updated, self.centroids)

    def refresh(self) -> Tensor:
        sizes = self.sizes().unsqueeze(1)
        sums = torch.zeros_like(self.centroids).index_add_(0, self.labels, self.features)
        self.centroids = torch.where(sizes > 0, sums / sizes, self.centroids)
        return self.centroids

    def refresh_by_sorting(self) -> Tensor:
        """Like `refresh`: sort the samples by cluster, then compute one mean after another."""
        sizes = self.sizes()
        members = self.labels.argsort().split(sizes.tolist())
        means = torch.stack([self.features[own].mean(dim=0) for own in members])
        self.centroids = torch.where(sizes.unsqueeze(1) > 0, means, self.centroids)
        return self.centroids

    def deal_with_small(self) -> Tensor:
        """Pass over all labels for every cluster that is emptied, searched, split or filled."""
        rng = np.random.default_rng(SEED)  # used in the same order as in our version
        while self.any_small():
            is_small = self.sizes() <= THRESHOLD
            small, normal = is_small.nonzero().flatten(), (~is_small).nonzero().flatten()
            for slot in small:
                members = (self.labels == slot).nonzero().flatten()
                nearest = assign(self.features[members], self.centroids[normal])
                self.labels[members] = normal[nearest]
            for slot in small:
                largest = int(self.sizes().cpu().numpy().argmax())  # the lowest number, if several
                members = (self.labels == largest).nonzero().flatten()
                half = two_means(self.features[members].cpu(), rng).to(members.device)
                self.labels[members[~half if rng.integers(2) == 0 else half]] = slot
        return self.labels

    def set_labels(self, labels: Tensor) -> None:
        self.labels.copy_(labels)

    def take(self, ours: Ours) -> None:
        """Copy the state of our version."""
        self.labels.copy_(ours.labels)
        self.centroids = ours.centroids.clone()


def new_memory(num_samples: int, num_clusters: int, dim: int, device: str = "cpu") -> ClusterMemory:
    """Clusters of equal size around random directions."""
    generator = torch.Generator(device).manual_seed(SEED)
    memory = ClusterMemory(num_samples, num_clusters, dim, momentum=MOMENTUM, device=device)
    labels = torch.randperm(num_samples, generator=generator, device=device) % num_clusters
    directions = torch.randn(num_clusters, dim, generator=generator, device=device)
    for rows, names in zip(memory.features.split(BLOCK), labels.split(BLOCK), strict=True):
        noise = torch.randn(rows.shape, generator=generator, device=device)
        rows.copy_(normalize(directions[names] + noise, dim=1))
    memory.initialize(labels)
    return memory
