"""Scores of a clustering: agreement with other labels, and balance of the cluster sizes."""

import math

import torch
from numpy.typing import ArrayLike
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor


def normalized_mutual_information(
    labels_a: ArrayLike | Tensor, labels_b: ArrayLike | Tensor
) -> float:
    """Return the mutual information of two labellings over the mean of their entropies.

    1 means the same partition whatever the labels are called, 0 that neither tells anything of the
    other. The mean is arithmetic: NMI = 2 I(A; B) / (H(A) + H(B)). With many clusters chance alone
    gives a value well above 0, so compare only runs with the same number of clusters.

    Args:
        labels_a: (N,) integer labels, such as cluster numbers; a tensor may be on any device.
        labels_b: (N,) integer labels of the same samples, such as classes.

    Raises:
        ValueError: the labellings are not both (N,) with the same N of at least 1.
    """
    a, b = (torch.as_tensor(labels).cpu().numpy() for labels in (labels_a, labels_b))
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(
            f"Got labels of shapes {a.shape} and {b.shape}, expected (N,) twice; "
            "give both labels of the same samples."
        )
    return float(normalized_mutual_info_score(a, b, average_method="arithmetic"))


def cluster_entropy(counts: Tensor) -> Tensor:
    """Return the entropy of the cluster sizes over its largest value, ln C.

    1 means clusters of equal size, 0 all samples in one cluster. Everything stays on the device
    of ``counts``, so calling this in a training step makes nobody wait.

    Args:
        counts: (C,) cluster sizes, not all zero (the result would be NaN).

    Returns:
        A scalar tensor in [0, 1].

    Raises:
        ValueError: ``counts`` is not (C,) with C of at least 2.
    """
    if counts.ndim != 1 or len(counts) < 2:
        raise ValueError(
            f"Got counts of shape {tuple(counts.shape)}, expected (C,) with at least two clusters."
        )
    shares = counts / counts.sum()
    return torch.special.entr(shares).sum() / math.log(len(counts))
