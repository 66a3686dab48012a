"""The samples memory and the centroids memory (Sec. 3.1), in one object that knows no framework.

Running sums and counts make a step O(B D) beyond the product with the centroids: nothing in
`propose` and `write` grows with the number of samples.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering import (
    ASSIGNMENTS,
    Assignment,
    assign,
    balancing_offsets,
    cluster_sums,
    exact_dtype,
    scores,
    squared_distances,
)
from odc_lightning.clustering.blocks import put_rows, rows_at

Clusters = Literal["involved", "all"]

STATE = ("features", "labels", "sums", "counts", "centroids", "involved", "offsets")


class ClusterMemory:
    """Features and labels of all samples, and the centroids of all clusters.

    Attributes:
        features: (N, D), the samples memory ``F_m`` of Eq. 2; in fp32 beside all else, unless it
            was given (`odc_lightning.features.placement`).
        labels: (N,) int64, the pseudo-labels; -1 before `initialize`.
        sums: (C, D) fp64, the sum of each cluster's features.
        counts: (C,) int64, each cluster's size.
        centroids: (C, D) fp32, the centroids memory; as of the last refresh.
        involved: (C,) bool, clusters that a member joined or left since the last refresh.
        offsets: (C,) fp32, added to the scores that decide on labels; zero if nobody sets them.
    """

    def __init__(
        self,
        num_samples: int,
        num_clusters: int,
        dim: int,
        *,
        momentum: float = 0.5,
        renormalize: bool = False,
        assignment: Assignment = "l2",
        device: torch.device | str = "cpu",
        features: Tensor | None = None,
    ) -> None:
        """Allocate an empty memory.

        Args:
            num_samples: N.
            num_clusters: C.
            dim: D.
            momentum: m of Eq. 2, in (0, 1]; 1 keeps the newest feature alone.
            renormalize: bring the features back to unit length after Eq. 2, as the authors' code.
            assignment: ``"l2"`` is Eq. 3, ``"dot"`` the authors' code; see
                `odc_lightning.clustering.scores`.
            device: where all tensors are, and everything is computed.
            features: zeros (N, D), the place for the features if it is another one: in RAM for a
                GPU, in a mapped file, or in half precision. What is computed is in fp32.

        Raises:
            ValueError: if m is not in (0, 1], C < 2 or N < C.
        """
        if not 0 < momentum <= 1:
            raise ValueError(
                f"the feature momentum m must be in (0, 1], got {momentum}; the paper's is 0.5"
            )
        if assignment not in ASSIGNMENTS:
            raise ValueError(
                f"assignment must be one of {', '.join(ASSIGNMENTS)}, got {assignment!r}"
            )
        if not 2 <= num_clusters <= num_samples:
            raise ValueError(
                f"expected 2 <= clusters <= samples, got {num_clusters} clusters for "
                f"{num_samples} samples; set algorithm.num_clusters accordingly"
            )
        self.momentum = momentum
        self.renormalize = renormalize
        self.assignment = assignment
        self.features = (
            torch.zeros(num_samples, dim, device=device) if features is None else features
        )
        self.labels = torch.full((num_samples,), -1, device=device)
        # fp64: after a million additions and subtractions the sums are still right to fp32.
        # Apple's GPUs have none; there the exact recomputation of each epoch has to do.
        self.sums = torch.zeros(num_clusters, dim, dtype=exact_dtype(device), device=device)
        self.counts = torch.zeros(num_clusters, dtype=torch.int64, device=device)
        self.centroids = torch.zeros(num_clusters, dim, device=device)
        self.involved = torch.zeros(num_clusters, dtype=torch.bool, device=device)
        self.offsets = torch.zeros(num_clusters, device=device)

    @property
    def num_samples(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def num_clusters(self) -> int:
        """C."""
        return len(self.counts)

    def initialize(self, labels: Tensor) -> None:
        """Start from a global clustering of the features that are in the memory.

        Args:
            labels: (N,) int64, every cluster with at least one member.

        Raises:
            ValueError: if a label is out of range or a cluster is empty.
        """
        if not bool(((labels >= 0) & (labels < self.num_clusters)).all()):
            raise ValueError(
                f"labels must be in 0 .. {self.num_clusters - 1}, got "
                f"{int(labels.min())} .. {int(labels.max())}"
            )
        counts = torch.bincount(labels, minlength=self.num_clusters)
        if bool((counts == 0).any()):
            raise ValueError(
                f"{int((counts == 0).sum())} of {self.num_clusters} clusters are empty; repair "
                "them first (plan_relabelling with threshold 0)"
            )
        self.labels.copy_(labels)
        self._recompute_sums()
        self.centroids.copy_(self.refreshed_centroids("all"))
        self.involved.zero_()

    def propose(self, indices: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 2 and Eq. 3 for some samples, without writing anything.

        Args:
            indices: (B,) int64.
            features: (B V, D), the network's own, of any length and precision: a row for each view
                of a sample, its V views one after the other.

        Returns:
            (B, D) fp32 new features and (B,) int64 new labels, for `write`.
        """
        updated = self._updated(indices, mean_views(features, len(indices)))
        return updated, assign(updated, self.centroids, self.assignment, self.offsets)

    def soft_targets(self, indices: Tensor, features: Tensor, temperature: float) -> Tensor:
        """Eq. 2 and a soft Eq. 3, for each view of some samples. Nothing is written.

        Args:
            indices: (B,) int64.
            features: (B V, D) as for `propose`.
            temperature: T of ``softmax((scores + offsets) / T)``; towards 0 it is Eq. 3.

        Returns:
            (B V, C) fp32, a distribution over the clusters for each row of ``features``; the same
            for all views of a sample.
        """
        updated = self._updated(indices, mean_views(features, len(indices)))
        similarity = scores(updated, self.centroids, self.assignment, self.offsets)
        targets = torch.softmax(similarity / temperature, dim=1)
        return targets.repeat_interleave(len(features) // len(indices), dim=0)

    def write(self, indices: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        """Put new features and labels of some samples into the memory.

        A sample that occurs twice is written once, as it occurs last.

        Args:
            indices: (B,) int64.
            features: (B, D) fp32.
            labels: (B,) int64.

        Returns:
            0-dim fp32: the label-switch ratio, the share of these samples whose label changed
            (Fig. 5).
        """
        last = last_occurrences(indices)
        once = last == torch.arange(len(indices), device=indices.device)
        features, labels = features[last].to(self.features.dtype), labels[last]
        old_features, old_labels = rows_at(self.features, indices), self.labels[indices]
        # Another occurrence of a sample is added as zeros: to leave it out, a host would have to
        # know how many there are, and a GPU to wait until it does.
        counted = once.to(self.sums.dtype).unsqueeze(1)
        self.sums.index_add_(0, old_labels, old_features * counted, alpha=-1)
        self.sums.index_add_(0, labels, features * counted)
        put_rows(self.features, indices, features)
        switched = self._move(indices, old_labels, labels, once)
        return switched.sum() / once.sum()

    def relabel(self, indices: Tensor, labels: Tensor) -> None:
        """Move samples to other clusters; their features stay.

        Args:
            indices: (M,) int64, each sample once.
            labels: (M,) int64.
        """
        features = rows_at(self.features, indices).to(self.sums.dtype)
        old_labels = self.labels[indices]
        self.sums.index_add_(0, old_labels, features, alpha=-1)
        self.sums.index_add_(0, labels, features)
        self._move(indices, old_labels, labels, torch.ones_like(labels, dtype=torch.bool))

    def refreshed_centroids(self, clusters: Clusters | Tensor = "involved") -> Tensor:
        """What the centroids memory (C, D) is after a refresh; `set_centroids` takes it over.

        Args:
            clusters: ``"involved"``, those with members that joined or left since the last refresh
                (the paper, Sec. 3.1); ``"all"``, as the authors' code; or (S,) int64 their numbers.

        Returns:
            (C, D) fp32: the mean of all members for these clusters, the old centroid for the
            others and for empty clusters.
        """
        if isinstance(clusters, Tensor):
            chosen = torch.zeros_like(self.involved)
            chosen[clusters] = True
        else:
            chosen = self.involved if clusters == "involved" else torch.ones_like(self.involved)
        means = (self.sums / self.counts.clamp(min=1).unsqueeze(1)).float()
        return torch.where((chosen & (self.counts > 0)).unsqueeze(1), means, self.centroids)

    def set_centroids(self, centroids: Tensor) -> Tensor:
        """Replace the centroids (C, D). Clusters whose members changed before stay ``involved``.

        Returns:
            0-dim fp32: the mean L2 distance by which the centroids of clusters with members move.
        """
        filled = self.counts > 0
        moved = (centroids - self.centroids).norm(dim=1) * filled
        self.centroids.copy_(centroids)
        return moved.sum() / filled.sum()

    def recompute(self) -> float:
        """Recompute sums exactly, O(N D).

        Returns:
            The largest absolute difference, in any coordinate, of the running means to the exact
            ones: rounding alone.
        """
        running = self.sums / self.counts.clamp(min=1).unsqueeze(1)
        self._recompute_sums()
        exact = self.sums / self.counts.clamp(min=1).unsqueeze(1)
        return float((running - exact)[self.counts > 0].abs().max())

    def balanced_offsets(self, temperature: float, iterations: int, rows: Tensor) -> Tensor:
        """Offsets (C,) for clusters of equal size, see `clustering.balancing_offsets`.

        Args:
            temperature: T.
            iterations: of Sinkhorn and Knopp.
            rows: (S,) int64, the samples to look at.
        """
        similarity = scores(rows_at(self.features, rows), self.centroids, self.assignment)
        return balancing_offsets(similarity, temperature, iterations)

    def distances(self) -> Tensor:
        """L2 distance (N,) of each sample to the centroid of its cluster."""
        return squared_distances(self.features, self.centroids, self.labels).sqrt()

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors; nothing else is needed to continue."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over the tensors of another memory of the same shape.

        Raises:
            ValueError: if a tensor is missing or has another shape; nothing is taken over then.
        """
        for name in STATE:
            expected, given = tuple(getattr(self, name).shape), state.get(name)
            if given is None or tuple(given.shape) != expected:
                raise ValueError(
                    f"the checkpoint's clustering does not fit: {name!r} is "
                    f"{'missing' if given is None else tuple(given.shape)}, expected {expected} "
                    "(samples, clusters or width differ); resume with the data set, "
                    "algorithm.num_clusters and neck of that run"
                )
        for name in STATE:
            getattr(self, name).copy_(state[name])

    def _move(self, indices: Tensor, old: Tensor, new: Tensor, once: Tensor) -> Tensor:
        """Labels, counts and involvement; returns (B,) bool, who switched.

        Args:
            indices, old, new: (B,) int64, samples and their labels.
            once: (B,) bool, True at one occurrence of each sample.
        """
        switched = (old != new) & once
        one = once.long()
        self.counts.index_add_(0, old, one, alpha=-1)
        self.counts.index_add_(0, new, one)
        # index_fill_ with the clusters of switched samples alone would need a host sync on a GPU.
        joined_or_left = torch.zeros_like(self.counts)
        joined_or_left.index_add_(0, old, switched.long())
        joined_or_left.index_add_(0, new, switched.long())
        self.involved |= joined_or_left > 0
        self.labels[indices] = new
        return switched

    def _updated(self, indices: Tensor, new: Tensor) -> Tensor:
        """Eq. 2: what the memory's rows (B,) become by new features (B, D) of unit length."""
        updated = torch.lerp(rows_at(self.features, indices), new, self.momentum)
        return normalize(updated, dim=1) if self.renormalize else updated

    def _recompute_sums(self) -> None:
        self.counts.copy_(torch.bincount(self.labels, minlength=self.num_clusters))
        self.sums.copy_(cluster_sums(self.features, self.labels, self.num_clusters))


def mean_views(features: Tensor, num_samples: int) -> Tensor:
    """The mean direction (B, D) fp32, of unit length, of each sample's views.

    Args:
        features: (B V, D) of any length and precision, a sample's V views one after the other.
        num_samples: B.
    """
    unit = normalize(features.float(), dim=1)
    if len(unit) == num_samples:
        return unit
    return normalize(unit.view(num_samples, -1, unit.shape[1]).mean(dim=1), dim=1)


def last_occurrences(indices: Tensor) -> Tensor:
    """Where each entry's value occurs last: (B,) positions in ``indices`` (B,), of equal shape.

    Sorting needs no host to know how many distinct values there are, as `torch.unique` does.
    """
    indices = indices.contiguous()  # a column of what the ranks have sent is not
    ordered, order = indices.sort(stable=True)
    return order[torch.searchsorted(ordered, indices, right=True) - 1]
