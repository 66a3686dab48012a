"""Sums and means of the features of each cluster, over features on any device or on disk."""

import torch
from torch import Tensor

from odc_lightning.clustering.blocks import blocks_of


def exact_dtype(device: torch.device | str) -> torch.dtype:
    """Double precision, or single precision on Apple's GPUs, which have no double precision."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def cluster_sums(features: Tensor, labels: Tensor, num_clusters: int) -> Tensor:
    """The sum of the features of each cluster, in `exact_dtype`; zeros for an empty one.

    Args:
        features: (N, D) of any float type, on any device or on disk; they are read in blocks and
            never copied as a whole.
        labels: (N,) int64.
        num_clusters: C.

    Returns:
        (C, D) on the labels' device.
    """
    device, width = labels.device, features.shape[1]
    sums = torch.zeros(num_clusters, width, dtype=exact_dtype(device), device=device)
    done = 0
    for rows in blocks_of(features, sums, width):
        sums.index_add_(0, labels[done : done + len(rows)], rows)
        done += len(rows)
    return sums


def cluster_means(features: Tensor, labels: Tensor, num_clusters: int) -> Tensor:
    """The mean (C, D) fp32 of the features of each cluster; arguments as for `cluster_sums`."""
    counts = torch.bincount(labels, minlength=num_clusters)
    sums = cluster_sums(features, labels, num_clusters)
    return (sums / counts.clamp(min=1).unsqueeze(1)).float()
