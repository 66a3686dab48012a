"""Sums and means of the features of each cluster, over features on any device or on disk.

Sums are fixed-point numbers: int64, in units of 2^-32. Integers add up to the same sum in any
order, so ranks agree bit for bit although a GPU adds rows in an arbitrary order, and a row leaves a
sum exactly as it joined. Nothing needs double precision, which Apple's GPUs lack.

Rounding changes a feature's coordinate by at most 2^-33; half a unit in the last place of fp32 is
larger than that from 2^-8 on. A sum is exact while the absolute coordinates in a cluster add up to
less than 2^31: two thousand million features of unit length.
"""

import torch
from torch import Tensor

from odc_lightning.clustering.blocks import blocks_of

_UNIT = 2.0**-32


def to_fixed_point(features: Tensor) -> Tensor:
    """Features of any shape and float type in units of 2^-32, int64."""
    return (features.float() / _UNIT).round().to(torch.int64)


def cluster_sums(features: Tensor, labels: Tensor, num_clusters: int) -> Tensor:
    """The sum of the features of each cluster, in fixed point; zeros for an empty one.

    Args:
        features: (N, D) of any float type, on any device or on disk; they are read in blocks and
            never copied as a whole.
        labels: (N,) int64.
        num_clusters: C.

    Returns:
        (C, D) int64 on the labels' device.
    """
    device, width = labels.device, features.shape[1]
    sums = torch.zeros(num_clusters, width, dtype=torch.int64, device=device)
    done = 0
    for rows in blocks_of(features, torch.empty(0, device=device), width):
        sums.index_add_(0, labels[done : done + len(rows)], to_fixed_point(rows))
        done += len(rows)
    return sums


def means_of_sums(sums: Tensor, counts: Tensor) -> Tensor:
    """The mean (C, D) fp32 of each cluster, zero for an empty one.

    Args:
        sums: (C, D) int64, see `cluster_sums`.
        counts: (C,) int64, the sizes of the clusters.
    """
    return sums.float() / counts.clamp(min=1).float().unsqueeze(1) * _UNIT


def cluster_means(features: Tensor, labels: Tensor, num_clusters: int) -> Tensor:
    """The mean (C, D) fp32 of the features of each cluster; arguments as for `cluster_sums`."""
    counts = torch.bincount(labels, minlength=num_clusters)
    return means_of_sums(cluster_sums(features, labels, num_clusters), counts)
