"""Dealing with small clusters (Sec. 3.2): disperse them, then split the largest ones.

The paper: for each small cluster c, "first assign samples in c to the nearest centroids in C_n to
make c empty. Next, split the largest cluster into two sub-clusters by K-Means and randomly choose
one of the sub-clusters as the new c. Repeat until all clusters belong to C_n."
"""

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from odc_lightning.clustering.assign import Assignment, assign
from odc_lightning.clustering.blocks import rows_at
from odc_lightning.clustering.constraints import Constraints
from odc_lightning.clustering.two_means import two_means
from odc_lightning.utils.text import quantity

MovedHalf = Literal["random", "first"]

# Rounds of dispersing and splitting; then clusters are topped up instead, so that it always ends.
MAX_ROUNDS = 10
# The paper's ratio: ImageNet's 1.28 million images in 10,000 clusters.
IMAGES_PER_CLUSTER = 128


@dataclass(frozen=True)
class Relabelling:
    """The changes after which no cluster is small; all tensors are on the CPU.

    Attributes:
        indices: (M,) int64, the samples that move.
        labels: (M,) int64, the new cluster of each of them.
        clusters: (S,) int64, the clusters that were split or refilled, whose centroids must be
            recomputed at once.
        num_splits: number of splits of a largest cluster.
    """

    indices: Tensor
    labels: Tensor
    clusters: Tensor
    num_splits: int


def check_num_clusters(num_samples: int, num_clusters: int, threshold: int | None) -> None:
    """Check that N images can fill C clusters that are all larger than the threshold.

    Args:
        num_samples: N.
        num_clusters: C.
        threshold: None if the algorithm does not remove small clusters.

    Raises:
        ValueError: if C < 2, N < C or N < C * (threshold + 1); the message suggests a C that fits.
    """
    most = num_samples // ((threshold or 0) + 1)  # clusters that are just not small
    if 2 <= num_clusters <= most:
        return
    problem = f"algorithm.num_clusters={num_clusters} with {quantity(num_samples, 'image')}"
    lower = ""
    if threshold is None:
        problem += ": expected at least 2 clusters, and an image for each"
    else:
        problem += (
            f" and algorithm.small_clusters.threshold={threshold}: expected at least 2 "
            f"clusters with more than {quantity(threshold, 'image')} each"
        )
        lower = " or lower algorithm.small_clusters.threshold" if threshold > 0 else ""
    if most < 2:
        raise ValueError(f"{problem}. Add images{lower}.")
    suggested = min(most, max(2, num_samples // IMAGES_PER_CLUSTER))
    more = f", or up to {most} if that is near ten times the number of classes you expect"
    raise ValueError(
        f"{problem}, so at most {most}. Try algorithm.num_clusters={suggested} (the paper has "
        f"about {IMAGES_PER_CLUSTER} images per cluster){more if suggested < most else ''}."
    )


def plan_relabelling(
    features: Tensor,
    labels: Tensor,
    counts: Tensor,
    centroids: Tensor,
    *,
    threshold: int,
    rng: np.random.Generator,
    repeat: bool = True,
    moved_half: MovedHalf = "random",
    metric: Assignment = "l2",
    constraints: Constraints | None = None,
) -> Relabelling:
    """Plan, without changing the arguments, how every cluster becomes normal (Sec. 3.2).

    A round takes two passes over the labels, however many clusters are small. Topping up is rare
    and takes one pass per cluster that gives samples.

    Args:
        features: (N, D) samples memory, of any precision, on any device; the members of the
            clusters concerned are copied to the labels' device.
        labels: (N,) int64.
        counts: (C,) int64, cluster sizes.
        centroids: (C, D).
        threshold: clusters of at most this size are small (20 in the paper); 0 repairs only empty
            clusters.
        rng: draws the starts of 2-means and the half that moves.
        repeat: repeat until every cluster is normal, as in the paper; False is one round, as in
            the authors' code.
        moved_half: ``"random"`` as in the paper; ``"first"``, always the first half, as in the
            authors' code.
        metric: metric for the nearest normal centroid.
        constraints: samples that something is known about stay where they are, and a cluster of a
            name is never small. The other members of a name's cluster are split off if there are
            many of them, as from any cluster.

    Returns:
        The relabelling. With ``repeat`` every cluster is larger than ``threshold`` afterwards, but
        for those of names.

    Raises:
        ValueError: if N < C (threshold + 1), so that not all clusters can be normal.
    """
    num_samples, num_clusters = len(labels), len(counts)
    sizes = counts.cpu().numpy().copy()
    if constraints is None:
        check_num_clusters(num_samples, num_clusters, threshold)
        stays = torch.zeros_like(labels, dtype=torch.bool)
        fixed, needed = np.zeros_like(sizes), np.full_like(sizes, threshold + 1)
    else:  # `make_constraints` has checked their numbers
        stays = constraints.fixed
        fixed = torch.bincount(labels[stays], minlength=num_clusters).cpu().numpy()
        needed = np.where(constraints.owned.cpu().numpy(), 0, threshold + 1)
    after = labels.clone()
    changed: set[int] = set()
    num_splits = 0
    for _ in range(MAX_ROUNDS if repeat else 1):
        small = np.flatnonzero(sizes < needed)
        if len(small) == 0:
            break
        _disperse(features, after, sizes, fixed, stays, centroids, small, metric)
        if repeat and (sizes - fixed).max() < 2 * (threshold + 1):
            break  # no half of any cluster would be normal
        split = _split_largest(features, after, sizes, fixed, stays, small, rng, moved_half)
        # The next round needs the new centroids of these clusters.
        centroids = centroids.clone()
        for cluster, members in split.items():
            centroids[cluster] = rows_at(features, members).mean(dim=0)
        changed.update(split)
        num_splits += len(small)
    if repeat:
        changed.update(_top_up(features, after, sizes, fixed, stays, needed))
    moved = (after != labels).nonzero().flatten()
    clusters = torch.tensor(sorted(changed), dtype=torch.int64)
    return Relabelling(moved.cpu(), after[moved].cpu(), clusters, num_splits)


def _disperse(
    features: Tensor,
    labels: Tensor,
    sizes: np.ndarray,
    fixed: np.ndarray,
    stays: Tensor,
    centroids: Tensor,
    small: np.ndarray,
    metric: Assignment,
) -> None:
    """Move the members of all small clusters to their nearest normal centroids, in place.

    Args:
        fixed: (C,) number of members that stay.
        stays: (N,) bool, which these are.
    """
    is_small = torch.zeros(len(sizes), dtype=torch.bool, device=labels.device)
    is_small[torch.from_numpy(small).to(labels.device)] = True
    members = (is_small[labels] & ~stays).nonzero().flatten()
    if len(members) > 0:
        normal = (~is_small).nonzero().flatten()
        labels[members] = normal[assign(rows_at(features, members), centroids[normal], metric)]
        sizes += np.bincount(labels[members].cpu().numpy(), minlength=len(sizes))
    sizes[small] = fixed[small]


def _split_largest(
    features: Tensor,
    labels: Tensor,
    sizes: np.ndarray,
    fixed: np.ndarray,
    stays: Tensor,
    slots: np.ndarray,
    rng: np.random.Generator,
    moved_half: MovedHalf,
) -> dict[int, Tensor]:
    """Fill each empty slot, in ascending order, with one half of the currently largest cluster.

    Members that stay (``fixed``, ``stays``: see `_disperse`) neither count nor move.

    Returns:
        The clusters that changed, with the indices of their members.
    """
    # Only the len(slots) largest clusters, and their halves, can ever be the largest: their
    # members are gathered in one pass. Ties go to the lower number.
    movable = sizes - fixed
    donors = np.lexsort((np.arange(len(sizes)), -movable))[: len(slots)]
    donors = donors[movable[donors] > 1]
    if len(donors) == 0:
        return {}
    everyone = _members_of(labels, np.union1d(donors, slots), len(sizes))
    members = {int(donor): everyone[donor][~stays[everyone[donor]]] for donor in donors}
    heap = [(-int(movable[donor]), int(donor)) for donor in donors]
    heapq.heapify(heap)
    changed: dict[int, Tensor] = {}
    for slot in map(int, slots):
        _, donor = heapq.heappop(heap)
        second = two_means(rows_at(features, members[donor]).cpu(), rng).to(labels.device)
        if moved_half == "first" or (moved_half == "random" and rng.integers(2) == 0):
            second = ~second
        members[slot], members[donor] = members[donor][second], members[donor][~second]
        labels[members[slot]] = slot
        for cluster in (slot, donor):
            sizes[cluster] = len(members[cluster]) + fixed[cluster]
            heapq.heappush(heap, (-len(members[cluster]), cluster))
            changed[cluster] = members[cluster]
    for cluster in changed:
        if fixed[cluster] > 0:
            old = everyone[cluster]
            changed[cluster] = torch.cat([changed[cluster], old[stays[old]]])
    return changed


def _members_of(labels: Tensor, clusters: np.ndarray, num_clusters: int) -> dict[int, Tensor]:
    """Indices of the members of each given cluster, in ascending order, found in one pass."""
    wanted = torch.zeros(num_clusters, dtype=torch.bool, device=labels.device)
    wanted[torch.from_numpy(clusters).to(labels.device)] = True
    members = wanted[labels].nonzero().flatten()
    order = labels[members].argsort(stable=True)
    members = members[order]
    names, lengths = labels[members].unique_consecutive(return_counts=True)
    return dict(zip(names.tolist(), members.split(lengths.tolist()), strict=True))


def _top_up(
    features: Tensor,
    labels: Tensor,
    sizes: np.ndarray,
    fixed: np.ndarray,
    stays: Tensor,
    needed: np.ndarray,
) -> set[int]:
    """Fill clusters that are still small with the outermost members of the largest clusters.

    Args:
        fixed, stays: see `_disperse`.
        needed: (C,) the least size of each cluster.

    Returns:
        The clusters that changed.
    """
    changed: set[int] = set()
    for slot in map(int, np.flatnonzero(sizes < needed)):
        while (lacking := int(needed[slot] - sizes[slot])) > 0:
            spare = np.minimum(sizes - needed, sizes - fixed)
            donor = int(np.where(spare > 0, sizes - fixed, -1).argmax())
            given = min(lacking, int(spare[donor]))
            members = (labels == donor).nonzero().flatten()
            centre = rows_at(features, members).mean(dim=0)
            members = members[~stays[members]]
            distances = (rows_at(features, members) - centre).square().sum(dim=1)
            labels[members[distances.argsort(descending=True, stable=True)[:given]]] = slot
            sizes[donor] -= given
            sizes[slot] += given
            changed.update((slot, donor))
    return changed
