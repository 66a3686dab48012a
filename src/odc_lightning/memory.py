"""The samples memory and the centroids memory (Sec. 3.1) as one class, in plain PyTorch.

Running sums and counts keep a step at O(B D), apart from the product with the centroids: the cost
of `propose` and `write` does not grow with the number of samples.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering import (
    ASSIGNMENTS,
    Assignment,
    Constraints,
    assign,
    balancing_offsets,
    choices_of,
    cluster_sums,
    means_of_sums,
    scores,
    squared_distances,
    to_fixed_point,
    unit_labels,
)
from odc_lightning.clustering.blocks import put_rows, rows_at
from odc_lightning.utils.fetched import Fetched

Clusters = Literal["involved", "all"]

STATE = ("features", "labels", "sums", "counts", "centroids", "involved", "offsets")


class ClusterMemory:
    """Features and labels of all samples, and the centroids of all clusters.

    Attributes:
        features: (N, D), the samples memory ``F_m`` of Eq. 2; fp32 and on the device of the other
            tensors, unless it was passed in (see `odc_lightning.features.placement`).
        features_elsewhere: whether the features are in RAM or on disk and all else on a GPU.
        labels: (N,) int64, the pseudo-labels; -1 before `initialize`.
        sums: (C, D) int64, the sum of each cluster's features in fixed point, see
            `odc_lightning.clustering.cluster_sums`; it has no rounding error of its own.
        counts: (C,) int64, the size of each cluster.
        centroids: (C, D) fp32, the centroids memory, as of the last refresh.
        involved: (C,) bool, True for clusters that a member joined or left since the last refresh.
        offsets: (C,) fp32, added to each cluster's score before labels are assigned; zero by
            default.
        constraints: limits on the clusters of some images, which all labels keep; None by default.
            They are no part of the state.
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
            momentum: m of Eq. 2, in (0, 1]; 1 keeps only the newest feature.
            renormalize: scale the features back to unit length after Eq. 2, as in the authors'
                code.
            assignment: ``"l2"`` is Eq. 3, ``"dot"`` is the authors' code; see
                `odc_lightning.clustering.scores`.
            device: device of all tensors and all computations.
            features: zeros (N, D), storage for the features: in RAM for a GPU, in a mapped file,
                or in half precision. Computations are in fp32 regardless. None allocates fp32
                zeros on ``device``.

        Raises:
            ValueError: if m is not in (0, 1], the assignment is unknown, C < 2 or N < C.
        """
        if not 0 < momentum <= 1:
            raise ValueError(
                f"the feature momentum m must be in (0, 1], got {momentum}; the paper uses 0.5"
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
        self._features = (
            torch.zeros(num_samples, dim, device=device) if features is None else features
        )
        self._unwritten: tuple[Fetched, Fetched] | None = None  # indices and rows for the features
        self._fetched: tuple[Tensor, int, Tensor] | None = None
        self.labels = torch.full((num_samples,), -1, device=device)
        self.features_elsewhere = self._features.device != self.labels.device
        self.sums = torch.zeros(num_clusters, dim, dtype=torch.int64, device=device)
        self.counts = torch.zeros(num_clusters, dtype=torch.int64, device=device)
        self.centroids = torch.zeros(num_clusters, dim, device=device)
        self.involved = torch.zeros(num_clusters, dtype=torch.bool, device=device)
        self.offsets = torch.zeros(num_clusters, device=device)
        self.constraints: Constraints | None = None

    @property
    def features(self) -> Tensor:
        """The features (N, D), with all that was written to them."""
        if self._unwritten is not None:
            indices, rows = self._unwritten
            self._unwritten = None
            put_rows(self._features, indices.tensor(), rows.tensor())
        return self._features

    @property
    def num_samples(self) -> int:
        """Number of samples N."""
        return len(self.labels)

    @property
    def num_clusters(self) -> int:
        """Number of clusters C."""
        return len(self.counts)

    def initialize(self, labels: Tensor) -> None:
        """Start from a global clustering of the features in the memory.

        Args:
            labels: (N,) int64, with at least one member in every cluster.

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
        self.offsets.zero_()

    def prefetch(self, indices: Tensor, on_host: Tensor) -> None:
        """Send features that are in RAM or on disk to the device, which may be busy meanwhile.

        Without it, `propose` has to wait for the device to learn which features to fetch.

        Args:
            indices: (B,) int64, those that `propose` will be called with.
            on_host: the same numbers in RAM.
        """
        if self.features_elsewhere:
            rows = self.features[on_host]
            rows = rows.pin_memory() if indices.is_cuda else rows
            sent = rows.to(indices.device, non_blocking=indices.is_cuda).float()
            self._fetched = indices, self._features._version, sent

    def rows(self, indices: Tensor) -> Tensor:
        """The features (B, D) fp32 of a batch, fetched once for all that a step does with them.

        Those fetched last serve again for the same tensor of indices, as long as nothing has been
        written to the features.
        """
        fetched = self._fetched
        version = self._features._version
        if fetched is None or fetched[0] is not indices or fetched[1] != version:
            rows = rows_at(self.features, indices)
            fetched = self._fetched = indices, self._features._version, rows
        return fetched[2]

    def propose(self, indices: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compute Eq. 2 and Eq. 3 for some samples; the memory does not change.

        Under constraints Eq. 3 has the clusters that they allow. Images in units keep their labels;
        `unit_labels` gives them new ones.

        Args:
            indices: (B,) int64.
            features: (B V, D), features of the network, of any norm and precision: one row per
                view, the V views of a sample in consecutive rows.

        Returns:
            New features (B, D) fp32 and new labels (B,) int64, to be passed to `write`.
        """
        updated = self._updated(indices, mean_views(features, len(indices)))
        labels = assign(updated, self.centroids, self.assignment, self.offsets)
        if self.constraints is not None:
            similarity = scores(updated, self.centroids, self.assignment, self.offsets)
            choices = choices_of(self.constraints, indices, self.labels[indices])
            allowed = similarity.masked_fill(~choices, -torch.inf).argmax(dim=1)
            labels = torch.where(choices.all(dim=1), labels, allowed)
        return updated, labels

    def soft_targets(self, indices: Tensor, features: Tensor, temperature: float) -> Tensor:
        """Compute Eq. 2 and a soft version of Eq. 3; the memory does not change.

        Args:
            indices: (B,) int64.
            features: (B V, D), as for `propose`.
            temperature: T of ``softmax((scores + offsets) / T)``; the limit T -> 0 is Eq. 3.
                Clusters that the constraints do not allow have no share.

        Returns:
            (B V, C) fp32, a distribution over the clusters for each row of ``features``, the same
            for all views of a sample.
        """
        updated = self._updated(indices, mean_views(features, len(indices)))
        similarity = scores(updated, self.centroids, self.assignment, self.offsets)
        if self.constraints is not None:
            choices = choices_of(self.constraints, indices, self.labels[indices])
            similarity = similarity.masked_fill(~choices, -torch.inf)
        targets = torch.softmax(similarity / temperature, dim=1)
        return targets.repeat_interleave(len(features) // len(indices), dim=0)

    def write(
        self, indices: Tensor, features: Tensor, labels: Tensor, old: Tensor | None = None
    ) -> Tensor:
        """Write new features and labels of some samples to the memory.

        If a sample occurs more than once, its last occurrence is written.

        Args:
            indices: (B,) int64.
            features: (B, D) fp32.
            labels: (B,) int64.
            old: (B, D) fp32, what `rows` returns for these indices; None fetches it.

        Returns:
            The label-switch ratio, 0-dim fp32: the share of these samples whose label changed
            (Fig. 5).
        """
        last = last_occurrences(indices)
        once = last == torch.arange(len(indices), device=indices.device)
        features, labels = features[last].to(self.features.dtype), labels[last]
        old_features = self.rows(indices) if old is None else old
        old_labels = self.labels[indices]
        # Earlier occurrences of a sample are added as zeros. Dropping them would need their number
        # on the host, which would have to wait for the GPU.
        counted = once.unsqueeze(1)
        self.sums.index_add_(0, old_labels, to_fixed_point(old_features * counted), alpha=-1)
        self.sums.index_add_(0, labels, to_fixed_point(features * counted))
        if self.features_elsewhere:
            self._unwritten = Fetched(indices), Fetched(features)
        else:
            put_rows(self.features, indices, features)
        self._fetched = None
        switched = self._move(indices, old_labels, labels, once)
        return switched.sum() / once.sum()

    def relabel(self, indices: Tensor, labels: Tensor) -> None:
        """Move samples to other clusters; their features stay the same.

        Args:
            indices: (M,) int64, without repetitions.
            labels: (M,) int64, the new clusters.
        """
        features = to_fixed_point(rows_at(self.features, indices))
        old_labels = self.labels[indices]
        self.sums.index_add_(0, old_labels, features, alpha=-1)
        self.sums.index_add_(0, labels, features)
        self._move(indices, old_labels, labels, torch.ones_like(labels, dtype=torch.bool))

    def unit_labels(self) -> tuple[Tensor, Tensor]:
        """New labels of the images in units, see `clustering.unit_labels`; to pass to `relabel`.

        Returns:
            Samples (M,) int64, ascending, and their labels (M,) int64; M is 0 without constraints.
        """
        if self.constraints is None:
            return self.labels[:0], self.labels[:0]
        paired = self.constraints.paired
        if len(paired) == 0:
            return paired, paired
        features = rows_at(self.features, paired)
        return paired, unit_labels(
            self.constraints, features, self.centroids, self.assignment, self.offsets
        )

    def refreshed_centroids(self, clusters: Clusters | Tensor = "involved") -> Tensor:
        """Compute refreshed centroids; `set_centroids` writes them.

        Args:
            clusters: the clusters to refresh. ``"involved"``: those that a member joined or left
                since the last refresh (the paper, Sec. 3.1); ``"all"``: every cluster (the
                authors' code); or (S,) int64 cluster numbers.

        Returns:
            (C, D) fp32: the mean of all members for the clusters to refresh, the old centroid for
            the other clusters and for empty ones.
        """
        if isinstance(clusters, Tensor):
            chosen = torch.zeros_like(self.involved)
            chosen[clusters] = True
        else:
            chosen = self.involved if clusters == "involved" else torch.ones_like(self.involved)
        means = means_of_sums(self.sums, self.counts)
        return torch.where((chosen & (self.counts > 0)).unsqueeze(1), means, self.centroids)

    def set_centroids(self, centroids: Tensor) -> Tensor:
        """Replace the centroids (C, D); ``involved`` does not change.

        Returns:
            The drift, 0-dim fp32: the mean L2 distance by which the centroids of non-empty
            clusters move.
        """
        filled = self.counts > 0
        moved = (centroids - self.centroids).norm(dim=1) * filled
        self.centroids.copy_(centroids)
        return moved.sum() / filled.sum()

    def balanced_offsets(self, temperature: float, iterations: int, rows: Tensor) -> Tensor:
        """Compute the offsets that make clusters equally large, see `clustering.balancing_offsets`.

        Args:
            temperature: T.
            iterations: number of Sinkhorn-Knopp iterations.
            rows: (S,) int64, the samples from which offsets are estimated.

        Returns:
            Offsets (C,) fp32.
        """
        similarity = scores(rows_at(self.features, rows), self.centroids, self.assignment)
        return balancing_offsets(similarity, temperature, iterations)

    def distances(self) -> Tensor:
        """Compute the L2 distance (N,) from each sample to the centroid of its cluster."""
        return squared_distances(self.features, self.centroids, self.labels).sqrt()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all tensors of the memory, which is all that a resumed run needs."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Copy the tensors of another memory of the same shape.

        Sums of an earlier version, which are floats, are computed anew.

        Raises:
            ValueError: if a tensor is missing or has another shape; then nothing is copied.
        """
        for name in STATE:
            expected, given = tuple(getattr(self, name).shape), state.get(name)
            if given is None or tuple(given.shape) != expected:
                raise ValueError(
                    f"the checkpoint's clustering does not match this run: {name!r} is "
                    f"{'missing' if given is None else tuple(given.shape)}, expected {expected} "
                    "(samples, clusters or width differ); resume with the data set, "
                    "algorithm.num_clusters and neck of that run"
                )
        for name in STATE:
            getattr(self, name).copy_(state[name])
        if state["sums"].is_floating_point():
            self._recompute_sums()

    def _move(self, indices: Tensor, old: Tensor, new: Tensor, once: Tensor) -> Tensor:
        """Update ``labels``, ``counts`` and ``involved``.

        Args:
            indices, old, new: (B,) int64, samples and their old and new labels.
            once: (B,) bool, True at exactly one occurrence of each sample.

        Returns:
            (B,) bool, True where ``once`` is True and the label changed.
        """
        switched = (old != new) & once
        one = once.long()
        self.counts.index_add_(0, old, one, alpha=-1)
        self.counts.index_add_(0, new, one)
        # index_fill_ with only the clusters of switched samples would need a host sync on a GPU.
        joined_or_left = torch.zeros_like(self.counts)
        joined_or_left.index_add_(0, old, switched.long())
        joined_or_left.index_add_(0, new, switched.long())
        self.involved |= joined_or_left > 0
        self.labels[indices] = new
        return switched

    def _updated(self, indices: Tensor, new: Tensor) -> Tensor:
        """Apply Eq. 2 to rows (B,) of the memory, with new features (B, D) of unit length."""
        updated = torch.lerp(self.rows(indices), new, self.momentum)
        return normalize(updated, dim=1) if self.renormalize else updated

    def _recompute_sums(self) -> None:
        self.counts.copy_(torch.bincount(self.labels, minlength=self.num_clusters))
        self.sums.copy_(cluster_sums(self.features, self.labels, self.num_clusters))


def mean_views(features: Tensor, num_samples: int) -> Tensor:
    """Average the views of each sample, as unit vectors.

    Args:
        features: (B V, D) of any norm and precision, the V views of a sample in consecutive rows.
        num_samples: B.

    Returns:
        The mean directions (B, D) fp32, of unit length.
    """
    unit = normalize(features.float(), dim=1)
    if len(unit) == num_samples:
        return unit
    return normalize(unit.view(num_samples, -1, unit.shape[1]).mean(dim=1), dim=1)


def last_occurrences(indices: Tensor) -> Tensor:
    """Find the position at which the value of each entry occurs last.

    Sorting, unlike `torch.unique`, does not make the host wait for the number of distinct values.

    Args:
        indices: (B,) int64.

    Returns:
        (B,) int64, positions in ``indices``.
    """
    indices = indices.contiguous()  # a column of a tensor gathered from all ranks is not
    ordered, order = indices.sort(stable=True)
    return order[torch.searchsorted(ordered, indices, right=True) - 1]
