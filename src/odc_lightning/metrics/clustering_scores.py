"""Scores of a clustering: agreement with other labels, and balance of the cluster sizes."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
)
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

Labels = ArrayLike | Tensor


def normalized_mutual_information(labels_a: Labels, labels_b: Labels) -> float:
    """Return the mutual information of two labellings over the mean of their entropies.

    1 means the same partition under any names, 0 that the labellings are independent. The mean is
    arithmetic: NMI = 2 I(A; B) / (H(A) + H(B)). With many clusters the value of chance is well
    above 0, so compare only runs with the same number of clusters.

    Args:
        labels_a: (N,) integer labels, such as cluster numbers; a tensor may be on any device.
        labels_b: (N,) integer labels of the same samples, such as classes.

    Raises:
        ValueError: the labellings are not both (N,) with the same N of at least 1.
    """
    a, b = _checked(labels_a, labels_b)
    return float(normalized_mutual_info_score(a, b, average_method="arithmetic"))


def adjusted_mutual_information(labels_a: Labels, labels_b: Labels) -> float:
    """Return the mutual information of two labellings, corrected for chance.

    AMI = (I - E) / (M - E), with M the arithmetic mean of the entropies and E the mutual
    information that random labellings with the same sizes have on average (Vinh et al., JMLR
    2010). 1 means the same partition, 0 no more than chance; it may fall below 0. Unlike the
    NMI it can be compared between runs with different numbers of clusters. E costs a sum over all
    pairs of a cluster and a class: about a minute for 10,000 clusters of ImageNet.

    The arguments, and the errors, are those of `normalized_mutual_information`.
    """
    a, b = _checked(labels_a, labels_b)
    return float(adjusted_mutual_info_score(a, b, average_method="arithmetic"))


def adjusted_rand_index(labels_a: Labels, labels_b: Labels) -> float:
    """Return the share of pairs of samples on which two labellings agree, corrected for chance.

    They agree on a pair that is together in both, or apart in both. ARI = (R - E) / (1 - E), with
    R the share and E its mean over random labellings with the same sizes (Hubert and Arabie,
    1985). 1 means the same partition, 0 no more than chance; it may fall below 0.

    The arguments, and the errors, are those of `normalized_mutual_information`.
    """
    a, b = _checked(labels_a, labels_b)
    return float(adjusted_rand_score(a, b))


def purity(truth: Labels, clusters: Labels) -> float:
    """Return the share of samples that are of the most frequent class of their cluster.

    It is the accuracy if every cluster predicts its most frequent class, so it grows with the
    number of clusters: a cluster of one sample is always pure.

    Args:
        truth: (N,) integer classes; leave out samples whose class is not known.
        clusters: (N,) integer cluster numbers of the same samples.

    Raises:
        ValueError: the labellings are not both (N,) with the same N of at least 1.
    """
    counts = _class_counts(truth, clusters)
    return float(counts.max(axis=1).sum() / counts.sum())


def hungarian_accuracy(truth: Labels, clusters: Labels) -> float:
    """Return the accuracy of the best one-to-one matching of clusters to classes.

    This is the usual "clustering accuracy" (Yang et al., "Image Clustering Using Local
    Discriminant Models and Global Integration", TIP 2010): the largest, over all matchings m, share
    of samples with ``truth == m(cluster)``, found by the Hungarian algorithm. The numbers of
    clusters and classes may differ: samples of a cluster without a partner count as wrong. With
    many more clusters than classes the accuracy is low for any clustering.

    The arguments, and the errors, are those of `purity`.
    """
    counts = _class_counts(truth, clusters)
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / counts.sum())


def clustering_scores(truth: Labels, clusters: Labels) -> dict[str, float]:
    """Return all scores of clusters against classes: nmi, ami, ari, purity and accuracy.

    The arguments, and the errors, are those of `purity`; ``accuracy`` is `hungarian_accuracy`.
    """
    return {
        "nmi": normalized_mutual_information(truth, clusters),
        "ami": adjusted_mutual_information(truth, clusters),
        "ari": adjusted_rand_index(truth, clusters),
        "purity": purity(truth, clusters),
        "accuracy": hungarian_accuracy(truth, clusters),
    }


def cluster_entropy(counts: Tensor) -> Tensor:
    """Return the entropy of the cluster sizes over its largest value, ln C.

    1 means clusters of equal size, 0 all samples in one cluster. Everything stays on the device
    of ``counts``, so a call in a training step does not synchronise.

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


def _checked(labels_a: Labels, labels_b: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both labellings as arrays (N,)."""
    a, b = (torch.as_tensor(labels).cpu().numpy() for labels in (labels_a, labels_b))
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(
            f"Got labels of shapes {a.shape} and {b.shape}, expected (N,) twice; "
            "give both labels of the same samples."
        )
    return a, b


def _class_counts(truth: Labels, clusters: Labels) -> NDArray[np.int64]:
    """Number of samples of each class in each cluster: clusters x classes that occur."""
    classes, numbers = _checked(truth, clusters)
    return contingency_matrix(numbers, classes)
