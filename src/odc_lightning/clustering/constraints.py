"""What is known about some images, as limits on the clusters that they may be in.

Constrained K-Means of Basu et al. ("Semi-supervised Clustering by Seeding", ICML 2002): an image
with a name is always in a cluster of its name. Pairs of images without a name are must-links and
cannot-links, kept as in COP-KMeans (Wagstaff et al., ICML 2001).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from odc_lightning.clustering.assign import Assignment, scores, squared_distances
from odc_lightning.utils.arrays import IntArray

NOTHING = -1  # no name, no limit, no unit


@dataclass(frozen=True)
class Constraints:
    """The limits of N images in C clusters; all tensors are on one device.

    Clusters 0 to L - 1 belong to the L names, the others to nobody. A unit is one or more images
    without a name that are always in one cluster.

    Attributes:
        num_names: L.
        kinds: (N,) int64, row of `allowed`; `NOTHING` if the image may be in any cluster.
        allowed: (K, C) bool, the clusters that images of each kind may be in. Kind k < L is the
            name k.
        units: (N,) int64, the unit of an image, `NOTHING` for most.
        kinds_of_units: (U,) int64, as `kinds`.
        apart: (P, 2) int64, units that are never in one cluster.
    """

    num_names: int
    kinds: Tensor
    allowed: Tensor
    units: Tensor
    kinds_of_units: Tensor
    apart: Tensor

    @property
    def fixed(self) -> Tensor:
        """(N,) bool, images that something is known about."""
        return (self.kinds != NOTHING) | (self.units != NOTHING)

    @property
    def owned(self) -> Tensor:
        """(C,) bool, clusters that belong to a name."""
        return torch.arange(self.allowed.shape[1], device=self.allowed.device) < self.num_names

    @property
    def paired(self) -> Tensor:
        """(M,) int64, the images that are in units, ascending."""
        return (self.units != NOTHING).nonzero().flatten()

    def to(self, device: torch.device) -> "Constraints":
        """The same on another device."""
        tensors = (self.kinds, self.allowed, self.units, self.kinds_of_units, self.apart)
        return Constraints(self.num_names, *(tensor.to(device) for tensor in tensors))


def make_constraints(
    names: IntArray,
    refused: IntArray,
    groups: IntArray,
    apart: IntArray,
    num_names: int,
    num_clusters: int,
    threshold: int = 0,
) -> Constraints:
    """Turn what is said about N images into limits on their clusters.

    Args:
        names: (N,) name of each image, 0 to L - 1 or `NOTHING`. Every name has an image.
        refused: (N,) a name that the image does not have, or `NOTHING`.
        groups: (N,) images without a name that belong together have one number; else `NOTHING`.
        apart: (P, 2) images of different names, whatever these are.
        num_names: L.
        num_clusters: C.
        threshold: free clusters must be larger than this.

    Raises:
        ValueError: there are too few clusters for the names or for an image's pairs, or too few
            images of which nothing is said to fill the other clusters.
    """
    units = _numbered(groups, [row for row in apart.flatten().tolist() if names[row] == NOTHING])
    num_free = int(((names == NOTHING) & (refused == NOTHING) & (units == NOTHING)).sum())
    _check_room(num_free, len(names), num_names, num_clusters, threshold)
    num_units = int(units.max(initial=NOTHING)) + 1
    not_of_unit: list[set[int]] = [set() for _ in range(num_units)]
    kinds = names.copy()
    known = {frozenset[int](): NOTHING}
    for row in np.flatnonzero((refused != NOTHING) & (units != NOTHING)).tolist():
        not_of_unit[units[row]].add(int(refused[row]))
    pairs = []
    for one, other in apart.tolist():
        if names[one] == NOTHING and names[other] == NOTHING:
            pairs.append((units[one], units[other]))
        for row, partner in ((one, other), (other, one)):
            if names[row] == NOTHING and names[partner] != NOTHING:
                not_of_unit[units[row]].add(int(names[partner]))

    def kind_of(not_these: set[int]) -> int:
        return known.setdefault(frozenset(not_these), num_names + len(known) - 1)

    kinds_of_units = np.array([kind_of(each) for each in not_of_unit], np.int64)
    for row in np.flatnonzero(names == NOTHING).tolist():
        if units[row] != NOTHING:
            kinds[row] = kinds_of_units[units[row]]
        elif refused[row] != NOTHING:
            kinds[row] = kind_of({int(refused[row])})
    allowed = torch.ones(num_names + len(known) - 1, num_clusters, dtype=torch.bool)
    allowed[:num_names] = torch.eye(num_names, num_clusters, dtype=torch.bool)
    for not_these, kind in known.items():
        if kind != NOTHING:
            allowed[kind, sorted(not_these)] = False
    found = Constraints(
        num_names,
        torch.from_numpy(kinds),
        allowed,
        torch.from_numpy(units),
        torch.from_numpy(kinds_of_units),
        torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2),
    )
    _check_pairs(found, num_units)
    return found


def _numbered(groups: IntArray, singles: list[int]) -> IntArray:
    """Units (N,): each group is one, and each single image that is in no group."""
    units = np.full(len(groups), NOTHING)
    grouped = groups != NOTHING
    units[grouped] = np.unique(groups[grouped], return_inverse=True)[1]
    number = int(units.max(initial=NOTHING)) + 1
    for row in sorted(set(singles)):
        if units[row] == NOTHING:
            units[row] = number
            number += 1
    return units


def _check_room(
    num_free: int, num_samples: int, num_names: int, num_clusters: int, threshold: int
) -> None:
    free = num_clusters - num_names
    if free < 1:
        raise ValueError(
            f"algorithm.num_clusters={num_clusters}, but the labels have {num_names} names, each "
            f"with a cluster of its own; expected {num_names + 1} clusters or more, since images "
            "without a name need one too"
        )
    if num_free < free * (threshold + 1):
        raise ValueError(
            f"the labels say something about {num_samples - num_free} of {num_samples} images. The "
            f"others are too few for the {free} of algorithm.num_clusters={num_clusters} clusters "
            f"that belong to no name: each needs {threshold + 1}. Lower algorithm.num_clusters to "
            f"{max(num_names + 1, num_names + num_free // (threshold + 1))}, or train a classifier "
            "on the names alone"
        )


def _check_pairs(constraints: Constraints, num_units: int) -> None:
    partners = torch.bincount(constraints.apart.flatten(), minlength=num_units)
    for unit in range(num_units):
        kind = int(constraints.kinds_of_units[unit])
        choices = constraints.allowed.shape[1]
        if kind != NOTHING:
            choices = int(constraints.allowed[kind].sum())
        if partners[unit] >= choices:
            raise ValueError(
                f"an image is said to be apart from {int(partners[unit])} others without a name, "
                f"and has {choices} clusters to be in; expected more clusters than such pairs. "
                "Raise algorithm.num_clusters, or give these images names"
            )


def choices_of(constraints: Constraints, indices: Tensor, labels: Tensor) -> Tensor:
    """The clusters that some images may be in; those in units only where they are.

    Args:
        constraints: of N images.
        indices: (B,) int64.
        labels: (B,) int64, the clusters that they are in.

    Returns:
        (B, C) bool.
    """
    kinds = constraints.kinds[indices]
    num_clusters = constraints.allowed.shape[1]
    if len(constraints.allowed) == 0:
        choices = kinds.new_ones(len(kinds), num_clusters, dtype=torch.bool)
    else:
        choices = constraints.allowed[kinds.clamp(min=0)] | (kinds == NOTHING).unsqueeze(1)
    stays = (constraints.units[indices] != NOTHING).unsqueeze(1)
    clusters = torch.arange(num_clusters, device=labels.device)
    return torch.where(stays, clusters == labels.unsqueeze(1), choices)


def unit_labels(
    constraints: Constraints,
    features: Tensor,
    centroids: Tensor,
    metric: Assignment = "l2",
    offsets: Tensor | None = None,
) -> Tensor:
    """Label the images in units as in COP-KMeans: the nearest centroid that their limits allow.

    A unit is labelled by the mean of its images. Units come in the order of their distance to their
    first choice, so of two that are apart the farther one gets its second choice.

    Args:
        constraints: with M images in units.
        features: (M, D) fp32 of `Constraints.paired`.
        centroids, metric, offsets: see `scores`.

    Returns:
        (M,) int64 labels on the centroids' device.
    """
    units = constraints.units[constraints.paired]
    num_units = len(constraints.kinds_of_units)
    means = features.new_zeros(num_units, features.shape[1]).index_add_(0, units, features)
    means = means / torch.bincount(units, minlength=num_units).unsqueeze(1)
    similarity = scores(means, centroids, metric, offsets)
    limited = (constraints.kinds_of_units != NOTHING).nonzero().flatten()
    allowed = constraints.allowed[constraints.kinds_of_units[limited]]
    similarity[limited] = similarity[limited].masked_fill(~allowed, -torch.inf)
    order = squared_distances(means, centroids, similarity.argmax(dim=1)).argsort(stable=True)
    partners: list[list[int]] = [[] for _ in range(num_units)]
    for one, other in constraints.apart.tolist():
        partners[one].append(other)
        partners[other].append(one)
    table = similarity.cpu().numpy()
    found = np.full(num_units, NOTHING)
    for unit in order.tolist():
        taken = [found[partner] for partner in partners[unit] if found[partner] != NOTHING]
        table[unit, taken] = -np.inf
        found[unit] = table[unit].argmax()
    return torch.from_numpy(found).to(units.device)[units]
